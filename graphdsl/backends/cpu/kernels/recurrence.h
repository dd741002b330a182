/* What recurrent layers share: the squashing functions of gates, weights packed gate by gate, rows of a batch.
 *
 * Every thread walks all steps with rows of the batch of its own, a few at a time, so that their states stay in
 * registers and the first cache and nobody waits for anybody. The recurrent weights are packed so that one tile holds
 * all gates of the same units:
 *
 *                       in   forget  cand  out         units u .. u + VL of each gate, so that the tile knows all that
 *      h[r][k]     k  | g0 |   g1  |  g2  | g3 |       the new state of these units takes
 *      ---------------+----+-------+------+----+
 *      row r          |    |       |      |    |
 */
#ifndef RECURRENCE_H
#define RECURRENCE_H

#include "product.h"
#include "vmath.h"

/* Rows of a tile with the vectors of four gates. */
#if VECTOR_REGISTERS == 32
#define GATE_ROWS 6
#elif VL == 8
#define GATE_ROWS 3
#else
#define GATE_ROWS 2
#endif

#if VL == 16
/* 1 / (1 + exp(-x)) to 2 units of the last place of 1. 2^t = 2^floor(t) p(t - floor(t)); p is a minimax fit of ours. */
INLINE vec gate(vec x) {
    vec t = min_or_second(all(126.0f), x * -LOG2_E);
    vec f = (vec)_mm512_reduce_ps((__m512)t, 0x09);
    vec p = 8.989340153e-03f + f * 1.877576649e-03f;
    p = 5.582631800e-02f + f * p;
    p = 2.401536171e-01f + f * p;
    p = 6.931530732e-01f + f * p;
    p = 9.999999251e-01f + f * p;
    vec d = 1.0f + (vec)_mm512_scalef_ps((__m512)p, (__m512)t);
    vec r = (vec)_mm512_rcp14_ps((__m512)d);
    return r + r * (1.0f - d * r);
}
#else
INLINE vec gate(vec x) { return v_logistic(x); }
#endif

/* tanh(x) = x P(x²) / Q(x²) to 3 units, for |x| < 9; beyond it is 1. A minimax fit of ours. */
INLINE vec squash(vec x) {
    x = clamped(x, -9.0f, 9.0f);
    vec s = x * x;
    vec p = 2.0608953905e-05f + s * 1.3354489322e-08f;
    vec q = 3.2856219520e-04f + s * 7.7764864708e-07f;
    p = 3.4955802331e-03f + s * p;
    q = 2.5876952156e-02f + s * q;
    p = 1.3381018996e-01f + s * p;
    q = 4.6714334593e-01f + s * q;
    p = 1.0f + s * p;
    q = 1.0f + s * q;
    return quotient(x * p, q);
}

INLINE vec get(const float *p, i64 lanes, int whole) { return whole ? load(p) : load_part(p, lanes); }
INLINE void put(float *p, vec x, i64 lanes, int whole) {
    if (whole)
        store(p, x);
    else
        store_part(p, x, lanes);
}

INLINE i64 padded_units(i64 units) { return (units + VL - 1) / VL * VL; }

/* recurrent [units][gates * units] as [units / VL][units][gates][VL], zeros at the end. */
void pack_gates(const float *recurrent, i64 units, i64 gates, float *packed);
/* recurrent, turned over and packed for products: panel after panel of [width][columns of the panel]. */
void pack_turned(const float *recurrent, i64 units, i64 width, float *packed);
/* c [rows][units] = a [rows][width], rows a_row apart, times the turned weights. */
void times_turned(const float *a, i64 a_row, i64 rows, const float *packed, i64 units, i64 width, float *c, i64 c_row);

/* sums [units][width] += states before each step, transposed, times what flowed into it, for one sequence. */
void add_outer(const float *states, const float *flowed, i64 steps, i64 units, i64 width, i64 reverse, float *sums);
/* made[i] = parts[0][i] + parts[1][i] + ..., this thread's share of them. */
void add_parts(const float *parts, i64 count, i64 size, float *made, const context *at);

#endif
