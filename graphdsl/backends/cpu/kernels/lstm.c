/* Long short-term memory: the cell that recurrence.c walks through time.
 *
 *     gates = x · kernel + h before · recurrent + bias, in the order in, forget, candidate, out    kept: cells
 *     c = f * c before + i * tanh(candidate); h = o * tanh(c); i, f and o squashed by gates
 */
#include "recurrence.h"

enum { GATES = 4 };

INLINE void remember(const moment *m, const vec *sum, i64 r, int whole) {
    vec i = gate_below(sum[0]), f = gate_below(sum[1]), o = gate_below(sum[3]), first = i * f;
    fraction squashed = squash_parts(sum[2]);
    vec second = o * squashed.below, inverse = one_over(first * second);
    vec of_first = inverse * second, of_second = inverse * first;
    vec in = of_first * f, forget = of_first * i, out = of_second * squashed.below;
    vec candidate = squashed.above * (of_second * o);
    vec c = forget * load(m->cell + r * m->state_row) + in * candidate;
    vec h = out * squash(c);
    store(m->cell + r * m->state_row, c);
    store(m->after + r * m->state_row, h);
    if (m->hidden) put(m->hidden + r * m->made_row, h, m->lanes, whole);
    if (m->kept) put(m->kept + r * m->made_row, c, m->lanes, whole);
    if (m->gates) {
        float *to = m->gates + r * m->gates_row;
        put(to, in, m->lanes, whole);
        put(to + m->units, forget, m->lanes, whole);
        put(to + 2 * m->units, candidate, m->lanes, whole);
        put(to + 3 * m->units, out, m->lanes, whole);
    }
}

INLINE void tile(const moment *m, const int rows, const int whole) {
    vec sum[GATE_ROWS * GATES];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int g = 0; g < GATES; g++) sum[r * 4 + g] = load(m->panel + g * VL);
    const float *panel = m->panel + GATES * VL;
    panel = accumulate(sum, rows, m->x, m->x_row, m->features, panel, GATES, GATES);
    accumulate(sum, rows, m->before, m->state_row, m->units, panel, GATES, GATES);
    UNROLL for (int r = 0; r < rows; r++) {
        if (is_padding(m, r))
            pass_by(m, r, GATES);
        else
            remember(m, sum + r * 4, r, whole);
    }
}

/* From sums that AMX tiles have made. */
static void take(const moment *m, const float *sums, i64 first, i64 last) {
    for (i64 r = first; r < last; r++) {
        vec sum[4];
        UNROLL for (int g = 0; g < 4; g++) sum[g] = load(m->panel + g * VL) + load(sums + (g * 16 + r) * VL);
        if (is_padding(m, r))
            pass_by(m, r, GATES);
        else if (m->lanes == VL)
            remember(m, sum, r, 1);
        else
            remember(m, sum, r, 0);
    }
}

EVERY_HEIGHT(MOMENT_TILE)
static const cell_kind kind = {.gates = GATES, .apart = 0, .tiles = {EVERY_HEIGHT(MOMENT_ENTRY)}, .take = take};

EXPORT void lstm(const void *task, const context *at) { walk(task, &kind, at); }

/* carried: d cell. */
INLINE void flow_units(const backflow *f, i64 u, int whole) {
    i64 units = f->units, lanes = least(units - u, VL);
    const float *gates = f->gates + u;
    vec in = get(gates, lanes, whole), forget = get(gates + units, lanes, whole);
    vec candidate = get(gates + 2 * units, lanes, whole), out = get(gates + 3 * units, lanes, whole);
    vec before = f->kept_before ? get(f->kept_before + u, lanes, whole) : zeros();
    /* tanh of the cell, from what it gave; where nothing gets out, it does not matter. */
    vec squashed = get(f->hidden + u, lanes, whole) * one_over(max_or_second(all(1e-30f), out));
    vec arrived = load(f->dh + u);
    if (f->dhidden) arrived += get(f->dhidden + u, lanes, whole);
    vec dcell = load(f->carried + u) + arrived * out * (1.0f - squashed * squashed);
    float *to = f->flowed + u;
    put(to, dcell * candidate * in * (1.0f - in), lanes, whole);
    put(to + units, dcell * before * forget * (1.0f - forget), lanes, whole);
    put(to + 2 * units, dcell * in * (1.0f - candidate * candidate), lanes, whole);
    put(to + 3 * units, arrived * squashed * out * (1.0f - out), lanes, whole);
    store(f->carried + u, dcell * forget);
}

static void flow(const backflow *f) {
    i64 u = 0;
    for (; u + VL <= f->units; u += VL) flow_units(f, u, 1);
    if (u < f->units) flow_units(f, u, 0);
}

EXPORT void lstm_gradient(const void *task, const context *at) {
    walk_back(task, &(cell_flow){.gates = GATES, .flow = flow}, at);
}
