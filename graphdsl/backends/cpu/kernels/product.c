/* The tiles of product.h: one function for each height and width, once for whole vectors and once for a part at the
 * end. */
#include "product.h"

/* Rows are reached from every third one, by x, x + s and x + 2 s, which addresses can say. The compiler would keep a
 * pointer a row and run out of registers, so it is told nothing. */
#if defined(__x86_64__)
#define OPAQUE(x) __asm__("" : "+r"(x))
#else
#define OPAQUE(x) (void)0
#endif

enum { MOST_SUMS = 24 };

INLINE vec end_load(const float *p, i64 part, int v, int width, int whole) {
    return v + 1 < width || whole ? load(p + v * VL) : load_part(p + v * VL, part);
}

INLINE void end_store(float *p, vec x, i64 part, int v, int width, int whole) {
    if (v + 1 < width || whole)
        store(p + v * VL, x);
    else
        store_part(p + v * VL, x, part);
}

INLINE void begin(const finish *f, vec *sum, i64 part, const int rows, const int width, const int whole) {
    vec bias[PRODUCT_WIDEST];
    UNROLL for (int v = 0; v < width; v++) {
        bias[v] = f->bias_step ? end_load(f->bias, part, v, width, whole) : zeros();
        if (f->bias && !f->bias_step) bias[v] = all(*f->bias);
    }
    if (f->add) {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++)
            sum[r * width + v] = bias[v] + end_load(f->add + r * f->add_stride, part, v, width, whole);
    } else {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++) sum[r * width + v] = bias[v];
    }
}

INLINE void end(const product *p, vec *sum, i64 part, const int rows, const int width, const int whole) {
    vec low = all(p->last.low);
    if (p->last.mask) {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++) {
            vec m = end_load(p->last.mask + r * p->last.mask_stride, part, v, width, whole);
            vec x = keep(greater(m, zeros()), max_or_second(low, sum[r * width + v]));
            end_store(p->c + r * p->c_stride, x, part, v, width, whole);
        }
    } else {
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < width; v++)
            end_store(p->c + r * p->c_stride, max_or_second(low, sum[r * width + v]), part, v, width, whole);
    }
}

INLINE void run(const product *p, const int rows, const int width, const int whole) {
    vec sum[MOST_SUMS];
    i64 part = p->columns - (width - 1) * VL, read = p->padded ? VL : part;
    begin(&p->last, sum, part, rows, width, whole);
    const float *row[(PRODUCT_ROWS(1) + 2) / 3], *b = p->b;
    i64 stride = p->a_row, step = p->a_step;
    UNROLL for (int r = 0; r < rows; r += 3) row[r / 3] = p->a + r * stride;
    for (i64 k = p->depth; k; k--) {
        vec bs[PRODUCT_WIDEST];
        UNROLL for (int r = 0; r < rows; r += 3) OPAQUE(row[r / 3]);
        UNROLL for (int v = 0; v < width; v++) bs[v] = end_load(b, read, v, width, whole);
        UNROLL for (int r = 0; r < rows; r++) {
            vec a = all(row[r / 3][(r % 3) * stride]);
            UNROLL for (int v = 0; v < width; v++) sum[r * width + v] += a * bs[v];
        }
        UNROLL for (int r = 0; r < rows; r += 3) row[r / 3] += step;
        b += p->b_stride;
    }
    end(p, sum, part, rows, width, whole);
}

#define PRODUCT(rows, width)                                                                                          \
    static NOINLINE void product_##rows##x##width(const product *p) { run(p, rows, width, 1); }                       \
    static NOINLINE void part_##rows##x##width(const product *p) { run(p, rows, width, 0); }
#define UP_TO_3(each, width) each(1, width) each(2, width) each(3, width)
#define UP_TO_4(each, width) UP_TO_3(each, width) each(4, width)
#define UP_TO_5(each, width) UP_TO_4(each, width) each(5, width)
#define UP_TO_6(each, width) UP_TO_5(each, width) each(6, width)
#define UP_TO_8(each, width) UP_TO_6(each, width) each(7, width) each(8, width)
#define UP_TO_12(each, width) UP_TO_8(each, width) each(9, width) each(10, width) each(11, width) each(12, width)
#define UP_TO_16(each, width) UP_TO_12(each, width) each(13, width) each(14, width) each(15, width) each(16, width)

#if VECTOR_REGISTERS == 32
#define EVERY_PRODUCT(each) UP_TO_16(each, 1) UP_TO_12(each, 2) UP_TO_8(each, 3)
#elif VL == 8
#define EVERY_PRODUCT(each) UP_TO_8(each, 1) UP_TO_6(each, 2) UP_TO_4(each, 3)
#else
#define EVERY_PRODUCT(each) UP_TO_8(each, 1) UP_TO_5(each, 2) UP_TO_3(each, 3)
#endif

EVERY_PRODUCT(PRODUCT)

typedef void (*height)(const product *p);
#define WHOLE_ENTRY(rows, width) [width - 1][rows - 1] = product_##rows##x##width,
#define PART_ENTRY(rows, width) [width - 1][rows - 1] = part_##rows##x##width,
static const height products[2][PRODUCT_WIDEST][PRODUCT_ROWS(1)] = {{EVERY_PRODUCT(PART_ENTRY)},
                                                                    {EVERY_PRODUCT(WHOLE_ENTRY)}};

void product_rows(const product *p, i64 rows) {
    product next = *p;
    i64 width = (p->columns + VL - 1) / VL;
    const height *heights = products[p->columns == width * VL][width - 1];
    for (i64 left = (rows + PRODUCT_ROWS(width) - 1) / PRODUCT_ROWS(width); left; left--) {
        i64 now = (rows + left - 1) / left;
        heights[now - 1](&next);
        rows -= now;
        next.a += now * p->a_row;
        next.c += now * p->c_stride;
        if (next.last.add) next.last.add += now * p->last.add_stride;
        if (next.last.mask) next.last.mask += now * p->last.mask_stride;
    }
}

void gather_rows(const float *b, i64 stride, i64 count, i64 columns, float *packed) {
    for (i64 i = 0; i < count; i++, b += stride) {
        i64 j = 0;
        for (; j + VL <= columns; j += VL, packed += VL) store(packed, load(b + j));
        if (j < columns) {
            store(packed, load_part(b + j, columns - j));
            packed += VL;
        }
    }
}

/* Two vectors' lanes in turn: a0 b0 a1 b1 …, the first half of them and the second. */
#if VL == 16
#define LOW_LANES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_LANES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VL == 8
#define LOW_LANES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_LANES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW_LANES 0, 4, 1, 5
#define HIGH_LANES 2, 6, 3, 7
#endif
#if defined(__clang__)
#define IN_TURN(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define IN_TURN(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/* A square of VL vectors turned over: as often as VL can be halved, row i and row i + VL / 2 go zip. */
INLINE void turn(vec *x) {
    UNROLL for (int size = 1; size < VL; size *= 2) {
        vec y[VL];
        UNROLL for (int i = 0; i < VL / 2; i++) {
            y[2 * i] = IN_TURN(x[i], x[i + VL / 2], LOW_LANES);
            y[2 * i + 1] = IN_TURN(x[i], x[i + VL / 2], HIGH_LANES);
        }
        UNROLL for (int i = 0; i < VL; i++) x[i] = y[i];
    }
}

static NOINLINE void gather_square(const float *b, i64 stride, float *packed, i64 wide) {
    vec x[VL];
    UNROLL for (int j = 0; j < VL; j++) x[j] = load(b + j * stride);
    turn(x);
    UNROLL for (int i = 0; i < VL; i++) store(packed + i * wide, x[i]);
}

static NOINLINE void gather_part(const float *b, i64 stride, i64 count, i64 columns, float *packed, i64 wide) {
    vec x[VL];
    UNROLL for (int j = 0; j < VL; j++) x[j] = j < columns ? load_part(b + j * stride, count) : zeros();
    turn(x);
    UNROLL for (int i = 0; i < VL; i++) if (i < count) store(packed + i * wide, x[i]);
}

void gather_columns(const float *b, i64 stride, i64 count, i64 columns, float *packed) {
    i64 wide = (columns + VL - 1) / VL * VL;
    for (i64 j = 0; j < columns; j += VL)
        for (i64 i = 0; i < count; i += VL) {
            const float *from = b + j * stride + i;
            float *to = packed + i * wide + j;
            if (i + VL <= count && j + VL <= columns)
                gather_square(from, stride, to, wide);
            else
                gather_part(from, stride, least(count - i, VL), least(columns - j, VL), to, wide);
        }
}

#define DOT_ROWS 4
#define DOT_COLUMNS (VECTOR_REGISTERS == 32 ? 4 : 2)

INLINE void dot_tile(const dots *d, i64 r, i64 j, const int rows, const int columns) {
    const float *a = d->a + r * d->a_stride, *b = d->b + j * d->b_stride;
    vec sum[DOT_ROWS * 4];
    UNROLL for (int i = 0; i < rows * columns; i++) sum[i] = zeros();
    i64 k = 0;
    for (; k < d->depth; k += VL) {
        i64 part = least(d->depth - k, VL);
        vec bs[4];
        UNROLL for (int i = 0; i < columns; i++)
            bs[i] = part == VL ? load(b + i * d->b_stride + k) : load_part(b + i * d->b_stride + k, part);
        UNROLL for (int i = 0; i < rows; i++) {
            vec x = part == VL ? load(a + i * d->a_stride + k) : load_part(a + i * d->a_stride + k, part);
            UNROLL for (int n = 0; n < columns; n++) sum[i * columns + n] += x * bs[n];
        }
    }
    float *c = d->c + r * d->c_stride + j;
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int n = 0; n < columns; n++) {
        float total = sum_lanes(sum[i * columns + n]);
        c[i * d->c_stride + n] = d->more ? c[i * d->c_stride + n] + total : total;
    }
}

static NOINLINE void dot_many(const dots *d, i64 r, i64 j) { dot_tile(d, r, j, DOT_ROWS, DOT_COLUMNS); }
static NOINLINE void dot_column(const dots *d, i64 r, i64 j) { dot_tile(d, r, j, DOT_ROWS, 1); }
static NOINLINE void dot_row(const dots *d, i64 r, i64 j) { dot_tile(d, r, j, 1, DOT_COLUMNS); }
static NOINLINE void dot_one(const dots *d, i64 r, i64 j) { dot_tile(d, r, j, 1, 1); }

void dot_rows(const dots *d) {
    for (i64 j = 0; j < d->columns;) {
        i64 wide = j + DOT_COLUMNS <= d->columns;
        for (i64 r = 0; r < d->rows;) {
            i64 high = r + DOT_ROWS <= d->rows;
            (wide ? high ? dot_many : dot_row : high ? dot_column : dot_one)(d, r, j);
            r += high ? DOT_ROWS : 1;
        }
        j += wide ? DOT_COLUMNS : 1;
    }
}

void finish_rows(const finish *f, float *c, i64 stride, i64 rows, i64 columns) {
    vec low = all(f->low);
    for (i64 r = 0; r < rows; r++)
        for (i64 j = 0; j < columns; j += VL) {
            i64 part = least(columns - j, VL);
            vec x = load_part(c + r * stride + j, part);
            if (f->bias) x += f->bias_step ? load_part(f->bias + j, part) : all(*f->bias);
            if (f->add) x += load_part(f->add + r * f->add_stride + j, part);
            x = max_or_second(low, x);
            if (f->mask) x = keep(greater(load_part(f->mask + r * f->mask_stride + j, part), zeros()), x);
            store_part(c + r * stride + j, x, part);
        }
}
