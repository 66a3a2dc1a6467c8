/* One face of the databases that keep small tables for us (an Iceberg catalog): statements with
 * values, rows as text, transactions. db/sqlite.h, db/pg.h and db/mysql_sql.h open one.
 *
 * Statements name their values ?1 .. ?9. Errors: MR_CATALOG_* (EXISTS: a row of that key;
 * MISSING: no such table, SQLite cannot tell), MR_STORAGE_FULL. Behind MR_CATALOG_UNREACHABLE
 * and MR_CATALOG_UNKNOWN_OUTCOME the connection is of no use: close it. Owner: who opened it.
 * Thread: one at a time.
 */
#ifndef MILLRACE_DB_SQL_H
#define MILLRACE_DB_SQL_H

#include "base/arena.h"

/* Rows in the arena: cells[row * columns + column], NULL value: NULL. */
struct sql_rows {
    const char **cells;
    size_t rows;
    unsigned columns;
};

struct sql_conn {
    const struct sql_ops *ops;
};

struct sql_ops {
    const char *table_tail; /* end of CREATE TABLE: names are told apart by every byte */
    bool (*run)(struct sql_conn *c, const char *sql, const char *const *values, size_t n,
                struct arena *a, struct sql_rows *rows, unsigned *changed, struct err *e);
    bool (*begin)(struct sql_conn *c, struct err *e);
    bool (*commit)(struct sql_conn *c, struct err *e);
    void (*rollback)(struct sql_conn *c);
    void (*close)(struct sql_conn *c);
};

/* One statement; ?1.. take values[0..n), NULL is SQL's. rows NULL (a NULL too): not wanted.
 * *changed (NULL allowed): rows that an INSERT, UPDATE or DELETE touched. */
MUST static inline bool
sql_conn_run(struct sql_conn *c, const char *sql, const char *const *values, size_t n,
             struct arena *a, struct sql_rows *rows, unsigned *changed, struct err *e)
{
    return c->ops->run(c, sql, values, n, a, rows, changed, e);
}

MUST static inline bool
sql_conn_begin(struct sql_conn *c, struct err *e)
{
    return c->ops->begin(c, e);
}

/* Failing means rolled back, or MR_CATALOG_UNKNOWN_OUTCOME: only a new connection can tell. */
MUST static inline bool
sql_conn_commit(struct sql_conn *c, struct err *e)
{
    return c->ops->commit(c, e);
}

/* Nothing to roll back is fine. */
static inline void
sql_conn_rollback(struct sql_conn *c)
{
    c->ops->rollback(c);
}

static inline void
sql_conn_close(struct sql_conn *c) /* NULL allowed */
{
    if (c)
        c->ops->close(c);
}

#endif
