/* A Kafka consumer without groups: partitions are opened one by one at an offset, each with its
 * own queue.
 *
 * One consumer holds the connections; a partition is polled by itself, so a caller that does
 * not want more of it simply does not poll it, and its bounded queue stops the fetching. Or,
 * conf.shared, all partitions have one queue, read by consumer_poll_all, whose bounds hold for
 * all of them together, however many are open; one that is not wanted has to be closed. No
 * offset is ever committed or reset by the library: an offset that is out of range is an error.
 *
 * Position: the next offset to read. It moves past records that are not shown (transaction
 * markers, aborted records) too: for certain when `eof` is set, because the end was reached
 * then (read_committed: the last stable offset).
 *
 * Errors of a poll: MR_KAFKA_PURGED (offset below the oldest), MR_KAFKA_LOST (offset above the
 * end: the log was truncated or re-created), MR_KAFKA_TOPIC_GONE (kafka/doubt.h says
 * when), MR_KAFKA_AUTH, else ERR_RETRY. Records before an error are handed out first; after
 * it the partition stays in error until consumer_seek. A broker away is no error: nothing comes
 * until it is back, see consumer_trouble.
 *
 * Memory per open partition (of all of them, if shared): about queue_bytes, some 320 bytes a
 * message, one answer of a fetch: fetch_bytes, and never less than a batch as it was produced,
 * unpacked. A batch pins the whole fetch responses its messages came in, so clear it soon.
 * Owner: the caller; close partitions before the consumer. Thread: one per partition;
 * consumer_open/close and consumer_fd by one thread; watermark calls any.
 */
#ifndef MILLRACE_KAFKA_CONSUMER_H
#define MILLRACE_KAFKA_CONSUMER_H

#include "kafka/settings.h"

struct consumer;
struct consumer_partition;

struct consumer_conf {
    struct kafka_settings kafka;
    enum kafka_isolation isolation;
    int64_t queue_bytes;       /* per partition, or of all */
    int queue_messages;        /* the same; 0: the library's, 100,000 */
    bool shared;               /* one queue for all: consumer_poll_all */
    int64_t fetch_bytes;       /* per partition and fetch */
    int64_t message_max_bytes; /* the largest message expected; larger ones still come, alone */
    int fetch_wait_ms; /* how long an idle broker holds a fetch: bounds how late `eof` is */
};

/* What is not said: read_committed, 512 KiB, 1 MiB, 40 MiB, 10 ms... of an unset configuration.
 */
void
consumer_conf_default(struct consumer_conf *conf);
/* kafka.* settings on top of the defaults. client_id is borrowed. */
void
consumer_conf_load(struct consumer_conf *conf, const struct config *c, const char *client_id);

MUST bool
consumer_new(const struct consumer_conf *conf, struct consumer **out, struct err *e);
/* Closes partitions that are still open. NULL allowed. Every batch that holds its messages must
 * be cleared before: the library waits for them. */
void
consumer_free(struct consumer *c);

/* offset: a number or KAFKA_OFFSET_*. Does not wait for the broker. On a new connection a
 * KAFKA_OFFSET_* costs half a second more than a number (the library's retry interval):
 * consumer_offsets gives numbers. */
MUST bool
consumer_open(struct consumer *c, const char *topic, int32_t partition, int64_t offset,
              struct consumer_partition **out, struct err *e);
void
consumer_close(struct consumer_partition *p);
/* Drops what is queued and goes on at offset. */
MUST bool
consumer_seek(struct consumer_partition *p, int64_t offset, struct err *e);

/* What consumer_poll_all gives; consumer_poll gives records only. */
enum consumer_kind {
    CONSUMER_RECORD,
    CONSUMER_END,    /* the end was reached, `offset` is the next one to read */
    CONSUMER_FAILED, /* consumer_check says why; nothing more of it comes */
};

struct consumer_message {
    enum consumer_kind kind;
    struct consumer_partition *from; /* NULL: see consumer_batch_drop */
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
    struct bytes key;     /* p NULL: no key */
    struct bytes value;   /* p NULL: tombstone */
};

/* Caller-owned, reused. Messages are valid until the next poll into it, consumer_batch_clear or
 * _free. */
struct consumer_batch {
    const struct consumer_message *msgs;
    size_t n;
    bool eof; /* after these messages the end was reached; position is then exact */
    struct consumer_batch_private *private;
};

/* max: messages per poll. */
void
consumer_batch_init(struct consumer_batch *b, size_t max);
void
consumer_batch_clear(struct consumer_batch *b);
void
consumer_batch_free(struct consumer_batch *b);
/* Before p is closed: what b holds of it has no `from` then. */
void
consumer_batch_drop(struct consumer_batch *b, const struct consumer_partition *p);

/* Takes what is queued; if nothing is, waits up to timeout_ms for the first and takes what is
 * there then. True with n = 0 when nothing came, or only the end (`eof`). Never waits for a
 * full batch. */
MUST bool
consumer_poll(struct consumer_partition *p, struct consumer_batch *b, int timeout_ms,
              struct err *e);
/* Shared: takes what is queued of all partitions, without waiting; those of one partition in
 * offset order. */
void
consumer_poll_all(struct consumer *c, struct consumer_batch *b);
/* Shared: of a partition that consumer_ready names, and of one that failed: false with the
 * error it is in. Asks the brokers when its topic may be gone. */
MUST bool
consumer_check(struct consumer_partition *p, struct err *e);
/* The next offset to read, past records not shown as far as known; before anything came: the
 * offset asked for, or KAFKA_OFFSET_* while that is not resolved. */
int64_t
consumer_position(const struct consumer_partition *p);
const char *
consumer_topic(const struct consumer_partition *p);
int32_t
consumer_partition_id(const struct consumer_partition *p);
/* Any pointer of the caller, NULL at first. */
void
consumer_set_ctx(struct consumer_partition *p, void *ctx);
void *
consumer_ctx(const struct consumer_partition *p);

/* One descriptor for all partitions: readable after something was queued to an empty queue.
 * Clear it first, then poll until a poll gives n = 0 (a queue left with records does not
 * signal again). */
int
consumer_fd(const struct consumer *c);
void
consumer_fd_clear(struct consumer *c);
/* Of many partitions those that are worth a poll (shared: a check), each once until something
 * is queued to it when it is empty; NULL: no more. Clear the descriptor before. By the thread
 * that opens and closes them. */
struct consumer_partition *
consumer_ready(struct consumer *c);
/* Serves the library's own events, as each poll that finds nothing does, and looks for topics
 * that may be gone. By the thread that polls all partitions. False with the latest
 * trouble (all brokers away, authentication) since the last call that told it.
 */
MUST bool
consumer_trouble(struct consumer *c, struct err *e);

/* The oldest offset and the end (one past the newest), asked from the broker. read_committed:
 * the end is the last stable offset; make a read_uncommitted consumer for the true end.
 * ERR_RETRY: MR_KAFKA_TOPIC_UNKNOWN may mean that the topic is gone, see kafka/doubt.h. Thread:
 * any. */
MUST bool
consumer_watermarks(struct consumer *c, const char *topic, int32_t partition, int timeout_ms,
                    int64_t *low, int64_t *high, struct err *e);

struct consumer_offset {
    const char *topic;
    int32_t partition;
    int64_t timestamp_ms; /* in: >= 0, or KAFKA_OFFSET_END / KAFKA_OFFSET_BEGIN */
    int64_t offset; /* out: first offset at or after the time; the end when there is none */
};

/* Many partitions in one round trip per broker, of topics that are known to exist: asked again
 * while the brokers have not caught up, see kafka/doubt.h. Isolation as above. All or none.
 * Thread: any.
 */
MUST bool
consumer_offsets(struct consumer *c, struct consumer_offset *list, size_t n, int timeout_ms,
                 struct err *e);

#endif
