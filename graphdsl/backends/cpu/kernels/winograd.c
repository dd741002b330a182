/* 3x3 convolutions by Winograd's F(4x4, 3x3): y = x (*) kernel with a quarter of the multiplications.
 *
 *     x       [batch, height, width, channels]
 *     kernel  [3, 3, channels, filters]; flipped: [3, 3, filters, channels], turned round, for the input gradient
 *     y       [batch, out_height, out_width, filters]
 *
 *     x --6x6 tiles--> V [36][tiles][channels] --36 products--> M [36][tiles][filters] --4x4 tiles--> y
 *                                  U [36][channels][filters] <-- kernel
 *
 *     V  see `layout` in winograd.h
 *     U  [panel][36][channels][the panel's vectors][VL]
 *     M  [group][the panel's vectors][36][ROWS][VL]: as V, and in its place where it has as many vectors
 *
 * Two ways to split the work. `winograd`: each thread has its tiles and works through them in blocks whose V and M
 * stay in its L2, against all of U. `winograd_spread` and then `winograd_gather`: V of all tiles first; then each
 * thread has its panels of filters, so that U, by far the largest where pictures are small and channels many, is read
 * once.
 */
#include "winograd_out.h"

#if VECTOR_REGISTERS == 32
#define EVERY_HEIGHT(each, width)                                                                                     \
    each(1, width) each(2, width) each(3, width) each(4, width) each(5, width) each(6, width) each(7, width)          \
        each(8, width) each(9, width) each(10, width) each(11, width) each(12, width) each(13, width) each(14, width)
#else
#define EVERY_HEIGHT(each, width)                                                                                     \
    each(1, width) each(2, width) each(3, width) each(4, width) each(5, width) each(6, width)
#endif
EXPORT const i64 winograd_rows = ROWS;

TASK(winograd_task);

/* kernel -> u. flipped: for the input gradient; channels and filters are then those of the sum, as in `winograd`. */
typedef struct {
    const float *kernel;
    float *u;
    i64 channels, filters, flipped;
} winograd_pack_task;
TASK(winograd_pack_task);

/* Floats from one point of a panel to the next. */
INLINE i64 u_point(i64 channels, i64 vectors) { return channels * vectors * VL; }

/* --- the products ---------------------------------------------------------------------------------------------------
 *
 *     M[rows][width] = V[rows][channels] . U[channels][width], one group of one point
 */
INLINE void product(const float *v, i64 block, const float *u, i64 channels, float *m, const float *next,
                    const int rows, const int width) {
    vec sum[ROWS * 2];
    UNROLL for (int i = 0; i < rows * width; i++) sum[i] = zeros();
    for (; channels > 0; channels -= VL, v += block - VL) {
        for (const float *end = v + least(channels, VL); v < end; v++, u += width * VL, next += LINE) {
            vec right[2];
            __builtin_prefetch(next, 0, 2);
            UNROLL for (int j = 0; j < width; j++) right[j] = load(u + j * VL);
            UNROLL for (int i = 0; i < rows; i++) {
                vec left = all(v[i * VL]);
                UNROLL for (int j = 0; j < width; j++) sum[i * width + j] += left * right[j];
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < width; j++)
        store(m + j * POINTS * BRICK + i * VL, sum[i * width + j]);
}

typedef void (*product_of)(const float *v, i64 block, const float *u, i64 channels, float *m, const float *next);
#define PRODUCT(rows, width)                                                                                          \
    static NOINLINE void product_##rows##x##width(const float *v, i64 block, const float *u, i64 channels, float *m,   \
                                                  const float *next) {                                                \
        product(v, block, u, channels, m, next, rows, width);                                                         \
    }
EVERY_HEIGHT(PRODUCT, 1)
EVERY_HEIGHT(PRODUCT, 2)
#define NAME(rows, width) product_##rows##x##width,
static const product_of products[2][ROWS] = {{EVERY_HEIGHT(NAME, 1)}, {EVERY_HEIGHT(NAME, 2)}};

/* U of point i of panel p. */
INLINE const float *u_of(const winograd_task *q, i64 p, i64 i) {
    return q->u + p * POINTS * u_point(q->channels, 2) + i * u_point(q->channels, panel_vectors(q->filters, p));
}

/* The products of point i of some groups with panel p: m is that panel's M. next: U that is wanted after this one. Each
 * of the first groups fetches a part of it, or, where there is w, of what that wants. */
static void multiply(const winograd_task *q, i64 p, i64 i, const float *v, layout l, i64 tiles, i64 groups, float *m,
                     const float *next, wanted *w) {
    i64 vectors = panel_vectors(q->filters, p), group = vectors * POINTS * BRICK;
    i64 lines = up(u_point(q->channels, vectors), LINE * q->channels);
    const float *u = u_of(q, p, i);
    for (i64 g = 0; g < groups; g++) {
        i64 rows = group_start(tiles, groups, g + 1) - group_start(tiles, groups, g);
        const float *fetched = w ? take(w, q->channels, u) : g < lines ? next + g * q->channels * LINE : u;
        products[vectors - 1][rows - 1](v + g * l.group + i * l.point, l.block, u, q->channels,
                                        m + g * group + i * BRICK, fetched);
    }
}

/* --- the transforms ----------------------------------------------------------------------------------------------- */

static void spread(const winograd_task *q, i64 first, i64 tiles, i64 groups, float *v) {
    layout l = near_layout(q->channels);
    picture p = read_by(q);
    tile_at t = place(&p, first);
    for (i64 g = 0; g < groups; g++, v += l.group) {
        i64 rows = group_start(tiles, groups, g + 1) - group_start(tiles, groups, g);
        for (i64 r = 0; r < rows; r++, step_on(&p, &t)) tile_in(&p, t, l, v + r * VL);
    }
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

/* How many results there are in some tiles. */
static i64 results_in(const winograd_task *q, i64 first, i64 tiles) {
    picture p = read_by(q);
    tile_at t = place(&p, first);
    i64 count = 0;
    for (; tiles; tiles--, step_on(&p, &t))
        count += least(TILE, q->out_height - t.i * TILE) * least(TILE, q->out_width - t.j * TILE);
    return count;
}

/* This thread's tiles; whole pictures where it makes what it reads: lines are read by two lines of tiles. */
static void share_tiles(const winograd_task *q, const context *at, i64 *first, i64 *last) {
    i64 unit = q->before ? q->down * q->across : 1;
    share((q->last - q->first) / unit, at, first, last);
    *first *= unit, *last *= unit;
}

/* Makes x from pixel `ready` on, as far as tile `last` reads it, and to the end of a picture where that is the last
 * there; gives how far. */
static i64 make(const winograd_task *q, i64 ready, i64 last) {
    picture p = read_by(q);
    i64 end = read_until(&p, last);
    if (end > ready) formula_block(q->before, ready, end - ready, 0, q->channels, 0, 0);
    return most(ready, end);
}

/* What wants to be fetched while the products of tiles from `start` up to `end` are made, the last the soonest; tiles up
 * to `next` follow. */
static wanted wishes(const winograd_task *q, i64 start, i64 end, i64 next) {
    picture p = read_by(q);
    wanted w = {.count = 0};
    i64 read = read_until(&p, end - 1), until = read_until(&p, next - 1), c = q->channels;
    for (i64 k = q->before ? q->before->count - 1 : -1; k >= 0; k--) {
        const formula_operand *x = q->before->operands + k;
        if (x->row == 4 * c && x->kind == FLOATS) want(&w, (const float *)x->base, read * c, until * c);
    }
    if (!q->before) want(&w, q->x, read * c, until * c);
    i64 first = covered_until(&p, q->out_height, q->out_width, start - 1) * q->filters;
    i64 last = covered_until(&p, q->out_height, q->out_width, end - 1) * q->filters;
    want(&w, q->y, first, last);
    for (i64 k = 0; k < q->gathers - SUMS; k++) want(&w, q->others[k], first, last);
    want(&w, q->mask, first, last);
    want(&w, q->add, first, last);
    return w;
}

/* own: V and M of `block` groups. */
EXPORT void winograd(const void *task, const context *at) {
    const winograd_task *q = task;
    layout l = near_layout(q->channels);
    i64 first, last;
    share_tiles(q, at, &first, &last);
    i64 tiles = last - first, blocks = up(tiles, q->block * ROWS), panels = panels_of(q->filters);
    const int alike = panels == 1 && up(q->channels, VL) == up(q->filters, VL);
    const int small = panels * POINTS * u_point(q->channels, 2) <= NEAR;
    i64 ready = first / (q->down * q->across) * q->height * q->width;
    if (q->gathers) q->statistics[at->thread].count = results_in(q, first, tiles);
    for (i64 b = 0; b < blocks; b++) {
        i64 from = tiles * b / blocks, now = tiles * (b + 1) / blocks - from, groups = up(now, ROWS);
        i64 start = q->first + first + from;
        float *v = (float *)at->own, *m = alike ? v : v + room_for(q->channels, groups);
        if (q->before) ready = make(q, ready, start + now - 1);
        spread(q, start, now, groups, v);
        wanted w = wishes(q, start, start + now, q->first + first + tiles * least(b + 2, blocks) / blocks);
        for (i64 p = 0; p < panels; p++) {
            for (i64 i = 0; i < POINTS; i++) {
                const float *next = i + 1 < POINTS ? u_of(q, p, i + 1) : u_of(q, (p + 1) % panels, 0);
                multiply(q, p, i, v, l, now, groups, m, next, small ? &w : 0);
            }
            winograd_out(q, p, start, now, groups, m, at->thread, b > 0);
        }
        if (q->after) winograd_after(q, start, start + now, 0, q->filters);
    }
}

/* Where tiles are cut into parts first, and parts into groups. */
typedef struct {
    i64 start, tiles, groups, v;
} piece;

INLINE layout pieces(const winograd_task *q, i64 number, piece *p) {
    i64 tiles = q->last - q->first, most_groups = up(up(tiles, q->parts), ROWS);
    layout l = far_layout(q->channels, most_groups * q->parts);
    p->start = tiles * number / q->parts;
    p->tiles = tiles * (number + 1) / q->parts - p->start;
    p->groups = up(p->tiles, ROWS);
    p->v = number * most_groups * l.group;
    return l;
}

/* shared: V of the groups of all parts. */
EXPORT void winograd_spread(const void *task, const context *at) {
    const winograd_task *q = task;
    i64 from, to;
    picture p = read_by(q);
    share(q->last - q->first, at, &from, &to);
    tile_at t = place(&p, q->first + from);
    for (i64 number = 0; number < q->parts; number++) {
        piece now;
        layout l = pieces(q, number, &now);
        for (i64 g = 0; g < now.groups; g++) {
            i64 start = now.start + group_start(now.tiles, now.groups, g);
            i64 end = now.start + group_start(now.tiles, now.groups, g + 1);
            float *v = (float *)at->shared + now.v + g * l.group;
            for (i64 i = most(start, from); i < least(end, to); i++, step_on(&p, &t))
                tile_in(&p, t, l, v + (i - start) * VL);
        }
    }
}

/* Panels of parts are shared by threads, `block` of them at a time, so that V of a point is read for all of these while
 * it is near. own: M of the groups of a part, `block` times. */
EXPORT void winograd_gather(const void *task, const context *at) {
    const winograd_task *q = task;
    i64 from, to, each = up(up(q->last - q->first, q->parts), ROWS) * POINTS * 2 * BRICK;
    share(panels_of(q->filters) * q->parts, at, &from, &to);
    for (i64 first = from; first < to; first += q->block) {
        float *m = (float *)at->own;
        i64 last = least(first + q->block, to);
        piece now;
        for (i64 i = 0; i < POINTS; i++)
            for (i64 unit = first; unit < last; unit++) {
                layout l = pieces(q, unit % q->parts, &now);
                i64 following = unit + q->parts < last ? unit / q->parts + 1 : first / q->parts;
                multiply(q, unit / q->parts, i, (const float *)at->shared + now.v, l, now.tiles, now.groups,
                         m + (unit - first) * each,
                         u_of(q, following, least(i + (following <= unit / q->parts), POINTS - 1)), 0);
            }
        for (i64 unit = first; unit < last; unit++) {
            i64 p = unit / q->parts;
            pieces(q, unit % q->parts, &now);
            i64 start = q->first + now.start, number = unit % q->parts;
            if (q->gathers && !p) {
                statistics *s = q->statistics + number;
                s->count = (q->first ? s->count : 0) + results_in(q, start, now.tiles);
            }
            winograd_out(q, p, start, now.tiles, now.groups, m + (unit - first) * each, number, q->first > 0);
            if (q->after) winograd_after(q, start, start + now.tiles, p * WIDE, least((p + 1) * WIDE, q->filters));
        }
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

/* VL floats, `stride` apart, of which n are there. */
INLINE vec load_column(const float *p, i64 stride, i64 n) {
#if VL == 16
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    if (stride < INT32_MAX / VL)
        return (vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), first_lanes(n),
                                             _mm512_mullo_epi32(lane, _mm512_set1_epi32((int32_t)stride)), p, 4);
#elif VL == 8
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (stride < INT32_MAX / VL)
        return (vec)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), p,
                                             _mm256_mullo_epi32(lane, _mm256_set1_epi32((int32_t)stride)),
                                             (__m256)first_lanes(n), 4);
#endif
    vec v = zeros();
    for (i64 i = 0; i < n; i++) v[i] = p[i * stride];
    return v;
}

/* Work is shared by blocks of VL channels of one vector of filters. */
EXPORT void winograd_pack(const void *task, const context *at) {
    const winograd_pack_task *q = task;
    i64 across = up(q->filters, VL), from, to;
    share(across * up(q->channels, VL), at, &from, &to);
    for (i64 unit = from; unit < to; unit++) {
        i64 f = unit % across * VL, first = unit / across * VL, p = f / WIDE, vectors = panel_vectors(q->filters, p);
        i64 n = least(VL, q->filters - f), apart = u_point(q->channels, vectors);
        float *u = q->u + p * POINTS * u_point(q->channels, 2) + f % WIDE;
        for (i64 c = first; c < least(first + VL, q->channels); c++) {
            vec g[9];
            UNROLL for (int tap = 0; tap < 9; tap++)
                g[tap] = q->flipped ? load_column(q->kernel + ((8 - tap) * q->filters + f) * q->channels + c,
                                                  q->channels, n)
                                    : load_part(q->kernel + (tap * q->channels + c) * q->filters + f, n);
            transform_kernel(g, u + c * vectors * VL, apart);
        }
    }
}
