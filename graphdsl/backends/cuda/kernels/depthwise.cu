/* Convolutions in which every channel has a window of its own, and their gradients.
 *
 *   depthwise          y[n,i,j,c] = Σ x[n, i * stride + r * dilation - before, ..., c] * kernel[r,s,c]
 *   depthwise_back     dx[n,p,q,c] = Σ dy[n,i,j,c] * kernel[r,s,c] over the windows that cover (p, q)
 *   depthwise_kernel   dkernel[r,s,c] = Σ over n,i,j of x[...] * dy[n,i,j,c]
 *
 * Memory is what they wait for. In `depthwise` a thread makes 4 neighbouring results of VEC channels for the usual
 * windows, whose pixels it reads once each; neighbouring threads have neighbouring channels:
 *
 *     3x3, stride 1    x  a b c d e f        y0 = a b c, y1 = b c d, y2 = c d e, y3 = d e f
 *
 * The gradient of stride 1 is the same with the window turned round. `depthwise_kernel` gives 32 channels of some lines
 * of results to a block; each of its 8 warps takes every 8th line and keeps a sum for each tap; the blocks' sums are
 * added up by `depthwise_total`, in order.
 */
#include "epilogue.cuh"
#include "index.cuh"

struct depthwise_args {
    const float *x, *kernel; /* depthwise_kernel: dy in place of the kernel */
    float *y;
    epilogue_args epilogue; /* of the two ways of pictures */
    i32 batch, height, width, channels, out_height, out_width;
    i32 window_height, window_width, stride_height, stride_width;
    i32 dilation_height, dilation_width, top, left;
    i32 turned; /* the window is read from its end */
    i32 parts;  /* of the lines, for depthwise_kernel */
};

enum { STRIP = 4, LANES = 32, WARPS = 8 };

template <int VEC> DEVICE void read(float (&v)[VEC], const float *from, bool there) {
    if constexpr (VEC == 4) {
        quad q = there ? *(const quad *)from : quad{0, 0, 0, 0};
        v[0] = q.x, v[1] = q.y, v[2] = q.z, v[3] = q.w;
    } else {
        v[0] = there ? *from : 0.0f;
    }
}

/* VEC results of a pixel, from channel c on. */
template <int VEC> DEVICE void store(const depthwise_args &a, float (&v)[VEC], i64 pixel, i32 c) {
    UNROLL for (int e = 0; e < VEC; e++) v[e] = epilogue::of(a.epilogue, v[e], pixel, c + e);
    float *to = a.y + pixel * a.channels + c;
    if constexpr (VEC == 4)
        *(quad *)to = quad{v[0], v[1], v[2], v[3]};
    else
        *to = v[0];
}

/* One line of the window, for STRIP results that begin at column `first` of x. */
template <int VEC, int KW, int STRIDE>
DEVICE void add_line(float (&sum)[STRIP][VEC], const depthwise_args &a, const float *line, i32 first, const float *taps,
                     i32 tap_step) {
    constexpr int READ = (STRIP - 1) * STRIDE + KW;
    float x[READ][VEC], w[VEC];
    UNROLL for (int k = 0; k < READ; k++)
        read<VEC>(x[k], line + (i64)(first + k) * a.channels, (u32)(first + k) < (u32)a.width);
    UNROLL for (int s = 0; s < KW; s++) {
        read<VEC>(w, taps + s * tap_step, true);
        UNROLL for (int o = 0; o < STRIP; o++)
            UNROLL for (int v = 0; v < VEC; v++) sum[o][v] += x[o * STRIDE + s][v] * w[v];
    }
}

/* Windows KH x KW with the same stride along both axes and no dilation. */
template <int VEC, int KH, int KW, int STRIDE> KERNEL(256) depthwise(const depthwise_args a) {
    i64 strips = (a.out_width + STRIP - 1) / STRIP, columns = a.channels / VEC;
    for EACH(i64, k, a.batch * (i64)a.out_height * strips * columns) {
        i32 c = (i32)(k % columns) * VEC, j = (i32)(k / columns % strips) * STRIP;
        i64 row = k / columns / strips;
        i32 i = (i32)(row % a.out_height), n = (i32)(row / a.out_height);
        float sum[STRIP][VEC] = {};
        for (int r = 0; r < KH; r++) {
            i32 p = i * STRIDE + r - a.top;
            if ((u32)p >= (u32)a.height) continue;
            const float *line = a.x + ((i64)n * a.height + p) * a.width * a.channels + c;
            i32 tap = a.turned ? (KH * KW - 1 - r * KW) : r * KW;
            add_line<VEC, KW, STRIDE>(sum, a, line, j * STRIDE - a.left, a.kernel + (i64)tap * a.channels + c,
                                      a.turned ? -a.channels : a.channels);
        }
        UNROLL for (int o = 0; o < STRIP; o++)
            if (j + o < a.out_width) store<VEC>(a, sum[o], row * a.out_width + j + o, c);
    }
}

/* Any window: a thread a number. */
KERNEL(256) depthwise_any(const depthwise_args a) {
    for EACH(i64, k, (i64)a.batch * a.out_height * a.out_width * a.channels) {
        i32 c = (i32)(k % a.channels), j = (i32)(k / a.channels % a.out_width);
        i64 row = k / a.channels / a.out_width;
        i32 i = (i32)(row % a.out_height), n = (i32)(row / a.out_height);
        float sum = 0;
        for (i32 r = 0; r < a.window_height; r++)
            for (i32 s = 0; s < a.window_width; s++) {
                i32 p = i * a.stride_height + r * a.dilation_height - a.top;
                i32 q = j * a.stride_width + s * a.dilation_width - a.left;
                if ((u32)p >= (u32)a.height || (u32)q >= (u32)a.width) continue;
                i64 at = (((i64)n * a.height + p) * a.width + q) * a.channels + c;
                sum += a.x[at] * a.kernel[(r * a.window_width + s) * (i64)a.channels + c];
            }
        a.y[k] = epilogue::of(a.epilogue, sum, k / a.channels, c);
    }
}

/* x is dy [batch, out_height, out_width, channels], y is dx. A thread a number. */
KERNEL(256) depthwise_back(const depthwise_args a) {
    for EACH(i64, k, (i64)a.batch * a.height * a.width * a.channels) {
        i32 c = (i32)(k % a.channels), q = (i32)(k / a.channels % a.width);
        i64 row = k / a.channels / a.width;
        i32 p = (i32)(row % a.height), n = (i32)(row / a.height);
        float sum = 0;
        for (i32 r = 0; r < a.window_height; r++)
            for (i32 s = 0; s < a.window_width; s++) {
                i32 down = p + a.top - r * a.dilation_height, across = q + a.left - s * a.dilation_width;
                i32 i = down / a.stride_height, j = across / a.stride_width;
                if (down < 0 || across < 0 || i * a.stride_height != down || j * a.stride_width != across) continue;
                if (i >= a.out_height || j >= a.out_width) continue;
                i64 at = (((i64)n * a.out_height + i) * a.out_width + j) * a.channels + c;
                sum += a.x[at] * a.kernel[(r * a.window_width + s) * (i64)a.channels + c];
            }
        a.y[k] = epilogue::of(a.epilogue, sum, k / a.channels, c);
    }
}

/* y [parts][taps][channels]: what each part of the lines adds to the gradient. Grid: channels, parts, chunks of TAPS. */
template <int TAPS> KERNEL(LANES * WARPS) depthwise_kernel(const depthwise_args a) {
    __shared__ float found[WARPS][TAPS][LANES];
    i32 lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, taps = a.window_height * a.window_width;
    i32 c = blockIdx.x * LANES + lane, first = blockIdx.z * TAPS;
    i64 lines = (i64)a.batch * a.out_height, begin = lines * blockIdx.y / a.parts, end = lines * (blockIdx.y + 1) / a.parts;
    float sum[TAPS] = {};
    for (i64 row = begin + warp; row < end && c < a.channels; row += WARPS) {
        i32 i = (i32)(row % a.out_height), n = (i32)(row / a.out_height);
        for (i32 j = 0; j < a.out_width; j++) {
            float dy = a.kernel[(row * a.out_width + j) * a.channels + c];
            UNROLL for (int t = 0; t < TAPS; t++) {
                i32 r = (first + t) / a.window_width, s = (first + t) - r * a.window_width;
                i32 p = i * a.stride_height + r * a.dilation_height - a.top;
                i32 q = j * a.stride_width + s * a.dilation_width - a.left;
                if (first + t < taps && (u32)p < (u32)a.height && (u32)q < (u32)a.width)
                    sum[t] += a.x[(((i64)n * a.height + p) * a.width + q) * a.channels + c] * dy;
            }
        }
    }
    UNROLL for (int t = 0; t < TAPS; t++) found[warp][t][lane] = sum[t];
    __syncthreads();
    for (i32 t = warp; t < TAPS && first + t < taps && c < a.channels; t += WARPS) {
        float total = 0;
        for (i32 w = 0; w < WARPS; w++) total += found[w][t][lane];
        a.y[((i64)blockIdx.y * taps + first + t) * a.channels + c] = total;
    }
}

struct depthwise_total_args {
    const float *parts;
    float *y;
    i64 count, size; /* of parts; numbers in each */
};

KERNEL(256) depthwise_total(const depthwise_total_args a) {
    for EACH(i64, k, a.size) {
        float sum = 0;
        for (i64 p = 0; p < a.count; p++) sum += a.parts[p * a.size + k];
        a.y[k] = sum;
    }
}
