/* One SQLite database file: open, statements with bound values, transactions, error classes.
 * The only user of SQLite's header.
 *
 * A writer that finds the file locked waits busy_ms, then the statement fails with
 * MR_CATALOG_ERROR (class RETRY). Commits are synchronous=FULL: durable when sqlite_commit
 * returns; other programs' connections (PyIceberg, Java) are welcome beside ours. Errors:
 * MR_CATALOG_*, MR_STORAGE_FULL. Owner: who opened it. Thread: one at a time.
 */
#ifndef MILLRACE_DB_SQLITE_H
#define MILLRACE_DB_SQLITE_H

#include "base/arena.h"

struct sqlite_conn;

/* make: an absent file is created (its folder must exist). */
MUST bool
sqlite_conn_open(const char *path, bool make, unsigned busy_ms, struct sqlite_conn **out,
                 struct err *e);
void
sqlite_conn_close(struct sqlite_conn *c); /* NULL allowed */

/* Rows as text in the arena: cells[row * columns + column], NULL value: NULL. */
struct sqlite_rows {
    const char **cells;
    size_t rows;
    unsigned columns;
};

/* One statement; ?1.. take values[0..n), NULL is SQL's. rows NULL: not wanted. *changed (NULL
 * allowed): rows that an INSERT, UPDATE or DELETE touched. */
MUST bool
sqlite_conn_run(struct sqlite_conn *c, const char *sql, const char *const *values, size_t n,
                struct arena *a, struct sqlite_rows *rows, unsigned *changed, struct err *e);
/* Takes the write lock at once. */
MUST bool
sqlite_conn_begin(struct sqlite_conn *c, struct err *e);
/* Failing means rolled back, or MR_CATALOG_UNKNOWN_OUTCOME: then only a new connection can
 * tell. */
MUST bool
sqlite_conn_commit(struct sqlite_conn *c, struct err *e);
/* Nothing to roll back is fine. */
void
sqlite_conn_rollback(struct sqlite_conn *c);

#endif
