/* 3x3 convolutions of stride 2, which halve a picture, by Winograd's F(7, 2): what the files conv_half*.c share.
 *
 * Along an axis a result meets three places of x. Its first and last tap stand on places of one kind, the tap between
 * them on places of the other kind:
 *
 *     place     -1   0   1   2   3   4   5        with one line of zeros before
 *     kind      two one two one two one two
 *     result 0   a   b   c                        two: a filter of two taps (a, c) over every other place
 *     result 1           a   b   c                one: a single tap (b) over the others
 *     result 2                   a   b   c
 *
 * Seven results of the two taps come from eight products (eight.h); a single tap needs seven. In both dimensions that
 * is 15 * 15 products for 7 * 7 results, where plain sums have 9 * 49: half of them. Of four pairs of kinds
 *
 *     two two   A' [ (G g G') . (B' x B) ] A    64 points, a matrix of weights for each
 *     two one   A' [ (G g) . (B' x) ]           8 points of lines, 7 columns
 *     one two   [ (g G') . (x B) ] A            7 lines, 8 points of columns
 *     one one   g . x                           7 lines, 7 columns
 *
 * the convolution adds up all four; its input gradient has four parts, one for each kind of place, that are such
 * convolutions of y themselves; the kernel gradient sums (B' x B) . (A y A') over tiles.
 */
#ifndef CONV_HALF_H
#define CONV_HALF_H

#include "eight.h"
#include "formula.h"
#include "gathering.h"
#include "tile.h"

enum { SIDE = 8, TILE = 7, POINTS = 64, TAPS = 9 };

/* Where two taps are: nowhere, in a line, in a column, in both. */
enum { PLAIN, ACROSS, DOWN, BOTH };

/* Pictures x [.., height, width, channels] and results y [.., out_height, out_width, filters] of the convolution, with
 * `top` and `left` lines and columns of zeros, 0 or 1. `down` times `across` tiles cover a picture: 7 x 7 results, or
 * 14 x 14 places of an input gradient. A thread works on `block` of all `tiles` at a time. */
typedef struct {
    i64 height, width, channels, out_height, out_width, filters, top, left, down, across, tiles, block;
} halved;

typedef struct {
    halved size;
    const float *x, *u; /* y and the kernel turned, for the input gradient */
    float *y;           /* x */
    const float *bias, *add, *mask;
    const formula_task *after;
    i64 gathers; /* see gathering.h; one of statistics for each thread */
    statistics *statistics;
    const float *others[2], *means[2];
    double low;
} conv_half_task;

typedef struct {
    const float *kernel;
    float *u; /* [9][packed], see tile.h */
    i64 channels, filters, turned;
} conv_half_pack_task;

typedef struct {
    halved size;
    const float *x, *dy;
} conv_half_kernel_task;

typedef struct {
    float *dkernel;
    i64 channels, filters, parts;
} conv_half_sum_task;

/* A' m */
INLINE void line_out(const vec m[8], vec out[7]) {
    vec e1 = m[1] + m[2], o1 = m[1] - m[2], e2 = m[3] + m[4], o2 = m[3] - m[4], e3 = m[5] + m[6], o3 = m[5] - m[6];
    out[0] = m[0] + e1 + e2 + e3;
    out[1] = o1 + 2.0f * o2 + 0.5f * o3;
    out[2] = e1 + 4.0f * e2 + 0.25f * e3;
    out[3] = o1 + 8.0f * o2 + 0.125f * o3;
    out[4] = e1 + 16.0f * e2 + 0.0625f * e3;
    out[5] = o1 + 32.0f * o2 + 0.03125f * o3;
    out[6] = e1 + 64.0f * e2 + 0.015625f * e3 + m[7];
}

/* A y */
INLINE void line_out_back(const vec y[7], vec out[8]) {
    vec e1 = y[0] + y[2] + y[4] + y[6], o1 = y[1] + y[3] + y[5];
    vec e2 = y[0] + 4.0f * y[2] + 16.0f * y[4] + 64.0f * y[6], o2 = 2.0f * y[1] + 8.0f * y[3] + 32.0f * y[5];
    vec e3 = y[0] + 0.25f * y[2] + 0.0625f * y[4] + 0.015625f * y[6];
    vec o3 = 0.5f * y[1] + 0.125f * y[3] + 0.03125f * y[5];
    out[0] = y[0];
    out[1] = e1 + o1, out[2] = e1 - o1;
    out[3] = e2 + o2, out[4] = e2 - o2;
    out[5] = e3 + o3, out[6] = e3 - o3;
    out[7] = y[6];
}

/* G: what each point takes of a filter's two taps. */
static const float TAKES[8][2] = {{-1, 0},        {G1, G1},         {G1, -G1},        {G2, 2 * G2},
                                  {G2, -2 * G2}, {G3, 0.5f * G3}, {G3, -0.5f * G3}, {0, 1}};

/* G' m */
INLINE void line_kernel_back(const vec m[8], vec out[2]) {
    out[0] = G1 * (m[1] + m[2]) + G2 * (m[3] + m[4]) + G3 * (m[5] + m[6]) - m[0];
    out[1] = G1 * (m[1] - m[2]) + G2 * 2.0f * (m[3] - m[4]) + G3 * 0.5f * (m[5] - m[6]) + m[7];
}

/* Floats from one point to the next: [points][block][channels in whole vectors], and a vector more, so that points do
 * not all fall on one place of a cache. */
INLINE i64 apart_of(const halved *s, i64 channels) { return s->block * in_vectors(channels) + VL; }

typedef struct {
    i64 n, i, j;
} tile_at;

INLINE tile_at place(const halved *s, i64 t) {
    i64 in_picture = s->down * s->across;
    return (tile_at){t / in_picture, t % in_picture / s->across, t % s->across};
}

/* What is read of a picture along an axis: tile t has places (7 t + k) * step + two and (7 t + k) * step + one. */
typedef struct {
    i64 size, step, two, one;
} walk;

typedef struct {
    const float *x;
    i64 channels;
    walk lines, columns;
} source;

INLINE source pictures(const halved *s, const float *x) {
    return (source){x, s->channels, {s->height, 2, -s->top, 1 - s->top}, {s->width, 2, -s->left, 1 - s->left}};
}

/* Of y, as the input gradient reads it. */
INLINE source results(const halved *s, const float *y) {
    return (source){y, s->filters, {s->out_height, 1, s->top - 1, 0}, {s->out_width, 1, s->left - 1, 0}};
}

/* Tiles from `first` on as points, which lie `apart` in v:
 *
 *     BOTH    [8][8]
 *     DOWN    [8] of column `which` of 7
 *     ACROSS  [8] of line `which`
 *     PLAIN   [7], line `which` as it is
 */
void half_spread(const halved *s, const source *from, int kind, i64 which, i64 first, i64 tiles, float *v, i64 apart);

#endif
