/* The product's own topics: millrace.tasks, millrace.status, millrace.schemas. */
#ifndef MILLRACE_TASK_TOPICS_H
#define MILLRACE_TASK_TOPICS_H

#include "base/config.h"

#define TOPIC_TASKS   "millrace.tasks"
#define TOPIC_STATUS  "millrace.status"
#define TOPIC_SCHEMAS "millrace.schemas"

/* Makes those that are absent; existing ones are left as they are, but millrace.schemas must
 * not be compacted (MR_KAFKA_TOPIC_CHANGED). Waits at most timeout_ms per call. */
MUST bool
topics_make(const struct config *c, int timeout_ms, struct err *e);

#endif
