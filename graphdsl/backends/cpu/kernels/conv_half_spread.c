/* Tiles of pictures as points, for 3x3 convolutions of stride 2: see conv_half.h. */
#include "conv_half.h"

/* Places of one tile, a row and a column of them so many floats apart; `there` of VL channels. */
typedef struct {
    const float *x;
    i64 row, column, there, next; /* floats to the patch that is read after this one, which is fetched meanwhile */
    range lines, columns;
} patch;

INLINE vec at(const patch *p, i64 i, i64 j, const int inner) {
    const float *x = p->x + i * p->row + j * p->column;
    __builtin_prefetch(x + p->next);
    if (inner) return load(x);
    int known = i >= p->lines.first && i < p->lines.last && j >= p->columns.first && j < p->columns.last;
    return known ? load_part(x, p->there) : zeros();
}

/* B' X B */
INLINE void both(const patch *p, float *to, i64 apart, const int inner) {
    float half[POINTS * VL] __attribute__((aligned(64)));
    for (int j = 0; j < SIDE; j++) {
        vec d[SIDE], out[SIDE];
        UNROLL for (int i = 0; i < SIDE; i++) d[i] = at(p, i, j, inner);
        line_in(d, out);
        UNROLL for (int i = 0; i < SIDE; i++) store(half + (i * SIDE + j) * VL, out[i]);
    }
    for (int i = 0; i < SIDE; i++) {
        vec d[SIDE], out[SIDE];
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = load(half + (i * SIDE + j) * VL);
        line_in(d, out);
        UNROLL for (int j = 0; j < SIDE; j++) store(to + (i * SIDE + j) * apart, out[j]);
    }
}

/* B' X of one column, or X B of one line. */
INLINE void one_side(const patch *p, float *to, i64 apart, const int down, const int inner) {
    vec d[SIDE], out[SIDE];
    UNROLL for (int i = 0; i < SIDE; i++) d[i] = down ? at(p, i, 0, inner) : at(p, 0, i, inner);
    line_in(d, out);
    UNROLL for (int i = 0; i < SIDE; i++) store(to + i * apart, out[i]);
}

INLINE void plain(const patch *p, float *to, i64 apart, const int inner) {
    UNROLL for (int j = 0; j < TILE; j++) store(to + j * apart, at(p, 0, j, inner));
}

typedef void (*patch_in)(const patch *p, float *to, i64 apart);
#define EVERY_KIND(name, inner)                                                                                       \
    static NOINLINE void plain_##name(const patch *p, float *to, i64 apart) { plain(p, to, apart, inner); }           \
    static NOINLINE void across_##name(const patch *p, float *to, i64 apart) { one_side(p, to, apart, 0, inner); }    \
    static NOINLINE void down_##name(const patch *p, float *to, i64 apart) { one_side(p, to, apart, 1, inner); }      \
    static NOINLINE void both_##name(const patch *p, float *to, i64 apart) { both(p, to, apart, inner); }
EVERY_KIND(edge, 0)
EVERY_KIND(inner, 1)
static const patch_in kinds[2][4] = {{plain_edge, across_edge, down_edge, both_edge},
                                     {plain_inner, across_inner, down_inner, both_inner}};

/* Which of `count` places from `start` on are in the picture. */
static range known(const walk *w, i64 start, i64 count) {
    i64 before = start < 0 ? (-start + w->step - 1) / w->step : 0;
    i64 up_to = start < w->size ? (w->size - start + w->step - 1) / w->step : 0;
    return (range){least(before, count), least(up_to, count)};
}

void half_spread(const halved *s, const source *from, int kind, i64 which, i64 first, i64 tiles, float *v, i64 apart) {
    const walk *lines = &from->lines, *columns = &from->columns;
    i64 high = kind & DOWN ? SIDE : 1, wide = kind & ACROSS ? SIDE : kind == PLAIN ? TILE : 1;
    i64 top = kind & DOWN ? lines->two : lines->one + which * lines->step;
    i64 left = kind & ACROSS ? columns->two : columns->one + (kind == DOWN ? which * columns->step : 0);
    i64 line = columns->size * from->channels;
    patch p = {.row = lines->step * line, .column = columns->step * from->channels};
    for (i64 t = 0; t < tiles; t++, v += in_vectors(from->channels)) {
        tile_at at = place(s, first + t);
        i64 i = top + at.i * TILE * lines->step, j = left + at.j * TILE * columns->step;
        p.lines = known(lines, i, high), p.columns = known(columns, j, wide);
        int inner = !p.lines.first && p.lines.last == high && !p.columns.first && p.columns.last == wide;
        const float *corner = from->x + (at.n * lines->size + i) * line + j * from->channels;
        tile_at then = place(s, first + least(t + 1, tiles - 1));
        p.next = ((then.n - at.n) * lines->size + (then.i - at.i) * TILE * lines->step) * line +
                 (then.j - at.j) * TILE * p.column;
        for (i64 c = 0; c < from->channels; c += VL) {
            p.x = corner + c;
            p.there = least(VL, from->channels - c);
            kinds[inner && p.there == VL][kind](&p, v + c, apart);
        }
    }
}
