/* What convolutions gather of their results while they store them, channel by channel, y being the results:
 *
 *     NOTHING
 *     MOMENTS        Σ (y - p) and Σ (y - p)², where p is the first result: little is lost where the mean is far from 0
 *     SUMS           Σ y
 *     SUMS + 1, 2    Σ y and Σ y * (others[i] - means[i]), with a mean for each channel
 */
#ifndef GATHERING_H
#define GATHERING_H

#include "vector.h"

enum { NOTHING, MOMENTS, SUMS };

/* Of the results of a share of the work: how many there are of a channel, and rows of sums, `wide` channels each. */
typedef struct statistics {
    i64 count, wide;
    double *sums;
    float *pivots;
} statistics;

typedef struct {
    const statistics *parts;
    i64 count, filters;
    float *mean, *variance;
} gathered_moments_task;

typedef struct {
    const statistics *parts;
    i64 count, filters;
    float *sums[3]; /* or NULL */
} gathered_sums_task;

/* How many rows of sums there are. */
INLINE int rows_gathered(i64 kind) { return kind == MOMENTS ? 2 : kind < SUMS ? 0 : (int)(kind - SUMS) + 1; }

#endif
