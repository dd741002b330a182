/* The gradient of a convolution's kernel as a product in tiles (tiles.cuh):
 *
 *     dkernel[r, s, c, f] = Σ over images and pixels (i, j) of x[i * stride + r * dilation - before, ..., c] * dy[i, j, f]
 *
 * Rows of the product are taps and channels, columns the filters, k runs over the pixels of all images. Both factors lie
 * with their rows (columns) side by side: a thread copies the same channels of one tap for some pixels, and counts the
 * pixels on; what a window misses is 0:
 *
 *     k  | pixel 0 | pixel 1 | ...          a: tap (r, s) of each pixel's window, 4 channels a thread
 *                                           b: dy, 4 filters a thread
 *
 * There are few tiles and very many pixels, so blocks along y share them; blocks along z are the groups. The last of a few
 * shares adds up what all have left (tiles.cuh); very many (APART) are added up by conv_kernel_total, in which 8 threads
 * share the sum of one result and 32 neighbours are side by side.
 */
#include "device.cuh"
#include "tiles.cuh"

struct conv_kernel_args {
    const float *x, *dy;
    float *made, *room;
    i32 *counters;
    i32 height, width, out_height, out_width;
    i32 window_height, window_width, stride_height, stride_width;
    i32 dilation_height, dilation_width, top, left;
    i32 images, groups, channels, filters; /* of one group */
    i32 tiles;                             /* along the columns */
    i32 share;                             /* how many tiles of k a block takes */
    i32 aligned;                           /* whether four neighbouring results can be stored at once */
    i32 unused;
};

/* Copies of x: the channels of a tap, pixel by pixel. */
template <class Share, int VEC> struct tap {
    static constexpr bool BY_K = false;
    const conv_kernel_args &a;
    const float *from;
    i32 down, along;         /* of the tap, from where a window would begin */
    i32 image, row, column;  /* of the pixel that comes next */
    i32 left;                /* pixels */

    DEVICE tap(const conv_kernel_args &a, i32 first, i32 k, i32 end) : a(a) {
        i32 own = first + Share::outer(), number = own / a.channels, r = number / a.window_width;
        from = a.x + blockIdx.z * a.channels + (own - number * a.channels);
        down = r * a.dilation_height - a.top;
        along = (number - r * a.window_width) * a.dilation_width - a.left;
        left = r < a.window_height ? end - k - Share::k() : 0;
        go_to(k + Share::k());
    }
    DEVICE void go_to(i32 pixel) {
        i32 line = pixel / a.out_width;
        column = pixel - line * a.out_width;
        image = line / a.out_height;
        row = line - image * a.out_height;
    }
    DEVICE void advance(i32 by) {
        if (a.out_width * 4 < by) return go_to((image * a.out_height + row) * a.out_width + column + by);
        column += by;
        while (column >= a.out_width) {
            column -= a.out_width;
            if (++row == a.out_height) row = 0, image++;
        }
    }
    template <int K> DEVICE void load(float *tile) {
        UNROLL for (int n = 0; n < Share::COUNT; n++) {
            i32 p = row * a.stride_height + down, q = column * a.stride_width + along;
            bool there = left > Share::later(n) && (u32)p < (u32)a.height && (u32)q < (u32)a.width;
            u32 offset = ((u32)(image * a.height + p) * a.width + q) * (a.channels * a.groups);
            copy<VEC>(Share::place(tile, n), ahead(from, offset, 4), there);
            advance((n + 1 < Share::COUNT ? Share::later(n + 1) : K) - Share::later(n));
        }
        left -= K;
    }
};

template <class Sums, int VEC_A, int VEC_B> struct kernel_loads {
    using taps = along_outer<Sums::M, Sums::K, Sums::THREADS, VEC_A>;
    using filters = along_outer<Sums::N, Sums::K, Sums::THREADS, VEC_B>;
    static constexpr bool A_BY_K = false, B_BY_K = false;
    tap<taps, VEC_A> a;
    columns<filters, VEC_B, Sums::K> b;

    DEVICE kernel_loads(const conv_kernel_args &args, i32 row, i32 column, i32 k, i32 end)
        : a(args, row, k, end), b(args.dy + blockIdx.z * args.filters, (i64)args.filters * args.groups, column,
                                  args.filters, k, end) {}
    DEVICE void load(float *to_a, float *to_b) {
        a.template load<Sums::K>(to_a);
        b.load(to_b);
    }
};

/* Small tiles of plain sums wait for memory: more of them at a time. */
template <class Sums> constexpr int held() { return Sums::M * Sums::N == 1024 ? 896 / Sums::THREADS : Sums::BLOCKS; }

template <class Sums, int STAGES, int VEC_A, int VEC_B, bool APART>
KERNEL_OF(Sums::THREADS, held<Sums>()) conv_kernel(const conv_kernel_args a) {
    SHARED_BYTES(ring);
    i32 first = blockIdx.x / a.tiles * Sums::M, start = blockIdx.x % a.tiles * Sums::N;
    i32 pixels = a.images * a.out_height * a.out_width, rows = a.window_height * a.window_width * a.channels;
    i32 k = min((i32)blockIdx.y * a.share * Sums::K, pixels), end = min(k + a.share * Sums::K, pixels);
    Sums sums;
    kernel_loads<Sums, VEC_A, VEC_B> loads(a, first, start, k, end);
    multiply<STAGES>(sums, loads, (end - k + Sums::K - 1) / Sums::K, (float *)ring);
    if constexpr (APART) {
        constexpr int SIZE = Sums::M * Sums::N;
        i64 part = ((i64)blockIdx.z * gridDim.x + blockIdx.x) * gridDim.y + blockIdx.y;
        sums.template each<kernel_loads<Sums, VEC_A, VEC_B>>([&](int row, int column, quad four) {
            *(quad *)(a.room + part * SIZE + row * Sums::N + column) = four;
        });
        return;
    }
    shares s = {a.room, a.counters, (i64)blockIdx.z * gridDim.x + blockIdx.x, (i32)blockIdx.y, (i32)gridDim.y};
    finish<kernel_loads<Sums, VEC_A, VEC_B>>(sums, s, (float *)ring, [&](int row, int column, quad four) {
        if (first + row >= rows || start + column >= a.filters) return;
        float *to = a.made + ((i64)(first + row) * a.groups + blockIdx.z) * a.filters + start + column;
        float v[4] = {four.x, four.y, four.z, four.w};
        if (a.aligned)
            *(quad *)to = four;
        else
            UNROLL for (int e = 0; e < 4; e++)
                if (start + column + e < a.filters) to[e] = v[e];
    });
}

struct conv_kernel_total_args {
    const float *parts; /* [groups][tiles][count][M][N] */
    float *made;
    i64 rows, filters, groups; /* filters of one group */
    i64 tiles, along, count;   /* of a group; along the columns; parts of each */
};

enum { LANES = 32, SHARERS = 8 };

template <int M, int N> KERNEL(LANES * SHARERS) conv_kernel_total(const conv_kernel_total_args a) {
    __shared__ float found[SHARERS][LANES];
    i64 lane = threadIdx.x % LANES, share = threadIdx.x / LANES, own = (i64)blockIdx.x * LANES + lane;
    i64 column = own % a.filters, row = own / a.filters % a.rows, group = own / a.filters / a.rows;
    bool there = group < a.groups;
    i64 tile = group * a.tiles + row / M * a.along + column / N;
    const float *part = a.parts + tile * a.count * (M * N) + row % M * N + column % N;
    float sum = 0;
    for (i64 p = share; p < a.count; p += SHARERS)
        if (there) sum += part[p * (M * N)];
    found[share][lane] = sum;
    __syncthreads();
    if (share || !there) return;
    for (int s = 1; s < SHARERS; s++) sum += found[s][lane];
    a.made[(row * a.groups + group) * a.filters + column] = sum;
}
