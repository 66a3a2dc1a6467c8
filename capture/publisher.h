/* Publisher: the thread that owns capture's Kafka producers and turns blocks and cuts into
 * transactions.
 *
 * exactly-once: one transactional producer. The first block of a unit begins the transaction;
 * rows are sent as blocks arrive. At the cut: every row's delivery report, then the control
 * records (load, event, progress), then the commit. fast: rows go through an idempotent
 * producer outside transactions; control records through the transactional one.
 *
 * Durable when: rows when their reports are in, the cut when its commit returned true; only
 * then the cut is confirmed to the core. Dying before the commit: the transaction is aborted by
 * the next claim (rows of `fast` stay, above every cut, and become void by its epoch record).
 * Dying after it: the next claim reads the cut as the truth. A commit of unknown outcome, like
 * every other failure, ends the publisher: nothing is sent after it, and the unit claims again.
 * Failpoints: publish.before_produce, publish.after_produce, publish.before_progress,
 * publish.before_commit, publish.after_commit.
 *
 * Threads: publisher_open and publisher_control on the caller's thread before publisher_start;
 * afterwards publisher_block and publisher_cut by the core thread, the rest inside.
 */
#ifndef MILLRACE_CAPTURE_PUBLISHER_H
#define MILLRACE_CAPTURE_PUBLISHER_H

#include "base/arena.h"
#include "base/ring.h"
#include "base/stop.h"
#include "capture/block.h"
#include "kafka/producer.h"

struct publisher;

/* A record of the progress topic; memory lives in its cut's arena. */
struct publisher_record {
    struct bytes key;
    struct bytes value;
};

/* A unit's end. Made by the core, handed back through `done` when confirmed (ok) or given up
 * (!ok). */
struct publisher_cut {
    struct arena arena;
    struct publisher_record *records; /* in order; the progress record is the last */
    size_t count, capacity;
    uint64_t rows;
    uint64_t closed_us; /* monotonic */
    bool ok;
};

struct publisher_conf {
    struct producer_conf rows; /* tuning; ids and callbacks are set here */
    const char *transactional_id;
    const char *progress_topic;
    int32_t progress_partition;
    bool fast;
    int commit_timeout_ms;
    const struct stop *stop; /* heard while opening only: a stop waits for the last cut */
    /* Called on the publisher's thread: a cut came to its end; or cut == NULL: the publisher
     * failed, see publisher_error. Must not block. */
    void (*done)(void *ctx, struct publisher_cut *cut);
    void *ctx;
};

/* Makes the producers and fences every older one of this id. */
MUST bool
publisher_open(const struct publisher_conf *conf, struct publisher **out, struct err *e);
/* One control record in a transaction of its own, committed when it returns true. Before
 * publisher_start. */
MUST bool
publisher_control(struct publisher *p, struct bytes key, struct bytes value, struct err *e);
/* Before publisher_start: ends, as aborted, what transactions of this id left undecided in the
 * progress partition. The publisher is of no use afterwards. */
MUST bool
publisher_give_up(struct publisher *p, struct err *e);
void
publisher_start(struct publisher *p);
/* A slot for (topic, partition); topic is copied. limit: the topic's max.message.bytes. Core
 * thread. */
uint32_t
publisher_slot(struct publisher *p, const char *topic, int32_t partition, int64_t limit);
/* Takes the block. */
void
publisher_block(struct publisher *p, struct block *b);
/* Takes the cut until `done`. */
void
publisher_cut(struct publisher *p, struct publisher_cut *c);
/* The first error, once `done(NULL)` was called. */
void
publisher_error(struct publisher *p, struct err *e);
/* Ends the thread, drops what is not committed, gives every block back, cuts come back with ok
 * = false. NULL allowed. */
void
publisher_close(struct publisher *p);
void
publisher_stats(const struct publisher *p, struct producer_stats *rows);
struct publisher_cut *
publisher_cut_new(void);
void
publisher_cut_free(struct publisher_cut *c);

#endif
