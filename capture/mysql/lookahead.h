/* The log ahead of the decoder, read for one thing: where definitions change last.
 *
 * A second stream, decoded by a decoder of its own whose sink wants no table, so it understands
 * statements exactly as the first one does. Of each name only the last place is kept, which is
 * enough: what is asked is always about everything up to the newest place read. Nothing is read
 * twice; the connection is kept until lookahead_rest. Owner and thread: the fence's. Limit:
 * LOOKAHEAD_NAMES names, LOOKAHEAD_MS a call.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_LOOKAHEAD_H
#define MILLRACE_CAPTURE_MYSQL_LOOKAHEAD_H

#include "capture/mysql/fence.h"
#include "capture/mysql/source_private.h"

#define LOOKAHEAD_NAMES 65536
#define LOOKAHEAD_MS    120000

struct lookahead;

struct lookahead *
lookahead_new(struct source *s);
void
lookahead_free(struct lookahead *l);
void
lookahead_rest(struct lookahead *l);
/* out->proved: no statement in (from->at, upto] changes the definition of the table; else
 * out->why. False: the connection failed, or a stop was asked. */
MUST bool
lookahead_clear(struct lookahead *l, const struct source_name *name,
                const struct fence_place *from, const struct log_place *upto,
                struct definition *out, struct err *e);

#endif
