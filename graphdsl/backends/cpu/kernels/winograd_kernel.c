/* The kernel gradient of 3x3 convolutions by Winograd's F(4x4, 3x3), the transpose of what winograd.c does.
 *
 *     x   [batch, height, width, channels]
 *     dy  [batch, out_height, out_width, filters]
 *     dk  [3, 3, channels, filters]
 *
 *     x  --6x6 tiles--> V [36][tiles][channels] --\
 *                                                  36 products over the tiles --> D [36][channels][filters] --> dk
 *     dy --4x4 tiles--> W [36][tiles][filters]  --/
 *
 *     V  [36][channels / VL][tile][VL]
 *     W  [36][panel][tile][the panel's vectors][VL]
 *     D  [36][panel][channels][the panel's vectors][VL]
 *
 * Two ways to split the work. `winograd_kernel`: each thread has its tiles, works through them in blocks that stay in
 * its L2, and has a D of its own; `winograd_kernel_sum` adds these up in order. `winograd_kernel_spread` and then
 * `winograd_kernel_product`: V and W of all tiles first; then each thread has its share of the only D, which is the
 * largest of all where channels are many.
 */
#include "winograd.h"

enum { WIDE = 2 * VL, TALL = VL == 16 ? 8 : 4 };

/* x .. across: see `picture`. Tiles from `first` to `last` are read; `block`: how many a thread takes at a time;
 * room: floats of D, behind which V and W of all tiles lie in shared memory (spread, product). */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across, first, last, block, room;
    const float *dy;
    i64 out_height, out_width, filters;
} winograd_kernel_task;
TASK(winograd_kernel_task);

/* parts: how many D there are. */
typedef struct {
    float *dk;
    i64 channels, filters, parts;
} winograd_kernel_sum_task;
TASK(winograd_kernel_sum_task);

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }
INLINE i64 panels_of(i64 filters) { return up(filters, WIDE); }
INLINE i64 panel_vectors(i64 filters, i64 p) { return filters - p * WIDE > VL ? 2 : 1; }
/* Floats from one point to the next, of V or W, and of D. */
INLINE i64 point(i64 channels, i64 tiles) { return up(channels, VL) * VL * tiles + VL; }
INLINE i64 d_point(i64 channels, i64 filters) { return up(channels, VL) * VL * up(filters, VL) * VL; }

/* --- the products ---------------------------------------------------------------------------------------------------
 *
 *     D[tall][width] += V[tiles][tall] ' W[tiles][width]
 */
INLINE void product(const float *v, const float *w, i64 tiles, float *d, i64 add, const int tall, const int width) {
    vec sum[VL * 2];
    UNROLL for (int i = 0; i < tall * width; i++) sum[i] = zeros();
    for (const float *end = v + tiles * VL; v < end; v += VL, w += width * VL) {
        vec right[2];
        UNROLL for (int j = 0; j < width; j++) right[j] = load(w + j * VL);
        UNROLL for (int i = 0; i < tall; i++) {
            vec left = all(v[i]);
            UNROLL for (int j = 0; j < width; j++) sum[i * width + j] += left * right[j];
        }
    }
    if (add) {
        UNROLL for (int i = 0; i < tall * width; i++) store(d + i * VL, load(d + i * VL) + sum[i]);
    } else {
        UNROLL for (int i = 0; i < tall * width; i++) store(d + i * VL, sum[i]);
    }
}

static NOINLINE void product_two(const float *v, const float *w, i64 tiles, float *d, i64 add) {
    product(v, w, tiles, d, add, TALL, 2);
}

static NOINLINE void product_one(const float *v, const float *w, i64 tiles, float *d, i64 add) {
    product(v, w, tiles, d, add, VL, 1);
}

/* --- the transforms ----------------------------------------------------------------------------------------------- */

INLINE void put_row(const vec y[TILE], float *to, i64 apart) {
    vec o[REACH];
    line_out_back(y, o);
    UNROLL for (int j = 0; j < REACH; j++) store(to + j * apart, o[j]);
}

/* A Y A' of VL filters. */
INLINE void transform_result(const vec y[TILE][TILE], float *to, i64 apart) {
    vec half[REACH][TILE];
    UNROLL for (int j = 0; j < TILE; j++) {
        vec column[TILE] = {y[0][j], y[1][j], y[2][j], y[3][j]}, out[REACH];
        line_out_back(column, out);
        UNROLL for (int i = 0; i < REACH; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < REACH; i++) put_row(half[i], to + i * REACH * apart, apart);
}

/* Tile number t of dy, all filters, as tile `slot` of the `tiles` that w holds. */
static void result_in(const winograd_kernel_task *q, i64 t, i64 slot, i64 tiles, float *w) {
    i64 in_picture = q->down * q->across, at = t % in_picture, row = q->out_width * q->filters;
    i64 h = at / q->across * TILE, width = at % q->across * TILE, apart = point(q->filters, tiles);
    const float *dy = q->dy + t / in_picture * q->out_height * row + h * row + width * q->filters;
    i64 whole = h + TILE <= q->out_height && width + TILE <= q->out_width ? q->filters / VL * VL : 0;
    for (i64 f = 0; f < q->filters; f += VL, dy += VL) {
        vec y[TILE][TILE];
        if (f < whole) {
            UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++)
                y[i][j] = load(dy + i * row + j * q->filters);
        } else {
            i64 n = least(VL, q->filters - f);
            UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++) {
                int there = h + i < q->out_height && width + j < q->out_width;
                y[i][j] = there ? load_part(dy + i * row + j * q->filters, n) : zeros();
            }
        }
        i64 vectors = panel_vectors(q->filters, f / WIDE);
        transform_result(y, w + f / WIDE * WIDE * tiles + slot * vectors * VL + f % WIDE, apart);
    }
}

/* Tiles `from` to `to` of the `tiles` that begin with tile `first`: V, and W behind it. */
static void spread(const winograd_kernel_task *q, i64 first, i64 from, i64 to, i64 tiles, float *v) {
    picture p = {q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
    i64 apart = point(q->channels, tiles);
    for (i64 t = from; t < to; t++) {
        tile_in(&p, first + t, v + t * VL, tiles * VL, apart);
        result_in(q, first + t, t, tiles, v + POINTS * apart);
    }
}

/* Pieces of D: a vector of channels of a panel of a point. Those from `from` to `to`, of the V and W at v. */
static void multiply(const winograd_kernel_task *q, const float *v, i64 tiles, i64 from, i64 to, float *d, i64 add) {
    i64 rows = up(q->channels, VL), panels = panels_of(q->filters), all = d_point(q->channels, q->filters);
    i64 v_apart = point(q->channels, tiles), w_apart = point(q->filters, tiles);
    for (i64 unit = from; unit < to; unit++) {
        i64 row = unit % rows, p = unit / rows % panels, i = unit / rows / panels;
        i64 vectors = panel_vectors(q->filters, p);
        const float *right = v + POINTS * v_apart + i * w_apart + p * WIDE * tiles;
        const float *left = v + i * v_apart + row * tiles * VL;
        float *to = d + i * all + p * WIDE * rows * VL + row * VL * vectors * VL;
        if (vectors == 1)
            product_one(left, right, tiles, to, add);
        else
            for (i64 c = 0; c < VL; c += TALL) product_two(left + c, right, tiles, to + c * WIDE, add);
    }
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

INLINE i64 pieces(const winograd_kernel_task *q) { return POINTS * panels_of(q->filters) * up(q->channels, VL); }

/* own: (point(channels, block) + point(filters, block)) * 36; shared: d_point * 36 a thread. */
EXPORT void winograd_kernel(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 first, last, size = POINTS * d_point(q->channels, q->filters);
    float *v = (float *)at->own, *d = (float *)at->shared + at->thread * size;
    share(q->last - q->first, at, &first, &last);
    i64 tiles = last - first, blocks = up(tiles, q->block);
    if (!blocks) memset(d, 0, 4 * (size_t)size);
    for (i64 b = 0; b < blocks; b++) {
        i64 from = tiles * b / blocks, now = tiles * (b + 1) / blocks - from;
        spread(q, q->first + first + from, 0, now, now, v);
        multiply(q, v, now, 0, pieces(q), d, b > 0);
    }
}

/* shared: V and W as in `own` above, of all tiles. */
EXPORT void winograd_kernel_spread(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 from, to;
    share(q->last - q->first, at, &from, &to);
    spread(q, q->first, from, to, q->last - q->first, (float *)at->shared + q->room);
}

/* shared: D, `room` floats; V and W behind it. */
EXPORT void winograd_kernel_product(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 from, to;
    float *d = (float *)at->shared;
    share(pieces(q), at, &from, &to);
    multiply(q, d + q->room, q->last - q->first, from, to, d, q->first > 0);
}

/* The sum of the D of all parts, and G' D G: VL filters of one channel. */
INLINE void transform_back(const float *d, i64 apart, i64 parts, i64 part, vec dk[9]) {
    vec half[3][REACH];
    UNROLL for (int j = 0; j < REACH; j++) {
        vec column[REACH], out[3];
        UNROLL for (int i = 0; i < REACH; i++) {
            const float *from = d + (i * REACH + j) * apart;
            column[i] = load(from);
            for (i64 k = 1; k < parts; k++) column[i] += load(from + k * part);
        }
        line_kernel_back(column, out);
        UNROLL for (int i = 0; i < 3; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < 3; i++) line_kernel_back(half[i], dk + 3 * i);
}

/* Work is shared by channels. shared: D as the steps before have left it, `parts` times. */
EXPORT void winograd_kernel_sum(const void *task, const context *at) {
    const winograd_kernel_sum_task *q = task;
    i64 from, to, apart = d_point(q->channels, q->filters), whole = up(q->channels, VL) * VL;
    share(q->channels, at, &from, &to);
    for (i64 c = from; c < to; c++)
        for (i64 f = 0; f < q->filters; f += VL) {
            vec dk[9];
            i64 p = f / WIDE, vectors = panel_vectors(q->filters, p), n = least(VL, q->filters - f);
            const float *d = (const float *)at->shared + p * WIDE * whole + c * vectors * VL + f % WIDE;
            transform_back(d, apart, q->parts, POINTS * apart, dk);
            float *to = q->dk + c * q->filters + f;
            UNROLL for (int tap = 0; tap < 9; tap++) store_part(to + tap * q->channels * q->filters, dk[tap], n);
        }
}
