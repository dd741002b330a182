/* Moving bytes and filling words: short runs by vectors, long ones as the C library does it. */
#ifndef COPY_H
#define COPY_H

#include "vector.h"

/* Runs of this many bytes are worth a call. */
enum { LONG_RUN = 1024 };

/* n bytes from one place to another that it does not overlap. */
INLINE void copy_bytes(void *to, const void *from, i64 n) {
    if (n >= LONG_RUN || n % 4) {
        memcpy(to, from, (size_t)n);
        return;
    }
    float *y = to;
    const float *x = from;
    i64 k = 0;
    n /= 4;
    for (; k + VL <= n; k += VL) store(y + k, load(x + k));
    if (k < n) store_part(y + k, load_part(x + k, n - k), n - k);
}

/* n bytes of zero. */
INLINE void clear_bytes(void *to, i64 n) {
    if (n >= LONG_RUN || n % 4) {
        memset(to, 0, (size_t)n);
        return;
    }
    float *y = to;
    i64 k = 0;
    n /= 4;
    for (; k + VL <= n; k += VL) store(y + k, zeros());
    if (k < n) store_part(y + k, zeros(), n - k);
}

/* n words of the same bits. */
INLINE void fill_words(int32_t *to, int32_t word, i64 n) {
    i64 k = 0;
    for (; k + VL <= n; k += VL) istore(to + k, iall(word));
    if (k < n) istore_part(to + k, iall(word), n - k);
}

#endif
