/* Loops for formulas that are known when the kernels are built: LOOP_n(name, literals, result, operands…, formula),
 * and LOOPS_n(name, literals, results, operands…, puts) for several of them, where puts is put(0, formula); put(1, …
 *
 *     LOOP_2(name, LITERALS_1, v, v, s, (x0 * x1) + k0)
 *
 *     row      x0 -----------------  x1 one number, in all lanes       k0 from the task, in all lanes
 *              [ VL ][ VL ][ VL ][n]   the last n elements by partial loads and stores
 *
 * v: floats along the row, s: one float a row; i: whole numbers, j: one of them a row; b: bytes that are true or false,
 * t: one of them a row.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include "formula.h"
#include "vmath.h"

#if VL == 16
INLINE mask not_zero(vec a) { return _mm512_cmp_ps_mask((__m512)a, _mm512_setzero_ps(), _CMP_NEQ_UQ); }
INLINE mask truths(const uint8_t *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return _mm_test_epi8_mask(bytes, bytes);
}
INLINE mask truths_part(const uint8_t *p, i64 n) {
    __m128i bytes = _mm_maskz_loadu_epi8(first_lanes(n), p);
    return _mm_test_epi8_mask(bytes, bytes);
}
INLINE void store_truths(uint8_t *p, mask m) { _mm_storeu_si128((__m128i *)p, _mm_maskz_set1_epi8(m, 1)); }
INLINE void store_truths_part(uint8_t *p, mask m, i64 n) {
    _mm_mask_storeu_epi8(p, first_lanes(n), _mm_maskz_set1_epi8(m, 1));
}
INLINE mask truth_everywhere(uint8_t t) { return t ? 0xffff : 0; }
#else
INLINE mask not_zero(vec a) { return a != zeros(); }
INLINE mask truths_part(const uint8_t *p, i64 n) {
    mask m = {0};
    for (i64 i = 0; i < n; i++) m[i] = p[i] ? -1 : 0;
    return m;
}
#if VL == 8
INLINE mask truths(const uint8_t *p) {
    return (mask)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)) != 0;
}
#else
INLINE mask truths(const uint8_t *p) { return truths_part(p, VL); }
#endif
INLINE void store_truths_part(uint8_t *p, mask m, i64 n) {
    for (i64 i = 0; i < n; i++) p[i] = m[i] & 1;
}
INLINE void store_truths(uint8_t *p, mask m) { store_truths_part(p, m, VL); }
INLINE mask truth_everywhere(uint8_t t) { return iall(t ? -1 : 0); }
#endif

#define ROW_v(i) const float *p##i = (const float *)(at[i] + r * row[i]);
#define ROW_b(i) const uint8_t *p##i = (const uint8_t *)(at[i] + r * row[i]);
#define ROW_s(i) const vec x##i = all(*(const float *)(at[i] + r * row[i]));
#define ROW_i(i) const int32_t *p##i = (const int32_t *)(at[i] + r * row[i]);
#define ROW_j(i) const vec x##i = all((float)*(const int32_t *)(at[i] + r * row[i]));
#define ROW_t(i) const mask x##i = truth_everywhere(*(const uint8_t *)(at[i] + r * row[i]));
#define WHOLE_v(i) const vec x##i = load(p##i + c);
#define WHOLE_b(i) const mask x##i = truths(p##i + c);
#define WHOLE_i(i) const vec x##i = to_float(iload(p##i + c));
#define WHOLE_s(i)
#define WHOLE_j(i)
#define WHOLE_t(i)
#define PART_v(i) const vec x##i = load_part(p##i + c, columns - c);
#define PART_b(i) const mask x##i = truths_part(p##i + c, columns - c);
#define PART_i(i) const vec x##i = to_float(iload_part(p##i + c, columns - c));
#define PART_s(i)
#define PART_j(i)
#define PART_t(i)
#define RESULT_v(i) float *y = (float *)(at[i] + r * row[i]);
#define RESULT_b(i) uint8_t *y = (uint8_t *)(at[i] + r * row[i]);
#define STORE_v(formula) store(y + c, formula);
#define STORE_b(formula) store_truths(y + c, formula);
#define STORE_PART_v(formula) store_part(y + c, formula, columns - c);
#define STORE_PART_b(formula) store_truths_part(y + c, formula, columns - c);

#define LITERALS_0
#define LITERALS_1 const vec k0 = all(f->literals[0]);
#define LITERALS_2 LITERALS_1 const vec k1 = all(f->literals[1]);
#define LITERALS_3 LITERALS_2 const vec k2 = all(f->literals[2]);
#define LITERALS_4 LITERALS_3 const vec k3 = all(f->literals[3]);
#define LITERALS_5 LITERALS_4 const vec k4 = all(f->literals[4]);
#define LITERALS_6 LITERALS_5 const vec k5 = all(f->literals[5]);

/* All results of an element are known before the first is stored, for it may lie where an operand lies. */
INLINE void put_part(char *to, i64 c, vec v, i64 n) {
    if (n == VL)
        store((float *)to + c, v);
    else
        store_part((float *)to + c, v, n);
}
#define PUT(j, v) put_part(y[j], c, v, n)

#define LOOPS(name, literals, results, count, ROWS, WHOLES, PARTS, puts)                                              \
    EXPORT void name(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns) {                 \
        (void)f;                                                                                                      \
        literals                                                                                                      \
        for (i64 r = 0; r < rows; r++) {                                                                              \
            ROWS                                                                                                      \
            char *y[results];                                                                                         \
            UNROLL for (int j = 0; j < results; j++) y[j] = at[count + j] + r * row[count + j];                       \
            i64 c = 0;                                                                                                \
            for (; c + VL <= columns; c += VL) {                                                                      \
                const i64 n = VL;                                                                                     \
                WHOLES puts                                                                                           \
            }                                                                                                         \
            if (c < columns) {                                                                                        \
                const i64 n = columns - c;                                                                            \
                PARTS puts                                                                                            \
            }                                                                                                         \
        }                                                                                                             \
    }

#define LOOP(name, literals, result, count, ROWS, WHOLES, PARTS, formula)                                             \
    EXPORT void name(const formula_task *f, char *const *at, const i64 *row, i64 rows, i64 columns) {                 \
        (void)f;                                                                                                      \
        literals                                                                                                      \
        for (i64 r = 0; r < rows; r++) {                                                                              \
            ROWS RESULT_##result(count)                                                                               \
            i64 c = 0;                                                                                                \
            for (; c + VL <= columns; c += VL) {                                                                      \
                WHOLES STORE_##result(formula)                                                                        \
            }                                                                                                         \
            if (c < columns) {                                                                                        \
                PARTS STORE_PART_##result(formula)                                                                    \
            }                                                                                                         \
        }                                                                                                             \
    }

#define LOOP_1(name, literals, result, c0, formula)                                                                   \
    LOOP(name, literals, result, 1, ROW_##c0(0), WHOLE_##c0(0), PART_##c0(0), formula)
#define LOOP_2(name, literals, result, c0, c1, formula)                                                               \
    LOOP(name, literals, result, 2, ROW_##c0(0) ROW_##c1(1), WHOLE_##c0(0) WHOLE_##c1(1), PART_##c0(0)                \
        PART_##c1(1), formula)
#define LOOP_3(name, literals, result, c0, c1, c2, formula)                                                           \
    LOOP(name, literals, result, 3, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2), WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2),   \
        PART_##c0(0) PART_##c1(1) PART_##c2(2), formula)
#define LOOP_4(name, literals, result, c0, c1, c2, c3, formula)                                                       \
    LOOP(name, literals, result, 4, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3), WHOLE_##c0(0) WHOLE_##c1(1)      \
        WHOLE_##c2(2) WHOLE_##c3(3), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3), formula)
#define LOOP_5(name, literals, result, c0, c1, c2, c3, c4, formula)                                                   \
    LOOP(name, literals, result, 5, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4), WHOLE_##c0(0)        \
        WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4), PART_##c0(0) PART_##c1(1) PART_##c2(2)               \
        PART_##c3(3) PART_##c4(4), formula)
#define LOOP_6(name, literals, result, c0, c1, c2, c3, c4, c5, formula)                                               \
    LOOP(name, literals, result, 6, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5),          \
        WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4) WHOLE_##c5(5), PART_##c0(0)             \
        PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4) PART_##c5(5), formula)
#define LOOP_7(name, literals, result, c0, c1, c2, c3, c4, c5, c6, formula)                                           \
    LOOP(name, literals, result, 7, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5)           \
        ROW_##c6(6), WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4) WHOLE_##c5(5)              \
        WHOLE_##c6(6), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4) PART_##c5(5) PART_##c6(6),    \
        formula)
#define LOOP_8(name, literals, result, c0, c1, c2, c3, c4, c5, c6, c7, formula)                                       \
    LOOP(name, literals, result, 8, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5)           \
        ROW_##c6(6) ROW_##c7(7), WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4)                \
        WHOLE_##c5(5) WHOLE_##c6(6) WHOLE_##c7(7), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4)   \
        PART_##c5(5) PART_##c6(6) PART_##c7(7), formula)
#define LOOPS_1(name, literals, results, c0, puts)                                                                    \
    LOOPS(name, literals, results, 1, ROW_##c0(0), WHOLE_##c0(0), PART_##c0(0), puts)
#define LOOPS_2(name, literals, results, c0, c1, puts)                                                                \
    LOOPS(name, literals, results, 2, ROW_##c0(0) ROW_##c1(1), WHOLE_##c0(0) WHOLE_##c1(1), PART_##c0(0)              \
        PART_##c1(1), puts)
#define LOOPS_3(name, literals, results, c0, c1, c2, puts)                                                            \
    LOOPS(name, literals, results, 3, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2), WHOLE_##c0(0) WHOLE_##c1(1)                \
        WHOLE_##c2(2), PART_##c0(0) PART_##c1(1) PART_##c2(2), puts)
#define LOOPS_4(name, literals, results, c0, c1, c2, c3, puts)                                                        \
    LOOPS(name, literals, results, 4, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3), WHOLE_##c0(0) WHOLE_##c1(1)    \
        WHOLE_##c2(2) WHOLE_##c3(3), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3), puts)
#define LOOPS_5(name, literals, results, c0, c1, c2, c3, c4, puts)                                                    \
    LOOPS(name, literals, results, 5, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4), WHOLE_##c0(0)      \
        WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4), PART_##c0(0) PART_##c1(1) PART_##c2(2)               \
        PART_##c3(3) PART_##c4(4), puts)
#define LOOPS_6(name, literals, results, c0, c1, c2, c3, c4, c5, puts)                                                \
    LOOPS(name, literals, results, 6, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5),        \
        WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4) WHOLE_##c5(5), PART_##c0(0)             \
        PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4) PART_##c5(5), puts)
#define LOOPS_7(name, literals, results, c0, c1, c2, c3, c4, c5, c6, puts)                                            \
    LOOPS(name, literals, results, 7, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5)         \
        ROW_##c6(6), WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4) WHOLE_##c5(5)              \
        WHOLE_##c6(6), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4) PART_##c5(5) PART_##c6(6),    \
        puts)
#define LOOPS_8(name, literals, results, c0, c1, c2, c3, c4, c5, c6, c7, puts)                                        \
    LOOPS(name, literals, results, 8, ROW_##c0(0) ROW_##c1(1) ROW_##c2(2) ROW_##c3(3) ROW_##c4(4) ROW_##c5(5)         \
        ROW_##c6(6) ROW_##c7(7), WHOLE_##c0(0) WHOLE_##c1(1) WHOLE_##c2(2) WHOLE_##c3(3) WHOLE_##c4(4)                \
        WHOLE_##c5(5) WHOLE_##c6(6) WHOLE_##c7(7), PART_##c0(0) PART_##c1(1) PART_##c2(2) PART_##c3(3) PART_##c4(4)   \
        PART_##c5(5) PART_##c6(6) PART_##c7(7), puts)

#endif
