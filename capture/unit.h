/* Unit: one (task, source), run from claim to stop on its own thread. */
#ifndef MILLRACE_CAPTURE_UNIT_H
#define MILLRACE_CAPTURE_UNIT_H

#include "task/worker.h"

/* worker_program.run. True: stopped as asked, the position is saved. Any error ends the
 * session; the worker's policy decides whether a new one is begun. */
MUST bool
capture_run(void *ctx, struct unit *u, struct err *e);

#endif
