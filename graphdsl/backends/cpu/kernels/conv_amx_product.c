/* The two products of conv_amx.c: some places of lines laid out, times a panel of weights. */
#include "conv_amx.h"

#ifdef AMX

/* As many bytes as a step of a product reads of its weights. */
INLINE void fetch(const char *ahead, i64 bytes) {
    for (i64 i = 0; i < bytes; i += 64) __builtin_prefetch(ahead + i, 0, 2);
}

/* 32 places times 32 filters. */
WITH_TILES void product_2x2(const operand *a, const char *b, float *c) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    i64 next = 16 * a->step;
    const char *ahead = a->ahead;
    for (i64 s = 0; s < a->segments; s++) {
        const char *hi = a->hi + a->offsets[s], *lo = a->lo + a->offsets[s];
        for (i64 k = 0; k < a->depth; k++, hi += 64, lo += 64, b += 4 * TILE_BYTES) {
            if (ahead) fetch(ahead, 4 * TILE_BYTES), ahead += 4 * TILE_BYTES;
            _tile_loadd(4, hi, a->step);
            _tile_loadd(6, b + TILE_BYTES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 3 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, hi + next, a->step);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            _tile_loadd(6, b, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 2 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            _tile_loadd(4, lo, a->step);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, lo + next, a->step);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, 128);
    _tile_stored(1, c + 16, 128);
    _tile_stored(2, c + 512, 128);
    _tile_stored(3, c + 528, 128);
}

/* 64 places times 16 filters. */
WITH_TILES void product_4x1(const operand *a, const char *b, float *c) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    i64 next = 16 * a->step;
    const char *ahead = a->ahead;
    for (i64 s = 0; s < a->segments; s++) {
        const char *hi = a->hi + a->offsets[s], *lo = a->lo + a->offsets[s];
        for (i64 k = 0; k < a->depth; k++, hi += 64, lo += 64, b += 2 * TILE_BYTES) {
            if (ahead) fetch(ahead, 2 * TILE_BYTES), ahead += 2 * TILE_BYTES;
            _tile_loadd(6, b, 64);
            _tile_loadd(7, b + TILE_BYTES, 64);
            _tile_loadd(4, hi, a->step);
            _tile_dpbf16ps(0, 4, 7);
            _tile_loadd(5, hi + next, a->step);
            _tile_dpbf16ps(1, 5, 7);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(4, hi + 2 * next, a->step);
            _tile_dpbf16ps(2, 4, 7);
            _tile_dpbf16ps(1, 5, 6);
            _tile_loadd(5, hi + 3 * next, a->step);
            _tile_dpbf16ps(3, 5, 7);
            _tile_dpbf16ps(2, 4, 6);
            _tile_dpbf16ps(3, 5, 6);
            _tile_loadd(4, lo, a->step);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(5, lo + next, a->step);
            _tile_dpbf16ps(1, 5, 6);
            _tile_loadd(4, lo + 2 * next, a->step);
            _tile_dpbf16ps(2, 4, 6);
            _tile_loadd(5, lo + 3 * next, a->step);
            _tile_dpbf16ps(3, 5, 6);
        }
    }
    _tile_stored(0, c, 64);
    _tile_stored(1, c + 256, 64);
    _tile_stored(2, c + 512, 64);
    _tile_stored(3, c + 768, 64);
}

#endif
