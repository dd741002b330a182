/* What shares of a convolution have gathered of their results, put together. */
#include "gathering.h"

TASK(gathered_moments_task);
TASK(gathered_sums_task);

/* Mean and variance from the shares' sums: each share's own first, then both put together (Chan et al. 1979). */
EXPORT void gathered_moments(const void *task, const context *at) {
    const gathered_moments_task *t = task;
    (void)at;
    for (i64 c = 0; c < t->filters; c++) {
        double n = 0, mean = 0, squares = 0;
        for (const statistics *s = t->parts; s < t->parts + t->count; s++) {
            if (!s->count) continue;
            double m = (double)s->count, shift = s->sums[c] / m;
            double away = s->pivots[c] + shift - mean;
            squares += s->sums[s->wide + c] - s->sums[c] * shift + away * away * n * m / (n + m);
            mean += away * m / (n + m);
            n += m;
        }
        t->mean[c] = (float)mean;
        t->variance[c] = (float)(squares > 0 || squares != squares ? squares / n : 0);
    }
}

/* The shares' sums, one after another. */
EXPORT void gathered_sums(const void *task, const context *at) {
    const gathered_sums_task *t = task;
    (void)at;
    for (i64 k = 0; k < 3; k++)
        for (i64 c = 0; t->sums[k] && c < t->filters; c++) {
            double sum = 0;
            for (const statistics *s = t->parts; s < t->parts + t->count; s++) sum += s->sums[k * s->wide + c];
            t->sums[k][c] = (float)sum;
        }
}
