/* One SQLite database file as a struct sql_conn (db/sql.h). The only user of SQLite's header.
 *
 * A writer that finds the file locked waits busy_ms, then the statement fails with
 * MR_CATALOG_ERROR (class RETRY); a transaction takes the write lock when it begins. Commits
 * are synchronous=FULL: durable when sql_conn_commit returns; other programs' connections
 * (PyIceberg, Java) are welcome beside ours.
 */
#ifndef MILLRACE_DB_SQLITE_H
#define MILLRACE_DB_SQLITE_H

#include "db/sql.h"

/* make: an absent file is created (its folder must exist). */
MUST bool
sqlite_conn_open(const char *path, bool make, unsigned busy_ms, struct sql_conn **out,
                 struct err *e);

#endif
