/* A tile of a product of matrices, made by a block: out[row][column] = Σ_k a[row][k] b[k][column], in float32.
 *
 *                 COLUMNS             Both factors come through shared memory in stages of GROUPS * DEPTH numbers of k,
 *              ┌───────────┐          several of them under way at a time. The threads of a block are GROUPS groups;
 *         k  b │ │ │ ▓ │ │ │          each takes its DEPTH numbers of k out of every stage, and of the tile a thread
 *              └───────────┘          takes HIGH rows by WIDE columns. In the end the groups' sums are added up in
 *         a     out                   their order. So small results with long sums keep a whole block busy, and the
 *       ┌───┐  ┌───────────┐          latency of memory is paid about once.
 *  ROWS │▒▒▒│  │     █     │
 *       └───┘  └───────────┘          A panel in shared memory is as its factor is in memory, so that it is copied
 *                                     16 bytes at a time where sizes allow:
 *   along:  [k][SIZE]       rows of b, columns of a: a thread's numbers are quads, 4 * LANES apart
 *   across: [SIZE][k + 4]   rows of a, columns of b: a thread's numbers are LANES lines apart, four k in a quad
 */
#pragma once
#include "device.cuh"

/* Where the numbers of a plain matrix stand; -1 for those that are not there. There are less than 2^31. */
struct plain_matrix {
    i32 line, lines, items; /* floats from a line to the next; how many lines there are, and how much of each */
    DEVICE i32 at(i32 l, i32 i) const { return l < lines && i < items ? l * line + i : -1; }
};

/* SIZE rows of a, or columns of b, DEPTH deep; STEP floats are copied at a time by each of THREADS. */
template <int SIZE, int DEPTH, bool ALONG, int STEP, int THREADS> struct panel {
    static constexpr int LINE = ALONG ? SIZE : DEPTH + 4, FLOATS = LINE * (ALONG ? DEPTH : SIZE);

    template <class Where> DEVICE static void copy(float *to, const float *from, i32 first, i32 k, const Where &where) {
        constexpr int EACH = (ALONG ? SIZE : DEPTH) / STEP, ALL = EACH * (ALONG ? DEPTH : SIZE);
        UNROLL for (int i = 0; i < (ALL + THREADS - 1) / THREADS; i++) {
            int number = i * THREADS + threadIdx.x, line = number / EACH, item = number % EACH * STEP;
            if (ALL % THREADS && number >= ALL) break;
            i32 place = ALONG ? where.at(k + line, first + item) : where.at(first + line, k + item);
            const float *source = from + (place < 0 ? 0 : place);
            if (STEP == 4) copy_16(to + line * LINE + item, source, place >= 0);
            else copy_4(to + line * LINE + item, source, place >= 0);
        }
    }
    /* What thread t of LANES side by side has, at k to k + 3. */
    template <int OWN, int LANES> DEVICE static void load(float (&r)[OWN][4], const float *panel, int t, int k) {
        UNROLL for (int i = 0; i < OWN; i += ALONG ? 4 : 1) {
            UNROLL for (int j = 0; j < (ALONG ? 4 : 1); j++) {
                const float *from = ALONG ? panel + (k + j) * LINE + i * LANES + t * 4 : panel + (t + i * LANES) * LINE + k;
                quad q = *(const quad *)from;
                if (ALONG) r[i][j] = q.x, r[i + 1][j] = q.y, r[i + 2][j] = q.z, r[i + 3][j] = q.w;
                else r[i][0] = q.x, r[i][1] = q.y, r[i][2] = q.z, r[i][3] = q.w;
            }
        }
    }
    /* Number i of thread t, in the panel. */
    template <int LANES> DEVICE static int place(int t, int i) {
        return ALONG ? i / 4 * 4 * LANES + t * 4 + i % 4 : t + i * LANES;
    }
};

/* How a block shares out a tile. HIGH and WIDE are multiples of 4, and threads side by side 8 or a part of it. */
template <int ROWS_, int COLUMNS_, int HIGH, int WIDE, int GROUPS, int DEPTH, int STAGES> struct tile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, STAGE = GROUPS * DEPTH, LINE = COLUMNS + 4;
    static constexpr int UP = ROWS / HIGH, SIDE = COLUMNS / WIDE, GROUP = UP * SIDE, THREADS = GROUP * GROUPS;

    /* out: GROUPS tables [ROWS][LINE] at the start of shared memory, whose sum is the tile; to be read at once.
     * a and b are read from k to end; row and column are the tile's first. */
    template <bool TURN_A, int STEP_A, bool TURN_B, int STEP_B, class A, class B>
    DEVICE static void make(float *shared, const float *a, const A &a_at, const float *b, const B &b_at, i32 row,
                            i32 column, i32 k, i32 end) {
        using left = panel<ROWS, STAGE, TURN_A, STEP_A, THREADS>;
        using right = panel<COLUMNS, STAGE, !TURN_B, STEP_B, THREADS>;
        constexpr int SIZE = left::FLOATS + right::FLOATS;
        int t = threadIdx.x % GROUP, group = threadIdx.x / GROUP;
        int x = SIDE <= 8 ? t % SIDE : t % 8 + t / 32 % (SIDE / 8) * 8;
        int y = SIDE <= 8 ? t / SIDE : t / 8 % 4 + t / (4 * SIDE) * 4;
        float sums[HIGH][WIDE] = {};
        UNROLL for (int s = 0; s < STAGES - 1; s++) {
            if (k + s * STAGE < end) {
                left::copy(shared + s * SIZE, a, row, k + s * STAGE, a_at);
                right::copy(shared + s * SIZE + left::FLOATS, b, column, k + s * STAGE, b_at);
            }
            copies_commit();
        }
        int now = 0, next = STAGES - 1;
        for (; k < end; k += STAGE) {
            copies_wait<STAGES - 2>();
            __syncthreads();
            if (k + (STAGES - 1) * STAGE < end) {
                left::copy(shared + next * SIZE, a, row, k + (STAGES - 1) * STAGE, a_at);
                right::copy(shared + next * SIZE + left::FLOATS, b, column, k + (STAGES - 1) * STAGE, b_at);
            }
            copies_commit();
            const float *stage = shared + now * SIZE;
            if (k + group * DEPTH < end) {
                UNROLL for (int d = 0; d < DEPTH; d += 4) {
                    float r[HIGH][4], c[WIDE][4];
                    left::template load<HIGH, UP>(r, stage, y, group * DEPTH + d);
                    right::template load<WIDE, SIDE>(c, stage + left::FLOATS, x, group * DEPTH + d);
                    UNROLL for (int j = 0; j < 4; j++)
                        UNROLL for (int i = 0; i < HIGH; i++)
                            UNROLL for (int n = 0; n < WIDE; n++) sums[i][n] += r[i][j] * c[n][j];
                }
            }
            now = now + 1 == STAGES ? 0 : now + 1;
            next = next + 1 == STAGES ? 0 : next + 1;
        }
        copies_wait<0>();
        __syncthreads();
        float *out = shared + group * ROWS * LINE;
        UNROLL for (int i = 0; i < HIGH; i++)
            UNROLL for (int n = 0; n < WIDE; n++)
                out[left::template place<UP>(y, i) * LINE + right::template place<SIDE>(x, n)] = sums[i][n];
        __syncthreads();
    }
    /* Four numbers of the tile that make has left in shared memory. */
    DEVICE static quad four(const float *shared, int row, int column) {
        quad sum = *(const quad *)(shared + row * LINE + column);
        UNROLL for (int g = 1; g < GROUPS; g++) {
            quad more = *(const quad *)(shared + (g * ROWS + row) * LINE + column);
            sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
        }
        return sum;
    }
    /* One of them. */
    DEVICE static float one(const float *shared, int row, int column) {
        float sum = shared[row * LINE + column];
        UNROLL for (int g = 1; g < GROUPS; g++) sum += shared[(g * ROWS + row) * LINE + column];
        return sum;
    }
};
