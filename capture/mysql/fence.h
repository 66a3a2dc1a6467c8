/* Definitions that are proved to hold at a place of the log.
 *
 * Where TABLE_MAP carries no names (MySQL's binlog_row_metadata=MINIMAL, MariaDB's NO_LOG,
 * MySQL 5.7), names, labels and keys come from information_schema, which tells how a table is
 * now; the rows being decoded were written at an earlier place P. A definition D holds at P if
 *
 *   1. D is the table's definition at a place N, N not before P, and
 *   2. no statement in (P, N] changes the table's definition.
 *
 * (1) by the table's metadata lock: inside one transaction the table is opened (SELECT ...
 * LIMIT 0 asks for no more than the SELECT right), then information_schema is read, then the
 * end of the log N. A statement that changes a definition holds the table's exclusive lock from
 * before the dictionary shows its effect until after it is in the log, whichever of the two the
 * server does first. So it is over before we have the lock (both its effect and its place are
 * inside what we read) or begins to take effect after we let go (neither is). A table that is
 * not there is proved in the same way: asking for the lock waits for whoever drops or makes it.
 * (2) by reading the log ahead from P to N (lookahead.h). N is P on a quiet server.
 *
 * The rest is capture/definitions.h: a proved definition holds on until the stream meets a
 * statement on the table, which is where the next proof is asked for, P being the end of that
 * statement. Schedules:
 *
 *   statement X, read, rows       N covers X, nothing in (X, N]: proved at X, rows decode.
 *   statement X, rows, statement Y, read   Y in (X, N]: not proved at X. Rows between X and Y
 *                                 cannot be read; at Y: proved, and the table is loaded again
 *                                 if there were such rows.
 *   read, statement Y, before N   impossible: Y waits for our lock.
 *   read, N, statement Y          Y is behind N: the stream meets it and asks again.
 *   capture stopped, then X       the stream starts before X with the definition it had
 *                                 published, which holds until X.
 *   capture far behind            the same; only N - P is larger, and is read ahead once for
 *                                 all tables.
 *   death anywhere                a proof is used only through a version event, which is
 *                                 committed before the position passes the statement; else the
 *                                 statement is met again.
 *
 * Not covered, as nothing in the log tells of it: ALTER with sql_log_bin=0, and one that MySQL
 * 5.7 had done but not logged when it crashed. What TABLE_MAP says
 * of types, lengths and nullability (MySQL: signedness, character sets, geometry types too)
 * must agree with the definition; else the table stops.
 *
 * Owner and thread: the decoder's, in the core thread. Durable: nothing.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_FENCE_H
#define MILLRACE_CAPTURE_MYSQL_FENCE_H

#include "capture/mysql/decoder.h"

struct fence;

struct fence *
fence_new(struct source *s);
void
fence_free(struct fence *f); /* NULL allowed */
/* Where the decoder stands, and the last end of a transaction before: reading ahead begins
 * there. */
struct fence_place {
    struct log_place boundary;
    struct log_place at;
};

/* The definition of a table now, and whether it is proved to hold there. at NULL: nothing is to
 * be proved. Places never go back. Waits for a lock two seconds at most, for the log ahead
 * LOOKAHEAD_MS. */
MUST bool
fence_define(struct fence *f, const struct source_name *name, const struct fence_place *at,
             struct definition *out, struct err *e);
/* Gives back the connection that read ahead. */
void
fence_rest(struct fence *f);

#endif
