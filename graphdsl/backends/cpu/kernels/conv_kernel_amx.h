/* Bands of pictures, as kernel gradients in AMX tiles work on them (conv_kernel_amx.c, conv_kernel_few.c). */
#ifndef CONV_KERNEL_AMX_H
#define CONV_KERNEL_AMX_H

#include "amx.h"

typedef struct {
    const float *x, *dy;
    i64 batch, height, width, channels;
    i64 out_height, out_width, filters;
    i64 window_height, window_width, stride_height, stride_width;
    i64 pad_height, pad_width, dilation_height, dilation_width;
    i64 lines, columns; /* of the results in a band; columns < out_width only where lines = 1 */
    i64 block;          /* bands; with few channels tiles along the places, that are worked on together */
    i64 pitch, places;  /* places of a line of a plane; of a plane, with what the last tiles read behind it */
    i64 depth;          /* tiles along the places of a band */
    i64 parts, slices;  /* of the bands; of the vectors of filters */
    i64 sums;           /* floats of a part */
    i64 chunk, near;    /* steps of depth, columns of tiles that are worked on together */
} conv_kernel_amx_task;

#ifdef AMX

typedef struct {
    i64 n, row, column, rows, columns;
} band;

INLINE i64 band_count(const conv_kernel_amx_task *t) {
    i64 down = (t->out_height + t->lines - 1) / t->lines;
    return t->batch * down * ((t->out_width + t->columns - 1) / t->columns);
}

INLINE band band_of(const conv_kernel_amx_task *t, i64 i) {
    i64 across = (t->out_width + t->columns - 1) / t->columns, down = (t->out_height + t->lines - 1) / t->lines;
    i64 column = i % across * t->columns, row = i / across % down * t->lines;
    return (band){i / across / down, row, column, least(t->lines, t->out_height - row),
                  least(t->columns, t->out_width - column)};
}

INLINE i64 vectors(i64 n) { return (n + TILE_SIDE - 1) / TILE_SIDE; }
INLINE i64 shift_of(i64 tap, i64 dilation, i64 stride) { return tap * dilation / stride; }

INLINE i64 phase_count(i64 window, i64 stride, i64 dilation) {
    return (window > 1 && stride > 1) ? (dilation % stride ? stride : 1) : 1;
}

enum { MOST_COUNT = 5 };

/* Sums over steps of depth: dy of vectors of filters times x of taps. */
typedef struct {
    const char *a;             /* tiles of a vector of filters, hi and lo, then those of the next */
    i64 a_step;                /* bytes from step to step of depth */
    const char *b[MOST_COUNT]; /* of each tap */
    i64 lo;                    /* bytes from hi to lo of b */
    const i64 *offset;         /* of each step of depth, in b */
    i64 depth;
    float *c;                  /* tiles of each tap, one behind another; c_step floats on, of the next filters */
    i64 c_step, add;
} product;

/* Vectors of filters x taps. */
void multiply_1x1(const product *p);
void multiply_1x2(const product *p);
void multiply_1x3(const product *p);
void multiply_1x4(const product *p);
void multiply_1x5(const product *p);
void multiply_2x1(const product *p);
void multiply_2x2(const product *p);

#endif
#endif
