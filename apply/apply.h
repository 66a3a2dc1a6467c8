/* Private to apply/: one run of one task, its tables, partitions, lanes and jobs.
 *
 * Threads of a run:
 *   intake  the unit's own thread: progress records, row records, the gate, what goes to which
 *           lane; owns the gate and every member not said otherwise
 *   lane N  one connection to the target; owns struct lane_table of its tables from the open
 *           job on
 * Between them: jobs to a lane through its ring, back through one ring of results. A job and
 * what hangs on it belongs to whoever holds it.
 *
 * What is durable: the checkpoint rows of the target, nothing else (see lane.c). A run that
 * ends, however it ends, is begun again from them.
 *
 * Memory, M = apply.memory.bytes (or what the sink's manner says), each part bounded by
 * waiting:
 *
 * - M / 2: rows until their cut is complete, and those of jobs. Intake takes no row when it is
 *   full (read.c, pace.c); the gate has 40 bytes more of each, twice that while it grows.
 * - M / 16, at most ROWS_QUEUED messages: what librdkafka has fetched, of all tables; then it
 *   fetches no more (an answer under way comes on top).
 * - some 10 MiB: a lane's fold, cells, text of a statement, rows read again.
 * - some 20 MiB: the process itself; 40 KiB a busy partition.
 *
 * `./run bench memory` holds it, 10 tables at full rate.
 */
#ifndef MILLRACE_APPLY_APPLY_H
#define MILLRACE_APPLY_APPLY_H

#include "apply/lane.h"
#include "apply/tables.h"
#include "base/map.h"
#include "kafka/admin.h"
#include "kafka/log.h"
#include "task/worker.h"

struct apply_run {
    struct unit *unit;
    const struct task *task;
    const struct config *config;
    struct stop stop; /* child of the unit's */
    uint32_t source_n;
    struct uri uri;
    const struct sink_ops *ops;
    struct sink *sink;
    struct sink_manner manner; /* the sink's */
    struct gate *gate;
    struct log_reader *progress;
    struct consumer *data;       /* all rows: one queue */
    struct consumer_batch batch; /* taken from it */
    size_t batch_at;             /* its next message */
    int64_t wait_progress;       /* an unknown schema in it: read the progress topic up to here;
                                    -1: none */
    struct consumer *ends;       /* read_uncommitted, for end offsets */
    struct admin *admin;
    struct apply_table **tables; /* [i] is the gate's table i */
    size_t tables_len;
    struct map by_topic;                      /* -> struct apply_table */
    struct apply_table *active, **active_end; /* see tables_wake */
    uint64_t swept_us;
    bool swept;     /* all tables were touched, and checkpoints of quiet ones may be due */
    size_t opening; /* tables in this state */
    struct checkpoint *stored; /* of the claim, by stored_target */
    char **stored_target;
    size_t stored_len;
    struct lane **lanes;
    unsigned lanes_len;
    struct ring *results;
    int wake_fd; /* eventfd: results wait */
    unsigned in_flight;
    atomic_size_t rows_used; /* bytes of kept rows, in queues and jobs */
    size_t rows_max;
    size_t thin_tables;
    struct apply_table *focus; /* of those far behind only it is read; NULL: see pace.c */
    size_t part_rows_max;      /* rows of one fold */
    bool by_task;
    int64_t start; /* offset from which the progress topic was read */
    bool started;  /* the progress topic was read to its end */
    uint64_t atomic_rows_max;
    bool event_read; /* or what may matter to any table, since tables were marked */
    bool pace_presses;
    uint64_t pace_us;
    uint64_t reported_us;
    uint64_t rows;
    struct arena scratch; /* of one progress record */
    struct metric *m_retries;
    struct metric *m_thin;
    struct metric *m_torn;
};

/* ---- run.c ---- */
/* Tables and gate as if nothing had been read. Before any job. */
void
run_forget_tables(struct apply_run *r);

/* No room for rows but thin ones. */
bool
run_is_full(const struct apply_run *r);

/* ---- intake.c ---- */
/* Until the stop is asked or an error ends the run. */
MUST bool
intake_run(struct apply_run *r, struct err *e);
/* A result that a lane gave back. */
MUST bool
intake_result(struct apply_run *r, struct job *j, struct err *e);

/* ---- read.c ---- */
/* Finds where to begin, reads the progress topic to its end. */
MUST bool
read_progress_start(struct apply_run *r, struct err *e);
MUST bool
read_progress(struct apply_run *r, bool *worked, struct err *e);
MUST bool
read_rows(struct apply_run *r, bool *worked, struct err *e);

/* ---- dispatch.c ---- */
/* Jobs for whatever is complete. */
MUST bool
dispatch_all(struct apply_run *r, bool *worked, struct err *e);
/* The plans of its stored checkpoint, then the open job; false: they are not known. */
void
dispatch_open(struct apply_run *r, struct apply_table *t);
void
job_free(struct job *j);

/* ---- moves.c ---- */
/* A version event was read. */
void
moves_note(struct apply_table *t, const struct progress_record *rec);
/* *may false: the decision's event waits for another table's. False: it would wait for ever. */
MUST bool
moves_may(struct apply_run *r, const struct gate_decision *d, bool *may, struct err *e);
/* What a version event says of a rename, into ev. */
MUST bool
moves_take(struct apply_run *r, const struct gate_event *from, struct job_event *ev,
           struct err *e);

/* ---- report.c ---- */
void
report_start(struct apply_run *r);
void
report_table_start(struct apply_table *t);
void
report_tick(struct apply_run *r, bool now);
void
report_stop(struct apply_run *r);

#endif
