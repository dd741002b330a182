/* Recurrent layers of few units through all their time in one launch. Samples know nothing of each other, so a block
 * takes ROWS of them from the first step to the last, and waits for no other block.
 *
 *   thread   4 unit + lane                       The recurrent weights of a unit stay with its four lanes: the first
 *   lane     quads lane, lane + 4, … of the      HELD quads in registers, the rest in shared memory. What changes, the
 *            state before, in shared memory      state, is read from shared memory; the sums of the lanes are added by
 *                                                shuffles; one barrier a step. Units are padded to 16 QUADS, with 0.
 *
 * Going back, the lanes share out what flowed into all gates. The inputs' part of all steps is one product before, the
 * gradients of the weights are products afterwards.
 *
 * Source of the idea: persistent RNNs (Diamos et al. 2016).
 */
#include "device.cuh"
#include "cells.cuh"

/* Quads of numbers that a thread keeps: the first HELD in registers, the others in shared memory. */
template <int HELD, int THREADS> struct weights {
    float held[HELD][4];
    quad *rest;

    DEVICE void keep(int n, const float (&w)[4]) {
        if (n >= HELD) rest[(n - HELD) * THREADS + threadIdx.x] = {w[0], w[1], w[2], w[3]};
        else UNROLL for (int i = 0; i < 4; i++) held[n][i] = w[i];
    }
    DEVICE float times(int n, quad x, float sum) const {
        quad w = n < HELD ? quad{held[n < HELD ? n : 0][0], held[n < HELD ? n : 0][1], held[n < HELD ? n : 0][2],
                                 held[n < HELD ? n : 0][3]}
                          : rest[(n < HELD ? 0 : n - HELD) * THREADS + threadIdx.x];
        return sum + w.x * x.x + w.y * x.y + w.z * x.z + w.w * x.w;
    }
};

DEVICE float over_lanes(float x) {
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

template <class Cell, int QUADS, int HELD, int ROWS> KERNEL(64 * QUADS) recurrence(const recurrence_args a) {
    constexpr int GATES = Cell::GATES, THREADS = 64 * QUADS;
    __shared__ quad states[2][ROWS][4 * QUADS];
    SHARED_BYTES(room);
    int unit = threadIdx.x / 4, lane = threadIdx.x % 4, row = blockIdx.x * ROWS;
    bool here = unit < a.units, gated = here && lane < GATES;
    i32 width = GATES * a.units, column = lane * a.units + unit;
    weights<HELD, THREADS> w;
    w.rest = (quad *)room;
    UNROLL for (int j = 0; j < QUADS; j++)
        UNROLL for (int g = 0; g < GATES; g++) {
            float four[4];
            UNROLL for (int i = 0; i < 4; i++) {
                int k = (4 * j + lane) * 4 + i;
                four[i] = here && k < a.units ? a.recurrent[(i64)k * width + g * a.units + unit] : 0;
            }
            w.keep(j * GATES + g, four);
        }
    float read_bias = gated && a.bias ? a.bias[column] : 0, heard_bias = gated && a.heard_bias ? a.heard_bias[column] : 0;
    float h[ROWS] = {}, kept[ROWS] = {}, next[ROWS];
    i32 length[ROWS];
    UNROLL for (int r = 0; r < ROWS; r++) {
        bool there = row + r < a.batch;
        length[r] = !there ? 0 : a.lengths ? a.lengths[row + r] : a.time;
        i64 first = (i64)(row + r) * a.time + (a.reverse ? a.time - 1 : 0);
        next[r] = gated && there && a.time ? a.read[first * width + column] : 0;
        if (lane == 0) ((float *)states[0][r])[unit] = 0;
    }
    __syncthreads();
    for (int s = 0; s < a.time; s++) {
        int t = a.reverse ? a.time - 1 - s : s, after = a.reverse ? t - 1 : t + 1, now = s % 2;
        float sums[ROWS][4];
        UNROLL for (int r = 0; r < ROWS; r++) {
            float read = next[r] + read_bias;
            UNROLL for (int g = 0; g < 4; g++) {
                bool reads = lane == (Cell::HEARS_APART && g >= 2 ? (g == 3 ? 2 : 4) : g);
                sums[r][g] = (reads ? read : 0) + (lane == g ? heard_bias : 0);
            }
            bool more = s + 1 < a.time && gated && row + r < a.batch;
            if (more) next[r] = a.read[((i64)(row + r) * a.time + after) * width + column];
        }
        UNROLL for (int j = 0; j < QUADS; j++)
            UNROLL for (int r = 0; r < ROWS; r++) {
                quad x = states[now][r][4 * j + lane];
                UNROLL for (int g = 0; g < GATES; g++) sums[r][g] = w.times(j * GATES + g, x, sums[r][g]);
            }
        UNROLL for (int r = 0; r < ROWS; r++) {
            UNROLL for (int g = 0; g < 4; g++) sums[r][g] = over_lanes(sums[r][g]);
            float gates[4], made;
            float state = Cell::template step<together>(sums[r], h[r], kept[r], gates, made);
            bool real = t < length[r];
            h[r] = real ? state : h[r];
            kept[r] = real ? made : kept[r];
            if (lane == 0) ((float *)states[1 - now][r])[unit] = h[r];
            bool there = here && row + r < a.batch;
            i64 place = (i64)(row + r) * a.time + t;
            float own = lane == 0 ? gates[0] : lane == 1 ? gates[1] : lane == 2 ? gates[2] : gates[3];
            if (there && lane < GATES && a.gates) a.gates[place * width + column] = real ? own : 0;
            if (there && lane == 0 && a.hidden) a.hidden[place * a.units + unit] = real ? state : 0;
            if (there && lane == 3 && a.kept) a.kept[place * a.units + unit] = real ? made : 0;
        }
        __syncthreads();
    }
    UNROLL for (int r = 0; r < ROWS; r++)
        if (lane == 0 && here && row + r < a.batch && a.last) a.last[(i64)(row + r) * a.units + unit] = h[r];
}

/* What a step back reads of global memory. */
struct step_back {
    float gate, kept, kept_before, before, arrived;
};

template <class Cell> DEVICE step_back read_back(const recurrence_gradient_args &a, i32 row, i32 t, i32 lane, i32 unit) {
    i64 place = ((i64)row * a.time + t) * a.units + unit, step = a.reverse ? a.units : -a.units;
    bool first = t == (a.reverse ? a.time - 1 : 0);
    step_back found = {};
    if (lane < Cell::GATES) found.gate = a.gates[((i64)row * a.time + t) * Cell::GATES * a.units + lane * a.units + unit];
    found.kept = a.kept[place];
    if (!first && !Cell::HEARS_APART) found.kept_before = a.kept[place + step];
    if (!first && Cell::HEARS_APART) found.before = a.hidden[place + step];
    if (a.dhidden) found.arrived = a.dhidden[place];
    return found;
}

template <class Cell, int QUADS, int HELD, int ROWS>
KERNEL(64 * QUADS) recurrence_gradient(const recurrence_gradient_args a) {
    constexpr int GATES = Cell::GATES, THREADS = 64 * QUADS, COUNT = GATES * QUADS;
    __shared__ quad flowing[2][ROWS][4 * COUNT];
    SHARED_BYTES(room);
    int unit = threadIdx.x / 4, lane = threadIdx.x % 4, row = blockIdx.x * ROWS;
    bool here = unit < a.units;
    i32 width = GATES * a.units, column = lane * a.units + unit;
    weights<HELD, THREADS> w;
    w.rest = (quad *)room;
    UNROLL for (int j = 0; j < COUNT; j++) {
        float four[4];
        UNROLL for (int i = 0; i < 4; i++) {
            int gate = j / QUADS, k = (4 * (j % QUADS) + lane) * 4 + i;
            four[i] = here && k < a.units ? a.recurrent[(i64)unit * width + gate * a.units + k] : 0;
        }
        w.keep(j, four);
    }
    float dh[ROWS], dc[ROWS] = {}, read_sum = 0, heard_sum = 0;
    i32 length[ROWS];
    step_back next[ROWS] = {};
    UNROLL for (int r = 0; r < ROWS; r++) {
        bool there = row + r < a.batch;
        length[r] = !there ? 0 : a.lengths ? a.lengths[row + r] : a.time;
        dh[r] = there && here && a.dlast ? a.dlast[(i64)(row + r) * a.units + unit] : 0;
        if (there && here && a.time) next[r] = read_back<Cell>(a, row + r, a.reverse ? 0 : a.time - 1, lane, unit);
    }
    for (int s = 0; s < a.time; s++) {
        int t = a.reverse ? s : a.time - 1 - s, after = a.reverse ? t + 1 : t - 1, now = s % 2;
        float carried[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++) {
            step_back found = next[r];
            bool there = here && row + r < a.batch, real = t < length[r];
            if (there && s + 1 < a.time) next[r] = read_back<Cell>(a, row + r, after, lane, unit);
            float gates[4], flowed = dc[r];
            UNROLL for (int g = 0; g < 4; g++) gates[g] = __shfl_sync(~0u, found.gate, g, 4);
            flows f = Cell::back(gates, found.kept, found.before, found.kept_before, dh[r] + found.arrived, flowed);
            float read = lane == 0 ? f.read[0] : lane == 1 ? f.read[1] : lane == 2 ? f.read[2] : f.read[3];
            float heard = lane == 0 ? f.heard[0] : lane == 1 ? f.heard[1] : lane == 2 ? f.heard[2] : f.heard[3];
            read = real ? read : 0, heard = real && here ? heard : 0;
            dc[r] = real ? flowed : dc[r];
            carried[r] = real ? f.carried : dh[r];
            if (lane < GATES) ((float *)flowing[now][r])[lane * 16 * QUADS + unit] = heard;
            i64 place = ((i64)(row + r) * a.time + t) * width + column;
            if (there && lane < GATES) a.flowed[place] = read;
            if (there && lane < GATES && Cell::HEARS_APART) a.heard[place] = heard;
            read_sum += read, heard_sum += heard;
        }
        __syncthreads();
        float sums[ROWS] = {};
        UNROLL for (int j = 0; j < COUNT; j++)
            UNROLL for (int r = 0; r < ROWS; r++) sums[r] = w.times(j, flowing[now][r][4 * j + lane], sums[r]);
        UNROLL for (int r = 0; r < ROWS; r++) dh[r] = carried[r] + over_lanes(sums[r]);
    }
    if (!here || lane >= GATES || !a.sums) return;
    a.sums[(i64)blockIdx.x * width + column] = read_sum;
    if (Cell::HEARS_APART) a.sums[((i64)gridDim.x + blockIdx.x) * width + column] = heard_sum;
}

/* 32 columns a block; its warps take every WARPS-th row. blockIdx.y: which table. */
template <int WARPS> KERNEL(32 * WARPS) recurrence_sums(const sums_args a) {
    __shared__ float parts[WARPS][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = blockIdx.x * 32 + lane;
    const float *from = a.sums + (i64)blockIdx.y * a.rows * a.columns;
    float sum = 0;
    if (column < a.columns)
        for (int row = warp; row < a.rows; row += WARPS) sum += from[(i64)row * a.columns + column];
    parts[warp][lane] = sum;
    __syncthreads();
    if (warp || column >= a.columns) return;
    UNROLL for (int i = 1; i < WARPS; i++) sum += parts[i][lane];
    float *to = blockIdx.y ? a.second : a.first;
    if (to) to[column] = sum;
}
