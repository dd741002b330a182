/* Formulas over tables: short rows packed into long ones, and an interpreter for every formula there is.
 *
 * The interpreter works through a row in blocks that stay in the first-level cache. An instruction is a function over
 * a block, its arguments are vectors (V) or single numbers (S) that hold for the whole row:
 *
 *     code      multiply_add VSV  r0 <- x0 * k0 + x1
 *               maximum VS        y  <- max(r0, k1)
 *     slots     x0 x1 (operands, results the last) | k0 k1 (literals) | r0 (registers)
 *
 * True and false are 1 and 0 inside; whole numbers are floats. at_least and at_most are maximum and minimum where the
 * second argument is no NaN.
 */
#include "formula.h"

#include "vmath.h"

enum { BLOCK_FLOATS = 1536, SCRATCH_FLOATS = 12288, FIELDS = 5, LONG_ROW = 256, TILE_FLOATS = 512 };

typedef void instruction(float *y, const float *pa, const float *pb, const float *pc, i64 n);

/* --- instructions --------------------------------------------------------------------------------------------------*/

#define WHOLE_V(x) load(p##x + i)
#define WHOLE_S(x) s##x
#define PART_V(x) load_part(p##x + i, n - i)
#define PART_S(x) s##x

#define INSTRUCTION(name, A, B, C, formula)                                                                           \
    static void name##_##A##B##C(float *y, const float *pa, const float *pb, const float *pc, i64 n) {                \
        vec sa = all(*pa), sb = all(*pb), sc = all(*pc);                                                              \
        (void)sa, (void)sb, (void)sc;                                                                                 \
        i64 i = 0;                                                                                                    \
        for (; i + VL <= n; i += VL) {                                                                                \
            vec a = WHOLE_##A(a), b = WHOLE_##B(b), c = WHOLE_##C(c);                                                 \
            (void)a, (void)b, (void)c;                                                                                \
            store(y + i, formula);                                                                                    \
        }                                                                                                             \
        if (i < n) {                                                                                                  \
            vec a = PART_##A(a), b = PART_##B(b), c = PART_##C(c);                                                    \
            (void)a, (void)b, (void)c;                                                                                \
            store_part(y + i, formula, n - i);                                                                        \
        }                                                                                                             \
    }

#define ONE(name, formula) INSTRUCTION(name, V, S, S, formula)
#define TWO(name, formula) INSTRUCTION(name, V, V, S, formula) INSTRUCTION(name, V, S, S, formula)
#define BOTH_WAYS(name, formula) TWO(name, formula) INSTRUCTION(name, S, V, S, formula)
#define THREE(name, formula)                                                                                          \
    INSTRUCTION(name, V, V, V, formula)                                                                               \
    INSTRUCTION(name, V, V, S, formula) INSTRUCTION(name, V, S, V, formula) INSTRUCTION(name, V, S, S, formula)

#define TRUTH(m) keep(m, all(1.0f))
#define IF(condition, yes, no) choose(equals(condition, zeros()), no, yes)

#define EVERY_INSTRUCTION(ONE, TWO, BOTH_WAYS, THREE)                                                                 \
    TWO(add, a + b)                                                                                                   \
    BOTH_WAYS(subtract, a - b)                                                                                        \
    TWO(multiply, a *b)                                                                                               \
    BOTH_WAYS(divide, a / b)                                                                                          \
    BOTH_WAYS(power, v_power(a, b))                                                                                   \
    TWO(maximum, larger(a, b))                                                                                        \
    TWO(minimum, smaller(a, b))                                                                                       \
    TWO(at_least, max_or_second(b, a))                                                                                \
    TWO(at_most, min_or_second(b, a))                                                                                 \
    BOTH_WAYS(greater, TRUTH(greater(a, b)))                                                                          \
    BOTH_WAYS(greater_equal, TRUTH(not_less(a, b)))                                                                   \
    TWO(equal, TRUTH(equals(a, b)))                                                                                   \
    TWO(both, IF(a, IF(b, all(1.0f), zeros()), zeros()))                                                              \
    THREE(where, IF(a, b, c))                                                                                         \
    THREE(multiply_add, a *b + c)                                                                                     \
    THREE(multiply_subtract, a *b - c)                                                                                \
    THREE(subtract_multiply, c - a * b)                                                                               \
    ONE(copy, a)                                                                                                      \
    ONE(truth, IF(a, all(1.0f), zeros()))                                                                             \
    ONE(negative, -a)                                                                                                 \
    ONE(absolute, magnitude(a))                                                                                       \
    ONE(exp, v_exp(a))                                                                                                \
    ONE(expm1, v_expm1(a))                                                                                            \
    ONE(log, v_log(a))                                                                                                \
    ONE(log1p, v_log1p(a))                                                                                            \
    ONE(sqrt, root(a))                                                                                                \
    ONE(tanh, v_tanh(a))                                                                                              \
    ONE(erf, v_erf(a))                                                                                                \
    ONE(sin, v_sin(a))                                                                                                \
    ONE(cos, v_cos(a))                                                                                                \
    ONE(tan, v_tan(a))                                                                                                \
    ONE(asin, v_asin(a))                                                                                              \
    ONE(acos, v_acos(a))                                                                                              \
    ONE(atan, v_atan(a))                                                                                              \
    ONE(sinh, v_sinh(a))                                                                                              \
    ONE(cosh, v_cosh(a))                                                                                              \
    ONE(asinh, v_asinh(a))                                                                                            \
    ONE(acosh, v_acosh(a))                                                                                            \
    ONE(atanh, v_atanh(a))                                                                                            \
    ONE(sign, v_sign(a))                                                                                              \
    ONE(floor, floors(a))                                                                                             \
    ONE(nearest, nearest(a))                                                                                          \
    ONE(logistic, v_logistic(a))                                                                                      \
    ONE(softplus, v_softplus(a))

EVERY_INSTRUCTION(ONE, TWO, BOTH_WAYS, THREE)

static void spread(float *y, const float *pa, const float *pb, const float *pc, i64 n) {
    (void)pb, (void)pc;
    for (i64 i = 0; i < n; i++) y[i] = *pa;
}

/* The instructions by number and, for Python, by name: "add VV", "add V". */
#define NAMED_ONE(name, f) "\n" #name " V"
#define NAMED_TWO(name, f) "\n" #name " VV\n" #name " VS"
#define NAMED_BOTH(name, f) NAMED_TWO(name, f) "\n" #name " SV"
#define NAMED_THREE(name, f) "\n" #name " VVV\n" #name " VVS\n" #name " VSV\n" #name " VSS"
EXPORT const char formula_instructions[] =
    "spread S" EVERY_INSTRUCTION(NAMED_ONE, NAMED_TWO, NAMED_BOTH, NAMED_THREE);

#define AT_ONE(name, f) name##_VSS,
#define AT_TWO(name, f) name##_VVS, name##_VSS,
#define AT_BOTH(name, f) AT_TWO(name, f) name##_SVS,
#define AT_THREE(name, f) name##_VVV, name##_VVS, name##_VSV, name##_VSS,
static instruction *const instructions[] = {spread, EVERY_INSTRUCTION(AT_ONE, AT_TWO, AT_BOTH, AT_THREE)};

/* --- the interpreter -----------------------------------------------------------------------------------------------*/

static void to_floats(float *y, const char *from, i64 kind, i64 n) {
    if (kind == BYTES)
        for (i64 i = 0; i < n; i++) y[i] = (float)(((const uint8_t *)from)[i] != 0);
    else
        for (i64 i = 0; i < n; i++) y[i] = (float)((const int32_t *)from)[i];
}

static void from_floats(char *y, const float *from, i64 kind, i64 n) {
    if (kind == BYTES)
        for (i64 i = 0; i < n; i++) ((uint8_t *)y)[i] = from[i] != 0;
    else
        for (i64 i = 0; i < n; i++) ((int32_t *)y)[i] = (int32_t)from[i];
}

/* Code: instruction, y, a, b, c for each; y, a, b and c are slots, a negative y ~y one that holds a single number. */
static void run_code(const formula_task *f, float *const *slot, i64 n) {
    const i64 *at = f->code;
    for (i64 k = 0; k < f->instructions; k++, at += FIELDS) {
        int single = at[1] < 0;
        instructions[at[0]](slot[single ? ~at[1] : at[1]], slot[at[2]], slot[at[3]], slot[at[4]], single ? 1 : n);
    }
}

static i64 item(const formula_operand *x) { return x->kind == BYTES ? 1 : 4; }

/* Bytes from an element to the next in the rows that loop gets. */
static i64 step_of(const formula_operand *x) { return x->spread ? item(x) : x->column; }

/* A row of n elements, operand i from at[i] on. The slots of operands that are no floats point to blocks of scratch. */
static void interpret_row(const formula_task *f, char *const *at, i64 n, i64 block, float **slot) {
    const formula_operand *x = f->operands;
    i64 result = f->count - f->results;
    for (i64 start = 0; start < n; start += block) {
        i64 some = least(block, n - start);
        for (i64 i = 0; i < f->count; i++) {
            char *from = at[i] + start * step_of(x + i);
            if (x[i].kind == FLOATS)
                slot[i] = (float *)from;
            else if (i < result)
                to_floats(slot[i], from, x[i].kind, step_of(x + i) ? some : 1);
        }
        run_code(f, slot, some);
        if (x[result].kind != FLOATS)
            from_floats(at[result] + start * x[result].column, slot[result], x[result].kind, some);
    }
}

/* Any formula. Registers and converted operands are blocks on the stack: 48 KB of it at most, or 64 floats each. */
EXPORT void formula_interpret(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns) {
    i64 converted = 0;
    for (i64 i = 0; i < f->count; i++) converted += f->operands[i].kind != FLOATS;
    i64 blocks = most(f->registers + converted, 1);
    i64 block = most(least(BLOCK_FLOATS, SCRATCH_FLOATS / blocks), 64) & -64;
    if (columns < block) block = (columns + 15) & -16;
    float memory[blocks * block + 16] __attribute__((aligned(64)));
    float *slot[f->count + f->literal_count + f->registers], *free = memory;
    char *here[f->count];
    for (i64 i = 0; i < f->count; i++) {
        here[i] = at[i];
        if (f->operands[i].kind != FLOATS) slot[i] = free, free += block;
    }
    for (i64 i = 0; i < f->literal_count; i++) slot[f->count + i] = (float *)f->literals + i;
    for (i64 i = 0; i < f->registers; i++) slot[f->count + f->literal_count + i] = free + i * block;
    for (i64 r = 0; r < rows; r++) {
        interpret_row(f, here, columns, block, slot);
        for (i64 i = 0; i < f->count; i++) here[i] += row[i];
    }
}

/* --- tables --------------------------------------------------------------------------------------------------------*/

/* A row, as often as there is room for. */
static void repeat_row(char *to, const char *row, i64 bytes, i64 times) {
    memcpy(to, row, (size_t)bytes);
    for (i64 done = 1; done < times; done *= 2)
        memcpy(to + done * bytes, to, (size_t)(bytes * least(done, times - done)));
}

/* One number of each row, as often as there are columns. Vectors reach into the row that is written next, or into what
 * lies behind the last row. */
static void spread_rows(char *to, const char *from, i64 step, i64 size, i64 rows, i64 columns) {
    for (i64 r = 0; r < rows; r++, from += step, to += columns * size) {
        if (size == 1)
            memset(to, *from, (size_t)columns);
        else
            for (i64 c = 0; c < columns; c += VL) istore((int32_t *)to + c, iall(*(const int32_t *)from));
    }
}

/* Rows a tile holds: some hundred floats, and whole vectors of them where rows are very short. */
static i64 tile_rows(i64 rows, i64 columns) {
    i64 height = (TILE_FLOATS + columns - 1) / columns;
    if (columns <= 64)
        while (height * columns % VL) height++;
    return least(height, rows);
}

/* Tiles of `height` rows, each handed on as one long row: what is the same in every row is repeated once, what is one
 * number a row is spread for each tile. */
static NOINLINE void packed(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns, i64 height) {
    i64 count = f->count, wide = (height * columns * 4 + 63 + 4 * VL) & -64;
    char memory[count * wide] __attribute__((aligned(64)));
    char *here[count];
    i64 step[count], spread = 0;
    for (i64 i = 0; i < count; i++) {
        const formula_operand *x = f->operands + i;
        here[i] = x->spread || (x->column && !row[i]) ? memory + i * wide : at[i];
        step[i] = here[i] == at[i] ? row[i] * height : 0;
        if (x->spread)
            spread = 1;
        else if (here[i] != at[i])
            repeat_row(here[i], at[i], columns * item(x), height);
    }
    i64 together = spread ? 1 : rows / height;
    for (i64 r = 0; r < rows;) {
        i64 tall = least(height, rows - r);
        for (i64 i = 0; spread && i < count; i++)
            if (f->operands[i].spread)
                spread_rows(here[i], at[i] + r * row[i], row[i], item(f->operands + i), tall, columns);
        f->loop(f, here, step, tall == height ? together : 1, tall * columns);
        i64 done = tall == height ? together * height : tall;
        r += done;
        for (i64 i = 0; i < count; i++) here[i] += step[i] ? row[i] * done : 0;
    }
}

EXPORT void formula_table(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns) {
    int spread = 0, repeated = 0, by_row = 0, strided = 0;
    for (i64 i = 0; i < f->count; i++) {
        const formula_operand *x = f->operands + i;
        spread |= x->spread != 0;
        by_row |= !x->spread && !x->column && row[i];
        repeated |= x->column && !row[i];
        strided |= x->column && row[i] && row[i] != columns * x->column;
    }
    if (!spread && !by_row && !repeated && !strided)
        f->loop(f, at, row, 1, rows * columns);
    else if (!spread && (by_row || strided || columns >= LONG_ROW || rows == 1))
        f->loop(f, at, row, rows, columns);
    else
        packed(f, at, row, rows, columns, strided ? 1 : tile_rows(rows, columns));
}

EXPORT void formula_block(const formula_task *f, i64 first_row, i64 rows, i64 first_column, i64 columns,
                          const void *tile, i64 tile_row) {
    char *at[f->count];
    i64 row[f->count];
    while (rows > 0) {
        i64 run = rows;
        for (i64 i = 0; i < f->count; i++) {
            const formula_operand *x = f->operands + i;
            i64 place = x->every > 1 ? first_row / x->every : first_row;
            if (place >= x->period) place %= x->period;
            at[i] = x->base + place * x->row + first_column * x->column;
            row[i] = x->every > 1 || x->period == 1 ? 0 : x->row;
            if (x->period > 1) run = least(run, x->every > 1 ? x->every - first_row % x->every : x->period - place);
        }
        if (tile) {
            at[f->place] = (char *)tile;
            row[f->place] = tile_row;
            tile = (const char *)tile + run * tile_row;
        }
        formula_table(f, at, row, run, columns);
        first_row += run;
        rows -= run;
    }
}

TASK(formula_task);
TASK(formula_operand);
