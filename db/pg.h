/* One connection to PostgreSQL as a struct sql_conn (db/sql.h). The only user of libpq's
 * header.
 *
 * URI: user:password@host:port/database?tls=off|on|verify&ca=FILE (password resolved);
 * tls=on encrypts without checking who answers, verify checks the certificate and the host
 * name. A statement or a silent server fails after a minute, a lock after 10 s; the server
 * ends a transaction that stands still for 15 s.
 */
#ifndef MILLRACE_DB_PG_H
#define MILLRACE_DB_PG_H

#include "base/uri.h"
#include "db/sql.h"

MUST bool
pg_conn_open(const struct uri *u, struct sql_conn **out, struct err *e);
/* Code of an SQLSTATE (PostgreSQL manual, appendix A). */
enum err_code
pg_error_code(const char *sqlstate);

#endif
