/* c[rows][columns] = Σ_k a[rows][k] b[k][columns], either factor transposed or not, for matrix after matrix.
 *
 * A block makes a tile (product.cuh). Where there are few tiles and many k, `parts` blocks share a tile: each takes a
 * part of the k and leaves its sums, and the last of them to come adds all up, in the order of the parts. So the same
 * numbers give the same bits, in one launch.
 */
#include "device.cuh"
#include "epilogue.cuh"
#include "product.cuh"

struct product_args {
    const float *a, *b;
    float *c, *sums;            /* sums [tile][part][ROWS * COLUMNS], where there are parts */
    i32 *came;                  /* how many parts of each tile have come: 0 before and after */
    i64 batch_a, batch_b;       /* floats from a matrix to the next */
    i32 rows, columns, depth;
    i32 line_a, line_b;         /* floats from a line to the next */
    i32 part;                   /* how many k a part takes */
    i32 time, shift;            /* where a has a line for each step of sequences: see steps_matrix */
    const i32 *lengths;
    epilogue_args epilogue;
};

/* Lines that are steps of sequences [sample][time], read `shift` steps off; zeros behind the lengths and the ends. */
struct steps_matrix {
    i32 line, lines, items, time, shift;
    const i32 *lengths;
    DEVICE i32 at(i32 l, i32 i) const {
        i32 sample = l / time, t = l % time;
        bool there = l < lines && i < items && t + shift >= 0 && t + shift < time;
        return there && (!lengths || t < lengths[sample]) ? (l + shift) * line + i : -1;
    }
};
DEVICE void describe(plain_matrix &m, const product_args &p, i32 lines, i32 items) { m = {p.line_a, lines, items}; }
DEVICE void describe(steps_matrix &m, const product_args &p, i32 lines, i32 items) {
    m = {p.line_a, lines, items, p.time, p.shift, p.lengths};
}

/* Four numbers of a tile become c's. SWAPPED: c is a single column, which the product has as a row. */
template <bool SWAPPED> struct stored {
    const product_args &p;
    i64 batch;
    bool quads;

    DEVICE stored(const product_args &p, i64 batch)
        : p(p), batch(batch), quads(p.columns % 4 == 0 && ((u64)p.c & 15) == 0) {}

    DEVICE float finished(float sum, i32 row, i32 column) const {
        if (SWAPPED) return epilogue::of(p.epilogue, sum, batch * p.columns + column, 0);
        return epilogue::of(p.epilogue, sum, batch * p.rows + row, column);
    }
    DEVICE void put(i32 row, i32 column, quad v) const {
        if (row >= p.rows || column >= p.columns) return;
        float *c = p.c + (batch * p.rows + row) * p.columns + column;
        if (quads) {
            *(quad *)c = {finished(v.x, row, column), finished(v.y, row, column + 1), finished(v.z, row, column + 2),
                          finished(v.w, row, column + 3)};
            return;
        }
        float each[4] = {v.x, v.y, v.z, v.w};
        UNROLL for (int j = 0; j < 4; j++)
            if (column + j < p.columns) c[j] = finished(each[j], row, column + j);
    }
};

template <class Tile, class Left, bool TURN_A, int STEP_A, bool TURN_B, int STEP_B, bool SWAPPED>
KERNEL(Tile::THREADS) product(const product_args p) {
    SHARED_BYTES(room);
    float *shared = (float *)room;
    constexpr int SIZE = Tile::ROWS * Tile::COLUMNS, EACH = Tile::THREADS * 4;
    u32 down = (p.rows + Tile::ROWS - 1) / Tile::ROWS, across = (p.columns + Tile::COLUMNS - 1) / Tile::COLUMNS;
    u32 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    i32 row = tile % down * Tile::ROWS, column = tile / down * Tile::COLUMNS;
    i32 k = blockIdx.y * p.part, end = min(p.depth, k + p.part);
    Left a;
    describe(a, p, TURN_A ? end : p.rows, TURN_A ? p.rows : end);
    plain_matrix b = {p.line_b, TURN_B ? p.columns : end, TURN_B ? end : p.columns};
    Tile::template make<TURN_A, STEP_A, TURN_B, STEP_B>(shared, p.a + batch * p.batch_a, a, p.b + batch * p.batch_b, b,
                                                        row, column, k, end);
    stored<SWAPPED> store(p, batch);
    if (gridDim.y == 1) {
        for (int i = threadIdx.x * 4; i < SIZE; i += EACH)
            store.put(row + i / Tile::COLUMNS, column + i % Tile::COLUMNS,
                      Tile::four(shared, i / Tile::COLUMNS, i % Tile::COLUMNS));
        return;
    }
    float *sums = p.sums + (i64)blockIdx.x * gridDim.y * SIZE;
    for (int i = threadIdx.x * 4; i < SIZE; i += EACH)
        *(quad *)(sums + blockIdx.y * SIZE + i) = Tile::four(shared, i / Tile::COLUMNS, i % Tile::COLUMNS);
    __threadfence();
    int last = 0;
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(p.came + blockIdx.x, 1) == (i32)gridDim.y - 1;
    if (!__syncthreads_or(last)) return;
    __threadfence();
    if (threadIdx.x == 0) p.came[blockIdx.x] = 0;
    for (int i = threadIdx.x * 4; i < SIZE; i += EACH) {
        quad sum = *(const quad *)(sums + i);
        for (u32 part = 1; part < gridDim.y; part++) {
            quad more = *(const quad *)(sums + part * SIZE + i);
            sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
        }
        store.put(row + i / Tile::COLUMNS, column + i % Tile::COLUMNS, sum);
    }
}
