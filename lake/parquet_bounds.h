/* Smallest and largest value of a column, as they grow. Bytes are kept up to a prefix that is
 * enough for every cut form. NaN never becomes a bound; zeros are -0.0 below and +0.0 above.
 *
 * Format: apache/parquet-format parquet.thrift, Statistics and ColumnOrder (TYPE_ORDER);
 * apache/iceberg format/spec.md, lower_bounds and upper_bounds. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_PARQUET_BOUNDS_H
#define MILLRACE_LAKE_PARQUET_BOUNDS_H

#include "lake/parquet_format.h"

struct parquet_bounds {
    struct lake_type type;
    size_t keep; /* bytes of a value that are kept */
    bool any;
    bool min_cut, max_cut; /* a value with that prefix was longer */
    int64_t min_i, max_i;
    double min_d, max_d;
    uint64_t min_head, max_head; /* first 8 bytes, big-endian: most values need no more */
    struct buf min, max;
};

void
parquet_bounds_init(struct parquet_bounds *b, const struct lake_type *t, bool full);
void
parquet_bounds_free(struct parquet_bounds *b);
void
parquet_bounds_reset(struct parquet_bounds *b);
/* BYTE_ARRAY and FIXED. */
void
parquet_bounds_bytes(struct parquet_bounds *b, struct bytes v);
void
parquet_bounds_merge(struct parquet_bounds *into, const struct parquet_bounds *from);

static inline void
parquet_bounds_int(struct parquet_bounds *b, int64_t v)
{
    b->min_i = !b->any || v < b->min_i ? v : b->min_i;
    b->max_i = !b->any || v > b->max_i ? v : b->max_i;
    b->any = true;
}

/* Not NaN. */
static inline void
parquet_bounds_float(struct parquet_bounds *b, double v)
{
    b->min_d = !b->any || v < b->min_d ? v : b->min_d;
    b->max_d = !b->any || v > b->max_d ? v : b->max_d;
    b->any = true;
}

/* How much of text and bytes a bound may show; zeros: all. */
struct parquet_cut {
    size_t characters; /* of string */
    size_t bytes;      /* of binary and fixed; of string too, at a character's border */
};

/* The bounds as native cells; text in `out`. False: there is none. *exact: it is a value. */
bool
parquet_bounds_lower(const struct parquet_bounds *b, struct parquet_cut cut, struct buf *out,
                     struct cell *c, bool *exact);
bool
parquet_bounds_upper(const struct parquet_bounds *b, struct parquet_cut cut, struct buf *out,
                     struct cell *c, bool *exact);

#endif
