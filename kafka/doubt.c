#include "kafka/doubt.h"

#include "base/clock.h"
#include "kafka/client.h"

#define ASK_MS   3000
#define AGAIN_MS 50

enum word { WORD_NONE, WORD_EXISTS, WORD_FREE };

static enum word
word_of(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return WORD_EXISTS;
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    /* That there is one of the name is said before the rest is looked at. */
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    /* It may not be asked. */
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
        return WORD_FREE;
    default:
        return WORD_NONE;
    }
}

static enum word
answer_of(rd_kafka_event_t *ev)
{
    if (!ev)
        return WORD_NONE;
    rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
    if (!err) {
        size_t n;
        const rd_kafka_topic_result_t **r =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
        err = rd_kafka_topic_result_error(r[0]);
    }
    rd_kafka_event_destroy(ev);
    return word_of(err);
}

static enum word
ask_controller(const struct doubt *d)
{
    char text[256];
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(d->topic, 1, 1, text, sizeof text);
    if (!t)
        return WORD_FREE; /* no topic can have that name */
    rd_kafka_AdminOptions_t *o =
        rd_kafka_AdminOptions_new(d->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_queue_t *q = rd_kafka_queue_new(d->rk);
    rd_kafka_AdminOptions_set_validate_only(o, 1, text, sizeof text);
    rd_kafka_AdminOptions_set_request_timeout(o, ASK_MS, text, sizeof text);
    rd_kafka_CreateTopics(d->rk, &t, 1, o, q);
    enum word said = answer_of(rd_kafka_queue_poll(q, ASK_MS + 1000));
    rd_kafka_queue_destroy(q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_NewTopic_destroy(t);
    return said;
}

bool
doubt_count(struct doubt *d, uint64_t now_ms)
{
    if (d->answers > 0 && now_ms - d->counted_ms < DOUBT_STEP_MS)
        return false;
    d->counted_ms = now_ms;
    d->answers++;
    return d->answers >= DOUBT_ANSWERS;
}

bool
doubt_ends(struct doubt *d, struct err *e)
{
    if (!e || e->code != MR_KAFKA_TOPIC_UNKNOWN) {
        d->answers = 0;
        return false;
    }
    enum word said = doubt_count(d, clock_mono_ms()) ? ask_controller(d) : WORD_NONE;
    if (said == WORD_NONE)
        return false;
    struct err was = *e;
    if (said == WORD_FREE)
        return !err_set(e, MR_KAFKA_TOPIC_GONE, "%s", was.text);
    d->answers = 0;
    return !err_set(e, MR_KAFKA_TOPIC_UNKNOWN, "%s; the controller says that it exists",
                    was.text);
}

bool
doubt_again(struct doubt *d, struct err *e, uint64_t until_ms)
{
    if (doubt_ends(d, e) || e->class != ERR_RETRY || clock_mono_ms() >= until_ms)
        return false;
    clock_sleep_ms(AGAIN_MS);
    return true;
}
