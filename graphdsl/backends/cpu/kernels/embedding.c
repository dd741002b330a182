/* Rows of a table, and the way back.
 *
 *   gather        y[i] = table[places[i]]               y [count, features]; shared by i
 *   scatter_add   table = 0; table[places[i]] += x[i]   in the order of i, so that sums are the same every time
 *
 * On the way back each thread has rows of the table to itself, clears them, and adds what belongs there: none meets
 * another, and the order of additions is that of i. Which rows are whose looks random: frequent words stand together,
 * and regular gaps would leave parts of the caches unused. Rows that share a cache line go together. Tables that no
 * cache holds are cleared past the caches.
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

enum { CACHED = 4 << 20 }; /* tables of more bytes are cleared past the caches */

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

/* Whether a block of rows belongs to this thread. */
INLINE int own(i64 block, const context *at) {
    return (i64)((uint32_t)block * 0x9E3779B1u >> 8) % at->threads == at->thread;
}

/* How many rows fill cache lines: 1, 2, 4, 8 or 16. */
static i64 rows_of_lines(i64 features) {
    i64 rows = 1;
    while (rows < 16 && rows * features % 16) rows *= 2;
    return rows;
}

EXPORT void scatter_add(const void *task, const context *at) {
    const scatter_add_task *t = task;
    i64 n = t->features, block = rows_of_lines(n);
    int past = (uintptr_t)t->table % 64 == 0 && 4 * t->rows * n > CACHED;
    for (i64 row = 0; row < t->rows; row += block) {
        i64 rows = least(block, t->rows - row);
        if (own(row / block, at)) clear(t->table + row * n, rows * n, past && rows == block);
    }
    for (i64 i = 0; i < t->count; i++) {
        i64 place = place_of(t->places, t->words, t->rows, i);
        if (place >= 0 && own(place / block, at)) add(t->x + i * n, n, t->table + place * n);
    }
#if defined(__x86_64__)
    _mm_sfence();
#endif
}
