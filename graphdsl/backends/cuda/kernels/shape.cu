/* The same elements elsewhere: one, four or 16 bytes each, whatever they mean.
 *
 *   copy              y = x
 *   transpose         y[place] = x[Σ place * stride]: a thread an element, for axes that threads run along in x too
 *   transpose_square  y [outer, a, between, b] where x has a along its last axis: squares of 32 x 32 go through shared
 *                     memory, so that both reading and writing go along lines
 */
#include "index.cuh"

enum { RANK = 8, SIDE = 32, ROWS = 8 };

struct copy_args {
    const u8 *x;
    u8 *y;
    i64 count;
};

template <class Element> KERNEL(256) copy(const copy_args a) {
    for EACH(i64, i, a.count) ((Element *)a.y)[i] = ((const Element *)a.x)[i];
}

struct transpose_args {
    const u8 *x;
    u8 *y;
    i64 sizes[RANK], strides[RANK]; /* of y's axes; in x, in elements */
    i64 rank, count, turned;        /* the axis of y along which x is in order */
};

template <class Element> KERNEL(256) transpose(const transpose_args a) {
    for EACH(i64, i, a.count) {
        i64 rest = i, from = 0;
        for (int axis = (int)a.rank - 1; axis >= 0; axis--) {
            from += rest % a.sizes[axis] * a.strides[axis];
            rest /= a.sizes[axis];
        }
        ((Element *)a.y)[i] = ((const Element *)a.x)[from];
    }
}

/* Where a row along the last axis begins in x and in y, for places along all axes but the last and the turned one. */
DEVICE void begin(const transpose_args &a, i64 rest, i64 &from, i64 &to) {
    i64 step = 1;
    from = to = 0;
    for (int axis = (int)a.rank - 1; axis >= 0; axis--) {
        if (axis != a.rank - 1 && axis != a.turned) {
            i64 place = rest % a.sizes[axis];
            rest /= a.sizes[axis];
            from += place * a.strides[axis];
            to += place * step;
        }
        step *= a.sizes[axis];
    }
}

/* Grid: squares along the last axis of y, squares along the turned one, all others. */
template <class Element> KERNEL(SIDE * ROWS) transpose_square(const transpose_args a) {
    __shared__ Element square[SIDE][SIDE + 1];
    i64 wide = a.sizes[a.rank - 1], high = a.sizes[a.turned], across = 1, from, to;
    for (int axis = (int)a.turned + 1; axis < a.rank; axis++) across *= a.sizes[axis];
    begin(a, blockIdx.z, from, to);
    i64 column = threadIdx.x % SIDE, line = threadIdx.x / SIDE, x0 = (i64)blockIdx.x * SIDE, y0 = (i64)blockIdx.y * SIDE;
    for (i64 r = line; r < SIDE; r += ROWS) /* x runs along `turned` */
        if (x0 + r < wide && y0 + column < high)
            square[r][column] = ((const Element *)a.x)[from + (x0 + r) * a.strides[a.rank - 1] + y0 + column];
    __syncthreads();
    for (i64 r = line; r < SIDE; r += ROWS)
        if (y0 + r < high && x0 + column < wide)
            ((Element *)a.y)[to + (y0 + r) * across + x0 + column] = square[column][r];
}
