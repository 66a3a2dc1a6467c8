/* Leases: which of several workers runs a unit, in standalone mode.
 *
 * Two kinds of record in millrace.status (task/status.h):
 *   worker/<half>/<name>   {v, name, instance, term, ts_ms, stopped}: a worker's beat, every
 * second <task>/lease/<unit>    {v, name, instance, term, ts_ms, released}: a claim of a unit
 * term = max(highest term read of that name + 1, Unix time in ms). The last claim in the log
 * is the owner. A claim is alive while its worker beats. Silence is measured in our own beats
 * as they come back from the log (at most 1.5 beats each), so that an outage of Kafka ages
 * nobody. Who takes a unit wrongly all the same does no harm: the producer's fence and the
 * target's owner decide (docs/ARCHITECTURE.md); leases only keep twins from fighting.
 *
 * Durable: the claim record, before the unit runs. Death after it: the claim goes silent, and
 * the twin or the next instance of the name claims. struct lease_log is pure: it digests the
 * records in log order; the I/O is the worker's. Thread: the worker's control thread.
 */
#ifndef MILLRACE_TASK_LEASE_H
#define MILLRACE_TASK_LEASE_H

#include "base/json.h"
#include "base/map.h"

#define LEASE_OLD_MS 60000 /* a claim read at start whose last beat is older: dead at once */

struct lease_id {
    const char *name;
    uint64_t instance;
    uint64_t term;
};

struct lease_claim {
    struct lease_id by;
    bool none;  /* nobody, or released */
    bool alive; /* its worker still beats */
};

enum lease_action {
    LEASE_CLAIM,    /* write a claim */
    LEASE_RUN,      /* it is ours */
    LEASE_STAND_BY, /* somebody else runs it; stop if we do */
    LEASE_REPLACED, /* a newer instance of our name exists: exit with MR_WORKER_REPLACED */
};

/* The decision for one unit. */
enum lease_action
lease_decide(const struct lease_id *me, const struct lease_claim *c);

struct lease_log;

struct lease_conf {
    const char *half;
    const char *name;
    uint64_t instance;
    uint64_t beat_ms; /* setting heartbeat.ms */
    uint64_t dead_ms; /* setting heartbeat.dead.ms */
};

struct lease_log *
lease_log_new(const struct lease_conf *c, uint64_t now_wall_ms);
void
lease_log_free(struct lease_log *l);
/* One record of millrace.status, in log order; keys of other kinds are ignored. value NULL: a
 * tombstone. now_ms: monotonic, when it was read. Records that cannot be read are ignored. */
void
lease_log_read(struct lease_log *l, struct bytes key, const struct json *value,
               uint64_t now_ms);
/* What was there before has been read: fixes our term and gives it back. Before it, nothing is
 * compared with us. */
uint64_t
lease_log_begin(struct lease_log *l, uint64_t now_wall_ms);
/* unit: "<task>/lease/<unit>". Texts borrow until the next read. */
void
lease_log_claim(const struct lease_log *l, const char *unit, struct lease_claim *out);
/* A newer instance of our own name has been seen. */
bool
lease_log_replaced(const struct lease_log *l);
/* Our first beat came back: what was written before we started has been read. */
bool
lease_log_ready(const struct lease_log *l);

/* The records. */
void
lease_beat_key(const char *half, const char *name, struct buf *out);
struct json *
lease_beat(const struct lease_id *me, uint64_t now_wall_ms, bool stopped);
struct json *
lease_claim_record(const struct lease_id *me, uint64_t now_wall_ms, bool released);

#endif
