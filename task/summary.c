#include "task/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 3

const char *
summary_reason_text(enum summary_reason r)
{
    static const char *const texts[] = {"", "paused", "failed", "created", "undeployed"};
    return texts[r];
}

/* A half of the task at work: capture of one source, or apply. */
struct half {
    const char *name; /* "capture", "apply" */
    bool known;       /* has a status of the task's incarnation */
    bool worker;      /* a worker of this half is on line */
    bool alive;       /* the very worker of the status is */
    struct status_unit s;
};

struct gather {
    const struct task *task;
    const struct status_map *map;
    uint64_t now_ms;
    struct summary *out;
    struct half halves[TASK_SOURCES_MAX + 1];
    size_t halves_len;
    size_t tables_cap;
    struct buf errors;
    size_t errors_len;
};

static bool
is_recent(const struct gather *g, const struct json *beat)
{
    if (beat == NULL || json_get_bool(beat, "stopped", false))
        return false;
    return json_get_u64(beat, "ts_ms", 0) + SUMMARY_ALIVE_MS > g->now_ms;
}

static bool
key_starts(struct bytes key, const char *prefix, size_t n)
{
    return key.n > n && memcmp(key.p, prefix, n) == 0;
}

static bool
any_worker(const struct gather *g, const char *half)
{
    char prefix[64];
    size_t n = (size_t)snprintf(prefix, sizeof(prefix), "worker/%s/", half);
    for (struct map_slot *s = NULL; (s = map_next(&g->map->records, s)) != NULL;) {
        if (key_starts(s->key, prefix, n) && is_recent(g, s->v.ptr))
            return true;
    }
    return false;
}

static bool
this_worker(struct gather *g, const char *half, const struct status_unit *s)
{
    char key[160], instance[20];
    snprintf(key, sizeof(key), "worker/%s/%s", half, s->worker);
    snprintf(instance, sizeof(instance), "%016llx", (unsigned long long)s->instance);
    const struct json *beat = status_map_get(g->map, key);
    return is_recent(g, beat) && strcmp(json_get_str(beat, "instance", ""), instance) == 0;
}

static void
add_half(struct gather *g, const char *name, const char *key, bool worker)
{
    struct half *h = &g->halves[g->halves_len++];
    struct err ignored = {0};
    const struct json *j = status_map_get(g->map, key);
    *h = (struct half){.name = name, .worker = worker};
    if (j == NULL || !status_unit_from_json(j, &g->out->mem, &h->s, &ignored))
        return;
    json_free(h->s.position);
    h->s.position = NULL;
    h->known = h->s.inc == g->task->inc;
    h->alive = this_worker(g, name, &h->s);
}

static void
gather_halves(struct gather *g)
{
    const struct task *t = g->task;
    char key[80];
    g->out->capture_alive = any_worker(g, "capture");
    g->out->apply_alive = any_worker(g, "apply");
    for (size_t i = 0; i < t->sources_len; i++) {
        snprintf(key, sizeof(key), "%s/capture/%u", t->id, t->sources[i].n);
        add_half(g, "capture", key, g->out->capture_alive);
    }
    if (t->sink_type == TASK_SINK_KAFKA)
        return;
    snprintf(key, sizeof(key), "%s/apply", t->id);
    add_half(g, "apply", key, g->out->apply_alive);
}

static void
add_error(struct gather *g, const char *where, const struct err *e)
{
    char text[ERR_TEXT_MAX + 512];
    if (e->code == MR_OK)
        return;
    if (g->out->code == MR_OK)
        g->out->code = e->code;
    if (g->errors_len++ >= ERRORS_MAX)
        return;
    if (g->errors_len > 1)
        buf_add_str(&g->errors, "; ");
    buf_addf(&g->errors, "%s%s", where, err_format(e, text, sizeof(text)));
}

static struct summary_table *
find_table(struct gather *g, const struct status_table *s)
{
    struct summary *out = g->out;
    for (size_t i = 0; i < out->tables_len; i++) {
        struct summary_table *t = &out->tables[i];
        if (strcmp(t->s.table, s->table) == 0 && strcmp(t->s.db, s->db) == 0)
            return t;
    }
    if (out->tables_len == g->tables_cap) {
        g->tables_cap = g->tables_cap == 0 ? 64 : g->tables_cap * 2;
        struct summary_table *more =
            arena_zalloc(&out->mem, g->tables_cap * sizeof(*out->tables));
        if (out->tables_len > 0)
            memcpy(more, out->tables, out->tables_len * sizeof(*more));
        out->tables = more;
    }
    struct summary_table *t = &out->tables[out->tables_len++];
    t->s = *s;
    return t;
}

static void
add_table(struct gather *g, const struct json *j, const struct half *h)
{
    struct status_table s;
    struct err ignored = {0};
    if (status_hex_value(j, "inc") != g->task->inc ||
        !status_table_from_json(j, &g->out->mem, &s, &ignored))
        return;
    struct summary_table *t = find_table(g, &s);
    bool capture = strcmp(h->name, "capture") == 0;
    uint64_t us = s.follows ? h->s.source_us : s.source_us;
    if (capture) {
        t->load_rows = s.rows;
        t->load_total = s.rows_total;
    }
    if (!capture || g->task->sink_type == TASK_SINK_KAFKA) {
        t->known_at_target = true;
        t->s = s;
        t->source_us = us;
    } else if (s.state == STATUS_TABLE_STOPPED || s.state == STATUS_TABLE_LOADING ||
               s.state == STATUS_TABLE_DROPPED) {
        t->s.state = s.state;
        if (s.err.code != MR_OK)
            t->s.err = s.err;
    }
}

/* Apply's word about a table first, then what capture adds to it. */
static void
gather_tables(struct gather *g, const char *prefix, const struct half *h)
{
    size_t n = strlen(prefix);
    for (struct map_slot *s = NULL; (s = map_next(&g->map->records, s)) != NULL;) {
        if (key_starts(s->key, prefix, n) && s->v.ptr != NULL)
            add_table(g, s->v.ptr, h);
    }
}

static int
table_compare(const void *a, const void *b)
{
    const struct summary_table *x = a, *y = b;
    int c = strcmp(x->s.db, y->s.db);
    return c != 0 ? c : strcmp(x->s.table, y->s.table);
}

static void
gather_all_tables(struct gather *g)
{
    const struct task *t = g->task;
    struct summary *out = g->out;
    char prefix[80];
    if (t->sink_type != TASK_SINK_KAFKA) {
        snprintf(prefix, sizeof(prefix), "%s/table/", t->id);
        gather_tables(g, prefix, &g->halves[g->halves_len - 1]);
    }
    for (size_t i = 0; i < t->sources_len; i++) {
        snprintf(prefix, sizeof(prefix), "%s/capture/%u/", t->id, t->sources[i].n);
        gather_tables(g, prefix, &g->halves[i]);
    }
    if (out->tables_len > 1)
        qsort(out->tables, out->tables_len, sizeof(*out->tables), table_compare);
}

static bool
is_failed(const struct gather *g)
{
    for (size_t i = 0; i < g->halves_len; i++) {
        const struct half *h = &g->halves[i];
        if (h->known && h->s.state == STATUS_FAILED && h->s.generation == g->task->generation)
            return true;
    }
    return false;
}

/* Every half still reports the stop of an older record: the start has not happened yet. */
static bool
is_not_started_again(const struct gather *g)
{
    for (size_t i = 0; i < g->halves_len; i++) {
        const struct half *h = &g->halves[i];
        bool stopped = h->known && h->s.generation < g->task->generation &&
                       (h->s.state == STATUS_STOPPED || h->s.state == STATUS_FAILED);
        if (!stopped)
            return false;
    }
    return true;
}

static bool
is_at_work(const struct half *h)
{
    return h->known && h->alive &&
           (h->s.state == STATUS_STARTING || h->s.state == STATUS_RUNNING ||
            h->s.state == STATUS_RETRYING);
}

static bool
any_at_work(const struct gather *g)
{
    for (size_t i = 0; i < g->halves_len; i++) {
        if (is_at_work(&g->halves[i]))
            return true;
    }
    return false;
}

/* A half has carried out the wish, or there is no worker that could. */
static bool
is_settled(const struct gather *g)
{
    for (size_t i = 0; i < g->halves_len; i++) {
        const struct half *h = &g->halves[i];
        bool done = h->known && h->s.generation >= g->task->generation &&
                    (h->s.state == STATUS_STOPPED || h->s.state == STATUS_FAILED);
        if (!done && h->worker)
            return false;
    }
    return true;
}

static void
decide_state(struct gather *g)
{
    struct summary *out = g->out;
    switch (g->task->desired) {
    case TASK_RUNNING:
        out->running = true;
        if (is_failed(g)) {
            out->running = false;
            out->reason = SUMMARY_FAILED;
        } else if (is_not_started_again(g)) {
            out->running = false;
            out->reason = SUMMARY_PAUSED;
        }
        return;
    case TASK_STOPPED:
        out->running = any_at_work(g);
        if (!out->running)
            out->reason = g->task->generation == 1 ? SUMMARY_CREATED : SUMMARY_PAUSED;
        return;
    case TASK_UNDEPLOYED:
    case TASK_DROPPED:
        out->running = any_at_work(g);
        if (!out->running)
            out->reason = SUMMARY_UNDEPLOYED;
        return;
    }
}

/* Tables are found one by one: apply may have met none but loaded ones yet. */
static bool
has_table_on_its_way(const struct gather *g)
{
    for (size_t i = 0; i < g->out->tables_len; i++) {
        const struct summary_table *t = &g->out->tables[i];
        if (!t->known_at_target && t->s.state != STATUS_TABLE_STOPPED &&
            t->s.state != STATUS_TABLE_DROPPED)
            return true;
    }
    return false;
}

static void
decide_phase(struct gather *g)
{
    g->out->phase = has_table_on_its_way(g) ? STATUS_FULL_LOAD : STATUS_INCREMENTAL;
    for (size_t i = 0; i < g->halves_len; i++) {
        const struct half *h = &g->halves[i];
        enum status_phase p = h->known ? h->s.phase : STATUS_INITIALIZATION;
        if (p < g->out->phase)
            g->out->phase = p;
    }
}

static void
missing_worker(struct gather *g)
{
    struct err e = {0};
    const char *which = NULL;
    bool needs_apply = g->task->sink_type != TASK_SINK_KAFKA;
    if (!g->out->capture_alive)
        which = needs_apply && !g->out->apply_alive ? "capture and apply" : "capture";
    else if (needs_apply && !g->out->apply_alive)
        which = "apply";
    if (which == NULL)
        return;
    err_set(&e, MR_NO_WORKER, "no %s worker", which);
    add_error(g, "", &e);
}

/* Trouble with Kafka that another half has told already. */
static bool
told_before(const struct gather *g, size_t half)
{
    enum err_code code = g->halves[half].s.err.code;
    for (size_t i = 0; i < half; i++)
        if (g->halves[i].known && g->halves[i].s.err.code == code && code / 1000 == 2)
            return true;
    return false;
}

static void
gather_errors(struct gather *g)
{
    char where[300];
    for (size_t i = 0; i < g->halves_len; i++) {
        const struct half *h = &g->halves[i];
        bool says = h->s.state == STATUS_FAILED ? h->s.generation == g->task->generation
                                                : g->out->running;
        if (h->known && says && !told_before(g, i))
            add_error(g, "", &h->s.err);
    }
    for (size_t i = 0; i < g->out->tables_len; i++) {
        const struct summary_table *t = &g->out->tables[i];
        snprintf(where, sizeof(where), "table %s.%s: ", t->s.db, t->s.table);
        if (t->s.state == STATUS_TABLE_STOPPED)
            add_error(g, where, &t->s.err);
    }
    if (g->out->running)
        missing_worker(g);
    if (g->errors_len > ERRORS_MAX)
        buf_addf(&g->errors, "; and %zu more", g->errors_len - ERRORS_MAX);
    g->out->err_msg = arena_strdup(&g->out->mem, buf_cstr(&g->errors));
}

void
summary_make(const struct task *t, const struct status_map *m, uint64_t now_ms,
             struct summary *out)
{
    struct gather g = {.task = t, .map = m, .now_ms = now_ms, .out = out};
    *out = (struct summary){.err_msg = ""};
    arena_init(&out->mem, 0);
    gather_halves(&g);
    gather_all_tables(&g);
    decide_state(&g);
    decide_phase(&g);
    gather_errors(&g);
    out->settled = is_settled(&g);
    const struct half *last = &g.halves[g.halves_len - 1];
    if (last->known) {
        out->source_us = last->s.source_us;
        out->rows = last->s.rows;
    }
    for (size_t i = 0; i < g.halves_len; i++)
        out->failovers += g.halves[i].s.failovers;
    buf_free(&g.errors);
}

void
summary_free(struct summary *s)
{
    arena_free(&s->mem);
}
