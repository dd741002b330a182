/* Products of matrices: C = A · B for matrix after matrix, either operand transposed.
 *
 * C, and where it is small also the sum, is cut into parts, one a thread; a part is walked block of k by block of k,
 * panel of columns by panel of columns:
 *
 *              columns                      the part of one thread
 *            +----+----+            k block | panel 0 | panel 1 | ...      each panel of B is packed into scratch that
 *      rows  | p0 | p1 |               0    |    1    |    2    |          stays in the first cache, then multiplied
 *            +----+----+               1    |    3    |    4    |          by all rows of the part; sums of later
 *            | p2 | p3 |              ...                                  blocks are added to C
 *            +----+----+
 *
 * B is read where it stands if it is used by so few rows that packing would not pay, or if a block of it fits the cache
 * as it is. Of a transposed B and few rows, dot products are taken. Where k is cut, each part of it has its own C in
 * shared scratch, and matmul_sum adds them up in order.
 */
#include "linear.h"

enum { DEPTH = 192, BLOCK = 8192, CHUNK = 1024, FEW_ROWS = 8, DOT_DEPTH = 64 };

/* Scratch of a thread: one packed panel. */
EXPORT const i64 matmul_scratch = DEPTH * PRODUCT_WIDEST * VL * sizeof(float);
EXPORT const i64 matmul_columns = PRODUCT_WIDEST * VL;
EXPORT const i64 matmul_rows = PRODUCT_ROWS(PRODUCT_WIDEST);

TASK(matmul_task);

static int reads_in_place(const matmul_task *t, const rectangle *r) {
    if (t->turned) return 0;
    if (VL < 8 && r->columns % VL) return 0;
    return r->rows <= FEW_ROWS || r->columns * 64 <= BLOCK;
}

/* One block of the sum for all rows: panel by panel. */
static void block(const matmul_task *t, const rectangle *r, i64 from, i64 depth, int in_place, float *packed) {
    int last = from + depth == r->depth;
    product p = {.a_row = t->a_row, .a_step = t->a_step, .b_stride = t->b_stride, .depth = depth,
                 .c_stride = t->columns, .padded = !in_place};
    for (i64 j = 0; j < r->columns; j += p.columns) {
        p.columns = next_columns(r->columns - j);
        p.a = r->a + from * t->a_step;
        p.b = t->turned ? r->b + j * t->b_stride + from : r->b + from * t->b_stride + j;
        p.c = r->c + j;
        p.last = last ? r->last : NO_FINISH;
        p.last.add = from ? p.c : r->last.add ? r->last.add + j : 0;
        p.last.add_stride = t->columns;
        if (p.last.bias) p.last.bias += j * p.last.bias_step;
        if (p.last.mask) p.last.mask += j;
        if (!in_place) {
            (t->turned ? gather_columns : gather_rows)(p.b, t->b_stride, depth, p.columns, packed);
            p.b = packed;
            p.b_stride = (p.columns + VL - 1) / VL * VL;
        }
        if (in_place && !last && r->rows <= FEW_ROWS)
            for (i64 k = 0; k < depth; k++)
                for (i64 v = 0; v < p.columns; v += 16) __builtin_prefetch(p.b + (k + depth) * t->b_stride + v, 0, 2);
        product_rows(&p, r->rows);
    }
}

/* As few rows as will do at a time, so that their part of A stays in the second cache. */
static void multiply(const matmul_task *t, rectangle r, float *packed) {
    int in_place = reads_in_place(t, &r);
    i64 longest = in_place ? most(least(BLOCK / most(r.columns, 1), DEPTH), 16) : DEPTH;
    i64 blocks = most((r.depth + longest - 1) / longest, 1);
    i64 rows = r.rows;
    const float *own_add = r.last.add;
    for (i64 done = 0; done < rows; done += r.rows) {
        r.rows = least(rows - done, CHUNK);
        for (i64 i = 0; i < blocks; i++) {
            i64 from = r.depth * i / blocks;
            block(t, &r, from, r.depth * (i + 1) / blocks - from, in_place, packed);
        }
        r.a += r.rows * t->a_row;
        r.c += r.rows * t->columns;
        if (own_add) r.last.add += r.rows * t->columns;
        if (r.last.mask) r.last.mask += r.rows * t->columns;
    }
}

static void take_dots(const matmul_task *t, const rectangle *r) {
    const i64 longest = 1024;
    for (i64 from = 0; from < r->depth; from += longest)
        dot_rows(&(dots){.a = r->a + from, .b = r->b + from, .c = r->c, .a_stride = t->a_row, .b_stride = t->b_stride,
                         .c_stride = t->columns, .rows = r->rows, .columns = r->columns,
                         .depth = least(r->depth - from, longest), .more = from > 0});
    finish_rows(&r->last, r->c, t->columns, r->rows, r->columns);
}

/* One row: eight rows of B at a time, from end to end, so that memory is read in long stretches. */
static void take_row(const matmul_task *t, const rectangle *r) {
    i64 columns = r->columns;
    for (i64 k = 0; k < r->depth; k += 8) {
        const float *b = r->b + k * t->b_stride;
        float a[8] = {0};
        i64 there = least(r->depth - k, 8), stride = t->b_stride;
        for (i64 i = 0; i < there; i++) a[i] = r->a[(k + i) * t->a_step];
        i64 j = 0;
        for (; there == 8 && j + VL <= columns; j += VL) {
            vec sum = a[0] * load(b + j);
            UNROLL for (int i = 1; i < 8; i++) sum += a[i] * load(b + i * stride + j);
            if (k) sum += load(r->c + j);
            store(r->c + j, sum);
        }
        for (; j < columns; j += VL) {
            i64 part = least(columns - j, VL);
            vec sum = k ? load_part(r->c + j, part) : zeros();
            for (i64 i = 0; i < there; i++) sum += a[i] * load_part(b + i * stride + j, part);
            store_part(r->c + j, sum, part);
        }
    }
    finish_rows(&r->last, r->c, columns, 1, columns);
}

static void work_off(const matmul_task *t, const rectangle *r, void *packed) {
    if (t->turned && t->a_step == 1 && r->rows <= FEW_ROWS && r->depth >= DOT_DEPTH)
        take_dots(t, r);
    else if (!t->turned && r->rows == 1 && r->depth >= 8)
        take_row(t, r);
    else
        multiply(t, *r, packed);
}

EXPORT void matmul(const void *task, const context *at) { each_part(task, at, work_off); }

/* Adds up what the parts of the sum gave: C row by row of all matrices. */
EXPORT void matmul_sum(const void *task, const context *at) {
    const matmul_task *t = task;
    i64 size = t->batch * t->rows * t->columns, first, last;
    share(t->batch * t->rows, at, &first, &last);
    for (i64 r = first; r < last; r++) {
        const float *from = (const float *)at->shared + r * t->columns;
        for (i64 j = 0; j < t->columns; j += VL) {
            i64 there = least(t->columns - j, VL);
            vec sum = load_part(from + j, there);
            for (i64 d = 1; d < t->depth_parts; d++) sum += load_part(from + d * size + j, there);
            store_part(t->c + r * t->columns + j, sum, there);
        }
        finish last_of_row = finish_of(t, r * t->columns, 0);
        finish_rows(&last_of_row, t->c + r * t->columns, t->columns, 1, t->columns);
    }
    if (t->after) formula_block(t->after, first, last - first, 0, t->columns, 0, 0);
}
