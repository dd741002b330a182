/* The lines that a block of results reads, laid out as conv_amx.c draws them. */
#include "conv_amx.h"

#ifdef AMX

enum { AT_ONCE = 4096 }; /* numbers that a formula makes, for the first cache */

/* 16 bit each, in order. */
INLINE __m256i upper_halves(ivec x) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)x, 16)); }

static void lay_out(const float *from, i64 n, uint16_t *hi, uint16_t *lo) {
    i64 i = 0;
    for (; i + VL <= n; i += VL) {
        halves h = split(load(from + i));
        _mm256_storeu_si256((__m256i *)(hi + i), upper_halves(h.hi));
        _mm256_storeu_si256((__m256i *)(lo + i), upper_halves(h.lo));
    }
    if (i < n) {
        halves h = split(load_part(from + i, n - i));
        _mm256_mask_storeu_epi16(hi + i, first_lanes(n - i), upper_halves(h.hi));
        _mm256_mask_storeu_epi16(lo + i, first_lanes(n - i), upper_halves(h.lo));
    }
}

static void blank(uint16_t *hi, uint16_t *lo, i64 n) {
    memset(hi, 0, 2 * (size_t)n);
    memset(lo, 0, 2 * (size_t)n);
}

/* Line j of an image, with zeros where it is outside. */
static void lay_out_line(const conv_amx_task *t, i64 image, i64 j, uint16_t *hi, uint16_t *lo) {
    i64 c = t->channels, before = least(most(t->left, 0), t->pitch), skipped = most(-t->left, 0);
    i64 pixels = j < 0 || j >= t->height ? 0 : most(least(t->width - skipped, t->pitch - before), 0);
    if (t->limit >= 0) pixels = least(pixels, most(t->limit - j * t->width, 0));
    if (!pixels) before = 0;
    blank(hi, lo, before * c);
    const float *x = t->x + image * t->x_image + j * t->x_line + skipped * t->x_pixel;
    i64 run = t->x_pixel == c ? pixels : 1; /* neighbours in x */
    for (i64 i = 0; i < pixels; i += run)
        lay_out(x + i * t->x_pixel, run * c, hi + (before + i) * c, lo + (before + i) * c);
    blank(hi + (before + pixels) * c, lo + (before + pixels) * c, (t->pitch - before - pixels) * c);
}

/* Makes the pixels of x before `end` that are not ready, and a few more: rows of formulas are short. */
static void make_ready(const conv_amx_task *t, laid_out *b, i64 end) {
    i64 last = b->end == t->rows ? t->pixels : b->end * (t->x_line / t->channels);
    for (end = least(end, last); b->ready < end;) {
        i64 pixels = least(most(AT_ONCE / t->channels, 1), last - b->ready);
        formula_block(t->before, b->image * t->pixels + b->ready, pixels, 0, t->channels, 0, 0);
        b->ready += pixels;
    }
}

void lay_out_block(const conv_amx_task *t, laid_out *b) {
    i64 lines = (b->lines - 1) * t->down + (t->taps - 1) * t->dilation + 1, line = t->pitch * t->channels;
    i64 behind = t->shared * t->channels + TILE_DEPTH, first = b->line * t->down - t->top;
    for (i64 phase = 0; phase < least(t->down, lines); phase++) {
        i64 end = (slot(t, phase) + up(lines - phase, t->down)) * line;
        blank(b->hi + end, b->lo + end, behind);
    }
    for (i64 j = 0; j < lines; j++) {
        i64 to = slot(t, j) * line;
        if (t->before) make_ready(t, b, (first + j + 1) * (t->x_line / t->channels));
        lay_out_line(t, b->image, first + j, b->hi + to, b->lo + to);
    }
    if (t->before && b->line + b->lines == b->end) make_ready(t, b, t->pixels);
}

#endif
