/* How products of matrices are cut into parts: linear.c multiplies them in vectors, linear_amx.c in tiles. */
#ifndef LINEAR_H
#define LINEAR_H

#include "formula.h"
#include "product.h"

typedef struct {
    const float *a, *b;
    float *c;
    i64 batch, rows, columns, depth;
    i64 a_row, a_step;    /* from row to row of A, and along the sum */
    i64 b_stride, turned; /* of B's rows; turned: B is [columns][depth] */
    i64 batch_parts, row_parts, column_parts, depth_parts;
    const float *bias, *add, *mask; /* of the result: see product.h; add and mask have C's shape */
    double low;
    i64 bias_step;
    const formula_task *after; /* what else is done to rows of C once they are there, or NULL */
} matmul_task;
typedef struct {
    i64 first, last;
} range;

INLINE range part_of(i64 n, i64 unit, i64 part, i64 parts) {
    range r;
    share_units(n, unit, &(context){.thread = part, .threads = parts}, &r.first, &r.last);
    return r;
}

/* A rectangle of C and a stretch of the sum; `last` and c are for the rectangle's first number. */
typedef struct {
    const float *a, *b;
    float *c;
    i64 rows, columns, depth;
    finish last;
} rectangle;

INLINE finish finish_of(const matmul_task *t, i64 at, i64 column) {
    return (finish){.bias = t->bias ? t->bias + t->bias_step * column : 0, .bias_step = t->bias_step,
                    .add = t->add ? t->add + at : 0,
                    .mask = t->mask ? t->mask + at : 0, .add_stride = t->columns, .mask_stride = t->columns,
                    .low = (float)t->low};
}

/* The part of one of the matrices: its rows, columns and stretch of the sum; sums: C, or where this stretch is kept. */
INLINE rectangle rectangle_of(const matmul_task *t, i64 matrix, range rows, range columns, range depth, float *sums) {
    i64 at = matrix * t->rows * t->columns + rows.first * t->columns + columns.first;
    const float *b = t->b + matrix * t->depth * t->columns;
    return (rectangle){.a = t->a + matrix * t->rows * t->depth + rows.first * t->a_row + depth.first * t->a_step,
                       .b = t->turned ? b + columns.first * t->b_stride + depth.first
                                      : b + depth.first * t->b_stride + columns.first,
                       .c = sums + at, .rows = rows.last - rows.first, .columns = columns.last - columns.first,
                       .depth = depth.last - depth.first,
                       .last = t->depth_parts > 1 ? NO_FINISH : finish_of(t, at, columns.first)};
}

/* Calls `multiply` for every part that is this thread's, then does what else is to be done to it. */
INLINE void each_part(const matmul_task *t, const context *at,
                      void (*multiply)(const matmul_task *t, const rectangle *r, void *scratch)) {
    i64 parts = t->batch_parts * t->row_parts * t->column_parts * t->depth_parts;
    for (i64 p = at->thread; p < parts; p += at->threads) {
        i64 d = p % t->depth_parts, c = p / t->depth_parts % t->column_parts;
        i64 r = p / (t->depth_parts * t->column_parts) % t->row_parts;
        range matrices = part_of(t->batch, 1, p / (t->depth_parts * t->column_parts * t->row_parts), t->batch_parts);
        range rows = part_of(t->rows, PRODUCT_ROWS(PRODUCT_WIDEST), r, t->row_parts);
        range depth = part_of(t->depth, 1, d, t->depth_parts), columns = part_of(t->columns, VL, c, t->column_parts);
        float *sums = t->depth_parts > 1 ? (float *)at->shared + d * t->batch * t->rows * t->columns : t->c;
        for (i64 m = matrices.first; m < matrices.last; m++) {
            rectangle part = rectangle_of(t, m, rows, columns, depth, sums);
            multiply(t, &part, at->own);
            if (t->after && t->depth_parts == 1)
                formula_block(t->after, m * t->rows + rows.first, part.rows, columns.first, part.columns, 0, 0);
        }
    }
}

#endif
