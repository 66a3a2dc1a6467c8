/* Private to apply/mysql: the state behind struct sink and struct sink_lane, and what its files
 * offer each other. See target.c for the protocol.
 */
#ifndef MILLRACE_APPLY_MYSQL_TARGET_H
#define MILLRACE_APPLY_MYSQL_TARGET_H

#include <stdatomic.h>

#include "apply/sink.h"
#include "base/thread.h"
#include "db/mysql.h"

#define TARGET_ROWS_PER_STATEMENT 1000
#define TARGET_SQL_MODE           "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"

struct sink {
    struct sink_conf conf;
    struct mysql_conn *conn; /* control */
    char task[33];           /* the id's 32 hex digits */
    char *table;             /* `millrace`.`millrace_checkpoint` */
    char *schema;            /* unquoted */
    uint64_t owner;          /* 0: not claimed */
    size_t statement_max;    /* bytes of one statement */
    bool infile;             /* LOAD DATA LOCAL is allowed at the target */
    bool row_alias;          /* INSERT ... AS new, instead of VALUES() */
    bool maria;
    bool lacks_vector;  /* it has no type VECTOR */
    struct arena names; /* of collations */
    const char **collations;
    size_t collations_len;
};

struct sink_lane {
    struct sink *sink;
    unsigned index;
    pthread_mutex_t lock; /* of conn, against interrupt */
    struct mysql_conn *conn;
    atomic_bool interrupted;
    uint64_t conn_id;
    uint64_t lost_id; /* a connection we dropped and that may still live at the server; 0 */
    char **names;     /* targets adopted */
    size_t names_len;
    struct buf sql;  /* statement being built */
    struct buf data; /* of a LOAD DATA */
    struct buf cols; /* column list of the present part */
};

/* ---- target.c ---- */
MUST bool
target_connect(const struct sink *s, struct mysql_conn **out, struct err *e);
/* Ends a connection of this task, if it still lives, and waits until its transaction is over.
 * Ids of others are left alone. */
MUST bool
target_end_connection(struct sink *s, struct mysql_conn *by, uint64_t id, struct err *e);
/* WHERE task = x'..' */
void
target_where_task(const struct sink *s, struct buf *sql);
/* Reads "target, owner, instance, commits, state" of a row of `rows` starting at column 0. */
MUST bool
target_read_point(const struct mysql_rows *rows, size_t row, struct arena *a,
                  struct sink_point *out, struct err *e);
MUST bool
target_cell_u64(struct bytes cell, uint64_t *out, struct err *e);

/* ---- session.c ---- */
MUST bool
session_open(struct sink *s, unsigned index, struct sink_lane **out, struct err *e);
void
session_close(struct sink_lane *l);
void
session_interrupt(struct sink_lane *l);
/* The connection, made anew when there is none. */
MUST bool
session_ready(struct sink_lane *l, struct err *e);
MUST bool
session_adopt(struct sink_lane *l, const struct sink_name *name, struct bytes state,
              struct arena *a, struct sink_point *out, struct err *e);
MUST bool
session_begin(struct sink_lane *l, const struct sink_point *base, size_t n, struct arena *a,
              struct sink_point *found, enum sink_begin *outcome, struct err *e);
MUST bool
session_commit(struct sink_lane *l, const struct sink_point *points, size_t n, struct err *e);
void
session_rollback(struct sink_lane *l);
/* Executes l->sql; a truncated one is MR_NO_MEMORY. */
MUST bool
session_exec(struct sink_lane *l, struct mysql_done *done, struct err *e);

/* ---- rows.c ---- */
MUST bool
rows_write(struct sink_lane *l, const struct sink_part *p, struct err *e);

/* ---- multiset.c ---- */
/* A part of op SINK_DELETE of a TABLE_MULTISET. */
MUST bool
multiset_delete(struct sink_lane *l, const struct sink_part *p, struct err *e);

/* ---- bulk.c ---- */
/* A part of op SINK_LOAD, by LOAD DATA LOCAL. */
MUST bool
bulk_write(struct sink_lane *l, const struct sink_part *p, struct err *e);

/* ---- shape.c ---- */
/* *out NULL: there is no such table. */
MUST bool
shape_read(struct mysql_conn *c, const char *db, const char *name, struct table **out,
           struct err *e);

/* ---- ddl.c ---- */
MUST bool
ddl_look(struct sink_lane *l, const char *db, const char *table, const struct table *version,
         struct sink_look *out, struct err *e);
MUST bool
ddl_do(struct sink_lane *l, const struct sink_step *step, struct err *e);
MUST bool
ddl_text(struct sink_lane *l, const struct sink_step *step, struct buf *out, struct err *e);

#endif
