/* Task store: the records of millrace.tasks, read and written.
 *
 * Reading: of one id the highest generation counts, the first of equals; of one (owner, name)
 * and of one topic prefix the first task that is not dropped. Writing: a transaction under the
 * one transactional id "millrace.tasks", opened by fencing every other writer; then the topic
 * is read to its end, the generation checked (stored + 1) and the record appended and
 * committed. So no two edits are ever built on one record, and what compaction keeps is right.
 *
 * Durable: the edit, when task_store_put returns true. After an unknown outcome the topic is
 * read again: it holds our record, or not. Dying between any two lines leaves the old record or
 * the new one.
 * Owner and thread: one. Records handed out: reference counted.
 */
#ifndef MILLRACE_TASK_STORE_H
#define MILLRACE_TASK_STORE_H

#include "base/config.h"
#include "base/stop.h"
#include "task/task.h"

struct task_store;

/* Reads all there is. The topics must be there (task/topics.h). stop: ends waiting, or NULL. */
MUST bool
task_store_open(const struct config *c, const struct stop *stop, struct task_store **out,
                struct err *e);
void
task_store_close(struct task_store *s); /* NULL allowed */
/* Reads to the end. */
MUST bool
task_store_refresh(struct task_store *s, struct err *e);
/* A record that is new or newer than what was known. A record that cannot be read: t NULL and
 * why. */
typedef void
task_store_fn(void *ctx, const struct task *t, const struct err *why);
/* Follows: takes what is there, waits at most timeout_ms for the first. */
MUST bool
task_store_poll(struct task_store *s, int timeout_ms, task_store_fn *fn, void *ctx,
                struct err *e);
int
task_store_fd(const struct task_store *s);

/* Known tasks, dropped ones too, by creation. Borrowed until the next call that reads. */
size_t
task_store_len(const struct task_store *s);
struct task *
task_store_at(const struct task_store *s, size_t i);
/* Not dropped; owner NULL: any. NULL: none. */
struct task *
task_store_find(const struct task_store *s, const char *owner, const char *name);
struct task *
task_store_find_id(const struct task_store *s, const char *id);
/* Stores t, whose generation is one above the stored one (1: a new task). updated_us is set.
 * Edits of other tasks at the same time are no conflict. MR_TASK_EXISTS, MR_TASK_EDIT_RACE
 * (this task was edited meanwhile, or others did nothing else for 30 s), Kafka's errors. */
MUST bool
task_store_put(struct task_store *s, struct task *t, struct err *e);

#endif
