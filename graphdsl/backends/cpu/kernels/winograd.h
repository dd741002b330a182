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

/* A picture of a batch, and the tiles that cover the results: `down` times `across` of 4 x 4 results each. Tile (i, j)
 * reads 6 x 6 places from (4 i - top, 4 j - left) on; what lies outside is zero. */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across;
} picture;

/* Rows `from` and, unless they are the first or the last, `from + 1` of B' D, column by column. */
INLINE void rows_in(const float *x, i64 row, i64 column, int from, vec upper[6], vec lower[6]) {
    UNROLL for (int j = 0; j < 6; j++, x += column) {
        if (from == 0) {
            upper[j] = PAA * PBB * load(x) + (load(x + 4 * row) - (PAA + PBB) * load(x + 2 * row));
        } else if (from == 5) {
            upper[j] = PAA * PBB * load(x + row) + (load(x + 5 * row) - (PAA + PBB) * load(x + 3 * row));
        } else {
            const float away = from == 1 ? PA : PB, other = from == 1 ? PBB : PAA;
            vec even = load(x + 4 * row) - other * load(x + 2 * row), odd = load(x + 3 * row) - other * load(x + row);
            upper[j] = even + away * odd;
            lower[j] = even - away * odd;
        }
    }
}

INLINE void put_line(const vec d[6], float *to, i64 apart) {
    vec o[6];
    line_in(d, o);
    UNROLL for (int k = 0; k < 6; k++) store(to + k * apart, o[k]);
}

/* B' D B for VL channels of a patch of 6 x 6: number i of 36 to `to + i * apart`. Rows are made in pairs, which share
 * their loads, so that twelve vectors are enough to hold what is between the two sides. */
INLINE void transform_in(const float *x, i64 row, i64 column, float *to, i64 apart) {
    vec upper[6], lower[6];
    rows_in(x, row, column, 0, upper, lower);
    put_line(upper, to, apart);
    rows_in(x, row, column, 1, upper, lower);
    put_line(upper, to + 6 * apart, apart);
    put_line(lower, to + 12 * apart, apart);
    rows_in(x, row, column, 3, upper, lower);
    put_line(upper, to + 18 * apart, apart);
    put_line(lower, to + 24 * apart, apart);
    rows_in(x, row, column, 5, upper, lower);
    put_line(upper, to + 30 * apart, apart);
}

/* The patch at (h, w), with zeros where there is nothing: `n` channels of VL. */
INLINE void copy_patch(const picture *p, const float *image, i64 h, i64 w, i64 n, float *patch) {
    for (i64 i = 0; i < REACH; i++)
        for (i64 j = 0; j < REACH; j++) {
            i64 y = h + i, x = w + j, inside = y >= 0 && y < p->height && x >= 0 && x < p->width;
            const float *from = image + (y * p->width + x) * p->channels;
            store(patch + (i * REACH + j) * VL, inside ? load_part(from, n) : zeros());
        }
}

/* B' D B of tile number t, all channels. Vector number i of a point goes to `to + i * next`, points are `apart`. */
INLINE void tile_in(const picture *p, i64 t, float *to, i64 next, i64 apart) {
    i64 in_picture = p->down * p->across, at = t % in_picture;
    i64 h = at / p->across * TILE - p->top, w = at % p->across * TILE - p->left, row = p->width * p->channels;
    const float *image = p->x + t / in_picture * p->height * row;
    i64 whole = h >= 0 && w >= 0 && h + REACH <= p->height && w + REACH <= p->width ? p->channels / VL * VL : 0;
    for (i64 c = 0; c < p->channels; c += VL, to += next) {
        if (c < whole) {
            transform_in(image + h * row + w * p->channels + c, row, p->channels, to, apart);
        } else {
            float patch[POINTS * VL] __attribute__((aligned(64)));
            copy_patch(p, image + c, h, w, least(VL, p->channels - c), patch);
            transform_in(patch, REACH * VL, VL, to, apart);
        }
    }
}

#endif
