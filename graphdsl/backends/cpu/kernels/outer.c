/* See outer.h. One function for each height and width of tile, so that every tile stays in registers. */
#include "outer.h"

typedef void (*outer_tile)(const outer *o, const float *a, float *c, const float *next);

INLINE void sum_tile(const outer *o, const float *a, float *c, const float *next, const int rows, const int width) {
    vec s[TILE_ROWS(1)][TILE_WIDEST];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int w = 0; w < width; w++) s[r][w] = zeros();
    for (const line *l = o->lines, *end = l + o->line_count; l < end; l++) {
        const float *p = a + l->a, *q = o->b + l->b;
        for (i64 n = l->count; n; n--, p += o->a_step, q += o->b_step, next += OUTER_FETCHES) {
            __builtin_prefetch(next, 0, 2);
            vec b[TILE_WIDEST];
            UNROLL for (int w = 0; w < width; w++) b[w] = load(q + w * VL);
            UNROLL for (int r = 0; r < rows; r++) {
                vec v = all(p[r]);
                UNROLL for (int w = 0; w < width; w++) s[r][w] += v * b[w];
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int w = 0; w < width; w++) {
        float *to = c + r * o->c_stride + w * VL;
        vec before = o->add ? load(to) : zeros();
        store(to, before + s[r][w]);
    }
}

#define UP_TO_3(each, width) each(1, width) each(2, width) each(3, width)
#define UP_TO_4(each, width) UP_TO_3(each, width) each(4, width)
#define UP_TO_5(each, width) UP_TO_4(each, width) each(5, width)
#define UP_TO_6(each, width) UP_TO_5(each, width) each(6, width)
#define UP_TO_8(each, width) UP_TO_6(each, width) each(7, width) each(8, width)
#define UP_TO_9(each, width) UP_TO_8(each, width) each(9, width)
#define UP_TO_12(each, width) UP_TO_9(each, width) each(10, width) each(11, width) each(12, width)
#define UP_TO_14(each, width) UP_TO_12(each, width) each(13, width) each(14, width)
#define UP_TO_16(each, width) UP_TO_14(each, width) each(15, width) each(16, width)
#define UP_TO_20(each, width) UP_TO_16(each, width) each(17, width) each(18, width) each(19, width) each(20, width)
#define UP_TO_24(each, width) UP_TO_20(each, width) each(21, width) each(22, width) each(23, width) each(24, width)

#if VL == 16
#define EVERY_TILE(each) UP_TO_24(each, 1) UP_TO_14(each, 2) UP_TO_9(each, 3)
#elif VECTOR_REGISTERS == 32
#define EVERY_TILE(each) UP_TO_16(each, 1) UP_TO_12(each, 2) UP_TO_8(each, 3)
#elif VL == 8
#define EVERY_TILE(each) UP_TO_12(each, 1) UP_TO_6(each, 2) UP_TO_4(each, 3)
#else
#define EVERY_TILE(each) UP_TO_8(each, 1) UP_TO_5(each, 2) UP_TO_3(each, 3)
#endif

#define TILE(rows, width)                                                                                             \
    static NOINLINE void tile_##rows##x##width(const outer *o, const float *a, float *c, const float *next) {         \
        sum_tile(o, a, c, next, rows, width);                                                                         \
    }
EVERY_TILE(TILE)

#define ENTRY(rows, width) [width - 1][rows - 1] = tile_##rows##x##width,
static const outer_tile tiles[TILE_WIDEST][TILE_ROWS(1)] = {EVERY_TILE(ENTRY)};

void outer_rows(const outer *o, i64 rows, i64 width) {
    i64 count = outer_tiles(rows, width), pixels = 0;
    for (i64 i = 0; i < o->line_count; i++) pixels += o->lines[i].count;
    for (i64 i = 0; i < count; i++) {
        i64 first = rows * i / count, last = rows * (i + 1) / count;
        const float *next = o->next ? o->next + i * pixels * OUTER_FETCHES : o->b;
        tiles[width - 1][last - first - 1](o, o->a + first, o->c + first * o->c_stride, next);
    }
}
