/* Vectors of VL floats, one source for every instruction set: GCC and Clang vector types, intrinsics only where the
 * compiler cannot be told otherwise (masks, maxima, rounding).
 *
 *              VL   registers
 *   AVX-512    16   32
 *   AVX2+FMA    8   16
 *   SSE2        4   16   (the portable build on x86)
 *   NEON        4   32
 *
 * a * b + c is contracted into one instruction where there is one. Partial loads and stores touch only their n floats.
 */
#ifndef VECTOR_H
#define VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "graphdsl.h"

#if defined(__AVX512F__)
#define VL 16
#define VECTOR_REGISTERS 32
#elif defined(__AVX2__) && defined(__FMA__)
#define VL 8
#define VECTOR_REGISTERS 16
#elif defined(__aarch64__)
#define VL 4
#define VECTOR_REGISTERS 32
#else
#define VL 4
#define VECTOR_REGISTERS 16
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define UNROLL _Pragma("GCC unroll 32")

typedef float vec __attribute__((vector_size(4 * VL), may_alias));
typedef float vec_anywhere __attribute__((vector_size(4 * VL), may_alias, aligned(4)));
typedef int32_t ivec __attribute__((vector_size(4 * VL), may_alias));
typedef int32_t ivec_anywhere __attribute__((vector_size(4 * VL), may_alias, aligned(4)));

INLINE vec load(const float *p) { return *(const vec_anywhere *)p; }
INLINE void store(float *p, vec v) { *(vec_anywhere *)p = v; }
INLINE ivec iload(const int32_t *p) { return *(const ivec_anywhere *)p; }
INLINE void istore(int32_t *p, ivec v) { *(ivec_anywhere *)p = v; }
INLINE vec zeros(void) { return (vec){0}; }
INLINE vec all(float x) { return x - (vec){0}; }
INLINE ivec iall(int32_t x) { return x - (ivec){0}; }

#if VL == 16
typedef __mmask16 mask;
INLINE mask first_lanes(i64 n) { return (mask)((1u << n) - 1); }
INLINE vec load_part(const float *p, i64 n) { return (vec)_mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void store_part(float *p, vec v, i64 n) { _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)v); }
INLINE ivec iload_part(const int32_t *p, i64 n) { return (ivec)_mm512_maskz_loadu_epi32(first_lanes(n), p); }
INLINE void istore_part(int32_t *p, ivec v, i64 n) { _mm512_mask_storeu_epi32(p, first_lanes(n), (__m512i)v); }
INLINE mask greater(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE mask not_less(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ); }
INLINE mask equals(vec a, vec b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ); }
INLINE mask is_nan(vec a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q); }
INLINE mask iequals(ivec a, ivec b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE mask both_masks(mask a, mask b) { return a & b; }
INLINE mask either_mask(mask a, mask b) { return a | b; }
INLINE vec choose(mask m, vec a, vec b) { return (vec)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
INLINE ivec ichoose(mask m, ivec a, ivec b) { return (ivec)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
INLINE vec keep(mask m, vec a) { return (vec)_mm512_maskz_mov_ps(m, (__m512)a); }
/* The larger; b where one is NaN. */
INLINE vec max_or_second(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vec min_or_second(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec root(vec a) { return (vec)_mm512_sqrt_ps((__m512)a); }
INLINE vec nearest(vec a) { return (vec)_mm512_roundscale_ps((__m512)a, 8); }
INLINE vec floors(vec a) { return (vec)_mm512_roundscale_ps((__m512)a, 9); }
INLINE vec magnitude(vec a) { return (vec)_mm512_abs_ps((__m512)a); }
INLINE vec to_float(ivec a) { return (vec)_mm512_cvtepi32_ps((__m512i)a); }
INLINE ivec to_int(vec a) { return (ivec)_mm512_cvtps_epi32((__m512)a); }
INLINE float sum_lanes(vec a) { return _mm512_reduce_add_ps((__m512)a); }
INLINE float max_lanes(vec a) { return _mm512_reduce_max_ps((__m512)a); }
#else
typedef ivec mask;
#if VL == 8
static const int32_t lane_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
#define PART(n) _mm256_loadu_si256((const __m256i *)(lane_masks + 8 - (n)))
INLINE mask first_lanes(i64 n) { return (mask)PART(n); }
INLINE vec load_part(const float *p, i64 n) { return (vec)_mm256_maskload_ps(p, PART(n)); }
INLINE void store_part(float *p, vec v, i64 n) { _mm256_maskstore_ps(p, PART(n), (__m256)v); }
INLINE ivec iload_part(const int32_t *p, i64 n) { return (ivec)_mm256_maskload_epi32(p, PART(n)); }
INLINE void istore_part(int32_t *p, ivec v, i64 n) { _mm256_maskstore_epi32(p, PART(n), (__m256i)v); }
INLINE vec max_or_second(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vec min_or_second(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec root(vec a) { return (vec)_mm256_sqrt_ps((__m256)a); }
INLINE vec nearest(vec a) { return (vec)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vec floors(vec a) { return (vec)_mm256_floor_ps((__m256)a); }
INLINE vec to_float(ivec a) { return (vec)_mm256_cvtepi32_ps((__m256i)a); }
INLINE ivec to_int(vec a) { return (ivec)_mm256_cvtps_epi32((__m256)a); }
#else
INLINE mask first_lanes(i64 n) {
    ivec m;
    for (int i = 0; i < VL; i++) m[i] = i < n ? -1 : 0;
    return m;
}
INLINE vec load_part(const float *p, i64 n) {
    vec v = {0};
    memcpy(&v, p, 4 * (size_t)n);
    return v;
}
INLINE void store_part(float *p, vec v, i64 n) { memcpy(p, &v, 4 * (size_t)n); }
INLINE ivec iload_part(const int32_t *p, i64 n) {
    ivec v = {0};
    memcpy(&v, p, 4 * (size_t)n);
    return v;
}
INLINE void istore_part(int32_t *p, ivec v, i64 n) { memcpy(p, &v, 4 * (size_t)n); }
#if defined(__aarch64__)
INLINE vec max_or_second(vec a, vec b) {
    return (vec)vbslq_f32(vcgtq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}
INLINE vec min_or_second(vec a, vec b) {
    return (vec)vbslq_f32(vcltq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}
INLINE vec root(vec a) { return (vec)vsqrtq_f32((float32x4_t)a); }
INLINE vec nearest(vec a) { return (vec)vrndnq_f32((float32x4_t)a); }
INLINE vec floors(vec a) { return (vec)vrndmq_f32((float32x4_t)a); }
INLINE ivec to_int(vec a) { return (ivec)vcvtnq_s32_f32((float32x4_t)a); }
#elif defined(__SSE2__)
INLINE vec max_or_second(vec a, vec b) { return (vec)_mm_max_ps((__m128)a, (__m128)b); }
INLINE vec min_or_second(vec a, vec b) { return (vec)_mm_min_ps((__m128)a, (__m128)b); }
INLINE vec root(vec a) { return (vec)_mm_sqrt_ps((__m128)a); }
INLINE ivec to_int(vec a) { return (ivec)_mm_cvtps_epi32((__m128)a); }
#define LANES_BY_LIBM
#else
#define LANES_BY_LIBM
#define NO_VECTOR_UNIT
#endif
#ifdef LANES_BY_LIBM
#define LANE_BY_LANE(name, function)                                                                                  \
    INLINE vec name(vec a) {                                                                                          \
        for (int i = 0; i < VL; i++) a[i] = function(a[i]);                                                           \
        return a;                                                                                                     \
    }
LANE_BY_LANE(nearest, rintf)
LANE_BY_LANE(floors, floorf)
#endif
#ifdef NO_VECTOR_UNIT
LANE_BY_LANE(root, sqrtf)
INLINE vec max_or_second(vec a, vec b) {
    for (int i = 0; i < VL; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
INLINE vec min_or_second(vec a, vec b) {
    for (int i = 0; i < VL; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}
INLINE ivec to_int(vec a) {
    ivec r;
    for (int i = 0; i < VL; i++) r[i] = (int32_t)rintf(a[i]);
    return r;
}
#endif
INLINE vec to_float(ivec a) { return __builtin_convertvector(a, vec); }
#endif
INLINE mask greater(vec a, vec b) { return a > b; }
INLINE mask not_less(vec a, vec b) { return a >= b; }
INLINE mask equals(vec a, vec b) { return a == b; }
INLINE mask is_nan(vec a) { return a != a; }
INLINE mask iequals(ivec a, ivec b) { return a == b; }
INLINE mask both_masks(mask a, mask b) { return a & b; }
INLINE mask either_mask(mask a, mask b) { return a | b; }
INLINE ivec ichoose(mask m, ivec a, ivec b) { return (m & a) | (~m & b); }
INLINE vec choose(mask m, vec a, vec b) { return (vec)ichoose(m, (ivec)a, (ivec)b); }
INLINE vec keep(mask m, vec a) { return (vec)(m & (ivec)a); }
INLINE vec magnitude(vec a) { return (vec)((ivec)a & 0x7fffffff); }
#if VL == 8
INLINE float sum_lanes(vec a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float max_lanes(vec a) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
#else
INLINE float sum_lanes(vec a) {
    float s[VL];
    store(s, a);
    for (int width = VL / 2; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
INLINE float max_lanes(vec a) {
    float m = a[0];
    for (int i = 1; i < VL; i++) m = a[i] > m ? a[i] : m;
    return m;
}
#endif
#endif

/* max(x, 0) that leaves NaN alone. */
INLINE vec relu(vec x) { return max_or_second(zeros(), x); }
/* The larger and the smaller; NaN where either is, as NumPy has it. */
INLINE vec larger(vec a, vec b) { return choose(is_nan(a), a, max_or_second(a, b)); }
INLINE vec smaller(vec a, vec b) { return choose(is_nan(a), a, min_or_second(a, b)); }

#endif
