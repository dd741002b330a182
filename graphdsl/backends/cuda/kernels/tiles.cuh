/* Products in tiles: y[m][n] = Σ_k a(m, k) * b(k, n), wherever a and b come from.
 *
 * A block makes M x N results. Tiles of a and of b, K deep, are copied to shared memory STAGES - 1 steps ahead of the
 * sums, in a ring; nothing but the copies knows where the numbers come from:
 *
 *     copies  | 0 | 1 | 2 | 3 |           sums of tile 0 while tile 2 is on its way (STAGES = 3),
 *     sums            | 0 | 1 | 2 |       one barrier a tile: it says that a tile is there and that another is free
 *
 * Shared memory holds floats. They are rounded for tensor cores when fragments are read, so all ways to add (on plain
 * units, tf32, bfloat16) share their copies. Where numbers are bfloat16 in memory, two that follow each other in k are
 * one float to all but the instruction that multiplies them. A tile lies so that whichever way it is written and read,
 * quads of floats (16 bytes) meet all 32 banks:
 *
 *     BY_K      k follows each other in memory: slabs of 16 k, in a slab a line of 16 for each slot. Slot s holds row
 *               (of a, or column of b) outer_of(s); its quads stand in the order q ^ s / 2 % 4.
 *     BY_OUTER  rows (of a, or columns of b) follow each other: a line for each k, quads in the order q ^ k / 4 % 4.
 *
 * The order of k within 16 is free as long as both factors keep it, and so is that of rows and columns within 32. The
 * fragment of a lane, which in one instruction's own order are numbers 4 and 8 apart, is therefore chosen as quads:
 * of rows and columns 16 (g & 1) + 4 (g / 2) + 0..3, of k 4 t + 0..3, with g = lane / 4 and t = lane % 4. No number is
 * moved for it, and results leave as quads of neighbouring columns.
 *
 * Source: the loop is CUTLASS's multistage one (Kerr et al.); the order of k is free as in its interleaved layouts.
 */
#pragma once
#include "device.cuh"

constexpr int SLAB = 16;

/* Which row (column) a slot of a BY_K tile holds: within 32, lane group g reads slots g, 8 + g, 16 + g, 24 + g. Bits
 * change places, so what differs by other bits of the slot differs by as much whatever the rest is. */
DEVICE constexpr int outer_of(int slot) {
    return slot / 32 * 32 + slot % 2 * 16 + slot % 8 / 2 * 4 + slot / 8 % 4;
}
template <int OUTER> DEVICE int place_by_k(int slot, int k) {
    return (k / SLAB * OUTER + slot) * SLAB + ((k / 4 ^ slot / 2) & 3) * 4 + k % 4;
}
template <int OUTER> DEVICE int place_by_outer(int outer, int k) {
    return k * OUTER + (outer / 4 ^ k / 4 & 3) * 4 + outer % 4;
}

template <bool FIRST, class A, class B> struct chosen { using type = A; };
template <class A, class B> struct chosen<false, A, B> { using type = B; };
template <bool FIRST, class A, class B> using choice = typename chosen<FIRST, A, B>::type;

template <int VEC> DEVICE void copy(float *to, const void *from, bool there) {
    static_assert(VEC == 4 || VEC == 1, "quads or single floats are copied");
    if constexpr (VEC == 4) copy_16(to, from, there);
    else copy_4(to, from, there);
}
/* So many times so many bytes further: one instruction. */
DEVICE const u8 *ahead(const void *from, u32 times, u32 bytes) { return (const u8 *)from + (u64)times * bytes; }

/* How the threads of a block share a tile whose source has k follow each other: ROW of them take a row, each of them
 * COUNT rows; what they are apart is known beforehand, and so is what their places are apart. Kept BY_K, or BY_OUTER
 * float by float for sums that want columns side by side. */
template <int OUTER, int K, int THREADS, int VEC, bool KEEP_BY_K = true> struct along_k {
    static constexpr int ROW = K / VEC, STEP = THREADS / ROW, COUNT = OUTER / STEP;
    static constexpr bool BY_K = KEEP_BY_K;
    static_assert(OUTER % STEP == 0 && (BY_K ? STEP % 4 == 0 : VEC == 1), "no such share");
    /* Eight neighbours that copy quads take two slots of one slab, which lie in different banks. */
    static constexpr bool BY_SLAB = BY_K && VEC == 4 && K == 2 * SLAB && STEP % 8 == 0;
    DEVICE static int k() {
        int t = threadIdx.x;
        return BY_SLAB ? t % 4 * 4 + t / 8 % 2 * SLAB : t % ROW * VEC;
    }
    /* Threads differ in the bits that give the order of quads. */
    DEVICE static int slot() {
        int t = threadIdx.x;
        return BY_SLAB ? t / 16 * 2 + t / 4 % 2 : t / ROW * (BY_K && STEP == 4 ? 2 : 1);
    }
    DEVICE static constexpr int step(int i) { return BY_K && STEP == 4 ? i % 2 + i / 2 * 8 : i * STEP; }
    DEVICE static int outer() { return BY_K ? outer_of(slot()) : slot(); }
    DEVICE static constexpr int later(int i) { return BY_K ? outer_of(step(i)) : step(i); }
    /* What is known beforehand is added last: it becomes part of instructions. */
    DEVICE static float *place(float *tile, int i) {
        if constexpr (BY_K) return tile + place_by_k<OUTER>(slot(), k()) + step(i) * SLAB;
        else return tile + place_by_outer<OUTER>(slot() + step(i), k());
    }
};

/* The same where rows (columns) follow each other: each thread takes COUNT k. Where a pass takes four lines or more, a
 * thread keeps to k of one order of quads, so that its places in the tile differ by what is known beforehand. */
template <int OUTER, int K, int THREADS, int VEC> struct along_outer {
    static constexpr int ROW = OUTER / VEC, STEP = THREADS / ROW, COUNT = STEP > K ? 1 : K / STEP;
    static constexpr bool BY_K = false, STEADY = STEP % 4 == 0 && (COUNT % 4 == 0 || 4 % COUNT == 0);
    static_assert(THREADS % ROW == 0 && K % SLAB == 0, "no such share");
    /* Whether the thread has any: there may be more of them than quads. */
    DEVICE static bool takes_part() { return STEP <= K || k() < K; }
    DEVICE static int outer() { return threadIdx.x % ROW * VEC; }
    DEVICE static int k() {
        int line = threadIdx.x / ROW, nth = line / 4 * COUNT;
        return STEADY ? line % 4 * 4 + nth % 4 + nth / 4 * SLAB : line;
    }
    DEVICE static constexpr int later(int i) { return STEADY ? i % 4 + i / 4 * SLAB : i * STEP; }
    DEVICE static float *place(float *tile, int i) {
        if constexpr (STEADY) return tile + place_by_outer<OUTER>(outer(), k()) + later(i) * OUTER;
        else return tile + place_by_outer<OUTER>(outer(), k() + later(i));
    }
};

/* Tiles of a matrix whose k follow each other, `line` floats from row (column) to row. What lies between the first and
 * the last row of a tile is less than 2^32 bytes. */
template <class Share, int VEC, int K> struct lines {
    static constexpr bool BY_K = Share::BY_K;
    const float *from;
    u32 line;  /* in bytes */
    i32 rows;  /* from the thread's first to the matrix's last */
    i32 left;  /* of k, for this thread */

    /* first: number of the tile's first row among `rows`; k: where to begin; end: of k */
    DEVICE lines(const float *matrix, i64 line, i64 first, i64 rows, i32 k, i32 end)
        : from(matrix + (first + Share::outer()) * line + k + Share::k()), line((u32)line * 4),
          rows((i32)min(rows - first - Share::outer(), (i64)1 << 30)), left(end - k - Share::k()) {}
    DEVICE void load(float *tile) {
        i32 now = left > 0 ? rows : 0;
        UNROLL for (int i = 0; i < Share::COUNT; i++)
            copy<VEC>(Share::place(tile, i), ahead(from, Share::later(i), line), now > Share::later(i));
        from += K;
        left -= K;
    }
};

/* Tiles of a matrix whose rows (columns) follow each other, `line` floats from k to k, less than 2^32 bytes from the
 * first k to the last of a tile. */
template <class Share, int VEC, int K> struct columns {
    static constexpr bool BY_K = false;
    const float *from;
    u32 line; /* in bytes */
    i32 left;

    DEVICE columns(const float *matrix, i64 line, i64 first, i64 rows, i32 k, i32 end)
        : from(matrix + (k + Share::k()) * line + first + Share::outer()), line((u32)line * 4),
          left(first + Share::outer() < rows ? end - k - Share::k() : 0) {}
    DEVICE void load(float *tile) {
        if (!Share::takes_part()) return;
        UNROLL for (int i = 0; i < Share::COUNT; i++)
            copy<VEC>(Share::place(tile, i), ahead(from, Share::later(i), line), left > Share::later(i));
        from = (const float *)ahead(from, K, line);
        left -= K;
    }
};

/* The copies of two operands that know nothing of each other. */
template <class A, class B> struct both {
    static constexpr bool A_BY_K = A::BY_K, B_BY_K = B::BY_K;
    A a;
    B b;
    DEVICE void load(float *to_a, float *to_b) {
        a.load(to_a);
        b.load(to_b);
    }
};

/* How many blocks a processor is to hold at once, for threads that keep so many sums and about as much besides. */
constexpr int blocks_of(int threads, int sums) {
    return 65536 / ((sums <= 32 ? 128 : sums <= 64 ? 168 : 255) * threads);
}

/* Sums on plain units, float32 throughout: a lane makes TM x TN results, a warp DOWN x ALONG times as many, in quads of
 * columns 4 ALONG apart. */
template <int M_, int N_, int K_, int TM, int TN, int ALONG = 8> struct plain_sums {
    static constexpr bool COLUMNS_BY_K = false; /* whether a tile of b may lie BY_K */
    static constexpr bool LEAN = false;         /* whether they keep nothing but sums for long */
    static constexpr int DOWN = 32 / ALONG, M = M_, N = N_, K = K_;
    static constexpr int WARPS = M / (DOWN * TM) * (N / (ALONG * TN)), THREADS = 32 * WARPS;
    static constexpr int BLOCKS = TM * TN == 64 ? 256 / THREADS : blocks_of(THREADS, TM * TN);
    static_assert(M % (DOWN * TM) == 0 && N % (ALONG * TN) == 0 && TM % 4 == 0 && TN % 4 == 0, "no such tile");
    static_assert(ALONG == 8 || ALONG == 4, "lanes read all banks");
    float sum[TM][TN];
    int down, along; /* of the warp in the tile */

    DEVICE plain_sums() {
        int warp = threadIdx.x / 32;
        down = warp % (M / (DOWN * TM)) * (DOWN * TM);
        along = warp / (M / (DOWN * TM)) * (ALONG * TN);
        UNROLL for (int i = 0; i < TM; i++)
            UNROLL for (int j = 0; j < TN; j++) sum[i][j] = 0;
    }
    template <class Loads> DEVICE void add(const float *a, const float *b) {
        static_assert(!Loads::B_BY_K, "columns are read side by side");
        UNROLL for (int k = 0; k < K; k += 4) {
            float left[TM][4];
            read_rows<Loads::A_BY_K>(left, a, k);
            const float *line = b + along + (threadIdx.x % ALONG ^ k / 4 & 3) * 4;
            UNROLL for (int e = 0; e < 4; e++) add_column(left, e, line + (k + e) * N);
        }
    }
    /* left[i][e] = a(row i of the lane, k + e) */
    template <bool BY_K> DEVICE void read_rows(float (&left)[TM][4], const float *a, int k) {
        int lane = threadIdx.x % 32 / ALONG;
        UNROLL for (int i = 0; i < TM; i++) {
            const float *slot = a + (down + lane) * SLAB + (((k / 4 ^ i * DOWN / 2) & 3) ^ lane / 2) * 4;
            const float *line = a + down + (lane ^ k / 4 & 3) * 4;
            int slots = (k / SLAB * M + DOWN * i) * SLAB, quads = (k + i % 4) * M + i / 4 * 4 * DOWN;
            quad q = *(const quad *)(BY_K ? slot + slots : line + quads);
            float four[4] = {q.x, q.y, q.z, q.w};
            UNROLL for (int e = 0; e < 4; e++) (BY_K ? left[i][e] : left[i / 4 * 4 + e][i % 4]) = four[e];
        }
    }
    DEVICE void add_column(const float (&left)[TM][4], int e, const float *line) {
        UNROLL for (int j = 0; j < TN; j += 4) {
            quad q = *(const quad *)(line + j * ALONG);
            UNROLL for (int i = 0; i < TM; i++) {
                sum[i][j] += left[i][e] * q.x;
                sum[i][j + 1] += left[i][e] * q.y;
                sum[i][j + 2] += left[i][e] * q.z;
                sum[i][j + 3] += left[i][e] * q.w;
            }
        }
    }
    /* f(row, column, four neighbouring results) for all that the thread holds. */
    template <class Loads, class F> DEVICE void each(F f) const {
        int lane = threadIdx.x % 32 / ALONG;
        UNROLL for (int i = 0; i < TM; i++) {
            int row = Loads::A_BY_K ? outer_of(down + lane + DOWN * i) : down + (lane + i / 4 * DOWN) * 4 + i % 4;
            UNROLL for (int j = 0; j < TN; j += 4) {
                quad four = {sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]};
                f(row, along + threadIdx.x % ALONG * 4 + j * ALONG, four);
            }
        }
    }
};

/* Tensor cores drop the low 13 bits of a float. Made larger by 2^-11 of itself first, it loses at most 2^-11 of itself
 * in either direction, as by rounding, which takes more instructions. NaN and infinity stay what they are. */
DEVICE u32 near_tf32(float x) { return float_to_bits(x * 1.00048828125f); }

/* What tensor cores are given: floats rounded to TF32 or BF16, or PAIRS of bfloat16 as they are. */
enum rounding { TF32, BF16, PAIRS };

/* Sums on tensor cores: a warp makes WM x WN results. */
template <int M_, int N_, int K_, int WM, int WN, rounding HOW> struct tensor_sums {
    static constexpr bool COLUMNS_BY_K = true, LEAN = HOW == PAIRS;
    static constexpr int M = M_, N = N_, K = K_, WARPS = M / WM * (N / WN), THREADS = 32 * WARPS;
    static constexpr int BLOCKS = blocks_of(THREADS, WM * WN / 32);
    static_assert(M % WM == 0 && N % WN == 0 && WM % 32 == 0 && WN % 32 == 0 && K % SLAB == 0, "no such tile");
    float sum[WM / 32][WN / 32][2][4][4]; /* [32 rows][32 columns][16 of the rows][which of four neighbours] */
    int down, along;

    DEVICE tensor_sums() {
        int warp = threadIdx.x / 32;
        down = warp % (M / WM) * WM;
        along = warp / (M / WM) * WN;
        UNROLL for (int i = 0; i < WM / 32; i++)
            UNROLL for (int j = 0; j < WN / 32; j++)
                UNROLL for (int e = 0; e < 32; e++) sum[i][j][e / 16][e / 4 % 4][e % 4] = 0;
    }
    template <class Loads> DEVICE void add(const float *a, const float *b) {
        if constexpr (HOW == PAIRS) add_pairs<Loads>(a, b);
        else add_rounded<Loads>(a, b);
    }
    template <class Loads> DEVICE void add_rounded(const float *a, const float *b) {
        UNROLL for (int slab = 0; slab < K / SLAB; slab++) {
            u32 left[WM / 32][4][4], right[4][4];
            UNROLL for (int i = 0; i < WM / 32; i++) read<M, Loads::A_BY_K>(left[i], a, down, slab, 32 * i);
            UNROLL for (int j = 0; j < WN / 32; j++) {
                read<N, Loads::B_BY_K>(right, b, along, slab, 32 * j);
                UNROLL for (int i = 0; i < WM / 32; i++) multiply(sum[i][j], left[i], right);
            }
        }
    }
    /* Four rows (columns) of the lane by four k of it, rounded: [k][row]; for BF16 [k / 2][row] is a pair. */
    template <int OUTER, bool BY_K>
    DEVICE static void read(u32 (&r)[4][4], const float *tile, int first, int slab, int ahead) {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
        const float *slot = tile + (first + g) * SLAB + (t ^ g / 2) * 4;
        const float *line = tile + 4 * t * OUTER + first + ((g & 1) * 4 + (g / 2 ^ t)) * 4;
        float v[4][4];
        UNROLL for (int i = 0; i < 4; i++) {
            quad q = *(const quad *)(BY_K ? slot + (slab * OUTER + ahead + 8 * i) * SLAB
                                          : line + (slab * SLAB + i) * OUTER + ahead);
            float four[4] = {q.x, q.y, q.z, q.w};
            UNROLL for (int e = 0; e < 4; e++) (BY_K ? v[e][i] : v[i][e]) = four[e];
        }
        UNROLL for (int i = 0; i < 4; i++)
            UNROLL for (int k = 0; k < (HOW == BF16 ? 2 : 4); k++)
                r[k][i] = HOW == BF16 ? to_bf16_pair(v[2 * k][i], v[2 * k + 1][i]) : near_tf32(v[k][i]);
    }
    /* 32 x 32 results, 16 k: of BF16 one instruction's, of TF32 two's. */
    DEVICE static void multiply(float (&d)[2][4][4], const u32 (&left)[4][4], const u32 (&right)[4][4]) {
        UNROLL for (int k = 0; k < (HOW == BF16 ? 2 : 4); k += 2)
            UNROLL for (int i = 0; i < 2; i++) {
                u32 a[4] = {left[k][2 * i], left[k][2 * i + 1], left[k + 1][2 * i], left[k + 1][2 * i + 1]};
                UNROLL for (int j = 0; j < 4; j++) {
                    if constexpr (HOW == TF32) multiply_tf32(d[i][j], a, right[k][j], right[k + 1][j]);
                    else multiply_bf16(d[i][j], a, right[k][j], right[k + 1][j]);
                }
            }
    }
    /* Pairs come as an instruction wants them: 8 slots by two quads of k at a time, in the order of rows. */
    template <class Loads> DEVICE void add_pairs(const float *a, const float *b) {
        static_assert(Loads::A_BY_K && Loads::B_BY_K, "pairs are neighbours in k");
        int lane = threadIdx.x % 32, row = lane % 8, low = lane / 8 % 2, high = lane / 16;
        UNROLL for (int k = 0; k < K; k += 8) {
            const float *left_at = a + (down + low * 8 + row) * SLAB + ((k / 4 & 3 ^ high) ^ row / 2) * 4;
            const float *right_at = b + (along + high * 8 + row) * SLAB + ((k / 4 & 3 ^ low) ^ row / 2) * 4;
            u32 left[WM / 16][4], right[4];
            UNROLL for (int i = 0; i < WM / 16; i++) load_matrices(left[i], left_at + (k / SLAB * M + 16 * i) * SLAB);
            UNROLL for (int j = 0; j < WN / 8; j += 2) {
                load_matrices(right, right_at + (k / SLAB * N + 8 * j) * SLAB);
                UNROLL for (int i = 0; i < WM / 16; i++)
                    UNROLL for (int n = 0; n < 2; n++) {
                        float(&d)[4] = sum[i / 2][(j + n) / 4][i % 2][(j + n) % 4];
                        multiply_bf16(d, left[i], right[2 * n], right[2 * n + 1]);
                    }
            }
        }
    }
    template <class Loads, class F> DEVICE void each(F f) const {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
        UNROLL for (int i = 0; i < WM / 32; i++)
            UNROLL for (int r = 0; r < 4; r++)
                UNROLL for (int j = 0; j < WN / 32; j++)
                    UNROLL for (int e = 0; e < 2; e++) {
                        const float(&d)[4][4] = sum[i][j][r / 2];
                        int own = r % 2 * 2 + e;
                        quad four = {d[0][own], d[1][own], d[2][own], d[3][own]};
                        f(down + 32 * i + (g & 1) * 16 + g / 2 * 4 + r, along + 32 * j + 16 * e + 4 * t, four);
                    }
    }
};


/* Adds the products of `tiles` tiles. All threads of the block must call. */
template <int STAGES, class Sums, class Loads> DEVICE void multiply(Sums &sums, Loads &loads, int tiles, float *room) {
    constexpr int A = Sums::M * Sums::K, STAGE = A + Sums::N * Sums::K;
    UNROLL for (int s = 0; s < STAGES - 1; s++) {
        if (s < tiles) loads.load(room + s * STAGE, room + s * STAGE + A);
        copies_commit();
    }
    int from = 0, to = (STAGES - 1) * STAGE;
    for (int tile = 0; tile < tiles; tile++) {
        copies_wait<STAGES - 2>();
        __syncthreads();
        if (tile + STAGES - 1 < tiles) loads.load(room + to, room + to + A);
        copies_commit();
        sums.template add<Loads>(room + from, room + from + A);
        from = from == (STAGES - 1) * STAGE ? 0 : from + STAGE;
        to = to == (STAGES - 1) * STAGE ? 0 : to + STAGE;
    }
}

/* Where several blocks share the k of a tile, each leaves its sums in memory and the last to come adds them up, in the
 * order of the shares, so that the bits are always the same.
 * room: floats [tiles][count][M][N]; counters: one a tile, 0, and 0 again afterwards */
struct shares {
    float *room;
    i32 *counters;
    i64 tile;
    i32 own, count;
};

/* Whether all other blocks of the tile have left their sums. */
DEVICE bool last_of(const shares &s) {
    __shared__ i32 arrived;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        arrived = atomicAdd(s.counters + s.tile, 1);
        if (arrived == s.count - 1) s.counters[s.tile] = 0;
    }
    __syncthreads();
    __threadfence();
    return arrived == s.count - 1;
}

template <int SIZE> DEVICE quad total(const float *part, int count) {
    quad sum = *(const quad *)part;
    for (int i = 1; i < count; i++) {
        quad q = *(const quad *)(part + (i64)i * SIZE);
        sum = {sum.x + q.x, sum.y + q.y, sum.z + q.z, sum.w + q.w};
    }
    return sum;
}

/* Calls f(row, column, quad) for each four neighbours of the block's tile, neighbours by neighbouring threads; where
 * blocks share, the last of them does. `made` is shared memory for M * N floats, which the sums are through with. */
template <class Loads, class Sums, class F> DEVICE void finish(const Sums &sums, const shares &s, float *made, F f) {
    constexpr int SIZE = Sums::M * Sums::N;
    bool alone = s.count == 1;
    float *all = s.room + s.tile * s.count * SIZE, *to = alone ? made : all + (i64)s.own * SIZE;
    __syncthreads();
    sums.template each<Loads>([&](int row, int column, quad four) { *(quad *)(to + row * Sums::N + column) = four; });
    if (!alone && !last_of(s)) return;
    __syncthreads();
    for (int i = threadIdx.x * 4; i < SIZE; i += Sums::THREADS * 4) {
        quad four = alone ? *(const quad *)(made + i) : total<SIZE>(all + i, s.count);
        f(i / Sums::N, i % Sums::N, four);
    }
}
