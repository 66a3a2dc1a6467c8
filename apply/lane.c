/* Lanes: a thread and a connection each, writing the batches of their tables.
 *
 * A batch: begin (the locked read of the checkpoints, compared with the base), the rows, the
 * new checkpoints, commit: one target transaction (apply/sink.h, "target rule"). The base is
 * what this lane stored last. If the event at the end of the batch needs DDL, the checkpoint
 * that is stored carries its intent; then the DDL; then a second transaction stores the
 * checkpoint without it (steps.c).
 *
 * What is durable when: nothing before the commit; rows, cut, offsets and intent together by
 * it. Die before: the batch is built again. Die after: the next run goes on behind it.
 *
 * Errors: rolled back, and the whole batch again: at once after an unknown commit (begin tells
 * whether it happened: the stored state is the one we meant to store), after a pause for what
 * passes by itself, without LOAD DATA when that was refused. A batch that fails
 * ATTEMPTS_MAX times goes back with its error, and no later job of its tables runs.
 *
 * Failpoints: apply.lane.job (a job begins), apply.lane.rows (before the rows), and those of
 * steps.c and of the sink. Thread: the lane's own; the others call start, stop, free.
 */
#include "apply/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define ATTEMPTS_MAX 6
#define PAUSE_MS     50
#define JOBS_MAX     4096

void
lane_next(struct apply_table *t)
{
    checkpoint_copy(&t->own.next, &t->own.ck);
    t->own.change = true;
}

static struct sink_point
point_of(const struct apply_table *t, const struct checkpoint *ck, struct bytes state)
{
    return (struct sink_point){.target = t->target,
                               .owner = ck->owner,
                               .instance = ck->instance,
                               .commits = ck->commits,
                               .state = state};
}

static int
by_target(const void *a, const void *b)
{
    const struct apply_table *const *x = a, *const *y = b;
    return strcmp((*x)->target, (*y)->target);
}

/* Every row that we meant to change is as we meant it. */
static bool
is_stored(struct apply_table **tables, const struct sink_point *found, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct lane_table *o = &tables[i]->own;
        struct bytes want = buf_bytes(o->change ? &o->next_state : &o->state);
        if (found[i].commits != o->ck.commits + o->change || !bytes_eq(found[i].state, want))
            return false;
        any |= o->change;
    }
    return any;
}

static void
stored(struct apply_table **tables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lane_table *o = &tables[i]->own;
        if (!o->change)
            continue;
        uint64_t commits = o->ck.commits + 1;
        struct checkpoint ck = o->ck;
        struct buf state = o->state;
        o->ck = o->next;
        o->next = ck;
        o->state = o->next_state;
        o->next_state = state;
        o->ck.commits = commits;
        o->change = false;
    }
}

MUST static bool
write_rows(struct lane *l, struct job *j, struct err *e)
{
    FAULT("apply.lane.rows");
    for (size_t i = 0; j && i < j->len; i++) {
        if (j->slices[i].rows && !batch_write(l, j, j->slices + i, e))
            return false;
        refetch_end(l); /* what is fetched again is of one table at a time */
    }
    return true;
}

/* One attempt. */
MUST static bool
attempt(struct lane *l, struct apply_table **tables, size_t n, struct job *j, struct err *e)
{
    const struct sink_ops *ops = l->run->ops;
    struct sink_point *base = arena_alloc(&l->points, n * sizeof *base);
    struct sink_point *found = arena_zalloc(&l->points, n * sizeof *found);
    struct sink_point *next = arena_alloc(&l->points, n * sizeof *next);
    size_t changes = 0;
    for (size_t i = 0; i < n; i++) {
        struct lane_table *o = &tables[i]->own;
        base[i] = point_of(tables[i], &o->ck, buf_bytes(&o->state));
        if (o->change)
            next[changes++] = point_of(tables[i], &o->next, buf_bytes(&o->next_state));
    }
    enum sink_begin outcome;
    if (!ops->begin(l->sink, base, n, &l->points, found, &outcome, e))
        return false;
    if (outcome == SINK_OTHER) {
        if (is_stored(tables, found, n))
            return true;
        return err_set(e, MR_TARGET_TAKEN, "the stored checkpoint of %s is not ours",
                       tables[0]->target);
    }
    return write_rows(l, j, e) && ops->commit(l->sink, next, changes, e);
}

/* LOAD DATA was used, and may be what was refused. */
static bool
may_do_without_load(const struct lane *l, const struct job *j)
{
    if (!j || j->no_load || !l->run->ops->can_load(l->run->sink))
        return false;
    for (size_t i = 0; i < j->len; i++)
        if (j->slices[i].rows && j->slices[i].table->own.own)
            return true;
    return false;
}

/* What may be tried again, and whether at once. */
static bool
try_again(struct lane *l, struct job *j, unsigned tried, const struct err *e)
{
    if (stop_asked(&l->run->stop) || tried >= ATTEMPTS_MAX || e->code == MR_TARGET_TAKEN)
        return false;
    bool without_load = e->class == ERR_TABLE && may_do_without_load(l, j);
    if (e->class != ERR_UNKNOWN && e->class != ERR_RETRY && !without_load)
        return false;
    if (j) {
        j->retries++;
        j->no_load |= without_load;
    }
    log_warn("batch_again", F_STR("task", l->run->task->name), F_U64("lane", l->index),
             F_ERR(e));
    return e->class != ERR_RETRY || !stop_wait(&l->run->stop, PAUSE_MS << tried);
}

bool
lane_store(struct lane *l, struct apply_table **tables, size_t n, struct job *j, struct err *e)
{
    qsort(tables, n, sizeof *tables, by_target);
    for (size_t i = 0; i < n; i++) {
        struct lane_table *o = &tables[i]->own;
        if (!o->change)
            continue;
        buf_reset(&o->next_state);
        checkpoint_encode(&o->next, &o->next_state);
    }
    for (unsigned tried = 0;; tried++) {
        arena_reset(&l->points);
        if (attempt(l, tables, n, j, e))
            break;
        refetch_end(l);
        l->run->ops->rollback(l->sink);
        if (!try_again(l, j, tried, e))
            return false;
        err_clear(e);
    }
    stored(tables, n);
    return true;
}

/* The checkpoint of a table behind the batch. */
static void
advance(struct apply_table *t, const struct job *j, const struct job_slice *s)
{
    lane_next(t);
    struct checkpoint *ck = &t->own.next;
    struct checkpoint_source *src = checkpoint_source(ck, t->run->source_n);
    src->cut = j->cut;
    src->progress_offset = j->progress_offset;
    if (j->commit_us)
        ck->commit_us = j->commit_us;
    for (size_t i = 0; i < t->parts_len; i++) {
        const struct gate_last *last = &s->parts[i].last;
        struct checkpoint_part *p = checkpoint_part(ck, t->topic, s->parts[i].partition);
        *p = (struct checkpoint_part){s->parts[i].partition, last->offset, last->epoch,
                                      last->seq};
    }
}

/* Tables of the job in an array, their next checkpoints made. */
static struct apply_table **
prepare(struct job *j)
{
    struct apply_table **tables = mem_array(j->len, sizeof(struct apply_table *));
    for (size_t i = 0; i < j->len; i++) {
        struct job_slice *s = j->slices + i;
        tables[i] = s->table;
        s->table->own.change = false;
        if (s->store)
            advance(s->table, j, s);
    }
    return tables;
}

/* Rows and checkpoints, then what the event needs. Only one that ends a load is noted with its
 * step: the step clears away what the checkpoint no longer knows. */
MUST static bool
run_event(struct lane *l, struct job *j, struct apply_table **tables, struct err *e)
{
    struct apply_table *t = j->event.table;
    struct sink_step step;
    bool needed;
    if (!steps_plan(l, &j->event, &step, &needed, e))
        return false;
    if (!needed || step.what == SINK_REMOVE)
        steps_note(t, &j->event);
    uint32_t version = j->event.plan ? j->event.plan->number : 0;
    if ((needed && !steps_intend(l, t, &step, j->event.id, version, e)) ||
        !lane_store(l, tables, j->len, j, e))
        return false;
    if (needed)
        return steps_finish(l, t, e);
    steps_refresh(t);
    return true;
}

MUST static bool
run_batch(struct lane *l, struct job *j, struct err *e)
{
    struct apply_table **tables = prepare(j);
    bool ok = j->event.table ? run_event(l, j, tables, e) : lane_store(l, tables, j->len, j, e);
    if (ok && j->event.plan)
        j->event.table->own.plan = j->event.plan;
    free(tables);
    return ok;
}

/* A job of one of its tables failed: what comes behind it builds on what is not there. */
static const struct err *
failed_before(const struct job *j)
{
    for (size_t i = 0; i < j->len; i++)
        if (j->slices[i].table->own.failed.code)
            return &j->slices[i].table->own.failed;
    return NULL;
}

MUST static bool
do_job(struct lane *l, struct job *j, struct err *e)
{
    const struct err *before = failed_before(j);
    if (before) {
        *e = *before;
        return false;
    }
    if (stop_asked(&l->run->stop))
        return err_set(e, MR_TARGET_UNREACHABLE, "stopped");
    return j->kind == JOB_OPEN ? steps_open(l, j->slices[0].table, e) : run_batch(l, j, e);
}

static void
run_job(struct lane *l, struct job *j)
{
    FAULT("apply.lane.job");
    if (do_job(l, j, &j->err))
        return;
    if (!text_starts(j->err.text, j->slices[0].table->target))
        err_wrap(&j->err, "%s", j->slices[0].table->target);
    for (size_t i = 0; i < j->len; i++)
        j->slices[i].table->own.failed = j->err;
}

/* NULL: the lane is to end. Between jobs, and while it waits for one, the sink has its turn. */
static struct job *
next_job(struct lane *l)
{
    for (;;) {
        bool closed = ring_closed(l->jobs);
        int wait_ms = l->run->ops->tend && !closed ? l->run->ops->tend(l->sink) : -1;
        struct job *j = ring_pop(l->jobs, wait_ms);
        if (j || closed)
            return j;
    }
}

static void
lane_main(void *arg)
{
    struct lane *l = arg;
    for (struct job *j; (j = next_job(l)) != NULL;) {
        run_job(l, j);
        if (!ring_push(l->run->results, j))
            mem_die("the ring of results was closed while a lane runs");
        uint64_t one = 1;
        if (write(l->run->wake_fd, &one, sizeof one) < 0)
            log_debug("wake_full");
    }
}

bool
lane_start(struct apply_run *r, unsigned index, struct err *e)
{
    struct lane *l = mem_zalloc(sizeof *l);
    l->run = r;
    l->index = index;
    l->jobs = ring_new(JOBS_MAX);
    arena_init(&l->rows, (size_t)256 << 10);
    arena_init(&l->copies, 0);
    arena_init(&l->points, 0);
    fold_init(&l->fold, false);
    r->lanes[r->lanes_len++] = l;
    if (!r->ops->lane_open(r->sink, index, &l->sink, e))
        return false;
    char name[16];
    snprintf(name, sizeof name, "lane %u", index);
    thread_start(&l->thread, name, lane_main, l);
    return true;
}

void
lane_stop(struct lane *l)
{
    ring_close(l->jobs);
    thread_join(&l->thread);
}

void
lane_free(struct lane *l)
{
    if (l->sink)
        l->run->ops->lane_close(l->sink);
    refetch_free(l->refetch);
    ring_destroy(l->jobs);
    arena_free(&l->rows);
    arena_free(&l->copies);
    arena_free(&l->points);
    fold_free(&l->fold);
    free(l->list);
    free(l->changes);
    free(l);
}
