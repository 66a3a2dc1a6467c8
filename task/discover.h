/* Discovery: what a source of the MySQL family holds and whether it can be captured, for
 * `task create`. All by plain SQL with the rights a task needs anyway.
 *
 * Errors: MR_SOURCE_* (unreachable, login, grant, binlog off, not ROW, row image, row
 * metadata), MR_SELECT_EMPTY. Owner and thread: one.
 */
#ifndef MILLRACE_TASK_DISCOVER_H
#define MILLRACE_TASK_DISCOVER_H

#include "db/mysql.h"
#include "schema/position.h"
#include "task/task.h"

struct discover_table {
    const char *db;
    const char *table;
    const char *to_db;
    const char *to_table;
    bool has_key;
    uint64_t rows; /* the server's estimate */
};

/* A type of selected columns that has a policy (schema/types_mysql.c), or is not supported. */
struct discover_type {
    const char *name;
    const char *policy;
    const char *first; /* db.table.column */
    uint64_t columns;
};

struct discover {
    struct arena mem;
    const char *version;
    const char *identity;          /* server uuid, or server id of MariaDB */
    struct discover_table *tables; /* selected ones, by name */
    size_t tables_len;
    struct discover_type types[40];
    size_t types_len;
    const char **cascades; /* foreign keys of selected tables that act without the log */
    size_t cascades_len;
    size_t excluded;          /* hidden by the pattern */
    struct position position; /* now */
};

/* Zeroes out first; discover_free also after false. */
MUST bool
discover_source(struct mysql_conn *c, const struct task *t, struct discover *out,
                struct err *e);
/* Fills types, for the tables that discover_source selected. */
MUST bool
discover_types(struct mysql_conn *c, struct discover *d, struct err *e);
/* Fills cascades, likewise. */
MUST bool
discover_cascades(struct mysql_conn *c, struct discover *d, struct err *e);
void
discover_free(struct discover *d);
/* Server settings and rights only. */
MUST bool
discover_check_server(struct mysql_conn *c, struct err *e);
/* Text that is the same for every address of one server. */
MUST bool
discover_identity(struct mysql_conn *c, struct arena *a, const char **out, struct err *e);
MUST bool
discover_position(struct mysql_conn *c, struct position *out, struct err *e);
/* MR_SOURCE_PURGED when the server no longer has all that comes after p, MR_SOURCE_IDENTITY
 * when p is another server's. */
MUST bool
discover_check_position(struct mysql_conn *c, const struct position *p, struct err *e);

#endif
