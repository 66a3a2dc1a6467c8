/* Selection: the objects a task names, and what they match. Pure. See task/task.h. */
#ifndef MILLRACE_TASK_SELECT_H
#define MILLRACE_TASK_SELECT_H

#include "task/task.h"

/* Puts t->objects in order; matching needs it. */
void
select_sort(struct task *t);

#endif
