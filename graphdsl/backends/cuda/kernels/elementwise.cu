/* y[i] = formula(x0[i], x1[i], …), one or several results, where operands are stretched to the shape of the results.
 *
 * Before this stands the formula (formula.py). A thread takes N neighbours along the last axis, then those a grid
 * further on. What is read and written goes as 16 bytes where N is 4. An operand may lie where a result lies: a thread
 * has read its elements before it writes them, and nobody else does either.
 *
 *     i, a step:     [ 0 0 0 0 | 1 1 1 1 | 2 2 … ]         RANK 1: one long row, whose end may be a part of a step
 *
 *                    [ 0 0 0 0 | 1 1 1 1 ]                 RANK 2: the last axis in whole steps; i is divided into
 *                    [ 2 2 2 2 | 3 3 3 3 ]                 row and column, and each operand has its strides
 */
#include "device.cuh"
#include "divider.cuh"
#include "vector.cuh"

enum : int { AXES = 6 };

/* count: elements of a result. sizes: of the axes, the last in steps. strides: in elements, of all axes but the last,
 * along which an operand goes on by 1 or not at all, as the formula knows. */
struct elementwise_args {
    const void *operands[at_least_one(formula::OPERANDS)];
    void *results[formula::RESULTS];
    i64 count;
    divider sizes[AXES];
    i32 strides[at_least_one(formula::OPERANDS)][AXES];
    float k[at_least_one(formula::LITERALS)];
};

/* N elements: where they lie in the results, and in each operand. */
template <int RANK, int N, class Index> struct elements {
    const elementwise_args &a;
    Index first, column, at[AXES];

    DEVICE elements(const elementwise_args &args, Index step) : a(args), first(step * N), column(first) {
        if (RANK == 1) return;
        UNROLL for (int axis = RANK - 1; axis > 0; axis--) {
            Index rest = quotient(step, a.sizes[axis]);
            at[axis] = step - rest * a.sizes[axis].divisor;
            step = rest;
        }
        at[0] = step;
        column = at[RANK - 1] * N;
    }
    DEVICE const float *literals() const { return a.k; }
    DEVICE Index row(int number) const {
        Index offset = 0;
        UNROLL for (int axis = 0; axis < RANK - 1; axis++) offset += at[axis] * (Index)a.strides[number][axis];
        return offset;
    }
    template <class T> DEVICE void load(int number, T (&x)[N]) const {
        read((const T *)a.operands[number] + row(number) + column, x);
    }
    template <class T> DEVICE void load_one(int number, T &x) const { x = ((const T *)a.operands[number])[row(number)]; }
    template <class T> DEVICE void store(int number, const T (&y)[N]) const { write((T *)a.results[number] + first, y); }
};

template <int RANK, int N, class Index> DEVICE void compute_at(const elementwise_args &a, Index step) {
    elements<RANK, N, Index> place(a, step);
    formula::at<N>(place);
}

template <int RANK, int N, class Index> KERNEL(256) elementwise(const elementwise_args a) {
    const Index count = a.count, whole = count / N;
    const Index own = (Index)blockIdx.x * 256 + threadIdx.x, all = (Index)gridDim.x * 256;
    for (Index step = own; step < whole; step += all) compute_at<RANK, N, Index>(a, step);
    if (RANK > 1) return;
    for (Index i = whole * N + own; i < count; i += all) compute_at<1, 1, Index>(a, i);
}

/* The same formula over many groups of tensors at once, each one long row: the updates of a network's weights. Blocks up
 * to ends[0] work on entries[0], those up to ends[1] on entries[1] … */
struct many_args {
    const elementwise_args *entries;
    const i32 *ends;
    i64 count;
};

template <int N> KERNEL(256) elementwise_many(const many_args a) {
    i32 first = 0, last = (i32)a.count - 1, own = (i32)blockIdx.x;
    while (first < last) {
        i32 middle = (first + last) / 2;
        if (own < a.ends[middle])
            last = middle;
        else
            first = middle + 1;
    }
    i32 before = first ? a.ends[first - 1] : 0;
    const elementwise_args &e = a.entries[first];
    const u32 count = (u32)e.count, whole = count / N, all = (u32)(a.ends[first] - before) * 256;
    const u32 start = (u32)(own - before) * 256 + threadIdx.x;
    for (u32 step = start; step < whole; step += all) compute_at<1, N, u32>(e, step);
    for (u32 i = whole * N + start; i < count; i += all) compute_at<1, 1, u32>(e, i);
}
