/* Private to apply/: tables of a run, their partitions and plans. Owner and thread: intake, but
 * struct lane_table, which is the lane's from the open job on.
 */
#ifndef MILLRACE_APPLY_TABLES_H
#define MILLRACE_APPLY_TABLES_H

#include "apply/fifo.h"
#include "apply/gate.h"
#include "base/metrics.h"
#include "kafka/consumer.h"
#include "schema/codec.h"
#include "schema/target_ddl_mysql.h"
#include "task/checkpoint.h"

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
    bool changes_known; /* capture says which columns were renamed: none but these */
    struct ddl_rename *renames;
    size_t rename_count;
    bool id_known;
    uint32_t schema_id; /* Avro */
};

struct apply_part {
    struct apply_table *table;
    int32_t id;
    uint32_t gate;
    struct gate_last stored;         /* as the checkpoint said at the start */
    struct gate_last others;         /* last one of other incarnations; offset -1: none */
    struct consumer_partition *from; /* NULL: not open */
    int64_t next;                    /* the offset after the last record taken */
    bool eof; /* its end was reached since it was opened, and nothing came after */
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
    bool entered;      /* as it is opened: apply_table.enters is to come */
    bool gone;         /* it was renamed away, by a step of ours */
    bool left;         /* see steps.c; may be of another shape than the newest version */
    bool own;          /* it holds nothing but what this incarnation wrote */
    bool more_unique;  /* it has unique keys besides the row's */
    struct err failed; /* code: a job of it failed, none behind it may run */
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
    struct cut_id done_cut; /* as the newest stored checkpoint says */
    struct cut_id enters;   /* version event to come by which another table is renamed to it;
                               zeros: none */
    unsigned in_flight;
    size_t in_flight_bytes;
    bool open;           /* its partitions are */
    bool hot;            /* far behind */
    uint64_t turn_bytes; /* read in its turn */
    uint64_t turn_us;    /* monotonic: its turn began, or it was closed */
    bool thin;           /* rows are kept without their bytes until its queues are empty */
    bool active;         /* in the run's list */
    struct apply_table *next_active;
    bool dirty;            /* something happened since the gate was asked */
    uint64_t wants_end_us; /* since when the gate waits for an end; 0: it does not */
    uint64_t taken_us;     /* monotonic, of the last job; 0: none yet */
    uint64_t due_us;       /* what waits is worth a job then; 0: nothing waits for time */
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

/* ---- tables.c ---- */
/* A version event: makes the table when its topic is new, adds the plan. *out NULL: the task
 * does not select it. */
MUST bool
tables_version(struct apply_run *r, const struct progress_record *rec, struct apply_table **out,
               struct err *e);
struct apply_table *
tables_find(const struct apply_run *r, const char *topic);
/* Tables that have, or may have, something to do stand in the run's list, so that a turn costs
 * what the active ones cost, however many there are. A table is woken by whatever may give it
 * work (a row, a cut that counts rows of it, an event, a result), and now
 * and then in any case; it leaves the list when nothing is waiting. */
void
tables_wake(struct apply_table *t);
/* The same, and the gate is to be asked. */
void
tables_touch(struct apply_table *t);
/* Drops those from the list that have nothing to do. */
void
tables_rest(struct apply_run *r);
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
/* Its rows stay, reading may begin again at p->next; what was fetched behind it is dropped. */
void
tables_close_part(struct apply_part *p);
/* This table cannot go on; its rows are forgotten. */
void
tables_stop(struct apply_table *t, const struct err *e);
void
tables_free(struct apply_table *t);

/* ---- pace.c ---- */
#define PACE_HOT_PARTS 8 /* partitions of tables far behind that are open at once */
void
pace_opened(struct apply_table *t, int64_t lag_records);
void
pace_read(struct apply_table *t, uint64_t bytes);
void
pace_eof(struct apply_table *t);
/* Closes it: there is no room for its next row. */
void
pace_rest(struct apply_table *t);
/* Closes and opens tables so that few that are far behind are open at once. */
MUST bool
pace_turn(struct apply_run *r, struct err *e);

#endif
