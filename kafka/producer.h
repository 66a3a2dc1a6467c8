/* A Kafka producer whose failures are honest: transactional (transactional_id given) or
 * idempotent.
 *
 * Life: producer_new -> producer_init_transactions -> { producer_begin -> producer_send... ->
 * producer_flush -> producer_commit }* -> producer_destroy. An idempotent one is new -> { send,
 * flush }* -> destroy.
 *
 * What an error means for the transaction, by its class:
 * - ERR_RETRY: nothing of this call is durable. init_transactions and flush: call again, same
 *   producer. Any other call: the producer has failed; destroy it and claim again.
 * - ERR_UNKNOWN, MR_KAFKA_UNKNOWN_OUTCOME: the transaction may be committed, aborted, or change
 *   that later: the commit or abort failed, or took longer than unknown_ms, or a live socket
 * was closed between its begin and its return (librdkafka then sends EndTxn again and returns
 * ok; the broker may execute the lost first one in the midst of the *next* transaction).
 * - ERR_UNKNOWN, MR_KAFKA_FENCED: another producer of this transactional_id, or the broker
 * ended the transaction by timeout: no proof of a rival. For both: destroy, read the claims,
 * claim again; a new init_transactions fences whatever is still under way.
 * - ERR_TABLE, MR_KAFKA_ROW_TOO_LARGE from send: nothing of the batch was sent, the producer is
 *   unharmed. As a delivery error (the topic's limit is below the one given): failed.
 * - ERR_TASK: authorization; from producer_topic alone: a deleted topic.
 * After every abort: destroy. A failed producer keeps its first error and answers every call
 * with it.
 *
 * Durable when: send hands over only; a row is on disk (as far as acks=all goes) when its
 * delivery report is in, visible to read_committed readers when its commit returned true. Dying
 * between any two calls leaves an open transaction, which the next init_transactions of the id,
 * or the broker's timeout, aborts.
 *
 * Memory: values are borrowed until their owner is handed back; keys are copied. Owners are
 * handed back by `delivered` from inside producer_* calls, in runs. Thread: one, the owner.
 * Limits: queue_bytes, queue_messages.
 */
#ifndef MILLRACE_KAFKA_PRODUCER_H
#define MILLRACE_KAFKA_PRODUCER_H

#include "kafka/settings.h"

struct producer;
struct producer_topic;
struct stop;

struct producer_message {
    struct bytes key;   /* p NULL: no key */
    struct bytes value; /* p NULL: tombstone; borrowed until `owner` is handed back */
    void *owner;        /* may be NULL: then nothing is handed back for it */
};

/* n messages of `owner` are no longer referenced. Whether they arrived is told by
 * producer_flush/commit, not here: it is called for purged messages too. Inside a producer_*
 * call, same thread; must not call producer_*. */
typedef void
producer_delivered_fn(void *ctx, void *owner, size_t n);

/* How long a transaction's messages are waited for. The transaction itself stays open for
 * longer: a coordinator that comes back to one that has timed out ends it before it knows the
 * partitions' leaders, and then leaves out the markers (Kafka 4.3), so that what was aborted is
 * shown by the next commit. */
#define PRODUCER_ACK_MS 10000

struct producer_conf {
    struct kafka_settings kafka;
    const char *transactional_id; /* NULL: idempotent, no transactions */
    int transaction_timeout_ms;
    int delivery_timeout_ms; /* a message not acked by then fails the producer; capped by the
                                one above, and in transactions by PRODUCER_ACK_MS */
    int unknown_ms;          /* a commit or abort slower than this has an unknown outcome */
    int64_t message_max_bytes;
    int batch_bytes;
    int batch_messages;
    int linger_ms;
    int64_t queue_bytes;
    int queue_messages;
    const char *compression; /* none, lz4, zstd, snappy, gzip */
    int stats_ms;            /* librdkafka statistics interval for producer_stats; 0: none */
    const struct stop *stop; /* waiting inside ends when asked, with ERR_RETRY; NULL: none */
    producer_delivered_fn *delivered; /* NULL: none */
    void *delivered_ctx;
};

/* Defaults of everything; then set transactional_id, delivered and what differs. */
void
producer_conf_default(struct producer_conf *conf);
/* kafka.* settings on top of the defaults. client_id is borrowed. */
void
producer_conf_load(struct producer_conf *conf, const struct config *c, const char *client_id);

MUST bool
producer_new(const struct producer_conf *conf, struct producer **out, struct err *e);
/* Drops what was not delivered, hands owners back, ends the threads. An open transaction is
 * left to the broker (aborted by the next init_transactions of the id). Quick with the brokers
 * gone too (tens of ms). NULL allowed. Afterwards no memory of the caller is referenced; on a
 * machine so slow that the library's threads did not report in time, some owners were not
 * handed back, and are the caller's again without it. */
void
producer_destroy(struct producer *p);

/* Fences every older producer of the id and waits until its open transaction is aborted (0.5 to
 * 1 s if there was one). ERR_RETRY on timeout: call again. */
MUST bool
producer_init_transactions(struct producer *p, int timeout_ms, struct err *e);
MUST bool
producer_begin(struct producer *p, struct err *e);
/* Waits for every delivery report, then commits. True: committed, undisturbed. */
MUST bool
producer_commit(struct producer *p, int timeout_ms, struct err *e);
/* Tells the broker to abort; the caller destroys the producer whatever is returned. Only saves
 * other readers the wait for transaction_timeout_ms or for the next init_transactions. */
MUST bool
producer_abort(struct producer *p, int timeout_ms, struct err *e);

/* The topic's handle, kept until producer_destroy; a second call gives the same one. Waits
 * until its partitions are known. max_message_bytes: the topic's own limit if below the
 * producer's, else 0. MR_KAFKA_TOPIC_GONE: see kafka/doubt.h. */
MUST bool
producer_topic(struct producer *p, const char *name, int64_t max_message_bytes, int timeout_ms,
               struct producer_topic **out, struct err *e);
int
producer_topic_partitions(const struct producer_topic *t);

/* Hands n messages over, in order, for one partition. Sizes are checked before the first is
 * taken. Waits (polling) while the queue is full. Any error but MR_KAFKA_ROW_TOO_LARGE: the
 * producer has failed. */
MUST bool
producer_send_batch(struct producer *p, struct producer_topic *t, int32_t partition,
                    const struct producer_message *msgs, size_t n, struct err *e);
/* Copies key and value: for control records. */
MUST bool
producer_send_copy(struct producer *p, struct producer_topic *t, int32_t partition,
                   struct bytes key, struct bytes value, struct err *e);

/* Serves delivery reports; waits up to timeout_ms for the first. Returns their number. */
size_t
producer_poll(struct producer *p, int timeout_ms);
/* Messages handed over whose delivery report was not served yet. */
uint64_t
producer_outstanding(const struct producer *p);
/* Sends at once, without linger, and waits until nothing is outstanding. ERR_RETRY on timeout:
 * call again. */
MUST bool
producer_flush(struct producer *p, int timeout_ms, struct err *e);
/* False with the first error when the producer has failed. Cheap. */
MUST bool
producer_check(struct producer *p, struct err *e);
/* The largest key + value the producer takes for this topic. */
int64_t
producer_topic_limit(const struct producer_topic *t);
/* Readable when delivery reports wait: for poll(2) beside other descriptors; producer_poll(p,
 * 0) clears it. */
int
producer_fd(const struct producer *p);

struct producer_stats {
    uint64_t sent;    /* messages handed over */
    uint64_t acked;   /* delivered */
    uint64_t failed;  /* delivery errors, purges */
    uint64_t commits; /* that returned true */
    uint64_t unknown; /* commits and aborts of unknown outcome */
    uint64_t sockets_closed;
    uint64_t commit_us_last;
    /* Of librdkafka's statistics, at stats_ms: the coarser second sign of a disturbed
     * coordinator. */
    uint64_t coordinator_disconnects;
    uint64_t coordinator_retries;
    uint64_t coordinator_timeouts;
};

void
producer_stats(const struct producer *p, struct producer_stats *out);

#endif
