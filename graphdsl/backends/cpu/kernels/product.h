/* Products of matrices as they stand: a tile whose operands may be transposed and need not be packed.
 *
 * tile.h is for long sums over packed panels. This is for the products of layers, whose matrices may be so small that
 * packing would cost more than multiplying, or so large and so seldom used that reading them once is all there is:
 *
 *                    B in place: row k at b + k * b_stride
 *                     k  | b0 | b1 : part |
 *        rows of A    ---+----+-----------+     rows of A at a + r * a_row, their numbers a_step apart: 1, or, where A
 *        a(0, k)  x      | c00| c01       |     is transposed, the length of its rows
 *        a(1, k)  x      | c10| c11       |
 *
 * Rows and columns that are not there are neither read nor written.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "vector.h"

/* What is done to a sum before it is stored, in this order. NULL: nothing.
 *
 *     bias  [columns], added to every row; where bias_step is 0 one number, added to all
 *     add   [rows][columns], added; may be c
 *     low   what is less becomes this: 0 for relu, -INFINITY for nothing
 *     mask  [rows][columns]: where it is not > 0 the result is 0
 */
typedef struct {
    const float *bias, *add, *mask;
    i64 bias_step, add_stride, mask_stride;
    float low;
} finish;

#define NO_FINISH ((finish){.low = -INFINITY})

typedef struct {
    const float *a; /* number k of row r is at a + r * a_row + k * a_step */
    i64 a_row, a_step;
    const float *b; /* row k is at b + k * b_stride */
    i64 b_stride;
    i64 depth; /* how many k */
    float *c;  /* row r is at c + r * c_stride */
    i64 c_stride;
    i64 columns; /* of C */
    i64 padded;  /* B's rows may be read up to a whole number of vectors; elsewhere up to `columns` */
    finish last;
} product;

/* The most rows in registers with so many vectors of columns. */
#if VECTOR_REGISTERS == 32
#define PRODUCT_ROWS(width) ((width) == 1 ? 16 : (width) == 2 ? 12 : 8)
#elif VL == 8
#define PRODUCT_ROWS(width) ((width) == 1 ? 8 : (width) == 2 ? 6 : 4)
#else
#define PRODUCT_ROWS(width) ((width) == 1 ? 8 : (width) == 2 ? 5 : 3)
#endif
#define PRODUCT_WIDEST 3

/* Any number of rows times at most PRODUCT_WIDEST vectors of columns. */
void product_rows(const product *p, i64 rows);

/* How many of these columns the next product takes: as many as fit, but no single vector is left over. */
INLINE i64 next_columns(i64 left) {
    i64 vectors = (left + VL - 1) / VL;
    return least(left, (vectors == PRODUCT_WIDEST + 1 ? 2 : least(vectors, PRODUCT_WIDEST)) * VL);
}

/* Rows of B side by side: [count][columns rounded up to vectors], zeros at the end. */
void gather_rows(const float *b, i64 stride, i64 count, i64 columns, float *packed);
/* The same from B transposed: column j of B stands at b + j * stride. */
void gather_columns(const float *b, i64 stride, i64 count, i64 columns, float *packed);

/* Rows of A with rows of B, both as they stand: C(r, j) = sum of a(r, k) b(j, k), added to C where `more`. For few
 * rows, when turning B round would cost more than this does. */
typedef struct {
    const float *a, *b;
    float *c;
    i64 a_stride, b_stride, c_stride;
    i64 rows, columns, depth;
    i64 more;
} dots;
void dot_rows(const dots *d);

/* Does to [rows][columns] at c what products do at the end. */
void finish_rows(const finish *f, float *c, i64 stride, i64 rows, i64 columns);

#endif
