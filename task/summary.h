/* Summary: one task as its operator sees it, from its record and the status records. Pure.
 *
 * state is running or stopped only. Starting and stopping count as the state being left; a
 * failed task is stopped with a non-empty err-msg. A worker is on line when its beat is younger
 * than SUMMARY_ALIVE_MS (clocks of the machines compared).
 */
#ifndef MILLRACE_TASK_SUMMARY_H
#define MILLRACE_TASK_SUMMARY_H

#include "task/status.h"
#include "task/status_map.h"
#include "task/task.h"

#define SUMMARY_ALIVE_MS 8000

enum summary_reason {
    SUMMARY_NONE, /* running */
    SUMMARY_PAUSED,
    SUMMARY_FAILED,
    SUMMARY_CREATED,
    SUMMARY_UNDEPLOYED,
};

struct summary_table {
    struct status_table s; /* by apply where it has one, else by capture */
    uint64_t source_us;    /* complete up to; 0: not yet */
    bool known_at_target;  /* apply has said something of it */
    uint64_t load_rows;    /* by capture */
    uint64_t load_total;
};

struct summary {
    struct arena mem;
    bool running;
    enum summary_reason reason;
    enum status_phase phase;
    const char *err_msg; /* "" when fine */
    enum err_code code;  /* the first error's, MR_OK when fine */
    bool capture_alive;  /* a worker of that half is on line */
    bool apply_alive;
    bool settled;                 /* no unit has still to carry out the record's wish */
    struct summary_table *tables; /* by name */
    size_t tables_len;
    uint64_t source_us; /* the target is complete up to; 0: not yet */
    uint64_t rows;      /* applied (published, without apply) since its start */
    uint64_t failovers;
};

void
summary_make(const struct task *t, const struct status_map *m, uint64_t now_ms,
             struct summary *out);
void
summary_free(struct summary *s);
const char *
summary_reason_text(enum summary_reason r);

#endif
