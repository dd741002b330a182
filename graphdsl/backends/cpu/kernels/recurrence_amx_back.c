/* The way back of recurrences in AMX tiles: amx.h says what becomes of numbers, recurrence.h what is multiplied.
 *
 * What flows into the gates of 16 rows at a step is split into bfloat16, hi and lo, and used three times:
 *
 *     d h before [16 rows][units]    = flowed [16 rows][width] · recurrent^T     rows as they stand are an A tile
 *     d x        [16 rows][features] = flowed · kernel^T                         likewise
 *     C [features, then units][width] += (x, then h before)^T · flowed           over rows and steps
 *
 * For the last, the same row at two steps is a pair, so two steps of 16 rows are a B tile. Some such are saved up, then
 * C grows by all of them. Unpacking makes the pairs, so C's columns stand in the order 0-3, 8-11, 16-19, 24-27, then
 * 4-7, 12-15, 20-23, 28-31.
 */
#include "recurrence_amx.h"

#ifdef AMX

enum { GROUP = 4 };


/* Scratch. Weights turned over: [columns / 16, even][width / 32][hi, lo]; flowed and heard of two steps, each [hi, lo]
 * [16][width]; sums of two C tiles twice; A and B tiles of GROUP times two steps; C. */
typedef struct {
    i64 depth, row, plane;          /* 32 gates: how many; bytes of a row of a plane, of a plane */
    i64 x_tiles, h_tiles, columns;  /* 16 features, 16 units, 16 gates; even */
    char *recurrent, *kernel, *flowed, *heard, *a, *b;
    float *sums, *c;
} room;

static i64 even(i64 n) { return n + (n & 1); }

static room room_of(const back *b) {
    const recurrence_gradient_task *t = b->t;
    room o = {.depth = up(b->width, DEPTH)};
    o.x_tiles = even(up(t->features, SIDE));
    o.h_tiles = even(up(t->units, SIDE));
    o.row = o.depth * 64;
    o.plane = SIDE * o.row;
    o.columns = 2 * o.depth;
    char *memory = b->tiles;
    o.recurrent = laid(&memory, o.h_tiles * o.depth * PAIR);
    o.kernel = laid(&memory, o.x_tiles * o.depth * PAIR);
    o.flowed = laid(&memory, 4 * o.plane);
    o.heard = b->kind->two ? laid(&memory, 4 * o.plane) : o.flowed;
    o.sums = (float *)laid(&memory, 4 * TILE_BYTES);
    o.a = laid(&memory, GROUP * most(o.x_tiles, o.h_tiles) * PAIR);
    o.b = laid(&memory, (b->kind->two + 1) * GROUP * o.columns * PAIR);
    o.c = (float *)laid(&memory, (o.x_tiles + o.h_tiles) * o.columns * TILE_BYTES);
    return o;
}

static void clear_c(const room *o) {
    memset(o->c, 0, (size_t)((o->x_tiles + o->h_tiles) * o->columns * TILE_BYTES));
}

/* B tiles of weights [rows][width], turned over: neighbours in a row are pairs. */
static void pack_turned(const float *weights, i64 rows, i64 width, char *to) {
    memset(to, 0, (size_t)(even(up(rows, SIDE)) * up(width, DEPTH) * PAIR));
    for (i64 j = 0; j < rows; j += SIDE)
        for (i64 k = 0; k < width; k += DEPTH, to += PAIR) {
            for (i64 i = 0; i < least(rows - j, SIDE); i++)
                to_planes(weights + (j + i) * width + k, least(width - k, DEPTH), to + i * 64,
                          to + TILE_BYTES + i * 64);
            turn_tile(to);
            turn_tile(to + TILE_BYTES);
        }
}

WITH_TILES void tiles_begin(const back *b) {
    room o = room_of(b);
    pack_turned(b->t->recurrent, b->t->units, b->width, o.recurrent);
    if (b->t->dx) pack_turned(b->t->kernel, b->t->features, b->width, o.kernel);
    memset(o.flowed, 0, (size_t)(4 * o.plane));
    memset(o.heard, 0, (size_t)(4 * o.plane));
    clear_c(&o);
    amx_begin();
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

/* 16 rows from hi on times 32 columns: products of hi in tiles 0 and 1, the others in 2 and 3. */
WITH_TILES static NOINLINE void turned_sums(const room *o, const char *hi, const char *b) {
    const char *lo = hi + o->plane;
    i64 stride = o->row;
    clear_tiles();
    for (i64 k = 0; k < o->depth; k++, hi += 64, lo += 64, b += PAIR) {
        const char *other = b + o->depth * PAIR;
        _tile_loadd(4, hi, stride);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, lo, stride);
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

/* to [rows][columns] = 16 rows from hi on times weights turned over, added to `add` if there is one. */
static void times_turned(const room *o, const char *hi, const char *weights, i64 rows, i64 columns, float *to,
                         i64 to_row, const float *add) {
    for (i64 j = 0; j < columns; j += SIDE) {
        if (j % (2 * SIDE) == 0) turned_sums(o, hi, weights + j / SIDE * o->depth * PAIR);
        const float *sums = o->sums + j / SIDE % 2 * SIDE * SIDE;
        i64 lanes = least(columns - j, SIDE);
        for (i64 r = 0; r < rows; r++) {
            vec sum = load(sums + r * SIDE) + load(sums + (2 * SIDE + r) * SIDE);
            if (add) sum += load_part(add + r * to_row + j, lanes);
            put(to + r * to_row + j, sum, lanes, lanes == SIDE);
        }
    }
}

/* sums [width] += x [rows][width] */
static void add_rows(float *sums, const float *x, i64 rows, i64 width) {
    for (i64 j = 0; j < width; j += VL) {
        i64 lanes = least(width - j, VL);
        vec sum = load_part(sums + j, lanes);
        for (i64 r = 0; r < rows; r++) sum += load_part(x + r * width + j, lanes);
        store_part(sums + j, sum, lanes);
    }
}

/* One step of the rows at hand; flowed and heard: where planes of them go. */
static void take_step(const back *b, const room *o, i64 step, char *flowed, char *heard) {
    const recurrence_gradient_task *t = b->t;
    i64 width = b->width;
    float *dbias = b->sums + (t->units + t->features) * width;
    for (i64 r = 0; r < b->rows; r++) flow_row(b, r, step, b->flowed + r * width, b->heard + r * width);
    for (i64 r = 0; r < b->rows; r++) {
        to_planes(b->heard + r * width, width, heard + r * o->row, heard + r * o->row + o->plane);
        if (!b->kind->two) continue;
        to_planes(b->flowed + r * width, width, flowed + r * o->row, flowed + r * o->row + o->plane);
    }
    add_rows(dbias, b->flowed, b->rows, width);
    if (b->kind->two) add_rows(dbias + width, b->heard, b->rows, width);
    times_turned(o, heard, o->recurrent, b->rows, b->wide, b->made, b->wide, b->kind->adds ? b->carried : 0);
    if (t->dx)
        times_turned(o, flowed, o->kernel, b->rows, t->features, t->dx + (b->first * t->time + step) * t->features,
                     t->time * t->features, 0);
}

/* --- weights ------------------------------------------------------------------------------------------------------ */

static void add_group(const room *o, i64 a_tiles, const char *b, i64 count, float *c) {
    for (i64 i = 0; i < a_tiles; i += 2)
        for (i64 j = 0; j < o->columns; j += 2)
            add_2x2(o->a + i * PAIR, a_tiles * PAIR, b + j * PAIR, o->columns * PAIR, count,
                    c + (i * o->columns * SIDE + j) * SIDE, o->columns * 64, 1);
}

/* 32 rows of numbers as A tiles. */
static void turn_entries(const float *const *entry, i64 columns, char *to) {
    for (i64 j = 0; j < columns; j += SIDE, to += PAIR) {
        i64 lanes = least(columns - j, SIDE);
        for (i64 i = 0; i < SIDE; i++) {
            const float *first = entry[2 * i], *second = entry[2 * i + 1];
            if (first) first += j;
            if (second) second += j;
            if (lanes == SIDE)
                put_pair(to + i * 64, first, second, lanes, 1);
            else
                put_pair(to + i * 64, first, second, lanes, 0);
        }
        turn_tile(to);
        turn_tile(to + TILE_BYTES);
    }
}

/* Rows of two steps as B tiles, two vectors of columns at a time. second: NULL where there is one step only. */
static void pair_planes(const room *o, i64 rows, const char *first, const char *second, char *to) {
    for (i64 j = 0; j < o->row; j += 64, to += 2 * PAIR)
        for (i64 i = 0; i < SIDE; i++)
            for (i64 p = 0; p < 2; p++) {
                i64 from = p * o->plane + i * o->row + j;
                __m512i a = i < rows ? _mm512_loadu_si512(first + from) : _mm512_setzero_si512();
                __m512i b = second && i < rows ? _mm512_loadu_si512(second + from) : _mm512_setzero_si512();
                char *at = to + p * TILE_BYTES + i * 64;
                _mm512_storeu_si512(at, _mm512_unpacklo_epi16(a, b));
                _mm512_storeu_si512(at + PAIR, _mm512_unpackhi_epi16(a, b));
            }
}

/* x and the state before, of every row at two steps, `count` of them there; NULL where there is none. */
static void find_entries(const back *b, i64 step, i64 next, i64 count, const float **x, const float **h) {
    const recurrence_gradient_task *t = b->t;
    for (i64 i = 0; i < DEPTH; i++) {
        i64 row = b->first + i / 2, now = i % 2 ? next : step, before = t->reverse ? now + 1 : now - 1;
        int real = i / 2 < b->rows && i % 2 < count && now < length_of(t, row);
        int from_nothing = before < 0 || before >= (real ? length_of(t, row) : 0);
        x[i] = real ? t->x + (row * t->time + now) * t->features : 0;
        h[i] = real && !from_nothing ? t->hidden + (row * t->time + before) * t->units : 0;
    }
}

/* Tiles of two steps, `count` of them there: number `at` of the group. x: the rows of x, for later. */
static void save(const back *b, const room *o, i64 step, i64 next, i64 count, i64 at, const float **x) {
    const float *h[DEPTH];
    char *heard = o->b + at * o->columns * PAIR, *flowed = heard + GROUP * o->columns * PAIR;
    pair_planes(o, b->rows, o->heard, count == 2 ? o->heard + 2 * o->plane : 0, heard);
    if (b->kind->two) pair_planes(o, b->rows, o->flowed, count == 2 ? o->flowed + 2 * o->plane : 0, flowed);
    find_entries(b, step, next, count, x, h);
    turn_entries(h, b->t->units, o->a + at * o->h_tiles * PAIR);
}

/* Steps low to high, at most 2 GROUP. Tiles of x take the place of those of h. */
void tiles_block(back *b, i64 low, i64 high) {
    const recurrence_gradient_task *t = b->t;
    room o = room_of(b);
    const float *x[GROUP][DEPTH];
    i64 way = t->reverse ? 1 : -1, start = t->reverse ? low : high - 1, saved = 0;
    for (i64 i = 0; i < high - low; i += 2, saved++) {
        i64 step = start + i * way, count = least(high - low - i, 2);
        for (i64 k = 0; k < count; k++) {
            take_step(b, &o, step + k * way, o.flowed + 2 * k * o.plane, o.heard + 2 * k * o.plane);
            end_step(b, step + k * way);
        }
        save(b, &o, step, step + way, count, saved, x[saved]);
    }
    add_group(&o, o.h_tiles, o.b, saved, o.c + o.x_tiles * o.columns * SIDE * SIDE);
    if (!t->dkernel) return;
    for (i64 i = 0; i < saved; i++) turn_entries(x[i], t->features, o.a + i * o.x_tiles * PAIR);
    add_group(&o, o.x_tiles, o.b + (b->kind->two ? GROUP * o.columns * PAIR : 0), saved, o.c);
}

/* A row of C in the order of columns. */
static void in_order(const float *c, i64 columns, float *to) {
    for (i64 j = 0; j < columns; j++) {
        i64 within = j % DEPTH;
        to[j] = c[j - within + within / 4 % 2 * SIDE + within / 8 * 4 + within % 4];
    }
}

void tiles_sums(const back *b) {
    room o = room_of(b);
    const recurrence_gradient_task *t = b->t;
    i64 row = o.columns * SIDE;
    for (i64 k = 0; k < t->units; k++) in_order(o.c + (o.x_tiles * SIDE + k) * row, b->width, b->sums + k * b->width);
    for (i64 k = 0; k < t->features; k++) in_order(o.c + k * row, b->width, b->sums + (t->units + k) * b->width);
    clear_c(&o);
}

WITH_TILES void tiles_end(void) { amx_end(); }

#else

void tiles_begin(const back *b) { (void)b; }
void tiles_block(back *b, i64 low, i64 high) { (void)b, (void)low, (void)high; }
void tiles_sums(const back *b) { (void)b; }
void tiles_end(void) {}

#endif
