/* What recurrent layers share: lstm.c and gru.c bring the cell, recurrence.c walks it through time.
 *
 * Every thread has rows of the batch of its own and takes them through all steps, a few rows at a time, so that their
 * states stay in the first cache and nobody waits for anybody:
 *
 *                         step t              step t + 1             the weights of all gates of VL units are packed
 *     rows r .. r + 5     | u0 | u1 | ... |   | u0 | u1 | ...        side by side, so that a tile of some rows ends
 *     the next rows       | after all steps of the first             with all that their new states take:
 *
 *                     in     forget  cand    out      units u .. u + VL of each gate
 *                k  | b[0] | b[1] | b[2] | b[3] |     the biases, a row for every feature, a row for every unit
 *     ------------  +------+------+------+------+
 *     x[r], h[r]    |      |      |      |      |     sums; the cell turns them into h[r], u .. u + VL
 *
 * Where the weights are too large for the first cache, more rows go together, so that a panel serves longer.
 *
 * Backward, a step turns what arrived at its state into what flows into its gates, which times the recurrent weights,
 * turned over, arrives at the state before. What flowed in some steps is kept; then the gradients of the weights grow
 * by products over all these steps at once, in sums of each thread's own that are added up in the end:
 *
 *     d hidden[t] + dh  --- flow --->  flowed[t]  --- times recurrent, turned --->  dh before it
 *     d kernel += x^T · flowed      d recurrent += states before^T · flowed      dx = flowed · kernel^T
 *
 * A padded step leaves the state alone and its results are 0.
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

/* Gates are quotients. Several of them share one division: 1 / a = b / (a b), so their denominators are kept apart. */

/* 1 + exp(-x), for x > -26; below it stays there, so that products of four are finite: 1 / it is off by 4e-12. */
#if VL >= 8
/* 2^f for f from 0 to 1: a minimax fit of ours. */
INLINE vec power_within(vec f) {
    vec p = 8.989340153e-03f + f * 1.877576649e-03f;
    p = 5.582631800e-02f + f * p;
    p = 2.401536171e-01f + f * p;
    p = 6.931530732e-01f + f * p;
    return 9.999999251e-01f + f * p;
}
#endif

#if VL == 16
INLINE vec gate_below(vec x) {
    vec t = min_or_second(all(38.0f), x * -LOG2_E);
    vec p = power_within((vec)_mm512_reduce_ps((__m512)t, 0x09));
    return 1.0f + (vec)_mm512_scalef_ps((__m512)p, (__m512)t);
}

INLINE vec one_over(vec d) {
    vec r = (vec)_mm512_rcp14_ps((__m512)d);
    return r + r * (1.0f - d * r);
}
#else
#if VL == 8
INLINE vec gate_below(vec x) {
    vec t = max_or_second(all(-100.0f), min_or_second(all(38.0f), x * -LOG2_E)), whole = floors(t);
    return 1.0f + (vec)((ivec)power_within(t - whole) + (to_int(whole) << 23));
}
#else
INLINE vec gate_below(vec x) { return 1.0f + v_exp(min_or_second(all(26.3f), -x)); }
#endif
INLINE vec one_over(vec d) { return 1.0f / d; }
#endif

typedef struct {
    vec above, below;
} fraction;

/* tanh(x) = x P(x²) / Q(x²) to 3 units of the last place, for |x| < 9; beyond it is 1. A minimax fit of ours. */
INLINE fraction squash_parts(vec x) {
    x = clamped(x, -9.0f, 9.0f);
    vec s = x * x;
    vec p = 2.0608953905e-05f + s * 1.3354489322e-08f;
    vec q = 3.2856219520e-04f + s * 7.7764864708e-07f;
    p = 3.4955802331e-03f + s * p;
    q = 2.5876952156e-02f + s * q;
    p = 1.3381018996e-01f + s * p;
    q = 4.6714334593e-01f + s * q;
    return (fraction){x * (1.0f + s * p), 1.0f + s * q};
}

INLINE vec squash(vec x) {
    fraction f = squash_parts(x);
    return f.above * one_over(f.below);
}

INLINE vec get(const float *p, i64 lanes, int whole) { return whole ? load(p) : load_part(p, lanes); }
INLINE void put(float *p, vec x, i64 lanes, int whole) {
    if (whole)
        store(p, x);
    else
        store_part(p, x, lanes);
}

INLINE i64 padded_units(i64 units) { return (units + VL - 1) / VL * VL; }

typedef struct {
    const float *x, *kernel, *recurrent; /* [batch][time][features], [features][gates units], [units][gates units] */
    const float *bias, *heard_bias;      /* [gates units] or NULL; the second is of the recurrent part */
    const int32_t *lengths;              /* [batch] or NULL */
    float *hidden, *last, *gates, *kept; /* NULL: nobody reads it */
    i64 batch, time, features, units, reverse;
    i64 tiles; /* whether products are taken in AMX tiles: recurrence_amx.c */
} recurrence_task;

/* Some rows at one step, one vector of units. */
typedef struct {
    const float *x, *before, *panel;    /* rows are x_row and state_row apart */
    float *after, *cell;                /* the new states of these units, from state_row to state_row */
    float *hidden, *gates, *kept;       /* results or NULL; rows made_row, gates_row, made_row apart */
    i64 x_row, state_row, made_row, gates_row;
    i64 features, units, first, lanes;  /* units first .. first + lanes */
    const int32_t *lengths;             /* of these rows, or NULL */
    i64 step;
} moment;

typedef void (*moment_tile)(const moment *m);

/* A kind of cell.
 *
 * apart  whether the recurrent part of the last gate is summed by itself
 * tiles  by rows - 1, and by whether there are VL units
 * take   goes on with rows first to last from sums [4][16][VL] that AMX tiles have made, without biases; panel: the
 *        biases [4][VL]
 */
typedef struct {
    i64 gates, apart;
    moment_tile tiles[GATE_ROWS][2];
    void (*take)(const moment *m, const float *sums, i64 first, i64 last);
} cell_kind;

void walk(const recurrence_task *t, const cell_kind *kind, const context *at);
void walk_in_tiles(const recurrence_task *t, const cell_kind *kind, const context *at);

/* biases of VL units: four vectors. The last gate of three has its recurrent part's apart. */
void pack_biases(const recurrence_task *t, i64 gates, i64 first, float *to);
/* Asks for rows of x, `row` floats apart. */
INLINE void fetch(const float *x, i64 row, i64 rows, i64 floats) {
    for (i64 r = 0; r < rows; r++, x += row)
        for (i64 i = 0; i < floats; i += 16) __builtin_prefetch(x + i);
}

/* The moment of row `first` and those after it at a step, without units and states. */
INLINE moment moment_of(const recurrence_task *t, i64 gates, i64 step, i64 first) {
    i64 at = first * t->time + step, units = t->units;
    return (moment){.x = t->x + at * t->features, .x_row = t->time * t->features, .state_row = padded_units(units),
                    .hidden = t->hidden ? t->hidden + at * units : 0, .kept = t->kept ? t->kept + at * units : 0,
                    .gates = t->gates ? t->gates + at * gates * units : 0, .made_row = t->time * units,
                    .gates_row = t->time * gates * units, .features = t->features, .units = units, .step = step,
                    .lengths = t->lengths ? t->lengths + first : 0};
}

/* The same, `rows` further down and at units from u on. */
INLINE moment moment_at(const moment *m, i64 rows, i64 u) {
    moment n = *m;
    n.x += rows * m->x_row;
    if (n.hidden) n.hidden += rows * m->made_row + u;
    if (n.kept) n.kept += rows * m->made_row + u;
    if (n.gates) n.gates += rows * m->gates_row + u;
    if (n.lengths) n.lengths += rows;
    n.before += rows * m->state_row;
    n.after += rows * m->state_row + u;
    n.cell += rows * m->state_row + u;
    n.first = u;
    n.lanes = least(m->units - u, VL);
    return n;
}

/* The rows of a panel under the biases: sums of gate g, or of the one after it for gates from `skip` on. */
INLINE const float *accumulate(vec *sum, const int rows, const float *a, i64 stride, i64 count, const float *panel,
                               const int gates, const int skip) {
    for (; count; count--, a++, panel += gates * VL) {
        vec w[4];
        UNROLL for (int g = 0; g < gates; g++) w[g] = load(panel + g * VL);
        UNROLL for (int r = 0; r < rows; r++) {
            vec x = all(a[r * stride]);
            UNROLL for (int g = 0; g < gates; g++) sum[r * 4 + g + (g >= skip)] += x * w[g];
        }
    }
    return panel;
}

/* What a padded step gives: 0, and the state that was. */
void pass_by(const moment *m, i64 r, i64 gates);
INLINE int is_padding(const moment *m, i64 r) { return m->lengths && m->step >= m->lengths[r]; }

/* Functions for every number of rows. */
#define MOMENT_TILE(rows)                                                                                             \
    static NOINLINE void whole_##rows(const moment *m) { tile(m, rows, 1); }                                          \
    static NOINLINE void part_##rows(const moment *m) { tile(m, rows, 0); }
#define MOMENT_ENTRY(rows) {part_##rows, whole_##rows},
#if GATE_ROWS == 6
#define EVERY_HEIGHT(each) each(1) each(2) each(3) each(4) each(5) each(6)
#elif GATE_ROWS == 3
#define EVERY_HEIGHT(each) each(1) each(2) each(3)
#else
#define EVERY_HEIGHT(each) each(1) each(2)
#endif

typedef struct {
    const float *x, *kernel, *recurrent, *hidden, *gates, *kept;
    const float *dhidden, *dlast; /* or NULL */
    const int32_t *lengths;       /* or NULL */
    float *dx, *dkernel, *drecurrent, *dbias, *dheard_bias; /* or NULL */
    i64 batch, time, features, units, reverse;
    i64 parts; /* sums that are kept apart: one a thread */
    i64 rows;  /* of the batch that go together */
    i64 block; /* steps whose flows are kept at a time */
    i64 tiles; /* whether products are taken in AMX tiles */
} recurrence_gradient_task;

/* Some units of a row at a step, on the way back. */
typedef struct {
    const float *gates, *kept, *hidden;                /* at the step; gates are `units` apart */
    const float *kept_before, *hidden_before;          /* NULL: the state there was 0 */
    const float *dhidden;                              /* or NULL */
    const float *dh;                                   /* what arrived from the step after it */
    float *carried;                                    /* what goes on besides: see cell_flow */
    float *flowed, *heard;                             /* into the gates, and into their recurrent part */
    i64 units;
} backflow;

/* flow: a row; adds: whether what it carries is added to dh before it. two: whether flowed and heard differ. */
typedef struct {
    i64 gates, adds, two;
    void (*flow)(const backflow *f);
} cell_flow;

/* Of one thread. Sums: d recurrent, d kernel, d bias, d heard bias, one after the other. */
typedef struct {
    const recurrence_gradient_task *t;
    const cell_flow *kind;
    i64 width, wide, first, rows; /* rows of the batch at hand */
    float *recurrent, *kernel;    /* packed */
    float *dh, *made, *carried;   /* [rows][wide] */
    float *flowed, *heard;        /* [rows][block][width] */
    float *sums;
    char *tiles; /* scratch of recurrence_amx_back.c */
} back;

/* A step of row r of those at hand: what flows into its gates, [width] each. */
void flow_row(const back *b, i64 r, i64 step, float *flowed, float *heard);
/* After a step: what was made is dh, but where there was only padding. */
void end_step(back *b, i64 step);

INLINE i64 length_of(const recurrence_gradient_task *t, i64 row) {
    return t->lengths ? most(least(t->lengths[row], t->time), 0) : t->time;
}

/* The same in tiles. begin: weights ready; block: steps low to high; sums: what d recurrent and d kernel have grown to,
 * to where sums are, at the end of a part of the batch. */
void tiles_begin(const back *b);
void tiles_block(back *b, i64 low, i64 high);
void tiles_sums(const back *b);
void tiles_end(void);

void walk_back(const recurrence_gradient_task *t, const cell_flow *kind, const context *at);

#endif
