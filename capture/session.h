/* Session: one claimed run of a capture unit, from its epoch record to its end. Private to
 * capture/.
 *
 * Made by unit.c, used by the core thread only, except what says otherwise. Everything in it is
 * scratch: a session that ends for any reason is rebuilt from the progress topic by the next
 * claim.
 */
#ifndef MILLRACE_CAPTURE_SESSION_H
#define MILLRACE_CAPTURE_SESSION_H

#include <pthread.h>
#include <stdatomic.h>

#include "capture/gauges.h"
#include "capture/publisher.h"
#include "capture/sequencer.h"
#include "capture/source.h"
#include "capture/window.h"
#include "kafka/admin.h"
#include "kafka/log.h"
#include "task/worker.h"

struct tables;
struct loads;
struct stream_reader;
struct claim;

/* What other threads say to the core. Every item begins with this. */
enum inbox_kind {
    INBOX_STREAM, /* struct stream_block */
    INBOX_CHUNK,  /* struct loader_chunk */
    INBOX_WAKE,   /* nothing to free: look at session.done */
};

struct inbox_item {
    enum inbox_kind kind;
};

#define INBOX_ITEMS 4096

struct session {
    struct unit *unit;
    const struct task *task;
    const struct config *config;
    struct stop *stop;
    unsigned number; /* of the source in the task = progress partition */
    struct kafka_settings kafka;
    char progress_topic[TASK_TOPIC_MAX];
    char transactional_id[TASK_TOPIC_MAX];

    const struct source_ops *ops;
    struct uri uri;
    struct source *source;
    const struct source_info *info;
    struct admin *admin;
    struct registry *registry;

    /* of the claim */
    struct publisher *publisher;
    struct progress_view *view;
    struct log_reader *log;
    struct progress_truth truth;
    uint64_t epoch;
    uint64_t claim_random;
    int64_t claimed_at; /* where the log was read up to */
    bool refresh;       /* the live records go into the next unit: the first of an epoch */

    struct ring *inbox;
    struct block_pool *pool;
    struct block *block; /* being filled; NULL: none */
    struct buf row;      /* being encoded */
    struct sequencer *seq;
    struct stream_reader *reader;
    struct source_decoder *decoder;
    struct source_sink sink;
    struct arena scratch; /* cells of the packet being decoded */

    struct tables *tables;
    struct loads *loads;
    bool tombstones; /* setting */

    /* of the open unit */
    struct publisher_cut *cut; /* events waiting for the close; NULL: none */
    uint64_t txn_commit_us;
    bool in_txn;
    uint64_t txn_count; /* of the stream, since the session began */
    uint64_t
        caught_up_us; /* wall clock of the last moment the stream was at the source's end */
    uint64_t rows_total;
    uint64_t rows_open; /* of closed units that are not confirmed */
    struct gauges gauges;
    uint64_t definitions_ms;   /* when unproved definitions are asked for again */
    struct captured *retrying; /* the next of them; NULL: none is being asked for */
    uint64_t retry_ms;         /* spent on them */
    bool swap;                 /* mutants only */
    uint64_t last_report_ms;

    /* from the publisher's thread */
    pthread_mutex_t done_lock;
    struct publisher_cut **done;
    size_t done_count, done_capacity;
    atomic_bool publisher_failed;
    atomic_bool woken; /* an INBOX_WAKE is in the inbox */
};

/* ---- core.c: the stream into blocks and cuts ---- */
void
core_init(struct session *s);
/* Publishes one change of t; op, images and source as the source gave them. May wait for a
 * block. */
struct captured;
struct core_row {
    struct captured *t;
    enum change_op op;
    const struct cell *before;
    const struct cell *after;
    const struct change_source *source;
};
MUST bool
core_publish(struct session *s, const struct core_row *row, struct err *e);
/* A row of a load; does nothing when the window says it was changed since (NULL: a table
 * without a key, row as its shape has it, op also create or delete). */
MUST bool
core_publish_read(struct session *s, const struct core_row *row, struct window *w,
                  struct err *e);
/* An event of ours at the next seq, the last thing of its unit: a table version, a load's begin
 * or end. A replay of its transaction does not meet it again, because its cut made it known; so
 * it is no row of the transaction. */
MUST bool
core_event(struct session *s, struct progress_record *r, struct err *e);
/* The same for what the stream itself said (TRUNCATE): a replay meets it again and skips it by
 * its count. */
MUST bool
core_event_of_txn(struct session *s, struct progress_record *r, struct err *e);
/* Closes the open unit, also an empty one. */
MUST bool
core_close(struct session *s, struct err *e);
/* Closes if it is time. */
MUST bool
core_close_if_due(struct session *s, bool ring_empty, struct err *e);
/* Takes confirmed cuts; false: the publisher failed. */
MUST bool
core_confirm(struct session *s, struct err *e);

#endif
