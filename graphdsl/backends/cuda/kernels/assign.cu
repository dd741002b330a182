/* Which candidate of a detector is to show which true box; ../../cpu/kernels/assign.c says what the numbers are.
 *
 *   found   [batch, n, width], boxes [batch, m, 5] -> goal [batch, n, width], asked [batch, n, 2]
 *
 * A block a sample. First its threads go through the candidates: nothing is shown yet, and who overlaps a true box is
 * silent. Then one of them gives the boxes their candidates, one box after the other, since each takes what those
 * before it have left: some hundred steps. Places are worked out in double, as everywhere. */
#include "index.cuh"

struct assign_args {
    const float *found, *boxes;
    float *goal, *asked;
    const i64 *grids;      /* [heads, 4]: rows, columns, candidates of a cell, the first candidate */
    const double *numbers; /* ignore, alike or near, span; then width and height of every anchor */
    i64 batch, n, m, width, heads;
};

enum { THREADS = 256, ROWS = 0, COLUMNS = 1, EACH_CELL = 2, FIRST = 3, GRID = 4, TRUE_BOX = 5, BEFORE_CLASSES = 5 };
enum { IGNORE = 0, ALIKE = 1, NEAR = 1, SPAN = 2, SHAPES = 3 };

/* What belongs to one sample. */
struct sample {
    const float *found, *boxes;
    float *goal, *asked;
};

DEVICE sample sample_of(const assign_args &a, i64 b) {
    i64 row = b * a.n;
    return {a.found + row * a.width, a.boxes + b * a.m * TRUE_BOX, a.goal + row * a.width, a.asked + row * 2};
}

DEVICE double lesser(double a, double b) { return a < b ? a : b; }
DEVICE double greater(double a, double b) { return a > b ? a : b; }
DEVICE bool real(const float *box) { return box[2] > 0 && box[3] > 0; }

/* What two boxes share along one side. */
DEVICE double shared_side(const float *a, const float *b, int side) {
    double at = a[side], size = a[side + 2], other = b[side], wide = b[side + 2];
    return lesser(at + size / 2, other + wide / 2) - greater(at - size / 2, other - wide / 2);
}

/* What is no number overlaps nothing. */
DEVICE bool overlap(const float *a, const float *b, double ignore) {
    double wide = shared_side(a, b, 0), high = shared_side(a, b, 1), common = wide * high;
    float sum = a[0] + a[1] + a[2] + a[3];
    if (!(wide > 0 && high > 0) || sum != sum) return false;
    return common > ignore * ((double)a[2] * a[3] + (double)b[2] * b[3] - common);
}

DEVICE void begin(const assign_args &a, const sample &s) {
    for (i64 i = threadIdx.x; i < a.n * a.width; i += THREADS) s.goal[i] = 0;
    for (i64 i = threadIdx.x; i < a.n; i += THREADS) {
        bool silent = false;
        for (i64 k = 0; k < a.m && !silent; k++) {
            const float *box = s.boxes + k * TRUE_BOX;
            silent = real(box) && overlap(s.found + i * a.width, box, a.numbers[IGNORE]);
        }
        s.asked[2 * i] = 0;
        s.asked[2 * i + 1] = silent ? 0.0f : 1.0f;
    }
}

DEVICE void show(const assign_args &a, const sample &s, const float *box, i64 place) {
    float *goal = s.goal + place * a.width;
    i64 kind = (i64)box[4];
    for (int side = 0; side < 4; side++) goal[side] = box[side];
    goal[4] = 1;
    if (kind >= 0 && kind < a.width - BEFORE_CLASSES) goal[BEFORE_CLASSES + kind] = 1;
    s.asked[2 * place] = 1;
    s.asked[2 * place + 1] = 0;
}

/* The cell of count that a place lies in; the first or last one where it lies in none. */
DEVICE i64 cell_at(double place, i64 count) {
    if (!(place >= 0)) return 0;
    return place < (double)count ? (i64)place : count - 1;
}

DEVICE i64 own_cell(const i64 *grid, const float *box) {
    i64 row = cell_at((double)box[1] * (double)grid[ROWS], grid[ROWS]);
    return row * grid[COLUMNS] + cell_at((double)box[0] * (double)grid[COLUMNS], grid[COLUMNS]);
}

/* What a box and an anchor share where their middles meet. */
DEVICE double common_of(const float *box, const double *anchor) {
    return lesser(box[2], anchor[0]) * lesser(box[3], anchor[1]);
}

/* The best anchor of the box's cells that shows nothing yet, or -1; with `all` those that are alike enough show it.
 * Quotients of common and whole are compared without dividing. */
DEVICE i64 best_anchor(const assign_args &a, const sample &s, const float *box, bool all) {
    const double *anchor = a.numbers + SHAPES;
    double best_common = -1, best_whole = 1;
    i64 found = -1;
    for (const i64 *grid = a.grids; grid < a.grids + GRID * a.heads; grid += GRID) {
        i64 place = grid[FIRST] + own_cell(grid, box) * grid[EACH_CELL];
        for (i64 last = place + grid[EACH_CELL]; place < last; place++, anchor += 2) {
            if (s.asked[2 * place] > 0) continue;
            double common = common_of(box, anchor);
            double whole = (double)box[2] * box[3] + anchor[0] * anchor[1] - common;
            if (common * best_whole > best_common * whole) best_common = common, best_whole = whole, found = place;
            if (all && common >= a.numbers[ALIKE] * whole) show(a, s, box, place);
        }
    }
    return found;
}

KERNEL_OF(THREADS, 2) assign_boxes(const assign_args a) {
    for (i64 b = blockIdx.x; b < a.batch; b += gridDim.x) {
        sample s = sample_of(a, b);
        begin(a, s);
        __syncthreads();
        for (i64 k = 0; k < a.m && threadIdx.x == 0; k++) {
            const float *box = s.boxes + k * TRUE_BOX;
            i64 place = real(box) ? best_anchor(a, s, box, false) : -1;
            if (place < 0) continue;
            best_anchor(a, s, box, true);
            show(a, s, box, place);
        }
    }
}

/* Cells around the middle of the box, of the head that shows boxes of its size. */
DEVICE void show_around(const assign_args &a, const sample &s, const float *box) {
    const i64 *grid = a.grids, *last = a.grids + GRID * (a.heads - 1);
    while (grid < last && greater((double)box[2] * (double)grid[COLUMNS], (double)box[3] * (double)grid[ROWS]) >
                              a.numbers[SPAN])
        grid += GRID;
    double x = (double)box[0] * (double)grid[COLUMNS], y = (double)box[1] * (double)grid[ROWS];
    double wide = lesser(a.numbers[NEAR], (double)box[2] * (double)grid[COLUMNS] / 2);
    double high = lesser(a.numbers[NEAR], (double)box[3] * (double)grid[ROWS] / 2);
    i64 own = own_cell(grid, box), top = cell_at(y - high - 1, grid[ROWS]), bottom = cell_at(y + high, grid[ROWS]);
    i64 left = cell_at(x - wide - 1, grid[COLUMNS]), right = cell_at(x + wide, grid[COLUMNS]);
    for (i64 row = top; row <= bottom; row++)
        for (i64 column = left; column <= right; column++) {
            i64 cell = row * grid[COLUMNS] + column, place = grid[FIRST] + cell;
            bool near = fabs((double)row + 0.5 - y) < high && fabs((double)column + 0.5 - x) < wide;
            if ((near || cell == own) && s.asked[2 * place] == 0) show(a, s, box, place);
        }
}

/* The smallest box above an area, or of that area and behind `behind`; -1: there is none. */
DEVICE i64 next_box(const assign_args &a, const sample &s, double least_area, i64 behind) {
    i64 found = -1;
    double smallest = 0;
    for (i64 i = 0; i < a.m; i++) {
        const float *box = s.boxes + i * TRUE_BOX;
        double area = (double)box[2] * (double)box[3];
        bool later = area > least_area || (area == least_area && i > behind);
        if (real(box) && later && (found < 0 || area < smallest)) smallest = area, found = i;
    }
    return found;
}

KERNEL_OF(THREADS, 2) assign_cells(const assign_args a) {
    for (i64 b = blockIdx.x; b < a.batch; b += gridDim.x) {
        sample s = sample_of(a, b);
        begin(a, s);
        __syncthreads();
        i64 i = threadIdx.x == 0 ? next_box(a, s, 0, -1) : -1;
        while (i >= 0) {
            const float *box = s.boxes + i * TRUE_BOX;
            show_around(a, s, box);
            i = next_box(a, s, (double)box[2] * (double)box[3], i);
        }
    }
}
