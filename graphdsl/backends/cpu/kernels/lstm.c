/* Long short-term memory, forward over all steps: recurrence.h says how threads and tiles divide the work.
 *
 *     x       [batch][time][4 units], in, forget, candidate, out     gates   the same, squashed
 *     recurrent     [units][4 units]                                 hidden, cells   [batch][time][units]
 *
 *                       step t              step t + 1        rows of a batch are so many that a tile is full; where the
 *     rows r, r + 1 ..  | u0 | u1 | ... |   | u0 | u1 |       weights are too large for the first cache, so many more
 *     rows of another   | after all steps of the first        that a panel of them serves long before the next one comes
 *
 * A padded step leaves the state alone and its results are 0.
 */
#include "recurrence.h"

enum { GATES = 4, PACKED_SMALL = 6 << 10, MANY_ROWS = 48 };

typedef struct {
    const float *x, *recurrent;
    const int32_t *lengths;            /* or NULL */
    float *hidden, *last, *gates, *cells; /* gates and cells: NULL if nobody reads them */
    i64 batch, time, units, reverse;
} lstm_task;
TASK(lstm_task);

/* Some rows at one step, one vector of units. */
typedef struct {
    const float *x;                /* of the first gate; rows are x_row apart, gates `units` */
    const float *ahead;            /* what to fetch for the next step, or x */
    const float *before, *panel;   /* states [rows][state_row]; weights */
    float *after, *c;              /* new states of these units; cells */
    float *gates, *cells, *hidden; /* results; rows x_row and made_row apart */
    i64 x_row, made_row, state_row, units, lanes, t;
    const int32_t *lengths;
} moment;

/* What a padded step gives: 0, and the state that was. */
static NOINLINE void pass_by(const moment *m, i64 r, i64 at) {
    if (m->gates)
        for (i64 g = 0; g < GATES; g++) store_part(m->gates + r * m->x_row + g * m->units, zeros(), m->lanes);
    if (m->cells) store_part(m->cells + r * m->made_row, zeros(), m->lanes);
    store_part(m->hidden + r * m->made_row, zeros(), m->lanes);
    store(m->after + r * m->state_row, load(m->before + r * m->state_row + at));
}

INLINE void remember(const moment *m, const vec *sum, i64 r, int whole) {
    vec in = gate(sum[0]), forget = gate(sum[1]), candidate = squash(sum[2]), out = gate(sum[3]);
    vec c = forget * load(m->c + r * m->state_row) + in * candidate;
    vec h = out * squash(c);
    store(m->c + r * m->state_row, c);
    store(m->after + r * m->state_row, h);
    put(m->hidden + r * m->made_row, h, m->lanes, whole);
    if (m->cells) put(m->cells + r * m->made_row, c, m->lanes, whole);
    if (m->gates) {
        float *to = m->gates + r * m->x_row;
        put(to, in, m->lanes, whole);
        put(to + m->units, forget, m->lanes, whole);
        put(to + 2 * m->units, candidate, m->lanes, whole);
        put(to + 3 * m->units, out, m->lanes, whole);
    }
}

INLINE void tile(const moment *m, i64 at, const int rows, const int whole) {
    vec sum[GATE_ROWS * GATES];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int g = 0; g < GATES; g++) {
        sum[r * GATES + g] = get(m->x + r * m->x_row + g * m->units, m->lanes, whole);
        __builtin_prefetch(m->ahead + r * m->x_row + g * m->units);
    }
    const float *h = m->before, *panel = m->panel;
    i64 stride = m->state_row;
    for (i64 k = m->units; k; k--, h++, panel += GATES * VL) {
        vec w[GATES];
        UNROLL for (int g = 0; g < GATES; g++) w[g] = load(panel + g * VL);
        UNROLL for (int r = 0; r < rows; r++) {
            vec state = all(h[r * stride]);
            UNROLL for (int g = 0; g < GATES; g++) sum[r * GATES + g] += state * w[g];
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        if (m->lengths && m->t >= m->lengths[r])
            pass_by(m, r, at);
        else
            remember(m, sum + r * GATES, r, whole);
    }
}

#define TILE(rows)                                                                                                    \
    static NOINLINE void whole_##rows(const moment *m, i64 at) { tile(m, at, rows, 1); }                              \
    static NOINLINE void part_##rows(const moment *m, i64 at) { tile(m, at, rows, 0); }
#define ENTRY(rows) {part_##rows, whole_##rows},
#if GATE_ROWS == 6
#define EVERY(each) each(1) each(2) each(3) each(4) each(5) each(6)
#elif GATE_ROWS == 3
#define EVERY(each) each(1) each(2) each(3)
#else
#define EVERY(each) each(1) each(2)
#endif
EVERY(TILE)
static void (*const tiles[GATE_ROWS][2])(const moment *m, i64 at) = {EVERY(ENTRY)};

/* One step of some rows, `first` the number of the first: every vector of units, tile by tile. */
static void walk(const lstm_task *t, i64 step, i64 first, i64 rows, const float *packed, const float *before,
                 float *after, float *c) {
    i64 units = t->units, wide = padded_units(units), made = (first * t->time + step) * units;
    int more = t->reverse ? step > 0 : step + 1 < t->time;
    i64 onward = !more ? 0 : t->reverse ? -GATES * units : GATES * units;
    moment m = {.x_row = t->time * GATES * units, .made_row = t->time * units, .state_row = wide, .units = units,
                .t = step};
    for (i64 u = 0; u < units; u += VL) {
        m.lanes = least(units - u, VL);
        m.panel = packed + u * units * GATES;
        i64 tall;
        for (i64 r = 0, left = (rows + GATE_ROWS - 1) / GATE_ROWS; r < rows; r += tall, left--) {
            tall = (rows - r + left - 1) / left;
            m.x = t->x + GATES * made + r * m.x_row + u;
            m.ahead = m.x + onward;
            m.before = before + r * wide;
            m.after = after + r * wide + u;
            m.c = c + r * wide + u;
            m.hidden = t->hidden + made + r * m.made_row + u;
            m.cells = t->cells ? t->cells + made + r * m.made_row + u : 0;
            m.gates = t->gates ? t->gates + GATES * made + r * m.x_row + u : 0;
            m.lengths = t->lengths ? t->lengths + first + r : 0;
            tiles[tall - 1][m.lanes == VL](&m, u);
        }
    }
}

EXPORT void lstm(const void *task, const context *at) {
    const lstm_task *t = task;
    i64 units = t->units, wide = padded_units(units), first, last;
    share(t->batch, at, &first, &last);
    if (first == last) return;
    float *packed = (float *)at->own, *states = packed + wide * units * GATES;
    pack_gates(t->recurrent, units, GATES, packed);
    i64 most_rows = wide * units * GATES <= PACKED_SMALL ? GATE_ROWS : MANY_ROWS;
    i64 blocks = (last - first + most_rows - 1) / most_rows;
    for (i64 block = 0; block < blocks; block++) {
        i64 from = first + (last - first) * block / blocks;
        i64 rows = first + (last - first) * (block + 1) / blocks - from;
        float *before = states, *after = states + MANY_ROWS * wide, *c = after + MANY_ROWS * wide;
        memset(before, 0, (size_t)(rows * wide) * sizeof(float));
        memset(c, 0, (size_t)(rows * wide) * sizeof(float));
        for (i64 i = 0; i < t->time; i++) {
            walk(t, t->reverse ? t->time - 1 - i : i, from, rows, packed, before, after, c);
            float *swap = before;
            before = after;
            after = swap;
        }
        for (i64 r = 0; r < rows; r++)
            memcpy(t->last + (from + r) * units, before + r * wide, (size_t)units * sizeof(float));
    }
}
