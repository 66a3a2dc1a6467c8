/* Status records: what workers say about their units, for `task show` and other workers.
 *
 * Topic millrace.status, compacted, one partition; value JSON, v first. Keys:
 *   <task>/capture/<n>          status_unit of capture's source n
 *   <task>/apply                status_unit of apply
 *   <task>/table/<db>.<table>   status_table by apply, named by the source table
 *   <task>/capture/<n>/<db>.<table>  status_table by capture (load progress, table errors)
 *   <task>/lease/<unit>         claim of a unit, task/lease.h
 *   worker/<half>/<name>        beat of a worker, task/lease.h
 * <task> = task id. Written on change or every 5 s; a table's record on change only. Pure.
 */
#ifndef MILLRACE_TASK_STATUS_H
#define MILLRACE_TASK_STATUS_H

#include "base/arena.h"
#include "base/json.h"

#define STATUS_VERSION 1
#define STATUS_TOPIC   "millrace.status"

enum status_state {
    STATUS_STARTING,
    STATUS_RUNNING,
    STATUS_RETRYING, /* an error passes by itself or is waited out: err says which */
    STATUS_STOPPED,  /* as the task's record wishes; the position is saved */
    STATUS_FAILED,   /* stopped by err */
};

enum status_phase { STATUS_INITIALIZATION, STATUS_FULL_LOAD, STATUS_INCREMENTAL };

enum status_table_state {
    STATUS_TABLE_WAITING,
    STATUS_TABLE_LOADING,
    STATUS_TABLE_STREAMING,
    STATUS_TABLE_STOPPED, /* by err */
    STATUS_TABLE_DROPPED, /* at the source, or renamed there; its rows are no longer kept up */
};

/* One half of a task. What the frame (task/worker.h) fills itself is marked *. Texts borrow. */
struct status_unit {
    const char *worker;      /* * */
    uint64_t instance;       /* * */
    uint64_t generation;     /* * of the task record it works by */
    uint64_t inc;            /* * */
    enum status_state state; /* * */
    enum status_phase phase;
    struct err err;        /* code 0: none */
    uint64_t source_us;    /* source commit time up to which all is published (capture), or
                              complete in the target (apply); 0: nothing yet */
    uint64_t rows;         /* published or applied since the unit started */
    uint64_t failovers;    /* * */
    uint64_t since_ms;     /* * wall clock of the present state */
    uint64_t ts_ms;        /* * when written */
    struct json *position; /* schema/position.h form, or NULL. status_unit_from_json: a new
                              reference, json_free */
};

struct status_table {
    const char *db; /* of the source */
    const char *table;
    const char *target_db; /* NULL: not known (capture) */
    const char *target_table;
    enum status_table_state state;
    bool follows;        /* complete up to the unit's source_us; source_us here is not used */
    uint64_t source_us;  /* complete up to this source commit time */
    uint64_t rows;       /* since the unit started; of a load: loaded */
    uint64_t rows_total; /* of a load: estimate; 0 = not known */
    uint64_t updated_us; /* last write to the target table */
    struct err err;      /* code 0: none */
};

struct json *
status_unit_to_json(const struct status_unit *s);
/* Texts from the arena. */
MUST bool
status_unit_from_json(const struct json *j, struct arena *a, struct status_unit *out,
                      struct err *e);
struct json *
status_table_to_json(const struct status_table *t);
MUST bool
status_table_from_json(const struct json *j, struct arena *a, struct status_table *out,
                       struct err *e);

const char *
status_state_text(enum status_state s);
/* "Initialization", "Full Load", "Incremental Sync" */
const char *
status_phase_text(enum status_phase p);
const char *
status_table_state_text(enum status_table_state s);

/* 64 bits as 16 hex digits. A table's record has "inc" beside its own members, by the frame. */
struct json *
status_hex(uint64_t v);
uint64_t
status_hex_value(const struct json *j, const char *key);

/* An error in a record: {code: "MR1001", text} or null. */
struct json *
status_err_to_json(const struct err *err);
void
status_err_from_json(const struct json *j, struct err *out);

#endif
