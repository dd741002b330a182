/* Formulas: an element of the result from the same element of each operand.
 *
 * A formula sees its operands and its result as tables of rows and columns, whose strides say how they are stretched:
 *
 *                          row     column    every  period
 *     [N, H, W, C]         4 C     4         1      N H W     full: the result always, most operands
 *     [C], [1, 1, 1, C]    0       4         1      1         the same in every row
 *     [N, 1, 1, C]         4 C     4         H W    N         the same in the H W rows of a sample
 *     [1, H, W, C]         4 C     4         1      H W       the same in every sample
 *     [N, H, W, 1]         4       0         1      N H W     one number a row
 *     []                   0       0         1      1         one number
 *
 * Row r of an operand lies at base + (r / every % period) * row. The work itself is done by `loop`, a function made for
 * this very formula (formulas_*.c) or the interpreter (formula.c); both want every operand to go on evenly from row to
 * row, and long rows. formula_table and formula_block see to that.
 *
 * A kernel that has just written rows of a result applies a formula to them while they are in the cache:
 *
 *     if (t->formula) formula_block(t->formula, first_row, rows, 0, channels, 0, 0);
 *
 * or gives a tile of its own scratch, of which the formula makes the rows of the result:
 *
 *     formula_block(t->formula, first_row, rows, first_channel, channels, tile, row_bytes);
 */
#ifndef FORMULA_H
#define FORMULA_H

#include "graphdsl.h"

enum { FLOATS, BYTES, INTS };

typedef struct {
    char *base;
    i64 row, column, every, period;
    i64 kind;   /* FLOATS, BYTES: true or false, INTS: int32 */
    i64 spread; /* one number a row, that loop wants as often as there are columns, because rows are short */
} formula_operand;

typedef struct formula_task {
    void (*loop)(const struct formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns);
    const formula_operand *operands; /* the results are the last */
    const float *literals;
    const i64 *code; /* for the interpreter */
    i64 count;       /* operands, the results among them */
    i64 results;     /* one, or several of floats; one may lie where an operand lies */
    i64 place;       /* the operand that a tile may stand for */
    i64 literal_count, instructions, registers;
} formula_task;

/* The table from the places `at` on, each going on by `row` bytes a row: packs short rows into long ones, then loop. */
void formula_table(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns);

/* Rows and columns of the result. tile: what stands for the operand number place, tile_row bytes from row to row; with
 * no tile that operand is read where it lies. */
void formula_block(const formula_task *f, i64 first_row, i64 rows, i64 first_column, i64 columns, const void *tile,
                   i64 tile_row);

#endif
