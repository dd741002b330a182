/* Rows of a table, and the way back.
 *
 *   gather        y[i] = table[places[i]]               y [count, features]; shared by i
 *   scatter_add   table = 0; table[places[i]] += x[i]   in the order of i, so that sums are the same every time
 *
 * The way back takes two steps: clear_table, shared by rows and past the caches where the table would not stay in them
 * anyway; then add_rows, shared by features: each thread adds all rows, but only its own columns of them, so none
 * meets another and the order of additions is that of i.
 *
 *     thread 0 | thread 1        places[0] = 2
 *     . . . .  |  . . . .        places[1] = 0
 *     row i ............>        ...
 *
 * A place outside of the table gives NaN, which stops a run and names the call; on the way back it is left out.
 */
#include "copy.h"

typedef struct {
    const float *table;
    const int32_t *places;
    float *y;
    i64 rows, features, count, words; /* words: of 4 bytes in a place, 1 or 2; the lower one first */
} gather_task;
TASK(gather_task);

/* Row number i's place, or -1 if it is not in the table. */
INLINE i64 place_of(const int32_t *places, i64 words, i64 rows, i64 i) {
    i64 place = words == 1 ? places[i] : ((const int64_t *)places)[i];
    return place >= 0 && place < rows ? place : -1;
}

EXPORT void gather(const void *task, const context *at) {
    const gather_task *t = task;
    i64 first, last, n = t->features;
    share(t->count, at, &first, &last);
    for (i64 i = first; i < last; i++) {
        i64 place = place_of(t->places, t->words, t->rows, i);
        if (place >= 0)
            copy_bytes(t->y + i * n, t->table + place * n, 4 * n);
        else
            for (i64 k = 0; k < n; k++) t->y[i * n + k] = NAN;
    }
}

typedef struct {
    const float *x;
    const int32_t *places;
    float *table;
    i64 rows, features, count, words;
} scatter_add_task;
TASK(scatter_add_task);

/* Tables of more bytes than this are cleared past the caches. */
enum { CACHED = 4 << 20 };

static void clear(float *to, i64 n) {
#if defined(__x86_64__)
    i64 k = 0;
    if (4 * n > CACHED) {
        for (; k < n && ((uintptr_t)(to + k) & 15); k++) to[k] = 0;
        for (; k + 16 <= n; k += 16)
            for (i64 part = 0; part < 16; part += 4) _mm_stream_ps(to + k + part, _mm_setzero_ps());
        _mm_sfence();
    }
    to += k;
    n -= k;
#endif
    memset(to, 0, sizeof(float) * (size_t)n);
}

EXPORT void clear_table(const void *task, const context *at) {
    const scatter_add_task *t = task;
    i64 first, last;
    share_units(t->rows * t->features, 16, at, &first, &last);
    if (first < last) clear(t->table + first, last - first);
}

EXPORT void add_rows(const void *task, const context *at) {
    const scatter_add_task *t = task;
    i64 first, last, n = t->features;
    share_units(n, 16, at, &first, &last);
    if (first >= last) return;
    for (i64 i = 0; i < t->count; i++) {
        i64 place = place_of(t->places, t->words, t->rows, i), k = first;
        if (place < 0) continue;
        const float *x = t->x + i * n;
        float *y = t->table + place * n;
        for (; k + VL <= last; k += VL) store(y + k, load(y + k) + load(x + k));
        if (k < last) store_part(y + k, load_part(y + k, last - k) + load_part(x + k, last - k), last - k);
    }
}
