/* Walks cells through time, forward and back: recurrence.h. */
#include "recurrence.h"

enum { PACKED_SMALL = 12 << 10, MANY_ROWS = 48 };

EXPORT const i64 recurrence_rows = MANY_ROWS;
TASK(recurrence_task);
TASK(recurrence_gradient_task);

/* --- forward ------------------------------------------------------------------------------------------------------ */

/* Floats of a panel: biases, always four vectors, and rows. */
static i64 panel_size(const recurrence_task *t, const cell_kind *kind) {
    return 4 * VL + (t->features + t->units) * kind->gates * VL;
}

static float *pack_weights(const float *weights, i64 rows, i64 units, i64 first, i64 gates, float *to) {
    for (i64 k = 0; k < rows; k++)
        for (i64 g = 0; g < gates; g++, to += VL)
            store(to, load_part(weights + (k * gates + g) * units + first, least(units - first, VL)));
    return to;
}

void pack_biases(const recurrence_task *t, i64 gates, i64 first, float *to) {
    i64 there = least(t->units - first, VL);
    for (i64 g = 0; g < 4; g++, to += VL) {
        vec sum = zeros();
        if (t->bias && g < gates) sum = load_part(t->bias + g * t->units + first, there);
        if (t->heard_bias && g != 2) sum += load_part(t->heard_bias + least(g, 2) * t->units + first, there);
        store(to, sum);
    }
}

static void pack(const recurrence_task *t, const cell_kind *kind, float *packed) {
    for (i64 u = 0; u < t->units; u += VL) {
        pack_biases(t, kind->gates, u, packed);
        packed = pack_weights(t->kernel, t->features, t->units, u, kind->gates, packed + 4 * VL);
        packed = pack_weights(t->recurrent, t->units, t->units, u, kind->gates, packed);
    }
}

void pass_by(const moment *m, i64 r, i64 gates) {
    for (i64 g = 0; m->gates && g < gates; g++)
        store_part(m->gates + r * m->gates_row + g * m->units, zeros(), m->lanes);
    if (m->kept) store_part(m->kept + r * m->made_row, zeros(), m->lanes);
    if (m->hidden) store_part(m->hidden + r * m->made_row, zeros(), m->lanes);
    store(m->after + r * m->state_row, load(m->before + r * m->state_row + m->first));
}

typedef struct {
    float *before, *after, *cell;
} states;

/* One step of some rows, `first` the number of the first: every vector of units, tile by tile. */
static void walk_step(const recurrence_task *t, const cell_kind *kind, i64 step, i64 first, i64 rows,
                      const float *packed, const states *s) {
    moment m = moment_of(t, kind->gates, step, first);
    m.before = s->before;
    m.after = s->after;
    m.cell = s->cell;
    i64 next = t->reverse ? -1 : 1;
    if (step + next >= 0 && step + next < t->time) fetch(m.x + next * t->features, m.x_row, rows, t->features);
    for (i64 u = 0; u < t->units; u += VL, packed += panel_size(t, kind)) {
        m.panel = packed;
        i64 tall, left = (rows + GATE_ROWS - 1) / GATE_ROWS;
        for (i64 r = 0; r < rows; r += tall, left--) {
            tall = (rows - r + left - 1) / left;
            moment n = moment_at(&m, r, u);
            kind->tiles[tall - 1][n.lanes == VL](&n);
        }
    }
}

static void walk_rows(const recurrence_task *t, const cell_kind *kind, i64 first, i64 rows, const float *packed,
                      float *memory) {
    i64 wide = padded_units(t->units);
    states s = {memory, memory + MANY_ROWS * wide, memory + 2 * MANY_ROWS * wide};
    memset(memory, 0, (size_t)(3 * MANY_ROWS * wide) * sizeof(float));
    for (i64 i = 0; i < t->time; i++) {
        walk_step(t, kind, t->reverse ? t->time - 1 - i : i, first, rows, packed, &s);
        float *swap = s.before;
        s.before = s.after;
        s.after = swap;
    }
    for (i64 r = 0; t->last && r < rows; r++)
        memcpy(t->last + (first + r) * t->units, s.before + r * wide, (size_t)t->units * sizeof(float));
}

void walk(const recurrence_task *t, const cell_kind *kind, const context *at) {
    i64 first, last, size = padded_units(t->units) / VL * panel_size(t, kind);
    share(t->batch, at, &first, &last);
    if (first == last) return;
    if (t->tiles) {
        walk_in_tiles(t, kind, at);
        return;
    }
    float *packed = (float *)at->own;
    pack(t, kind, packed);
    i64 most_rows = size <= PACKED_SMALL ? GATE_ROWS : MANY_ROWS;
    i64 blocks = (last - first + most_rows - 1) / most_rows;
    for (i64 block = 0; block < blocks; block++) {
        i64 from = first + (last - first) * block / blocks, to = first + (last - first) * (block + 1) / blocks;
        walk_rows(t, kind, from, to - from, packed, packed + size);
    }
}

/* --- back --------------------------------------------------------------------------------------------------------- */

/* weights [rows][width], turned over and packed for products: panel after panel of [width][columns of the panel]. */
static void pack_turned(const float *weights, i64 rows, i64 width, float *packed) {
    for (i64 j = 0, columns; j < rows; j += columns) {
        columns = next_columns(rows - j);
        gather_columns(weights + j * width, width, width, columns, packed);
        packed += width * padded_units(columns);
    }
}

/* c [rows][columns] = a [rows][width] times turned weights, added to `add` if there is one. */
static void times_turned(const float *a, i64 a_row, i64 rows, const float *packed, i64 columns, i64 width, float *c,
                         i64 c_row, const float *add) {
    product p = {.a = a, .a_row = a_row, .a_step = 1, .depth = width, .c_stride = c_row, .padded = 1,
                 .last = NO_FINISH};
    p.last.add_stride = c_row;
    for (i64 j = 0; j < columns; j += p.columns) {
        p.columns = next_columns(columns - j);
        p.b = packed;
        p.b_stride = padded_units(p.columns);
        p.c = c + j;
        p.last.add = add ? add + j : 0;
        product_rows(&p, rows);
        packed += width * p.b_stride;
    }
}

/* sums [rows][width] += a [steps][rows], turned over, times flowed [steps][width]. */
static void add_outer(const float *a, const float *flowed, i64 steps, i64 rows, i64 width, float *sums) {
    if (steps <= 0) return;
    product p = {.a_row = 1, .a_step = rows, .b_stride = width, .depth = steps, .c_stride = width, .last = NO_FINISH};
    p.a = a;
    p.last.add_stride = width;
    for (i64 j = 0; j < width; j += p.columns) {
        p.columns = next_columns(width - j);
        p.b = flowed + j;
        p.c = sums + j;
        p.last.add = p.c;
        product_rows(&p, rows);
    }
}

static void add_rows(const float *flowed, i64 steps, i64 width, float *sums) {
    for (i64 j = 0; j < width; j += VL) {
        i64 there = least(width - j, VL);
        vec sum = load_part(sums + j, there);
        for (i64 s = 0; s < steps; s++) sum += load_part(flowed + s * width + j, there);
        store_part(sums + j, sum, there);
    }
}

static i64 sums_size(const recurrence_gradient_task *t, i64 width) { return (t->units + t->features + 2) * width; }

void flow_row(const back *b, i64 r, i64 step, float *flowed, float *heard) {
    const recurrence_gradient_task *t = b->t;
    i64 units = t->units, at = (b->first + r) * t->time + step, before = t->reverse ? step + 1 : step - 1;
    if (step >= length_of(t, b->first + r)) {
        memset(flowed, 0, (size_t)b->width * sizeof(float));
        memset(heard, 0, (size_t)b->width * sizeof(float));
        return;
    }
    int from_nothing = before < 0 || before >= t->time;
    i64 there = at + before - step;
    backflow f = {.gates = t->gates + at * b->width, .kept = t->kept + at * units, .hidden = t->hidden + at * units,
                  .kept_before = from_nothing ? 0 : t->kept + there * units,
                  .hidden_before = from_nothing ? 0 : t->hidden + there * units,
                  .dhidden = t->dhidden ? t->dhidden + at * units : 0, .dh = b->dh + r * b->wide,
                  .carried = b->carried + r * b->wide, .flowed = flowed, .heard = heard, .units = units};
    if (!from_nothing) fetch(t->gates + there * b->width, 0, 1, b->width);
    b->kind->flow(&f);
}

void end_step(back *b, i64 step) {
    for (i64 r = 0; b->t->lengths && r < b->rows; r++)
        if (step >= b->t->lengths[b->first + r])
            memcpy(b->made + r * b->wide, b->dh + r * b->wide, (size_t)b->wide * sizeof(float));
    float *swap = b->dh;
    b->dh = b->made;
    b->made = swap;
}

/* Steps low to high, from the end at which reading stopped. */
static void flow_block(back *b, i64 low, i64 high) {
    const recurrence_gradient_task *t = b->t;
    for (i64 i = low; i < high; i++) {
        i64 step = t->reverse ? i : high - 1 - (i - low), slot = (step - low) * b->width, row = t->block * b->width;
        for (i64 r = 0; r < b->rows; r++) flow_row(b, r, step, b->flowed + r * row + slot, b->heard + r * row + slot);
        times_turned(b->heard + slot, row, b->rows, b->recurrent, t->units, b->width, b->made, b->wide,
                     b->kind->adds ? b->carried : 0);
        end_step(b, step);
    }
}

/* What the steps low to high of a row, those before `end` real, are to the weights. */
static void grow(const back *b, i64 row, i64 low, i64 end, const float *flowed, const float *heard) {
    const recurrence_gradient_task *t = b->t;
    i64 units = t->units, width = b->width;
    const float *hidden = t->hidden + row * t->time * units;
    if (t->reverse)
        add_outer(hidden + (low + 1) * units, heard, least(end, length_of(t, row) - 1) - low, units, width, b->sums);
    else if (low)
        add_outer(hidden + (low - 1) * units, heard, end - low, units, width, b->sums);
    else
        add_outer(hidden, heard + width, end - 1, units, width, b->sums);
    if (t->dkernel)
        add_outer(t->x + (row * t->time + low) * t->features, flowed, end - low, t->features, width,
                  b->sums + units * width);
}

/* What the steps low to high of a row are to weights and biases, and what flows on into x. */
static void gather_row(const back *b, i64 r, i64 low, i64 high) {
    const recurrence_gradient_task *t = b->t;
    i64 row = b->first + r, place = r * t->block * b->width, width = b->width, end = least(high, length_of(t, row));
    const float *flowed = b->flowed + place, *heard = b->heard + place;
    float *dbias = b->sums + (t->units + t->features) * width;
    grow(b, row, low, end, flowed, heard);
    if (t->dbias) add_rows(flowed, end - low, width, dbias);
    if (t->dheard_bias) add_rows(heard, end - low, width, dbias + width);
    if (t->dx)
        times_turned(flowed, width, high - low, b->kernel, t->features, width,
                     t->dx + (row * t->time + low) * t->features, t->features, 0);
}

static void back_rows(back *b) {
    const recurrence_gradient_task *t = b->t;
    memset(b->dh, 0, (size_t)(t->rows * b->wide) * sizeof(float));
    memset(b->made, 0, (size_t)(t->rows * b->wide) * sizeof(float));
    memset(b->carried, 0, (size_t)(t->rows * b->wide) * sizeof(float));
    for (i64 r = 0; t->dlast && r < b->rows; r++)
        memcpy(b->dh + r * b->wide, t->dlast + (b->first + r) * t->units, (size_t)t->units * sizeof(float));
    for (i64 done = 0, size; done < t->time; done += size) {
        size = least(t->block, t->time - done);
        i64 low = t->reverse ? done : t->time - done - size;
        if (t->tiles) {
            tiles_block(b, low, low + size);
        } else {
            flow_block(b, low, low + size);
            for (i64 r = 0; r < b->rows; r++) gather_row(b, r, low, low + size);
        }
    }
}

void walk_back(const recurrence_gradient_task *t, const cell_flow *kind, const context *at) {
    i64 width = kind->gates * t->units, wide = padded_units(t->units), state = t->rows * wide;
    i64 size = sums_size(t, width), flows = t->tiles ? 16 * width : t->rows * t->block * width;
    back b = {.t = t, .kind = kind, .width = width, .wide = wide, .recurrent = (float *)at->own};
    b.kernel = b.recurrent + width * wide;
    b.dh = b.kernel + width * padded_units(t->features);
    b.made = b.dh + state;
    b.carried = b.made + state;
    b.flowed = b.carried + state;
    b.heard = kind->two ? b.flowed + flows : b.flowed;
    b.tiles = (char *)(((uintptr_t)(b.heard + flows) + 63) & ~(uintptr_t)63);
    if (t->tiles)
        tiles_begin(&b);
    else
        pack_turned(t->recurrent, t->units, width, b.recurrent);
    if (t->dx && !t->tiles) pack_turned(t->kernel, t->features, width, b.kernel);
    for (i64 p = at->thread; p < t->parts; p += at->threads) {
        i64 first, last;
        share(t->batch, &(context){.thread = p, .threads = t->parts}, &first, &last);
        b.sums = (float *)at->shared + p * size;
        memset(b.sums, 0, (size_t)size * sizeof(float));
        i64 blocks = (last - first + t->rows - 1) / t->rows;
        for (i64 i = 0; i < blocks; i++) {
            b.first = first + (last - first) * i / blocks;
            b.rows = first + (last - first) * (i + 1) / blocks - b.first;
            back_rows(&b);
        }
        if (t->tiles) tiles_sums(&b);
    }
    if (t->tiles) tiles_end();
}

static void add_parts(const float *parts, i64 count, i64 step, i64 size, float *made, const context *at) {
    i64 first, last;
    share_units(size, VL, at, &first, &last);
    for (i64 i = first; made && i < last; i += VL) {
        i64 there = least(last - i, VL);
        vec sum = load_part(parts + i, there);
        for (i64 p = 1; p < count; p++) sum += load_part(parts + p * step + i, there);
        store_part(made + i, sum, there);
    }
}

/* The threads' sums added up, in order. */
static void sum_parts(const recurrence_gradient_task *t, i64 gates, const context *at) {
    i64 width = gates * t->units, size = sums_size(t, width);
    const float *parts = (const float *)at->shared;
    add_parts(parts, t->parts, size, t->units * width, t->drecurrent, at);
    parts += t->units * width;
    add_parts(parts, t->parts, size, t->features * width, t->dkernel, at);
    parts += t->features * width;
    add_parts(parts, t->parts, size, width, t->dbias, at);
    add_parts(parts + width, t->parts, size, width, t->dheard_bias, at);
}

EXPORT void lstm_gradient_sum(const void *task, const context *at) { sum_parts(task, 4, at); }
EXPORT void gru_gradient_sum(const void *task, const context *at) { sum_parts(task, 3, at); }
