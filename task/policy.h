/* Policy: the one place that decides what follows an error, by its class and the history of the
 * unit. Pure.
 *
 * RETRY: unreachable peers for ever, at most 60 s apart, the task stays running with its
 * err-msg. UNKNOWN: the durable state is read first, which is what a new run of the unit does;
 * soon. Other faults stop the task: TASK at once; RETRY and UNKNOWN that are not about an
 * unreachable peer after POLICY_FAILOVERS_MAX runs without progress between them. TABLE stops
 * one table; a unit that ends with it could not contain it and stops. Owner: one per unit.
 * Thread: the unit's.
 */
#ifndef MILLRACE_TASK_POLICY_H
#define MILLRACE_TASK_POLICY_H

#include "base/err.h"

#include <stdint.h>

#define POLICY_FAILOVERS_MAX  10
#define POLICY_BACKOFF_MS     250
#define POLICY_BACKOFF_MS_MAX 60000

enum policy_action {
    POLICY_RETRY, /* same unit again after wait_ms */
    POLICY_LOOK,  /* read the durable state (claims, checkpoint), then again after wait_ms */
    POLICY_STOP_TABLE,
    POLICY_STOP_TASK,
};

struct policy {
    unsigned in_row;    /* errors since the last progress */
    unsigned faults;    /* those of them that are not an unreachable peer */
    uint64_t failovers; /* errors ever: millrace_failovers_total */
};

struct policy_decision {
    enum policy_action action;
    uint64_t wait_ms;
};

/* random: any number, spreads the waits. */
struct policy_decision
policy_decide(struct policy *p, const struct err *e, uint64_t random);
/* The unit got on: the next error counts from the beginning. */
void
policy_progress(struct policy *p);
/* A peer that does not answer: never counts as a fault. */
bool
policy_is_unreachable(enum err_code code);

#endif
