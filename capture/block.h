/* Blocks: encoded records on their way from the core to Kafka, and the pool that bounds them.
 *
 * A block is filled by the core thread, handed to the publisher, lent to the producer record by
 * record, and comes back to the pool when every record's delivery report is in. The pool
 * (`capture.blocks` x `capture.block.bytes`) is capture's memory cap and back-pressure: the
 * core waits in block_pool_take. Rows of one slot lie side by side, in pages: the thread that
 * sends them, slot by slot, reads memory in order (a fifth of capture's CPU otherwise). Thread:
 * a block belongs to one thread at a time; the pool is shared. Limit: one row may make a block
 * larger than block_bytes; its memory is given back when the block returns.
 */
#ifndef MILLRACE_CAPTURE_BLOCK_H
#define MILLRACE_CAPTURE_BLOCK_H

#include "base/bytes.h"

/* One Kafka message; offsets into block->data, because data may move while it grows. */
struct block_record {
    uint32_t slot; /* publisher_slot of (topic, partition) */
    uint32_t next; /* outbox's: next record of the same slot, BLOCK_NONE at the end */
    size_t key_at;
    size_t value_at;
    uint32_t key_len;
    uint32_t value_len; /* BLOCK_TOMBSTONE: null value */
};

#define BLOCK_NONE      UINT32_MAX
#define BLOCK_TOMBSTONE UINT32_MAX

struct block_pool;
struct slot;

/* The records of a block that go to one slot; the outbox's. */
struct block_run {
    struct block *block;
    struct slot *slot;
    struct block_run *next; /* of the slot */
    uint32_t first, last;   /* of those not yet with the producer */
};

/* Where the next row of a slot goes. */
struct block_page {
    uint32_t slot;
    size_t at, end;
};

#define BLOCK_PAGES 64

struct block {
    struct block_pool *pool;
    struct buf data;
    struct block_page pages[BLOCK_PAGES]; /* by slot modulo their number */
    unsigned evicted;                     /* pages given up with room left */
    struct block_record *records;
    uint32_t count;
    uint32_t capacity;
    uint32_t lent; /* outbox's: records whose report is not in */
    struct block_run *runs;
    uint32_t run_count, run_capacity;
};

struct block_pool *
block_pool_new(unsigned blocks, size_t block_bytes);
/* Also of the blocks that did not come back: those lent to a producer that was destroyed before
 * their delivery reports were served. Nobody may touch a block any more. */
void
block_pool_free(struct block_pool *p);
/* Waits for a free block, at most timeout_ms; NULL when none came. */
struct block *
block_pool_take(struct block_pool *p, int timeout_ms);
void
block_return(struct block *b);
/* Copies a row, its key followed by its value, and appends its record; r: all but the places.
 */
void
block_add(struct block *b, struct block_record *r, struct bytes row);
/* A tombstone for the key of the record just added. */
void
block_add_tombstone(struct block *b);
bool
block_full(const struct block *b);
/* Room for n runs; there are none yet. */
void
block_reserve_runs(struct block *b, uint32_t n);
/* Few free blocks are left: soon the core waits. */
bool
block_pool_low(const struct block_pool *p);

static inline size_t
block_record_bytes(const struct block_record *r)
{
    return (size_t)r->key_len + (r->value_len == BLOCK_TOMBSTONE ? 0 : r->value_len);
}

#endif
