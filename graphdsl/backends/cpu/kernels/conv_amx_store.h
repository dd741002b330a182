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
    vec pivot[2], sums[2], squares[2];
    i64 count, begun;
} gathered;

enum { MOST_GATHERED = 1024 };

INLINE vec finished(const ending *e, int v, vec r, i64 at, int add, int masked) {
    r += e->bias[v];
    if (add) r += load_part(e->add + at, e->lanes[v]);
    r = max_or_second(e->low, r);
    return masked ? keep(greater(load_part(e->mask + at, e->lanes[v]), zeros()), r) : r;
}

/* `count` results of one vector, `step` floats apart in c, e->pixel apart in y. */
INLINE void store_line(const ending *from, int v, const float *c, i64 step, i64 count, i64 at, gathered *g, int add,
                       int masked, int gathers) {
    ending e = *from;
    vec pivot = gathers ? g->pivot[v] : zeros(), sums = zeros(), squares = zeros();
    at += v * VL;
    for (i64 i = 0; i < count; i++, at += e.pixel) {
        vec r = finished(&e, v, load(c + i * step + v * VL), at, add, masked);
        store_part(e.y + at, r, e.lanes[v]);
        if (!gathers) continue;
        r -= pivot;
        sums += r;
        squares += r * r;
    }
    if (gathers) g->sums[v] += sums, g->squares[v] += squares;
}

NOINLINE static void store_results(const ending *e, const float *c, i64 wide, i64 count, i64 at, gathered *g) {
    int form = (e->add ? 4 : 0) | (e->mask ? 2 : 0) | (g ? 1 : 0);
    for (int v = 0; g && !g->begun && v < wide; v++)
        g->pivot[v] = finished(e, v, load(c + v * VL), at + v * VL, form & 4, form & 2);
    for (int v = 0; v < wide; v++) switch (form) {
            case 0: store_line(e, v, c, wide * VL, count, at, g, 0, 0, 0); break;
            case 1: store_line(e, v, c, wide * VL, count, at, g, 0, 0, 1); break;
            case 2: store_line(e, v, c, wide * VL, count, at, g, 0, 1, 0); break;
            case 4: store_line(e, v, c, wide * VL, count, at, g, 1, 0, 0); break;
            case 5: store_line(e, v, c, wide * VL, count, at, g, 1, 0, 1); break;
            case 6: store_line(e, v, c, wide * VL, count, at, g, 1, 1, 0); break;
            default: store_line(e, v, c, wide * VL, count, at, g, form & 4, 1, 1);
        }
    if (g) g->begun = 1, g->count += count;
}

static void hand_over(gathered *g, statistics *s, i64 panel) {
    i64 column = panel * PANEL;
    for (int v = 0; v < 2; v++) {
        for (int i = 0; i < VL; i++) {
            s->sums[column + v * VL + i] += g->sums[v][i];
            s->squares[column + v * VL + i] += g->squares[v][i];
        }
        g->sums[v] = g->squares[v] = zeros();
    }
    g->count = 0;
}

#endif
#endif
