/* Formulas over whole tensors: tables of rows and columns, one for each place on the outer axes.
 *
 *     [outer 0, outer 1, …, rows, columns]      operand i of table (a, b, …) begins at base + a * stride 0 + b * …
 *
 * Threads share the rows of all tables, or the columns where rows are few.
 */
#include "formula.h"

#include "vector.h"

typedef struct {
    const formula_task *formula;
    const i64 *sizes;   /* of the outer axes */
    const i64 *strides; /* bytes, [operand][outer axis] */
    i64 axes, tables, rows, columns, by_columns;
} elementwise_task;

TASK(elementwise_task);

/* Where the operands begin in a table. */
static void find(const elementwise_task *t, i64 table, char **at, i64 *row) {
    const formula_task *f = t->formula;
    for (i64 i = 0; i < f->count; i++) {
        at[i] = f->operands[i].base;
        row[i] = f->operands[i].row;
    }
    for (i64 axis = t->axes - 1; axis >= 0; axis--) {
        i64 place = table % t->sizes[axis];
        table /= t->sizes[axis];
        for (i64 i = 0; i < f->count; i++) at[i] += place * t->strides[i * t->axes + axis];
    }
}

static void some_columns(const elementwise_task *t, const context *own, char **at, i64 *row) {
    const formula_task *f = t->formula;
    i64 first, last;
    share_units(t->columns, 64, own, &first, &last);
    for (i64 table = 0; first < last && table < t->tables; table++) {
        find(t, table, at, row);
        for (i64 i = 0; i < f->count; i++) at[i] += first * f->operands[i].column;
        formula_table(f, at, row, t->rows, last - first);
    }
}

EXPORT void elementwise(const void *task, const context *own) {
    const elementwise_task *t = task;
    const formula_task *f = t->formula;
    char *at[f->count];
    i64 row[f->count], first, last;
    if (t->by_columns) {
        some_columns(t, own, at, row);
        return;
    }
    share(t->tables * t->rows, own, &first, &last);
    while (first < last) {
        i64 table = t->tables == 1 ? 0 : first / t->rows, begin = first - table * t->rows;
        i64 rows = least(t->rows - begin, last - first);
        find(t, table, at, row);
        for (i64 i = 0; i < f->count; i++) at[i] += begin * row[i];
        formula_table(f, at, row, rows, t->columns);
        first += rows;
    }
}
