/* One step of a recurrent layer of many units: the product of the state before and the recurrent weights, and what the
 * cells make of it, in one launch. Forward a block makes the same 16 columns of every gate, so that it has all that the
 * cells of 16 units need:
 *
 *      recurrent      i: ..▓▓..  f: ..▓▓..  g: ..▓▓..  o: ..▓▓..        the tile of a block: 16 rows by 4 times 16
 *
 * Going back it takes what flowed at the step behind times the recurrent weights transposed, for 16 units.
 */
#include "device.cuh"
#include "cells.cuh"
#include "product.cuh"

/* The columns of the same few units in every gate. */
template <int GATES, int EACH> struct gate_columns {
    i32 units, first, end;
    DEVICE i32 at(i32 k, i32 column) const {
        i32 gate = column / EACH, unit = first + column % EACH;
        return k < end && gate < GATES && unit < units ? k * GATES * units + gate * units + unit : -1;
    }
};

template <class Tile, class Cell, int STEP> KERNEL(Tile::THREADS) recurrence_step(const recurrence_args a) {
    SHARED_BYTES(room);
    float *shared = (float *)room;
    constexpr int GATES = Cell::GATES, EACH = Tile::COLUMNS / 4;
    i32 t = a.step, before = a.reverse ? t + 1 : t - 1, row = blockIdx.y * Tile::ROWS, unit = blockIdx.x * EACH;
    bool begun = before >= 0 && before < a.time;
    i32 depth = begun ? a.units : 0;
    i32 line = a.time * a.units;
    plain_matrix left = {line, a.batch, depth};
    gate_columns<GATES, EACH> right = {a.units, unit, depth};
    const float *state = a.hidden + (i64)(begun ? before : 0) * a.units;
    Tile::template make<false, STEP, false, STEP>(shared, state, left, a.recurrent, right, row, 0, 0, depth);
    for (int i = threadIdx.x; i < Tile::ROWS * EACH; i += Tile::THREADS) {
        i32 r = row + i / EACH, u = unit + i % EACH;
        if (r >= a.batch || u >= a.units) continue;
        i64 place = (i64)r * a.time + t;
        float sums[4] = {}, gates[4], kept;
        UNROLL for (int g = 0; g < GATES; g++) {
            i32 column = g * a.units + u;
            float read = a.read[place * GATES * a.units + column] + (a.bias ? a.bias[column] : 0);
            sums[g] = Tile::one(shared, i / EACH, g * EACH + i % EACH) + (a.heard_bias ? a.heard_bias[column] : 0);
            sums[Cell::HEARS_APART && g == 2 ? 3 : g] += read;
        }
        float h = begun ? state[(i64)r * line + u] : 0, c = begun ? a.kept[((i64)r * a.time + before) * a.units + u] : 0;
        float made = Cell::template step<alone>(sums, h, c, gates, kept);
        bool real = !a.lengths || t < a.lengths[r];
        a.hidden[place * a.units + u] = real ? made : 0;
        a.kept[place * a.units + u] = real ? kept : 0;
        UNROLL for (int g = 0; g < GATES; g++)
            if (a.gates) a.gates[place * GATES * a.units + g * a.units + u] = real ? gates[g] : 0;
        if (a.last && (real || !begun)) a.last[(i64)r * a.units + u] = real ? made : 0;
    }
}

template <class Tile, class Cell, int STEP> KERNEL(Tile::THREADS) recurrence_step_back(const recurrence_gradient_args a) {
    SHARED_BYTES(room);
    float *shared = (float *)room;
    constexpr int GATES = Cell::GATES;
    i32 t = a.step, behind = a.reverse ? t - 1 : t + 1, before = a.reverse ? t + 1 : t - 1, width = GATES * a.units;
    i32 row = blockIdx.y * Tile::ROWS, unit = blockIdx.x * Tile::COLUMNS;
    bool begun = behind >= 0 && behind < a.time, first = before < 0 || before >= a.time;
    i32 depth = begun ? width : 0;
    const float *flowed = (Cell::HEARS_APART ? a.heard : a.flowed) + (i64)(begun ? behind : 0) * width;
    plain_matrix left = {a.time * width, a.batch, depth}, right = {width, a.units, depth};
    Tile::template make<false, STEP, true, STEP>(shared, flowed, left, a.recurrent, right, row, unit, 0, depth);
    for (int i = threadIdx.x; i < Tile::ROWS * Tile::COLUMNS; i += Tile::THREADS) {
        i32 r = row + i / Tile::COLUMNS, u = unit + i % Tile::COLUMNS;
        if (r >= a.batch || u >= a.units) continue;
        i64 own = (i64)r * a.units + u, step = (i64)r * a.time + t, place = step * a.units + u;
        i64 previous = ((i64)r * a.time + before) * a.units + u;
        float dh = begun ? a.dstate[own] + Tile::one(shared, i / Tile::COLUMNS, i % Tile::COLUMNS) : a.dlast ? a.dlast[own] : 0;
        float dc = begun ? a.dcell[own] : 0, flowing = dc, gates[4] = {};
        UNROLL for (int g = 0; g < GATES; g++) gates[g] = a.gates[step * width + g * a.units + u];
        flows f = Cell::back(gates, a.kept[place], first ? 0 : a.hidden[previous], first ? 0 : a.kept[previous],
                             dh + (a.dhidden ? a.dhidden[place] : 0), flowing);
        bool real = !a.lengths || t < a.lengths[r];
        a.dstate[own] = real ? f.carried : dh;
        a.dcell[own] = real ? flowing : dc;
        UNROLL for (int g = 0; g < GATES; g++) {
            i64 at = step * width + g * a.units + u;
            a.flowed[at] = real ? f.read[g] : 0;
            if (Cell::HEARS_APART) a.heard[at] = real ? f.heard[g] : 0;
        }
    }
}
