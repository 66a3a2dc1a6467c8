/* Intake: the loop of a run. Reads progress and rows, lets the gate decide, sends jobs, takes
 * results. Waits on the descriptors of Kafka, of the results and of the stop.
 *
 * An error of class TABLE stops that table (with consistency task: the run). Every other error
 * ends the run; what is stored at the target stays, and the next run begins from there.
 * Thread: the unit's.
 */
#include "apply/apply.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define WAIT_MS  50
#define SWEEP_US 1000000u

MUST static bool
opened(struct apply_run *r, struct apply_table *t, struct err *e)
{
    if (t->state != TABLE_OPENING)
        return true;
    t->state = TABLE_RUNNING;
    r->opening--;
    t->reported = false;
    t->stored_us = clock_mono_us();
    return tables_open_parts(r, t, e);
}

static void
table_done(struct apply_table *t, const struct job *j, const struct job_slice *s)
{
    if (s->rows || j->event.table == t) {
        t->rows += s->rows;
        t->updated_us = clock_wall_us();
        t->complete_us = j->commit_us;
        metric_add(t->m_rows, s->rows);
        metric_add(t->m_batches, 1);
        uint64_t now = clock_wall_us();
        if (j->commit_us && now > j->commit_us)
            metric_observe_us(t->m_latency, now - j->commit_us);
    }
    if (s->store) {
        t->stored_us = clock_mono_us();
        t->done_cut = j->cut;
    }
    if (cut_id_cmp(t->enters, t->done_cut) <= 0)
        t->enters = (struct cut_id){0, 0};
    if (j->event.table != t)
        return;
    if (j->event.kind == EVENT_LOAD_BEGIN)
        t->loading = true;
    if (j->event.kind == EVENT_LOAD_END || j->event.enters)
        t->loading = false;
    t->reported = false;
}

static void
batch_done(struct apply_run *r, const struct job *j)
{
    gate_done(r->gate, r->by_task ? GATE_ALL : j->slices[0].table->gate, j->cut);
    for (size_t i = 0; i < j->len; i++)
        table_done(j->slices[i].table, j, j->slices + i);
    r->rows += j->rows;
    unit_progress(r->unit);
}

/* A job that failed: of its table, or of the run. */
MUST static bool
job_failed(struct apply_run *r, const struct job *j, struct err *e)
{
    if (j->err.class != ERR_TABLE || r->by_task) {
        *e = j->err;
        return false;
    }
    for (size_t i = 0; i < j->len; i++)
        tables_stop(j->slices[i].table, &j->err);
    return true;
}

bool
intake_result(struct apply_run *r, struct job *j, struct err *e)
{
    r->in_flight--;
    for (size_t i = 0; i < j->len; i++) {
        struct apply_table *t = j->slices[i].table;
        t->in_flight--;
        t->in_flight_bytes -= j->bytes;
        tables_touch(t);
    }
    metric_add(r->m_retries, j->retries);
    bool ok = true;
    if (j->err.code)
        ok = job_failed(r, j, e);
    else if (j->kind == JOB_OPEN)
        ok = opened(r, j->slices[0].table, e);
    else if (j->slices[0].table->state != TABLE_STOPPED)
        batch_done(r, j);
    job_free(j);
    return ok;
}

MUST static bool
results(struct apply_run *r, bool *worked, struct err *e)
{
    uint64_t count;
    while (read(r->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    for (struct job *j; !stop_asked(&r->stop) && (j = ring_pop(r->results, 0)) != NULL;) {
        *worked = true;
        if (!intake_result(r, j, e))
            return false;
    }
    return true;
}

/* What nothing told of: checkpoints of quiet tables. */
static void
sweep(struct apply_run *r)
{
    uint64_t now = clock_mono_us();
    if (now - r->swept_us < SWEEP_US)
        return;
    r->swept_us = now;
    r->swept = true;
    for (size_t i = 0; i < r->tables_len; i++)
        tables_touch(r->tables[i]);
}

static void
wait(struct apply_run *r)
{
    struct pollfd fds[] = {
        {.fd = log_reader_fd(r->progress), .events = POLLIN},
        {.fd = r->wake_fd, .events = POLLIN},
        {.fd = unit_stop(r->unit)->fd, .events = POLLIN},
        {.fd = consumer_fd(r->data), .events = POLLIN},
    };
    /* rows that have no room to go must not wake us again and again */
    (void)poll(fds, run_is_full(r) ? 3 : 4, WAIT_MS);
}

MUST static bool
turn(struct apply_run *r, bool *worked, struct err *e)
{
    consumer_fd_clear(r->data);
    struct err trouble = {0};
    if (!consumer_trouble(r->data, &trouble))
        log_debug("kafka_trouble", F_ERR(&trouble));
    sweep(r);
    return read_progress(r, worked, e) && results(r, worked, e) && pace_turn(r, e) &&
           read_rows(r, worked, e) && dispatch_all(r, worked, e);
}

bool
intake_run(struct apply_run *r, struct err *e)
{
    while (!stop_asked(&r->stop)) {
        bool worked = false;
        if (!turn(r, &worked, e))
            return false;
        report_tick(r, false);
        if (!worked)
            wait(r);
    }
    return true;
}
