#include "kafka/consumer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kafka/client.h"
#include "kafka/doubt.h"

#define ASK_MS   3000 /* to tell purged from truncated, gone from idle */
#define DOUBT_MS 500  /* between two looks for a topic that may be gone */

/* What a message says of where it comes from. Without padding: a key of a map. */
struct place {
    rd_kafka_topic_t *rkt;
    int64_t id;
};

struct consumer_partition {
    struct consumer *c;
    struct consumer_partition *next;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *q;
    struct place place;
    char *topic;
    int32_t id;
    int64_t position;
    bool broken; /* no more polls until a seek */
    struct err why;
    unsigned suspicion; /* of consumer.suspicions: the last one looked into */
    bool doubted;       /* the brokers did not know it: it is looked for */
    struct doubt doubt;
    uint64_t looked_ms;
    bool ready; /* in the consumer's list, under its lock */
    struct consumer_partition *next_ready;
    void *ctx;
};

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *q; /* shared; NULL: each partition has its own */
    struct map by_place; /* -> struct consumer_partition, if shared */
    int fd;
    struct consumer_partition *open;
    atomic_uint doubted;  /* partitions that are */
    unsigned told;        /* of suspicions: those that every partition was woken for */
    pthread_mutex_t lock; /* of trouble, ready */
    struct consumer_partition *ready, **ready_end;
    bool has_trouble;
    struct err trouble;
    _Atomic unsigned
        suspicions; /* how often the library said that some topic is gone or closed to us */
};

struct consumer_batch_private {
    size_t max;
    size_t raw_n;
    rd_kafka_message_t **raw;
    struct consumer_message *views;
};

/* Configuration and life */

void
consumer_conf_default(struct consumer_conf *conf)
{
    *conf = (struct consumer_conf){
        .isolation = KAFKA_READ_COMMITTED,
        .queue_bytes = 512 << 10,
        /* Below the largest batch a fetch would bring one partition at a time. */
        .fetch_bytes = (1 << 20) + (64 << 10),
        .message_max_bytes = (int64_t)40 << 20,
        .fetch_wait_ms = 100,
    };
}

void
consumer_conf_load(struct consumer_conf *conf, const struct config *c, const char *client_id)
{
    consumer_conf_default(conf);
    kafka_settings_load(c, client_id, &conf->kafka);
    conf->message_max_bytes = config_int(c, "kafka.message.max.bytes");
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    struct consumer *c = opaque;
    thread_lock(&c->lock);
    c->has_trouble = true;
    client_err(&c->trouble, (rd_kafka_resp_err_t)code, reason, "Kafka");
    /* The library names no partition here: each one looks for itself. */
    if (c->trouble.class == ERR_TASK || c->trouble.code == MR_KAFKA_TOPIC_UNKNOWN)
        atomic_fetch_add(&c->suspicions, 1);
    thread_unlock(&c->lock);
}

static bool
set_limits(rd_kafka_conf_t *rc, const struct consumer_conf *conf, struct err *e)
{
    int64_t fetch_max = conf->message_max_bytes + conf->fetch_bytes;
    int64_t queue_kbytes = conf->queue_bytes / 1024;
    int64_t queue_messages = conf->queue_messages ? conf->queue_messages : 100000;
    return client_conf_set_i64(rc, "queued.max.messages.kbytes", queue_kbytes, e) &&
           client_conf_set_i64(rc, "queued.min.messages", queue_messages, e) &&
           client_conf_set_i64(rc, "max.partition.fetch.bytes", conf->fetch_bytes, e) &&
           client_conf_set_i64(rc, "message.max.bytes", conf->message_max_bytes, e) &&
           client_conf_set_i64(rc, "fetch.max.bytes", fetch_max, e) &&
           /* fetches are what bounds an answer; callers set theirs in properties */
           client_conf_set_i64(rc, "receive.message.max.bytes", INT32_MAX, e) &&
           client_conf_set_i64(rc, "fetch.wait.max.ms", conf->fetch_wait_ms, e);
}

static bool
set_reading(rd_kafka_conf_t *rc, const struct consumer_conf *conf, struct err *e)
{
    bool committed = conf->isolation == KAFKA_READ_COMMITTED;
    /* The library's default of 1 s between a full queue and the next fetch would starve a small
     * queue. */
    client_conf_try(rc, "fetch.queue.backoff.ms", "5");
    return client_conf_set(rc, "isolation.level",
                           committed ? "read_committed" : "read_uncommitted", e) &&
           client_conf_set(rc, "enable.auto.commit", "false", e) &&
           client_conf_set(rc, "enable.auto.offset.store", "false", e) &&
           client_conf_set(rc, "auto.offset.reset", "error", e) &&
           client_conf_set(rc, "enable.partition.eof", "true", e) &&
           client_conf_set(rc, "topic.metadata.propagation.max.ms", "10000", e) &&
           client_conf_set(rc, "fetch.error.backoff.ms", "100", e);
}

/* From a thread of the library, under the queue's lock. */
static void
on_shared(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    client_eventfd_ring(((struct consumer *)opaque)->fd);
}

bool
consumer_new(const struct consumer_conf *conf, struct consumer **out, struct err *e)
{
    rd_kafka_conf_t *rc;
    if (!client_conf_new(&conf->kafka, &rc, e))
        return false;
    if (!set_limits(rc, conf, e) || !set_reading(rc, conf, e)) {
        rd_kafka_conf_destroy(rc);
        return false;
    }
    struct consumer *c = mem_zalloc(sizeof *c);
    thread_lock_init(&c->lock);
    c->ready_end = &c->ready;
    rd_kafka_conf_set_opaque(rc, c);
    rd_kafka_conf_set_error_cb(rc, on_error);
    if (!client_new(RD_KAFKA_CONSUMER, rc, &conf->kafka, &c->rk, e)) {
        free(c);
        return false;
    }
    c->fd = client_eventfd();
    if (conf->shared) {
        c->q = rd_kafka_queue_new(c->rk);
        rd_kafka_queue_cb_event_enable(c->q, on_shared, c);
    }
    *out = c;
    return true;
}

/* Ready partitions */

static void
make_ready(struct consumer_partition *p)
{
    struct consumer *c = p->c;
    thread_lock(&c->lock);
    if (!p->ready) {
        p->ready = true;
        p->next_ready = NULL;
        *c->ready_end = p;
        c->ready_end = &p->next_ready;
    }
    thread_unlock(&c->lock);
    client_eventfd_ring(c->fd);
}

/* From a thread of the library, under the queue's lock: something was queued to an empty one.
 */
static void
on_queued(rd_kafka_t *rk, void *opaque)
{
    (void)rk;
    make_ready(opaque);
}

struct consumer_partition *
consumer_ready(struct consumer *c)
{
    thread_lock(&c->lock);
    struct consumer_partition *p = c->ready;
    if (p) {
        c->ready = p->next_ready;
        p->ready = false;
    }
    if (!c->ready)
        c->ready_end = &c->ready;
    thread_unlock(&c->lock);
    return p;
}

static void
unready(struct consumer_partition *p)
{
    struct consumer *c = p->c;
    thread_lock(&c->lock);
    for (struct consumer_partition **at = &c->ready; p->ready && *at; at = &(*at)->next_ready) {
        if (*at != p)
            continue;
        *at = p->next_ready;
        if (!p->next_ready)
            c->ready_end = at;
        p->ready = false;
        break;
    }
    thread_unlock(&c->lock);
}

static void
drop_queue(struct consumer_partition *p)
{
    if (p->q != p->c->q) {
        rd_kafka_queue_cb_event_enable(p->q, NULL, NULL); /* no call is under way afterwards */
        rd_kafka_queue_destroy(p->q);
    }
    p->q = NULL;
}

static void
stop(struct consumer_partition *p)
{
    if (!p->q)
        return;
    rd_kafka_consume_stop(p->rkt, p->id); /* what a shared queue has of it is never shown */
    drop_queue(p);
    unready(p);
}

static void
set_doubted(struct consumer_partition *p, bool doubted)
{
    if (doubted && !p->doubted)
        atomic_fetch_add(&p->c->doubted, 1);
    else if (!doubted && p->doubted)
        atomic_fetch_sub(&p->c->doubted, 1);
    p->doubted = doubted;
}

static void
release(struct consumer_partition *p)
{
    stop(p);
    set_doubted(p, false);
    if (p->c->q)
        map_del(&p->c->by_place, bytes_of(&p->place, sizeof p->place));
    rd_kafka_topic_destroy(p->rkt);
    free(p->topic);
    free(p);
}

void
consumer_free(struct consumer *c)
{
    if (!c)
        return;
    for (struct consumer_partition *p = c->open, *next; p; p = next) {
        next = p->next;
        release(p);
    }
    if (c->q) {
        rd_kafka_queue_cb_event_enable(c->q, NULL, NULL);
        rd_kafka_queue_destroy(c->q);
    }
    map_free(&c->by_place);
    rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    close(c->fd);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct doubt
consumer_doubt(const struct consumer *c, const char *topic)
{
    return (struct doubt){.rk = c->rk, .topic = topic};
}

/* Partitions */

static int64_t
library_offset(int64_t offset)
{
    if (offset >= 0)
        return offset;
    if (offset == KAFKA_OFFSET_BEGIN)
        return RD_KAFKA_OFFSET_BEGINNING;
    if (offset == KAFKA_OFFSET_END)
        return RD_KAFKA_OFFSET_END;
    return RD_KAFKA_OFFSET_TAIL(KAFKA_OFFSET_TAIL(0) - offset);
}

static rd_kafka_queue_t *
own_queue(struct consumer_partition *p)
{
    rd_kafka_queue_t *q = rd_kafka_queue_new(p->c->rk);
    rd_kafka_queue_cb_event_enable(q, on_queued, p);
    return q;
}

/* A queue of its own for each start: what an earlier start has queued goes with the old one. In
 * a shared queue the library tells the two apart. */
static bool
start(struct consumer_partition *p, int64_t offset, struct err *e)
{
    p->q = p->c->q ? p->c->q : own_queue(p);
    p->position = offset;
    p->broken = false;
    if (rd_kafka_consume_start_queue(p->rkt, p->id, library_offset(offset), p->q) == 0)
        return true;
    rd_kafka_resp_err_t err = rd_kafka_last_error();
    drop_queue(p);
    client_err(e, err, NULL, "reading %s [%d] from %lld", p->topic, (int)p->id,
               (long long)offset);
    p->broken = true;
    p->why = *e;
    return false;
}

bool
consumer_open(struct consumer *c, const char *topic, int32_t partition, int64_t offset,
              struct consumer_partition **out, struct err *e)
{
    struct consumer_partition *p = mem_zalloc(sizeof *p);
    p->c = c;
    p->topic = mem_strdup(topic);
    p->doubt = consumer_doubt(c, p->topic);
    p->id = partition;
    p->next = c->open;
    c->open = p;
    p->rkt = rd_kafka_topic_new(c->rk, topic, NULL);
    if (!p->rkt)
        mem_die("topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
    p->place = (struct place){p->rkt, partition};
    bool fresh;
    if (c->q)
        map_put(&c->by_place, bytes_of(&p->place, sizeof p->place), &fresh)->v.ptr = p;
    if (!start(p, offset, e)) {
        consumer_close(p);
        return false;
    }
    *out = p;
    return true;
}

void
consumer_close(struct consumer_partition *p)
{
    if (!p)
        return;
    for (struct consumer_partition **at = &p->c->open; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    release(p);
}

bool
consumer_seek(struct consumer_partition *p, int64_t offset, struct err *e)
{
    stop(p);
    return start(p, offset, e);
}

/* The library's own position also counts markers it did not show; it may know less than we do,
 * and after an error more than was handed out. */
int64_t
consumer_position(const struct consumer_partition *p)
{
    if (p->broken)
        return p->position;
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(l, p->topic, p->id);
    int64_t position = p->position;
    if (rd_kafka_position(p->c->rk, l) == 0 && !l->elems[0].err &&
        l->elems[0].offset > position)
        position = l->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(l);
    return position;
}

const char *
consumer_topic(const struct consumer_partition *p)
{
    return p->topic;
}

int32_t
consumer_partition_id(const struct consumer_partition *p)
{
    return p->id;
}

void
consumer_set_ctx(struct consumer_partition *p, void *ctx)
{
    p->ctx = ctx;
}

void *
consumer_ctx(const struct consumer_partition *p)
{
    return p->ctx;
}

/* Batches */

void
consumer_batch_init(struct consumer_batch *b, size_t max)
{
    struct consumer_batch_private *v = mem_zalloc(sizeof *v);
    v->max = max;
    v->raw = mem_array(max, sizeof *v->raw);
    v->views = mem_array(max, sizeof *v->views);
    *b = (struct consumer_batch){.msgs = v->views, .private = v};
}

void
consumer_batch_clear(struct consumer_batch *b)
{
    struct consumer_batch_private *v = b->private;
    for (size_t i = 0; i < v->raw_n; i++)
        rd_kafka_message_destroy(v->raw[i]);
    v->raw_n = 0;
    b->n = 0;
    b->eof = false;
}

void
consumer_batch_free(struct consumer_batch *b)
{
    if (!b->private)
        return;
    consumer_batch_clear(b);
    free(b->private->raw);
    free(b->private->views);
    free(b->private);
    *b = (struct consumer_batch){0};
}

void
consumer_batch_drop(struct consumer_batch *b, const struct consumer_partition *p)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->private->views[i].from == p)
            b->private->views[i].from = NULL;
}

/* Polling */

/* Below the oldest record: purged by retention. Above the end: the log is not the one it was.
 */
static void
name_range(struct consumer_partition *p, struct err *e)
{
    int64_t low = 0;
    int64_t high = 0;
    struct err asked;
    struct doubt doubt = consumer_doubt(p->c, p->topic);
    uint64_t until = clock_mono_ms() + DOUBT_SURE_MS + ASK_MS;
    while (!consumer_watermarks(p->c, p->topic, p->id, ASK_MS, &low, &high, &asked)) {
        if (doubt_again(&doubt, &asked, until))
            continue;
        *e = asked;
        return;
    }
    long long at = (long long)p->position;
    if (p->position > high)
        err_set(e, MR_KAFKA_LOST, "%s [%d] ends at %lld, before the kept offset %lld", p->topic,
                (int)p->id, (long long)high, at);
    else
        err_set(e, MR_KAFKA_PURGED, "%s [%d] begins at %lld, after the kept offset %lld",
                p->topic, (int)p->id, (long long)low, at);
}

static void
break_off(struct consumer_partition *p, const rd_kafka_message_t *m)
{
    client_err(&p->why, m->err, rd_kafka_message_errstr(m), "reading %s [%d] at %lld", p->topic,
               (int)p->id, (long long)p->position);
    if (p->why.code == MR_KAFKA_TOPIC_UNKNOWN) {
        set_doubted(p, true); /* the library reads on when the topic is there again */
        return;
    }
    p->broken = true;
    if (p->why.code == MR_KAFKA_PURGED)
        name_range(p, &p->why);
}

static void
view(struct consumer_message *to, struct consumer_partition *from, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t kind;
    to->kind = CONSUMER_RECORD;
    to->from = from;
    to->offset = m->offset;
    to->timestamp_ms = rd_kafka_message_timestamp(m, &kind);
    to->key = bytes_of(m->key, m->key_len);
    to->value = bytes_of(m->payload, m->len);
}

/* raw[0..n) as the library gave them: keeps the messages, swallows the rest. */
static void
sort_out(struct consumer_partition *p, struct consumer_batch *b, size_t n)
{
    struct consumer_batch_private *v = b->private;
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = v->raw[i];
        if (!m->err && !p->broken) {
            view(&v->views[b->n++], p, m);
            v->raw[v->raw_n++] = m;
            p->position = m->offset + 1;
            b->eof = false;
            continue;
        }
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && !p->broken) {
            b->eof = true;
            if (m->offset > p->position)
                p->position = m->offset;
        } else if (m->err && !p->broken) {
            break_off(p, m);
        }
        rd_kafka_message_destroy(m);
    }
}

static void
look(struct consumer_partition *p)
{
    int64_t low, high;
    struct err e = {0};
    p->looked_ms = clock_mono_ms();
    bool ok = consumer_watermarks(p->c, p->topic, p->id, ASK_MS, &low, &high, &e);
    bool passes = !doubt_ends(&p->doubt, ok ? NULL : &e) && e.class == ERR_RETRY;
    set_doubted(p, !ok && passes && (p->doubted || e.code == MR_KAFKA_TOPIC_UNKNOWN));
    if (ok || passes)
        return;
    p->broken = true;
    p->why = e;
    make_ready(p);
}

/* Nothing came: is it that the topic is gone, or closed to us? */
static void
look_into(struct consumer_partition *p)
{
    rd_kafka_poll(p->c->rk, 0);
    unsigned now = atomic_load(&p->c->suspicions);
    if (p->suspicion == now && !p->doubted)
        return;
    if (p->doubted && clock_mono_ms() - p->looked_ms < DOUBT_MS)
        return;
    p->suspicion = now;
    look(p);
}

static size_t
take(rd_kafka_queue_t *q, rd_kafka_message_t **raw, size_t max)
{
    ssize_t n = rd_kafka_consume_batch_queue(q, 0, raw, max);
    return n > 0 ? (size_t)n : 0;
}

bool
consumer_poll(struct consumer_partition *p, struct consumer_batch *b, int timeout_ms,
              struct err *e)
{
    struct consumer_batch_private *v = b->private;
    consumer_batch_clear(b);
    if (!p->broken) {
        size_t n = take(p->q, v->raw, v->max);
        if (n == 0 && timeout_ms != 0) {
            v->raw[0] = rd_kafka_consume_queue(p->q, timeout_ms);
            if (v->raw[0])
                n = 1 + take(p->q, v->raw + 1, v->max - 1);
        }
        if (n == 0)
            look_into(p);
        sort_out(p, b, n);
    }
    if (!p->broken || b->n > 0)
        return true;
    *e = p->why;
    return false;
}

/* Messages come in runs of one partition: *last is tried first. */
static struct consumer_partition *
partition_of(const struct consumer *c, const rd_kafka_message_t *m,
             struct consumer_partition *last)
{
    const struct place at = {m->rkt, m->partition};
    if (last && last->place.rkt == at.rkt && last->place.id == at.id)
        return last;
    const struct map_slot *slot = map_get(&c->by_place, bytes_of(&at, sizeof at));
    return slot ? slot->v.ptr : NULL;
}

/* An end or an error. */
static void
add_news(struct consumer_partition *p, struct consumer_batch *b, const rd_kafka_message_t *m)
{
    struct consumer_message news = {.from = p, .offset = m->offset, .timestamp_ms = -1};
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        news.kind = CONSUMER_END;
        if (m->offset > p->position)
            p->position = m->offset;
    } else {
        break_off(p, m);
        news.kind = CONSUMER_FAILED;
        if (!p->broken)
            return;
    }
    b->private->views[b->n++] = news;
}

void
consumer_poll_all(struct consumer *c, struct consumer_batch *b)
{
    struct consumer_batch_private *v = b->private;
    struct consumer_partition *p = NULL;
    consumer_batch_clear(b);
    size_t n = take(c->q, v->raw, v->max);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = v->raw[i];
        p = partition_of(c, m, p);
        if (p && !p->broken && !m->err) {
            view(&v->views[b->n++], p, m);
            v->raw[v->raw_n++] = m;
            p->position = m->offset + 1;
            continue;
        }
        if (p && !p->broken)
            add_news(p, b, m);
        rd_kafka_message_destroy(m);
    }
}

bool
consumer_check(struct consumer_partition *p, struct err *e)
{
    if (!p->broken)
        look_into(p);
    if (!p->broken)
        return true;
    *e = p->why;
    return false;
}

int
consumer_fd(const struct consumer *c)
{
    return c->fd;
}

void
consumer_fd_clear(struct consumer *c)
{
    client_eventfd_clear(c->fd);
}

bool
consumer_trouble(struct consumer *c, struct err *e)
{
    rd_kafka_poll(c->rk, 0);
    /* Nobody polls a partition that has nothing: each is polled once, and looks for itself. */
    unsigned now = atomic_load(&c->suspicions);
    for (struct consumer_partition *p = c->open; p && c->told != now; p = p->next)
        make_ready(p);
    c->told = now;
    for (struct consumer_partition *p = c->open; p && atomic_load(&c->doubted); p = p->next)
        if (p->doubted && !p->broken)
            look_into(p);
    thread_lock(&c->lock);
    bool had = c->has_trouble;
    if (had)
        *e = c->trouble;
    c->has_trouble = false;
    thread_unlock(&c->lock);
    return !had;
}

/* Offsets */

bool
consumer_watermarks(struct consumer *c, const char *topic, int32_t partition, int timeout_ms,
                    int64_t *low, int64_t *high, struct err *e)
{
    rd_kafka_resp_err_t err =
        rd_kafka_query_watermark_offsets(c->rk, topic, partition, low, high, timeout_ms);
    if (err)
        return client_err(e, err, NULL, "offsets of %s [%d]", topic, (int)partition);
    return true;
}

static void
copy_offsets(rd_kafka_topic_partition_list_t *to, const rd_kafka_topic_partition_list_t *from)
{
    for (int i = 0; i < from->cnt; i++) {
        to->elems[i].offset = from->elems[i].offset;
        to->elems[i].err = from->elems[i].err;
    }
}

/* l becomes the answer. *which: a topic, of l's, that it failed for. */
static bool
ask_offsets(struct consumer *c, rd_kafka_topic_partition_list_t *l, int timeout_ms,
            const char **which, struct err *e)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_copy(l);
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(c->rk, asked, timeout_ms);
    const rd_kafka_topic_partition_t *bad = NULL;
    for (int i = 0; !err && !bad && i < asked->cnt; i++)
        bad = asked->elems[i].err ? &asked->elems[i] : NULL;
    if (err)
        client_err(e, err, NULL, "offsets of %d partitions", asked->cnt);
    else if (bad)
        client_err(e, bad->err, NULL, "offset of %s [%d]", bad->topic, (int)bad->partition);
    else
        copy_offsets(l, asked);
    *which = l->elems[bad ? bad - asked->elems : 0].topic;
    rd_kafka_topic_partition_list_destroy(asked);
    return !err && !bad;
}

/* The protocol's ListOffsets takes -1 (latest) and -2 (earliest) for a time, and so does the
 * library. */
bool
consumer_offsets(struct consumer *c, struct consumer_offset *list, size_t n, int timeout_ms,
                 struct err *e)
{
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(l, list[i].topic, list[i].partition)->offset =
            list[i].timestamp_ms;
    struct doubt doubt = consumer_doubt(c, NULL);
    uint64_t until = clock_mono_ms() + DOUBT_SURE_MS + (uint64_t)timeout_ms;
    bool ok = ask_offsets(c, l, timeout_ms, &doubt.topic, e);
    /* A partition made a moment ago may not have its leader ready yet, whatever the metadata
     * say. */
    while (!ok && e->code != MR_KAFKA_UNREACHABLE && doubt_again(&doubt, e, until))
        ok = ask_offsets(c, l, timeout_ms, &doubt.topic, e);
    for (size_t i = 0; ok && i < n; i++)
        list[i].offset = l->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(l);
    return ok;
}
