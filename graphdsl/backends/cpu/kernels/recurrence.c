/* The products around recurrences: recurrence.h. */
#include "recurrence.h"

void pack_gates(const float *recurrent, i64 units, i64 gates, float *packed) {
    for (i64 u = 0; u < units; u += VL)
        for (i64 k = 0; k < units; k++)
            for (i64 g = 0; g < gates; g++, packed += VL)
                store(packed, load_part(recurrent + (k * gates + g) * units + u, least(units - u, VL)));
}

void pack_turned(const float *recurrent, i64 units, i64 width, float *packed) {
    for (i64 j = 0, columns; j < units; j += columns) {
        columns = next_columns(units - j);
        gather_columns(recurrent + j * width, width, width, columns, packed);
        packed += width * padded_units(columns);
    }
}

void times_turned(const float *a, i64 a_row, i64 rows, const float *packed, i64 units, i64 width, float *c, i64 c_row) {
    product p = {.a = a, .a_row = a_row, .a_step = 1, .depth = width, .c_stride = c_row, .padded = 1, .last = NO_FINISH};
    for (i64 j = 0; j < units; j += p.columns) {
        p.columns = next_columns(units - j);
        p.b = packed;
        p.b_stride = padded_units(p.columns);
        p.c = c + j;
        product_rows(&p, rows);
        packed += width * p.b_stride;
    }
}

void add_outer(const float *states, const float *flowed, i64 steps, i64 units, i64 width, i64 reverse, float *sums) {
    if (steps < 2) return;
    product p = {.a = reverse ? states + units : states, .a_row = 1, .a_step = units, .b_stride = width,
                 .depth = steps - 1, .c_stride = width, .last = NO_FINISH};
    p.last.add_stride = width;
    for (i64 j = 0; j < width; j += p.columns) {
        p.columns = next_columns(width - j);
        p.b = (reverse ? flowed : flowed + width) + j;
        p.c = sums + j;
        p.last.add = p.c;
        product_rows(&p, units);
    }
}

void add_parts(const float *parts, i64 count, i64 size, float *made, const context *at) {
    i64 first, last;
    share_units(size, VL, at, &first, &last);
    for (i64 i = first; i < last; i += VL) {
        i64 there = least(last - i, VL);
        vec sum = load_part(parts + i, there);
        for (i64 p = 1; p < count; p++) sum += load_part(parts + p * size + i, there);
        store_part(made + i, sum, there);
    }
}
