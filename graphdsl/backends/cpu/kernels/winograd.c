/* 3x3 convolutions by Winograd's F(4x4, 3x3): y = x (*) kernel with a quarter of the multiplications.
 *
 *     x       [batch, height, width, channels]
 *     kernel  [3, 3, channels, filters]; flipped: [3, 3, filters, channels], turned round, for the input gradient
 *     y       [batch, out_height, out_width, filters]
 *
 *     x --6x6 tiles--> V [36][tiles][channels] --36 products--> M [36][tiles][filters] --4x4 tiles--> y
 *                                  U [36][channels][filters] <-- kernel
 *
 * Tiles are taken in groups of ROWS, as many as a product holds in registers, and stored so that the product walks
 * through memory with one pointer:
 *
 *     V  [36][group][channels / VL][ROWS][VL]
 *     U  [panel][36][channels][the panel's vectors][VL]
 *     M  [36][group][ROWS][the panel's vectors][VL]
 *
 * Two ways to split the work. `winograd`: each thread has its tiles and works through them in blocks whose V and M
 * stay in its L2, against all of U. `winograd_spread` and then `winograd_gather`: V of all tiles first; then each
 * thread has its panels of filters, so that U, by far the largest where pictures are small and channels many, is read
 * once.
 *
 * Points are apart by whole cache lines and one more, so that the 36 do not fall on one place of the cache.
 */
#include "formula.h"
#include "winograd.h"

#if VECTOR_REGISTERS == 32
enum { ROWS = 14 };
#define EVERY_HEIGHT(each, width)                                                                                     \
    each(1, width) each(2, width) each(3, width) each(4, width) each(5, width) each(6, width) each(7, width)          \
        each(8, width) each(9, width) each(10, width) each(11, width) each(12, width) each(13, width) each(14, width)
#else
enum { ROWS = 6 };
#define EVERY_HEIGHT(each, width)                                                                                     \
    each(1, width) each(2, width) each(3, width) each(4, width) each(5, width) each(6, width)
#endif
EXPORT const i64 winograd_rows = ROWS;

enum { WIDE = 2 * VL }; /* floats in a row of a whole panel */

/* x .. across: see `picture`. u: packed kernel. y and what is done to it on the way, as in tile.h: bias [filters];
 * add and mask shaped as y; or else the formula `after`. Tiles of the batch from `first` to `last` are made; `block`:
 * groups that a thread takes at a time; `parts`: pieces that the tiles are cut into where threads share panels
 * (gather). */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across, first, last, block, parts;
    const float *u;
    float *y;
    i64 out_height, out_width, filters;
    const float *bias, *add, *mask;
    const formula_task *after;
    double low;
} winograd_task;
TASK(winograd_task);

/* kernel -> u. flipped: for the input gradient; channels and filters are then those of the sum, as in `winograd`. */
typedef struct {
    const float *kernel;
    float *u;
    i64 channels, filters, flipped;
} winograd_pack_task;
TASK(winograd_pack_task);

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }
INLINE i64 panels_of(i64 filters) { return up(filters, WIDE); }
INLINE i64 panel_vectors(i64 filters, i64 p) { return filters - p * WIDE > VL ? 2 : 1; }
/* Floats from one group to the next, and from one point to the next. */
INLINE i64 v_group(i64 channels) { return up(channels, VL) * ROWS * VL; }
INLINE i64 v_point(i64 channels, i64 groups) { return groups * v_group(channels) + VL; }
INLINE i64 u_point(i64 channels, i64 vectors) { return channels * vectors * VL; }
INLINE i64 m_point(i64 vectors, i64 groups) { return groups * ROWS * vectors * VL + VL; }

/* --- the products ---------------------------------------------------------------------------------------------------
 *
 *     M[rows][width] = V[rows][channels] . U[channels][width], one group of one point
 */
INLINE void product(const float *v, const float *u, i64 channels, float *m, const int rows, const int width) {
    vec sum[ROWS * 2];
    UNROLL for (int i = 0; i < rows * width; i++) sum[i] = zeros();
    for (; channels > 0; channels -= VL, v += (ROWS - 1) * VL) {
        for (const float *end = v + least(channels, VL); v < end; v++, u += width * VL) {
            vec right[2];
            UNROLL for (int j = 0; j < width; j++) right[j] = load(u + j * VL);
            UNROLL for (int i = 0; i < rows; i++) {
                vec left = all(v[i * VL]);
                UNROLL for (int j = 0; j < width; j++) sum[i * width + j] += left * right[j];
            }
        }
    }
    UNROLL for (int i = 0; i < rows * width; i++) store(m + i * VL, sum[i]);
}

typedef void (*product_of)(const float *v, const float *u, i64 channels, float *m);
#define PRODUCT(rows, width)                                                                                          \
    static NOINLINE void product_##rows##x##width(const float *v, const float *u, i64 channels, float *m) {           \
        product(v, u, channels, m, rows, width);                                                                      \
    }
EVERY_HEIGHT(PRODUCT, 1)
EVERY_HEIGHT(PRODUCT, 2)
#define NAME(rows, width) product_##rows##x##width,
static const product_of products[2][ROWS] = {{EVERY_HEIGHT(NAME, 1)}, {EVERY_HEIGHT(NAME, 2)}};

/* `tiles` tiles in `groups` groups of nearly the same height: where group g starts. */
INLINE i64 group_start(i64 tiles, i64 groups, i64 g) { return tiles * g / groups; }

/* All 36 products of `groups` groups, whose points in v are `apart`, with one panel. */
static void multiply(const winograd_task *q, i64 p, const float *v, i64 apart, i64 tiles, i64 groups, float *m) {
    i64 vectors = panel_vectors(q->filters, p), up = u_point(q->channels, vectors), mp = m_point(vectors, groups);
    const float *u = q->u + p * POINTS * u_point(q->channels, 2);
    for (i64 i = 0; i < POINTS; i++)
        for (i64 g = 0; g < groups; g++) {
            i64 rows = group_start(tiles, groups, g + 1) - group_start(tiles, groups, g);
            products[vectors - 1][rows - 1](v + i * apart + g * v_group(q->channels), u + i * up, q->channels,
                                            m + i * mp + g * ROWS * vectors * VL);
        }
}

/* --- the transforms ----------------------------------------------------------------------------------------------- */

static void spread(const winograd_task *q, i64 first, i64 tiles, i64 groups, float *v, i64 apart) {
    picture p = {q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
    for (i64 g = 0; g < groups; g++) {
        i64 from = group_start(tiles, groups, g), to = group_start(tiles, groups, g + 1);
        for (i64 t = from; t < to; t++)
            tile_in(&p, first + t, v + g * v_group(q->channels) + (t - from) * VL, ROWS * VL, apart);
    }
}

/* A' M A of VL filters. */
INLINE void transform_out(const float *m, i64 apart, vec y[TILE][TILE]) {
    vec half[TILE][REACH];
    UNROLL for (int j = 0; j < REACH; j++) {
        vec column[REACH], out[TILE];
        UNROLL for (int i = 0; i < REACH; i++) column[i] = load(m + (i * REACH + j) * apart);
        line_out(column, out);
        UNROLL for (int i = 0; i < TILE; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < TILE; i++) line_out(half[i], y[i]);
}

/* What is done to one vector of results before it is stored at `at`; n of its filters are there. */
INLINE void finish(const winograd_task *q, vec y, vec bias, vec low, i64 at, const int whole, i64 n) {
    y += bias;
    if (q->add) y += whole ? load(q->add + at) : load_part(q->add + at, n);
    y = max_or_second(low, y);
    if (q->mask) y = keep(greater(whole ? load(q->mask + at) : load_part(q->mask + at, n), zeros()), y);
    if (whole)
        store(q->y + at, y);
    else
        store_part(q->y + at, y, n);
}

INLINE void put_tile(const winograd_task *q, const float *m, i64 apart, i64 at, i64 h, i64 w, i64 f, const int whole) {
    vec y[TILE][TILE], low = all((float)q->low), bias = zeros();
    i64 n = q->filters - f, row = q->out_width * q->filters;
    if (q->bias) bias = whole ? load(q->bias + f) : load_part(q->bias + f, n);
    transform_out(m, apart, y);
    if (h >= TILE && w >= TILE) {
        UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++)
            finish(q, y[i][j], bias, low, at + i * row + j * q->filters, whole, n);
    } else {
        vec kept[TILE * TILE];
        UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++) kept[i * TILE + j] = y[i][j];
        for (i64 i = 0; i < least(h, TILE); i++)
            for (i64 j = 0; j < least(w, TILE); j++)
                finish(q, kept[i * TILE + j], bias, low, at + i * row + j * q->filters, whole, n);
    }
}

/* The results of one panel: m -> y. */
static void gather(const winograd_task *q, i64 p, i64 first, i64 tiles, i64 groups, const float *m) {
    i64 vectors = panel_vectors(q->filters, p), apart = m_point(vectors, groups), in_picture = q->down * q->across;
    for (i64 g = 0; g < groups; g++)
        for (i64 t = group_start(tiles, groups, g), row = 0; t < group_start(tiles, groups, g + 1); t++, row++) {
            i64 n = (first + t) / in_picture, at = (first + t) % in_picture;
            i64 h = at / q->across * TILE, w = at % q->across * TILE;
            i64 place = ((n * q->out_height + h) * q->out_width + w) * q->filters;
            for (i64 j = 0; j < vectors; j++) {
                i64 f = p * WIDE + j * VL;
                const float *from = m + ((g * ROWS + row) * vectors + j) * VL;
                if (f + VL <= q->filters)
                    put_tile(q, from, apart, place + f, q->out_height - h, q->out_width - w, f, 1);
                else
                    put_tile(q, from, apart, place + f, q->out_height - h, q->out_width - w, f, 0);
            }
        }
}

/* The formula, on filters from f to `to` of tiles from `first` to `last`: lines of tiles that lie side by side. */
static void apply(const winograd_task *q, i64 first, i64 last, i64 f, i64 to) {
    for (i64 t = first, run; t < last; t += run) {
        i64 w = t % q->across, line = t / q->across, h = line % q->down * TILE;
        run = least(q->across - w, last - t);
        i64 row = (line / q->down * q->out_height + h) * q->out_width + w * TILE;
        i64 pixels = least(run * TILE, q->out_width - w * TILE);
        for (i64 i = 0; i < least(TILE, q->out_height - h); i++)
            formula_block(q->after, row + i * q->out_width, pixels, f, to - f, 0, 0);
    }
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

/* own: v_point(channels, block) + m_point(2, block), times 36. */
EXPORT void winograd(const void *task, const context *at) {
    const winograd_task *q = task;
    i64 first, last;
    share(q->last - q->first, at, &first, &last);
    i64 blocks = up(last - first, q->block * ROWS), tiles = last - first;
    for (i64 b = 0; b < blocks; b++) {
        i64 from = tiles * b / blocks, now = tiles * (b + 1) / blocks - from, groups = up(now, ROWS);
        i64 apart = v_point(q->channels, groups), start = q->first + first + from;
        float *v = (float *)at->own, *m = v + POINTS * apart;
        spread(q, start, now, groups, v, apart);
        for (i64 p = 0; p < panels_of(q->filters); p++) {
            multiply(q, p, v, apart, now, groups, m);
            gather(q, p, start, now, groups, m);
        }
        if (q->after) apply(q, start, start + now, 0, q->filters);
    }
}

/* shared: v_point(channels, groups of all tiles) * 36. Tiles are cut into parts first, parts into groups. */
EXPORT void winograd_spread(const void *task, const context *at) {
    const winograd_task *q = task;
    i64 tiles = q->last - q->first, per_part = up(up(tiles, q->parts), ROWS), from, to;
    i64 apart = v_point(q->channels, per_part * q->parts);
    picture p = {q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
    share(tiles, at, &from, &to);
    for (i64 part = 0; part < q->parts; part++) {
        i64 start = tiles * part / q->parts, count = tiles * (part + 1) / q->parts - start, groups = up(count, ROWS);
        for (i64 g = 0; g < groups; g++) {
            i64 one = start + group_start(count, groups, g), end = start + group_start(count, groups, g + 1);
            float *v = (float *)at->shared + (part * per_part + g) * v_group(q->channels);
            for (i64 t = most(one, from); t < least(end, to); t++)
                tile_in(&p, q->first + t, v + (t - one) * VL, ROWS * VL, apart);
        }
    }
}

/* own: m_point(2, groups of a part) * 36 */
EXPORT void winograd_gather(const void *task, const context *at) {
    const winograd_task *q = task;
    i64 tiles = q->last - q->first, per_part = up(up(tiles, q->parts), ROWS), from, to;
    i64 apart = v_point(q->channels, per_part * q->parts);
    share(panels_of(q->filters) * q->parts, at, &from, &to);
    for (i64 unit = from; unit < to; unit++) {
        i64 p = unit / q->parts, part = unit % q->parts;
        i64 start = tiles * part / q->parts, count = tiles * (part + 1) / q->parts - start, groups = up(count, ROWS);
        const float *v = (const float *)at->shared + part * per_part * v_group(q->channels);
        multiply(q, p, v, apart, count, groups, (float *)at->own);
        gather(q, p, q->first + start, count, groups, (const float *)at->own);
        if (q->after)
            apply(q, q->first + start, q->first + start + count, p * WIDE, least((p + 1) * WIDE, q->filters));
    }
}

/* G g G' of VL filters of one channel: nine vectors -> 36, `apart`. */
INLINE void transform_kernel(const vec g[9], float *u, i64 apart) {
    vec half[REACH][3];
    UNROLL for (int j = 0; j < 3; j++) {
        vec column[3] = {g[j], g[3 + j], g[6 + j]}, out[REACH];
        line_kernel(column, out);
        UNROLL for (int i = 0; i < REACH; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < REACH; i++) {
        vec out[REACH];
        line_kernel(half[i], out);
        UNROLL for (int j = 0; j < REACH; j++) store(u + (i * REACH + j) * apart, out[j]);
    }
}

/* Nine taps of VL filters of VL channels, turned so that filters lie side by side: [channel][tap][filter]. */
static NOINLINE void turn(const winograd_pack_task *q, i64 c, i64 f, i64 channels, i64 filters, float *out) {
    for (i64 tap = 0; tap < 9; tap++)
        for (i64 j = 0; j < filters; j++) {
            const float *from = q->kernel + ((8 - tap) * q->filters + f + j) * q->channels + c;
            for (i64 i = 0; i < channels; i++) out[(i * 9 + tap) * VL + j] = from[i];
        }
}

/* Work is shared by blocks of VL channels of one vector of filters. */
EXPORT void winograd_pack(const void *task, const context *at) {
    const winograd_pack_task *q = task;
    i64 across = up(q->filters, VL), from, to;
    float turned[VL * 9 * VL] __attribute__((aligned(64)));
    memset(turned, 0, sizeof turned);
    share(across * up(q->channels, VL), at, &from, &to);
    for (i64 unit = from; unit < to; unit++) {
        i64 f = unit % across * VL, c = unit / across * VL, p = f / WIDE, vectors = panel_vectors(q->filters, p);
        i64 count = least(VL, q->channels - c), n = least(VL, q->filters - f), apart = u_point(q->channels, vectors);
        float *u = q->u + p * POINTS * u_point(q->channels, 2) + c * vectors * VL + f % WIDE;
        if (q->flipped) turn(q, c, f, count, n, turned);
        for (i64 i = 0; i < count; i++) {
            vec g[9];
            UNROLL for (int tap = 0; tap < 9; tap++)
                g[tap] = q->flipped ? load(turned + (i * 9 + tap) * VL)
                                    : load_part(q->kernel + (tap * q->channels + c + i) * q->filters + f, n);
            transform_kernel(g, u + i * vectors * VL, apart);
        }
    }
}
