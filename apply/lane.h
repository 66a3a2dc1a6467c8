/* Private to apply/: lanes and the jobs they do. A job and what hangs on it belongs to whoever
 * holds it; a lane's members are its thread's.
 */
#ifndef MILLRACE_APPLY_LANE_H
#define MILLRACE_APPLY_LANE_H

#include "apply/fold.h"
#include "apply/sink.h"
#include "apply/tables.h"
#include "base/ring.h"
#include "base/thread.h"

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
    bool store; /* its checkpoint changes: it has rows or the event, or it is time */
};

struct job_event {
    struct apply_table *table; /* NULL: no event */
    enum progress_event_kind kind;
    struct cut_id id;
    const struct plan *plan; /* EVENT_VERSION */
    char *to_table; /* the table is renamed to this one of the same database; owned; NULL: no */
    bool replaces;  /* .. which the task wrote before */
    bool dropped;   /* at the source */
    bool enters;    /* another table was renamed to this one, just before */
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
    struct sink_change *changes; /* of list; NULL unless the sink's manner tells */
    struct refetch *refetch;     /* made when first needed */
};

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
 * within a table's rows. In the lane's arena `copies`. */
MUST bool
refetch_row(struct lane *l, const struct apply_table *t, int32_t partition,
            const struct fifo_row *thin, const struct fifo_row **out, struct err *e);
void
refetch_end(struct lane *l); /* of a table's rows */
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
/* What an event changes in own.next, of one without a step or that ends a load. */
void
steps_note(struct apply_table *t, const struct job_event *ev);
/* What the stored checkpoint says of where rows go. */
void
steps_refresh(struct apply_table *t);

#endif
