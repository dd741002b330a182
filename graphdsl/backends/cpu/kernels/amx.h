/* Products of matrices in AMX tiles, float32 numbers as pairs of bfloat16.
 *
 * A float32 x is split into hi + lo, both rounded to bfloat16 (8 bits of mantissa each). A product of two is taken as
 *
 *     hi * hi + hi * lo + lo * hi          lo * lo is left out; all sums in float32
 *
 * which is off by at most 2^-16 of |x * y|: more exact than Winograd's way, less than float32's own. The processor's
 * tiles multiply sixteen times as many bfloat16 as its vectors multiply float32.
 *
 *     A   16 rows of 32 numbers                    hi, then lo: 1024 bytes each
 *     B   16 rows of 16 pairs: row i holds          (b[2 i][0], b[2 i + 1][0]), (b[2 i][1], b[2 i + 1][1]), ...
 *     C   16 rows of 16 float32:  C[m][n] += Σ A[m][k] * B[k][n]
 *
 * Infinity times anything is NaN here (its lo is infinity - infinity), where float32 may give infinity; NaN stays NaN.
 */
#ifndef AMX_H
#define AMX_H

#include "vector.h"

/* Compiled into the kernels for AVX-512 and used where the processor and the system grant it: amx_granted in isa.c. */
#if defined(__AVX512F__) && defined(__x86_64__) && defined(__linux__)
#if defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11
#define AMX
#endif
#endif

#ifdef AMX

/* Functions that use tiles say so. */
#define WITH_TILES __attribute__((target("amx-tile,amx-bf16")))

enum { TILE_BYTES = 1024, TILE_SIDE = 16, TILE_DEPTH = 32 };

/* All eight tiles are 16 rows of 64 bytes. Every kernel that uses tiles begins with this and ends with amx_end. */
WITH_TILES INLINE void amx_begin(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } all_alike = {.palette = 1};
    for (int i = 0; i < 8; i++) all_alike.bytes[i] = 64, all_alike.rows[i] = TILE_SIDE;
    __asm__ __volatile__("" : : "m"(all_alike)); /* GCC's _tile_loadconfig says that it reads eight bytes only */
    _tile_loadconfig(&all_alike);
}

WITH_TILES INLINE void amx_end(void) { _tile_release(); }

/* Numbers split: in each lane the upper half holds the bfloat16, the lower half is 0 (hi) or garbage (lo). */
typedef struct {
    ivec hi, lo;
} halves;

INLINE halves split(vec x) {
    ivec hi = ((ivec)x + 0x8000) & (int32_t)0xffff0000;
    return (halves){hi, (ivec)(x - (vec)hi) + 0x8000};
}

/* Two vectors of numbers as pairs: first's in the lower halves. */
INLINE ivec pair_hi(halves first, halves second) {
    return (ivec)_mm512_srli_epi32((__m512i)first.hi, 16) | second.hi;
}
INLINE ivec pair_lo(halves first, halves second) {
    __m512i low = _mm512_srli_epi32((__m512i)first.lo, 16);
    return (ivec)low | (second.lo & (int32_t)0xffff0000);
}

/* 16 x 16 numbers of 32 bits, rows to columns. */
INLINE void transpose(ivec *rows) {
    __m512i a[16], b[16];
    UNROLL for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32((__m512i)rows[i], (__m512i)rows[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32((__m512i)rows[i], (__m512i)rows[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
        a[i + 4] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
        a[i + 8] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 8; i++) {
        rows[i] = (ivec)_mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
        rows[i + 8] = (ivec)_mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    }
}

#endif
#endif
