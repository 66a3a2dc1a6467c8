/* The checkpoint state that a target stores with the rows, and the comparison that decides
 * every commit.
 *
 * JSON form: docs/formats.md, "Checkpoint": {v, inc, cut:{source:[epoch, seq]},
 * progress_offset:{source:n}, commit_us, parts:{topic:{p:[offset, epoch, seq]}},
 * versions:{topic:v}, intent or null, loads}.
 *
 * Target rule: a batch carries the checkpoint it was built on. Commit = lock and read the
 * stored one; if it is not that base (checkpoint_is_base), discard the batch, re-read, re-seek;
 * else rows and new checkpoint in one transaction. After an unknown outcome the same locked
 * read decides: the base means not committed, the new state means committed. DDL is outside
 * that transaction: the checkpoint that ends at the event carries `intent`; the process may die
 * before or after the statement; whoever reads an intent looks whether it was done, does it if
 * not, then clears it.
 *
 * Ownership: a checkpoint owns everything in it (checkpoint_free). Thread: one.
 */
#ifndef MILLRACE_TASK_CHECKPOINT_H
#define MILLRACE_TASK_CHECKPOINT_H

#include "base/json.h"
#include "task/progress.h"

#define CHECKPOINT_FORMAT 1

/* Properties of an Iceberg table (docs/formats.md, "Checkpoint"): the state is in
 * CHECKPOINT_LAKE_STATE + task id. */
#define CHECKPOINT_LAKE_STATE "millrace."
#define CHECKPOINT_LAKE_OWNER "millrace.owner"
#define CHECKPOINT_LAKE_TASK  "millrace.task"

struct checkpoint_source {
    uint32_t n; /* number of the source in its task: 1, ... */
    struct cut_id cut;
    int64_t progress_offset;
};

struct checkpoint_part {
    int32_t partition;
    int64_t offset; /* of the last applied record; -1: none */
    uint64_t epoch;
    uint64_t seq;
};

struct checkpoint_topic {
    char *topic;
    uint32_t version; /* table version the rows so far were written with; 0: none */
    struct checkpoint_part *parts; /* ascending */
    uint32_t part_count;
};

/* DDL about to be executed at the target. */
struct checkpoint_intent {
    char *kind;       /* "truncate", "ddl", "create", "version", ...: the sink's word */
    struct cut_id id; /* of its event */
    char *statement;
    char *done; /* how to see that it is done: the sink's own words */
};

struct checkpoint {
    uint64_t inc;
    uint64_t commit_us;
    struct checkpoint_source *sources; /* ascending n */
    uint32_t source_count;
    struct checkpoint_topic *topics; /* ascending by name */
    uint32_t topic_count;
    struct checkpoint_intent *intent; /* NULL: none */
    struct json *loads;               /* of the sink's loads; NULL: none */
    /* of the row, not in the JSON */
    uint64_t owner;
    uint64_t instance;
    uint64_t commits;
};

void
checkpoint_init(struct checkpoint *c, uint64_t inc);
void
checkpoint_free(struct checkpoint *c);
void
checkpoint_copy(struct checkpoint *dst,
                const struct checkpoint *src); /* dst initialised, overwritten */
/* Found or made (at its sorted place; pointers to others move). */
struct checkpoint_source *
checkpoint_source(struct checkpoint *c, uint32_t n);
struct checkpoint_topic *
checkpoint_topic(struct checkpoint *c, const char *topic);
struct checkpoint_part *
checkpoint_part(struct checkpoint *c, const char *topic, int32_t partition);
void
checkpoint_topic_drop(struct checkpoint *c, const char *topic);
/* All three strings copied; kind NULL clears. */
void
checkpoint_set_intent(struct checkpoint *c, const char *kind, struct cut_id id,
                      const char *statement, const char *done);

void
checkpoint_encode(const struct checkpoint *c, struct buf *out);
/* MR_TARGET_CHECKPOINT on anything not understood. out initialised, overwritten. */
MUST bool
checkpoint_decode(struct bytes state, struct checkpoint *out, struct err *e);
/* The stored one is exactly the base: incarnation, cuts, parts, versions, intent, owner,
 * instance and commits. */
bool
checkpoint_is_base(const struct checkpoint *stored, const struct checkpoint *base);
/* How an owner reads a stored row after its own unknown outcome. */
enum checkpoint_outcome {
    CHECKPOINT_NOT_COMMITTED, /* it is the base */
    CHECKPOINT_COMMITTED,     /* it is what we wrote: commits = base + 1, ours */
    CHECKPOINT_TAKEN, /* another owner's, or another state: discard, re-read, re-seek or stand
                         by */
};
enum checkpoint_outcome
checkpoint_after_unknown(const struct checkpoint *stored, const struct checkpoint *base,
                         const struct checkpoint *written);

#endif
