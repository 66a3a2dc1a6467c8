/* Inside kafka/ only: "there is no such topic" about one that is known to exist.
 *
 * A broker that has just started, or has no CPU, says so until the cluster's metadata have come
 * to it. Such an answer is MR_KAFKA_TOPIC_UNKNOWN, a passing error; here alone it becomes
 * MR_KAFKA_TOPIC_GONE: after DOUBT_ANSWERS of them without another answer between, each asked
 * for DOUBT_STEP_MS or more after the one before (a process that stood still, or an answer that
 * waited in a socket, counts once), and only when the controller does not know the topic
 * either. The controller's state is the log of all changes of metadata, so it does not lag: it
 * is asked to validate, not to make, a topic of that name (CreateTopics, validate_only). Where
 * it may not be asked (no right to create topics, a service without that call) the brokers'
 * word stands; while it says nothing, the doubt goes on.
 *
 * Owner: the caller; rk and topic are borrowed. Thread: one at a time.
 */
#ifndef MILLRACE_KAFKA_DOUBT_H
#define MILLRACE_KAFKA_DOUBT_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

#define DOUBT_ANSWERS 10
#define DOUBT_STEP_MS 1000
/* What a caller with a deadline must wait to be sure. */
#define DOUBT_SURE_MS 15000

struct doubt {
    rd_kafka_t *rk;
    const char *topic;
    unsigned answers;
    uint64_t counted_ms; /* monotonic: when the last one was */
};

/* About a topic that the consumer asks for (kafka/consumer.h). */
struct consumer;
struct doubt
consumer_doubt(const struct consumer *c, const char *topic);

/* One more answer "unknown" came at now_ms (monotonic). True: that is enough of them. */
bool
doubt_count(struct doubt *d, uint64_t now_ms);
/* Takes what a call failed with, or NULL when it succeeded. True: *e is MR_KAFKA_TOPIC_GONE, or
 * it is MR_KAFKA_TOPIC_UNKNOWN although the controller knows the topic; there is nothing more
 * to ask. May wait for the controller, some seconds. */
bool
doubt_ends(struct doubt *d, struct err *e);
/* The call failed with *e: waits a moment and tells to call again. False: *e stands, because it
 * is no passing one, or at until_ms (monotonic). */
bool
doubt_again(struct doubt *d, struct err *e, uint64_t until_ms);

#endif
