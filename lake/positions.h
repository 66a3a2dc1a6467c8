/* A set of row positions, as a deletion vector holds it.
 *
 * Format of positions_write: the portable serialization of 64-bit Roaring bitmaps
 * (apache/iceberg format/puffin-spec.md, "deletion-vector-v1";
 * RoaringBitmap/RoaringFormatSpec): a count of 32-bit bitmaps, each behind its upper 32 bits.
 * Array and bitmap containers are written; run containers are read too.
 *
 * Memory: 2 bytes a position, at most 8 KiB per 65,536 of them. Owner: the caller. Thread: one
 * at a time. Errors: MR_LAKE_METADATA for bytes that are no such bitmap.
 */
#ifndef MILLRACE_LAKE_POSITIONS_H
#define MILLRACE_LAKE_POSITIONS_H

#include "base/bytes.h"

#define POSITIONS_MAX (INT64_MAX >> 1) /* no file has a row above it */

struct position_chunk;

/* Zero-initialised: the empty set. */
struct positions {
    struct position_chunk *chunks; /* ascending, none empty */
    size_t len;
    size_t cap;
    uint64_t count; /* positions in the set */
};

void
positions_free(struct positions *p);
/* true: it was not in the set. pos <= POSITIONS_MAX. Fastest in ascending order. */
bool
positions_add(struct positions *p, uint64_t pos);
void
positions_add_all(struct positions *p, const struct positions *other);
bool
positions_has(const struct positions *p, uint64_t pos);
/* How many are below pos. */
uint64_t
positions_rank(const struct positions *p, uint64_t pos);
/* The smallest that is >= from; false: none. for (uint64_t i = 0; positions_next(p, i, &i);
 * i++)
 */
bool
positions_next(const struct positions *p, uint64_t from, uint64_t *out);
void
positions_write(const struct positions *p, struct buf *out);
/* Adds what is in b, all of it. */
MUST bool
positions_read(struct bytes b, struct positions *p, struct err *e);

#endif
