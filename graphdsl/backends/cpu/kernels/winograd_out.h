/* What a Winograd convolution is told, and how its products become results: winograd.c, winograd_out.c. */
#ifndef WINOGRAD_OUT_H
#define WINOGRAD_OUT_H

#include "formula.h"
#include "gathering.h"
#include "winograd.h"

/* x .. across: see `picture`. u: packed kernel. y and what is done to it on the way, as in tile.h: bias [filters];
 * add and mask shaped as y; or else the formula `after`. before: makes x; or NULL. Tiles of the batch from `first` to
 * `last` are made; `block`: groups, or panels (gather), that a thread takes at a time; `parts`: pieces that the tiles
 * are cut into where threads share panels (gather). gathers .. means: see gathering.h; one of statistics for each
 * thread, or part (gather). */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across, first, last, block, parts;
    const float *u;
    float *y;
    i64 out_height, out_width, filters;
    const float *bias, *add, *mask;
    const formula_task *after, *before;
    i64 gathers;
    statistics *statistics;
    const float *others[2], *means[2];
    double low;
} winograd_task;

INLINE picture read_by(const winograd_task *q) {
    return (picture){q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
}

/* The results of panel p of tiles from `first` on: m -> y. What is gathered of them is added to statistics number
 * `share`; begun: it holds something already. */
void winograd_out(const winograd_task *q, i64 p, i64 first, i64 tiles, i64 groups, const float *m, i64 share, i64 begun);

/* The formula, on filters from f to `to` of tiles from `first` to `last`. */
void winograd_after(const winograd_task *q, i64 first, i64 last, i64 f, i64 to);

#endif
