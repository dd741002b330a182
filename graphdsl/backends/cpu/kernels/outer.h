/* Sums of outer products in registers: C[row][column] += Σ over pixels A[pixel][row] * B[pixel][column].
 *
 * What kernel gradients are made of. The sum runs over pixels, so both operands are read along their rows as they lie
 * in memory, and nothing is transposed:
 *
 *               B[pixel]   | b0 | b1 |        every pixel: load the vectors of B, broadcast one float of A for each
 *     A[pixel]          ---+----+----+        row, rows * width multiplications. The tile of C stays in registers
 *        a0       x        | c00| c01|        while all pixels of a block go by.
 *        a1       x        | c10| c11|
 *        ...               | ...| ...|
 *
 * Pixels come in lines: `count` of them at equal steps. Lines start where a table says, so that a block may go over the
 * edges of pictures.
 */
#ifndef OUTER_H
#define OUTER_H

#include "tile.h"

typedef struct {
    i64 a, b;  /* where the line starts in A and in B, in floats */
    i64 count; /* pixels */
} line;

typedef struct {
    const line *lines;
    i64 line_count;
    const float *a; /* row r of a pixel stands r floats after its start */
    i64 a_step;     /* from pixel to pixel */
    const float *b; /* `width` whole vectors are read */
    i64 b_step;
    float *c; /* whole vectors are written */
    i64 c_stride;
    i64 add; /* to what C holds; 0: C is overwritten */
    const float *next; /* what is wanted soon and comes from far, or NULL: each tile fetches OUTER_FETCHES a pixel */
} outer;

/* Floats that a tile fetches for each pixel: a line of the cache. */
#define OUTER_FETCHES 16

/* How many tiles so many rows are. */
INLINE i64 outer_tiles(i64 rows, i64 width) {
    i64 most = width == 1 ? TILE_ROWS(1) : width == 2 ? TILE_ROWS(2) : TILE_ROWS(3);
    return (rows + most - 1) / most;
}

/* Any number of rows with `width` vectors of columns: as few tiles as will do, all of nearly the same height. */
void outer_rows(const outer *o, i64 rows, i64 width);

#endif
