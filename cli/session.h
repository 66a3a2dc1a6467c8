/* What the task verbs share: the task store, the status records, the choice of tasks, waiting.
 */
#ifndef MILLRACE_CLI_SESSION_H
#define MILLRACE_CLI_SESSION_H

#include "cli/command.h"
#include "task/status_map.h"
#include "task/store.h"
#include "task/summary.h"

struct session {
    struct task_store *store;
    struct status_reader *status;
};

MUST bool
session_open(struct command *c, struct session *s, struct err *e);
void
session_close(struct session *s);

#define CHOICE_OPTIONS                           \
    {"task-name", 0, false, "NAME", "the task"}, \
        {"source-uri", 0, false, "URI", "only tasks of this source server and user"}

struct choice {
    struct task **tasks; /* a reference each */
    size_t len;
};

/* By --task-name, --all (where all_flag) and --source-uri. Neither is all tasks when
 * none_is_all, else MR_USAGE. An unknown name: MR_TASK_UNKNOWN. */
MUST bool
choose_tasks(const struct command *c, const struct session *s, bool all_flag, bool none_is_all,
             struct choice *out, struct err *e);
void
choice_free(struct choice *c);

/* The task as its operator sees it; summary_free. */
void
session_summary(const struct session *s, const struct task *t, struct summary *out);
/* Waits until the workers have carried the record out. MR_WAIT_TIMEOUT. */
MUST bool
session_wait(struct session *s, const struct task *t, uint64_t deadline_ms, struct err *e);

/* false: a human at a terminal said no. */
bool
confirm(const struct command *c, const char *question);
/* "2025-03-28 15:01:44.030821 +0800 CST" */
const char *
time_text(uint64_t us, char *out, size_t out_size);

#endif
