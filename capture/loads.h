/* Loads: the ranges of each loading table, their windows, and the orders to the loader threads
 * (DESIGN: full load).
 *
 * The version event names the load and says that the table is not loaded; then the load is
 * announced by a load_begin event in the cut that also holds its ranges; every range's `next`
 * moves with the cut of its rows; load_end follows when every range is done, then the version
 * event says `loaded`. Dying between any two of these: a load that is named and has no range is
 * begun again under another id; the truth's ranges of the named load say where to go on; a
 * load_end without `loaded` is written again with the same load id. Two windows of a range may
 * be open at once, so a loader reads the next chunk while the one before waits for the stream.
 * Owner and thread: the session's core; loaders hold orders only.
 */
#ifndef MILLRACE_CAPTURE_LOADS_H
#define MILLRACE_CAPTURE_LOADS_H

#include "capture/tables.h"

struct loader_chunk;

MUST bool
loads_new(struct session *s, struct err *e);
/* Stops the loader threads first. */
void
loads_free(struct session *s);
/* Names a new load of t in its version event, then announces it. */
MUST bool
loads_begin(struct session *s, struct captured *t, struct err *e);
/* Goes on with the ranges of the truth; begins those tables that need a load and have none. */
MUST bool
loads_resume(struct session *s, struct err *e);
/* Opens windows and gives orders where loaders are free. */
MUST bool
loads_pump(struct session *s, struct err *e);
/* Takes a loader's chunk. */
MUST bool
loads_chunk(struct session *s, struct loader_chunk *c, struct err *e);
/* Emits what the stream's position allows. */
MUST bool
loads_emit(struct session *s, struct err *e);
/* Every window of the table is void: truncation, new definition. */
void
loads_discard(struct session *s, struct captured *t);
/* Behind loads_discard: the table is published in another form now. */
void
loads_reshape(struct captured *t);
/* The table is no longer loaded: stopped. */
void
loads_drop(struct session *s, struct captured *t);
bool
loads_running(const struct session *s);
/* Rows read so far and the server's guess of all; for status. */
void
loads_progress(const struct session *s, const struct captured *t, uint64_t *rows,
               uint64_t *total);

#endif
