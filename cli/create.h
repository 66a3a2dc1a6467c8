/* task create in steps: the record from the flags, what the servers say, the report. */
#ifndef MILLRACE_CLI_CREATE_H
#define MILLRACE_CLI_CREATE_H

#include "cli/command.h"
#include "task/discover.h"
#include "task/task.h"

/* The record from the flags alone: no server is asked. Seals literal passwords. MR_USAGE. */
MUST bool
create_build(const struct command *c, struct task **out, struct err *e);
/* Opens a connection of a task. */
MUST bool
create_connect(const struct command *c, const struct task *t, const struct task_endpoint *at,
               enum mysql_side side, struct mysql_conn **out, struct err *e);
/* The target, when it is a lake. */
MUST bool
create_check_lake(const struct command *c, const struct task *t, const struct discover *found,
                  struct err *e);
/* What becomes of the table for want of a key: text behind its name. */
const char *
create_keyless(const struct command *c, const struct task *t, const struct discover_table *d);
/* Asks source and target; found: discover_free by the caller, also after false. */
MUST bool
create_check(const struct command *c, struct task *t, struct discover *found, struct err *e);

#endif
