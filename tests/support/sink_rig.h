/* An Iceberg sink without apply around it, and its table shop.t (id BIGINT key, v VARCHAR,
 * n BIGINT): units of work as a lane does them. v is "row <id>/<n>", so that a reader can tell
 * a row that is half another's.
 *
 * Owner, thread: the caller's. Every call that fails has filled *e.
 */
#ifndef MILLRACE_TESTS_SUPPORT_SINK_RIG_H
#define MILLRACE_TESTS_SUPPORT_SINK_RIG_H

#include "apply/iceberg/iceberg.h"

#define SINK_RIG_TASK "0192aaaa-bbbb-7ccc-8ddd-eeeeffff0001"

struct sink_rig {
    struct config *config;
    struct uri uri;
    struct table *version;
    const struct sink_ops *ops;
    struct sink *sink;
    struct sink_lane *lane;
    struct arena mem;        /* of the point */
    struct arena unit;       /* of the open unit's rows */
    struct sink_point point; /* the checkpoint that the next unit is built on */
    size_t claimed;          /* checkpoints that the claim found */
    const char *table;       /* that rows are written to: "t", or a hidden one */
};

struct sink_rig_row {
    int64_t id;
    int64_t n;
};

/* Opens, claims, adopts. settings: "name=value", NULL behind the last. task: an UUID. */
MUST bool
sink_rig_open(struct sink_rig *r, const char *uri, const char *const *settings,
              const char *task, uint64_t instance, struct err *e);
/* As a process that died: nothing is rolled back or removed. */
void
sink_rig_close(struct sink_rig *r);
MUST bool
sink_rig_create(struct sink_rig *r, struct err *e);
/* A step on shop.t; other: the hidden table's name. */
MUST bool
sink_rig_step(struct sink_rig *r, enum sink_ddl what, const char *other, struct err *e);
/* SINK_OTHER: r->point is what is stored. */
MUST bool
sink_rig_begin(struct sink_rig *r, enum sink_begin *outcome, struct err *e);
MUST bool
sink_rig_write(struct sink_rig *r, enum sink_op op, const struct sink_rig_row *rows, size_t n,
               struct err *e);
/* state: JSON. On true the next unit is built on it; on false the unit is rolled back. */
MUST bool
sink_rig_commit(struct sink_rig *r, const char *state, struct err *e);

#endif
