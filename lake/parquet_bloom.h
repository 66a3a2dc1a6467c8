/* Split block bloom filter. Format: apache/parquet-format BloomFilter.md. A filter is made in
 * its largest size and folded to what its distinct values need, so memory does not grow with
 * rows. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_PARQUET_BLOOM_H
#define MILLRACE_LAKE_PARQUET_BLOOM_H

#include "base/bytes.h"

#define PARQUET_BLOOM_BLOCK 32
#define PARQUET_BLOOM_AHEAD 16 /* values whose blocks are on their way from memory */

struct parquet_bloom {
    uint32_t (*blocks)[8];
    size_t bytes;      /* a power of two */
    uint64_t distinct; /* values that set a bit: close to the number of different ones */
    uint64_t ahead[PARQUET_BLOOM_AHEAD];
    unsigned waiting; /* of them */
};

/* bytes: rounded down to a power of two, at least one block. */
void
parquet_bloom_init(struct parquet_bloom *b, size_t bytes);
void
parquet_bloom_free(struct parquet_bloom *b);
void
parquet_bloom_reset(struct parquet_bloom *b);
/* hash: xxHash64 of the value's PLAIN form, without the length of BYTE_ARRAY. */
void
parquet_bloom_add(struct parquet_bloom *b, uint64_t hash);
/* Header and bits, folded; the filter is spent until its reset. */
void
parquet_bloom_put(struct parquet_bloom *b, struct buf *out);
/* Bits of a filter in file form (a reader's); bits.n a multiple of 32, at least one block. */
bool
parquet_bloom_may_have(struct bytes bits, uint64_t hash);
/* The bits behind a filter's header; false: damaged, or another algorithm. */
MUST bool
parquet_bloom_read(struct bytes filter, struct bytes *bits);

#endif
