/* Products of matrices in registers: the innermost loops of convolutions, Winograd products, linear layers, LSTMs.
 *
 * A tile is a few rows of C by one, two or three vectors of columns. It stays in registers while the sum runs:
 *
 *                    panel of B, packed [k][width * VL]
 *                     k  | b0 | b1 |
 *        rows of A    ---+----+----+
 *        a[0][k]  x      | c00| c01|     every step of k: load the vectors of B, broadcast one float of each row,
 *        a[1][k]  x      | c10| c11|     rows * width multiplications. As many rows as registers allow.
 *        ...             | ...| ...|
 *
 * A row of A may be cut into segments (the taps of a window): every row has its segments at the same offsets.
 * Where the sum is longer than the caches like, the caller cuts k into blocks and adds up: add = c. What is added comes
 * last, so that it may still be on its way while the sum runs.
 *
 * What is done to a tile before it is stored: see the fields. Rows and columns that are not there are not touched.
 */
#ifndef TILE_H
#define TILE_H

#include "vector.h"

typedef struct {
    const float *a; /* row r is at a + r * a_stride */
    i64 a_stride;
    i64 segments;       /* of a row */
    const i64 *offsets; /* where they start, in floats from the row; NULL: one segment, at 0 */
    i64 length;         /* floats in a segment */
    const float *b;     /* the panel: [segments * length][width * VL]; lanes past `columns` may hold anything finite */
    float *c;           /* row r is at c + r * c_stride */
    i64 c_stride;
    i64 columns;        /* of C that are there: (width - 1) * VL < columns <= width * VL */
    const float *bias;  /* [columns], added to every row, or NULL */
    const float *add;   /* [rows][columns], added to the sum, or NULL; may be c */
    i64 add_stride;
    float low;          /* what is less than this becomes this: 0 for relu, -INFINITY for nothing */
    const float *mask;  /* [rows][columns] or NULL: where it is not > 0 the result is 0 */
    i64 mask_stride;
    const float *next;  /* what is wanted after this and comes from far, and is fetched meanwhile: `pace` lines of the */
    i64 pace;           /* cache, at most 4, for every four floats of a row */
} tile;

/* Floats of a line of the cache. */
#define CACHE_LINE 16

/* The most rows that a tile of so many vectors has. */
#if VL == 16
#define TILE_ROWS(width) ((width) == 1 ? 24 : (width) == 2 ? 14 : 9)
#elif VECTOR_REGISTERS == 32
#define TILE_ROWS(width) ((width) == 1 ? 16 : (width) == 2 ? 12 : 8)
#elif VL == 8
#define TILE_ROWS(width) ((width) == 1 ? 12 : (width) == 2 ? 6 : 4)
#else
#define TILE_ROWS(width) ((width) == 1 ? 8 : (width) == 2 ? 5 : 3)
#endif
#define TILE_WIDEST 3

/* Floats that a tile fetches while it goes through so many segments. */
INLINE i64 tile_fetches(i64 segments, i64 length, i64 pace) { return segments * (length / 4) * pace * CACHE_LINE; }

/* Any number of rows with one panel, `width` vectors wide: as few tiles as will do, all of nearly the same height. */
void tile_rows(const tile *t, i64 rows, i64 width);

/* How columns are cut into panels: pairs of vectors, and one of three or one at the end where their number is odd.
 * Panel p starts at column p * 2 * VL, in memory at p * k * 2 * VL of the packed B. */
INLINE i64 panel_count(i64 columns) { return most(columns > VL ? (columns + VL - 1) / VL / 2 : 1, 1); }
INLINE i64 panel_width(i64 columns, i64 p) {
    i64 vectors = (columns + VL - 1) / VL;
    return p + 1 < panel_count(columns) ? 2 : vectors - 2 * p;
}
INLINE i64 panel_columns(i64 columns, i64 p) { return least(panel_width(columns, p) * VL, columns - 2 * p * VL); }
/* Floats of the packed form of a [k][columns] matrix. */
INLINE i64 packed_size(i64 k, i64 columns) { return k * ((columns + VL - 1) / VL * VL); }

/* Packs a part of panel p: rows of B from `first`, `count` of them, that stand at b, b + stride, ... in B's own form
 * (a row = `columns` floats of all panels). */
void pack_rows(const float *b, i64 stride, i64 columns, i64 k, i64 first, i64 count, i64 p, float *packed);
/* The same from a B that is transposed: column j of B stands at b + j * stride, its rows one after another. */
void pack_columns(const float *b, i64 stride, i64 columns, i64 k, i64 first, i64 count, i64 p, float *packed);

#endif
