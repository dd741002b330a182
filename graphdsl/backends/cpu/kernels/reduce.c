/* Sums of formulas over axes; a plain sum is the sum of the formula x.
 *
 * After neighbouring axes have been merged, the innermost axis is either kept or summed over:
 *
 *     kept:  tables [rows summed, columns kept]       e.g. [N H W, C] over all but the last axis: one sum a column
 *     summed: tables [rows kept, columns summed]      e.g. [N, C] over the last axis: one sum a row
 *
 * and there is such a table for each place on the outer axes, of which some are kept, others summed over. Short rows
 * of column sums are joined into long ones first. Blocks of some ten thousand numbers are summed in float32, blocks are
 * added up in double. Threads share what is kept where there is enough of it; else each sums a share of the work into
 * sums of its own, which reduce_combine adds in the order of the threads.
 *
 * Means and variances are such sums of x and x², taken block by block: of what numbers differ by from the mean of the
 * block before (the first block from its own, which takes a second pass), so that nothing cancels.
 *
 * A formula without sums made for it (sums_*.c) is worked out for a tile of 32 KB, which is then summed.
 */
#include "sums.h"

enum { WIDE = 256, CHUNK = 2048, BLOCK_ROWS = 128, TILE = 8192, ROW_CHUNK = 256 * VL, GROUP = 64 };

enum { SHARE_KEPT, SHARE_COLUMNS, SHARE_SUMMED };

typedef struct {
    const formula_task *formula;         /* operands and literals of all; its loop is not used */
    sums_of *sums;                       /* NULL: each of formulas is worked out for a tile */
    const formula_task *const *formulas; /* each has the tile for its result */
    const i64 *const *reads;             /* for each of formulas its operands, as numbers among those of all */
    float *const *outputs;
    const i64 *kept_sizes, *kept_strides, *summed_sizes, *summed_strides; /* outer axes; strides [operand][axis] */
    i64 count, operands, kept_axes, summed_axes, kept, summed, rows, columns, outputs_size, sharing;
    i64 centred; /* how many numbers mean and variance, the outputs, are of; 0: the outputs are sums */
} reduce_task;

TASK(reduce_task);

COLUMN_SUMS_1(plain_column_sums, LITERALS_0, 1, v, s[0] += x0)
ROW_SUMS_1(plain_row_sums, LITERALS_0, 1, v, s[0] += x0)
COLUMN_SUMS_2(centred_column_sums, LITERALS_0, 2, v, v, vec d = x0 - x1; s[0] += d; s[1] += d * d)
ROW_SUMS_2(centred_row_sums, LITERALS_0, 2, v, s, vec d = x0 - x1; s[0] += d; s[1] += d * d)

/* A thread's scratch. */
typedef struct {
    double *total;     /* [count][CHUNK] */
    float *some;       /* [MOST_SUMS][CHUNK] */
    float *tile;       /* [TILE] */
    char *joined;      /* [operands][2 WIDE] */
    char **at, **here; /* [operands] */
    i64 *row, *step;
} desk;

static desk desk_in(const reduce_task *t, char *own) {
    desk d;
    d.total = (double *)own, own += t->count * CHUNK * 8;
    d.some = (float *)own, own += MOST_SUMS * CHUNK * 4;
    d.tile = (float *)own, own += TILE * 4;
    d.joined = own, own += t->operands * 2 * WIDE * 4;
    d.at = (char **)own, own += t->operands * 8;
    d.here = (char **)own, own += t->operands * 8;
    d.row = (i64 *)own, own += t->operands * 8;
    d.step = (i64 *)own;
    return d;
}

/* Where the operands begin in the table of these places on the outer axes. */
static void find(const reduce_task *t, i64 kept, i64 summed, char **at, i64 *row) {
    for (i64 i = 0; i < t->operands; i++) {
        at[i] = t->formula->operands[i].base;
        row[i] = t->formula->operands[i].row;
    }
    for (i64 axis = t->kept_axes - 1; axis >= 0; kept /= t->kept_sizes[axis--])
        for (i64 i = 0; i < t->operands; i++)
            at[i] += kept % t->kept_sizes[axis] * t->kept_strides[i * t->kept_axes + axis];
    for (i64 axis = t->summed_axes - 1; axis >= 0; summed /= t->summed_sizes[axis--])
        for (i64 i = 0; i < t->operands; i++)
            at[i] += summed % t->summed_sizes[axis] * t->summed_strides[i * t->summed_axes + axis];
}

/* Sums of a block of at most TILE numbers where there are no sums made for the formulas. */
static void by_tiles(const reduce_task *t, desk *d, char *const *at, const i64 *row, i64 rows, i64 columns,
                     float *const *sums, sums_of *plain) {
    char *places[t->operands + 1];
    i64 steps[t->operands + 1], wide = columns * 4;
    for (i64 j = 0; j < t->count; j++) {
        const formula_task *f = t->formulas[j];
        for (i64 i = 0; i < f->count - 1; i++) {
            places[i] = at[t->reads[j][i]];
            steps[i] = row[t->reads[j][i]];
        }
        places[f->count - 1] = (char *)d->tile;
        steps[f->count - 1] = wide;
        formula_table(f, places, steps, rows, columns);
        plain(0, (char *const[]){(char *)d->tile}, &wide, rows, columns, sums + j);
    }
}

/* What `n` numbers add to the sums of x and x², where the sums of what they differ by from some centre, and of its
 * square, are known. Exact to double but for the differences, which are small. */
static void add_centred(double *x, double *squares, double n, float centre, float difference, float square) {
    double m = centre, d = difference;
    *x += n * m + d;
    *squares += (double)square + 2 * m * d + n * m * m;
}

/* The outputs at a place: sums, or mean and variance. */
static void finish(const reduce_task *t, i64 at, const double *total, i64 step) {
    if (!t->centred) {
        for (i64 j = 0; j < t->count; j++) t->outputs[j][at] = (float)total[j * step];
        return;
    }
    double n = (double)t->centred, mean = total[0] / n, variance = total[step] / n - mean * mean;
    t->outputs[0][at] = (float)mean;
    t->outputs[1][at] = (float)(variance < 0 ? 0 : variance);
}

/* Or, where threads add up later, what this thread has found. */
static void keep_total(const reduce_task *t, i64 at, const double *total, double *partial) {
    if (!partial)
        finish(t, at, total, CHUNK);
    else
        for (i64 j = 0; j < t->count; j++) partial[j * t->outputs_size + at] = total[j * CHUNK];
}

/* --- one sum a column ----------------------------------------------------------------------------------------------*/

/* How many rows to join so that they are long: operands must be full, or the same in every row. */
static i64 joining(const reduce_task *t, const i64 *row, i64 rows, i64 columns) {
    i64 join = (WIDE + columns - 1) / columns;
    if (columns <= 64)
        while (join * columns % VL) join++;
    if (columns >= WIDE || rows < 2 * join || join * columns > 2 * WIDE) return 1;
    for (i64 i = 0; i < t->operands; i++) {
        const formula_operand *x = t->formula->operands + i;
        if (x->column ? row[i] && row[i] != columns * x->column : row[i] != 0) return 1;
    }
    return join;
}

/* Adds the sums of joined rows, `join` of them side by side, to the totals. */
static void add_totals(const reduce_task *t, desk *d, i64 join, i64 columns) {
    for (i64 j = 0; j < t->count; j++) {
        double *total = d->total + j * CHUNK;
        const float *some = d->some + j * CHUNK;
        for (i64 k = 0; k < join; k++)
            for (i64 c = 0; c < columns; c++) total[c] += (double)some[k * columns + c];
    }
}

/* The same for means and variances of a block of x. centre: what numbers differ from, near their mean: that of the
 * block before, for the first block its own. */
static void add_centred_rows(desk *d, char *const *at, const i64 *row, i64 rows, i64 join, i64 columns, int first) {
    i64 wide = join * columns;
    float *sum = d->some, *difference = sum + CHUNK, *square = difference + CHUNK, *centre = square + CHUNK;
    if (first) {
        memset(sum, 0, (size_t)(wide * 4));
        plain_column_sums(0, at, row, rows, wide, &sum);
        for (i64 c = 0; c < wide; c++) centre[c] = isfinite(sum[c]) ? sum[c] / (float)rows : 0;
    }
    memset(difference, 0, (size_t)(wide * 4));
    memset(square, 0, (size_t)(wide * 4));
    centred_column_sums(0, (char *const[]){at[0], (char *)centre}, (const i64[]){row[0], 0}, rows, wide,
                        (float *const[]){difference, square});
    for (i64 k = 0; k < wide; k += columns)
        for (i64 c = 0; c < columns; c++)
            add_centred(d->total + c, d->total + CHUNK + c, (double)rows, centre[k + c], difference[k + c],
                        square[k + c]);
    for (i64 c = 0; c < wide; c++)
        centre[c] = isfinite(difference[c]) ? centre[c] + difference[c] / (float)rows : centre[c];
}

/* Adds the sums of `rows` long rows, each `join` rows of a table, to the totals. */
static void add_rows(const reduce_task *t, desk *d, char **at, const i64 *row, i64 rows, i64 join, i64 columns) {
    i64 wide = join * columns;
    i64 most_rows = t->sums || t->centred ? BLOCK_ROWS : most(least(BLOCK_ROWS, TILE / wide), 1);
    float *sums[MOST_SUMS];
    for (i64 j = 0; j < t->count; j++) sums[j] = d->some + j * CHUNK;
    for (i64 first = 0; first < rows; first += most_rows) {
        i64 some = least(most_rows, rows - first);
        if (t->centred) {
            add_centred_rows(d, at, row, some, join, columns, first == 0);
        } else {
            for (i64 j = 0; j < t->count; j++) memset(sums[j], 0, (size_t)(wide * 4));
            if (t->sums)
                t->sums(t->formula, at, row, some, wide, sums);
            else
                by_tiles(t, d, at, row, some, wide, sums, plain_column_sums);
            add_totals(t, d, join, columns);
        }
        for (i64 i = 0; i < t->operands; i++) at[i] += some * row[i];
    }
}

/* Adds the sums of a table's rows to the totals; moves d->at. */
static void add_table(const reduce_task *t, desk *d, i64 rows, i64 columns) {
    i64 join = joining(t, d->row, rows, columns);
    if (join > 1) {
        for (i64 i = 0; i < t->operands; i++) {
            const formula_operand *x = t->formula->operands + i;
            i64 bytes = columns * x->column;
            d->here[i] = d->at[i];
            d->step[i] = d->row[i] * join;
            if (!bytes || d->row[i]) continue;
            d->here[i] = d->joined + i * 2 * WIDE * 4;
            for (i64 k = 0; k < join; k++) memcpy(d->here[i] + k * bytes, d->at[i], (size_t)bytes);
        }
        add_rows(t, d, d->here, d->step, rows / join, join, columns);
        for (i64 i = 0; i < t->operands; i++) d->at[i] += rows / join * d->step[i];
        rows %= join;
    }
    if (rows) add_rows(t, d, d->at, d->row, rows, 1, columns);
}

/* Columns first to last of a place that is kept, over the summed places from begin to end (rows of all its tables). */
static void sum_columns(const reduce_task *t, desk *d, i64 kept, i64 first, i64 last, i64 begin, i64 end,
                        double *partial) {
    for (; first < last; first += CHUNK) {
        i64 columns = least(CHUNK, last - first);
        for (i64 j = 0; j < t->count; j++) memset(d->total + j * CHUNK, 0, (size_t)(columns * 8));
        for (i64 place = begin; place < end;) {
            i64 table = place / t->rows, row = place % t->rows, rows = least(t->rows - row, end - place);
            find(t, kept, table, d->at, d->row);
            for (i64 i = 0; i < t->operands; i++)
                d->at[i] += row * d->row[i] + first * t->formula->operands[i].column;
            add_table(t, d, rows, columns);
            place += rows;
        }
        for (i64 c = 0; c < columns; c++) keep_total(t, kept * t->columns + first + c, d->total + c, partial);
    }
}

static double *partial_of(const reduce_task *t, const context *own) {
    return (double *)own->shared + own->thread * t->count * t->outputs_size;
}

EXPORT void reduce_columns(const void *task, const context *own) {
    const reduce_task *t = task;
    desk d = desk_in(t, own->own);
    i64 first = 0, last = t->columns, from = 0, to = t->kept, begin = 0, end = t->summed * t->rows;
    if (t->sharing == SHARE_KEPT) share(t->kept, own, &from, &to);
    if (t->sharing == SHARE_COLUMNS) share_units(t->columns, 16, own, &first, &last);
    if (t->sharing == SHARE_SUMMED) share_units(end, 16, own, &begin, &end);
    double *partial = t->sharing == SHARE_SUMMED ? partial_of(t, own) : 0;
    for (i64 kept = from; kept < to; kept++) sum_columns(t, &d, kept, first, last, begin, end, partial);
}

/* --- one sum a row -------------------------------------------------------------------------------------------------*/

/* Adds the sums of x and x² over `columns` columns of some rows to the totals. */
static void add_centred_columns(desk *d, char *const *at, const i64 *row, i64 rows, i64 columns) {
    float *sum = d->some, *difference = sum + CHUNK, *square = difference + CHUNK, *mean = square + CHUNK;
    plain_row_sums(0, at, row, rows, columns, &sum);
    for (i64 r = 0; r < rows; r++) mean[r] = isfinite(sum[r]) ? sum[r] / (float)columns : 0;
    centred_row_sums(0, (char *const[]){at[0], (char *)mean}, (const i64[]){row[0], 4}, rows, columns,
                     (float *const[]){difference, square});
    for (i64 r = 0; r < rows; r++)
        add_centred(d->total + r, d->total + CHUNK + r, (double)columns, mean[r], difference[r], square[r]);
}

/* Adds the sums over columns first to last of `rows` rows to the totals. */
static void add_row_sums(const reduce_task *t, desk *d, i64 rows, i64 first, i64 last) {
    i64 chunk = t->sums ? ROW_CHUNK : least(ROW_CHUNK, TILE / rows);
    float *sums[MOST_SUMS];
    for (i64 j = 0; j < t->count; j++) sums[j] = d->some + j * CHUNK;
    for (i64 c = first; c < last; c += chunk) {
        i64 columns = least(chunk, last - c);
        for (i64 i = 0; i < t->operands; i++) d->here[i] = d->at[i] + c * t->formula->operands[i].column;
        if (t->centred) {
            add_centred_columns(d, d->here, d->row, rows, columns);
            continue;
        }
        if (t->sums)
            t->sums(t->formula, d->here, d->row, rows, columns, sums);
        else
            by_tiles(t, d, d->here, d->row, rows, columns, sums, plain_row_sums);
        for (i64 j = 0; j < t->count; j++)
            for (i64 r = 0; r < rows; r++) d->total[j * CHUNK + r] += (double)sums[j][r];
    }
}

/* Rows row to row + rows of a place that is kept, over these of its tables and columns. */
static void sum_rows(const reduce_task *t, desk *d, i64 kept, i64 row, i64 rows, const i64 *tables, i64 first, i64 last,
                     double *partial) {
    for (i64 j = 0; j < t->count; j++) memset(d->total + j * CHUNK, 0, (size_t)(rows * 8));
    for (i64 table = tables[0]; table < tables[1]; table++) {
        find(t, kept, table, d->at, d->row);
        for (i64 i = 0; i < t->operands; i++) d->at[i] += row * d->row[i];
        add_row_sums(t, d, rows, first, last);
    }
    for (i64 r = 0; r < rows; r++) keep_total(t, kept * t->rows + row + r, d->total + r, partial);
}

EXPORT void reduce_rows(const void *task, const context *own) {
    const reduce_task *t = task;
    desk d = desk_in(t, own->own);
    i64 first = 0, last = t->columns, place = 0, end = t->kept * t->rows, tables[2] = {0, t->summed};
    if (t->sharing == SHARE_KEPT) share(end, own, &place, &end);
    if (t->sharing == SHARE_COLUMNS) share_units(t->columns, 64, own, &first, &last);
    if (t->sharing == SHARE_SUMMED) share(t->summed, own, tables, tables + 1);
    double *partial = t->sharing == SHARE_KEPT ? 0 : partial_of(t, own);
    while (place < end) {
        i64 kept = place / t->rows, row = place % t->rows;
        i64 rows = least(least(GROUP, t->rows - row), end - place);
        sum_rows(t, &d, kept, row, rows, tables, first, last, partial);
        place += rows;
    }
}

/* Adds up what the threads have found, each in its place, in the order of the threads. */
EXPORT void reduce_combine(const void *task, const context *own) {
    const reduce_task *t = task;
    i64 first, last, all_sums = t->count * t->outputs_size;
    share_units(t->outputs_size, 16, own, &first, &last);
    for (i64 at = first; at < last; at++) {
        double total[MOST_SUMS] = {0};
        for (i64 j = 0; j < t->count; j++)
            for (i64 thread = 0; thread < own->threads; thread++)
                total[j] += ((double *)own->shared)[thread * all_sums + j * t->outputs_size + at];
        finish(t, at, total, 1);
    }
}
