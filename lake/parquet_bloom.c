/* Split block bloom filter. */
#include "lake/parquet_bloom.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lake/thrift.h"

#define BITS_PER_VALUE 10

static const uint32_t SALT[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

void
parquet_bloom_init(struct parquet_bloom *b, size_t bytes)
{
    b->bytes = PARQUET_BLOOM_BLOCK;
    while (b->bytes * 2 <= bytes)
        b->bytes *= 2;
    b->distinct = b->waiting = 0;
    b->blocks = mem_zalloc(b->bytes);
}

void
parquet_bloom_free(struct parquet_bloom *b)
{
    free(b->blocks);
}

void
parquet_bloom_reset(struct parquet_bloom *b)
{
    memset(b->blocks, 0, b->bytes);
    b->distinct = b->waiting = 0;
}

static inline size_t
block_of(size_t bytes, uint64_t hash)
{
    return (size_t)((hash >> 32) * (bytes / PARQUET_BLOOM_BLOCK) >> 32);
}

static void
set_bits(struct parquet_bloom *b, uint64_t hash)
{
    uint32_t *block = b->blocks[block_of(b->bytes, hash)];
    uint32_t news = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint32_t bit = (uint32_t)1 << ((uint32_t)hash * SALT[i] >> 27);
        news |= bit & ~block[i];
        block[i] |= bit;
    }
    b->distinct += news != 0;
}

static void
settle(struct parquet_bloom *b)
{
    for (unsigned i = 0; i < b->waiting; i++)
        set_bits(b, b->ahead[i]);
    b->waiting = 0;
}

void
parquet_bloom_add(struct parquet_bloom *b, uint64_t hash)
{
    __builtin_prefetch(b->blocks[block_of(b->bytes, hash)], 1);
    b->ahead[b->waiting++] = hash;
    if (b->waiting == PARQUET_BLOOM_AHEAD)
        settle(b);
}

/* A block's number is the hash's upper bits: half as many blocks, one bit less. */
static size_t
fold(struct parquet_bloom *b)
{
    size_t bytes = b->bytes;
    while (bytes > PARQUET_BLOOM_BLOCK && b->distinct * BITS_PER_VALUE <= bytes * 4) {
        bytes /= 2;
        for (size_t i = 0; i < bytes / PARQUET_BLOOM_BLOCK; i++)
            for (unsigned k = 0; k < 8; k++)
                b->blocks[i][k] = b->blocks[2 * i][k] | b->blocks[2 * i + 1][k];
    }
    return bytes;
}

void
parquet_bloom_put(struct parquet_bloom *b, struct buf *out)
{
    struct thrift_writer t = {.out = out};
    settle(b);
    size_t bytes = fold(b);
    thrift_i32(&t, 1, (int32_t)bytes);
    for (int16_t id = 2; id <= 4; id++) { /* algorithm BLOCK, hash XXHASH, no compression */
        thrift_struct(&t, id);
        thrift_struct(&t, 1);
        thrift_end(&t);
        thrift_end(&t);
    }
    thrift_end(&t);
    buf_add(out, b->blocks, bytes);
}

bool
parquet_bloom_may_have(struct bytes bits, uint64_t hash)
{
    const uint8_t *block = bits.p + block_of(bits.n, hash) * PARQUET_BLOOM_BLOCK;
    for (unsigned i = 0; i < 8; i++) {
        uint32_t word;
        memcpy(&word, block + 4 * i, 4);
        if (!(word >> ((uint32_t)hash * SALT[i] >> 27) & 1))
            return false;
    }
    return true;
}

/* The union's only known member, 1. */
static void
take_union(struct thrift_reader *t)
{
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id != 1)
            t->r.failed = true;
        thrift_skip(t);
    }
}

bool
parquet_bloom_read(struct bytes filter, struct bytes *bits)
{
    struct thrift_reader t = thrift_reader_of(filter);
    int64_t bytes = 0;
    unsigned seen = 0;
    for (int16_t id; (id = thrift_next(&t));) {
        if (id == 1)
            bytes = thrift_take_int(&t);
        else if (id <= 4)
            take_union(&t);
        else
            thrift_skip(&t);
        seen |= id <= 4 ? 1u << id : 0;
    }
    if (t.r.failed || seen != 0x1e || bytes < PARQUET_BLOOM_BLOCK ||
        bytes % PARQUET_BLOOM_BLOCK || (uint64_t)bytes > reader_left(&t.r))
        return false;
    *bits = reader_take(&t.r, (size_t)bytes);
    return true;
}
