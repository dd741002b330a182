/* What a convolution and the packing of its weights are told. Distances are in floats. */
#ifndef CONV_H
#define CONV_H

#include "formula.h"
#include "tile.h"

typedef struct {
    const float *x, *packed;
    float *y;
    const float *bias;         /* [groups * filters] or NULL */
    const float *add, *mask;   /* laid out as y, or NULL; see tile.h */
    const formula_task *after; /* or NULL: applied to lines of y while they are in the cache */
    const i64 *offsets;        /* [taps * pieces]: the segments of a window, from its first in the lines it reads */
    i64 images, parts, rows;   /* images are cut into strips side by side, of so many lines each */
    i64 wide, last;            /* results in a line of a strip; of the last strip */
    i64 y_image, y_part, y_line, y_pixel;
    i64 x_image, x_part, x_line, x_pixel; /* x_part, x_pixel: from the window of one result to that of another */
    i64 filters, channels, groups;        /* filters and channels of one group */
    i64 height, x_wide;                   /* lines in an image of x, floats in each */
    i64 down, top, dilation, taps;        /* line i of results reads lines i * down - top + j * dilation, j < taps */
    i64 pieces, length;                   /* segments in a line of the window; floats in each */
    i64 from;                             /* where the first window begins in a line of x; < 0: in the padding */
    i64 staged_line, staged_image;        /* floats of what is staged; 0: lines are read where they are */
    i64 gathered, gathered_lines;         /* results in a line of y, lines of an image, where windows are gathered: */
    i64 window, window_top, window_pixel; /* lines of a window; `top` of these; floats from one window to the next */
    i64 block;                            /* lines of results that are worked on together */
    i64 line_shares, panel_shares;        /* together as many as threads, or fewer */
    double low;
} conv_task;

/* Convolutions that write every so many lines and pixels of the same y: as many strips each, about as many lines. */
typedef struct {
    const conv_task *const *sweeps;
    i64 count;
    i64 block; /* lines of each that are worked on together */
} conv_phases_task;

typedef struct {
    const float *kernel;
    float *packed;
    const i64 *offsets;       /* [taps]: where they stand in the kernel */
    i64 taps, depth, columns; /* for each tap a matrix [depth, columns] */
    i64 stride;               /* from one row of it to the next; turned: from one column to the next */
    i64 turned;               /* 0: the elements of a row are neighbours, 1: those of a column */
    i64 groups, group_step;
} conv_pack_task;

#endif
