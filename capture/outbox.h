/* Outbox: rows of blocks on their way to the producer, one queue per (topic, partition).
 *
 * A partition has one batch with the producer at a time; what arrives meanwhile waits here and
 * makes the next batch larger. librdkafka has one request of an idempotent producer under way
 * per partition anyhow (it compares messages, not requests, with its limit of five), and spins
 * while messages that are due wait behind it. So a batch must fit one request: a rest of it
 * would wait for a second answer. A batch of OUTBOX_BATCH_ROWS, the producer's
 * batch.num.messages, goes at once; one closed by bytes, counted as librdkafka counts them,
 * after the linger. Small batches wait for company until the unit ends or blocks run short
 * (OUTBOX_HURRY): a request costs the broker more than a row. Rows of a partition keep their
 * order.
 *
 * Memory: what is with the producer costs it about 300 bytes a row besides the row, so at most
 * OUTBOX_SENT rows are. Owner and thread: the publisher's; outbox_slot by the core.
 */
#ifndef MILLRACE_CAPTURE_OUTBOX_H
#define MILLRACE_CAPTURE_OUTBOX_H

#include "capture/block.h"
#include "kafka/producer.h"

#define OUTBOX_REQUEST_BYTES ((size_t)1 << 20)             /* the producer's batch.size */
#define OUTBOX_BATCH_BYTES   (OUTBOX_REQUEST_BYTES - 1024) /* less the head of a request */
#define OUTBOX_BATCH_ROWS    2048U
#define OUTBOX_LEAST_BYTES   ((size_t)128 << 10)
#define OUTBOX_SENT          32768U

struct outbox;

struct outbox *
outbox_new(void);
/* Its producer is destroyed, its blocks are back. */
void
outbox_free(struct outbox *o);
/* A slot for (topic, partition); topic is copied. */
uint32_t
outbox_slot(struct outbox *o, const char *topic, int32_t partition, int64_t limit);
/* Takes a block of at least one record. */
void
outbox_put(struct outbox *o, struct block *b);

enum outbox_mode {
    OUTBOX_LARGE, /* batches of at least OUTBOX_LEAST_BYTES */
    OUTBOX_HURRY, /* every batch that has no other of its partition before it */
};

/* Hands to the producer what may go now. */
MUST bool
outbox_pump(struct outbox *o, struct producer *p, enum outbox_mode mode, struct err *e);
/* Rows not yet with the producer. */
size_t
outbox_waiting(const struct outbox *o);
/* Gives up what is not with the producer; blocks go back. */
void
outbox_drop(struct outbox *o);
/* The producer's `delivered`; ctx: the outbox. */
void
outbox_delivered(void *ctx, void *owner, size_t n);

#endif
