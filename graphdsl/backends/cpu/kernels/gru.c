/* Gated recurrent unit: the cell that recurrence.c walks through time.
 *
 *     read = x · kernel + bias; heard = h before · recurrent + heard bias; in the order update, reset, candidate
 *     z = gate(read + heard), r likewise; inner = heard; candidate = tanh(read + r * inner); kept: inner
 *     h = z * h before + (1 - z) * candidate
 *
 * Of the candidate the two sums stay apart, so a tile holds four vectors a row: update, reset, read, inner.
 */
#include "recurrence.h"

enum { GATES = 3 };

INLINE void remember(const moment *m, const vec *sum, i64 r, int whole) {
    vec z = gate_below(sum[0]), r_below = gate_below(sum[1]), inverse = one_over(z * r_below), inner = sum[3];
    vec update = inverse * r_below, reset = inverse * z;
    vec candidate = squash(sum[2] + reset * inner);
    vec before = load(m->before + r * m->state_row + m->first);
    vec h = update * before + (1.0f - update) * candidate;
    store(m->after + r * m->state_row, h);
    if (m->hidden) put(m->hidden + r * m->made_row, h, m->lanes, whole);
    if (m->kept) put(m->kept + r * m->made_row, inner, m->lanes, whole);
    if (m->gates) {
        float *to = m->gates + r * m->gates_row;
        put(to, update, m->lanes, whole);
        put(to + m->units, reset, m->lanes, whole);
        put(to + 2 * m->units, candidate, m->lanes, whole);
    }
}

INLINE void tile(const moment *m, const int rows, const int whole) {
    vec sum[GATE_ROWS * 4];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int g = 0; g < 4; g++) sum[r * 4 + g] = load(m->panel + g * VL);
    const float *panel = accumulate(sum, rows, m->x, m->x_row, m->features, m->panel + 4 * VL, GATES, GATES);
    accumulate(sum, rows, m->before, m->state_row, m->units, panel, GATES, 2);
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
static const cell_kind kind = {.gates = GATES, .apart = 1, .tiles = {EVERY_HEIGHT(MOMENT_ENTRY)}, .take = take};

EXPORT void gru(const void *task, const context *at) { walk(task, &kind, at); }

/* carried: what passes the cell by, z * d h. */
INLINE void flow_units(const backflow *f, i64 u, int whole) {
    i64 units = f->units, lanes = least(units - u, VL);
    const float *gates = f->gates + u;
    vec update = get(gates, lanes, whole), reset = get(gates + units, lanes, whole);
    vec candidate = get(gates + 2 * units, lanes, whole), inner = get(f->kept + u, lanes, whole);
    vec before = f->hidden_before ? get(f->hidden_before + u, lanes, whole) : zeros();
    vec arrived = load(f->dh + u);
    if (f->dhidden) arrived += get(f->dhidden + u, lanes, whole);
    vec dcandidate = arrived * (1.0f - update) * (1.0f - candidate * candidate);
    vec dupdate = arrived * (before - candidate) * update * (1.0f - update);
    vec dreset = dcandidate * inner * reset * (1.0f - reset);
    put(f->flowed + u, dupdate, lanes, whole);
    put(f->flowed + units + u, dreset, lanes, whole);
    put(f->flowed + 2 * units + u, dcandidate, lanes, whole);
    put(f->heard + u, dupdate, lanes, whole);
    put(f->heard + units + u, dreset, lanes, whole);
    put(f->heard + 2 * units + u, dcandidate * reset, lanes, whole);
    store(f->carried + u, arrived * update);
}

static void flow(const backflow *f) {
    i64 u = 0;
    for (; u + VL <= f->units; u += VL) flow_units(f, u, 1);
    if (u < f->units) flow_units(f, u, 0);
}

EXPORT void gru_gradient(const void *task, const context *at) {
    walk_back(task, &(cell_flow){.gates = GATES, .adds = 1, .two = 1, .flow = flow}, at);
}
