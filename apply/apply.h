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
 */
#ifndef MILLRACE_APPLY_APPLY_H
#define MILLRACE_APPLY_APPLY_H

#include "apply/fifo.h"
#include "apply/fold.h"
#include "apply/gate.h"
#include "apply/sink.h"
#include "base/metrics.h"
#include "base/ring.h"
#include "base/thread.h"
#include "kafka/admin.h"
#include "kafka/consumer.h"
#include "kafka/log.h"
#include "schema/codec.h"
#include "task/checkpoint.h"
#include "task/worker.h"

struct apply_run;
struct apply_table;
struct lane;

/* A table version and how its rows are read. Immutable but for schema_id, which is intake's. */
struct plan {
    struct plan *older;
    uint32_t number;
    uint64_t seq; /* of its event */
    struct table *table;
    struct row_decoder *decoder;
    bool id_known;
    uint32_t schema_id; /* Avro */
};

struct apply_part {
    struct apply_table *table;
    int32_t id;
    uint32_t gate;
    struct gate_last stored;         /* as the checkpoint said at the start */
    int64_t begin;                   /* without one: nothing of ours lies below this offset */
    struct consumer_partition *from; /* NULL: not open */
    struct consumer_batch batch;
    size_t at;             /* next message of batch */
    int64_t next;          /* the offset after the last record taken */
    bool eof;              /* its end was reached since it was opened, and nothing came after */
    bool more;             /* a poll may give something */
    int64_t wait_progress; /* an unknown schema: read the progress topic up to here; -1: none */
    struct fifo rows;
};

enum table_state {
    TABLE_OPENING, /* its open job is under way */
    TABLE_RUNNING,
    TABLE_STOPPED, /* by err */
};

/* The lane's side of a table. */
struct lane_table {
    struct checkpoint ck;   /* as stored */
    struct buf state;       /* its text as stored */
    struct checkpoint next; /* being stored */
    struct buf next_state;
    bool change;                    /* next differs from ck */
    const struct plan *plan;        /* the version the target table follows */
    const struct plan *intent_plan; /* the version of a pending intent */
    char *written;                  /* table that rows go to: the target's, or a hidden one */
    bool hidden;
    bool own;         /* it holds nothing but what this incarnation wrote */
    bool more_unique; /* it has unique keys besides the row's */
    bool stopped;
};

struct apply_table {
    struct apply_run *run;
    uint32_t gate;
    char *topic;
    char *db; /* of the source */
    char *name;
    char *to_db;
    char *to_table;
    char *target;       /* key of the checkpoint row */
    struct plan *plans; /* newest first */
    struct apply_part *parts;
    size_t parts_len;
    enum table_state state;
    struct lane *lane;
    struct cut_id stored_cut;
    unsigned in_flight;
    size_t in_flight_bytes;
    bool open;             /* its partitions are */
    bool hot;              /* far behind */
    uint64_t turn_bytes;   /* read in its turn */
    uint64_t turn_us;      /* monotonic: its turn began, or it was closed */
    bool thin;             /* rows are kept without their bytes until its queues are empty */
    bool dirty;            /* something happened since the gate was asked */
    uint64_t wants_end_us; /* since when the gate waits for an end; 0: it does not */
    uint64_t stored_us;    /* monotonic, of the last checkpoint stored */
    struct err err;
    /* figures */
    uint64_t rows;
    uint64_t complete_us; /* source time up to which the target is complete */
    uint64_t updated_us;
    bool loading;
    bool reported; /* since the last change */
    struct metric *m_rows;
    struct metric *m_batches;
    struct metric *m_latency;
    struct lane_table own;
};

enum job_kind { JOB_OPEN, JOB_BATCH };

struct job_part {
    int32_t partition;
    struct fifo_span rows;
    struct gate_last last;
};

struct job_slice {
    struct apply_table *table;
    struct job_part *parts; /* parts_len of the table */
    size_t rows;
};

struct job_event {
    struct apply_table *table; /* NULL: no event */
    enum progress_event_kind kind;
    struct cut_id id;
    const struct plan *plan; /* EVENT_VERSION */
};

struct job {
    enum job_kind kind;
    struct job_slice *slices;
    size_t len;
    struct cut_id cut;
    int64_t progress_offset;
    uint64_t commit_us;
    uint64_t rows;
    uint64_t bytes;
    struct job_event event;
    bool no_load; /* LOAD DATA was refused: INSERT */
    uint64_t retries;
    struct err err; /* result; code 0: done */
};

struct refetch;

struct lane {
    struct apply_run *run;
    unsigned index;
    struct thread thread;
    struct ring *jobs;
    struct sink_lane *sink;
    struct arena rows;   /* decoded cells of a part */
    struct arena copies; /* rows read again from Kafka, of one fold */
    struct arena points;
    struct fold fold;
    const struct cell **list;
    struct refetch *refetch; /* made when first needed */
};

struct apply_run {
    struct unit *unit;
    const struct task *task;
    const struct config *config;
    struct stop stop; /* child of the unit's */
    uint32_t source_n;
    struct uri uri;
    const struct sink_ops *ops;
    struct sink *sink;
    struct gate *gate;
    struct log_reader *progress;
    struct consumer *data;
    struct consumer *ends; /* read_uncommitted, for end offsets */
    struct admin *admin;
    struct apply_table **tables;
    size_t tables_len;
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
    struct apply_table *focus; /* only it may read; NULL: all */
    size_t part_rows_max;      /* rows of one fold */
    bool by_task;
    int64_t start; /* offset from which the progress topic was read */
    bool started;  /* the progress topic was read to its end */
    uint64_t atomic_rows_max;
    uint64_t reported_us;
    uint64_t rows;
    struct arena scratch; /* of one progress record */
    struct metric *m_retries;
    struct metric *m_thin;
    struct metric *m_torn;
};

/* ---- tables.c ---- */
/* A version event: makes the table when its topic is new, adds the plan. *out NULL: the task
 * does not select it. */
MUST bool
tables_version(struct apply_run *r, const struct progress_record *rec, struct apply_table **out,
               struct err *e);
struct apply_table *
tables_find(const struct apply_run *r, const char *topic);
const struct plan *
tables_plan(const struct apply_table *t, uint32_t number);
/* The plan of an Avro schema id; NULL: none of the versions known has it. */
MUST bool
tables_plan_of_id(struct apply_table *t, uint32_t id, struct plan **out, struct err *e);
/* What the claim read for it; NULL: nothing. */
struct checkpoint *
tables_stored(struct apply_run *r, const char *target);
/* Opens its partitions where the gate says. */
MUST bool
tables_open_parts(struct apply_run *r, struct apply_table *t, struct err *e);
/* Its rows stay, reading may begin again at p->next. */
void
tables_close_part(struct apply_part *p);
/* This table cannot go on; its rows are forgotten. */
void
tables_stop(struct apply_table *t, const struct err *e);
void
tables_free(struct apply_table *t);

/* ---- run.c ---- */
/* Tables and gate as if nothing had been read. Before any job. */
void
run_forget_tables(struct apply_run *r);

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

/* ---- pace.c ---- */
#define PACE_HOT_PARTS 8 /* partitions of tables far behind that are open at once */
void
pace_opened(struct apply_table *t, int64_t lag_records);
void
pace_read(struct apply_table *t, uint64_t bytes);
void
pace_eof(struct apply_table *t);
/* Closes and opens tables so that few that are far behind are open at once. */
MUST bool
pace_turn(struct apply_run *r, struct err *e);

/* ---- dispatch.c ---- */
/* Jobs for whatever is complete. */
MUST bool
dispatch_all(struct apply_run *r, bool *worked, struct err *e);
/* The plans of its stored checkpoint, then the open job; false: they are not known. */
void
dispatch_open(struct apply_run *r, struct apply_table *t);
void
job_free(struct job *j);

/* ---- lane.c ---- */
MUST bool
lane_start(struct apply_run *r, unsigned index, struct err *e);
void
lane_stop(struct lane *l); /* waits; its queued jobs come back unexecuted */
void
lane_free(struct lane *l);
/* Stores t->own.next of the tables, with the rows of j (NULL: none), in one transaction. */
MUST bool
lane_store(struct lane *l, struct apply_table **tables, size_t n, struct job *j, struct err *e);
/* t->own.next := a copy of ck. */
void
lane_next(struct apply_table *t);

/* ---- batch.c ---- */
/* Writes the rows of a slice within the open transaction. */
MUST bool
batch_write(struct lane *l, struct job *j, struct job_slice *s, struct err *e);

/* ---- refetch.c ---- */
/* Key and value of a thin row, read from Kafka again; asked for in offset order per partition
 * within a batch. In the lane's arena `copies`. */
MUST bool
refetch_row(struct lane *l, const struct apply_table *t, int32_t partition,
            const struct fifo_row *thin, const struct fifo_row **out, struct err *e);
void
refetch_end(struct lane *l); /* of the batch */
void
refetch_free(struct refetch *f);

/* ---- steps.c ---- */
/* Brings a table to where rows can be written: checkpoint row, pending intent, target table,
 * incarnation. */
MUST bool
steps_open(struct lane *l, struct apply_table *t, struct err *e);
/* What an event asks of the target; *needed false: nothing. */
MUST bool
steps_plan(struct lane *l, const struct job_event *ev, struct sink_step *step, bool *needed,
           struct err *e);
/* Puts the step's intent into own.next. */
MUST bool
steps_intend(struct lane *l, struct apply_table *t, const struct sink_step *step,
             struct cut_id id, uint32_t version, struct err *e);
/* Executes the intent of the stored checkpoint, then stores the checkpoint without it. */
MUST bool
steps_finish(struct lane *l, struct apply_table *t, struct err *e);
/* The version that a pending intent of ck leads to; 0: none. */
uint32_t
steps_intent_version(const struct checkpoint *ck);
/* What an event without a step changes in own.next. */
void
steps_note(struct apply_table *t, const struct job_event *ev);

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
