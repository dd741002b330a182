/* Recurrences forward in AMX tiles: amx.h says what becomes of numbers, recurrence.h what is multiplied.
 *
 * Forward, sixteen rows of the batch are the rows of a tile; x and h of a step stand side by side as the sum:
 *
 *          x, 32 at a time | h, 32 at a time          one unit vector: a C tile for each gate, in tile registers 0 to 3
 *     r0   hi .........    | hi .........             A hi, A lo: registers 4 and 5
 *     ...                                             B: 6 and 7, in turn
 */
#include "recurrence_amx.h"

#ifdef AMX

/* weights [rows][gates units], some units of all gates: [rows / 32][gates][hi, lo]. */
static char *pack_weights(const float *weights, i64 rows, i64 units, i64 first, i64 gates, char *to) {
    i64 stride = gates * units, lanes = least(units - first, VL);
    for (i64 k = 0; k < rows; k += DEPTH)
        for (i64 g = 0; g < gates; g++, to += PAIR)
            for (i64 i = 0; i < SIDE; i++) {
                const float *from = weights + (k + 2 * i) * stride + g * units + first;
                i64 there = rows - k - 2 * i;
                put_pair(to + i * 64, there > 0 ? from : 0, there > 1 ? from + stride : 0, lanes, 0);
            }
    return to;
}

/* Sums of a moment that are made and not yet used: rows done to last are left, to be taken `each` at a time. */
typedef struct {
    const cell_kind *kind;
    moment m;
    const float *sums;
    i64 done, last, each;
} pending;

static void use(pending *p, i64 rows) {
    i64 from = p->done;
    p->done = least(p->last, from + rows);
    if (from < p->done) p->kind->take(&p->m, p->sums, from, p->done);
}

/* Adds to the tiles 0, 1, (2,) 2 or 3 the products of 16 rows of A with B's gates; three rounds, so that a tile is not
 * waited for: hi hi, lo hi, hi lo. While tiles multiply, vectors work off rows of the moment before. */
#define ROUND(A, AT)                                                                                                   \
    _tile_loadd(6, b + (AT), 64);                                                                                      \
    _tile_dpbf16ps(0, A, 6);                                                                                           \
    _tile_loadd(7, b + (AT) + PAIR, 64);                                                                               \
    _tile_dpbf16ps(1, A, 7);                                                                                           \
    _tile_loadd(6, b + (AT) + 2 * PAIR, 64);
#define ROUND_4(A, AT)                                                                                                 \
    ROUND(A, AT)                                                                                                       \
    _tile_dpbf16ps(2, A, 6);                                                                                           \
    _tile_loadd(7, b + (AT) + 3 * PAIR, 64);                                                                           \
    _tile_dpbf16ps(3, A, 7);
#define ROUND_3(A, AT) ROUND(A, AT) _tile_dpbf16ps(2, A, 6);
#define ROUND_APART(A, AT) ROUND(A, AT) _tile_dpbf16ps(3, A, 6);
#define GATES_FUNCTION(name, round, gates)                                                                             \
    WITH_TILES static NOINLINE void name(const char *hi, const char *lo, i64 stride, i64 count, const char *b,         \
                                         pending *p) {                                                                 \
        for (; count; count--, hi += 64, lo += 64, b += (gates)*PAIR) {                                                \
            _tile_loadd(4, hi, stride);                                                                                \
            _tile_loadd(5, lo, stride);                                                                                \
            round(4, 0) use(p, p->each);                                                                               \
            round(5, 0) use(p, p->each);                                                                               \
            round(4, TILE_BYTES) use(p, p->each);                                                                      \
        }                                                                                                              \
    }
GATES_FUNCTION(four_gates, ROUND_4, 4)
GATES_FUNCTION(three_gates, ROUND_3, 3)
GATES_FUNCTION(gates_apart, ROUND_APART, 3)

/* Up to 16 rows of the batch. planes: x and h side by side, [hi, lo][16][x, h] */
typedef struct {
    i64 first, rows;
    char *planes;
    float *before, *after, *cell;
} band;

/* Of one thread: panels [units / 16][biases, tiles]; sums of two moments. */
typedef struct {
    i64 x_tiles, h_tiles, panel, row; /* bytes of a panel, of a row of a plane */
    char *panels;
    float *sums;
    band bands[2];
    pending next;
} tiled;

WITH_TILES static void unit_sums(tiled *w, const cell_kind *kind, const char *hi, const char *panel, float *sums) {
    const char *lo = hi + SIDE * w->row, *b = panel + 4 * VL * sizeof(float);
    clear_tiles();
    (kind->gates == 4 ? four_gates : three_gates)(hi, lo, w->row, w->x_tiles, b, &w->next);
    b += w->x_tiles * kind->gates * PAIR;
    hi += w->x_tiles * 64, lo += w->x_tiles * 64;
    (kind->gates == 4 ? four_gates : kind->apart ? gates_apart : three_gates)(hi, lo, w->row, w->h_tiles, b, &w->next);
    store_tiles(sums);
    use(&w->next, SIDE);
}

/* Sums are made before those of the moment before them are used, so that tiles and vectors work at the same time; where
 * there is much to multiply, row by row in turn. */
static void tiled_step(const recurrence_task *t, const cell_kind *kind, tiled *w, const band *b, i64 step) {
    moment m = moment_of(t, kind->gates, step, b->first);
    m.before = b->before;
    m.after = b->after;
    m.cell = b->cell;
    i64 next = t->reverse ? -1 : 1, plane = SIDE * w->row;
    if (step + next >= 0 && step + next < t->time) fetch(m.x + next * t->features, m.x_row, b->rows, t->features);
    for (i64 r = 0; r < b->rows; r++) {
        char *hi = b->planes + r * w->row;
        to_planes(m.x + r * m.x_row, t->features, hi, hi + plane);
        to_planes(m.before + r * m.state_row, t->units, hi + w->x_tiles * 64, hi + w->x_tiles * 64 + plane);
    }
    const char *panel = w->panels;
    i64 depth = w->x_tiles + w->h_tiles;
    for (i64 u = 0; u < t->units; u += VL, panel += w->panel) {
        float *sums = w->next.sums == w->sums ? w->sums + TILE_BYTES : w->sums;
        unit_sums(w, kind, b->planes, panel, sums);
        w->next = (pending){kind, moment_at(&m, 0, u), sums, 0, b->rows, depth < 4 ? 0 : up(b->rows, 3 * depth)};
        w->next.m.panel = (const float *)panel;
    }
}

static void tiled_rows(const recurrence_task *t, const cell_kind *kind, tiled *w, i64 bands) {
    i64 wide = padded_units(t->units);
    for (i64 i = 0; i < bands; i++) memset(w->bands[i].before, 0, (size_t)(3 * SIDE * wide) * sizeof(float));
    for (i64 s = 0; s < t->time; s++)
        for (i64 i = 0; i < bands; i++) {
            band *b = w->bands + i;
            if (bands == 1) use(&w->next, SIDE);
            tiled_step(t, kind, w, b, t->reverse ? t->time - 1 - s : s);
            float *swap = b->before;
            b->before = b->after;
            b->after = swap;
        }
    use(&w->next, SIDE);
    for (i64 i = 0; i < bands; i++)
        for (i64 r = 0; t->last && r < w->bands[i].rows; r++)
            memcpy(t->last + (w->bands[i].first + r) * t->units, w->bands[i].before + r * wide,
                   (size_t)t->units * sizeof(float));
}

static tiled tiled_of(const recurrence_task *t, const cell_kind *kind, char *memory) {
    i64 wide = padded_units(t->units);
    tiled w = {.x_tiles = up(t->features, DEPTH), .h_tiles = up(t->units, DEPTH)};
    w.row = (w.x_tiles + w.h_tiles) * 64;
    w.panel = 4 * VL * (i64)sizeof(float) + (w.x_tiles + w.h_tiles) * kind->gates * PAIR;
    w.panels = laid(&memory, w.panel * wide / VL);
    w.sums = (float *)laid(&memory, 8 * TILE_BYTES);
    for (band *b = w.bands; b < w.bands + 2; b++) {
        b->planes = laid(&memory, 2 * SIDE * w.row);
        memset(b->planes, 0, (size_t)(2 * SIDE * w.row));
        b->before = (float *)laid(&memory, 3 * SIDE * wide * 4);
        b->after = b->before + SIDE * wide;
        b->cell = b->after + SIDE * wide;
    }
    for (i64 u = 0; u < t->units; u += VL) {
        char *panel = w.panels + u / VL * w.panel;
        pack_biases(t, kind->gates, u, (float *)panel);
        char *rest = pack_weights(t->kernel, t->features, t->units, u, kind->gates, panel + 4 * VL * sizeof(float));
        pack_weights(t->recurrent, t->units, t->units, u, kind->gates, rest);
    }
    return w;
}

WITH_TILES void walk_in_tiles(const recurrence_task *t, const cell_kind *kind, const context *at) {
    i64 first, last;
    share(t->batch, at, &first, &last);
    tiled w = tiled_of(t, kind, at->own);
    float *states[2] = {w.bands[0].before, w.bands[1].before};
    amx_begin();
    i64 bands = up(last - first, SIDE), now;
    for (i64 i = 0; i < bands; i += now) {
        now = least(bands - i, 2);
        for (i64 k = 0; k < now; k++) {
            band *b = w.bands + k;
            b->before = states[k];
            b->after = b->before + SIDE * padded_units(t->units);
            b->first = first + (last - first) * (i + k) / bands;
            b->rows = first + (last - first) * (i + k + 1) / bands - b->first;
        }
        tiled_rows(t, kind, &w, now);
    }
    amx_end();
}

#else

void walk_in_tiles(const recurrence_task *t, const cell_kind *kind, const context *at) {
    (void)t, (void)kind, (void)at;
}

#endif
