/* The tiles of tile.h: one function for each height and width, and packing. */
#include "tile.h"

/* Sanitizers check every access: unrolled, that takes the compiler minutes. */
#if defined(__SANITIZE_ADDRESS__)
#undef UNROLL
#define UNROLL
#endif

/* Rows are reached from every third one, by x, x + s and x + 2 s, which addresses can say: five pointers and a stride
 * reach fifteen rows. The compiler would keep a pointer a row and run out of registers, so it is told nothing. */
#if defined(__x86_64__)
#define OPAQUE(x) __asm__("" : "+r"(x))
#else
#define OPAQUE(x) (void)0
#endif

#define MOST_TILE 28

/* Only the last vector of a tile may be cut short. AVX-512 cuts at no cost; others ask first. */
INLINE int is_whole(i64 columns, int v, int width) { return v + 1 < width || (VL < 16 && columns == width * VL); }

INLINE vec edge_load(const float *p, i64 columns, int v, int width) {
    return is_whole(columns, v, width) ? load(p + v * VL) : load_part(p + v * VL, columns - v * VL);
}

INLINE void edge_store(float *p, vec x, i64 columns, int v, int width) {
    if (is_whole(columns, v, width))
        store(p + v * VL, x);
    else
        store_part(p + v * VL, x, columns - v * VL);
}

/* The lines of the cache that a tile of `at` reads or writes at the end. */
INLINE void fetch(const float *at, i64 stride, const int rows, const int width) {
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v += 64 / (4 * VL))
        __builtin_prefetch(at + r * stride + v * VL, 1);
}

INLINE void begin(const tile *t, vec *sum, const int rows, const int width) {
    fetch(t->c, t->c_stride, rows, width);
    if (t->add && t->add != t->c) fetch(t->add, t->add_stride, rows, width);
    vec bias[TILE_WIDEST];
    UNROLL for (int v = 0; v < width; v++) bias[v] = t->bias ? edge_load(t->bias, t->columns, v, width) : zeros();
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++) sum[r * width + v] = bias[v];
}

INLINE void end(const tile *t, vec *sum, const int rows, const int width) {
    vec low = all(t->low);
    if (t->add) {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++)
            sum[r * width + v] += edge_load(t->add + r * t->add_stride, t->columns, v, width);
    }
    if (t->mask) {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++) {
            vec m = edge_load(t->mask + r * t->mask_stride, t->columns, v, width);
            edge_store(t->c + r * t->c_stride, keep(greater(m, zeros()), sum[r * width + v]), t->columns, v, width);
        }
    } else {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++)
            edge_store(t->c + r * t->c_stride, max_or_second(low, sum[r * width + v]), t->columns, v, width);
    }
}

/* One step of k: the vectors of B times one float of each row. */
INLINE void multiply(vec *sum, const float *const *row, i64 stride, const float *b, int k, int rows, const int width) {
    vec bs[TILE_WIDEST];
    UNROLL for (int v = 0; v < width; v++) bs[v] = load(b + (k * width + v) * VL);
    UNROLL for (int r = 0; r < rows; r++) {
        vec a = all(row[r / 3][(r % 3) * stride + k]);
        UNROLL for (int v = 0; v < width; v++) sum[r * width + v] += a * bs[v];
    }
}

INLINE void run(const tile *t, const int rows, const int width) {
    vec sum[MOST_TILE];
    begin(t, sum, rows, width);
    i64 stride = t->a_stride, length = t->length;
    const float *b = t->b, *next = t->next;
    for (i64 s = 0; s < t->segments; s++) {
        const float *row[(MOST_TILE + 2) / 3], *a = t->a + (t->offsets ? t->offsets[s] : 0);
        UNROLL for (int r = 0; r < rows; r += 3) row[r / 3] = a + r * stride;
        i64 k = length;
        for (; k >= 4; k -= 4) {
            UNROLL for (int r = 0; r < rows; r += 3) OPAQUE(row[r / 3]);
            UNROLL for (int i = 0; i < 4; i++) {
                if (i < t->pace) __builtin_prefetch(next + i * CACHE_LINE, 0, 2);
                multiply(sum, row, stride, b, i, rows, width);
            }
            next += t->pace * CACHE_LINE;
            UNROLL for (int r = 0; r < rows; r += 3) row[r / 3] += 4;
            b += 4 * width * VL;
        }
        for (; k > 0; k--) {
            UNROLL for (int r = 0; r < rows; r += 3) OPAQUE(row[r / 3]);
            multiply(sum, row, stride, b, 0, rows, width);
            UNROLL for (int r = 0; r < rows; r += 3) row[r / 3] += 1;
            b += width * VL;
        }
    }
    end(t, sum, rows, width);
}

typedef void (*height)(const tile *t);

#define TILE(rows, width) \
    static NOINLINE void tile_##rows##x##width(const tile *t) { run(t, rows, width); }
#define UP_TO_3(each, width) each(1, width) each(2, width) each(3, width)
#define UP_TO_4(each, width) UP_TO_3(each, width) each(4, width)
#define UP_TO_5(each, width) UP_TO_4(each, width) each(5, width)
#define UP_TO_6(each, width) UP_TO_5(each, width) each(6, width)
#define UP_TO_8(each, width) UP_TO_6(each, width) each(7, width) each(8, width)
#define UP_TO_9(each, width) UP_TO_8(each, width) each(9, width)
#define UP_TO_12(each, width) UP_TO_9(each, width) each(10, width) each(11, width) each(12, width)
#define UP_TO_14(each, width) UP_TO_12(each, width) each(13, width) each(14, width)
#define UP_TO_16(each, width) UP_TO_14(each, width) each(15, width) each(16, width)
#define UP_TO_24(each, width)                                                                                         \
    UP_TO_16(each, width)                                                                                             \
    each(17, width) each(18, width) each(19, width) each(20, width) each(21, width) each(22, width) each(23, width)   \
        each(24, width)

#if VL == 16
#define EVERY_TILE(each) UP_TO_24(each, 1) UP_TO_14(each, 2) UP_TO_9(each, 3)
#elif VECTOR_REGISTERS == 32
#define EVERY_TILE(each) UP_TO_16(each, 1) UP_TO_12(each, 2) UP_TO_8(each, 3)
#elif VL == 8
#define EVERY_TILE(each) UP_TO_12(each, 1) UP_TO_6(each, 2) UP_TO_4(each, 3)
#else
#define EVERY_TILE(each) UP_TO_8(each, 1) UP_TO_5(each, 2) UP_TO_3(each, 3)
#endif

EVERY_TILE(TILE)

#define ENTRY(rows, width) [width - 1][rows - 1] = tile_##rows##x##width,
static const height tiles[TILE_WIDEST][TILE_ROWS(1)] = {EVERY_TILE(ENTRY)};

void tile_rows(const tile *t, i64 rows, i64 width) {
    tile next = *t;
    for (i64 left = (rows + TILE_ROWS(width) - 1) / TILE_ROWS(width); left; left--) {
        i64 now = (rows + left - 1) / left;
        tiles[width - 1][now - 1](&next);
        rows -= now;
        next.a += now * t->a_stride;
        next.c += now * t->c_stride;
        if (next.add) next.add += now * t->add_stride;
        if (next.mask) next.mask += now * t->mask_stride;
        if (next.pace) next.next += tile_fetches(t->segments, t->length, t->pace);
    }
}

void pack_rows(const float *b, i64 stride, i64 columns, i64 k, i64 first, i64 count, i64 p, float *packed) {
    i64 wide = panel_width(columns, p) * VL, there = panel_columns(columns, p);
    const float *from = b + p * 2 * VL;
    float *to = packed + p * k * 2 * VL + first * wide;
    for (i64 i = 0; i < count; i++, from += stride, to += wide) {
        i64 j = 0;
        for (; j + VL <= there; j += VL) store(to + j, load(from + j));
        if (j < there) store(to + j, load_part(from + j, there - j));
    }
}

void pack_columns(const float *b, i64 stride, i64 columns, i64 k, i64 first, i64 count, i64 p, float *packed) {
    i64 wide = panel_width(columns, p) * VL, there = panel_columns(columns, p);
    const float *from = b + p * 2 * VL * stride;
    float *to = packed + p * k * 2 * VL + first * wide;
    for (i64 i = 0; i < count; i++)
        for (i64 j = 0; j < wide; j++) to[i * wide + j] = j < there ? from[j * stride + i] : 0;
}
