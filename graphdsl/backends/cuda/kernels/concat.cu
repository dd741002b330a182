/* Putting together, cutting out, padding: elements of one, four or 16 bytes, whatever they mean. A thread an element.
 *
 *   join   y [rows, width] from up to 8 pieces, each [rows, its width], side by side from `start` on
 *   box    y[place] = x[place + offset], 0 where that is outside of x; the last axis runs along threads
 */
#include "index.cuh"

enum { PIECES = 8, RANK = 8 };

struct join_args {
    u8 *y;
    const u8 *pieces[PIECES];
    i64 ends[PIECES]; /* columns up to the end of each piece, from start on */
    i64 rows, width, start, total, count;
};

template <class Element> KERNEL(256) join(const join_args a) {
    for EACH(i64, i, a.rows * a.total) {
        i64 row = i / a.total, column = i % a.total;
        int piece = 0;
        while (column >= a.ends[piece]) piece++;
        i64 before = piece ? a.ends[piece - 1] : 0;
        const Element *from = (const Element *)a.pieces[piece] + row * (a.ends[piece] - before);
        ((Element *)a.y)[row * a.width + a.start + column] = from[column - before];
    }
}

struct box_args {
    const u8 *x;
    u8 *y;
    i64 sizes[RANK], limits[RANK], offsets[RANK];
    i64 rank, count;
};

template <class Element> KERNEL(256) box(const box_args a) {
    for EACH(i64, i, a.count) {
        i64 rest = i, from = 0, step = 1;
        bool inside = true;
        for (int axis = (int)a.rank - 1; axis >= 0; axis--) {
            i64 place = rest % a.sizes[axis] + a.offsets[axis];
            rest /= a.sizes[axis];
            inside = inside && place >= 0 && place < a.limits[axis];
            from += place * step;
            step *= a.limits[axis];
        }
        ((Element *)a.y)[i] = inside ? ((const Element *)a.x)[from] : Element{};
    }
}
