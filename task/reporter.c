#include "task/reporter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kafka/producer.h"
#include "task/topics.h"

#define TURN_MS     50
#define LAZY_MS     1000
#define ALIVE_MS    5000
#define FLUSH_MS    1000
#define TURN_MAX    2000 /* records of one turn */
#define DELIVERY_MS 10000
#define LAST_MS     2000

struct entry {
    char *key;
    struct json *value;
    bool dirty;
    bool urgent;
    bool alive;
    bool once;
    uint64_t sent_ms; /* 0: never */
};

struct item {
    char *key;
    struct buf value;
};

struct reporter {
    const struct config *config;
    const char *half;
    struct lease_id me;
    uint64_t beat_ms;
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct map entries; /* key -> struct entry */
    struct entry **once;
    size_t once_len;
    size_t once_cap;
    bool stopping;
    struct err trouble; /* code 0: healthy */
    /* The thread's own. */
    struct producer *producer;
    struct producer_topic *topic;
    uint64_t beat_at_ms;
};

static void
entry_free(struct entry *n)
{
    json_free(n->value);
    free(n->key);
    free(n);
}

static bool
is_due(const struct entry *n, uint64_t now)
{
    uint64_t age = now - n->sent_ms;
    if (n->dirty)
        return n->urgent || n->sent_ms == 0 || age >= LAZY_MS;
    return n->alive && age >= ALIVE_MS;
}

static void
add_item(struct item *items, size_t *n, const char *key, struct json *value)
{
    struct item *i = &items[(*n)++];
    i->key = mem_strdup(key);
    i->value = (struct buf){0};
    json_dump(value, &i->value);
}

static size_t
take_once(struct reporter *r, struct item *items)
{
    size_t n = 0, taken = 0;
    for (; taken < r->once_len && n < TURN_MAX; taken++) {
        add_item(items, &n, r->once[taken]->key, r->once[taken]->value);
        entry_free(r->once[taken]);
    }
    r->once_len -= taken;
    if (taken > 0 && r->once_len > 0)
        memmove(r->once, r->once + taken, r->once_len * sizeof(*r->once));
    return n;
}

/* What is due now, as text; under the lock. */
static size_t
collect(struct reporter *r, struct item *items, uint64_t now, bool all)
{
    size_t n = take_once(r, items);
    for (struct map_slot *s = NULL; n < TURN_MAX && (s = map_next(&r->entries, s)) != NULL;) {
        struct entry *entry = s->v.ptr;
        if (!(all ? entry->dirty : is_due(entry, now)))
            continue;
        if (entry->alive)
            json_set(entry->value, "ts_ms", json_u64(clock_wall_ms()));
        add_item(items, &n, entry->key, entry->value);
        entry->dirty = false;
        entry->urgent = false;
        entry->sent_ms = now;
    }
    return n;
}

static bool
open_producer(struct reporter *r, struct err *e)
{
    struct producer_conf conf;
    if (r->producer != NULL)
        return true;
    producer_conf_load(&conf, r->config, "millrace-status");
    conf.linger_ms = 0;
    conf.delivery_timeout_ms = DELIVERY_MS;
    if (producer_new(&conf, &r->producer, e) &&
        producer_topic(r->producer, TOPIC_STATUS, 0, DELIVERY_MS, &r->topic, e))
        return true;
    producer_destroy(r->producer);
    r->producer = NULL;
    return false;
}

static bool
send_items(struct reporter *r, const struct item *items, size_t n, struct err *e)
{
    if (!open_producer(r, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!producer_send_copy(r->producer, r->topic, 0, bytes_str(items[i].key),
                                buf_bytes(&items[i].value), e))
            return false;
    }
    return producer_flush(r->producer, FLUSH_MS, e);
}

/* A timeout leaves the records on their way; a failed producer lost them. */
static void
recover(struct reporter *r)
{
    struct err ignored = {0};
    if (r->producer != NULL && producer_check(r->producer, &ignored))
        return;
    producer_destroy(r->producer);
    r->producer = NULL;
    thread_lock(&r->lock);
    for (struct map_slot *s = NULL; (s = map_next(&r->entries, s)) != NULL;)
        ((struct entry *)s->v.ptr)->dirty = true;
    thread_unlock(&r->lock);
}

static void
note(struct reporter *r, bool ok, const struct err *e)
{
    thread_lock(&r->lock);
    bool fresh = !ok && r->trouble.code != e->code;
    bool over = ok && r->trouble.code != MR_OK;
    if (ok)
        err_clear(&r->trouble);
    else
        r->trouble = *e;
    thread_unlock(&r->lock);
    if (fresh)
        log_warn("status_not_written", F_ERR(e));
    if (over)
        log_info("status_written_again");
}

static void
add_beat(struct reporter *r, struct item *items, size_t *n, uint64_t now, bool stopped)
{
    struct buf key = {0};
    lease_beat_key(r->half, r->me.name, &key);
    struct json *beat = lease_beat(&r->me, clock_wall_ms(), stopped);
    add_item(items, n, buf_cstr(&key), beat);
    json_free(beat);
    buf_free(&key);
    r->beat_at_ms = now + r->beat_ms;
}

/* One turn; true: nothing is left over. */
static bool
turn(struct reporter *r, struct item *items, bool last)
{
    struct err e = {0};
    uint64_t now = clock_mono_ms();
    size_t n = 0;
    if (r->producer != NULL && producer_outstanding(r->producer) > 0 &&
        !producer_flush(r->producer, FLUSH_MS, &e)) {
        note(r, false, &e);
        recover(r);
        return false;
    }
    thread_lock(&r->lock);
    n = collect(r, items, now, last);
    thread_unlock(&r->lock);
    if (last || now >= r->beat_at_ms)
        add_beat(r, items, &n, now, last);
    bool ok = n == 0 || send_items(r, items, n, &e);
    if (n > 0)
        note(r, ok, &e);
    if (!ok)
        recover(r);
    for (size_t i = 0; i < n; i++) {
        free(items[i].key);
        buf_free(&items[i].value);
    }
    return ok;
}

static bool
has_urgent(const struct reporter *r)
{
    return r->once_len > 0;
}

static void
reporter_main(void *arg)
{
    struct reporter *r = arg;
    struct item *items = mem_array(TURN_MAX + 1, sizeof(*items));
    for (;;) {
        bool ok = turn(r, items, false);
        thread_lock(&r->lock);
        uint64_t until = clock_mono_us() + (uint64_t)(ok ? TURN_MS : 10 * TURN_MS) * 1000;
        while (!r->stopping && !(ok && has_urgent(r)) &&
               thread_cond_wait_until(&r->wake, &r->lock, until))
            ;
        bool stopping = r->stopping;
        thread_unlock(&r->lock);
        if (stopping)
            break;
    }
    /* While Kafka is away there is nobody to tell. */
    bool away = r->trouble.code != MR_OK;
    uint64_t deadline = clock_mono_ms() + LAST_MS;
    while (!away && !turn(r, items, true) && clock_mono_ms() < deadline)
        ;
    producer_destroy(r->producer);
    free(items);
}

struct reporter *
reporter_start(const struct config *c, const char *half, const struct lease_id *me)
{
    struct reporter *r = mem_zalloc(sizeof(*r));
    r->config = c;
    r->half = half;
    r->me = *me;
    r->beat_ms = (uint64_t)config_int(c, "heartbeat.ms");
    thread_lock_init(&r->lock);
    thread_cond_init(&r->wake);
    thread_start(&r->thread, "status", reporter_main, r);
    return r;
}

void
reporter_stop(struct reporter *r)
{
    if (r == NULL)
        return;
    thread_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    thread_unlock(&r->lock);
    thread_join(&r->thread);
    for (struct map_slot *s = NULL; (s = map_next(&r->entries, s)) != NULL;)
        entry_free(s->v.ptr);
    map_free(&r->entries);
    for (size_t i = 0; i < r->once_len; i++)
        entry_free(r->once[i]);
    free(r->once);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r);
}

static struct entry *
entry_of(struct reporter *r, const char *key)
{
    bool fresh = false;
    struct map_slot *s = map_put(&r->entries, bytes_str(key), &fresh);
    if (fresh) {
        struct entry *n = mem_zalloc(sizeof(*n));
        n->key = mem_strdup(key);
        s->key = bytes_str(n->key);
        s->v.ptr = n;
    }
    return s->v.ptr;
}

static bool
other_state(const struct json *a, const struct json *b)
{
    return a == NULL || strcmp(json_get_str(a, "state", ""), json_get_str(b, "state", "")) != 0;
}

void
reporter_keep(struct reporter *r, const char *key, struct json *value, enum reporter_when when,
              bool alive)
{
    thread_lock(&r->lock);
    struct entry *n = entry_of(r, key);
    bool urgent = when == REPORT_URGENT || other_state(n->value, value);
    json_free(n->value);
    n->value = value;
    n->dirty = true;
    n->urgent = n->urgent || urgent;
    n->alive = alive;
    thread_unlock(&r->lock);
}

void
reporter_once(struct reporter *r, const char *key, struct json *value)
{
    struct entry *n = mem_zalloc(sizeof(*n));
    n->key = mem_strdup(key);
    n->value = value;
    thread_lock(&r->lock);
    if (r->once_len == r->once_cap) {
        r->once_cap = r->once_cap == 0 ? 16 : r->once_cap * 2;
        r->once = mem_realloc(r->once, r->once_cap * sizeof(struct entry *));
    }
    r->once[r->once_len++] = n;
    pthread_cond_signal(&r->wake);
    thread_unlock(&r->lock);
}

void
reporter_forget(struct reporter *r, const char *key)
{
    thread_lock(&r->lock);
    struct map_slot *s = map_get(&r->entries, bytes_str(key));
    if (s != NULL) {
        struct entry *n = s->v.ptr;
        map_del(&r->entries, bytes_str(key));
        entry_free(n);
    }
    thread_unlock(&r->lock);
}

bool
reporter_healthy(struct reporter *r, struct err *e)
{
    thread_lock(&r->lock);
    bool ok = r->trouble.code == MR_OK;
    if (!ok)
        *e = r->trouble;
    thread_unlock(&r->lock);
    return ok;
}
