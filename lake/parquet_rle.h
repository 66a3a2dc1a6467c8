/* The hybrid of run lengths and bit packing. Format: apache/parquet-format Encodings.md,
 * "Run Length Encoding / Bit-Packing Hybrid". Thread: any.
 */
#ifndef MILLRACE_LAKE_PARQUET_RLE_H
#define MILLRACE_LAKE_PARQUET_RLE_H

#include "base/bytes.h"

/* Appends n values below 2^width, width 1..32, without a length before them. */
void
parquet_rle_put(const uint32_t *v, size_t n, unsigned width, struct buf *out);
/* A bit per value, least significant first; `ones` of the n are set. */
void
parquet_rle_put_bits(const uint8_t *bits, size_t n, size_t ones, struct buf *out);
/* Reads exactly n values, each below `limit`; false: damaged. width 0..32. */
MUST bool
parquet_rle_get(struct reader *r, unsigned width, uint64_t limit, uint32_t *out, size_t n);

#endif
