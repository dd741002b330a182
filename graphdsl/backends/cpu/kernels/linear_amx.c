/* Products of matrices in AMX tiles: amx.h says what becomes of numbers, linear.h how work is cut into parts.
 *
 * A block of rows of A becomes tiles once, 32 columns of B at a time; then every pair of A tiles meets them:
 *
 *            B  | 16 | 16 |              sums [32][32] stay in tile registers 0 to 3 along a block of k, then go to C
 *      A  16    | c0 | c1 |
 *         16    | c2 | c3 |
 *
 * Rows of A as they stand are rows of tiles, and so are columns of B, turned over; where A is transposed, or B is not,
 * two rows become pairs. Longer sums are cut into blocks and added up in C.
 */
#include "amx_rows.h"
#include "linear.h"

#ifdef AMX

enum { BLOCK = 512, ROOM = 1 << 20 };

EXPORT const i64 matmul_tiles_scratch = ROOM + (BLOCK / DEPTH * 2 + 2) * PAIR;

/* 16 rows that stand side by side, [16][depth], as tiles 2 PAIR apart. */
WITH_PAIRS static void take_rows(const float *from, i64 stride, i64 rows, i64 depth, char *to) {
    for (i64 i = 0; i < rows; i++, from += stride) {
        char *hi = to + i * 64;
        i64 k = 0;
        for (; k + DEPTH <= depth; k += DEPTH, hi += 2 * PAIR)
            to_pairs(load(from + k), load(from + k + VL), hi, hi + TILE_BYTES);
        if (k < depth) to_planes(from + k, depth - k, hi, hi + TILE_BYTES);
    }
}

/* 16 columns of rows that stand one below the other, [depth][16], as pairs: tiles 2 PAIR apart. */
static void take_columns(const float *from, i64 stride, i64 lanes, i64 depth, char *to) {
    for (i64 k = 0; k < depth; k += DEPTH, to += 2 * PAIR)
        for (i64 i = 0; i < SIDE; i++) {
            i64 there = depth - k - 2 * i;
            const float *first = from + (k + 2 * i) * stride;
            if (lanes == SIDE && there > 1)
                put_pair(to + i * 64, first, first + stride, SIDE, 1);
            else
                put_pair(to + i * 64, there > 0 ? first : 0, there > 1 ? first + stride : 0, lanes, 0);
        }
}

static void turn_tiles(char *tiles, i64 depth) {
    for (i64 k = 0; k < depth; k += DEPTH, tiles += 2 * PAIR) {
        turn_tile(tiles);
        turn_tile(tiles + TILE_BYTES);
    }
}

static void pack_a(const matmul_task *t, const float *a, i64 rows, i64 depth, char *to) {
    for (i64 i = 0; i < rows; i += SIDE) {
        char *tiles = to + i / DEPTH * up(depth, DEPTH) * 2 * PAIR + i / SIDE % 2 * PAIR;
        if (t->a_step == 1) {
            take_rows(a + i * t->a_row, t->a_row, least(rows - i, SIDE), depth, tiles);
        } else {
            take_columns(a + i, t->a_step, least(rows - i, SIDE), depth, tiles);
            turn_tiles(tiles, depth);
        }
    }
}

/* At most 32 columns of B. */
static void pack_b(const matmul_task *t, const float *b, i64 columns, i64 depth, char *to) {
    for (i64 j = 0; j < columns; j += SIDE, to += PAIR) {
        if (t->turned) {
            take_rows(b + j * t->b_stride, t->b_stride, least(columns - j, SIDE), depth, to);
            turn_tiles(to, depth);
        } else {
            take_columns(b + j, t->b_stride, least(columns - j, SIDE), depth, to);
        }
    }
}

/* sums [32][32] to C, upon what is there already where `more`. */
static void put_sums(const float *sums, float *c, i64 stride, i64 rows, i64 columns, int more) {
    for (i64 r = 0; r < rows; r++)
        for (i64 j = 0; j < columns; j += VL) {
            i64 lanes = least(columns - j, VL);
            vec sum = load(sums + r * DEPTH + j);
            float *to = c + r * stride + j;
            if (more) sum += load_part(to, lanes);
            store_part(to, sum, lanes);
        }
}

static int is_nothing(const finish *f) { return !f->bias && !f->add && !f->mask && f->low == -INFINITY; }

typedef struct {
    i64 rows, depth; /* of a block */
    char *a, *b;
    float *sums;
} blocks;

static void block(const matmul_task *t, const rectangle *r, const blocks *s, i64 row, i64 k) {
    i64 rows = least(s->rows, r->rows - row), depth = least(s->depth, r->depth - k), tiles = up(depth, DEPTH);
    pack_a(t, r->a + row * t->a_row + k * t->a_step, rows, depth, s->a);
    for (i64 j = 0; j < r->columns; j += DEPTH) {
        i64 columns = least(r->columns - j, DEPTH);
        pack_b(t, t->turned ? r->b + j * t->b_stride + k : r->b + k * t->b_stride + j, columns, depth, s->b);
        for (i64 i = 0; i < rows; i += DEPTH) {
            i64 high = least(rows - i, DEPTH), place = (row + i) * t->columns + j;
            const char *a = s->a + i / DEPTH * tiles * 2 * PAIR;
            int whole = high == DEPTH && columns == DEPTH;
            add_2x2(a, 2 * PAIR, s->b, 2 * PAIR, tiles, whole ? r->c + place : s->sums, whole ? 4 * t->columns : 128,
                    whole && k > 0);
            if (!whole) put_sums(s->sums, r->c + place, t->columns, high, columns, k > 0);
            if (k + depth < r->depth || is_nothing(&r->last)) continue;
            finish last = r->last;
            if (last.bias) last.bias += j * last.bias_step;
            if (last.add) last.add += place;
            if (last.mask) last.mask += place;
            finish_rows(&last, r->c + place, t->columns, high, columns);
        }
    }
}

static void multiply(const matmul_task *t, const rectangle *r, void *scratch) {
    i64 count = most(up(r->depth, BLOCK), 1), depth = up(up(r->depth, count), DEPTH) * DEPTH;
    blocks s = {.depth = depth, .rows = ROOM / (4 * most(depth, 1)) / DEPTH * DEPTH, .a = scratch};
    s.b = s.a + ROOM;
    s.sums = (float *)(s.b + depth / DEPTH * 2 * PAIR);
    for (i64 row = 0; row < r->rows; row += s.rows)
        for (i64 k = 0; k < r->depth; k += s.depth) block(t, r, &s, row, k);
}

WITH_TILES EXPORT void matmul_tiles(const void *task, const context *at) {
    amx_begin();
    each_part(task, at, multiply);
    amx_end();
}

#else

EXPORT const i64 matmul_tiles_scratch = 0;
EXPORT void matmul_tiles(const void *task, const context *at) { (void)task, (void)at; }

#endif
