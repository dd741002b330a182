/* How results of a convolution in AMX tiles are finished and stored, and what is gathered of them. */
#ifndef CONV_AMX_STORE_H
#define CONV_AMX_STORE_H

#include "conv_amx.h"

#ifdef AMX

/* What is done to the results of a panel, taken out of the task once for all of them. */
typedef struct {
    vec bias[2], low;
    const float *add, *mask;
    float *y;
    i64 lanes[2]; /* of the two vectors */
    i64 pixel;    /* from result to result */
} ending;

INLINE ending ending_of(const conv_amx_task *t, i64 panel) {
    i64 column = panel * PANEL, count = least(PANEL, t->filters - column);
    ending e = {.low = all((float)t->low), .add = t->add, .mask = t->mask, .y = t->y, .pixel = t->y_pixel};
    e.lanes[0] = least(VL, count), e.lanes[1] = most(count - VL, 0);
    for (int v = 0; v < 2; v++) e.bias[v] = t->bias ? load_part(t->bias + column + v * VL, e.lanes[v]) : zeros();
    return e;
}

/* Sums over some results in float32, to be added to those in double before they lose digits. */
typedef struct {
    vec centre[2][2]; /* for each product and vector: what the other factor is taken around */
    vec sums[3][2];
    const float *others[2];
    i64 kind, count, begun;
} gathered;

enum { MOST_GATHERED = 1024 };

INLINE vec finished(const ending *e, int v, vec r, i64 at, int add, int masked) {
    r += e->bias[v];
    if (add) r += load_part(e->add + at, e->lanes[v]);
    r = max_or_second(e->low, r);
    return masked ? keep(greater(load_part(e->mask + at, e->lanes[v]), zeros()), r) : r;
}

/* `count` results of one vector, `step` floats apart in c, e->pixel apart in y. */
INLINE void store_line(const ending *from, int v, const float *c, i64 step, i64 count, i64 at, gathered *g, int kind,
                       int add, int masked) {
    ending e = *from;
    vec sums[3] = {{0}}, first = kind ? g->centre[0][v] : zeros(), second = kind > SUMS + 1 ? g->centre[1][v] : zeros();
    const float *x = g->others[0], *z = g->others[1];
    at += v * VL;
    for (i64 i = 0; i < count; i++, at += e.pixel) {
        vec r = finished(&e, v, load(c + i * step + v * VL), at, add, masked);
        /* Before the store, which would hold up loads whose addresses end in the same 12 bits. */
        vec p = zeros(), q = zeros();
        if (kind > SUMS) p = load_part(x + at, e.lanes[v]) - first;
        if (kind > SUMS + 1) q = load_part(z + at, e.lanes[v]) - second;
        store_part(e.y + at, r, e.lanes[v]);
        if (kind == MOMENTS) r -= first;
        if (kind) sums[0] += r;
        if (kind == MOMENTS) sums[1] += r * r;
        if (kind > SUMS) sums[1] += r * p;
        if (kind > SUMS + 1) sums[2] += r * q;
    }
    for (int k = 0; k < rows_gathered(kind); k++) g->sums[k][v] += sums[k];
}

#define FORM(kind, add, mask)                                                                                         \
    case 4 * (kind) + 2 * (add) + (mask): store_line(e, v, c, wide * VL, count, at, g, kind, add, mask); break;
#define FORMS(kind) FORM(kind, 0, 0) FORM(kind, 0, 1) FORM(kind, 1, 0) FORM(kind, 1, 1)

NOINLINE static void store_results(const ending *e, const float *c, i64 wide, i64 count, i64 at, gathered *g) {
    i64 form = 4 * g->kind + (e->add ? 2 : 0) + (e->mask ? 1 : 0);
    for (int v = 0; g->kind == MOMENTS && !g->begun && v < wide; v++)
        g->centre[0][v] = finished(e, v, load(c + v * VL), at + v * VL, !!e->add, !!e->mask);
    for (int v = 0; v < wide; v++) switch (form) {
            FORMS(NOTHING)
            FORMS(MOMENTS)
            FORMS(SUMS)
            FORMS(SUMS + 1)
            FORMS(SUMS + 2)
        }
    g->begun = 1, g->count += count;
}

#undef FORM
#undef FORMS

/* What is gathered of a panel, before the first result of some lines. */
static gathered gathered_of(const conv_amx_task *t, const statistics *s, i64 panel) {
    int begun = s && s->count > 0;
    gathered g = {.kind = s ? t->gathers : NOTHING, .begun = begun, .others = {t->others[0], t->others[1]}};
    i64 column = panel * PANEL;
    for (i64 v = 0; v < 2; v++, column += VL) {
        i64 lanes = least(VL, most(t->filters - column, 0));
        if (g.kind == MOMENTS && begun) g.centre[0][v] = load(s->pivots + column);
        for (i64 k = 0; k < g.kind - SUMS; k++) g.centre[k][v] = load_part(t->means[k] + column, lanes);
    }
    return g;
}

/* What is met from result `at` on. */
INLINE coming coming_to(const ending *e, const gathered *g, i64 at, i64 places) {
    coming c = {.at = {(const char *)(e->y + at)}, .count = 1, .places = places, .step = 4 * e->pixel};
    const float *read[] = {e->add, e->mask, g->kind > SUMS ? g->others[0] : 0, g->kind > SUMS + 1 ? g->others[1] : 0};
    for (int i = 0; i < 4; i++)
        if (read[i]) c.at[c.count++] = (const char *)(read[i] + at);
    return c;
}

/* Some places of what comes, where results are `bytes` wide. */
INLINE void fetch_coming(coming *n, i64 places, i64 bytes) {
    for (; places && n->places; places--, n->places--)
        for (i64 k = 0; k < n->count; n->at[k++] += n->step)
            for (i64 i = 0; i < bytes; i += 64) __builtin_prefetch(n->at[k] + i, 0, 2);
}

static void hand_over(gathered *g, const statistics *s, i64 panel) {
    typedef double doubles __attribute__((vector_size(64), aligned(8), may_alias));
    for (int k = 0; k < rows_gathered(g->kind); k++)
        for (int v = 0; v < 2; v++) {
            doubles *to = (doubles *)(s->sums + k * s->wide + panel * PANEL + v * VL);
            __m512 from = (__m512)g->sums[k][v];
            to[0] += (doubles)_mm512_cvtps_pd(_mm512_castps512_ps256(from));
            to[1] += (doubles)_mm512_cvtps_pd(_mm512_extractf32x8_ps(from, 1));
            g->sums[k][v] = zeros();
        }
    g->count = 0;
}

#endif
#endif
