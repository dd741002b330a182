/* Rows of a table, and the way back.
 *
 *   gather        y[i] = table[places[i]]               y [count, features]; shared by i
 *   scatter_add   table = 0; table[places[i]] += x[i]   in the order of i, so that sums are the same every time
 *
 * On the way back each thread has a part of the table to itself, clears it, and adds what belongs there, so none meets
 * another and the order of additions is that of i. Its part is a range of features where they fill cache lines: then all
 * threads have as much to do, whatever the places are. Elsewhere it is every so manieth block of 16 rows, which fills
 * cache lines too.
 *
 *     features   0 0 0 0 | 1 1 1 1        rows   0 0 0        Tables that no cache holds are cleared past the caches.
 *                0 0 0 0 | 1 1 1 1               1 1 1
 *                0 0 0 0 | 1 1 1 1               0 0 0
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

enum {
    CACHED = 16 << 20, /* tables of more bytes are cleared past the caches */
    LINE = 16,         /* floats in a cache line */
    BLOCK = 16         /* rows that stay together */
};

/* n zeros. past: no cache needs to see them; then to is the start of a cache line and n whole lines. */
INLINE void clear(float *to, i64 n, int past) {
#if defined(__x86_64__)
    if (past) {
        for (i64 k = 0; k < n; k += 4) _mm_stream_ps(to + k, _mm_setzero_ps());
        return;
    }
#endif
    (void)past;
    clear_bytes(to, 4 * n);
}

INLINE void add(const float *x, i64 n, float *y) {
    i64 k = 0;
    for (; k + VL <= n; k += VL) store(y + k, load(y + k) + load(x + k));
    if (k < n) store_part(y + k, load_part(y + k, n - k) + load_part(x + k, n - k), n - k);
}

static void by_features(const scatter_add_task *t, const context *at, int past) {
    i64 first, last, n = t->features;
    share_units(n, LINE, at, &first, &last);
    if (first >= last) return;
    for (i64 row = 0; row < t->rows; row++) clear(t->table + row * n + first, last - first, past);
    for (i64 i = 0; i < t->count; i++) {
        i64 place = place_of(t->places, t->words, t->rows, i);
        if (place >= 0) add(t->x + i * n + first, last - first, t->table + place * n + first);
    }
}

static void by_rows(const scatter_add_task *t, const context *at, int past) {
    i64 n = t->features;
    for (i64 row = at->thread * BLOCK; row < t->rows; row += at->threads * BLOCK)
        clear(t->table + row * n, least(BLOCK, t->rows - row) * n, past && row + BLOCK <= t->rows);
    for (i64 i = 0; i < t->count; i++) {
        i64 place = place_of(t->places, t->words, t->rows, i);
        if (place >= 0 && place / BLOCK % at->threads == at->thread) add(t->x + i * n, n, t->table + place * n);
    }
}

EXPORT void scatter_add(const void *task, const context *at) {
    const scatter_add_task *t = task;
    int lines = (uintptr_t)t->table % 64 == 0, past = lines && 4 * t->rows * t->features > CACHED;
    if (lines && t->features % LINE == 0 && t->features >= LINE * at->threads)
        by_features(t, at, past);
    else
        by_rows(t, at, past);
#if defined(__x86_64__)
    _mm_sfence();
#endif
}
