/* Winograd's way over eight points: what F(4, 5) and F(7, 2) share (conv_five.h, conv_half.h).
 *
 * The points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity. How eight numbers that are read become points depends on these
 * alone, not on how long the filter is. Row p of B' is the polynomial that is zero at all other points.
 */
#ifndef EIGHT_H
#define EIGHT_H

#include "vector.h"

/* B' d */
INLINE void line_in(const vec d[8], vec out[8]) {
    vec e1 = d[6] - 4.25f * d[4] + d[2], o1 = d[5] - 4.25f * d[3] + d[1];
    vec e2 = d[6] - 1.25f * d[4] + 0.25f * d[2], o2 = 2.0f * d[5] - 2.5f * d[3] + 0.5f * d[1];
    vec e3 = d[6] - 5.0f * d[4] + 4.0f * d[2], o3 = 0.5f * d[5] - 2.5f * d[3] + 2.0f * d[1];
    out[0] = (d[6] - d[0]) + 5.25f * (d[2] - d[4]);
    out[1] = e1 + o1, out[2] = e1 - o1;
    out[3] = e2 + o2, out[4] = e2 - o2;
    out[5] = e3 + o3, out[6] = e3 - o3;
    out[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
}

/* B v */
INLINE void line_in_back(const vec v[8], vec out[8]) {
    vec e1 = v[1] + v[2], o1 = v[1] - v[2], e2 = v[3] + v[4], o2 = v[3] - v[4], e3 = v[5] + v[6], o3 = v[5] - v[6];
    out[0] = -v[0];
    out[1] = o1 + 0.5f * o2 + 2.0f * o3 - v[7];
    out[2] = 5.25f * v[0] + e1 + 0.25f * e2 + 4.0f * e3;
    out[3] = 5.25f * v[7] - 4.25f * o1 - 2.5f * (o2 + o3);
    out[4] = -5.25f * v[0] - 4.25f * e1 - 1.25f * e2 - 5.0f * e3;
    out[5] = -5.25f * v[7] + o1 + 2.0f * o2 + 0.5f * o3;
    out[6] = v[0] + e1 + e2 + e3;
    out[7] = v[7];
}

/* One over a point's distances from all others. */
#define G1 (-2.0f / 9.0f)
#define G2 (1.0f / 90.0f)
#define G3 (32.0f / 45.0f)

/* Some lines and columns of a patch: those from `first` up to `last` are there. */
typedef struct {
    i64 first, last;
} range;

INLINE range inside(i64 start, i64 size, i64 count) {
    return (range){least(most(-start, 0), count), most(least(size - start, count), 0)};
}

INLINE vec part(const float *p, i64 n, const int whole) { return whole ? load(p) : load_part(p, n); }

INLINE i64 in_vectors(i64 n) { return (n + VL - 1) / VL * VL; }

#endif
