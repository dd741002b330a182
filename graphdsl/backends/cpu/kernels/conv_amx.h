/* What a convolution in AMX tiles, the packing of its weights and the ending of its statistics are told. */
#ifndef CONV_AMX_H
#define CONV_AMX_H

#include "amx.h"
#include "formula.h"
#include "gathering.h"

typedef struct {
    const float *x;
    const char *packed;
    float *y;
    const float *bias, *add, *mask; /* as in conv.h */
    const formula_task *after;
    const formula_task *before; /* makes x; or NULL. Then shares are whole images where lines of x are read twice */
    i64 pixels;                 /* of x in an image */
    i64 images, rows, columns, limit;     /* lines of results, results in a line; of all lines only so many exist */
    i64 height, width, channels, filters; /* of x */
    i64 down, across, top, left;          /* result (i, j) has its window at line i * down - top, pixel j * across - left */
    i64 taps, dilation;                   /* lines of the window */
    i64 pieces, piece_step, length;       /* segments of a window line, pixels from one to the next, numbers in each */
    i64 x_image, x_line, x_pixel, y_image, y_line, y_pixel;
    i64 pitch, shared, block;             /* pixels of a laid out line, and of the next that are its own too; lines */
    i64 line_shares, panel_shares;
    i64 gathers;                   /* of the results, channel by channel: */
    statistics *statistics; /* one for each share of lines, or NULL */
    const float *others[2], *means[2];
    double low;
} conv_amx_task;

typedef struct {
    const float *kernel;
    char *packed;
    const i64 *offsets;          /* of each tap in the kernel, in the order of segments */
    i64 segments, along;         /* taps in a segment */
    i64 depth, filters, stride;  /* a tap is a matrix [depth, filters]; from row to row, or turned: column to column */
    i64 turned;
} conv_amx_pack_task;

enum { PANEL = 32, PLACES = 32, MOST_PLACES = 64, SLACK = 64 };

INLINE i64 up(i64 n, i64 unit) { return (n + unit - 1) / unit; }
INLINE i64 vectors_in(i64 filters, i64 panel) { return least(2, up(filters - panel * PANEL, VL)); }

#ifdef AMX

/* What is met when the results of a product are stored, to be fetched meanwhile: y, and what is read beside it. */
typedef struct {
    const char *at[5]; /* y is the first */
    i64 count, places, step; /* bytes from place to place */
} coming;

/* Added to tiles 0 to 3: places, `step` bytes apart, times weights b, so many steps. What comes next is fetched from
 * ahead, if not NULL. All in registers: what is passed in memory would wait there for results being stored. */
typedef void product(const char *hi, const char *lo, i64 step, const char *b, const char *ahead, i64 depth);
product product_2x2, product_1x2; /* 32 and 16 places times 32 filters */
product product_4x1, product_2x1; /* 64 and 32 places times 16 filters */

/* A block of lines of results, and the lines of x that it reads. */
typedef struct {
    i64 image, line, lines;  /* of results */
    i64 end, ready;          /* this thread's lines of the image end here; so many pixels of x are made */
    uint16_t *hi, *lo;
    i64 offsets[];
} laid_out;

/* The most lines that a block reads with one remainder modulo the stride down, and where line j is among all. */
INLINE i64 lines_of_a_phase(const conv_amx_task *t) { return t->block + (t->taps - 1) * t->dilation / t->down; }
INLINE i64 slot(const conv_amx_task *t, i64 j) { return j % t->down * lines_of_a_phase(t) + j / t->down; }

void lay_out_block(const conv_amx_task *t, laid_out *b);

#endif

#endif
