/* What the files conv_five*.c share: Winograd's F(4x4, 5x5), transforms of one line, tiles, and where a tile lies.
 *
 * Four results of a filter of five come from eight products. With the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity:
 *
 *     y = A' [(G g) . (B' d)]          8 numbers d, 5 of the filter g, 4 results y
 *
 * and in two dimensions on both sides: 64 products for 16 results, where plain sums have 400. Row i of A' is the i-th
 * powers of the points, row p of G the powers of a point divided by its distances from all others, row p of B' the
 * polynomial that is zero at all other points. Every constant of A and B is exact in binary. Both gradients are the
 * transposes of the same three matrices:
 *
 *     forward            y  = A' [ (G g G') . (B' x B) ] A        tiles of 8 x 8 of x overlap
 *     input gradient     x += B [ (G g G') . (A y A') ] B'        tiles of 8 x 8 are added up
 *     kernel gradient    g  = G' [ sum of (B' x B) . (A y A') ] G
 *
 * Source: A. Lavin, S. Gray, Fast Algorithms for Convolutional Neural Networks (2016).
 */
#ifndef CONV_FIVE_H
#define CONV_FIVE_H

#include "eight.h"
#include "formula.h"
#include "product.h"
#include "tile.h"

enum { POINTS = 64, SIDE = 8, TILE = 4, TAPS = 5 };

/* Pictures x [.., height, width, channels] and results y [.., out_height, out_width, filters] of the convolution, `top`
 * and `left` lines and columns of zeros around x. `down` times `across` tiles of 4 x 4 cover a picture's results; tile
 * (i, j) reads 8 x 8 places of x from (4 i - top, 4 j - left) on. A thread works on `block` of all `tiles` at a time. */
typedef struct {
    i64 height, width, channels, out_height, out_width, filters, top, left, down, across, tiles, block;
} five;

typedef struct {
    five size;
    const float *x, *u; /* y and kernels turned, for the input gradient */
    float *y;           /* x */
    const float *bias, *add, *mask;
    const formula_task *after;
    double low;
} conv_five_task;

typedef struct {
    const float *kernel;
    float *u; /* [64][packed], see tile.h */
    i64 channels, filters, turned;
} conv_five_pack_task;

typedef struct {
    five size;
    const float *x, *dy;
} conv_five_kernel_task;

typedef struct {
    float *dkernel;
    i64 channels, filters, parts;
} conv_five_sum_task;

/* A' m */
INLINE void line_out(const vec m[8], vec out[4]) {
    vec e1 = m[1] + m[2], o1 = m[1] - m[2], e2 = m[3] + m[4], o2 = m[3] - m[4], e3 = m[5] + m[6], o3 = m[5] - m[6];
    out[0] = m[0] + e1 + e2 + e3;
    out[1] = o1 + 2.0f * o2 + 0.5f * o3;
    out[2] = e1 + 4.0f * e2 + 0.25f * e3;
    out[3] = o1 + 8.0f * o2 + 0.125f * o3 + m[7];
}

/* A y */
INLINE void line_out_back(const vec y[4], vec out[8]) {
    vec e1 = y[0] + y[2], o1 = y[1] + y[3];
    vec e2 = y[0] + 4.0f * y[2], o2 = 2.0f * y[1] + 8.0f * y[3];
    vec e3 = y[0] + 0.25f * y[2], o3 = 0.5f * y[1] + 0.125f * y[3];
    out[0] = y[0];
    out[1] = e1 + o1, out[2] = e1 - o1;
    out[3] = e2 + o2, out[4] = e2 - o2;
    out[5] = e3 + o3, out[6] = e3 - o3;
    out[7] = y[3];
}

/* G g */
INLINE void line_kernel(const vec g[5], vec out[8]) {
    vec e1 = G1 * (g[0] + g[2] + g[4]), o1 = G1 * (g[1] + g[3]);
    vec e2 = G2 * (g[0] + 4.0f * g[2] + 16.0f * g[4]), o2 = G2 * (2.0f * g[1] + 8.0f * g[3]);
    vec e3 = G3 * (g[0] + 0.25f * g[2] + 0.0625f * g[4]), o3 = G3 * (0.5f * g[1] + 0.125f * g[3]);
    out[0] = -g[0];
    out[1] = e1 + o1, out[2] = e1 - o1;
    out[3] = e2 + o2, out[4] = e2 - o2;
    out[5] = e3 + o3, out[6] = e3 - o3;
    out[7] = g[4];
}

/* G' m */
INLINE void line_kernel_back(const vec m[8], vec out[5]) {
    vec e1 = G1 * (m[1] + m[2]), o1 = G1 * (m[1] - m[2]), e2 = G2 * (m[3] + m[4]), o2 = G2 * (m[3] - m[4]);
    vec e3 = G3 * (m[5] + m[6]), o3 = G3 * (m[5] - m[6]);
    out[0] = e1 + e2 + e3 - m[0];
    out[1] = o1 + 2.0f * o2 + 0.5f * o3;
    out[2] = e1 + 4.0f * e2 + 0.25f * e3;
    out[3] = o1 + 8.0f * o2 + 0.125f * o3;
    out[4] = e1 + 16.0f * e2 + 0.0625f * e3 + m[7];
}

/* Where tiles lie while they are points: [64][block][channels in whole vectors], and a vector more between points, so
 * that the 64 do not all fall on one place of a cache. */
typedef struct {
    i64 tile, point; /* floats from one to the next */
} laid;

INLINE laid laid_out(const five *s, i64 channels) {
    i64 tile = in_vectors(channels);
    return (laid){tile, s->block * tile + VL};
}

typedef struct {
    i64 n, i, j;
} tile_at;

INLINE tile_at place(const five *s, i64 t) {
    i64 in_picture = s->down * s->across;
    return (tile_at){t / in_picture, t % in_picture / s->across, t % s->across};
}

/* B' X B of some tiles, from tile `first` on, to v: tiles of x -> points. */
void five_spread(const five *s, const float *x, i64 first, i64 tiles, float *v);
/* A Y A' of some tiles. */
void five_spread_results(const five *s, const float *y, i64 first, i64 tiles, float *w);

#endif
