/* Convolution and its input gradient as products in tiles (tiles.cuh):
 *
 *     y[image, i, j, n] = Σ over taps (r, s) and channels c of x[image, i * stride + r * dilation - before, ..., c]
 *                         * kernel[r, s, c, n]
 *
 * Rows of the product are the pixels of all images, columns the filters, k runs over taps and channels, channels first:
 * a row of a is never written anywhere, its quads are copied from x where the window stands, zeros outside.
 *
 *     k    | tap 0, 0: c 0 1 2 ... | tap 0, 1: c 0 1 2 ... |     a thread copies every K-th quad of some rows: it
 *          |                       |                       |     keeps a cursor (r, s, c), and where windows stand
 *
 * The input gradient (TURNED) of stride s is s convolutions of stride 1 along each axis, each with every s-th tap,
 * turned round, for every s-th place of the result; blocks along z share them and the groups:
 *
 *     stride 2, taps a b c:    places 0, 2, 4 ...  from a and c      places 1, 3, 5 ...  from b
 *
 * For PAIRS both factors have been made bfloat16 by pack.cu: depth is then in pairs.
 *
 * Blocks along y share the k of a tile where there are few tiles (`gathered` in tiles.cuh).
 *
 * Source: implicit GEMM as in cuDNN (Chetlur et al. 2014) and CUTLASS.
 */
#include "device.cuh"
#include "epilogue.cuh"
#include "tiles.cuh"

/* How the window slides along an axis of the forward convolution. */
struct conv_axis {
    i32 taps, stride, dilation, before;
    i32 size, out; /* of x, of y */
};

struct conv_args {
    const float *source; /* x; of the input gradient y */
    const float *kernel;
    float *to;
    float *room;
    i32 *counters;
    epilogue_args epilogue;
    conv_axis down, along;
    i32 images, groups;
    i32 depth, wide;       /* numbers that a tap reads of a pixel, and results a pixel, in one group */
    i32 kernel_tap, kernel_group, kernel_line; /* floats in the kernel from tap to tap, group to group, k to k or, where
                                                  k follow each other, column to column */
    i32 tiles;             /* along the columns */
    i32 share;             /* how many tiles of k a block takes */
    i32 aligned;           /* whether results lie so that four neighbours can be stored at once */
};

/* A convolution along an axis as a block makes it: place + step * o of the result is the sum over t < taps of what is
 * read at o * stride + t * dilation - before, times the kernel's tap first + t * tap_step. */
struct sweep {
    i32 taps, first, tap_step, stride, dilation, before, size, out, place, step;
};

DEVICE sweep forward(const conv_axis &a) {
    return {a.taps, 0, 1, a.stride, a.dilation, a.before, a.size, a.out, 0, 1};
}

DEVICE i32 greatest_divisor(i32 a, i32 b) {
    while (b) {
        i32 rest = a % b;
        a = b, b = rest;
    }
    return a;
}

/* Places place, place + stride, ... of x get y[o] * kernel[t] wherever o * stride + t * dilation - before = place. */
DEVICE sweep backward(const conv_axis &a, i32 place) {
    i32 common = greatest_divisor(a.stride, a.dilation), step = a.stride / common, lowest = 0;
    while (lowest < step && (place + a.before - lowest * a.dilation) % a.stride != 0) lowest++;
    i32 taps = lowest < step && lowest < a.taps ? (a.taps - 1 - lowest) / step + 1 : 0;
    i32 last = lowest + (taps - 1) * step;
    i32 start = taps ? (place + a.before - last * a.dilation) / a.stride : 0;
    i32 out = place < a.size ? (a.size - place - 1) / a.stride + 1 : 0;
    return {taps, last, -step, 1, a.dilation / common, -start, a.out, out, place, a.stride};
}

/* What a block works on. */
struct task {
    sweep down, along;
    i32 depth, wide;           /* numbers that a tap reads of a pixel, and results a pixel, in the group */
    i32 from_pixel, to_pixel;  /* floats from pixel to pixel */
    i32 group;
    u32 next_tap, next_line;   /* bytes from the end of a tap to the next, and besides from the last to the next line */
    i32 k, end;                /* the block's share of k */

    DEVICE i64 rows(i32 images) const { return (i64)images * down.out * along.out; }
};

template <bool TURNED> DEVICE task task_of(const conv_args &a, i32 tile_k) {
    task t;
    i32 z = blockIdx.z, phase = z / a.groups;
    t.group = z % a.groups;
    t.down = TURNED ? backward(a.down, phase / a.along.stride) : forward(a.down);
    t.along = TURNED ? backward(a.along, phase % a.along.stride) : forward(a.along);
    t.depth = a.depth, t.wide = a.wide;
    t.from_pixel = t.depth * a.groups;
    t.to_pixel = t.wide * a.groups;
    t.next_tap = (t.along.dilation * t.from_pixel - t.depth) * 4;
    t.next_line = (t.down.dilation * t.along.size - t.along.taps * t.along.dilation) * t.from_pixel * 4;
    i32 all = t.down.taps * t.along.taps * t.depth;
    t.k = min((i32)blockIdx.y * a.share * tile_k, all);
    t.end = min(t.k + a.share * tile_k, all);
    return t;
}

/* Where in the window a thread is: k = (r * along.taps + s) * depth + c. */
struct cursor {
    i32 r, s, c;
    i32 left;   /* of the block's k */
    u32 offset; /* bytes from the window's start, in what is read */

    DEVICE cursor(const task &t, i32 own) {
        left = t.end - t.k - own;
        set(t, t.k + own);
    }
    DEVICE void set(const task &t, i32 k) {
        i32 tap = k / t.depth, taps = max(t.along.taps, 1);
        c = k - tap * t.depth;
        r = tap / taps;
        s = tap - r * taps;
        offset = ((r * t.down.dilation * t.along.size + s * t.along.dilation) * t.from_pixel + c) * 4;
    }
    /* JUMP: by division, for few channels; else tap by tap. */
    template <bool JUMP> DEVICE void advance(const task &t, i32 by) {
        left -= by;
        if (JUMP) return set(t, (r * t.along.taps + s) * t.depth + c + by);
        c += by;
        offset += by * 4;
        while (c >= t.depth) {
            c -= t.depth;
            offset += t.next_tap;
            if (++s < t.along.taps) continue;
            s = 0, r++;
            offset += t.next_line;
        }
    }
};

/* Copies of windows: each thread the same k of several pixels. Where the window has no more than 32 taps (FEW), a bit
 * says for each whether it meets the input. */
template <class Share, int VEC, bool FEW> struct windows {
    const float *from;       /* where the first window of the block's first image begins, maybe before the image */
    u32 start[Share::COUNT]; /* of each row's window, in bytes */
    u32 met[Share::COUNT];
    i32 top[Share::COUNT], side[Share::COUNT];

    DEVICE windows(const conv_args &a, const task &t, i64 first) {
        i64 pixels = (i64)t.down.out * t.along.out, image = first / pixels, line = (i64)t.along.size * t.from_pixel;
        i32 within = (i32)(first - image * pixels), whole = (i32)pixels;
        from = a.source + (image * t.down.size - t.down.before) * line;
        from += t.group * t.depth - t.along.before * t.from_pixel;
        UNROLL for (int i = 0; i < Share::COUNT; i++) {
            i32 at = within + Share::outer() + Share::later(i), nth = at / whole;
            i32 pixel = at - nth * whole, row = pixel / t.along.out;
            i32 down = row * t.down.stride, along = (pixel - row * t.along.out) * t.along.stride;
            start[i] = ((nth * t.down.size + down) * (i32)line + along * t.from_pixel) * 4u;
            top[i] = image + nth < a.images ? down - t.down.before : -(1 << 30);
            side[i] = along - t.along.before;
            met[i] = FEW ? mask(t, top[i], side[i]) : 0;
        }
    }
    DEVICE static u32 mask(const task &t, i32 top, i32 side) {
        u32 line = 0, all = 0;
        for (i32 s = 0; s < t.along.taps; s++)
            if ((u32)(side + s * t.along.dilation) < (u32)t.along.size) line |= 1u << s;
        for (i32 r = 0; r < t.down.taps; r++)
            if ((u32)(top + r * t.down.dilation) < (u32)t.down.size) all |= line << r * t.along.taps;
        return all;
    }
    DEVICE void load(float *tile, const task &t, const cursor &at) const {
        const u8 *here = (const u8 *)from + (u64)at.offset;
        u32 tap = at.left > 0 ? 1u << (at.r * t.along.taps + at.s & 31) : 0;
        i32 down = at.r * t.down.dilation, along = at.s * t.along.dilation;
        UNROLL for (int i = 0; i < Share::COUNT; i++) {
            bool inside = (u32)(top[i] + down) < (u32)t.down.size && (u32)(side[i] + along) < (u32)t.along.size;
            copy<VEC>(Share::place(tile, i), here + (u64)start[i], FEW ? met[i] & tap : inside && tap);
        }
    }
};

/* Copies of a kernel whose k follow each other: that of column n begins at kernel[tap r, tap s][n]. */
template <class Share, int VEC> struct kernel_lines {
    const float *kernel;
    u32 line;  /* bytes from column to column */
    i32 width; /* of the forward kernel, in taps */
    i32 tap;   /* floats */
    i32 wide;  /* columns from the thread's first to the last */

    DEVICE kernel_lines(const conv_args &a, const task &t, i32 first)
        : kernel(a.kernel + (i64)(first + Share::outer()) * a.kernel_line + (i64)t.group * a.kernel_group),
          line(a.kernel_line * 4), width(a.along.taps), tap(a.kernel_tap), wide(t.wide - first - Share::outer()) {}
    DEVICE void load(float *tile, const task &t, const cursor &at) const {
        i32 nth = (t.down.first + at.r * t.down.tap_step) * width + t.along.first + at.s * t.along.tap_step;
        const float *here = kernel + (i64)nth * tap + at.c;
        i32 now = at.left > 0 ? wide : 0;
        UNROLL for (int i = 0; i < Share::COUNT; i++)
            copy<VEC>(Share::place(tile, i), ahead(here, Share::later(i), line), now > Share::later(i));
    }
};

/* What a block copies where the kernel's columns follow each other, as in [tap][channel][filter]. */
template <class Sums, int VEC_A, int VEC_B, bool FEW> struct loads_by_column {
    using pixels = along_k<Sums::M, Sums::K, Sums::THREADS, VEC_A>;
    using filters = along_outer<Sums::N, Sums::K, Sums::THREADS, VEC_B>;
    static constexpr bool A_BY_K = true, B_BY_K = false;
    const task &t;
    cursor at;
    windows<pixels, VEC_A, FEW> a;
    columns<filters, VEC_B, Sums::K> b;

    DEVICE loads_by_column(const conv_args &args, const task &t, i64 row, i32 column)
        : t(t), at(t, pixels::k()), a(args, t, row),
          b(args.kernel + (i64)t.group * args.kernel_group, args.kernel_line, column, t.wide, t.k, t.end) {}
    DEVICE void load(float *to_a, float *to_b) {
        a.load(to_a, t, at);
        b.load(to_b);
        at.template advance<VEC_A == 1>(t, Sums::K);
    }
};

/* And where its k do, as for the gradient. VEC_B is 4 where sums read the kernel BY_K, in quads as they read pixels;
 * else its floats are turned one by one. */
template <class Sums, int VEC_A, int VEC_B, bool FEW> struct loads_by_k {
    using pixels = along_k<Sums::M, Sums::K, Sums::THREADS, VEC_A>;
    using filters = along_k<Sums::N, Sums::K, Sums::THREADS, VEC_B, Sums::COLUMNS_BY_K>;
    static constexpr bool A_BY_K = true, B_BY_K = Sums::COLUMNS_BY_K, ONE = VEC_A == VEC_B;
    const task &t;
    cursor at, other;
    windows<pixels, VEC_A, FEW> a;
    kernel_lines<filters, VEC_B> b;

    DEVICE loads_by_k(const conv_args &args, const task &t, i64 row, i32 column)
        : t(t), at(t, pixels::k()), other(t, filters::k()), a(args, t, row), b(args, t, column) {}
    DEVICE void load(float *to_a, float *to_b) {
        a.load(to_a, t, at);
        b.load(to_b, t, ONE ? at : other);
        at.template advance<VEC_A == 1>(t, Sums::K);
        if (!ONE) other.template advance<VEC_A == 1>(t, Sums::K);
    }
};

/* Which pixel of the whole result a row of the product is. */
template <bool TURNED> DEVICE i64 pixel_of(const conv_args &a, const task &t, i64 row) {
    if (!TURNED || (t.down.step == 1 && t.along.step == 1)) return row;
    i32 pixels = t.down.out * t.along.out;
    i64 image = row / pixels;
    i32 pixel = (i32)(row - image * pixels), i = pixel / t.along.out, j = pixel - i * t.along.out;
    return (image * a.down.size + t.down.place + i * t.down.step) * a.along.size + t.along.place + j * t.along.step;
}

/* Four neighbouring results, where they are. */
template <bool TURNED>
DEVICE void store(const conv_args &a, const task &t, i64 row, i32 column, const quad &made) {
    if (row >= t.rows(a.images) || column >= t.wide) return;
    i64 pixel = pixel_of<TURNED>(a, t, row), whole = t.group * t.wide + column;
    float *to = a.to + pixel * t.to_pixel + whole;
    if (a.aligned) {
        *(quad *)to = epilogue::of_four(a.epilogue, made, pixel, whole);
    } else {
        const float v[4] = {made.x, made.y, made.z, made.w};
        UNROLL for (int e = 0; e < 4; e++)
            if (column + e < t.wide) to[e] = epilogue::of(a.epilogue, v[e], pixel, whole + e);
    }
}

/* At once on a processor: fewer where copies need more registers. */
template <class Sums, int VEC_A, bool KERNEL_BY_K> constexpr int blocks() {
    if (VEC_A == 1) return 256 / Sums::THREADS;
    return KERNEL_BY_K && !Sums::LEAN && Sums::BLOCKS > 1 ? Sums::BLOCKS - 1 : Sums::BLOCKS;
}

template <class Sums, int STAGES, int VEC_A, int VEC_B, bool FEW, bool TURNED, bool KERNEL_BY_K>
KERNEL_OF(Sums::THREADS, (blocks<Sums, VEC_A, KERNEL_BY_K>())) conv(const conv_args a) {
    using Loads = choice<KERNEL_BY_K, loads_by_k<Sums, VEC_A, VEC_B, FEW>, loads_by_column<Sums, VEC_A, VEC_B, FEW>>;
    SHARED_BYTES(room);
    task t = task_of<TURNED>(a, Sums::K);
    i64 first = (i64)(blockIdx.x / a.tiles) * Sums::M;
    i32 start = blockIdx.x % a.tiles * Sums::N;
    if (first >= t.rows(a.images)) return;
    Sums sums;
    Loads loads(a, t, first, start);
    multiply<STAGES>(sums, loads, (t.end - t.k + Sums::K - 1) / Sums::K, (float *)room);
    shares s = {a.room, a.counters, (i64)blockIdx.z * gridDim.x + blockIdx.x, (i32)blockIdx.y, (i32)gridDim.y};
    finish<Loads>(sums, s, (float *)room,
                  [&](int row, int column, quad four) { store<TURNED>(a, t, first + row, start + column, four); });
}
