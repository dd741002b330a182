/* Sizes as numbers to calculate with.
 *
 *   put_number   y = a number of 1, 4 or 8 bytes
 *   length_of    y[sample] = a formula of lengths[sample], never below 0; whole numbers, by a machine with a stack:
 *
 *                    (T - 4) // 5   is   length, push -4, add, divide 5
 */
#include <string.h>

#include "graphdsl.h"

typedef struct {
    char *y;
    i64 bits, bytes;
} put_number_task;
TASK(put_number_task);

EXPORT void put_number(const void *task, const context *at) {
    const put_number_task *t = task;
    if (at->thread == 0) memcpy(t->y, &t->bits, (size_t)t->bytes);
}

enum { PUSH, LENGTH, ADD, MULTIPLY, DIVIDE, DEEPEST = 64 };

/* code: pairs of what to do and a number. */
typedef struct {
    const int32_t *lengths;
    int32_t *y;
    const i64 *code;
    i64 count, batch;
} length_of_task;
TASK(length_of_task);

static i64 floor_division(i64 a, i64 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static i64 result(const length_of_task *t, i64 length) {
    i64 stack[DEEPEST], *top = stack - 1;
    for (i64 k = 0; k < t->count; k++) {
        i64 number = t->code[2 * k + 1];
        switch (t->code[2 * k]) {
        case PUSH: *++top = number; break;
        case LENGTH: *++top = length; break;
        case ADD: top--; top[0] += top[1]; break;
        case MULTIPLY: top--; top[0] *= top[1]; break;
        default: top[0] = floor_division(top[0], number);
        }
    }
    return *top;
}

EXPORT void length_of(const void *task, const context *at) {
    const length_of_task *t = task;
    i64 first, last;
    share(t->batch, at, &first, &last);
    for (i64 k = first; k < last; k++) t->y[k] = (int32_t)most(result(t, t->lengths[k]), 0);
}
