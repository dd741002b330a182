/* What the cells of recurrent layers do at a step, for one unit of one sample. Of its four sums over the state before,
 * with the input's part and the biases in them, a cell makes its gates, its state, and what the way back wants to know:
 *
 *   LSTM   sums i, f, g, o                        gates i, f, g, o              kept: the cell c
 *   GRU    sums z, r, the recurrent h, input's h  gates z, r, the candidate     kept: the recurrent h
 */
#pragma once
#include "device.cuh"

/* Squashes four numbers: a thread alone, or each of four neighbouring lanes one of them. */
struct alone {
    DEVICE static void squash(float (&x)[4]) {
        UNROLL for (int i = 0; i < 4; i++) x[i] = tanhf(x[i]);
    }
};
struct together {
    DEVICE static void squash(float (&x)[4]) {
        int lane = threadIdx.x % 4;
        float own = tanhf(lane == 0 ? x[0] : lane == 1 ? x[1] : lane == 2 ? x[2] : x[3]);
        UNROLL for (int i = 0; i < 4; i++) x[i] = __shfl_sync(~0u, own, i, 4);
    }
};

/* 1 / (1 + exp(-x)), of tanh(x / 2). */
DEVICE float logistic_of(float squashed) { return squashed * 0.5f + 0.5f; }

/* What flows back into a gate, by way of the input and of the state, and into the state before by itself. */
struct flows {
    float read[4], heard[4], carried;
};

struct lstm_cell {
    static constexpr int GATES = 4;
    static constexpr bool HEARS_APART = false;

    template <class Way>
    DEVICE static float step(const float (&sums)[4], float, float before, float (&gates)[4], float &kept) {
        float x[4] = {sums[0] * 0.5f, sums[1] * 0.5f, sums[2], sums[3] * 0.5f};
        Way::squash(x);
        gates[0] = logistic_of(x[0]), gates[1] = logistic_of(x[1]), gates[2] = x[2], gates[3] = logistic_of(x[3]);
        kept = gates[1] * before + gates[0] * gates[2];
        return gates[3] * tanhf(kept);
    }
    /* dc: what has arrived at the cell; becomes what flows on to the cell before. */
    DEVICE static flows back(const float (&gates)[4], float kept, float, float before, float arrived, float &dc) {
        float i = gates[0], f = gates[1], g = gates[2], o = gates[3], squashed = tanhf(kept);
        float dcell = dc + arrived * o * (1 - squashed * squashed);
        dc = dcell * f;
        float read[4] = {dcell * g * i * (1 - i), dcell * before * f * (1 - f), dcell * i * (1 - g * g),
                         arrived * squashed * o * (1 - o)};
        return {{read[0], read[1], read[2], read[3]}, {read[0], read[1], read[2], read[3]}, 0};
    }
};

struct gru_cell {
    static constexpr int GATES = 3;
    static constexpr bool HEARS_APART = true;

    template <class Way>
    DEVICE static float step(const float (&sums)[4], float before, float, float (&gates)[4], float &kept) {
        float x[4] = {sums[0] * 0.5f, sums[1] * 0.5f, 0, 0};
        Way::squash(x);
        kept = sums[2];
        gates[0] = logistic_of(x[0]), gates[1] = logistic_of(x[1]), gates[2] = tanhf(sums[3] + gates[1] * kept);
        gates[3] = 0;
        return gates[0] * before + (1 - gates[0]) * gates[2];
    }
    DEVICE static flows back(const float (&gates)[4], float kept, float before, float, float arrived, float &) {
        float z = gates[0], r = gates[1], candidate = gates[2];
        float dcandidate = arrived * (1 - z) * (1 - candidate * candidate);
        float dz = arrived * (before - candidate) * z * (1 - z), dr = dcandidate * kept * r * (1 - r);
        return {{dz, dr, dcandidate, 0}, {dz, dr, dcandidate * r, 0}, arrived * z};
    }
};

/* Of a walk through time; arrays that are not there are NULL. */
struct recurrence_args {
    const float *read;               /* [batch][time][gates * units]: inputs times kernel; may be `gates` */
    const float *recurrent;          /* [units][gates * units] */
    const float *bias, *heard_bias;  /* [gates * units] */
    const i32 *lengths;              /* [batch] */
    float *hidden, *last, *gates, *kept;
    i32 batch, time, units, reverse, step;
};

/* Of the walk back. */
struct recurrence_gradient_args {
    const float *recurrent, *hidden, *gates, *kept, *dhidden, *dlast;
    const i32 *lengths;
    float *flowed, *heard;           /* [batch][time][gates * units]; the same for cells that hear nothing apart */
    float *sums;                     /* of what flowed, [flowed, heard][block][gates * units] */
    float *dstate, *dcell;           /* [batch][units], between steps that are launches of their own */
    i32 batch, time, units, reverse, step;
};

/* Adds up what all blocks have left: out[column] = Σ_row in[row][column], and the same for a second table. */
struct sums_args {
    const float *sums;
    float *first, *second;
    i32 rows, columns;
};
