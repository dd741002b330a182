/* Depthwise convolutions: every channel has a window of its own, so vectors of channels never meet.
 *
 *     y[n, o, c] = Σ over taps x[n, o * stride + tap * dilation - pad, c] * kernel[tap, c]
 *
 * Over time: height = 1. Three ways:
 *
 *     BLOCKS   3x3 and 5x5, dilation 1: blocks of outputs, so that an input serves several of them
 *     FLAT     few channels, stride 1 across: vectors run over pixels and channels alike, kernels repeat to match
 *     PLAIN    whatever is left: pixel by pixel, tap by tap
 */
#ifndef DEPTHWISE_H
#define DEPTHWISE_H

#include "formula.h"
#include "vector.h"

enum { BLOCKS, FLAT, PLAIN };

typedef struct {
    i64 batch, height, width, channels; /* of x */
    i64 out_height, out_width;
    i64 window_height, window_width, stride_height, stride_width;
    i64 pad_height, pad_width, dilation_height, dilation_width;
    i64 way;
} sliding;

/* Outputs of a block: `BLOCK_ROWS` (one where rows end) by BLOCK_COLUMNS. */
enum { BLOCK_ROWS = VECTOR_REGISTERS == 32 ? 2 : 1, BLOCK_COLUMNS = 4, MOST_WINDOW = 5 };
enum { MOST_ROWS = (BLOCK_ROWS - 1) * 2 + MOST_WINDOW };

/* The inputs of a block. */
typedef struct {
    const float *row[MOST_ROWS]; /* at the channels of the first column, whether there is one or not; NULL: no row */
    i64 first, end;              /* columns that there are */
    i64 step;                    /* from column to column */
} spot;

INLINE i64 vectors_of(i64 n) { return (n + VL - 1) / VL; }

INLINE vec load_some(const float *p, i64 lanes) { return lanes == VL ? load(p) : load_part(p, lanes); }

INLINE void store_some(float *p, vec v, i64 lanes) {
    if (lanes == VL)
        store(p, v);
    else
        store_part(p, v, lanes);
}

/* Finds the inputs of the outputs from (row, column) on. */
INLINE spot spot_of(const sliding *s, const float *x, i64 n, i64 row, i64 column, i64 rows, i64 columns) {
    spot found = {.step = s->channels};
    i64 up = row * s->stride_height - s->pad_height, left = column * s->stride_width - s->pad_width;
    for (i64 r = 0; r < rows; r++) {
        i64 at = up + r;
        found.row[r] = at < 0 || at >= s->height ? 0 : x + ((n * s->height + at) * s->width + left) * s->channels;
    }
    found.first = most(-left, 0);
    found.end = least(s->width - left, columns);
    return found;
}

/* FLAT. The pattern of channels in vectors that follow each other repeats after so many vectors. */
INLINE i64 phases_of(i64 channels) {
    i64 phases = 1;
    while (phases * VL % channels) phases++;
    return phases;
}

INLINE i64 flat_row(const sliding *s) {
    return (s->out_width + (s->window_width - 1) * s->dilation_width) * s->channels;
}

/* FLAT. The input row that window row `down` of output row `row` reads: where it lies, or copied with its padding to
 * `copy`. NULL: there is none. */
INLINE const float *flat_input(const sliding *s, const float *x, i64 n, i64 row, i64 down, float *copy) {
    i64 at = row * s->stride_height + down * s->dilation_height - s->pad_height;
    if (at < 0 || at >= s->height) return 0;
    const float *from = x + (n * s->height + at) * s->width * s->channels;
    i64 before = s->pad_width * s->channels, whole = flat_row(s), there = s->width * s->channels;
    if (!before && whole <= there) return from;
    i64 used = most(least(there, whole - before), 0);
    memset(copy, 0, (size_t)least(before, whole) * 4);
    memcpy(copy + before, from, (size_t)used * 4);
    memset(copy + before + used, 0, (size_t)most(whole - before - used, 0) * 4);
    return copy;
}

#endif
