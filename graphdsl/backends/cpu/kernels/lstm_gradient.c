/* The gradient of long short-term memory, from the last step read back to the first.
 *
 * Thread by thread and rows by rows as in lstm.c. A step turns what arrived at its state into what flows into its gates,
 *
 *      d hidden[t] + dh, dc  --->  dx[t] [rows][4 units]  --- times recurrent, turned over --->  dh before it
 *
 * and when all steps of some rows are done, while their gates are still in the second cache, the recurrent weights'
 * gradient grows by the product of their states and these flows over all steps at once. Every thread has sums of its
 * own; lstm_gradient_sum adds them up.
 */
#include "recurrence.h"

enum { GATES = 4, MOST_ROWS = 8 };

typedef struct {
    const float *recurrent, *hidden, *gates, *cells;
    const float *dhidden, *dlast; /* or NULL */
    const int32_t *lengths;       /* or NULL */
    float *dx, *drecurrent;
    i64 batch, time, units, reverse, parts; /* sums that are kept apart: one a thread */
} lstm_gradient_task;
TASK(lstm_gradient_task);

/* Some units of a row at a step. */
INLINE void flow(const lstm_gradient_task *t, i64 row, i64 step, i64 u, const float *dh, float *dc, int whole) {
    i64 units = t->units, lanes = least(units - u, VL), made = (row * t->time + step) * units + u;
    const float *gates = t->gates + GATES * (made - u) + u;
    i64 first = t->reverse ? t->time - 1 : 0, back = t->reverse ? units : -units;
    vec in = get(gates, lanes, whole), forget = get(gates + units, lanes, whole);
    vec candidate = get(gates + 2 * units, lanes, whole), out = get(gates + 3 * units, lanes, whole);
    vec before = step == first ? zeros() : get(t->cells + made + back, lanes, whole);
    vec arrived = load(dh), squashed = squash(get(t->cells + made, lanes, whole));
    if (t->dhidden) arrived += get(t->dhidden + made, lanes, whole);
    vec dcell = load(dc) + arrived * out * (1.0f - squashed * squashed);
    float *dx = t->dx + GATES * (made - u) + u;
    put(dx, dcell * candidate * in * (1.0f - in), lanes, whole);
    put(dx + units, dcell * before * forget * (1.0f - forget), lanes, whole);
    put(dx + 2 * units, dcell * in * (1.0f - candidate * candidate), lanes, whole);
    put(dx + 3 * units, arrived * squashed * out * (1.0f - out), lanes, whole);
    store(dc, dcell * forget);
}

static NOINLINE void flow_row(const lstm_gradient_task *t, i64 row, i64 step, const float *dh, float *dc) {
    i64 u = 0, back = (t->reverse ? -1 : 1) * GATES * t->units;
    const float *ahead = t->gates + (row * t->time + step) * GATES * t->units - back;
    for (i64 i = 0; step != (t->reverse ? t->time - 1 : 0) && i < GATES * t->units; i += 16)
        __builtin_prefetch(ahead + i);
    for (; u + VL <= t->units; u += VL) flow(t, row, step, u, dh + u, dc + u, 1);
    if (u < t->units) flow(t, row, step, u, dh + u, dc + u, 0);
}

static int is_real(const lstm_gradient_task *t, i64 row, i64 step) { return !t->lengths || step < t->lengths[row]; }

static void walk_back(const lstm_gradient_task *t, i64 first, i64 rows, const float *packed, float *dh, float *made,
                      float *dc) {
    i64 units = t->units, width = GATES * units, wide = padded_units(units);
    for (i64 i = 0; i < t->time; i++) {
        i64 step = t->reverse ? i : t->time - 1 - i;
        for (i64 r = 0; r < rows; r++) {
            if (is_real(t, first + r, step))
                flow_row(t, first + r, step, dh + r * wide, dc + r * wide);
            else
                memset(t->dx + ((first + r) * t->time + step) * width, 0, (size_t)width * sizeof(float));
        }
        times_turned(t->dx + (first * t->time + step) * width, t->time * width, rows, packed, units, width, made, wide);
        for (i64 r = 0; r < rows; r++)
            if (!is_real(t, first + r, step)) memcpy(made + r * wide, dh + r * wide, (size_t)wide * sizeof(float));
        float *swap = dh;
        dh = made;
        made = swap;
    }
}

static void begin(const lstm_gradient_task *t, i64 first, i64 rows, float *dh) {
    i64 units = t->units, wide = padded_units(units);
    memset(dh, 0, (size_t)(3 * MOST_ROWS * wide) * sizeof(float));
    for (i64 r = 0; t->dlast && r < rows; r++)
        memcpy(dh + r * wide, t->dlast + (first + r) * units, (size_t)units * sizeof(float));
}

/* Part p of the batch, with sums of its own. */
static void part(const lstm_gradient_task *t, i64 p, float *own, float *sums) {
    i64 units = t->units, width = GATES * units, wide = padded_units(units), first, last;
    share(t->batch, &(context){.thread = p, .threads = t->parts}, &first, &last);
    memset(sums, 0, (size_t)(units * width) * sizeof(float));
    float *dh = own + wide * width, *made = dh + MOST_ROWS * wide, *dc = made + MOST_ROWS * wide;
    pack_turned(t->recurrent, units, width, own);
    i64 blocks = (last - first + MOST_ROWS - 1) / MOST_ROWS;
    for (i64 block = 0; block < blocks; block++) {
        i64 from = first + (last - first) * block / blocks, to = first + (last - first) * (block + 1) / blocks;
        begin(t, from, to - from, dh);
        walk_back(t, from, to - from, own, dh, made, dc);
        for (i64 r = from; r < to; r++) {
            i64 steps = t->lengths ? most(least(t->lengths[r], t->time), 0) : t->time;
            add_outer(t->hidden + r * t->time * units, t->dx + r * t->time * width, steps, units, width, t->reverse,
                      sums);
        }
    }
}

EXPORT void lstm_gradient(const void *task, const context *at) {
    const lstm_gradient_task *t = task;
    for (i64 p = at->thread; p < t->parts; p += at->threads)
        part(t, p, (float *)at->own, (float *)at->shared + p * t->units * GATES * t->units);
}

EXPORT void lstm_gradient_sum(const void *task, const context *at) {
    const lstm_gradient_task *t = task;
    add_parts((const float *)at->shared, t->parts, t->units * GATES * t->units, t->drecurrent, at);
}
