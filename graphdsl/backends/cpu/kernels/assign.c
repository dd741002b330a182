/* Which candidate of a detector is to show which true box.
 *
 *   found   [batch, n, width]: centre x, centre y, width, height, object, classes
 *   boxes   [batch, m, 5]: centre x, centre y, width, height, class; rows without area are none
 *   goal    [batch, n, width]: the box that a candidate is to show, 1, 1 for its class; 0 elsewhere
 *   asked   [batch, n, 2]: 1 where a box is to be shown; 1 where nothing is to be
 *
 * Places are worked out in double, in which a fraction times a number of cells is exact: who shows what is the same on
 * every machine. Shared by samples.
 */
#include <math.h>

#include "vector.h"

typedef struct {
    const float *found, *boxes;
    float *goal, *asked;
    i64 batch, n, m, width;
    double ignore; /* who overlaps a true box by more than this need not say that there is nothing */
} assignment;

typedef struct {
    assignment of;
    const i64 *grids;     /* [heads, 4]: rows, columns, anchors of a cell, the first candidate */
    const double *shapes; /* [anchors of all heads, 2]: width, height */
    i64 heads;
    double alike;
} assign_boxes_task;
TASK(assign_boxes_task);

typedef struct {
    assignment of;
    const i64 *grids; /* [heads, 4]: as above, the head with the most cells first */
    i64 heads;
    double near, span;
} assign_cells_task;
TASK(assign_cells_task);

enum { ROWS, COLUMNS, ANCHORS, FIRST, GRID, TRUE = 5, BEFORE_CLASSES = 5, CORNERS = 5 };

/* What belongs to one sample. */
typedef struct {
    const float *found, *boxes;
    float *goal, *asked;
} sample;

static sample sample_of(const assignment *t, i64 b) {
    i64 row = b * t->n;
    return (sample){t->found + row * t->width, t->boxes + b * t->m * TRUE, t->goal + row * t->width,
                    t->asked + row * 2};
}

INLINE double smaller_of(double a, double b) { return a < b ? a : b; }
INLINE double larger_of(double a, double b) { return a > b ? a : b; }
INLINE int real(const float *box) { return box[2] > 0 && box[3] > 0; }

/* Left, top, right, bottom and area. */
INLINE void corners(double *to, const float *box) {
    double x = box[0], y = box[1], wide = box[2], high = box[3];
    to[0] = x - wide / 2, to[1] = y - high / 2, to[2] = x + wide / 2, to[3] = y + high / 2, to[4] = wide * high;
}

/* What is no number overlaps nothing. */
static int overlaps_one(const double *own, const double *boxes, i64 count, double ignore) {
    double sum = own[0] + own[1] + own[2] + own[3];
    if (sum != sum) return 0;
    for (const double *box = boxes; box < boxes + CORNERS * count; box += CORNERS) {
        double wide = smaller_of(own[2], box[2]) - larger_of(own[0], box[0]);
        double high = smaller_of(own[3], box[3]) - larger_of(own[1], box[1]);
        if (!(wide > 0 && high > 0)) continue;
        double common = wide * high;
        if (common > ignore * (own[4] + box[4] - common)) return 1;
    }
    return 0;
}

/* Nothing is shown yet; who overlaps a true box is silent. known: [m, CORNERS], filled. */
static void begin(const assignment *t, sample s, double *known) {
    i64 count = 0;
    for (i64 i = 0; i < t->m; i++)
        if (real(s.boxes + i * TRUE)) corners(known + CORNERS * count++, s.boxes + i * TRUE);
    memset(s.goal, 0, sizeof(float) * (size_t)(t->n * t->width));
    for (i64 i = 0; i < t->n; i++) {
        double own[CORNERS];
        corners(own, s.found + i * t->width);
        s.asked[2 * i] = 0;
        s.asked[2 * i + 1] = !overlaps_one(own, known, count, t->ignore);
    }
}

static void show(const assignment *t, sample s, const float *box, i64 place) {
    float *goal = s.goal + place * t->width;
    i64 kind = (i64)box[4];
    memcpy(goal, box, 4 * sizeof(float));
    goal[4] = 1;
    if (kind >= 0 && kind < t->width - BEFORE_CLASSES) goal[BEFORE_CLASSES + kind] = 1;
    s.asked[2 * place] = 1;
    s.asked[2 * place + 1] = 0;
}

/* The cell of count that a place lies in; the first or last one where it lies in none. */
INLINE i64 cell_at(double place, i64 count) {
    if (!(place >= 0)) return 0;
    return place < (double)count ? (i64)place : count - 1;
}

INLINE i64 own_cell(const i64 *grid, const float *box) {
    i64 row = cell_at((double)box[1] * (double)grid[ROWS], grid[ROWS]);
    return row * grid[COLUMNS] + cell_at((double)box[0] * (double)grid[COLUMNS], grid[COLUMNS]);
}

/* How alike a box and an anchor are: intersection over union where their middles meet. */
INLINE double likeness(const float *box, const double *anchor) {
    double wide = box[2], high = box[3], common = smaller_of(wide, anchor[0]) * smaller_of(high, anchor[1]);
    return common / (wide * high + anchor[0] * anchor[1] - common);
}

/* --- anchors ------------------------------------------------------------------------------------------------------ */

/* The best anchor of the box's cells that shows nothing yet, or -1. With `all` every such one that is alike enough
 * shows the box. */
static i64 best_anchor(const assign_boxes_task *t, sample s, const float *box, int all) {
    const double *anchor = t->shapes;
    double best = -1;
    i64 found = -1;
    for (const i64 *grid = t->grids; grid < t->grids + GRID * t->heads; grid += GRID) {
        i64 place = grid[FIRST] + own_cell(grid, box) * grid[ANCHORS];
        for (i64 last = place + grid[ANCHORS]; place < last; place++, anchor += 2) {
            if (s.asked[2 * place] > 0) continue;
            double alike = likeness(box, anchor);
            if (alike > best) best = alike, found = place;
            if (all && alike >= t->alike) show(&t->of, s, box, place);
        }
    }
    return found;
}

EXPORT void assign_boxes(const void *task, const context *at) {
    const assign_boxes_task *t = task;
    i64 first, last;
    share(t->of.batch, at, &first, &last);
    for (i64 b = first; b < last; b++) {
        sample s = sample_of(&t->of, b);
        begin(&t->of, s, (double *)at->own);
        for (const float *box = s.boxes; box < s.boxes + t->of.m * TRUE; box += TRUE) {
            i64 place = real(box) ? best_anchor(t, s, box, 0) : -1;
            if (place < 0) continue;
            best_anchor(t, s, box, 1);
            show(&t->of, s, box, place);
        }
    }
}

/* --- no anchors --------------------------------------------------------------------------------------------------- */

/* The head that shows boxes of this size. */
static const i64 *grid_of(const assign_cells_task *t, const float *box) {
    const i64 *grid = t->grids, *last = t->grids + GRID * (t->heads - 1);
    while (grid < last &&
           larger_of((double)box[2] * (double)grid[COLUMNS], (double)box[3] * (double)grid[ROWS]) > t->span)
        grid += GRID;
    return grid;
}

/* Cells around the middle of the box; rows and columns that are too far are not visited. */
static void show_around(const assign_cells_task *t, sample s, const float *box) {
    const i64 *grid = grid_of(t, box);
    double x = (double)box[0] * (double)grid[COLUMNS], y = (double)box[1] * (double)grid[ROWS];
    double wide = smaller_of(t->near, (double)box[2] * (double)grid[COLUMNS] / 2);
    double high = smaller_of(t->near, (double)box[3] * (double)grid[ROWS] / 2);
    i64 own = own_cell(grid, box), top = cell_at(y - high - 1, grid[ROWS]), bottom = cell_at(y + high, grid[ROWS]);
    i64 left = cell_at(x - wide - 1, grid[COLUMNS]), right = cell_at(x + wide, grid[COLUMNS]);
    for (i64 row = top; row <= bottom; row++)
        for (i64 column = left; column <= right; column++) {
            i64 cell = row * grid[COLUMNS] + column, place = grid[FIRST] + cell;
            int near = fabs((double)row + 0.5 - y) < high && fabs((double)column + 0.5 - x) < wide;
            if ((near || cell == own) && s.asked[2 * place] == 0) show(&t->of, s, box, place);
        }
}

/* The smallest box above `least_area`, or of that area and behind `behind`; -1: there is none. */
static i64 next_box(const assignment *t, sample s, double least_area, i64 behind) {
    i64 found = -1;
    double smallest = INFINITY;
    for (i64 i = 0; i < t->m; i++) {
        const float *box = s.boxes + i * TRUE;
        double area = (double)box[2] * (double)box[3];
        int later = area > least_area || (area == least_area && i > behind);
        if (real(box) && later && area < smallest) smallest = area, found = i;
    }
    return found;
}

EXPORT void assign_cells(const void *task, const context *at) {
    const assign_cells_task *t = task;
    i64 first, last;
    share(t->of.batch, at, &first, &last);
    for (i64 b = first; b < last; b++) {
        sample s = sample_of(&t->of, b);
        begin(&t->of, s, (double *)at->own);
        i64 i = next_box(&t->of, s, 0, -1);
        while (i >= 0) {
            const float *box = s.boxes + i * TRUE;
            show_around(t, s, box);
            i = next_box(&t->of, s, (double)box[2] * (double)box[3], i);
        }
    }
}
