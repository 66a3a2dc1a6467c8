/* What a capture unit shows at /metrics. Thread: the core's; readers any. */
#ifndef MILLRACE_CAPTURE_GAUGES_H
#define MILLRACE_CAPTURE_GAUGES_H

#include "base/metrics.h"

struct gauges {
    struct metric *rows;      /* published and confirmed */
    struct metric *cuts;      /* confirmed */
    struct metric *in_flight; /* rows given a seq, not yet confirmed */
    struct metric *unit_rows; /* rows of the open unit */
    struct metric *behind;    /* blocks of packets waiting for the core */
    struct metric *loading;   /* tables being loaded */
    struct metric *commit;    /* time of a cut from its close to its confirmation */
    struct metric
        *source_lag; /* wall clock less source commit time of the last cut; 0 when caught up */
};

void
gauges_open(struct gauges *g, const char *task, unsigned source);

#endif
