/* c[rows][columns] = Σ_k a[rows][k] b[k][columns], either factor transposed or not, for matrix after matrix.
 *
 * A block makes a tile: a small one that all its threads share the k of (product.cuh), or a large one, on plain units or
 * tensor cores (tiles.cuh). Where there are few tiles and many k, `parts` blocks share a tile: each takes a
 * part of the k and leaves its sums, and the last of them to come adds all up, in the order of the parts. So the same
 * numbers give the same bits, in one launch.
 */
#include "device.cuh"
#include "divider.cuh"
#include "epilogue.cuh"
#include "product.cuh"
#include "tiles.cuh"

struct product_args {
    const float *a, *b;
    float *c, *sums;            /* sums [tile][part][ROWS * COLUMNS], where there are parts */
    i32 *came;                  /* how many parts of each tile have come: 0 before and after */
    i64 batch_a, batch_b;       /* floats from a matrix to the next */
    i32 rows, columns, depth;
    i32 line_a, line_b;         /* floats from a line to the next */
    i32 part;                   /* how many k a part takes, a multiple of those in a stage */
    i32 shift;                  /* where a has a line for each step of sequences: see steps_matrix */
    divider time;
    const i32 *lengths;
    epilogue_args epilogue;
};

/* Lines that are steps of sequences [sample][time], read `shift` steps off; zeros behind the lengths and the ends. */
struct steps_matrix {
    const product_args &p;
    u32 lines;
    DEVICE bool there(u32 l) const {
        u32 sample = quotient(l, p.time), t = l - sample * p.time.divisor;
        return l < lines && t + p.shift < p.time.divisor && (!p.lengths || (i32)t < p.lengths[sample]);
    }
    DEVICE i32 at(u32 l, i32 i) const { return i < p.rows && there(l) ? ((i32)l + p.shift) * p.line_a + i : -1; }
};
template <bool STEPS> DEVICE auto left_of(const product_args &p, i32 lines, i32 items) {
    if constexpr (STEPS) return steps_matrix{p, (u32)lines};
    else return plain_matrix{p.line_a, lines, items};
}

/* The same for tiles of tiles.cuh. */
template <class Share, int VEC, int K> struct step_columns {
    static constexpr bool BY_K = false;
    steps_matrix matrix;
    const float *from;
    u32 k;

    DEVICE step_columns(const product_args &p, i32 row, i32 k, i32 end)
        : matrix{p, row + Share::outer() < p.rows ? (u32)end : 0},
          from(p.a + row + Share::outer() + (i64)p.shift * p.line_a), k(k + Share::k()) {}
    DEVICE void load(float *tile) {
        UNROLL for (int i = 0; i < Share::COUNT; i++) {
            u32 l = k + Share::later(i);
            bool read = matrix.there(l);
            copy<VEC>(Share::place(tile, i), read ? from + (u64)l * (u32)matrix.p.line_a : matrix.p.a, read);
        }
        k += K;
    }
};

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
        if (quads && !SWAPPED) {
            *(quad *)c = epilogue::of_four(p.epilogue, v, batch * p.rows + row, column);
            return;
        }
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

template <class Tile, bool STEPS, bool TURN_A, int STEP_A, bool TURN_B, int STEP_B, bool SWAPPED>
KERNEL(Tile::THREADS) product(const product_args p) {
    SHARED_BYTES(room);
    float *shared = (float *)room;
    constexpr int SIZE = Tile::ROWS * Tile::COLUMNS, EACH = Tile::THREADS * 4;
    u32 down = (p.rows + Tile::ROWS - 1) / Tile::ROWS, across = (p.columns + Tile::COLUMNS - 1) / Tile::COLUMNS;
    u32 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    i32 row = tile % down * Tile::ROWS, column = tile / down * Tile::COLUMNS;
    i32 k = blockIdx.y * p.part, end = min(p.depth, k + p.part);
    auto a = left_of<STEPS>(p, TURN_A ? end : p.rows, TURN_A ? p.rows : end);
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

template <class Sums, int STAGES, bool STEPS, bool TURN_A, int VEC_A, bool TURN_B, int VEC_B>
KERNEL(Sums::THREADS) product_in_tiles(const product_args p) {
    constexpr int M = Sums::M, N = Sums::N, K = Sums::K, THREADS = Sums::THREADS;
    using rows_of_a = lines<along_k<M, K, THREADS, VEC_A>, VEC_A, K>;
    using columns_of_a = columns<along_outer<M, K, THREADS, VEC_A>, VEC_A, K>;
    using steps_of_a = step_columns<along_outer<M, K, THREADS, VEC_A>, VEC_A, K>;
    using columns_of_b = columns<along_outer<N, K, THREADS, VEC_B>, VEC_B, K>;
    using rows_of_b = lines<along_k<N, K, THREADS, VEC_B, Sums::COLUMNS_BY_K>, VEC_B, K>;
    using Left = choice<STEPS, steps_of_a, choice<TURN_A, columns_of_a, rows_of_a>>;
    using Right = choice<TURN_B, rows_of_b, columns_of_b>;
    SHARED_BYTES(room);
    i32 down = (p.rows + M - 1) / M, row = blockIdx.x % down * M, column = blockIdx.x / down * N;
    i32 k = blockIdx.y * p.part, end = min(p.depth, k + p.part);
    i64 batch = blockIdx.z;
    Right right(p.b + batch * p.batch_b, p.line_b, column, p.columns, k, end);
    stored<false> store(p, batch);
    shares s = {p.sums, p.came, batch * gridDim.x + blockIdx.x, (i32)blockIdx.y, (i32)gridDim.y};
    auto put = [&](int r, int c, quad four) { store.put(row + r, column + c, four); };
    Sums sums;
    if constexpr (STEPS) {
        both<Left, Right> loads = {Left(p, row, k, end), right};
        multiply<STAGES>(sums, loads, (end - k + K - 1) / K, (float *)room);
    } else {
        both<Left, Right> loads = {Left(p.a + batch * p.batch_a, p.line_a, row, p.rows, k, end), right};
        multiply<STAGES>(sums, loads, (end - k + K - 1) / K, (float *)room);
    }
    finish<both<Left, Right>>(sums, s, (float *)room, put);
}
