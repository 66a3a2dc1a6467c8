/* Worker: the frame of millrace-capture and millrace-apply.
 *
 * Flags and configuration, log, stop on SIGTERM, HTTP (/livez /readyz /metrics and the
 * registry's read calls), the task watcher, leases, status records, policy. A program brings
 * one function that runs a unit: (task, source) for capture, (task) for apply.
 *
 * Threads: main = control (reads millrace.tasks and millrace.status, decides), "status" (writes
 * them), the HTTP server's, and one per unit, which calls run() again and again as the policy
 * says. Nothing of a unit is kept here: its durable state is in Kafka and in the target. Death
 * at any line loses beats and status only. Exit codes: 0 stopped as asked, 1 failed, 2 bad
 * flags or configuration.
 */
#ifndef MILLRACE_TASK_WORKER_H
#define MILLRACE_TASK_WORKER_H

#include "base/config.h"
#include "base/stop.h"
#include "task/registry.h"
#include "task/status.h"
#include "task/task.h"

struct worker;
struct unit;

struct worker_program {
    const char *name; /* "millrace-capture" */
    const char *about;
    const char *half; /* "capture" or "apply" */
    bool per_source;  /* a unit per source, or one per task */
    void *ctx;
    /* false: this half has nothing to do for the task. NULL: always something. */
    bool (*wants)(void *ctx, const struct task *t);
    /* Runs the unit until unit_stop is asked (then saves its position, closes, returns true),
     * or until it cannot go on (false: the policy decides whether run is called again). On the
     * unit's thread. */
    bool (*run)(void *ctx, struct unit *u, struct err *e);
    /* The task was dropped, the unit does not run: remove what it kept. NULL: nothing. */
    bool (*dropped)(void *ctx, struct unit *u, struct err *e);
};

/* The whole program; gives back its exit code. */
int
worker_main(const struct worker_program *p, int argc, char **argv);

const char *
worker_name(const struct worker *w);
uint64_t
worker_instance(const struct worker *w);
/* Not ready (NULL) never happens while a unit runs. */
struct registry *
worker_registry(struct worker *w);
/* --data, or a folder of ours under the temporary one. */
const char *
worker_data(const struct worker *w);

/* Valid while run or dropped is called. */
struct worker *
unit_worker(struct unit *u);
/* The record it runs by; the same one during a run. */
const struct task *
unit_task(const struct unit *u);
unsigned
unit_source(const struct unit *u); /* index in task->sources; 0 for apply */
/* "<name>" or "<name>/<n>": for logs. */
const char *
unit_name(const struct unit *u);
/* Of the worker, with the task's params laid over it. */
const struct config *
unit_config(const struct unit *u);
struct stop *
unit_stop(struct unit *u);
/* The unit got on (a cut committed): the policy's count begins again. */
void
unit_progress(struct unit *u);
/* The members of status_unit that are not marked *; err: what passes by itself, MR_OK when
 * fine. Copied; cheap, call it at will (it is written on change or every 5 s). */
void
unit_report(struct unit *u, const struct status_unit *s);
/* Copied, written on change. */
void
unit_report_table(struct unit *u, const struct status_table *t);

#endif
