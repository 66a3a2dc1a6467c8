/* What capture does about statements on selected tables.
 *
 * The definition is asked for, and what the statement does to columns noted
 * (capture/definitions.h). What is handled here is rows that change without row events:
 * TRUNCATE is an event; DROP is noted, and a later CREATE of the name empties the target;
 * partition maintenance, conversions, imports and renames onto a captured name are loaded
 * again. A table that enters the selection by CREATE is complete without a load, by RENAME it
 * is loaded. Durable: TRUNCATE counts as a row of its transaction, so a replay skips it;
 * `dropped` is in the version event. Dying between the emptying of a table made again and its
 * version event empties it once more, before any of its rows. Thread: the core's.
 */
#ifndef MILLRACE_CAPTURE_DDL_H
#define MILLRACE_CAPTURE_DDL_H

#include "capture/tables.h"

/* Callbacks of the decoder: source_sink.truncate and .ddl, ctx = the session. */
MUST bool
ddl_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e);
MUST bool
ddl_statement(void *ctx, const struct source_ddl *d, struct err *e);
/* source_sink.rows_missed: every table is loaded again; without a full load it stops. Part of
 * the transaction that is open: dying within does it once more. */
MUST bool
ddl_rows_missed(void *ctx, struct bytes sql, struct err *e);

/* Empties the table at the target: an event of ours. */
MUST bool
ddl_empty(struct session *s, const struct captured *t, struct bytes sql, struct err *e);

#endif
