/* A connection to a MySQL-protocol server as a struct sql_conn (db/sql.h).
 *
 * URI: user:password@host:port/database and the options of db/mysql.h; the tables are those of
 * `database`. Transactions are READ COMMITTED; a lock is waited for 10 s; the server ends a
 * connection that is idle for 15 s.
 */
#ifndef MILLRACE_DB_MYSQL_SQL_H
#define MILLRACE_DB_MYSQL_SQL_H

#include "base/uri.h"
#include "db/sql.h"

MUST bool
mysql_sql_open(const struct uri *u, struct sql_conn **out, struct err *e);
/* sql with values in the place of ?1 .. ?9, as literals. */
void
mysql_sql_text(const char *sql, const char *const *values, size_t n, struct buf *out);

#endif
