/* What ALTERs did to the columns of a captured table since its newest version: whether the rows
 * at a target can follow from that version to the next by an ALTER there, and which columns
 * were renamed. What is not known for sure cannot follow; so a column that two statements
 * redefined, as it may have held less in between. Pure. Owner and thread: the core's.
 *
 * Names are compared without case, as the servers do.
 */
#ifndef MILLRACE_CAPTURE_CHANGES_H
#define MILLRACE_CAPTURE_CHANGES_H

#include "capture/source.h"

struct changes;

/* Adds a statement; *c is made when it is NULL. newest: the version before it, may be NULL. */
void
changes_note(struct changes **c, const struct table *newest, const struct source_ddl *d);
/* Statements were seen and are not remembered: nothing follows any more. */
void
changes_lose(struct changes **c);
void
changes_free(struct changes *c); /* NULL allowed */
/* c NULL: no statement was seen. */
bool
changes_follow(const struct changes *c, const struct table *from, const struct table *to);
/* [[from, to], ...] */
struct json *
changes_renames(const struct changes *c);

#endif
