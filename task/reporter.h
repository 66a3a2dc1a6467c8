/* Reporter: writes a worker's records of millrace.status: beats, claims, units, tables.
 *
 * Its own thread and idempotent producer. A kept record is written soon when it is urgent or
 * its "state" is another one, else at most once a second, when it changed; a unit's every 5 s
 * anyway. Nothing waits for it: while Kafka is away only the latest of each key is kept.
 * Thread: calls from any. Owner: the worker.
 */
#ifndef MILLRACE_TASK_REPORTER_H
#define MILLRACE_TASK_REPORTER_H

#include "base/config.h"
#include "base/json.h"
#include "task/lease.h"

struct reporter;

/* The first beat is written at once. half and me->name are borrowed. */
struct reporter *
reporter_start(const struct config *c, const char *half, const struct lease_id *me);
/* Writes what waits and a last beat that says stopped; at most 3 s. NULL allowed. */
void
reporter_stop(struct reporter *r);

enum reporter_when {
    REPORT_URGENT, /* within 100 ms */
    REPORT_LAZY,
};

/* The latest value of a key; steals it. alive: again every 5 s, "ts_ms" is set when written. */
void
reporter_keep(struct reporter *r, const char *key, struct json *value, enum reporter_when when,
              bool alive);
/* A record that is written once, urgently, and not kept: a claim. Steals value. */
void
reporter_once(struct reporter *r, const char *key, struct json *value);
/* Forgets a kept key: it is not written again. */
void
reporter_forget(struct reporter *r, const char *key);
/* false: the last write failed, *e says why. */
bool
reporter_healthy(struct reporter *r, struct err *e);

#endif
