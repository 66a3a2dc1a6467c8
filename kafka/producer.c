#include "kafka/producer.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/stop.h"
#include "kafka/client.h"
#include "kafka/doubt.h"
#include "kafka/stats.h"

#define SEND_CHUNK      1024 /* messages a produce_batch call */
#define SLICE_MS        100  /* how late a stop is seen while waiting */
#define DESTROY_WAIT_MS 1000 /* for delivery reports of purged messages: the library's own */
#define RECORD_OVERHEAD \
    128 /* batch header 61 bytes + at most 32 of the record's varints, rounded up */
#define QUEUE_FULL_WAIT 5

struct producer_topic {
    rd_kafka_topic_t *rkt;
    char *name;
    int partitions;
    int64_t limit; /* of key + value */
};

struct producer {
    rd_kafka_t *rk;
    int fd;
    bool transactional;
    int unknown_ms;
    int64_t message_max;
    int batch_bytes;
    const struct stop *stop;
    producer_delivered_fn *delivered;
    void *delivered_ctx;
    bool failed;
    struct err first; /* why it failed */
    uint64_t outstanding;
    void *run_owner; /* delivery reports of one owner in a row, not yet told */
    size_t run_n;
    _Atomic uint64_t sockets_closed; /* written by librdkafka's threads */
    struct map topics;               /* name -> struct producer_topic */
    struct producer_stats stats;
    rd_kafka_message_t chunk[SEND_CHUNK];
};

/* Defaults and configuration */

void
producer_conf_default(struct producer_conf *conf)
{
    *conf = (struct producer_conf){
        .transaction_timeout_ms = 60000,
        .delivery_timeout_ms = 30000,
        .unknown_ms = 2000,
        .message_max_bytes = (int64_t)40 << 20,
        .batch_bytes = 1 << 20,
        .batch_messages = 10000,
        .linger_ms = 1,
        .queue_bytes = (int64_t)128 << 20,
        .queue_messages = 500000,
        .compression = "lz4",
    };
}

void
producer_conf_load(struct producer_conf *conf, const struct config *c, const char *client_id)
{
    producer_conf_default(conf);
    kafka_settings_load(c, client_id, &conf->kafka);
    conf->compression = config_text(c, "kafka.compression");
    conf->message_max_bytes = config_int(c, "kafka.message.max.bytes");
    conf->linger_ms = (int)config_int(c, "kafka.linger.ms");
    conf->transaction_timeout_ms = (int)config_int(c, "kafka.transaction.timeout.ms");
    conf->unknown_ms = (int)config_int(c, "kafka.unknown.after.ms");
}

/* Callbacks */

static void
tell_run(struct producer *p)
{
    if (p->run_n > 0 && p->run_owner && p->delivered)
        p->delivered(p->delivered_ctx, p->run_owner, p->run_n);
    p->run_n = 0;
    p->run_owner = NULL;
}

static bool
fail(struct producer *p, const struct err *e)
{
    if (!p->failed) {
        p->failed = true;
        p->first = *e;
    }
    return false;
}

/* A fatal error of the handle explains what follows from it (purged messages, refused calls).
 * True when there is one; e then says so. */
static bool
fatal(struct producer *p, struct err *e)
{
    char text[512] = "";
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(p->rk, text, sizeof text);
    if (err)
        client_err(e, err, text, "producer");
    return err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)reason;
    struct producer *p = opaque;
    struct err e;
    if (code == RD_KAFKA_RESP_ERR__FATAL && fatal(p, &e))
        fail(p, &e);
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct producer *p = opaque;
    p->outstanding--;
    if (m->_private != p->run_owner)
        tell_run(p);
    p->run_owner = m->_private;
    p->run_n++;
    if (!m->err) {
        p->stats.acked++;
        return;
    }
    p->stats.failed++;
    if (p->failed)
        return;
    struct err e;
    if (!fatal(p, &e))
        client_err(&e, m->err, NULL, "delivery of a message of %zu bytes to %s [%d]", m->len,
                   m->rkt ? rd_kafka_topic_name(m->rkt) : "?", (int)m->partition);
    fail(p, &e);
}

/* Was it ever connected? Only then can a request have been lost with it: a broker answers
 * ApiVersions before anything else is sent. A refused connect of a broker that is down must not
 * look like a disturbance. */
static bool
socket_was_live(int fd)
{
    struct tcp_info info;
    memset(&info, 0, sizeof info);
    socklen_t n = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
        n < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return true;
    return info.tcpi_bytes_received > 0;
}

static int
on_close_socket(int fd, void *opaque)
{
    struct producer *p = opaque;
    if (socket_was_live(fd))
        atomic_fetch_add(&p->sockets_closed, 1);
    return close(fd);
}

static int
on_stats(rd_kafka_t *rk, char *json, size_t n, void *opaque)
{
    (void)rk;
    struct producer *p = opaque;
    struct kafka_stats s;
    struct err e;
    if (kafka_stats_parse(bytes_of(json, n), &s, &e)) {
        p->stats.coordinator_disconnects = s.coordinator_disconnects;
        p->stats.coordinator_retries = s.coordinator_retries;
        p->stats.coordinator_timeouts = s.coordinator_timeouts;
    }
    return 0;
}

/* Life */

static bool
set_batching(rd_kafka_conf_t *rc, const struct producer_conf *conf, struct err *e)
{
    int64_t kbytes = conf->queue_bytes / 1024;
    return client_conf_set_i64(rc, "linger.ms", conf->linger_ms, e) &&
           client_conf_set_i64(rc, "batch.size", conf->batch_bytes, e) &&
           client_conf_set_i64(rc, "batch.num.messages", conf->batch_messages, e) &&
           client_conf_set_i64(rc, "queue.buffering.max.messages", conf->queue_messages, e) &&
           client_conf_set_i64(rc, "queue.buffering.max.kbytes", kbytes, e) &&
           client_conf_set_i64(rc, "message.max.bytes", conf->message_max_bytes, e) &&
           client_conf_set(rc, "compression.codec", conf->compression, e);
}

static bool
set_delivery(rd_kafka_conf_t *rc, const struct producer_conf *conf, struct err *e)
{
    int timeout = conf->delivery_timeout_ms;
    if (conf->transactional_id && timeout > PRODUCER_ACK_MS)
        timeout = PRODUCER_ACK_MS;
    if (conf->transactional_id && timeout > conf->transaction_timeout_ms)
        timeout = conf->transaction_timeout_ms;
    if (!client_conf_set(rc, "enable.idempotence", "true", e) ||
        !client_conf_set(rc, "acks", "all", e) ||
        !client_conf_set_i64(rc, "message.timeout.ms", timeout, e) ||
        !client_conf_set_i64(rc, "statistics.interval.ms", conf->stats_ms, e))
        return false;
    if (!conf->transactional_id)
        return true;
    return client_conf_set(rc, "transactional.id", conf->transactional_id, e) &&
           client_conf_set_i64(rc, "transaction.timeout.ms", conf->transaction_timeout_ms, e);
}

static bool
make_handle(struct producer *p, const struct producer_conf *conf, struct err *e)
{
    rd_kafka_conf_t *rc;
    if (!client_conf_new(&conf->kafka, &rc, e))
        return false;
    if (!set_delivery(rc, conf, e) || !set_batching(rc, conf, e)) {
        rd_kafka_conf_destroy(rc);
        return false;
    }
    rd_kafka_conf_set_opaque(rc, p);
    rd_kafka_conf_set_dr_msg_cb(rc, on_delivery);
    rd_kafka_conf_set_error_cb(rc, on_error);
    rd_kafka_conf_set_closesocket_cb(rc, on_close_socket);
    if (conf->stats_ms > 0)
        rd_kafka_conf_set_stats_cb(rc, on_stats);
    return client_new(RD_KAFKA_PRODUCER, rc, &conf->kafka, &p->rk, e);
}

static void
enable_fd(struct producer *p)
{
    static const uint64_t one = 1;
    p->fd = client_eventfd();
    rd_kafka_queue_t *q = rd_kafka_queue_get_main(p->rk);
    rd_kafka_queue_io_event_enable(q, p->fd, &one, sizeof one);
    rd_kafka_queue_destroy(q);
}

bool
producer_new(const struct producer_conf *conf, struct producer **out, struct err *e)
{
    struct producer *p = mem_zalloc(sizeof *p);
    p->transactional = conf->transactional_id != NULL;
    p->unknown_ms = conf->unknown_ms;
    p->message_max = conf->message_max_bytes;
    p->batch_bytes = conf->batch_bytes;
    p->stop = conf->stop;
    p->delivered = conf->delivered;
    p->delivered_ctx = conf->delivered_ctx;
    if (!make_handle(p, conf, e)) {
        free(p);
        return false;
    }
    enable_fd(p);
    *out = p;
    return true;
}

static void
topic_free(struct producer_topic *t)
{
    rd_kafka_topic_destroy(t->rkt);
    free(t->name);
    free(t);
}

/* Reports come from the library's threads; how long these wait for a CPU is not ours to say.
 * What they did not report goes with the handle, whose destruction waits for them. */
static void
purge(struct producer *p)
{
    rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    uint64_t end = clock_mono_ms() + DESTROY_WAIT_MS;
    while (p->outstanding > 0 && clock_mono_ms() < end)
        rd_kafka_poll(p->rk, 10);
    tell_run(p);
    if (p->outstanding > 0)
        log_warn("producer_reports_missing", F_U64("messages", p->outstanding));
}

void
producer_destroy(struct producer *p)
{
    if (!p)
        return;
    purge(p);
    for (struct map_slot *s = NULL; (s = map_next(&p->topics, s)) != NULL;)
        topic_free(s->v.ptr);
    map_free(&p->topics);
    rd_kafka_queue_t *q = rd_kafka_queue_get_main(p->rk);
    rd_kafka_queue_io_event_enable(q, -1, NULL, 0);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(p->rk);
    close(p->fd);
    free(p);
}

/* State */

bool
producer_check(struct producer *p, struct err *e)
{
    if (!p->failed)
        return true;
    *e = p->first;
    return false;
}

static bool
stopped(struct producer *p, struct err *e)
{
    if (p->stop && stop_asked(p->stop))
        return !err_set(e, MR_KAFKA_ERROR, "stopped while waiting for Kafka");
    return false;
}

uint64_t
producer_outstanding(const struct producer *p)
{
    return p->outstanding;
}

int
producer_fd(const struct producer *p)
{
    return p->fd;
}

void
producer_stats(const struct producer *p, struct producer_stats *out)
{
    *out = p->stats;
    out->sockets_closed = atomic_load(&p->sockets_closed);
}

size_t
producer_poll(struct producer *p, int timeout_ms)
{
    uint64_t before = p->outstanding;
    client_eventfd_clear(p->fd);
    rd_kafka_poll(p->rk, timeout_ms);
    tell_run(p);
    return (size_t)(before - p->outstanding);
}

/* Transactions */

/* Takes err; fills e. */
static bool
call_failed(struct err *e, rd_kafka_error_t *err, const char *what)
{
    client_err(e, rd_kafka_error_code(err), rd_kafka_error_string(err), "%s", what);
    rd_kafka_error_destroy(err);
    return false;
}

bool
producer_init_transactions(struct producer *p, int timeout_ms, struct err *e)
{
    uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
    if (!producer_check(p, e))
        return false;
    for (;;) {
        uint64_t now = clock_mono_ms();
        int slice = now >= end ? 0 : (int)(end - now);
        rd_kafka_error_t *err =
            rd_kafka_init_transactions(p->rk, slice < 5 * SLICE_MS ? slice : 5 * SLICE_MS);
        rd_kafka_poll(p->rk, 0);
        if (!err) {
            FAULT("kafka.after_init");
            return true;
        }
        bool again = rd_kafka_error_is_retriable(err);
        call_failed(e, err, "init_transactions");
        if (!again)
            return fail(p, e);
        if (clock_mono_ms() >= end || stopped(p, e))
            return err_reclass(e, ERR_RETRY);
    }
}

bool
producer_begin(struct producer *p, struct err *e)
{
    if (!producer_check(p, e))
        return false;
    rd_kafka_error_t *err = rd_kafka_begin_transaction(p->rk);
    if (!err)
        return true;
    call_failed(e, err, "begin_transaction");
    return fail(p, e);
}

static bool
unknown(struct producer *p, struct err *e, const char *what, const char *why)
{
    p->stats.unknown++;
    err_set(e, MR_KAFKA_UNKNOWN_OUTCOME, "%s: %s", what, why);
    return fail(p, e);
}

/* What a returned commit or abort is worth: see the file header of producer.h. */
static bool
judge(struct producer *p, rd_kafka_error_t *err, const char *what, uint64_t began_us,
      uint64_t closed_before, struct err *e)
{
    p->stats.commit_us_last = clock_mono_us() - began_us;
    if (err) {
        if (client_code(rd_kafka_error_code(err)) == MR_KAFKA_FENCED) {
            call_failed(e, err, what);
            return fail(p, e);
        }
        char why[512];
        snprintf(why, sizeof why, "%s (%s)", rd_kafka_error_string(err),
                 rd_kafka_error_name(err));
        rd_kafka_error_destroy(err);
        return unknown(p, e, what, why);
    }
    if (p->stats.commit_us_last > (uint64_t)p->unknown_ms * 1000)
        return unknown(p, e, what, "took too long");
    if (atomic_load(&p->sockets_closed) != closed_before)
        return unknown(p, e, what, "a connection broke meanwhile");
    return true;
}

bool
producer_commit(struct producer *p, int timeout_ms, struct err *e)
{
    if (!producer_flush(p, timeout_ms, e))
        return false;
    FAULT("kafka.before_commit");
    uint64_t closed = atomic_load(&p->sockets_closed);
    uint64_t began = clock_mono_us();
    rd_kafka_error_t *err = rd_kafka_commit_transaction(p->rk, p->unknown_ms);
    tell_run(p);
    FAULT("kafka.after_commit");
    if (!judge(p, err, "commit", began, closed, e))
        return false;
    p->stats.commits++;
    return true;
}

bool
producer_abort(struct producer *p, int timeout_ms, struct err *e)
{
    uint64_t closed = atomic_load(&p->sockets_closed);
    uint64_t began = clock_mono_us();
    rd_kafka_error_t *err = rd_kafka_abort_transaction(p->rk, timeout_ms);
    tell_run(p);
    if (!judge(p, err, "abort", began, closed, e))
        return false;
    struct err used;
    err_set(&used, MR_KAFKA_UNKNOWN_OUTCOME, "a producer is not used again after an abort");
    fail(p, &used);
    return true;
}

/* Topics */

static bool
ask_partitions(struct producer *p, struct producer_topic *t, int timeout_ms, struct err *e)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(p->rk, 0, t->rkt, &md, timeout_ms);
    if (err)
        return client_err(e, err, NULL, "metadata of topic %s", t->name);
    if (md->topic_cnt == 1) {
        err = md->topics[0].err;
        t->partitions = md->topics[0].partition_cnt;
    }
    rd_kafka_metadata_destroy(md);
    if (err || t->partitions == 0)
        return client_err(e, err ? err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, NULL,
                          "topic %s", t->name);
    return true;
}

static struct producer_topic *
topic_new(struct producer *p, const char *name, int64_t max_message_bytes)
{
    struct producer_topic *t = mem_zalloc(sizeof *t);
    t->name = mem_strdup(name);
    t->rkt = rd_kafka_topic_new(p->rk, name, NULL);
    if (!t->rkt)
        mem_die("topic %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
    t->limit = p->message_max;
    if (max_message_bytes > 0 && max_message_bytes < t->limit)
        t->limit = max_message_bytes;
    t->limit -= RECORD_OVERHEAD;
    return t;
}

bool
producer_topic(struct producer *p, const char *name, int64_t max_message_bytes, int timeout_ms,
               struct producer_topic **out, struct err *e)
{
    if (!producer_check(p, e))
        return false;
    const struct map_slot *known = map_get(&p->topics, bytes_str(name));
    if (known) {
        *out = known->v.ptr;
        return true;
    }
    if (max_message_bytes > 0 && max_message_bytes < p->batch_bytes)
        return err_set(e, MR_KAFKA_ROW_TOO_LARGE,
                       "topic %s takes %lld bytes a batch, the producer sends up to %d", name,
                       (long long)max_message_bytes, p->batch_bytes);
    struct producer_topic *t = topic_new(p, name, max_message_bytes);
    struct doubt doubt = {.rk = p->rk, .topic = name};
    uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
    while (!ask_partitions(p, t, timeout_ms, e)) {
        if (doubt_again(&doubt, e, until))
            continue;
        topic_free(t);
        return false;
    }
    bool fresh;
    map_put(&p->topics, bytes_str(t->name), &fresh)->v.ptr = t;
    *out = t;
    return true;
}

int
producer_topic_partitions(const struct producer_topic *t)
{
    return t->partitions;
}

int64_t
producer_topic_limit(const struct producer_topic *t)
{
    return t->limit;
}

/* Sending */

static bool
check_sizes(const struct producer_topic *t, const struct producer_message *msgs, size_t n,
            struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t size = (uint64_t)msgs[i].key.n + msgs[i].value.n;
        if (size > (uint64_t)t->limit)
            return err_set(e, MR_KAFKA_ROW_TOO_LARGE,
                           "a message of %llu bytes for topic %s, which takes %lld",
                           (unsigned long long)size, t->name, (long long)t->limit);
    }
    return true;
}

/* Waits for room. */
static bool
wait_for_room(struct producer *p, struct err *e)
{
    producer_poll(p, QUEUE_FULL_WAIT);
    if (!producer_check(p, e))
        return false;
    if (stopped(p, e))
        return fail(p, e);
    return true;
}

/* Hands over chunk[0..n). After the first full queue librdkafka refuses the rest of a call, so
 * what was taken is always a prefix and the order holds. */
static bool
send_chunk(struct producer *p, struct producer_topic *t, int32_t partition, size_t n, int flags,
           struct err *e)
{
    size_t sent = 0;
    for (;;) {
        rd_kafka_message_t *m = p->chunk + sent;
        int good = rd_kafka_produce_batch(t->rkt, partition, flags, m, (int)(n - sent));
        p->outstanding += (uint64_t)good;
        p->stats.sent += (uint64_t)good;
        sent += (size_t)good;
        if (sent == n)
            return true;
        rd_kafka_resp_err_t err = p->chunk[sent].err;
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            if (!fatal(p, e))
                client_err(e, err, NULL, "send to %s [%d]", t->name, (int)partition);
            return fail(p, e);
        }
        if (!wait_for_room(p, e))
            return false;
    }
}

static bool
check_send(struct producer *p, const struct producer_topic *t, int32_t partition,
           const struct producer_message *msgs, size_t n, struct err *e)
{
    if (!producer_check(p, e))
        return false;
    if (partition < 0 || partition >= t->partitions)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED,
                       "topic %s has %d partitions, not one of number %d", t->name,
                       t->partitions, (int)partition);
    return check_sizes(t, msgs, n, e);
}

static void
fill(rd_kafka_message_t *to, const struct producer_message *m)
{
    /* librdkafka never writes through these. */
    *to = (rd_kafka_message_t){
        .payload = (void *)(uintptr_t)m->value.p,
        .len = m->value.n,
        .key = (void *)(uintptr_t)m->key.p,
        .key_len = m->key.n,
        ._private = m->owner,
    };
}

bool
producer_send_batch(struct producer *p, struct producer_topic *t, int32_t partition,
                    const struct producer_message *msgs, size_t n, struct err *e)
{
    if (!check_send(p, t, partition, msgs, n, e))
        return false;
    for (size_t done = 0; done < n;) {
        size_t some = n - done < SEND_CHUNK ? n - done : SEND_CHUNK;
        for (size_t i = 0; i < some; i++)
            fill(&p->chunk[i], &msgs[done + i]);
        if (!send_chunk(p, t, partition, some, 0, e))
            return false;
        done += some;
    }
    return true;
}

bool
producer_send_copy(struct producer *p, struct producer_topic *t, int32_t partition,
                   struct bytes key, struct bytes value, struct err *e)
{
    struct producer_message m = {.key = key, .value = value};
    if (!check_send(p, t, partition, &m, 1, e))
        return false;
    fill(&p->chunk[0], &m);
    return send_chunk(p, t, partition, 1, RD_KAFKA_MSG_F_COPY, e);
}

bool
producer_flush(struct producer *p, int timeout_ms, struct err *e)
{
    uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
    while (!p->failed && p->outstanding > 0) {
        client_eventfd_clear(p->fd);
        rd_kafka_flush(p->rk, SLICE_MS);
        tell_run(p);
        if (p->failed || p->outstanding == 0)
            break;
        if (stopped(p, e))
            return false;
        if (clock_mono_ms() >= end)
            return err_set(e, MR_KAFKA_UNREACHABLE, "%llu messages not acknowledged in %d ms",
                           (unsigned long long)p->outstanding, timeout_ms);
    }
    return producer_check(p, e);
}
