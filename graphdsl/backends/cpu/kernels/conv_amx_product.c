/* The products of conv_amx.c: some places of lines laid out, times a panel of weights. Results stay in tiles 0 to 3. */
#include "conv_amx.h"

#ifdef AMX

/* As many bytes as a step of a product reads of its weights. */
INLINE void fetch(const char *ahead, i64 k, i64 bytes) {
    for (i64 i = 0; ahead && i < bytes; i += 64) __builtin_prefetch(ahead + k * bytes + i, 0, 2);
}

/* 32 places times 32 filters. */
WITH_TILES void product_2x2(const char *hi, const char *lo, i64 step, const char *b, const char *ahead, i64 depth) {
    i64 next = 16 * step;
    for (i64 k = 0; k < depth; k++, hi += 64, lo += 64, b += 4 * TILE_BYTES) {
        fetch(ahead, k, 4 * TILE_BYTES);
        _tile_loadd(4, hi, step);
        _tile_loadd(6, b + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + 3 * TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, hi + next, step);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + 2 * TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(4, lo, step);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, lo + next, step);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

/* 16 places times 32 filters. */
WITH_TILES void product_1x2(const char *hi, const char *lo, i64 step, const char *b, const char *ahead, i64 depth) {
    for (i64 k = 0; k < depth; k++, hi += 64, lo += 64, b += 4 * TILE_BYTES) {
        fetch(ahead, k, 4 * TILE_BYTES);
        _tile_loadd(4, hi, step);
        _tile_loadd(6, b + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + 3 * TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + 2 * TILE_BYTES, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, lo, step);
        _tile_dpbf16ps(0, 5, 6);
        _tile_dpbf16ps(1, 5, 7);
    }
}

#define TWICE(i, tile)                                                                                                \
    _tile_loadd(tile, hi + i * next, step);                                                                           \
    _tile_dpbf16ps(i, tile, 7);                                                                                       \
    _tile_dpbf16ps(i, tile, 6);
#define ONCE(i, tile)                                                                                                 \
    _tile_loadd(tile, lo + i * next, step);                                                                           \
    _tile_dpbf16ps(i, tile, 6);

/* 64 places times 16 filters. */
WITH_TILES void product_4x1(const char *hi, const char *lo, i64 step, const char *b, const char *ahead, i64 depth) {
    i64 next = 16 * step;
    for (i64 k = 0; k < depth; k++, hi += 64, lo += 64, b += 2 * TILE_BYTES) {
        fetch(ahead, k, 2 * TILE_BYTES);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE_BYTES, 64);
        TWICE(0, 4)
        TWICE(1, 5)
        TWICE(2, 4)
        TWICE(3, 5)
        ONCE(0, 4)
        ONCE(1, 5)
        ONCE(2, 4)
        ONCE(3, 5)
    }
}


/* 32 places times 16 filters. */
WITH_TILES void product_2x1(const char *hi, const char *lo, i64 step, const char *b, const char *ahead, i64 depth) {
    i64 next = 16 * step;
    for (i64 k = 0; k < depth; k++, hi += 64, lo += 64, b += 2 * TILE_BYTES) {
        fetch(ahead, k, 2 * TILE_BYTES);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + TILE_BYTES, 64);
        TWICE(0, 4)
        TWICE(1, 5)
        ONCE(0, 4)
        ONCE(1, 5)
    }
}

#undef TWICE
#undef ONCE

#endif
