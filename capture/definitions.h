/* What the unit knows of its tables' definitions, and whether it is proved.
 *
 * Invariant: at every published position, the newest version of a table in the progress topic
 * is its definition there, or is marked `unproved`. So a session that starts there asks the
 * source nothing about tables it knows.
 *
 * A statement on a table asks the source for a proof at its own place (source_ops.describe). A
 * proof that differs is a new version. Without one the table is marked before the position
 * passes the statement; it is asked again at each later statement and, between transactions of
 * which nothing is partly published, from time to time. (Never between two rows of a
 * transaction: a replay must skip the same rows.) Rows of an unproved table are read where the
 * log itself names the columns, which is a proof too. Where it does not, they are skipped, and
 * `gap` is marked before the position passes them: the next proof begins a load. A task without
 * full load cannot do that: there the table stops.
 *
 * MariaDB's log names columns and does not tell some types from others (uuid, inet6 and
 * binary(16), vector and varbinary): what it names is then taken for what the source has now.
 * The bytes are the same in both, so a redefinition from the one to the other changes no value;
 * what goes by way of a third type is two redefinitions, and a load.
 *
 * What statements said of the columns is kept (capture/changes.h) until the next proof, which
 * may be several statements later. It tells whether the rows at a target follow to what was
 * proved; if not, or if rows were skipped, a load begins before the version.
 *
 * Durable: `unproved`, `gap` and `altered` (changes are kept; a session that
 * resumes knows no more of them than that they were) are in the version event. Dying between a
 * load's begin and its version begins another load, before any row of that version. Owner and
 * thread: the session's core.
 */
#ifndef MILLRACE_CAPTURE_DEFINITIONS_H
#define MILLRACE_CAPTURE_DEFINITIONS_H

#include "capture/tables.h"

/* The table may have changed just now. It may be stopped by this. */
MUST bool
definitions_ask(struct session *s, struct captured *t, struct err *e);
/* The same, by a statement that says what it does to the columns. */
MUST bool
definitions_altered(struct session *s, struct captured *t, const struct source_ddl *d,
                    struct err *e);
/* The rows that statements spoke of are gone. */
void
definitions_forget_changes(struct captured *t);
/* Any table may have. */
MUST bool
definitions_ask_all(struct session *s, struct err *e);
/* Those that are unproved, when it is time. */
MUST bool
definitions_retry(struct session *s, struct err *e);
/* This is the definition where the stream stands: of a proof, or named by the log. Takes the
 * reference. */
MUST bool
definitions_proved(struct session *s, struct captured *t, struct table *version, struct err *e);
/* source_sink.gap, ctx = the session. */
MUST bool
definitions_gap(void *ctx, const struct source_name *name, void *user, struct err *e);

#endif
