/* c[rows][columns] = Σ_k a[rows][k] b[k][columns], either factor transposed or not, for matrix after matrix.
 *
 * A block makes a tile (product.cuh). Where there are few tiles and many k, `parts` blocks share a tile: each takes a
 * part of the k and leaves its sums, and the last of them to come adds all up, in the order of the parts. So the same
 * numbers give the same bits, in one launch.
 */
#include "device.cuh"
#include "product.cuh"

struct product_args {
    const float *a, *b;
    float *c, *sums;            /* sums [tile][part][ROWS * COLUMNS], where there are parts */
    i32 *came;                  /* how many parts of each tile have come: 0 before and after */
    i64 batch_a, batch_b;       /* floats from a matrix to the next */
    i32 rows, columns, depth;
    i32 line_a, line_b;         /* floats from a line to the next */
    i32 part;                   /* how many k a part takes */
};

/* A tile's numbers become c's. */
template <class Tile, class Finish> struct stored {
    const product_args &p;
    Finish finish;
    float *c;
    i32 row, column;
    bool whole;

    DEVICE stored(const product_args &p, float *c, i32 row, i32 column)
        : p(p), finish(p), c(c), row(row), column(column), whole(p.columns % 4 == 0 && ((u64)p.c & 15) == 0) {}

    DEVICE void put(int i, quad v) const {
        i32 r = row + i / Tile::COLUMNS, n = column + i % Tile::COLUMNS;
        if (r >= p.rows || n >= p.columns) return;
        i64 at = (c - p.c) + (i64)r * p.columns + n;
        float each[4] = {v.x, v.y, v.z, v.w};
        if (whole) {
            *(quad *)(p.c + at) = {finish(each[0], at, n), finish(each[1], at + 1, n + 1), finish(each[2], at + 2, n + 2),
                                   finish(each[3], at + 3, n + 3)};
            return;
        }
        UNROLL for (int j = 0; j < 4; j++)
            if (n + j < p.columns) p.c[at + j] = finish(each[j], at + j, n + j);
    }
};

struct as_it_is {
    DEVICE as_it_is(const product_args &) {}
    DEVICE float operator()(float x, i64, i32) const { return x; }
};

template <class Tile, bool TURN_A, int STEP_A, bool TURN_B, int STEP_B, class Finish>
KERNEL(Tile::THREADS) product(const product_args p) {
    SHARED_BYTES(room);
    float *shared = (float *)room;
    constexpr int SIZE = Tile::ROWS * Tile::COLUMNS, EACH = Tile::THREADS * 4;
    u32 down = (p.rows + Tile::ROWS - 1) / Tile::ROWS, across = (p.columns + Tile::COLUMNS - 1) / Tile::COLUMNS;
    u32 batch = blockIdx.x / (down * across), tile = blockIdx.x % (down * across);
    i32 row = tile % down * Tile::ROWS, column = tile / down * Tile::COLUMNS;
    i32 k = blockIdx.y * p.part, end = min(p.depth, k + p.part);
    plain_matrix a = {p.line_a, TURN_A ? end : p.rows, TURN_A ? p.rows : end};
    plain_matrix b = {p.line_b, TURN_B ? p.columns : end, TURN_B ? end : p.columns};
    Tile::template make<TURN_A, STEP_A, TURN_B, STEP_B>(shared, p.a + batch * p.batch_a, a, p.b + batch * p.batch_b, b,
                                                        row, column, k, end);
    stored<Tile, Finish> store(p, p.c + (i64)batch * p.rows * p.columns, row, column);
    if (gridDim.y == 1) {
        for (int i = threadIdx.x * 4; i < SIZE; i += EACH)
            store.put(i, Tile::four(shared, i / Tile::COLUMNS, i % Tile::COLUMNS));
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
        store.put(i, sum);
    }
}
