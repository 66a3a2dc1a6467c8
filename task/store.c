#include "task/store.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "kafka/log.h"
#include "kafka/producer.h"
#include "task/topics.h"

#define TIMEOUT_MS 15000
#define EDIT_MS    30000 /* for an edit that others overtake */
/* What a command that dies within an edit leaves open: who reads to the end waits for it. */
#define EDIT_OPEN_MS  10000
#define EDIT_PAUSE_MS 300

struct task_store {
    const struct config *config;
    const struct stop *stop;
    struct log_reader *reader;
    struct task **tasks; /* by creation: version 7 ids sort by time */
    size_t len;
    size_t cap;
    task_store_fn *fn; /* during a poll */
    void *ctx;
};

size_t
task_store_len(const struct task_store *s)
{
    return s->len;
}

struct task *
task_store_at(const struct task_store *s, size_t i)
{
    return s->tasks[i];
}

struct task *
task_store_find_id(const struct task_store *s, const char *id)
{
    for (size_t i = 0; i < s->len; i++) {
        if (strcmp(s->tasks[i]->id, id) == 0)
            return s->tasks[i];
    }
    return NULL;
}

struct task *
task_store_find(const struct task_store *s, const char *owner, const char *name)
{
    for (size_t i = 0; i < s->len; i++) {
        struct task *t = s->tasks[i];
        if (t->desired != TASK_DROPPED && strcmp(t->name, name) == 0 &&
            (owner == NULL || strcmp(t->owner, owner) == 0))
            return t;
    }
    return NULL;
}

static struct task *
find_prefix(const struct task_store *s, const char *prefix)
{
    for (size_t i = 0; i < s->len; i++) {
        struct task *t = s->tasks[i];
        if (t->desired != TASK_DROPPED && strcmp(t->prefix, prefix) == 0)
            return t;
    }
    return NULL;
}

static void
insert(struct task_store *s, struct task *t)
{
    if (s->len == s->cap) {
        s->cap = s->cap == 0 ? 16 : s->cap * 2;
        s->tasks = mem_realloc(s->tasks, s->cap * sizeof(*s->tasks));
    }
    size_t at = s->len++;
    for (; at > 0 && strcmp(s->tasks[at - 1]->id, t->id) > 0; at--)
        s->tasks[at] = s->tasks[at - 1];
    s->tasks[at] = t;
}

static void
forget(struct task_store *s, struct bytes id)
{
    for (size_t i = 0; i < s->len; i++) {
        if (!bytes_eq(bytes_str(s->tasks[i]->id), id))
            continue;
        task_unref(s->tasks[i]);
        memmove(&s->tasks[i], &s->tasks[i + 1], (s->len - i - 1) * sizeof(struct task *));
        s->len--;
        return;
    }
}

/* Takes t over. true: it counts. */
static bool
take(struct task_store *s, struct task *t)
{
    for (size_t i = 0; i < s->len; i++) {
        if (strcmp(s->tasks[i]->id, t->id) != 0)
            continue;
        bool counts = t->generation > s->tasks[i]->generation;
        task_unref(counts ? s->tasks[i] : t);
        if (counts)
            s->tasks[i] = t;
        return counts;
    }
    const struct task *clash = find_prefix(s, t->prefix);
    if (clash != NULL && t->desired != TASK_DROPPED) {
        log_warn("task_record_void", F_STR("task", t->name), F_STR("prefix_of", clash->name));
        task_unref(t);
        return false;
    }
    insert(s, t);
    return true;
}

static bool
read_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct task_store *s = ctx;
    struct task *t = NULL;
    (void)e;
    if (m->value.p == NULL) {
        forget(s, m->key);
        return true;
    }
    struct err why = {0};
    if (!task_from_json(m->value, &t, &why)) {
        if (s->fn != NULL)
            s->fn(s->ctx, NULL, &why);
        else
            log_error("task_record", F_I64("offset", m->offset), F_ERR(&why));
        return true;
    }
    if (!bytes_eq(bytes_str(t->id), m->key)) {
        task_unref(t);
        return true;
    }
    if (take(s, t) && s->fn != NULL)
        s->fn(s->ctx, t, NULL);
    return true;
}

bool
task_store_open(const struct config *c, const struct stop *stop, struct task_store **out,
                struct err *e)
{
    struct task_store *s = mem_zalloc(sizeof(*s));
    struct log_conf conf = {.topic = TOPIC_TASKS,
                            .isolation = KAFKA_READ_COMMITTED,
                            .from = KAFKA_OFFSET_BEGIN,
                            .stop = stop,
                            .timeout_ms = TIMEOUT_MS};
    s->config = c;
    s->stop = stop;
    kafka_settings_load(c, "millrace-tasks", &conf.kafka);
    if (!log_reader_open(&conf, &s->reader, e) || !task_store_refresh(s, e)) {
        task_store_close(s);
        return false;
    }
    *out = s;
    return true;
}

void
task_store_close(struct task_store *s)
{
    if (s == NULL)
        return;
    log_reader_close(s->reader);
    for (size_t i = 0; i < s->len; i++)
        task_unref(s->tasks[i]);
    free(s->tasks);
    free(s);
}

bool
task_store_refresh(struct task_store *s, struct err *e)
{
    return log_reader_to_end(s->reader, read_record, s, e);
}

bool
task_store_poll(struct task_store *s, int timeout_ms, task_store_fn *fn, void *ctx,
                struct err *e)
{
    s->fn = fn;
    s->ctx = ctx;
    bool ok = log_reader_poll(s->reader, timeout_ms, read_record, s, NULL, e);
    s->fn = NULL;
    return ok;
}

int
task_store_fd(const struct task_store *s)
{
    return log_reader_fd(s->reader);
}

static bool
check_put(const struct task_store *s, const struct task *t, struct err *e)
{
    const struct task *now = task_store_find_id(s, t->id);
    uint64_t have = now != NULL ? now->generation : 0;
    if (t->generation != have + 1)
        return err_set(e, MR_TASK_EDIT_RACE,
                       "task '%s' is at generation %" PRIu64 ", the edit was built on %" PRIu64,
                       t->name, have, t->generation - 1);
    if (t->desired == TASK_DROPPED)
        return true;
    const struct task *same = task_store_find(s, t->owner, t->name);
    if (same != NULL && strcmp(same->id, t->id) != 0)
        return err_set(e, MR_TASK_EXISTS, "task '%s' exists (id %s)", t->name, same->id);
    same = find_prefix(s, t->prefix);
    if (same != NULL && strcmp(same->id, t->id) != 0)
        return err_set(e, MR_TASK_EXISTS,
                       "the topic prefix '%s' is used by task '%s': choose another --prefix",
                       t->prefix, same->name);
    return true;
}

static bool
append(struct task_store *s, struct producer *p, struct bytes key, struct bytes value,
       struct err *e)
{
    struct producer_topic *topic = NULL;
    (void)s;
    if (!producer_topic(p, TOPIC_TASKS, 0, TIMEOUT_MS, &topic, e) || !producer_begin(p, e))
        return false;
    if (!producer_send_copy(p, topic, 0, key, value, e))
        return false;
    FAULT("task_put_before_commit");
    return producer_commit(p, TIMEOUT_MS, e);
}

/* Whether the log now holds exactly this record as the one that counts. */
static bool
holds(const struct task_store *s, const struct task *t, struct bytes value)
{
    const struct task *now = task_store_find_id(s, t->id);
    struct buf text = {0};
    if (now == NULL)
        return false;
    task_to_json(now, &text);
    bool same = bytes_eq(buf_bytes(&text), value);
    buf_free(&text);
    return same;
}

/* A producer that was fenced, whose commit has no known outcome, or whose record does not
 * count. */
static bool
overtaken(bool ok, const struct err *why)
{
    return ok || why->code == MR_KAFKA_FENCED || why->code == MR_KAFKA_UNKNOWN_OUTCOME;
}

/* The producer is fenced in: nobody else can have an edit under way that will still count.
 * *again: overtaken; *e then says by what, should it be the last attempt. */
static bool
put_fenced(struct task_store *s, struct producer *p, const struct task *t, struct bytes value,
           bool *again, struct err *e)
{
    struct err why = {0};
    *again = false;
    if (!producer_init_transactions(p, TIMEOUT_MS, e)) {
        *again = overtaken(false, e);
        return false;
    }
    if (!task_store_refresh(s, e))
        return false;
    if (holds(s, t, value))
        return true; /* an attempt's commit came through after all */
    if (!check_put(s, t, e))
        return false;
    bool ok = append(s, p, bytes_str(t->id), value, &why);
    FAULT("task_put_after_commit");
    if (!task_store_refresh(s, e))
        return false;
    if (holds(s, t, value))
        return true;
    *again = overtaken(ok, &why);
    if (*again)
        return err_set(e, MR_TASK_EDIT_RACE, "task '%s': other edits came first", t->name);
    *e = why;
    return false;
}

static bool
try_put(struct task_store *s, const struct task *t, struct bytes value, bool *again,
        struct err *e)
{
    struct producer_conf conf;
    struct producer *p = NULL;
    *again = false;
    producer_conf_load(&conf, s->config, "millrace-tasks");
    conf.transactional_id = TOPIC_TASKS;
    conf.transaction_timeout_ms = EDIT_OPEN_MS;
    conf.stop = s->stop;
    if (!producer_new(&conf, &p, e))
        return false;
    bool ok = put_fenced(s, p, t, value, again, e);
    producer_destroy(p);
    return ok;
}

/* All edits share one transactional id, so each fences those under way, of other tasks too: who
 * was overtaken looks again whether its edit still stands, and makes it again. Chance parts the
 * rivals. */
bool
task_store_put(struct task_store *s, struct task *t, struct err *e)
{
    struct buf value = {0};
    uint64_t until = clock_mono_ms() + EDIT_MS;
    bool ok, again;
    t->updated_us = clock_wall_us();
    task_to_json(t, &value);
    while (!(ok = try_put(s, t, buf_bytes(&value), &again, e)) && again &&
           clock_mono_ms() < until)
        clock_sleep_ms((unsigned)(random_u64() % EDIT_PAUSE_MS));
    buf_free(&value);
    return ok;
}
