/* Sizes as numbers to calculate with.
 *
 *   put_number   y = a number of `bytes` bytes
 *   length_of    y[k] = a formula of lengths[k], never below 0: a program for a stack, pairs of what to do and a number
 */
#include "index.cuh"

struct put_number_args {
    u8 *y;
    u64 bits;
    i64 bytes;
};

KERNEL(32) put_number(const put_number_args a) {
    if ((i64)threadIdx.x < a.bytes) a.y[threadIdx.x] = (u8)(a.bits >> 8 * threadIdx.x);
}

struct length_of_args {
    const i32 *lengths;
    i32 *y;
    const i64 *code;
    i64 count, batch;
};

enum { PUSH, LENGTH, ADD, MULTIPLY, DIVIDE, DEEPEST = 64 };

DEVICE i64 floor_division(i64 a, i64 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

DEVICE i64 length_by(const i64 *code, i64 count, i64 length) {
    i64 stack[DEEPEST], top = -1;
    for (i64 k = 0; k < count; k++) {
        i64 number = code[2 * k + 1];
        switch (code[2 * k]) {
        case PUSH: stack[++top] = number; break;
        case LENGTH: stack[++top] = length; break;
        case ADD: top--, stack[top] += stack[top + 1]; break;
        case MULTIPLY: top--, stack[top] *= stack[top + 1]; break;
        default: stack[top] = floor_division(stack[top], number);
        }
    }
    return stack[top];
}

KERNEL(256) length_of(const length_of_args a) {
    for EACH(i64, k, a.batch) a.y[k] = (i32)most(length_by(a.code, a.count, a.lengths[k]), 0);
}
