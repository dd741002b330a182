/* Floats become bfloat16, laid as products want them: lines of `depth` numbers, each filled up with zeros to whole
 * words of eight.
 *
 *     to[line][k] = from[table][column][k]      line = table * columns + column      (k < depth, else 0)
 *
 * where table, column and k have strides of their own, columns in groups: a kernel [taps][channels][filters] becomes
 * [tap][filter][channel]; pixels stay as they are, with room for what is missing to eight channels. A thread makes one
 * word. Two parts in one launch: the first blocks make the one, the others the other.
 */
#include "device.cuh"

struct pack_part {
    const float *from;
    words *to;
    i64 table;   /* floats from table to table, */
    i64 group;   /* from group to group of `wide` columns, */
    i64 column;  /* from column to column of a group, */
    i64 k;       /* from k to k */
    u32 columns, wide, each; /* words a line */
    i32 depth;
    i32 by_column;     /* whether neighbouring threads take neighbouring columns, or else words */
    i32 items, blocks; /* words; blocks that make them */
};

struct pack_args {
    pack_part parts[2];
};

/* Eight numbers from k on, `step` floats apart; zeros from `depth` on. */
DEVICE words packed(const float *from, i32 k, i32 depth, i64 step) {
    float v[8];
    if (step == 1 && k + 8 <= depth && (u64)(from + k) % 16 == 0) {
        quad low = *(const quad *)(from + k), high = *(const quad *)(from + k + 4);
        return {to_bf16_pair(low.x, low.y), to_bf16_pair(low.z, low.w), to_bf16_pair(high.x, high.y),
                to_bf16_pair(high.z, high.w)};
    }
    UNROLL for (int i = 0; i < 8; i++) v[i] = k + i < depth ? from[(k + i) * step] : 0;
    return {to_bf16_pair(v[0], v[1]), to_bf16_pair(v[2], v[3]), to_bf16_pair(v[4], v[5]), to_bf16_pair(v[6], v[7])};
}

DEVICE void pack_some(const pack_part &p, u32 first, u32 step) {
    for (u32 i = first; i < (u32)p.items; i += step) {
        u32 table, column, word;
        if (p.by_column) {
            column = i % p.columns, word = i / p.columns % p.each, table = i / p.columns / p.each;
        } else {
            word = i % p.each, column = i / p.each % p.columns, table = i / p.each / p.columns;
        }
        u32 group = column / p.wide;
        const float *from = p.from + table * p.table + group * p.group + (column - group * p.wide) * p.column;
        p.to[((i64)table * p.columns + column) * p.each + word] = packed(from, 8 * word, p.depth, p.k);
    }
}

template <int THREADS> KERNEL(THREADS) pack(const pack_args a) {
    i32 block = blockIdx.x, first = a.parts[0].blocks;
    bool other = block >= first;
    pack_some(a.parts[other], (other ? block - first : block) * THREADS + threadIdx.x, a.parts[other].blocks * THREADS);
}
