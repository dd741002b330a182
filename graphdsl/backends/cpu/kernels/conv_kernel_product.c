/* The products of conv_kernel_amx.c in tiles: one vector of filters or two, with some taps. */
#include "conv_kernel_amx.h"

#ifdef AMX

#define FROM_B(tile, tap, plane) _tile_loadd(tile, p->b[tap] + at + (plane), 64)
#define BEGIN(tile, sums)                                                                                             \
    do {                                                                                                              \
        if (p->add)                                                                                                   \
            _tile_loadd(tile, sums, 64);                                                                              \
        else                                                                                                          \
            _tile_zero(tile);                                                                                         \
    } while (0)

/* One vector of filters, up to five taps: C 0 to 4, A hi 5, lo 6, B 7. */
#define EACH(DO)                                                                                                      \
    DO(0)                                                                                                             \
    if (taps > 1) { DO(1) }                                                                                           \
    if (taps > 2) { DO(2) }                                                                                           \
    if (taps > 3) { DO(3) }                                                                                           \
    if (taps > 4) { DO(4) }
#define BEGIN_TAP(i) BEGIN(i, p->c + i * 256);
#define HI_TAP(i)                                                                                                     \
    FROM_B(7, i, 0);                                                                                                  \
    _tile_dpbf16ps(i, 5, 7);                                                                                          \
    _tile_dpbf16ps(i, 6, 7);
#define LO_TAP(i)                                                                                                     \
    FROM_B(7, i, p->lo);                                                                                              \
    _tile_dpbf16ps(i, 5, 7);
#define END_TAP(i) _tile_stored(i, p->c + i * 256, 64);

WITH_TILES INLINE void multiply_1(const product *p, const int taps) {
    EACH(BEGIN_TAP)
    const char *a = p->a;
    for (i64 k = 0; k < p->depth; k++, a += p->a_step) {
        i64 at = p->offset[k];
        _tile_loadd(5, a, 64);
        _tile_loadd(6, a + TILE_BYTES, 64);
        EACH(HI_TAP)
        EACH(LO_TAP)
    }
    EACH(END_TAP)
}

/* Two vectors of filters, up to two taps: C 0 1 / 2 3, A 4 5, B 6 7. */
#define ROUND(plane_a, plane_b)                                                                                       \
    _tile_loadd(4, a + (plane_a), 64);                                                                                \
    FROM_B(6, 0, plane_b);                                                                                            \
    _tile_dpbf16ps(0, 4, 6);                                                                                          \
    if (taps > 1) {                                                                                                   \
        FROM_B(7, 1, plane_b);                                                                                        \
        _tile_dpbf16ps(1, 4, 7);                                                                                      \
    }                                                                                                                 \
    _tile_loadd(5, a + 2 * TILE_BYTES + (plane_a), 64);                                                               \
    _tile_dpbf16ps(2, 5, 6);                                                                                          \
    if (taps > 1) _tile_dpbf16ps(3, 5, 7);

WITH_TILES INLINE void multiply_2(const product *p, const int taps) {
    BEGIN(0, p->c);
    if (taps > 1) BEGIN(1, p->c + 256);
    BEGIN(2, p->c + p->c_step);
    if (taps > 1) BEGIN(3, p->c + p->c_step + 256);
    const char *a = p->a;
    for (i64 k = 0; k < p->depth; k++, a += p->a_step) {
        i64 at = p->offset[k];
        ROUND(TILE_BYTES, 0)
        _tile_loadd(4, a, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (taps > 1) _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + 2 * TILE_BYTES, 64);
        _tile_dpbf16ps(2, 5, 6);
        if (taps > 1) _tile_dpbf16ps(3, 5, 7);
        FROM_B(6, 0, p->lo);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        if (taps > 1) {
            FROM_B(7, 1, p->lo);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, p->c, 64);
    if (taps > 1) _tile_stored(1, p->c + 256, 64);
    _tile_stored(2, p->c + p->c_step, 64);
    if (taps > 1) _tile_stored(3, p->c + p->c_step + 256, 64);
}

WITH_TILES void multiply_1x1(const product *p) { multiply_1(p, 1); }
WITH_TILES void multiply_1x2(const product *p) { multiply_1(p, 2); }
WITH_TILES void multiply_1x3(const product *p) { multiply_1(p, 3); }
WITH_TILES void multiply_1x4(const product *p) { multiply_1(p, 4); }
WITH_TILES void multiply_1x5(const product *p) { multiply_1(p, 5); }
WITH_TILES void multiply_2x1(const product *p) { multiply_2(p, 1); }
WITH_TILES void multiply_2x2(const product *p) { multiply_2(p, 2); }

#undef FROM_B
#undef BEGIN
#undef EACH
#undef BEGIN_TAP
#undef HI_TAP
#undef LO_TAP
#undef END_TAP
#undef ROUND

#endif
