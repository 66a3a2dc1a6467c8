/* What stands at the end of a Parquet file. Format: apache/parquet-format parquet.thrift,
 * FileMetaData, SchemaElement, RowGroup. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_PARQUET_FOOTER_H
#define MILLRACE_LAKE_PARQUET_FOOTER_H

#include "lake/parquet_column.h"

/* Where a chunk lies in the file. */
struct parquet_place {
    uint64_t begin; /* of the dictionary page, or the first data page */
    uint64_t bloom; /* 0: none */
    uint32_t bloom_bytes;
};

/* One RowGroup struct, appended: finished chunks of all columns, `rows` each. */
void
parquet_footer_group(struct parquet_column_writer *columns, uint32_t count,
                     const struct parquet_place *places, uint32_t ordinal, uint64_t rows,
                     struct buf *out);
/* FileMetaData around `groups` of those. */
void
parquet_footer_file(const struct parquet_conf *conf, uint64_t rows, struct bytes groups,
                    uint32_t group_count, struct buf *out);

#endif
