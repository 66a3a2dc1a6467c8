/* A unit of work under the frame: claimed, run in its own thread, reported, stopped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "task/worker_private.h"

#define CLAIM_AGAIN_MS 3000

static const struct metric_def failovers_total = {
    "millrace_failovers_total", "restarts of a task's half without an operator", METRIC_COUNTER,
    false};

struct worker *
unit_worker(struct unit *u)
{
    return u->worker;
}

const struct task *
unit_task(const struct unit *u)
{
    return u->running;
}

unsigned
unit_source(const struct unit *u)
{
    return u->source;
}

const char *
unit_name(const struct unit *u)
{
    return u->name;
}

const struct config *
unit_config(const struct unit *u)
{
    return u->config;
}

struct stop *
unit_stop(struct unit *u)
{
    return &u->stop;
}

void
unit_progress(struct unit *u)
{
    thread_lock(&u->worker->lock);
    policy_progress(&u->policy);
    thread_unlock(&u->worker->lock);
}

/* Hands the unit's status to the reporter; under the worker's lock. */
static void
publish(struct unit *u, bool urgent)
{
    reporter_keep(u->worker->reporter, u->status_key, status_unit_to_json(&u->status),
                  urgent ? REPORT_URGENT : REPORT_LAZY, true);
}

static void
set_state(struct unit *u, enum status_state state, const struct err *err)
{
    thread_lock(&u->worker->lock);
    if (u->status.state != state)
        u->status.since_ms = clock_wall_ms();
    u->status.state = state;
    if (err != NULL)
        u->status.err = *err;
    else
        err_clear(&u->status.err);
    publish(u, true);
    thread_unlock(&u->worker->lock);
}

void
unit_report(struct unit *u, const struct status_unit *s)
{
    thread_lock(&u->worker->lock);
    struct status_unit *now = &u->status;
    enum status_state state = s->err.code != MR_OK ? STATUS_RETRYING : STATUS_RUNNING;
    bool urgent = now->state != state || now->phase != s->phase ||
                  now->err.code != s->err.code || strcmp(now->err.text, s->err.text) != 0;
    if (now->state != state)
        now->since_ms = clock_wall_ms();
    now->state = state;
    now->phase = s->phase;
    now->err = s->err;
    now->source_us = s->source_us;
    now->rows = s->rows;
    if (s->position != NULL && s->position != now->position) {
        json_free(now->position);
        now->position = json_ref(s->position);
    }
    publish(u, urgent);
    thread_unlock(&u->worker->lock);
}

void
unit_report_table(struct unit *u, const struct status_table *t)
{
    char *key = mem_printf("%s%s.%s", u->table_key, t->db, t->table);
    bool urgent = t->state == STATUS_TABLE_STOPPED || t->err.code != MR_OK;
    struct json *j = status_table_to_json(t);
    json_set(j, "inc", status_hex(u->running->inc));
    reporter_keep(u->worker->reporter, key, j, urgent ? REPORT_URGENT : REPORT_LAZY, false);
    free(key);
}

static bool
attempt(struct unit *u, struct err *e)
{
    const struct worker_program *p = u->worker->program;
    if (u->dropping)
        return p->dropped == NULL || p->dropped(p->ctx, u, e);
    return p->run(p->ctx, u, e);
}

static struct policy_decision
decide(struct unit *u, const struct err *e)
{
    thread_lock(&u->worker->lock);
    struct policy_decision d = policy_decide(&u->policy, e, random_u64());
    u->status.failovers = u->policy.failovers;
    thread_unlock(&u->worker->lock);
    char code[16];
    snprintf(code, sizeof(code), "MR%04d", (int)e->code);
    struct metric_labels labels = {
        .task = u->running->name, .other_name = "reason", .other = code};
    metric_add(metrics_get(&failovers_total, labels), 1);
    return d;
}

static void
unit_main(void *arg)
{
    struct unit *u = arg;
    u->outcome = UNIT_ENDED;
    while (!stop_asked(&u->stop)) {
        struct err e = {0};
        bool ok = attempt(u, &e);
        if (ok || stop_asked(&u->stop))
            break;
        struct policy_decision d = decide(u, &e);
        if (d.action == POLICY_STOP_TASK || d.action == POLICY_STOP_TABLE) {
            log_error("task_failed", F_STR("task", u->name), F_ERR(&e));
            u->outcome = UNIT_FAILED;
            u->failure = e;
            break;
        }
        log_warn("task_retry", F_STR("task", u->name), F_U64("wait_ms", d.wait_ms), F_ERR(&e));
        set_state(u, STATUS_RETRYING, &e);
        stop_wait(&u->stop, (int)d.wait_ms);
    }
    atomic_store(&u->ended, true);
}

/* Config of the worker under the params of the task; a param that is not valid any more (an
 * older command checked it) is left out, loudly. */
static struct config *
task_config(const struct worker *w, const struct task *t)
{
    struct config *c = config_copy(w->config);
    const char *key = NULL;
    struct json *value = NULL;
    for (void *it = NULL; (it = json_next(t->params, it, &key, &value)) != NULL;) {
        struct err e = {0};
        if (!config_set(c, key, json_str_value(value, ""), CONFIG_FROM_TASK, &e))
            log_error("task_param", F_STR("task", t->name), F_ERR(&e));
    }
    return c;
}

static void
start(struct unit *u, bool dropping)
{
    struct worker *w = u->worker;
    u->running = task_ref(u->wanted);
    u->config = task_config(w, u->running);
    u->dropping = dropping;
    atomic_store(&u->ended, false);
    stop_init(&u->stop, &w->stop);
    thread_lock(&w->lock);
    struct status_unit old = {0};
    if (u->status.inc == u->running->inc)
        old = u->status;
    else
        json_free(u->status.position);
    u->status = (struct status_unit){.phase = old.phase,
                                     .source_us = old.source_us,
                                     .position = old.position,
                                     .worker = w->name,
                                     .instance = w->instance,
                                     .generation = u->running->generation,
                                     .inc = u->running->inc,
                                     .failovers = u->policy.failovers};
    policy_progress(&u->policy);
    thread_unlock(&w->lock);
    set_state(u, STATUS_STARTING, NULL);
    log_info(dropping ? "task_drop" : "task_start", F_STR("task", u->name),
             F_U64("generation", u->running->generation));
    char name[16];
    snprintf(name, sizeof(name), "u-%.12s", u->running->name);
    thread_start(&u->thread, name, unit_main, u);
}

static void
finish(struct unit *u)
{
    thread_join(&u->thread);
    stop_free(&u->stop);
    config_free(u->config);
    task_unref(u->running);
    u->config = NULL;
    u->running = NULL;
}

/* The log the task needs is gone, and its record says what then: everything again. */
static void
resync(struct unit *u)
{
    struct task *t = task_copy(u->wanted);
    struct err e = {0};
    t->generation++;
    t->inc = random_u64();
    json_free(t->position);
    t->position = NULL;
    bool ok = task_store_put(u->worker->store, t, &e);
    if (ok)
        log_warn("task_resync", F_STR("task", u->name),
                 F_STR("reason", "purged log, on_gap resync"));
    else
        log_error("task_resync", F_STR("task", u->name), F_ERR(&e));
    task_unref(t);
    worker_want_all(u->worker); /* writing has read what others wrote, too */
}

static void
release(struct unit *u)
{
    struct worker *w = u->worker;
    reporter_once(w->reporter, u->lease_key, lease_claim_record(&w->me, clock_wall_ms(), true));
    u->owned = false;
}

/* What a thread that ended means. */
static void
settle(struct unit *u)
{
    uint64_t generation = u->running->generation;
    bool dropped = u->dropping && u->outcome == UNIT_ENDED;
    struct err failure = u->failure;
    enum unit_outcome outcome = u->outcome;
    finish(u);
    if (outcome == UNIT_FAILED) {
        u->done_generation = generation;
        set_state(u, STATUS_FAILED, &failure);
        if (failure.code == MR_SOURCE_PURGED && u->wanted->on_gap == TASK_GAP_RESYNC &&
            u->wanted->generation == generation)
            resync(u);
    } else if (dropped && !stop_asked(&u->worker->stop)) {
        u->done_generation = generation;
        set_state(u, STATUS_STOPPED, NULL);
        log_info("task_dropped", F_STR("task", u->name));
        release(u);
    }
}

static void
claim(struct unit *u)
{
    struct worker *w = u->worker;
    uint64_t now = clock_mono_ms();
    if (u->claim_sent_ms != 0 && now - u->claim_sent_ms < CLAIM_AGAIN_MS)
        return;
    u->claim_sent_ms = now;
    reporter_once(w->reporter, u->lease_key,
                  lease_claim_record(&w->me, clock_wall_ms(), false));
}

/* Whether the unit is ours now; claims it when it is free. */
static bool
own(struct unit *u)
{
    struct worker *w = u->worker;
    struct lease_claim c;
    bool before = u->owned;
    if (!lease_log_ready(w->leases))
        return false;
    lease_log_claim(w->leases, u->lease_key, &c);
    enum lease_action action = lease_decide(&w->me, &c);
    u->owned = action == LEASE_RUN;
    if (u->owned)
        u->claim_sent_ms = 0;
    if (action == LEASE_CLAIM)
        claim(u);
    if (before && !u->owned)
        log_warn("unit_lost", F_STR("task", u->name), F_STR("to", c.none ? "" : c.by.name));
    else if (!before && u->owned)
        log_info("unit_claimed", F_STR("task", u->name));
    return u->owned;
}

/* A unit that is ours and has no thread: what its task's record wishes. */
static void
carry_out(struct unit *u)
{
    const struct task *t = u->wanted;
    if (t->generation <= u->done_generation)
        return;
    if (t->desired == TASK_RUNNING || t->desired == TASK_DROPPED) {
        start(u, t->desired == TASK_DROPPED);
        return;
    }
    thread_lock(&u->worker->lock);
    u->status.worker = u->worker->name;
    u->status.instance = u->worker->instance;
    u->status.generation = t->generation;
    u->status.inc = t->inc;
    thread_unlock(&u->worker->lock);
    u->done_generation = t->generation;
    set_state(u, STATUS_STOPPED, NULL);
    log_info("task_stopped", F_STR("task", u->name), F_U64("generation", t->generation));
}

/* A task that was dropped while no worker of this half was there is cleaned up now. */
static bool
is_cleaned_up(const struct unit *u)
{
    const struct map_slot *s = map_get(&u->worker->stopped, bytes_str(u->status_key));
    return u->wanted->desired == TASK_DROPPED && s != NULL && s->v.u >= u->wanted->generation;
}

void
unit_step(struct unit *u)
{
    if (u->thread.running && atomic_load(&u->ended))
        settle(u);
    bool over =
        u->wanted->desired == TASK_DROPPED && u->done_generation == u->wanted->generation;
    if (!u->thread.running && (over || is_cleaned_up(u))) {
        u->gone = true;
        return;
    }
    bool mine = own(u);
    if (u->running != NULL) {
        if (!mine || u->wanted->generation != u->running->generation)
            stop_ask(&u->stop);
    } else if (mine) {
        carry_out(u);
    }
}

void
unit_want(struct unit *u, struct task *t)
{
    if (t == u->wanted)
        return;
    task_ref(t);
    task_unref(u->wanted);
    u->wanted = t;
}

static void
name_keys(struct unit *u)
{
    const struct task *t = u->wanted;
    const char *half = u->worker->program->half;
    unsigned n = t->sources[u->source].n;
    if (u->worker->program->per_source) {
        u->status_key = mem_printf("%s/%s/%u", t->id, half, n);
        u->table_key = mem_printf("%s/%s/%u/", t->id, half, n);
        u->lease_key = mem_printf("%s/lease/%s/%u", t->id, half, n);
    } else {
        u->status_key = mem_printf("%s/%s", t->id, half);
        u->table_key = mem_printf("%s/table/", t->id);
        u->lease_key = mem_printf("%s/lease/%s", t->id, half);
    }
    u->name = t->sources_len > 1 && u->worker->program->per_source
                  ? mem_printf("%s/%u", t->name, n)
                  : mem_strdup(t->name);
}

void
unit_add(struct worker *w, struct task *t, unsigned source)
{
    struct unit *u = mem_zalloc(sizeof(*u));
    u->worker = w;
    u->source = source;
    u->wanted = task_ref(t);
    name_keys(u);
    if (is_cleaned_up(u)) {
        unit_free(u);
        return;
    }
    if (w->units_len == w->units_cap) {
        w->units_cap = w->units_cap == 0 ? 16 : w->units_cap * 2;
        w->units = mem_realloc(w->units, w->units_cap * sizeof(struct unit *));
    }
    w->units[w->units_len++] = u;
}

void
unit_join(struct unit *u)
{
    if (u->thread.running)
        finish(u);
    if (u->owned)
        release(u);
}

void
unit_free(struct unit *u)
{
    json_free(u->status.position);
    task_unref(u->wanted);
    free(u->status_key);
    free(u->table_key);
    free(u->lease_key);
    free(u->name);
    free(u);
}
