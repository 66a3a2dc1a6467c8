/* A worker's connections to the control topics: making them, following them. */
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/topics.h"
#include "task/worker_private.h"

#define TIMEOUT_MS 5000

static bool
is_lease_key(struct bytes key)
{
    return key.n > 7 &&
           (memcmp(key.p, "worker/", 7) == 0 || memmem(key.p, key.n, "/lease/", 7) != NULL);
}

/* "<task>/<half>" or "<task>/<half>/<n>" */
static bool
is_unit_key(const struct worker *w, struct bytes key)
{
    size_t n = strlen(w->program->half), at = TASK_ID_LEN + 1 + n;
    if (key.n < at || memcmp(key.p + TASK_ID_LEN + 1, w->program->half, n) != 0)
        return false;
    return key.n == at || (w->program->per_source && key.p[at] == '/' &&
                           memchr(key.p + at + 1, '/', key.n - at - 1) == NULL);
}

static void
read_unit(struct worker *w, struct bytes key, const struct json *j)
{
    bool fresh = false;
    bool stopped = strcmp(json_get_str(j, "state", ""), "stopped") == 0;
    struct map_slot *s = map_put(&w->stopped, key, &fresh);
    if (fresh)
        s->key = bytes_of(mem_strn(key), key.n);
    s->v.u = stopped ? json_get_u64(j, "generation", 0) : 0;
}

static bool
read_status(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct worker *w = ctx;
    struct json *j = NULL;
    struct err why = {0};
    (void)e;
    bool unit = m->key.p != NULL && is_unit_key(w, m->key);
    if (m->key.p == NULL || (!unit && !is_lease_key(m->key)))
        return true;
    if (m->value.p != NULL && !json_parse(m->value, &j, &why)) {
        log_warn("status_record", F_I64("offset", m->offset), F_ERR(&why));
        return true;
    }
    if (unit)
        read_unit(w, m->key, j);
    else
        lease_log_read(w->leases, m->key, j, clock_mono_ms());
    json_free(j);
    return true;
}

static bool
open_status(struct worker *w, struct err *e)
{
    struct log_conf conf = {.topic = TOPIC_STATUS,
                            .isolation = KAFKA_READ_COMMITTED,
                            .from = KAFKA_OFFSET_BEGIN,
                            .stop = &w->stop,
                            .timeout_ms = TIMEOUT_MS};
    struct lease_conf lease = {.half = w->program->half,
                               .name = w->name,
                               .instance = w->instance,
                               .beat_ms = (uint64_t)config_int(w->config, "heartbeat.ms"),
                               .dead_ms = (uint64_t)config_int(w->config, "heartbeat.dead.ms")};
    kafka_settings_load(w->config, "millrace-status", &conf.kafka);
    w->leases = lease_log_new(&lease, clock_wall_ms());
    return log_reader_open(&conf, &w->status, e) &&
           log_reader_to_end(w->status, read_status, w, e);
}

static void
want(struct worker *w, struct task *t, unsigned source)
{
    for (size_t i = 0; i < w->units_len; i++) {
        struct unit *u = w->units[i];
        if (u->source == source && strcmp(u->wanted->id, t->id) == 0) {
            unit_want(u, t);
            return;
        }
    }
    unit_add(w, t, source);
}

static void
want_task(struct worker *w, struct task *t)
{
    const struct worker_program *p = w->program;
    if (p->wants != NULL && !p->wants(p->ctx, t))
        return;
    size_t n = p->per_source ? t->sources_len : 1;
    for (size_t i = 0; i < n; i++)
        want(w, t, (unsigned)i);
}

void
worker_want_all(struct worker *w)
{
    for (size_t i = 0; i < task_store_len(w->store); i++)
        want_task(w, task_store_at(w->store, i));
}

static void
take_task(void *ctx, const struct task *t, const struct err *why)
{
    struct worker *w = ctx;
    if (t == NULL)
        log_error("task_record", F_ERR(why));
    else
        want_task(w, task_store_find_id(w->store, t->id));
}

static bool
open_all(struct worker *w, struct registry **registry, struct err *e)
{
    if (!topics_make(w->config, TIMEOUT_MS, e) || !registry_open(w->config, registry, e) ||
        !task_store_open(w->config, &w->stop, &w->store, e) || !open_status(w, e))
        return false;
    uint64_t term = lease_log_begin(w->leases, clock_wall_ms());
    w->me = (struct lease_id){w->name, w->instance, term};
    w->reporter = reporter_start(w->config, w->program->half, &w->me);
    worker_want_all(w);
    return true;
}

bool
worker_connect(struct worker *w, struct err *e)
{
    struct registry *registry = NULL;
    if (!open_all(w, &registry, e)) {
        registry_close(registry);
        worker_disconnect(w);
        return false;
    }
    thread_lock(&w->lock);
    w->registry = registry;
    w->connected = true;
    thread_unlock(&w->lock);
    return true;
}

void
worker_disconnect(struct worker *w)
{
    reporter_stop(w->reporter);
    log_reader_close(w->status);
    lease_log_free(w->leases);
    for (struct map_slot *s = NULL; (s = map_next(&w->stopped, s)) != NULL;)
        free((void *)(uintptr_t)s->key.p);
    map_free(&w->stopped);
    w->stopped = (struct map){0};
    task_store_close(w->store);
    registry_close(w->registry);
    w->reporter = NULL;
    w->status = NULL;
    w->leases = NULL;
    w->store = NULL;
    w->registry = NULL;
}

bool
worker_follow(struct worker *w, int timeout_ms, struct err *e)
{
    struct pollfd fds[] = {{.fd = log_reader_fd(w->status), .events = POLLIN},
                           {.fd = task_store_fd(w->store), .events = POLLIN},
                           {.fd = w->stop.fd, .events = POLLIN}};
    poll(fds, ARRAY_LEN(fds), timeout_ms);
    return log_reader_poll(w->status, 0, read_status, w, NULL, e) &&
           task_store_poll(w->store, 0, take_task, w, e);
}
