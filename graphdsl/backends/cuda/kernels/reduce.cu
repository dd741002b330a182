/* Over summed axes: Σ formula(x0, x1, …), or mean and variance, or the largest (reduce.cuh); the other axes are kept.
 *
 *     last axis summed: reduce_rows            last axis kept: reduce_columns
 *
 *     [ a a a a | a a a a ]  -> Σ a            [ a b | c d ]     a block: LANES threads beside each other for N columns
 *     [ b b b b | b b b b ]  -> Σ b            [ a b | c d ]     each, and below each other 256 / LANES of them for
 *                                              [ a b | c d ]     every so manieth row
 *     GROUP threads a row: lanes of a warp      ↓ ↓   ↓ ↓
 *     or a whole block; N numbers at once      Σa Σb Σc Σd
 *
 * Long sums are cut into parts along y of the grid: every block leaves its part, and the last to come joins them. All
 * is joined in an order that does not depend on who comes when.
 */
#include "device.cuh"
#include "reduce.cuh"

/* The numbers at one step of the summed axes: asked by the formula, taken into the state. */
template <class Way, int N, int SUMMED, class Index> struct numbers {
    const reduce_args &a;
    Index base[at_least_one(formula::OPERANDS)], at[AXES], along;
    float state[N][Way::WIDTH];

    /* outer: number of a place on the kept axes but the columns, of which column is one. */
    DEVICE numbers(const reduce_args &args, Index outer, Index column) : a(args), along(0) {
        UNROLL for (int n = 0; n < formula::OPERANDS; n++) base[n] = column * (Index)a.kept_strides[n][AXES - 1];
#pragma unroll 1
        for (int axis = (int)a.kept_axes - 1; axis >= 0; axis--) {
            Index rest = axis ? quotient(outer, a.kept[axis]) : 0, own = outer - rest * a.kept[axis].divisor;
            UNROLL for (int n = 0; n < formula::OPERANDS; n++) base[n] += own * (Index)a.kept_strides[n][axis];
            outer = rest;
        }
        begin();
    }
    DEVICE void begin() {
        UNROLL for (int i = 0; i < N; i++) Way::begin(state[i]);
    }
    DEVICE void take(Index step, bool row) {
        UNROLL for (int axis = SUMMED - 1; axis > 0; axis--) {
            Index rest = quotient(step, a.summed[axis]);
            at[axis] = step - rest * a.summed[axis].divisor;
            step = rest;
        }
        at[0] = step;
        along = row ? at[SUMMED - 1] * N : 0;
        if (row) at[SUMMED - 1] = 0;
        formula::at<N>(*this);
    }
    DEVICE const float *literals() const { return a.k; }
    DEVICE Index place(int number) const {
        Index offset = base[number];
        UNROLL for (int axis = 0; axis < SUMMED; axis++) offset += at[axis] * (Index)a.summed_strides[number][axis];
        return offset;
    }
    template <class T> DEVICE void load(int number, T (&x)[N]) const {
        read((const T *)a.operands[number] + place(number) + along, x);
    }
    template <class T> DEVICE void load_one(int number, T &x) const { x = ((const T *)a.operands[number])[place(number)]; }
    DEVICE void store(int number, const float (&y)[N]) { Way::take(state, number, y); }
};

/* Every STRIDE-th step before the end; four at once, so that all their numbers are on their way together. */
template <int STRIDE, class Numbers, class Index> DEVICE void take_all(Numbers &own, Index step, Index end, bool row) {
    for (; step + 3 * STRIDE < end; step += 4 * STRIDE)
        UNROLL for (int i = 0; i < 4; i++) own.take(step + i * STRIDE, row);
#pragma unroll 1
    for (; step < end; step += STRIDE) own.take(step, row);
}

/* Whether this block is the last of those along y to come here. came is 0 again then. */
DEVICE bool last_to_come(i32 *came) {
    __shared__ i32 before;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) before = atomicAdd(came, 1);
    __syncthreads();
    if (before != (i32)gridDim.y - 1) return false;
    __threadfence();
    if (threadIdx.x == 0) *came = 0;
    return true;
}

/* The states of one place on the kept axes become one, which thread 0 of its group gets. */
template <class Way, int GROUP, int N> DEVICE void join_row(float (&state)[N][Way::WIDTH]) {
    UNROLL for (int i = 1; i < N; i++) Way::join(state[0], state[i]);
    if (GROUP == 256)
        join_block<Way>(state[0]);
    else
        join_lanes<Way, GROUP>(state[0]);
}

template <class Way, int GROUP, int N, int SUMMED, class Index> KERNEL(256) reduce_rows(const reduce_args a) {
    const i64 row = (i64)blockIdx.x * (256 / GROUP) + threadIdx.x / GROUP;
    const int lane = threadIdx.x % GROUP;
    const i64 first = blockIdx.y * a.part, end = a.steps < first + a.part ? a.steps : first + a.part;
    numbers<Way, N, SUMMED, Index> own(a, (Index)(row < a.outputs ? row : 0), 0);
    take_all<GROUP>(own, (Index)(first + lane), (Index)end, true);
    join_row<Way, GROUP, N>(own.state);
    if (GROUP == 256 && gridDim.y > 1) {
        float *partials = a.partials + row * gridDim.y * Way::WIDTH;
        if (lane == 0)
            UNROLL for (int j = 0; j < Way::WIDTH; j++) partials[blockIdx.y * Way::WIDTH + j] = own.state[0][j];
        if (!last_to_come(a.came + blockIdx.x)) return;
        own.begin();
        for (int p = lane; p < gridDim.y; p += GROUP) Way::join(own.state[0], *(float (*)[Way::WIDTH])(partials + p * Way::WIDTH));
        join_row<Way, GROUP, N>(own.state);
    }
    if (lane == 0 && row < a.outputs) Way::finish(a, row, own.state[0]);
}

/* The threads of a block that have the same columns join their states, one half taking over the other's; those of
 * the first row have the whole. */
template <class Way, int LANES, int N> DEVICE void join_columns(float (&state)[N][Way::WIDTH]) {
    __shared__ float given[256][N][Way::WIDTH];
    const int row = threadIdx.x / LANES;
    for (int half = 128 / LANES; half; half /= 2) {
        __syncthreads();
        if (row >= half && row < 2 * half)
            UNROLL for (int i = 0; i < N; i++)
                UNROLL for (int j = 0; j < Way::WIDTH; j++) given[threadIdx.x][i][j] = state[i][j];
        __syncthreads();
        if (row < half) UNROLL for (int i = 0; i < N; i++) Way::join(state[i], given[threadIdx.x + half * LANES][i]);
    }
}

template <class Way, int LANES, int N, int SUMMED, class Index> KERNEL(256) reduce_columns(const reduce_args a) {
    enum : int { ROWS = 256 / LANES, WIDTH = Way::WIDTH };
    const u32 tiles = (a.columns + LANES * N - 1) / (LANES * N), outer = blockIdx.x / tiles;
    const i64 column = (i64)(blockIdx.x % tiles * LANES + threadIdx.x % LANES) * N, at = outer * a.columns + column;
    const i64 first = blockIdx.y * a.part, end = a.steps < first + a.part ? a.steps : first + a.part;
    const int row = threadIdx.x / LANES;
    const bool there = column < a.columns;
    numbers<Way, N, SUMMED, Index> own(a, outer, there ? column : 0);
    take_all<ROWS>(own, (Index)(first + row), (Index)(there ? end : 0), false);
    join_columns<Way, LANES, N>(own.state);
    if (gridDim.y > 1) {
        float(*partials)[WIDTH] = (float(*)[WIDTH])a.partials;
        if (row == 0 && there)
            UNROLL for (int i = 0; i < N; i++)
                UNROLL for (int j = 0; j < WIDTH; j++) partials[blockIdx.y * a.outputs + at + i][j] = own.state[i][j];
        if (!last_to_come(a.came + blockIdx.x)) return;
        own.begin();
        for (int p = row; p < gridDim.y && there; p += ROWS)
            UNROLL for (int i = 0; i < N; i++) Way::join(own.state[i], partials[p * a.outputs + at + i]);
        join_columns<Way, LANES, N>(own.state);
    }
    if (row == 0 && there)
        UNROLL for (int i = 0; i < N; i++) Way::finish(a, at + i, own.state[i]);
}
