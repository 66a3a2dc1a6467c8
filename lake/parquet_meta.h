/* The footer of a Parquet file, read. Format: apache/parquet-format parquet.thrift,
 * FileMetaData. Everything that a reader relies on is checked here: counts, ranges within the
 * file, types. Owner: a reader.
 */
#ifndef MILLRACE_LAKE_PARQUET_META_H
#define MILLRACE_LAKE_PARQUET_META_H

#include "lake/parquet_format.h"
#include "lake/parquet_reader.h"
#include "lake/thrift.h"

#define PARQUET_FOOTER_MAX ((size_t)64 << 20)

struct parquet_leaf {
    int32_t id; /* 0: none */
    bool known; /* its type is one of ours; others cannot be read, but need not be */
    bool optional;
    enum parquet_physical physical;
    struct lake_type type;
};

struct parquet_chunk_meta {
    uint64_t begin; /* of its first page */
    uint64_t bytes;
    uint64_t values;
    enum parquet_codec codec;
    bool known;                  /* the codec is one of ours */
    struct bytes min, max;       /* PLAIN form; p NULL: none */
    uint64_t bloom, bloom_bytes; /* 0: none, or its length is not told */
};

struct parquet_group_meta {
    uint64_t first_row, rows;
    struct parquet_chunk_meta *chunks; /* one per leaf */
};

struct parquet_meta {
    struct arena arena;
    struct buf footer;
    uint64_t rows;
    struct parquet_leaf *leaves;
    uint32_t leaf_count;
    struct parquet_group_meta *groups;
    uint32_t group_count;
};

/* m is zeroed; parquet_meta_free in either case. */
MUST bool
parquet_meta_read(const struct parquet_source *source, struct parquet_meta *m, struct err *e);
void
parquet_meta_free(struct parquet_meta *m);

#endif
