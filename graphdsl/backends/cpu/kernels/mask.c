/* Sequences of different lengths: the steps behind the end of each are replaced.
 *
 *   x, y     [batch, between, steps, width] in words of 4 bytes; lengths [batch]
 *
 * Shared by steps.
 */
#include "copy.h"

typedef struct {
    const int32_t *x, *lengths;
    int32_t *y;
    i64 batch, between, steps, width, fill; /* fill: the bits of the number that replaces */
} step_mask_task;
TASK(step_mask_task);

EXPORT void step_mask(const void *task, const context *at) {
    const step_mask_task *t = task;
    i64 first, last;
    share(t->batch * t->between * t->steps, at, &first, &last);
    while (first < last) {
        i64 row = first / t->steps, step = first % t->steps, run = least(t->steps - step, last - first);
        i64 real = least(most(t->lengths[row / t->between] - step, 0), run), k = first * t->width;
        copy_bytes(t->y + k, t->x + k, 4 * real * t->width);
        fill_words(t->y + k + real * t->width, (int32_t)t->fill, (run - real) * t->width);
        first += run;
    }
}
