/* Dispatch: what the gate has decided becomes jobs for lanes.
 *
 * consistency table: a job per table; the next one is handed out when the one before is back,
 * or ahead of that when it is large, so that a busy target gets ever larger batches and an idle
 * one gets each cut at once. A sink whose commits are dear (sink_manner.gather_us) gets one a
 * table in that time, unless there is enough for one, an event waits, or memory is half full.
 * consistency task: one job of all tables with rows at a boundary cut; when a source
 * transaction has more rows than atomic.rows.max, at any cut (counted and logged). The
 * checkpoints of the others follow now and then; a turn costs what the tables cost that have
 * something to do.
 *
 * gate_take happens here, before the target commits: if the commit does not happen the run ends
 * and begins again from the stored checkpoints. Death at any line loses memory only.
 *
 * Thread: intake.
 */
#include "apply/apply.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define AHEAD_BYTES   ((uint64_t)1 << 20)
#define IDLE_STORE_US UINT64_C(30000000)
#define END_WAIT_US   100000u

void
job_free(struct job *j)
{
    for (size_t i = 0; i < j->len; i++) {
        struct job_slice *s = j->slices + i;
        for (size_t p = 0; s->parts && p < s->table->parts_len; p++)
            fifo_span_free(&s->parts[p].rows);
        free(s->parts);
    }
    free(j->slices);
    free(j->event.to_table);
    free(j);
}

static struct job *
job_new(enum job_kind kind, size_t len)
{
    struct job *j = mem_zalloc(sizeof *j);
    j->kind = kind;
    j->slices = mem_array(len, sizeof *j->slices);
    j->len = len;
    return j;
}

static void
send(struct apply_run *r, struct lane *l, struct job *j)
{
    r->in_flight++;
    for (size_t i = 0; i < j->len; i++) {
        j->slices[i].table->in_flight++;
        j->slices[i].table->in_flight_bytes += j->bytes;
    }
    if (!ring_push(l->jobs, j))
        mem_die("a lane's ring was closed while intake runs");
}

/* The plans the lane needs: it does not walk the list, which grows here. */
static bool
set_plans(struct apply_run *r, struct apply_table *t)
{
    struct checkpoint *ck = tables_stored(r, t->target);
    uint32_t number = 0, intent = 0;
    if (ck && ck->inc == r->task->inc) {
        number = checkpoint_topic(ck, t->topic)->version;
        intent = steps_intent_version(ck);
    }
    const struct plan *oldest = t->plans;
    while (oldest && oldest->older)
        oldest = oldest->older;
    t->own.plan = number ? tables_plan(t, number) : oldest;
    t->own.intent_plan = intent ? tables_plan(t, intent) : NULL;
    if (t->own.plan && (!intent || t->own.intent_plan))
        return true;
    struct err e = {0};
    err_set(&e, MR_SCHEMA_UNKNOWN, "%s: version %u is not in the progress topic", t->topic,
            t->own.plan ? intent : number);
    tables_stop(t, &e);
    return false;
}

void
dispatch_open(struct apply_run *r, struct apply_table *t)
{
    if (!set_plans(r, t))
        return;
    struct job *j = job_new(JOB_OPEN, 1);
    j->slices[0].table = t;
    t->own.entered = t->enters.epoch != 0;
    t->state = TABLE_OPENING;
    send(r, t->lane, j);
}

/* How many of the first n rows of a partition are void: they are marked. Few partitions have
 * any, and then no row needs to be touched. */
static size_t
skip_void(const struct gate *g, struct apply_part *p, size_t n)
{
    size_t voids = 0;
    for (size_t k = 0; k < n; k++)
        voids += gate_row_void(g, p->gate, k);
    struct fifo_cursor c = fifo_walk(&p->rows);
    for (size_t k = 0; voids && k < n; k++)
        fifo_next(&c)->skip = gate_row_void(g, p->gate, k);
    return voids;
}

/* The decided rows of a table leave its queues. */
static void
take_rows(struct apply_table *t, struct job_slice *s)
{
    struct gate *g = t->run->gate;
    s->table = t;
    s->parts = mem_array(t->parts_len, sizeof *s->parts);
    for (size_t i = 0; i < t->parts_len; i++) {
        struct apply_part *p = t->parts + i;
        struct job_part *out = s->parts + i;
        size_t n = gate_part_take(g, p->gate);
        out->partition = p->id;
        out->last = gate_part_last(g, p->gate);
        s->rows += n - skip_void(g, p, n);
        out->rows = fifo_take(&p->rows, n);
    }
}

/* Thin tables become normal again when nothing thin is left. */
static void
check_thin(struct apply_table *t)
{
    if (!t->thin)
        return;
    for (size_t i = 0; i < t->parts_len; i++)
        if (t->parts[i].rows.n)
            return;
    t->thin = false;
    t->run->thin_tables--;
}

MUST static bool
take_event(struct apply_run *r, const struct gate_decision *d, struct job *j, struct err *e)
{
    if (!d->event)
        return true;
    if (d->event->table < r->tables_len)
        j->event.table = r->tables[d->event->table];
    j->event.kind = d->event->kind;
    j->event.id = d->event->id;
    if (!j->event.table || d->event->kind != EVENT_VERSION)
        return true;
    j->event.plan = tables_plan(j->event.table, d->event->version);
    return moves_take(r, d->event, &j->event, e);
}

static uint64_t
idle_us(const struct apply_run *r)
{
    return r->manner.idle_us ? r->manner.idle_us : IDLE_STORE_US;
}

static bool
store_due(const struct apply_table *t, uint64_t now)
{
    return now - t->stored_us >= idle_us(t->run);
}

MUST static bool
take(struct apply_run *r, struct apply_table **tables, size_t n, const struct gate_decision *d,
     struct err *e)
{
    struct job *j = job_new(JOB_BATCH, n);
    j->cut = d->cut;
    j->progress_offset = d->progress_offset;
    j->commit_us = d->commit_us;
    j->rows = d->rows;
    j->bytes = d->bytes;
    if (!take_event(r, d, j, e)) {
        job_free(j);
        return false;
    }
    uint64_t now = clock_mono_us();
    for (size_t i = 0; i < n; i++) {
        struct job_slice *s = j->slices + i;
        take_rows(tables[i], s);
        s->store =
            s->rows || j->event.table == tables[i] || !d->rows || store_due(tables[i], now);
    }
    gate_take(r->gate, r->by_task ? GATE_ALL : tables[0]->gate, d);
    for (size_t i = 0; i < n; i++) {
        check_thin(tables[i]);
        tables[i]->wants_end_us = 0;
        tables[i]->taken_us = now;
        tables[i]->due_us = 0;
    }
    send(r, tables[0]->lane, j);
    return true;
}

static bool
may_dispatch(const struct apply_table *t)
{
    return t->in_flight == 0 || (t->in_flight == 1 && t->in_flight_bytes > 0);
}

/* One that is behind another in flight must be worth it. */
static bool
worth(const struct apply_table *t, const struct gate_decision *d)
{
    return t->in_flight == 0 || (d->bytes >= AHEAD_BYTES && !d->event);
}

/* Worth a commit of a sink that gathers; else t->due_us says when it will be. */
static bool
due(struct apply_run *r, struct apply_table *t, const struct gate_decision *d)
{
    const struct sink_manner *m = &r->manner;
    uint64_t at = t->taken_us + m->gather_us;
    if (!m->gather_us || !t->taken_us || d->event || d->bytes >= m->gather_bytes ||
        d->rows >= m->gather_rows || atomic_load(&r->rows_used) >= r->rows_max / 2 ||
        clock_mono_us() >= at)
        return true;
    t->due_us = at;
    return false;
}

static void
note_end(struct apply_table *t, bool wants_end)
{
    if (!wants_end)
        t->wants_end_us = 0;
    else if (!t->wants_end_us)
        t->wants_end_us = clock_mono_us();
    if (t->wants_end_us)
        tables_wake(t);
}

/* Keeps the stored checkpoint of a quiet table near the present. */
MUST static bool
store_idle(struct apply_run *r, struct apply_table *t, struct err *e)
{
    struct gate_decision d;
    uint64_t now = clock_mono_us();
    if (t->in_flight || !store_due(t, now))
        return true;
    t->stored_us = now;
    return !gate_idle(r->gate, t->gate, &d) || take(r, &t, 1, &d, e);
}

MUST static bool
take_one(struct apply_run *r, struct apply_table *t, const struct gate_decision *d,
         bool *worked, struct err *e)
{
    bool may;
    if (!moves_may(r, d, &may, e)) {
        if (e->class != ERR_TABLE)
            return false;
        tables_stop(t, e);
        err_clear(e);
        return true;
    }
    tables_touch(t);
    if (may && !take(r, &t, 1, d, e))
        return false;
    *worked |= may;
    return true;
}

MUST static bool
dispatch_table(struct apply_run *r, struct apply_table *t, bool *worked, struct err *e)
{
    if (!may_dispatch(t))
        return true;
    if (t->due_us && clock_mono_us() >= t->due_us)
        t->dirty = true;
    if (t->dirty) {
        struct gate_decision d;
        t->dirty = false;
        if (!gate_decide(r->gate, t->gate, false, &d, e))
            return err_wrap(e, "%s", t->target);
        note_end(t, d.wants_end);
        if (d.ready && worth(t, &d) && due(r, t, &d))
            return take_one(r, t, &d, worked, e);
    }
    return store_idle(r, t, e);
}

/* consistency task: what a job holds of all tables. */
static bool
joins(const struct apply_table *t, const struct gate_decision *d, uint64_t now)
{
    const struct gate *g = t->run->gate;
    if (t->state != TABLE_RUNNING)
        return false;
    for (size_t i = 0; i < t->parts_len; i++)
        if (gate_part_take(g, t->parts[i].gate))
            return true;
    return (d->event && d->event->table == t->gate) || store_due(t, now);
}

/* Tables with rows to take are active. */
MUST static bool
take_group(struct apply_run *r, const struct gate_decision *d, struct err *e)
{
    uint64_t now = clock_mono_us();
    size_t n = 0, cap = 0;
    if (d->event && d->event->table < r->tables_len)
        tables_wake(r->tables[d->event->table]);
    for (struct apply_table *t = r->active; t; t = t->next_active)
        cap += joins(t, d, now);
    if (!cap)
        return true;
    struct apply_table **tables = mem_array(cap, sizeof *tables);
    for (struct apply_table *t = r->active; t; t = t->next_active)
        if (n < cap && joins(t, d, now))
            tables[n++] = t;
    tables_touch(tables[0]);
    bool ok = take(r, tables, n, d, e);
    free(tables);
    return ok;
}

static bool
torn(struct apply_run *r)
{
    struct gate_status s;
    gate_status(r->gate, &s);
    return s.rows > r->atomic_rows_max;
}

MUST static bool
decide_group(struct apply_run *r, struct gate_decision *d, struct err *e)
{
    if (!gate_decide(r->gate, GATE_ALL, false, d, e))
        return false;
    if (d->ready || !torn(r))
        return true;
    if (!gate_decide(r->gate, GATE_ALL, true, d, e))
        return false;
    if (d->ready) {
        metric_add(r->m_torn, 1);
        log_warn("transaction_applied_in_parts", F_STR("task", r->task->name),
                 F_U64("rows", d->rows), F_U64("atomic_rows_max", r->atomic_rows_max));
    }
    return true;
}

/* consistency task: one job of all tables, once none is being opened. */
MUST static bool
dispatch_group(struct apply_run *r, bool *worked, struct err *e)
{
    struct gate_decision d = {0};
    bool dirty = false;
    for (struct apply_table *t = r->active; t; t = t->next_active) {
        dirty |= t->dirty;
        t->dirty = false;
    }
    if (dirty) {
        if (!decide_group(r, &d, e))
            return false;
        for (struct apply_table *t = r->active; t; t = t->next_active)
            note_end(t, d.wants_end && gate_waits(r->gate, t->gate));
    }
    if (!d.ready && r->swept) {
        r->swept = false;
        if (!gate_idle(r->gate, GATE_ALL, &d))
            return true;
        return take_group(r, &d, e);
    }
    *worked |= d.ready;
    return !d.ready || take_group(r, &d, e);
}

static bool
end_is_due(const struct apply_table *t, uint64_t now)
{
    return t->state == TABLE_RUNNING && t->wants_end_us && now - t->wants_end_us >= END_WAIT_US;
}

/* End offsets of the partitions of every table that has waited long enough. */
MUST static bool
ask_ends(struct apply_run *r, struct err *e)
{
    uint64_t now = clock_mono_us();
    size_t n = 0, cap = 0;
    for (struct apply_table *t = r->active; t; t = t->next_active)
        cap += end_is_due(t, now) ? t->parts_len : 0;
    if (!cap)
        return true;
    struct consumer_offset *list = mem_array(cap, sizeof *list);
    struct apply_part **parts = mem_array(cap, sizeof(struct apply_part *));
    for (struct apply_table *t = r->active; t; t = t->next_active) {
        if (!end_is_due(t, now))
            continue;
        for (size_t k = 0; k < t->parts_len; k++) {
            parts[n] = t->parts + k;
            list[n++] = (struct consumer_offset){t->topic, t->parts[k].id, KAFKA_OFFSET_END, 0};
        }
        t->wants_end_us = now;
        t->dirty = true;
    }
    uint64_t token = gate_end_token(r->gate);
    bool ok = consumer_offsets(r->ends, list, n, 10000, e);
    for (size_t i = 0; ok && i < n; i++)
        gate_end(r->gate, parts[i]->gate, token, list[i].offset);
    free(list);
    free(parts);
    return ok;
}

static size_t
bytes_kept(const struct apply_table *t)
{
    size_t bytes = 0;
    for (size_t k = 0; k < t->parts_len; k++)
        bytes += t->parts[k].rows.bytes;
    return bytes;
}

static void
make_thin(struct apply_table *t)
{
    for (size_t k = 0; k < t->parts_len; k++)
        fifo_thin(&t->parts[k].rows);
    t->run->thin_tables += !t->thin;
    t->thin = true;
}

/* Memory is full of rows whose cut is not complete: the table with most of them goes on without
 * keeping their bytes; where none has any, all do. */
MUST static bool
relieve(struct apply_run *r)
{
    if (r->in_flight || !run_is_full(r))
        return false;
    struct apply_table *most = NULL;
    size_t most_bytes = 0;
    for (size_t i = 0; i < r->tables_len; i++) {
        size_t bytes = bytes_kept(r->tables[i]);
        if (bytes <= most_bytes)
            continue;
        most_bytes = bytes;
        most = r->tables[i];
    }
    if (!most && r->thin_tables == r->tables_len)
        return false;
    for (size_t i = 0; i < r->tables_len; i++)
        if (!most || r->tables[i] == most)
            make_thin(r->tables[i]);
    metric_add(r->m_thin, 1);
    log_info("rows_read_twice", F_STR("task", r->task->name),
             F_STR("table", most ? most->target : "all"), F_U64("bytes", most_bytes));
    return true;
}

bool
dispatch_all(struct apply_run *r, bool *worked, struct err *e)
{
    bool sent = false;
    if (r->by_task && r->active && !r->opening && !r->in_flight && !dispatch_group(r, &sent, e))
        return false;
    for (struct apply_table *t = r->by_task ? NULL : r->active; t; t = t->next_active)
        if (t->state == TABLE_RUNNING && !dispatch_table(r, t, &sent, e))
            return false;
    *worked |= sent;
    if (!sent)
        *worked |= relieve(r);
    if (!ask_ends(r, e))
        return false;
    tables_rest(r);
    return true;
}
