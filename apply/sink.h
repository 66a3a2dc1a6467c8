/* Sink: the table of functions by which apply writes to a kind of target. One static table per
 * kind, listed in apply/sink.c.
 *
 * A target keeps one checkpoint row per (task, target table): who owns it and an opaque state
 * (task/checkpoint.h). The target rule (docs/ARCHITECTURE.md, "Target rule"): a unit of work is
 *   begin    opens a transaction, locks the checkpoint rows of its tables and compares them
 *            with the base the batch was built on; SINK_OTHER = do nothing, look at them
 *   write    rows of one table in one way, any number of times
 *   commit   rows and new checkpoints, atomically
 * and every error rolls all of it back. After an error of class ERR_UNKNOWN, and after any lost
 * connection, the next begin decides: it finds either the base or the new checkpoint.
 *
 * DDL is outside of that transaction: the caller commits an intent in the checkpoint first,
 * then calls ddl (which looks, executes, looks again), then commits the checkpoint without it.
 *
 * Threads: a sink is used by the thread that opened it; each lane by its own thread. A lane's
 * calls never wait longer than send-sql-timeout; sink_ops.interrupt ends them from any thread.
 */
#ifndef MILLRACE_APPLY_SINK_H
#define MILLRACE_APPLY_SINK_H

#include "base/config.h"
#include "base/stop.h"
#include "base/uri.h"
#include "schema/cell.h"
#include "schema/table.h"
#include "schema/target_ddl_mysql.h"

struct sink;
struct sink_lane;

/* A checkpoint row. target: "" is the task's own row, which numbers the owners. */
struct sink_point {
    const char *target;
    uint64_t owner;
    uint64_t instance;
    uint64_t commits; /* every change of the row adds one */
    struct bytes state;
};

/* A target: its checkpoint's key, and the table. */
struct sink_name {
    const char *target;
    const char *db;
    const char *table;
};

/* How a target wants to be written; zeros: each cut at once, net changes per key. */
struct sink_manner {
    uint64_t gather_us;    /* time between two commits of a table, unless there is */
    uint64_t gather_bytes; /* .. this much to write, or an event */
    uint64_t gather_rows;
    uint64_t idle_us;      /* between two checkpoints of a table without rows; 0: 30 s */
    uint64_t memory_bytes; /* for rows on their way; 0: apply.memory.bytes */
    bool tells;            /* parts come with `changes` */
};

/* Borrowed until close. */
struct sink_conf {
    const char *task_id; /* UUID */
    const char *task;    /* name, for messages */
    const struct uri *uri;
    const struct config *config;
    uint64_t instance;
    const struct stop *stop;
};

/* What a target table is to its source table. Names are the target's. */
enum sink_shape {
    SINK_ABSENT,
    SINK_FITS,
    SINK_DIFFERS, /* *why names the first difference */
};

struct sink_look {
    enum sink_shape shape;
    bool empty;       /* no rows */
    bool more_unique; /* it has a unique key besides the row's own */
    char why[256];
};

enum sink_ddl {
    SINK_CREATE,   /* table of that name, from the table version */
    SINK_EVOLVE,   /* alter it to the table version */
    SINK_TRUNCATE, /* all its rows go */
    SINK_COPY,   /* `other` := an empty table of the same definition; a left-over goes first */
    SINK_SWAP,   /* `other` takes the name of `table`, whose old content goes */
    SINK_REMOVE, /* drop it if it is there */
};

struct sink_step {
    enum sink_ddl what;
    const char *db;
    const char *table;
    const char *other;        /* COPY, SWAP: table name in the same database; CREATE, REMOVE:
                                 the table whose place it is to take, NULL: none */
    const struct table *from; /* EVOLVE: the version the table follows now, may be NULL */
    const struct table *to;   /* the version that the rows have, or will */
    const struct ddl_rename
        *renames; /* EVOLVE: columns of `from` that have other names in `to` */
    size_t rename_count;
    bool empty; /* EVOLVE: the table has no rows, none can come out otherwise */
    bool moves; /* SWAP: `other` is a table of its own, under its own name; there may be no
                   `table` yet */
};

enum sink_op {
    SINK_DELETE, /* rows: the key's cells at least, where `tells` the whole row; a key that is
                    not there is fine. TABLE_MULTISET: one row for each that is named, equal
                    ones beside each other; MR_TARGET_MULTISET when there are not as many */
    SINK_UPSERT, /* whatever is there, this is the row now. Not with further unique keys */
    SINK_INSERT, /* the key is not there: one that is, or a unique key that collides, is
                    MR_TARGET_DUPLICATE */
    SINK_LOAD,   /* as insert, but where the key is there, that row says the same already */
    SINK_APPEND, /* a change, beside what was there (TABLE_APPEND, every_change) */
};

/* What a row of a part was at the source, last. */
struct sink_change {
    char op; /* I, U, D; rows of a load are I */
    uint64_t seq;
    uint64_t commit_us; /* Unix time */
};

/* Rows to be written in one way, at most one a key (APPEND, TABLE_MULTISET: any number). */
struct sink_part {
    const char *db; /* of the target */
    const char *table;
    const struct table *version;
    enum sink_op op;
    bool loading;                      /* a load is not done: few of the keys are there */
    const struct cell *const *rows;    /* each version->column_count cells */
    const struct sink_change *changes; /* of each row; NULL unless APPEND or the sink's manner
                                          tells */
    size_t n;
};

enum sink_begin {
    SINK_BASE,  /* as expected: write */
    SINK_OTHER, /* rolled back; found[] tells what is stored */
};

struct sink_ops {
    const char *name;
    /* Connects, makes what holds the checkpoints. */
    bool (*open)(const struct sink_conf *c, struct sink **out, struct err *e);
    void (*close)(struct sink *s); /* after its lanes */
    /* Makes this instance the owner of every checkpoint row of the task: the connections of the
     * owner before are ended, none of its statements can take effect any more. Gives all rows,
     * in arena a. */
    bool (*claim)(struct sink *s, struct arena *a, struct sink_point **points, size_t *n,
                  struct err *e);
    /* The task was dropped: its checkpoint rows go. */
    bool (*forget)(struct sink *s, struct err *e);
    uint64_t (*owner)(const struct sink *s);

    /* SINK_LOAD is there and fast. */
    bool (*can_load)(const struct sink *s);
    /* SINK_APPEND of each change of such a table, nothing folded. NULL: of none but
     * TABLE_APPEND. */
    bool (*every_change)(const struct sink *s, const struct table *version);
    /* NULL: all zeros. */
    void (*manner)(const struct sink *s, struct sink_manner *out);

    bool (*lane_open)(struct sink *s, unsigned index, struct sink_lane **out, struct err *e);
    void (*lane_close)(struct sink_lane *l);
    void (*interrupt)(struct sink_lane *l); /* any thread */
    /* Work of the sink's own between two units, never longer than a commit. Gives ms until it
     * wants to be called again, -1: behind the next job. NULL: none. */
    int (*tend)(struct sink_lane *l);
    /* Makes or adopts the row of a target; what is stored then is in *out (arena a). From now
     * on the lane speaks for it. MR_TARGET_TAKEN: an owner above ours has it. */
    bool (*adopt)(struct sink_lane *l, const struct sink_name *name, struct bytes state,
                  struct arena *a, struct sink_point *out, struct err *e);

    /* base and found: n each, by target ascending; found is filled when SINK_OTHER (arena a).
     * MR_TARGET_TAKEN when another owns one of them. */
    bool (*begin)(struct sink_lane *l, const struct sink_point *base, size_t n, struct arena *a,
                  struct sink_point *found, enum sink_begin *outcome, struct err *e);
    bool (*write)(struct sink_lane *l, const struct sink_part *p, struct err *e);
    /* points: the new states of those of begin's that change. */
    bool (*commit)(struct sink_lane *l, const struct sink_point *points, size_t n,
                   struct err *e);
    void (*rollback)(struct sink_lane *l); /* never fails: a broken connection is dropped */

    bool (*look)(struct sink_lane *l, const char *db, const char *table,
                 const struct table *version, struct sink_look *out, struct err *e);
    /* False with MR_TARGET_DDL when the target cannot express it. May be repeated: true when
     * it is done, whoever did it. */
    bool (*ddl)(struct sink_lane *l, const struct sink_step *step, struct err *e);
    /* The statement(s) of a step, for the intent record and the log. */
    bool (*ddl_text)(struct sink_lane *l, const struct sink_step *step, struct buf *out,
                     struct err *e);
};

/* NULL: no such kind here. */
const struct sink_ops *
sink_find(const char *scheme);

#endif
