/* What the three winograd kernels share: F(4x4, 3x3) as transforms of one line, tiles, and where a tile lies.
 *
 * Four results of a filter of three come from six products. With the points 0, a, -a, b, -b and infinity:
 *
 *     y = A' [(G g) . (B' d)]          6 numbers d, 3 of the filter g, 4 results y
 *
 *          | aabb  0    -(aa+bb) 0        1 0 |         | 1/aabb                      |        | 1 1  1  1  1  0 |
 *          | 0    -abb  -bb      a        1 0 |         | 1/2aa(aa-bb) * (1  a aa)    |        | 0 a -a  b -b  0 |
 *     B' = | 0     abb  -bb     -a        1 0 |     G = | 1/2aa(aa-bb) * (1 -a aa)    |   A' = | 0 aa aa bb bb 0 |
 *          | 0    -aab  -aa      b        1 0 |         | 1/2bb(bb-aa) * (1  b bb)    |        | 0 aaa ..  .. 1  |
 *          | 0     aab  -aa     -b        1 0 |         | 1/2bb(bb-aa) * (1 -b bb)    |
 *          | 0     aabb  0      -(aa+bb)  0 1 |         | 0 0 1                       |
 *
 * and in two dimensions on both sides. The usual points are 1 and 2; 3/4 and 3/2 cost the same, all their constants in
 * A and B are exact in binary, and the error is four times smaller.
 *
 * Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks (2016); on points: B. Barabasz and
 * others, Error Analysis and Improving the Accuracy of Winograd Convolution (2020).
 */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "vector.h"

#define PA 0.75f
#define PB 1.5f
#define PAA (PA * PA)
#define PBB (PB * PB)
#define G0 (1.0f / (PAA * PBB))
#define GA (1.0f / (2.0f * PAA * (PAA - PBB)))
#define GB (1.0f / (2.0f * PBB * (PBB - PAA)))

enum { POINTS = 36, TILE = 4, REACH = 6 };

/* B' d */
INLINE void line_in(const vec d[6], vec out[6]) {
    vec u = d[4] - PBB * d[2], v = d[3] - PBB * d[1], s = d[4] - PAA * d[2], t = d[3] - PAA * d[1];
    out[0] = PAA * PBB * d[0] + (d[4] - (PAA + PBB) * d[2]);
    out[1] = u + PA * v;
    out[2] = u - PA * v;
    out[3] = s + PB * t;
    out[4] = s - PB * t;
    out[5] = PAA * PBB * d[1] + (d[5] - (PAA + PBB) * d[3]);
}

/* A' m */
INLINE void line_out(const vec m[6], vec out[4]) {
    vec s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    out[0] = m[0] + s + t;
    out[1] = PA * d + PB * e;
    out[2] = PAA * s + PBB * t;
    out[3] = PAA * PA * d + (PBB * PB * e + m[5]);
}

/* G g */
INLINE void line_kernel(const vec g[3], vec out[6]) {
    vec p = GA * g[0] + GA * PAA * g[2], q = GA * PA * g[1], r = GB * g[0] + GB * PBB * g[2], s = GB * PB * g[1];
    out[0] = G0 * g[0];
    out[1] = p + q;
    out[2] = p - q;
    out[3] = r + s;
    out[4] = r - s;
    out[5] = g[2];
}

/* A y: what line_out does, transposed. */
INLINE void line_out_back(const vec y[4], vec out[6]) {
    vec p = y[0] + PAA * y[2], q = PA * y[1] + PAA * PA * y[3], r = y[0] + PBB * y[2], s = PB * y[1] + PBB * PB * y[3];
    out[0] = y[0];
    out[1] = p + q;
    out[2] = p - q;
    out[3] = r + s;
    out[4] = r - s;
    out[5] = y[3];
}

/* G' m: what line_kernel does, transposed. */
INLINE void line_kernel_back(const vec m[6], vec out[3]) {
    vec s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
    out[0] = G0 * m[0] + (GA * s + GB * t);
    out[1] = GA * PA * d + GB * PB * e;
    out[2] = GA * PAA * s + (GB * PBB * t + m[5]);
}

/* Tiles go in groups of ROWS, as many as the product of winograd.c holds in registers. ROWS of VL channels of a point
 * lie side by side, so that a product walks through memory with one pointer. How these bricks are laid:
 *
 *     near  [group][channels / VL][36][ROWS][VL]     a tile fills its part of a small stretch of memory
 *     far   [36][group][channels / VL][ROWS][VL]     a point is one stretch, and a line more, so that the 36 do not
 *                                                    all fall on one place of a cache
 */
#if VECTOR_REGISTERS == 32
enum { ROWS = 14 };
#else
enum { ROWS = 6 };
#endif
enum { BRICK = ROWS * VL };

typedef struct {
    i64 point, block, group; /* floats from one to the next */
} layout;

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }
INLINE layout near_layout(i64 channels) {
    return (layout){BRICK, POINTS * BRICK, up(channels, VL) * POINTS * BRICK};
}
INLINE layout far_layout(i64 channels, i64 groups) {
    i64 group = up(channels, VL) * BRICK;
    return (layout){groups * group + VL, BRICK, group};
}
/* Floats that hold so many groups, either way. */
INLINE i64 room_for(i64 channels, i64 groups) { return POINTS * (groups * up(channels, VL) * BRICK + VL); }

/* `tiles` tiles in `groups` groups of nearly the same height: where group g starts. */
INLINE i64 group_start(i64 tiles, i64 groups, i64 g) { return tiles * g / groups; }

/* Filters go in panels of two vectors; the last may have one. */
enum { WIDE = 2 * VL };
INLINE i64 panels_of(i64 filters) { return up(filters, WIDE); }
INLINE i64 panel_vectors(i64 filters, i64 p) { return filters - p * WIDE > VL ? 2 : 1; }

/* Pictures of a batch that are read, and the tiles that cover the results: `down` times `across` of 4 x 4 each. Tile
 * (i, j) reads 6 x 6 places from (4 i - top, 4 j - left) on; what lies outside is zero. */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across;
} picture;

typedef struct {
    i64 n, i, j;
} tile_at;

INLINE tile_at place(const picture *p, i64 t) {
    i64 in_picture = p->down * p->across;
    return (tile_at){t / in_picture, t % in_picture / p->across, t % p->across};
}

INLINE void step_on(const picture *p, tile_at *t) {
    if (++t->j < p->across) return;
    t->j = 0;
    if (++t->i < p->down) return;
    t->i = 0;
    t->n++;
}

/* The pixels of x that tile t and those before it read, and the results that they cover, counted from the first of the
 * batch; whole lines. */
INLINE i64 read_until(const picture *p, i64 t) {
    if (t < 0) return 0;
    tile_at last = place(p, t);
    i64 lines = last.i * TILE - p->top + REACH;
    lines = last.i + 1 == p->down ? p->height : most(0, least(p->height, lines));
    return (last.n * p->height + lines) * p->width;
}

INLINE i64 covered_until(const picture *p, i64 height, i64 width, i64 t) {
    if (t < 0) return 0;
    tile_at last = place(p, t);
    return (last.n * height + least(height, last.i * TILE + TILE)) * width;
}

/* Stretches of memory that are fetched into the second cache while products are made, which wait for nothing: what the
 * results of this block go to and are finished with, and what the next block reads. Transforms and formulas would stand
 * still for every other line. */
enum { LINE = 16, STRETCHES = 16 };

/* Floats of U or D that stay in the second cache: products that have less of it fetch what is wanted. */
enum { NEAR = 1 << 18 };

typedef struct {
    const float *from[STRETCHES];
    i64 floats[STRETCHES], count;
} wanted;

INLINE void want(wanted *w, const float *from, i64 first, i64 last) {
    if (!from || first >= last || w->count == STRETCHES) return;
    w->from[w->count] = from + first;
    w->floats[w->count++] = last - first;
}

/* Where the next so many lines begin; where nothing is left, a place that is near. */
INLINE const float *take(wanted *w, i64 lines, const float *near) {
    while (w->count && w->floats[w->count - 1] <= 0) w->count--;
    if (!w->count) return near;
    const float *next = w->from[w->count - 1];
    w->from[w->count - 1] += lines * LINE;
    w->floats[w->count - 1] -= lines * LINE;
    return next;
}

/* A patch of 6 x 6 places. there: how many floats of a vector there are in each line, none outside the picture;
 * columns from `first` up to `last` are inside. */
typedef struct {
    const float *x;
    i64 row, column, there[REACH], first, last;
} patch;

INLINE vec patch_load(const patch *p, int i, int j, const int whole) {
    const float *x = p->x + i * p->row + j * p->column;
    if (whole) return load(x);
#if VL == 16
    return load_part(x, p->there[i]);
#else
    return p->there[i] == VL ? load(x) : p->there[i] ? load_part(x, p->there[i]) : zeros();
#endif
}

/* Rows `from` and, unless they are the first or the last, `from + 1` of B' D, column by column. */
INLINE void rows_in(const patch *p, const int from, const int whole, vec upper[6], vec lower[6]) {
    UNROLL for (int j = 0; j < 6; j++) {
        upper[j] = lower[j] = zeros();
        if (!whole && (j < p->first || j >= p->last)) continue;
        if (from == 0 || from == 5) {
            const int i = from == 5;
            vec d = patch_load(p, i, j, whole), e = patch_load(p, i + 2, j, whole), f = patch_load(p, i + 4, j, whole);
            upper[j] = PAA * PBB * d + (f - (PAA + PBB) * e);
        } else {
            const float away = from == 1 ? PA : PB, other = from == 1 ? PBB : PAA;
            vec even = patch_load(p, 4, j, whole) - other * patch_load(p, 2, j, whole);
            vec odd = patch_load(p, 3, j, whole) - other * patch_load(p, 1, j, whole);
            upper[j] = even + away * odd;
            lower[j] = even - away * odd;
        }
    }
}

INLINE void put_line(const vec d[6], float *to, const i64 apart) {
    vec o[6];
    line_in(d, o);
    UNROLL for (int k = 0; k < 6; k++) store(to + k * apart, o[k]);
}

/* B' D B for VL channels: number i of 36 to `to + i * apart`. Rows are made in pairs, which share their loads, so that
 * twelve vectors are enough to hold what is between the two sides. */
INLINE void transform_in(const patch *p, float *to, const i64 apart, const int whole) {
    vec upper[6], lower[6];
    rows_in(p, 0, whole, upper, lower);
    put_line(upper, to, apart);
    rows_in(p, 1, whole, upper, lower);
    put_line(upper, to + 6 * apart, apart);
    put_line(lower, to + 12 * apart, apart);
    rows_in(p, 3, whole, upper, lower);
    put_line(upper, to + 18 * apart, apart);
    put_line(lower, to + 24 * apart, apart);
    rows_in(p, 5, whole, upper, lower);
    put_line(upper, to + 30 * apart, apart);
}

static NOINLINE void transform_near(const patch *p, float *to) { transform_in(p, to, BRICK, 1); }
static NOINLINE void transform_far(const patch *p, float *to, i64 apart) { transform_in(p, to, apart, 1); }
/* A copy, which no store can change: how much of each line is there is then worked out once. */
static NOINLINE void transform_edge(const patch *p, float *to, i64 apart) {
    const patch copy = *p;
    transform_in(&copy, to, apart, 0);
}

/* B' D B of a tile, all channels, its first number to `to`. */
INLINE void tile_in(const picture *p, tile_at t, layout l, float *to) {
    i64 h = t.i * TILE - p->top, w = t.j * TILE - p->left, row = p->width * p->channels;
    patch d = {.x = p->x + (t.n * p->height + h) * row + w * p->channels, .row = row, .column = p->channels};
    i64 inside = h >= 0 && w >= 0 && h + REACH <= p->height && w + REACH <= p->width;
    i64 whole = inside ? p->channels / VL * VL : 0, c = 0;
    for (; c < whole; c += VL, d.x += VL, to += l.block)
        l.point == BRICK ? transform_near(&d, to) : transform_far(&d, to, l.point);
    d.first = -w;
    d.last = p->width - w;
    for (; c < p->channels; c += VL, d.x += VL, to += l.block) {
        for (i64 i = 0; i < REACH; i++)
            d.there[i] = h + i >= 0 && h + i < p->height ? least(VL, p->channels - c) : 0;
        transform_edge(&d, to, l.point);
    }
}

#endif
