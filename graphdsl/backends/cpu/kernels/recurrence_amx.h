/* What both directions of recurrences in AMX tiles share: recurrence_amx.c, recurrence_amx_back.c. */
#ifndef RECURRENCE_AMX_H
#define RECURRENCE_AMX_H

#include "amx_rows.h"
#include "recurrence.h"

#ifdef AMX

WITH_TILES INLINE void store_tiles(float *c) {
    _tile_stored(0, c, 64);
    _tile_stored(1, c + 256, 64);
    _tile_stored(2, c + 512, 64);
    _tile_stored(3, c + 768, 64);
}

/* A stretch of so many bytes from *at on, which moves behind it. */
INLINE char *laid(char **at, i64 bytes) {
    char *here = *at;
    *at += up(bytes, 64) * 64;
    return here;
}

#endif
#endif
