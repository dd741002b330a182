/* Sums of formulas over a table, all formulas of one pass together: COLUMN_SUMS_n and ROW_SUMS_n, n operands.
 *
 *     columns: four rows at a time, added to one sum a column          rows: four vectors at a time, one sum a row
 *
 *        x  [ row r   ........................ ]                          [ VL ][ VL ][ VL ][ VL ] …  -> sums[r]
 *           [ row r+1 ........................ ]
 *           [ row r+2 ........................ ]
 *           [ row r+3 ........................ ]
 *     sums += [ c .. c+VL ][ … ]
 *
 * Column sums are added to what is there; row sums are stored. In float32: callers give blocks and add up in double.
 * adds: s[0] += formula; s[1] += formula; …   Literals and operand letters are as in loops.h.
 */
#ifndef SUMS_H
#define SUMS_H

#include "loops.h"

enum { STRIP = 4, MOST_SUMS = 4 };

/* The table's operands, literals through f. sums: for each formula its sums. */
typedef void sums_of(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns, float *const *sums);

#define BASE_v(i) const char *p##i = at[i] + r * row[i];                                                              \
    const i64 step##i = row[i];
#define BASE_s(i) BASE_v(i)
#define BASE_i(i) BASE_v(i)
#define BASE_j(i) BASE_v(i)
#define BASE_b(i) BASE_v(i)
#define BASE_t(i) BASE_v(i)
/* Row r + u from column c on, all of a vector or n of it. */
#define STRIP_v(i) const vec x##i = load((const float *)(p##i + u * step##i) + c);
#define STRIP_s(i) const vec x##i = all(*(const float *)(p##i + u * step##i));
#define STRIP_i(i) const vec x##i = to_float(iload((const int32_t *)(p##i + u * step##i) + c));
#define STRIP_j(i) const vec x##i = all((float)*(const int32_t *)(p##i + u * step##i));
#define STRIP_b(i) const mask x##i = truths((const uint8_t *)(p##i + u * step##i) + c);
#define STRIP_t(i) const mask x##i = truth_everywhere(*(const uint8_t *)(p##i + u * step##i));
#define STRIP_PART_v(i) const vec x##i = load_part((const float *)(p##i + u * step##i) + c, n);
#define STRIP_PART_s(i) STRIP_s(i)
#define STRIP_PART_i(i) const vec x##i = to_float(iload_part((const int32_t *)(p##i + u * step##i) + c, n));
#define STRIP_PART_j(i) STRIP_j(i)
#define STRIP_PART_b(i) const mask x##i = truths_part((const uint8_t *)(p##i + u * step##i) + c, n);
#define STRIP_PART_t(i) STRIP_t(i)
#define COLUMN_SUMS(name, literals, count, BASES, STRIPS, PARTS, adds)                                                \
    EXPORT void name(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns,                   \
                     float *const *sums) {                                                                            \
        (void)f;                                                                                                      \
        literals                                                                                                      \
        for (i64 r = 0, tall; r < rows; r += tall) {                                                                  \
            tall = rows - r >= STRIP ? STRIP : 1;                                                                     \
            BASES                                                                                                     \
            i64 c = 0;                                                                                                \
            for (; tall == STRIP && c + VL <= columns; c += VL) {                                                     \
                vec s[count];                                                                                         \
                UNROLL for (int j = 0; j < count; j++) s[j] = load(sums[j] + c);                                      \
                UNROLL for (i64 u = 0; u < STRIP; u++) {                                                              \
                    STRIPS adds;                                                                                      \
                }                                                                                                     \
                UNROLL for (int j = 0; j < count; j++) store(sums[j] + c, s[j]);                                      \
            }                                                                                                         \
            for (; c < columns; c += VL) {                                                                            \
                const i64 n = least(VL, columns - c);                                                                 \
                vec s[count];                                                                                         \
                UNROLL for (int j = 0; j < count; j++) s[j] = load_part(sums[j] + c, n);                              \
                for (i64 u = 0; u < tall; u++) {                                                                      \
                    PARTS adds;                                                                                       \
                }                                                                                                     \
                UNROLL for (int j = 0; j < count; j++) store_part(sums[j] + c, s[j], n);                              \
            }                                                                                                         \
        }                                                                                                             \
    }

#define ROW_SUMS(name, literals, count, BASES, STRIPS, PARTS, adds)                                                   \
    EXPORT void name(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns,                   \
                     float *const *sums) {                                                                            \
        (void)f;                                                                                                      \
        literals                                                                                                      \
        for (i64 r = 0; r < rows; r++) {                                                                              \
            BASES                                                                                                     \
            const i64 u = 0;                                                                                          \
            vec lanes[STRIP][count];                                                                                  \
            UNROLL for (int k = 0; k < STRIP * count; k++) lanes[k / count][k % count] = zeros();                     \
            i64 c = 0, last = columns - columns % (STRIP * VL);                                                       \
            while (c < last) {                                                                                        \
                UNROLL for (int v = 0; v < STRIP; v++, c += VL) {                                                     \
                    vec *s = lanes[v];                                                                                \
                    STRIPS adds;                                                                                      \
                }                                                                                                     \
            }                                                                                                         \
            for (; c < columns; c += VL) {                                                                            \
                const i64 n = least(VL, columns - c);                                                                 \
                vec s[count];                                                                                         \
                UNROLL for (int j = 0; j < count; j++) s[j] = zeros();                                                \
                PARTS adds;                                                                                           \
                UNROLL for (int j = 0; j < count; j++) lanes[0][j] += keep(first_lanes(n), s[j]);                     \
            }                                                                                                         \
            UNROLL for (int j = 0; j < count; j++)                                                                    \
                sums[j][r] = sum_lanes((lanes[0][j] + lanes[1][j]) + (lanes[2][j] + lanes[3][j]));                    \
        }                                                                                                             \
    }

#define COLUMN_SUMS_1(name, literals, count, c0, adds)                                                                \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0), STRIP_##c0(0), STRIP_PART_##c0(0), adds)
#define ROW_SUMS_1(name, literals, count, c0, adds)                                                                   \
    ROW_SUMS(name, literals, count, BASE_##c0(0), STRIP_##c0(0), STRIP_PART_##c0(0), adds)
#define COLUMN_SUMS_2(name, literals, count, c0, c1, adds)                                                            \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1), STRIP_##c0(0) STRIP_##c1(1), STRIP_PART_##c0(0)     \
        STRIP_PART_##c1(1), adds)
#define ROW_SUMS_2(name, literals, count, c0, c1, adds)                                                               \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1), STRIP_##c0(0) STRIP_##c1(1), STRIP_PART_##c0(0)        \
        STRIP_PART_##c1(1), adds)
#define COLUMN_SUMS_3(name, literals, count, c0, c1, c2, adds)                                                        \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2), STRIP_##c0(0) STRIP_##c1(1)            \
        STRIP_##c2(2), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2), adds)
#define ROW_SUMS_3(name, literals, count, c0, c1, c2, adds)                                                           \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2), STRIP_##c0(0) STRIP_##c1(1)               \
        STRIP_##c2(2), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2), adds)
#define COLUMN_SUMS_4(name, literals, count, c0, c1, c2, c3, adds)                                                    \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3), STRIP_##c0(0)             \
        STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2)           \
        STRIP_PART_##c3(3), adds)
#define ROW_SUMS_4(name, literals, count, c0, c1, c2, c3, adds)                                                       \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3), STRIP_##c0(0)                \
        STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2)           \
        STRIP_PART_##c3(3), adds)
#define COLUMN_SUMS_5(name, literals, count, c0, c1, c2, c3, c4, adds)                                                \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4),              \
        STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4), STRIP_PART_##c0(0)                     \
        STRIP_PART_##c1(1) STRIP_PART_##c2(2) STRIP_PART_##c3(3) STRIP_PART_##c4(4), adds)
#define ROW_SUMS_5(name, literals, count, c0, c1, c2, c3, c4, adds)                                                   \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4), STRIP_##c0(0)   \
        STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4), STRIP_PART_##c0(0) STRIP_PART_##c1(1)                \
        STRIP_PART_##c2(2) STRIP_PART_##c3(3) STRIP_PART_##c4(4), adds)
#define COLUMN_SUMS_6(name, literals, count, c0, c1, c2, c3, c4, c5, adds)                                            \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4)               \
        BASE_##c5(5), STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4) STRIP_##c5(5),            \
        STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2) STRIP_PART_##c3(3) STRIP_PART_##c4(4)                \
        STRIP_PART_##c5(5), adds)
#define ROW_SUMS_6(name, literals, count, c0, c1, c2, c3, c4, c5, adds)                                               \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4) BASE_##c5(5),    \
        STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4) STRIP_##c5(5), STRIP_PART_##c0(0)       \
        STRIP_PART_##c1(1) STRIP_PART_##c2(2) STRIP_PART_##c3(3) STRIP_PART_##c4(4) STRIP_PART_##c5(5), adds)
#define COLUMN_SUMS_7(name, literals, count, c0, c1, c2, c3, c4, c5, c6, adds)                                        \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4)               \
        BASE_##c5(5) BASE_##c6(6), STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4)              \
        STRIP_##c5(5) STRIP_##c6(6), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2) STRIP_PART_##c3(3)      \
        STRIP_PART_##c4(4) STRIP_PART_##c5(5) STRIP_PART_##c6(6), adds)
#define ROW_SUMS_7(name, literals, count, c0, c1, c2, c3, c4, c5, c6, adds)                                           \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4) BASE_##c5(5)     \
        BASE_##c6(6), STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4) STRIP_##c5(5)             \
        STRIP_##c6(6), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2) STRIP_PART_##c3(3)                    \
        STRIP_PART_##c4(4) STRIP_PART_##c5(5) STRIP_PART_##c6(6), adds)
#define COLUMN_SUMS_8(name, literals, count, c0, c1, c2, c3, c4, c5, c6, c7, adds)                                    \
    COLUMN_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4)               \
        BASE_##c5(5) BASE_##c6(6) BASE_##c7(7), STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3)               \
        STRIP_##c4(4) STRIP_##c5(5) STRIP_##c6(6) STRIP_##c7(7), STRIP_PART_##c0(0) STRIP_PART_##c1(1)                \
        STRIP_PART_##c2(2) STRIP_PART_##c3(3) STRIP_PART_##c4(4) STRIP_PART_##c5(5) STRIP_PART_##c6(6)                \
        STRIP_PART_##c7(7), adds)
#define ROW_SUMS_8(name, literals, count, c0, c1, c2, c3, c4, c5, c6, c7, adds)                                       \
    ROW_SUMS(name, literals, count, BASE_##c0(0) BASE_##c1(1) BASE_##c2(2) BASE_##c3(3) BASE_##c4(4) BASE_##c5(5)     \
        BASE_##c6(6) BASE_##c7(7), STRIP_##c0(0) STRIP_##c1(1) STRIP_##c2(2) STRIP_##c3(3) STRIP_##c4(4)              \
        STRIP_##c5(5) STRIP_##c6(6) STRIP_##c7(7), STRIP_PART_##c0(0) STRIP_PART_##c1(1) STRIP_PART_##c2(2)           \
        STRIP_PART_##c3(3) STRIP_PART_##c4(4) STRIP_PART_##c5(5) STRIP_PART_##c6(6) STRIP_PART_##c7(7), adds)

#endif
