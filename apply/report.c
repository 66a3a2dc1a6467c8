/* Report: status records and metrics of a run. Times are source commit times up to which the
 * target is complete; those of quiet tables move with the cuts read (heartbeats). Thread:
 * intake.
 */
#include "apply/apply.h"

#include "base/clock.h"

#define TICK_US 300000u

static const struct metric_def rows_def = {
    "millrace_apply_rows_total", "Row changes applied to the target.", METRIC_COUNTER, false};
static const struct metric_def batches_def = {
    "millrace_apply_batches_total", "Target transactions committed.", METRIC_COUNTER, false};
static const struct metric_def latency_def = {"millrace_apply_latency_seconds",
                                              "From source commit to target commit.",
                                              METRIC_HISTOGRAM, true};
static const struct metric_def retries_def = {
    "millrace_apply_retries_total", "Target transactions tried again.", METRIC_COUNTER, false};
static const struct metric_def thin_def = {
    "millrace_apply_read_twice_total",
    "Units that did not fit in memory and were read from Kafka twice.", METRIC_COUNTER, false};
static const struct metric_def torn_def = {
    "millrace_apply_torn_transactions_total",
    "Batches that end inside a source transaction above atomic.rows.max.", METRIC_COUNTER,
    false};
static const struct metric_def lag_def = {
    "millrace_apply_lag_seconds", "Age of the source time up to which the target is complete.",
    METRIC_GAUGE, true};
static const struct metric_def memory_def = {"millrace_apply_rows_bytes",
                                             "Memory of rows that wait for the target.",
                                             METRIC_GAUGE, false};

static struct metric_labels
labels_of(const struct apply_run *r, const char *table)
{
    return (struct metric_labels){.task = r->task->name, .table = table};
}

void
report_start(struct apply_run *r)
{
    r->m_retries = metrics_get(&retries_def, labels_of(r, NULL));
    r->m_thin = metrics_get(&thin_def, labels_of(r, NULL));
    r->m_torn = metrics_get(&torn_def, labels_of(r, NULL));
    unit_report(r->unit, &(struct status_unit){.phase = STATUS_INITIALIZATION});
}

void
report_table_start(struct apply_table *t)
{
    struct checkpoint *ck = tables_stored(t->run, t->target);
    bool loaded = ck && ck->inc == t->run->task->inc && ck->loads &&
                  json_get_bool(ck->loads, "loaded", false);
    t->loading = t->run->task->full && !loaded;
    if (ck && ck->inc == t->run->task->inc)
        t->complete_us = ck->commit_us;
    t->m_rows = metrics_get(&rows_def, labels_of(t->run, t->target));
    t->m_batches = metrics_get(&batches_def, labels_of(t->run, t->target));
    t->m_latency = metrics_get(&latency_def, labels_of(t->run, t->target));
}

static enum status_table_state
state_of(const struct apply_table *t)
{
    switch (t->state) {
    case TABLE_OPENING:
        return STATUS_TABLE_WAITING;
    case TABLE_STOPPED:
        return STATUS_TABLE_STOPPED;
    case TABLE_RUNNING:
        break;
    }
    return t->loading ? STATUS_TABLE_LOADING : STATUS_TABLE_STREAMING;
}

static void
report_table(struct apply_table *t)
{
    struct status_table s = {.db = t->db,
                             .table = t->name,
                             .target_db = t->to_db,
                             .target_table = t->to_table,
                             .state = state_of(t),
                             .source_us = t->complete_us,
                             .rows = t->rows,
                             .updated_us = t->updated_us,
                             .err = t->err};
    s.follows = s.state == STATUS_TABLE_STREAMING;
    if (s.state == STATUS_TABLE_LOADING)
        s.source_us = 0;
    unit_report_table(t->run->unit, &s);
    t->reported = true;
}

/* A quiet table is complete up to the newest cut at which the gate finds it so. */
static void
refresh_complete(struct apply_table *t)
{
    struct gate_decision d;
    if (t->in_flight || t->run->by_task || t->state != TABLE_RUNNING)
        return;
    if (gate_idle(t->run->gate, t->gate, &d) && d.commit_us > t->complete_us)
        t->complete_us = d.commit_us;
}

static void
refresh_group(struct apply_run *r)
{
    struct gate_decision d;
    if (!r->by_task || r->in_flight || !r->tables_len || !gate_idle(r->gate, GATE_ALL, &d))
        return;
    for (size_t i = 0; i < r->tables_len; i++)
        if (d.commit_us > r->tables[i]->complete_us)
            r->tables[i]->complete_us = d.commit_us;
}

/* Largest part of the tables' times that holds for all that stream. */
static uint64_t
complete_of_all(struct apply_run *r, bool *loading, bool *opening)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < r->tables_len; i++) {
        struct apply_table *t = r->tables[i];
        *loading |= t->loading && t->state != TABLE_STOPPED;
        *opening |= t->state == TABLE_OPENING;
        refresh_complete(t);
        if (t->state == TABLE_RUNNING && !t->loading && t->complete_us < least)
            least = t->complete_us;
    }
    return least == UINT64_MAX ? 0 : least;
}

static enum status_phase
phase_of(const struct apply_run *r, bool loading, bool opening)
{
    if (!r->started || (opening && !r->rows) || !r->tables_len)
        return STATUS_INITIALIZATION;
    return loading ? STATUS_FULL_LOAD : STATUS_INCREMENTAL;
}

void
report_tick(struct apply_run *r, bool now)
{
    uint64_t at = clock_mono_us();
    if (!now && at - r->reported_us < TICK_US)
        return;
    r->reported_us = at;
    bool loading = false, opening = false;
    refresh_group(r);
    struct status_unit s = {.source_us = complete_of_all(r, &loading, &opening),
                            .rows = r->rows};
    s.phase = phase_of(r, loading, opening);
    unit_report(r->unit, &s);
    for (size_t i = 0; i < r->tables_len; i++) {
        struct apply_table *t = r->tables[i];
        if (!t->reported || t->loading)
            report_table(t);
    }
    uint64_t wall = clock_wall_us();
    if (s.source_us && wall > s.source_us)
        metric_set(metrics_get(&lag_def, labels_of(r, NULL)), (int64_t)(wall - s.source_us));
    metric_set(metrics_get(&memory_def, labels_of(r, NULL)),
               (int64_t)atomic_load(&r->rows_used));
}

void
report_stop(struct apply_run *r)
{
    if (r->gate)
        report_tick(r, true);
    for (size_t i = 0; i < r->tables_len; i++)
        metrics_hide(r->task->name, r->tables[i]->target);
}
