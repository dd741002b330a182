/* Windows that slide over pictures [batch, height, width, channels]; sequences are pictures of height 1. */
#pragma once
#include "index.cuh"

struct window {
    i64 batch, height, width, channels, out_height, out_width;
    i64 window_height, window_width, stride_height, stride_width, top, left;
};

/* An element of a picture [batch, height, width, channels] by its number. */
template <class Index> struct place {
    Index image, row, column, channel;
    DEVICE place(Index i, Index height, Index width, Index channels) {
        channel = i % channels, i /= channels;
        column = i % width, i /= width;
        row = i % height, image = i / height;
    }
};

/* Of the places first.. (below end) those that window number `at` covers. */
struct span {
    i64 first, end;
};
DEVICE span covered(i64 at, i64 size, i64 stride, i64 before, i64 limit) {
    i64 first = at * stride - before;
    return {most(first, 0), least(first + size, limit)};
}
/* The windows that cover a place. */
DEVICE span covering(i64 at, i64 size, i64 stride, i64 before, i64 windows) {
    i64 last = (at + before) / stride, first = at + before - size;
    return {first < 0 ? 0 : first / stride + 1, least(last + 1, windows)};
}
