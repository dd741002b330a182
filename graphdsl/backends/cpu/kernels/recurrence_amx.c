/* The products of recurrences in AMX tiles: amx.h says what becomes of numbers, recurrence.h what is multiplied.
 *
 * Forward, sixteen rows of the batch are the rows of a tile; x and h of a step stand side by side as the sum:
 *
 *          x, 32 at a time | h, 32 at a time          one unit vector: a C tile for each gate, in tile registers 0 to 3
 *     r0   hi .........    | hi .........             A hi, A lo: registers 4 and 5
 *     ...                                             B: 6 and 7, in turn
 *
 * Backward, what flowed [16][width] times the recurrent weights, turned over, is such a product too. For the gradients
 * of the weights the sum goes over rows and steps, 32 of them at a time, two and two as pairs:
 *
 *     C [features, then units][width] += (x, then h before)^T [.][row, step] · flowed [row, step][width]
 */
#include "amx.h"
#include "recurrence.h"

#ifdef AMX

#define WITH_PAIRS __attribute__((target("avx512bf16")))

enum { SIDE = TILE_SIDE, DEPTH = TILE_DEPTH, PAIR = 2 * TILE_BYTES, GROUP = 4 };

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }

/* n numbers in a row as bfloat16, hi and lo, zeros up to a multiple of 32. */
WITH_PAIRS static NOINLINE void to_planes(const float *from, i64 n, char *hi, char *lo) {
    for (i64 k = 0; k < n; k += DEPTH, hi += 64, lo += 64) {
        vec a = load_part(from + k, least(n - k, VL)), b = load_part(from + k + VL, most(least(n - k - VL, VL), 0));
        __m512i h = (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
        vec a_hi = (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(h)), 16);
        vec b_hi = (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(h, 1)), 16);
        istore((int32_t *)hi, (ivec)h);
        istore((int32_t *)lo, (ivec)(__m512i)_mm512_cvtne2ps_pbh((__m512)(b - b_hi), (__m512)(a - a_hi)));
    }
}

/* One row of a B tile, hi, and of the lo tile behind it: numbers of two rows as pairs; NULL: zeros. */
INLINE void put_pair(char *to, const float *first, const float *second, i64 lanes) {
    halves a = split(first ? load_part(first, lanes) : zeros()), b = split(second ? load_part(second, lanes) : zeros());
    istore((int32_t *)to, pair_hi(a, b));
    istore((int32_t *)(to + TILE_BYTES), pair_lo(a, b));
}

/* --- forward ------------------------------------------------------------------------------------------------------ */

/* weights [rows][gates units], some units of all gates: [rows / 32][gates][hi, lo]. */
static char *pack_weights(const float *weights, i64 rows, i64 units, i64 first, i64 gates, char *to) {
    i64 stride = gates * units, lanes = least(units - first, VL);
    for (i64 k = 0; k < rows; k += DEPTH)
        for (i64 g = 0; g < gates; g++, to += PAIR)
            for (i64 i = 0; i < SIDE; i++) {
                const float *from = weights + (k + 2 * i) * stride + g * units + first;
                i64 there = rows - k - 2 * i;
                put_pair(to + i * 64, there > 0 ? from : 0, there > 1 ? from + stride : 0, lanes);
            }
    return to;
}

/* Adds to the tiles 0, 1, (2,) LAST the products of 16 rows of A with B's gates; three rounds, so that a tile is not
 * waited for: hi hi, lo hi, hi lo. */
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
    WITH_TILES static NOINLINE void name(const char *hi, const char *lo, i64 stride, i64 count, const char *b) {       \
        for (; count; count--, hi += 64, lo += 64, b += (gates)*PAIR) {                                                \
            _tile_loadd(4, hi, stride);                                                                                \
            _tile_loadd(5, lo, stride);                                                                                \
            round(4, 0) round(5, 0) round(4, TILE_BYTES)                                                               \
        }                                                                                                              \
    }
GATES_FUNCTION(four_gates, ROUND_4, 4)
GATES_FUNCTION(three_gates, ROUND_3, 3)
GATES_FUNCTION(gates_apart, ROUND_APART, 3)

WITH_TILES INLINE void clear_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

WITH_TILES INLINE void store_tiles(float *c) {
    _tile_stored(0, c, 64);
    _tile_stored(1, c + 256, 64);
    _tile_stored(2, c + 512, 64);
    _tile_stored(3, c + 768, 64);
}

/* Of one thread: panels [units / 16][biases, tiles]; planes [hi, lo][16][x, h]. */
typedef struct {
    i64 x_tiles, h_tiles, panel, row; /* bytes of a panel, of a row of a plane */
    char *panels, *planes;
    float *sums, *before, *after, *cell;
} tiled;

WITH_TILES static void unit_sums(const tiled *w, const cell_kind *kind, const char *panel) {
    const char *hi = w->planes, *lo = hi + SIDE * w->row, *b = panel + 4 * VL * sizeof(float);
    clear_tiles();
    (kind->gates == 4 ? four_gates : three_gates)(hi, lo, w->row, w->x_tiles, b);
    b += w->x_tiles * kind->gates * PAIR;
    hi += w->x_tiles * 64, lo += w->x_tiles * 64;
    (kind->gates == 4 ? four_gates : kind->apart ? gates_apart : three_gates)(hi, lo, w->row, w->h_tiles, b);
    store_tiles(w->sums);
}

static void tiled_step(const recurrence_task *t, const cell_kind *kind, const tiled *w, i64 step, i64 first, i64 rows) {
    moment m = moment_of(t, kind->gates, step, first);
    m.before = w->before;
    m.after = w->after;
    m.cell = w->cell;
    i64 next = t->reverse ? -1 : 1, plane = SIDE * w->row;
    if (step + next >= 0 && step + next < t->time) fetch(m.x + next * t->features, m.x_row, rows, t->features);
    for (i64 r = 0; r < rows; r++) {
        char *hi = w->planes + r * w->row;
        to_planes(m.x + r * m.x_row, t->features, hi, hi + plane);
        to_planes(m.before + r * m.state_row, t->units, hi + w->x_tiles * 64, hi + w->x_tiles * 64 + plane);
    }
    const char *panel = w->panels;
    for (i64 u = 0; u < t->units; u += VL, panel += w->panel) {
        unit_sums(w, kind, panel);
        moment n = moment_at(&m, 0, u);
        n.panel = (const float *)panel;
        kind->take(&n, w->sums, rows);
    }
}

static void tiled_rows(const recurrence_task *t, const cell_kind *kind, tiled *w, i64 first, i64 rows) {
    i64 wide = padded_units(t->units);
    memset(w->before, 0, (size_t)(SIDE * wide) * sizeof(float));
    memset(w->after, 0, (size_t)(SIDE * wide) * sizeof(float));
    memset(w->cell, 0, (size_t)(SIDE * wide) * sizeof(float));
    for (i64 i = 0; i < t->time; i++) {
        tiled_step(t, kind, w, t->reverse ? t->time - 1 - i : i, first, rows);
        float *swap = w->before;
        w->before = w->after;
        w->after = swap;
    }
    for (i64 r = 0; t->last && r < rows; r++)
        memcpy(t->last + (first + r) * t->units, w->before + r * wide, (size_t)t->units * sizeof(float));
}

static char *laid(char **at, i64 bytes) {
    char *here = *at;
    *at += up(bytes, 64) * 64;
    return here;
}

WITH_TILES void walk_in_tiles(const recurrence_task *t, const cell_kind *kind, const context *at) {
    i64 first, last, wide = padded_units(t->units);
    share(t->batch, at, &first, &last);
    tiled w = {.x_tiles = up(t->features, DEPTH), .h_tiles = up(t->units, DEPTH)};
    w.row = (w.x_tiles + w.h_tiles) * 64;
    w.panel = 4 * VL * (i64)sizeof(float) + (w.x_tiles + w.h_tiles) * kind->gates * PAIR;
    char *memory = at->own;
    w.panels = laid(&memory, w.panel * wide / VL);
    w.planes = laid(&memory, 2 * SIDE * w.row);
    w.sums = (float *)laid(&memory, 4 * TILE_BYTES);
    w.before = (float *)laid(&memory, SIDE * wide * 4);
    w.after = (float *)laid(&memory, SIDE * wide * 4);
    w.cell = (float *)laid(&memory, SIDE * wide * 4);
    memset(w.planes, 0, (size_t)(2 * SIDE * w.row));
    for (i64 u = 0; u < t->units; u += VL) {
        char *panel = w.panels + u / VL * w.panel;
        pack_biases(t, kind->gates, u, (float *)panel);
        char *rest = pack_weights(t->kernel, t->features, t->units, u, kind->gates, panel + 4 * VL * sizeof(float));
        pack_weights(t->recurrent, t->units, t->units, u, kind->gates, rest);
    }
    amx_begin();
    i64 blocks = up(last - first, SIDE);
    for (i64 i = 0; i < blocks; i++) {
        i64 from = first + (last - first) * i / blocks, to = first + (last - first) * (i + 1) / blocks;
        tiled_rows(t, kind, &w, from, to - from);
    }
    amx_end();
}

/* --- back --------------------------------------------------------------------------------------------------------- */

/* Scratch: the recurrent weights, turned over, [units / 16, even][width / 32][hi, lo]; planes of 16 rows; sums of two C
 * tiles; A and B tiles of GROUP times 32 entries; C. */
typedef struct {
    i64 depth, across; /* 32 gates, 16 units: how many */
    i64 x_tiles, h_tiles, columns; /* 16 features, 16 units, 16 gates; even */
    char *turned, *planes, *a, *b;
    float *sums, *c;
} outer;

static i64 even(i64 n) { return n + (n & 1); }

static outer outer_of(const back *b) {
    outer o = {.depth = up(b->width, DEPTH), .across = even(up(b->t->units, SIDE)),
               .x_tiles = even(up(b->t->features, SIDE)), .h_tiles = even(up(b->t->units, SIDE)),
               .columns = even(up(b->width, SIDE))};
    char *memory = b->tiles;
    o.turned = laid(&memory, o.across * o.depth * PAIR);
    o.planes = laid(&memory, 2 * SIDE * o.depth * 64);
    o.sums = (float *)laid(&memory, 4 * TILE_BYTES);
    o.a = laid(&memory, GROUP * most(o.x_tiles, o.h_tiles) * PAIR);
    o.b = laid(&memory, GROUP * o.columns * PAIR);
    o.c = (float *)laid(&memory, (o.x_tiles + o.h_tiles) * o.columns * TILE_BYTES);
    return o;
}

static void clear_c(const outer *o) {
    memset(o->c, 0, (size_t)((o->x_tiles + o->h_tiles) * o->columns * TILE_BYTES));
}

/* B tiles of the weights turned over: pairs of a row's neighbours, row after row, columns to rows. */
static void pack_turned(const float *weights, i64 rows, i64 width, const outer *o) {
    char *to = o->turned;
    for (i64 j = 0; j < o->across * SIDE; j += SIDE)
        for (i64 k = 0; k < width; k += DEPTH, to += PAIR) {
            ivec hi[SIDE], lo[SIDE];
            for (i64 i = 0; i < SIDE; i++) {
                hi[i] = lo[i] = iall(0);
                if (j + i < rows)
                    to_planes(weights + (j + i) * width + k, least(width - k, DEPTH), (char *)(hi + i), (char *)(lo + i));
            }
            transpose(hi);
            transpose(lo);
            for (i64 i = 0; i < SIDE; i++) istore((int32_t *)(to + i * 64), hi[i]);
            for (i64 i = 0; i < SIDE; i++) istore((int32_t *)(to + TILE_BYTES + i * 64), lo[i]);
        }
}

WITH_TILES void tiles_begin(back *b) {
    outer o = outer_of(b);
    pack_turned(b->t->recurrent, b->t->units, b->width, &o);
    memset(o.planes, 0, (size_t)(2 * SIDE * o.depth * 64));
    clear_c(&o);
    amx_begin();
}

/* 32 columns: hi products in tiles 0 and 1, the others in 2 and 3. */
WITH_TILES static NOINLINE void turned_sums(const outer *o, const char *b) {
    const char *hi = o->planes, *lo = hi + SIDE * o->depth * 64;
    clear_tiles();
    for (i64 k = 0; k < o->depth; k++, hi += 64, lo += 64, b += PAIR) {
        const char *other = b + o->depth * PAIR;
        _tile_loadd(4, hi, o->depth * 64);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, lo, o->depth * 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_loadd(7, other, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, b + TILE_BYTES, 64);
        _tile_dpbf16ps(2, 4, 6);
        _tile_loadd(7, other + TILE_BYTES, 64);
        _tile_dpbf16ps(3, 4, 7);
    }
    store_tiles(o->sums);
}

void tiles_turned(const back *b, i64 slot, float *made) {
    outer o = outer_of(b);
    for (i64 r = 0; r < b->rows; r++) {
        char *hi = o.planes + r * o.depth * 64;
        to_planes(b->heard + (r * b->t->block + slot) * b->width, b->width, hi, hi + SIDE * o.depth * 64);
    }
    for (i64 j = 0; j < b->wide; j += 2 * SIDE) {
        turned_sums(&o, o.turned + j / SIDE * o.depth * PAIR);
        for (i64 v = 0; v < least(b->wide - j, 2 * SIDE); v += SIDE)
            for (i64 r = 0; r < b->rows; r++) {
                const float *from = o.sums + v * SIDE + r * SIDE;
                vec sum = load(from) + load(from + 2 * SIDE * SIDE);
                i64 place = r * b->wide + j + v;
                if (b->kind->adds) sum += load(b->carried + place);
                store(made + place, sum);
            }
    }
}

/* 32 entries, two and two as pairs: vector after vector of columns. */
static void pair_entries(const float *const *entry, i64 columns, char *to) {
    for (i64 j = 0; j < columns; j += SIDE, to += PAIR)
        for (i64 i = 0; i < SIDE; i++) {
            const float *first = entry[2 * i], *second = entry[2 * i + 1];
            put_pair(to + i * 64, first ? first + j : 0, second ? second + j : 0, least(columns - j, SIDE));
        }
}

/* The same, turned over: A tiles. */
static void turn_entries(const float *const *entry, i64 columns, char *to) {
    pair_entries(entry, columns, to);
    for (i64 j = 0; j < columns; j += SIDE, to += PAIR)
        for (i64 plane = 0; plane < 2; plane++) {
            ivec rows[SIDE];
            char *tile = to + plane * TILE_BYTES;
            UNROLL for (int i = 0; i < SIDE; i++) rows[i] = iload((int32_t *)(tile + i * 64));
            transpose(rows);
            UNROLL for (int i = 0; i < SIDE; i++) istore((int32_t *)(tile + i * 64), rows[i]);
        }
}

/* C (2 x 2 tiles) += A (2) · B (2) over all groups of entries. */
WITH_TILES static NOINLINE void add_2x2(const char *a, i64 a_step, const char *b, i64 b_step, i64 count, float *c,
                                        i64 stride) {
    float *below = c + stride * SIDE / 4;
    _tile_loadd(0, c, stride);
    _tile_loadd(1, c + SIDE, stride);
    _tile_loadd(2, below, stride);
    _tile_loadd(3, below + SIDE, stride);
    for (; count; count--, a += a_step, b += b_step) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + PAIR + TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + PAIR, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + PAIR, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, a + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + PAIR + TILE_BYTES, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, stride);
    _tile_stored(1, c + SIDE, stride);
    _tile_stored(2, below, stride);
    _tile_stored(3, below + SIDE, stride);
}

static void add_group(const outer *o, i64 a_tiles, i64 count, float *c) {
    for (i64 i = 0; i < a_tiles; i += 2)
        for (i64 j = 0; j < o->columns; j += 2)
            add_2x2(o->a + i * PAIR, a_tiles * PAIR, o->b + j * PAIR, o->columns * PAIR, count,
                    c + (i * o->columns * SIDE + j) * SIDE, o->columns * 64);
}

/* Where numbers of entry e of a block stand: rows one after the other, steps low to high; NULL where there are none. */
typedef struct {
    const float *x, *h, *flowed, *heard;
} entry;

static entry entry_of(const back *b, i64 e, i64 low, i64 high) {
    const recurrence_gradient_task *t = b->t;
    i64 r = e / (high - low), s = e % (high - low), step = low + s, row = b->first + r;
    if (r >= b->rows || step >= length_of(t, row)) return (entry){0, 0, 0, 0};
    i64 place = (r * t->block + s) * b->width, before = t->reverse ? step + 1 : step - 1;
    int from_nothing = before < 0 || before >= length_of(t, row);
    return (entry){t->x + (row * t->time + step) * t->features,
                   from_nothing ? 0 : t->hidden + (row * t->time + before) * t->units, b->flowed + place,
                   b->heard + place};
}

/* GROUP times 32 entries from `from` on. */
static void outer_group(const back *b, const outer *o, i64 from, i64 count, i64 low, i64 high) {
    const float *x[GROUP][DEPTH], *h[GROUP][DEPTH], *flowed[GROUP][DEPTH], *heard[GROUP][DEPTH];
    const recurrence_gradient_task *t = b->t;
    for (i64 k = 0; k < count; k++)
        for (i64 i = 0; i < DEPTH; i++) {
            entry e = entry_of(b, from + k * DEPTH + i, low, high);
            x[k][i] = e.x, h[k][i] = e.h, flowed[k][i] = e.flowed, heard[k][i] = e.heard;
        }
    for (i64 k = 0; k < count; k++) pair_entries(heard[k], b->width, o->b + k * o->columns * PAIR);
    for (i64 k = 0; k < count; k++) turn_entries(h[k], t->units, o->a + k * o->h_tiles * PAIR);
    add_group(o, o->h_tiles, count, o->c + o->x_tiles * o->columns * SIDE * SIDE);
    if (!t->dkernel) return;
    for (i64 k = 0; b->kind->two && k < count; k++) pair_entries(flowed[k], b->width, o->b + k * o->columns * PAIR);
    for (i64 k = 0; k < count; k++) turn_entries(x[k], t->features, o->a + k * o->x_tiles * PAIR);
    add_group(o, o->x_tiles, count, o->c);
}

void tiles_outer(const back *b, i64 low, i64 high) {
    outer o = outer_of(b);
    i64 groups = up(b->rows * (high - low), DEPTH);
    for (i64 g = 0; g < groups; g += GROUP) outer_group(b, &o, g * DEPTH, least(groups - g, GROUP), low, high);
}

void tiles_sums(const back *b) {
    outer o = outer_of(b);
    const recurrence_gradient_task *t = b->t;
    float *dkernel = b->sums + t->units * b->width;
    const float *of_h = o.c + o.x_tiles * o.columns * SIDE * SIDE;
    for (i64 k = 0; k < t->units; k++)
        memcpy(b->sums + k * b->width, of_h + k * o.columns * SIDE, (size_t)b->width * sizeof(float));
    for (i64 k = 0; k < t->features; k++)
        memcpy(dkernel + k * b->width, o.c + k * o.columns * SIDE, (size_t)b->width * sizeof(float));
    clear_c(&o);
}

WITH_TILES void tiles_end(void) { amx_end(); }

#else

void walk_in_tiles(const recurrence_task *t, const cell_kind *kind, const context *at) { (void)t, (void)kind, (void)at; }
void tiles_begin(back *b) { (void)b; }
void tiles_turned(const back *b, i64 slot, float *made) { (void)b, (void)slot, (void)made; }
void tiles_outer(const back *b, i64 low, i64 high) { (void)b, (void)low, (void)high; }
void tiles_sums(const back *b) { (void)b; }
void tiles_end(void) {}

#endif
