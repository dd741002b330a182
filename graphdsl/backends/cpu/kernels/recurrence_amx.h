/* What both directions of recurrences in AMX tiles share: recurrence_amx.c, recurrence_amx_back.c. */
#ifndef RECURRENCE_AMX_H
#define RECURRENCE_AMX_H

#include "amx.h"
#include "recurrence.h"

#ifdef AMX

#define WITH_PAIRS __attribute__((target("avx512bf16")))

enum { SIDE = TILE_SIDE, DEPTH = TILE_DEPTH, PAIR = 2 * TILE_BYTES };

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }

/* 32 numbers as bfloat16, hi and lo. */
WITH_PAIRS INLINE void to_pairs(vec a, vec b, char *hi, char *lo) {
    __m512i h = (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
    vec a_hi = (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(h)), 16);
    vec b_hi = (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(h, 1)), 16);
    istore((int32_t *)hi, (ivec)h);
    istore((int32_t *)lo, (ivec)(__m512i)_mm512_cvtne2ps_pbh((__m512)(b - b_hi), (__m512)(a - a_hi)));
}

/* n numbers in a row, zeros up to a multiple of 32. */
WITH_PAIRS static NOINLINE void to_planes(const float *from, i64 n, char *hi, char *lo) {
    for (; n >= DEPTH; n -= DEPTH, from += DEPTH, hi += 64, lo += 64) to_pairs(load(from), load(from + VL), hi, lo);
    if (n > 0) to_pairs(load_part(from, least(n, VL)), load_part(from + VL, most(n - VL, 0)), hi, lo);
}

/* One row of a B tile, hi, and of the lo tile behind it: numbers of two rows as pairs; NULL: zeros. */
INLINE void put_pair(char *to, const float *first, const float *second, i64 lanes, int whole) {
    halves a = split(first ? get(first, lanes, whole) : zeros()), b = split(second ? get(second, lanes, whole) : zeros());
    istore((int32_t *)to, pair_hi(a, b));
    istore((int32_t *)(to + TILE_BYTES), pair_lo(a, b));
}

WITH_TILES INLINE void clear_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

WITH_TILES INLINE void store_tiles(float *c) {
    _tile_stored(0, c, 64);
    _tile_stored(1, c + 256, 64);
    _tile_stored(2, c + 512, 64);
    _tile_stored(3, c + 768, 64);
}

/* A stretch of so many bytes from *at on, which moves behind it. */
INLINE char *laid(char **at, i64 bytes) {
    char *here = *at;
    *at += up(bytes, 64) * 64;
    return here;
}

#endif
#endif
