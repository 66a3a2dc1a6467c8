#include "task/policy.h"

bool
policy_is_unreachable(enum err_code code)
{
    switch (code) {
    case MR_SOURCE_UNREACHABLE:
    case MR_SOURCE_LOST:
    case MR_KAFKA_UNREACHABLE:
    case MR_KAFKA_NOT_READY:
    case MR_REGISTRY_UNREACHABLE:
    case MR_TARGET_UNREACHABLE:
    case MR_TARGET_BUSY:
    case MR_CATALOG_UNREACHABLE:
    case MR_STORAGE_UNREACHABLE:
        return true;
    default:
        return false;
    }
}

/* Doubles from POLICY_BACKOFF_MS to the maximum, then +-20 %, so that units do not return in
 * step. */
static uint64_t
backoff_ms(unsigned in_row, uint64_t random)
{
    uint64_t ms = POLICY_BACKOFF_MS;
    for (unsigned i = 1; i < in_row && ms < POLICY_BACKOFF_MS_MAX; i++)
        ms *= 2;
    ms = ms * 4 / 5 + random % (ms * 2 / 5 + 1);
    return ms < POLICY_BACKOFF_MS_MAX ? ms : POLICY_BACKOFF_MS_MAX;
}

struct policy_decision
policy_decide(struct policy *p, const struct err *e, uint64_t random)
{
    struct policy_decision d = {POLICY_STOP_TASK, 0};
    p->failovers++;
    p->in_row++;
    switch (e->class) {
    case ERR_NONE:
    case ERR_RETRY:
        d.action = POLICY_RETRY;
        break;
    case ERR_UNKNOWN:
        d.action = POLICY_LOOK;
        break;
    case ERR_TABLE:
        d.action = POLICY_STOP_TABLE;
        return d;
    case ERR_TASK:
    case ERR_USAGE:
        return d;
    }
    if (!policy_is_unreachable(e->code) && ++p->faults > POLICY_FAILOVERS_MAX) {
        d.action = POLICY_STOP_TASK;
        return d;
    }
    d.wait_ms = backoff_ms(p->in_row, random);
    return d;
}

void
policy_progress(struct policy *p)
{
    p->in_row = 0;
    p->faults = 0;
}
