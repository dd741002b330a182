/* Matrices as AMX tiles: what linear_amx.c and recurrences make of rows of numbers. */
#ifndef AMX_ROWS_H
#define AMX_ROWS_H

#include "amx.h"

#ifdef AMX

/* A function that not every file which includes this calls. */
#define ELSEWHERE static NOINLINE __attribute__((unused))
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
WITH_PAIRS ELSEWHERE void to_planes(const float *from, i64 n, char *hi, char *lo) {
    for (; n >= DEPTH; n -= DEPTH, from += DEPTH, hi += 64, lo += 64) to_pairs(load(from), load(from + VL), hi, lo);
    if (n > 0) to_pairs(load_part(from, least(n, VL)), load_part(from + VL, most(n - VL, 0)), hi, lo);
}

/* One row of a B tile, hi, and of the lo tile behind it: numbers of two rows as pairs; NULL: zeros. */
INLINE void put_pair(char *to, const float *first, const float *second, i64 lanes, int whole) {
    vec x = zeros(), y = zeros();
    if (first) x = whole ? load(first) : load_part(first, lanes);
    if (second) y = whole ? load(second) : load_part(second, lanes);
    halves a = split(x), b = split(y);
    istore((int32_t *)to, pair_hi(a, b));
    istore((int32_t *)(to + TILE_BYTES), pair_lo(a, b));
}

/* A tile of pairs, rows to columns. */
ELSEWHERE void turn_tile(char *tile) {
    ivec rows[SIDE];
    UNROLL for (int i = 0; i < SIDE; i++) rows[i] = iload((int32_t *)(tile + i * 64));
    transpose(rows);
    UNROLL for (int i = 0; i < SIDE; i++) istore((int32_t *)(tile + i * 64), rows[i]);
}

WITH_TILES INLINE void clear_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* C (2 x 2 tiles, rows `stride` bytes apart) = A (2) · B (2) over `count` tiles of each, added to C where `more`. */
WITH_TILES ELSEWHERE void add_2x2(const char *a, i64 a_step, const char *b, i64 b_step, i64 count, float *c, i64 stride,
                                  int more) {
    float *below = c + stride * SIDE / 4;
    if (more) {
        _tile_loadd(0, c, stride);
        _tile_loadd(1, c + SIDE, stride);
        _tile_loadd(2, below, stride);
        _tile_loadd(3, below + SIDE, stride);
    } else {
        clear_tiles();
    }
    for (; count; count--, a += a_step, b += b_step) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + PAIR + TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + PAIR, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + PAIR, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, a + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + PAIR + TILE_BYTES, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, stride);
    _tile_stored(1, c + SIDE, stride);
    _tile_stored(2, below, stride);
    _tile_stored(3, below + SIDE, stride);
}

#endif
#endif
