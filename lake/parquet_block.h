/* Compression of page bodies. Format: apache/parquet-format Compression.md (LZ4_RAW, ZSTD,
 * SNAPPY, GZIP). Owner: a writer or reader; thread: one at a time.
 */
#ifndef MILLRACE_LAKE_PARQUET_BLOCK_H
#define MILLRACE_LAKE_PARQUET_BLOCK_H

#include "lake/parquet_writer.h"

struct parquet_block {
    enum parquet_codec codec;
    struct zstd_codec *zstd;
    struct buf out;
};

void
parquet_block_init(struct parquet_block *b, enum parquet_codec codec, int level);
void
parquet_block_free(struct parquet_block *b);
/* *out borrows from `in` or from b until the next call. */
MUST bool
parquet_block_compress(struct parquet_block *b, struct bytes in, struct bytes *out,
                       struct err *e);
/* Exactly `size` bytes, or MR_LAKE_DATA_FILE. */
MUST bool
parquet_block_decompress(struct parquet_block *b, struct bytes in, size_t size,
                         struct bytes *out, struct err *e);

#endif
