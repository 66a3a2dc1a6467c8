/* What apply's program brings to the worker frame: see task/worker.h. */
#ifndef MILLRACE_APPLY_RUN_H
#define MILLRACE_APPLY_RUN_H

#include "task/worker.h"

bool
apply_wants(void *ctx, const struct task *t);
MUST bool
apply_run(void *ctx, struct unit *u, struct err *e);
MUST bool
apply_dropped(void *ctx, struct unit *u, struct err *e);

#endif
