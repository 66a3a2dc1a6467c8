/* RENAME of a captured table to another selected name: the rows at the target follow by a
 * rename there, without a load.
 *
 * Two version events. The old name's, counted as a row of the statement's transaction: it is
 * dropped, `move` = {to: [database, table, topic] of the new name, after}. Then the new name's,
 * with the old one's definition, `move` = {from: topic of the old name, after}. `after` is
 * [topic, epoch, seq] of an event that has to be executed before: the newest of the new name,
 * if it was there before (what stands under the name then goes), and the first of the two.
 *
 * Not followed, but loaded under the new name (the old one is as dropped): a table that is
 * loading, stopped or unproved, of which a change is not judged yet, without a key, that gets
 * another definition in the same statement, whose new name is a captured table still; to
 * another database at the target; to a target that cannot rename.
 *
 * Die between the two events: the replay counts the first as published, finds nothing more of
 * the statement published, and writes the second. Thread: the core's.
 */
#ifndef MILLRACE_CAPTURE_MOVES_H
#define MILLRACE_CAPTURE_MOVES_H

#include "capture/tables.h"

/* A pair of a RENAME, both selected, from->table known, neither stopped. *followed false: `to`
 * is a name with other rows now. */
MUST bool
moves_pair(struct session *s, struct captured *from, struct captured *to,
           const struct source_ddl *d, bool *followed, struct err *e);
/* Of a version event: the topic that the table's rows went to; own copy; NULL: none. */
char *
moves_topic(const struct json *schema);

#endif
