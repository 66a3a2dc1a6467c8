/* Rows of one partition that wait for their cut: raw keys and values in blocks, in offset
 * order.
 *
 * A batch takes a span off the front; spans and the fifo share blocks by reference count, so
 * nothing is copied, and the bytes are given back when the last of them lets go. A thin row has
 * no bytes: it is read from Kafka again when it is applied (memory ran out before its cut was
 * complete).
 *
 * Memory: counted in *used of the fifo, whole blocks; blocks grow from 4 KiB to 64 KiB, so that
 * many quiet partitions stay small. Owner: intake; a span belongs to its batch. Thread: fifo
 * intake's; a span moves with its batch; blocks and *used are atomic.
 */
#ifndef MILLRACE_APPLY_FIFO_H
#define MILLRACE_APPLY_FIFO_H

#include <stdatomic.h>

#include "base/bytes.h"

struct fifo_row {
    int64_t offset;
    uint64_t seq;
    uint32_t key_len; /* whole key, framed */
    uint32_t value_len;
    const void *plan;  /* the caller's: how it is read */
    uint8_t op;        /* enum change_op */
    bool thin;         /* key and value were not kept */
    bool skip;         /* void: not to be applied */
    uint32_t image_at; /* of row_decode_head */
    /* key, value, padding to 8 */
};

struct fifo_block;

/* n rows from a place in a block on. */
struct fifo_span {
    struct fifo_block *block;
    uint32_t at;
    size_t n;
};

struct fifo {
    struct fifo_block *head; /* of the first row */
    struct fifo_block *tail;
    uint32_t at;        /* of the first row in head */
    uint32_t head_rows; /* of head that left already */
    size_t head_bytes;
    size_t n;
    size_t bytes;        /* of keys and values kept */
    atomic_size_t *used; /* shared: bytes of blocks */
    size_t block_size;   /* of the next block */
};

void
fifo_init(struct fifo *f, atomic_size_t *used);
/* Empty again; spans taken before stay. */
void
fifo_clear(struct fifo *f);
void
fifo_push(struct fifo *f, const struct fifo_row *row, struct bytes key, struct bytes value);
/* The first n rows (at most f->n) leave the fifo. n = 0: an empty span. */
struct fifo_span
fifo_take(struct fifo *f, size_t n);
/* Every row becomes thin; their bytes go. */
void
fifo_thin(struct fifo *f);

/* Walks a span, or a fifo (fifo_walk). next: NULL at the end. */
struct fifo_cursor {
    struct fifo_block *block;
    uint32_t at;
    size_t left;
};

struct fifo_cursor
fifo_walk(const struct fifo *f);
struct fifo_cursor
fifo_span_walk(const struct fifo_span *s);
struct fifo_row *
fifo_next(struct fifo_cursor *c);
struct bytes
fifo_key(const struct fifo_row *r);
struct bytes
fifo_value(const struct fifo_row *r);
/* Lets go of its blocks; *s is empty then. */
void
fifo_span_free(struct fifo_span *s);

#endif
