/* Before a convolution in AMX tiles: its weights as tiles. */
#include "conv_amx.h"

TASK(conv_amx_pack_task);

#ifdef AMX

/* The 32 weights of a tile's depth for 16 filters, as they stand in a matrix [depth, filters]. */
static void pack_plain(const float *const *row, i64 filters, char *to) {
    for (i64 i = 0; i < 16; i++) {
        halves a = split(row[2 * i] ? load_part(row[2 * i], filters) : zeros());
        halves b = split(row[2 * i + 1] ? load_part(row[2 * i + 1], filters) : zeros());
        istore((int32_t *)(to + 64 * i), pair_hi(a, b));
        istore((int32_t *)(to + TILE_BYTES + 64 * i), pair_lo(a, b));
    }
}

#endif

/* The weights as B tiles: [panel][segment][32 of its numbers][vector of filters][hi, lo]. Split by panel and segment. */
EXPORT void conv_amx_pack(const void *task, const context *at) {
#ifdef AMX
    const conv_amx_pack_task *t = task;
    i64 depth = up(t->along * t->depth, TILE_DEPTH), panels = up(t->filters, PANEL), first, last;
    share(panels * t->segments, at, &first, &last);
    for (i64 u = first; u < last; u++) {
        i64 panel = u / t->segments, segment = u % t->segments, wide = vectors_in(t->filters, panel);
        char *to = t->packed + (panel * t->segments * 2 + segment * wide) * depth * 2 * TILE_BYTES;
        for (i64 k = 0; k < depth; k++)
            for (i64 v = 0; v < wide; v++, to += 2 * TILE_BYTES) {
                i64 column = panel * PANEL + v * VL, lanes = least(VL, t->filters - column);
                float turned[TILE_DEPTH][VL];
                const float *row[TILE_DEPTH];
                for (i64 i = 0; i < TILE_DEPTH; i++) {
                    i64 number = k * TILE_DEPTH + i, tap = number / t->depth, d = number % t->depth;
                    row[i] = 0;
                    if (tap >= t->along) continue;
                    const float *from = t->kernel + t->offsets[segment * t->along + tap];
                    row[i] = t->turned ? turned[i] : from + d * t->stride + column;
                    for (i64 n = 0; t->turned && n < lanes; n++) turned[i][n] = from[(column + n) * t->stride + d];
                }
                pack_plain(row, lanes, to);
            }
    }
#else
    (void)task, (void)at;
#endif
}
