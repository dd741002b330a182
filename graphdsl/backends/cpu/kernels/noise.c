/* Numbers in [0, 1) that depend on key, counter and place alone: splitmix64, the same bits as in NumPy.
 *
 *   counter   one int64
 *   y         [count]
 *
 *     y[i] = 2^-24 (mix(start + GOLDEN (i + 1)) >> 40),   start = mix(key + GOLDEN (counter + 1))
 *
 * Shared by elements. Two vectors of 64-bit states, one for even places and one for odd, become one vector of floats:
 * the upper halves of the odd ones slide in between.
 *
 * Source: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014; S. Vigna's
 * constants.
 */
#include "vector.h"

typedef struct {
    const i64 *counter;
    float *y;
    i64 key, count;
} random_uniform_task;
TASK(random_uniform_task);

typedef uint64_t states __attribute__((vector_size(4 * VL)));

static const uint64_t GOLDEN = 0x9E3779B97F4A7C15u, FIRST = 0xBF58476D1CE4E5B9u, SECOND = 0x94D049BB133111EBu;

INLINE states mix(states z) {
    z = (z ^ (z >> 30)) * FIRST;
    z = (z ^ (z >> 27)) * SECOND;
    return z ^ (z >> 31);
}

EXPORT void random_uniform(const void *task, const context *at) {
    const random_uniform_task *t = task;
    i64 first, last;
    share_units(t->count, VL, at, &first, &last);
    states start = mix((states){0} + ((uint64_t)t->key + GOLDEN * ((uint64_t)*t->counter + 1)));
    states even;
    for (int i = 0; i < VL / 2; i++) even[i] = start[0] + GOLDEN * (uint64_t)(first + 2 * i + 1);
    for (i64 k = first; k < last; k += VL) {
        states low = mix(even) >> 40, high = mix(even + GOLDEN) >> 40;
        vec y = to_float((ivec)(low | high << 32)) * 0x1p-24f;
        if (last - k >= VL)
            store(t->y + k, y);
        else
            store_part(t->y + k, y, last - k);
        even += GOLDEN * VL;
    }
}
