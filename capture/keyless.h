/* Loads of tables without a key: one snapshot of known position, and the stream beside it.
 *
 * Windows (capture/window.h) need a key: they leave out a row that the stream has touched.
 * Equal rows have one content, and how many of them a chunk saw cannot be told from its rows.
 * So such a table is read in one consistent snapshot whose position E in the log is exact: a
 * transaction that changes the table is in the snapshot if and only if it begins before E
 * (source_ops.snapshot). Then
 *   - a row of the stream that begins before E is in the snapshot: it is passed over, counted
 *     in its transaction but not published;
 *   - a row behind E is not: a create is published at once, a delete waits (by content, with
 *     its count);
 *   - a row of the snapshot is published (op r), but for one whose delete waits: the two vanish
 *     together. None is published before the stream has reached E;
 *   - when the last row of the snapshot is out, the deletes that still wait are published, then
 *     load_end.
 * What was published is at every moment (snapshot rows so far) + (creates behind E): no count
 * of a content can become negative at a target, and behind the last delete it is the source's.
 * E is known only when the snapshot is open. Rows of the stream met before its order was given
 * are before E (the order demands that E covers what was streamed); those met between order and
 * answer are kept with their place, and sorted when E comes.
 *
 * Nothing of this is durable. Positions pass what waits and what was passed over; whoever dies
 * before load_end is confirmed leaves the table not loaded, and the next session begins another
 * load, whose snapshot is behind all that. Rows of the load before, and of the stream up to the
 * new load_begin, are in a target table that the new load replaces (apply/steps.c). Likewise a
 * load whose snapshot breaks, or during which the table is altered or truncated, begins anew if
 * anything of it was published.
 *
 * Memory: waiting rows, KEYLESS_BYTES; above it the load begins anew, then the table stops.
 * Owner and thread: the core's.
 */
#ifndef MILLRACE_CAPTURE_KEYLESS_H
#define MILLRACE_CAPTURE_KEYLESS_H

#include "schema/change.h"
#include "schema/position.h"
#include "schema/table_rows.h"

#define KEYLESS_BYTES ((size_t)32 << 20)

struct keyless;

/* columns: of the published form; rows given and taken have that many cells, the last one the
 * key. published: as keyless_published. */
struct keyless *
keyless_new(uint16_t columns, bool published);
void
keyless_free(struct keyless *k); /* NULL allowed */

/* An order for a (new) snapshot is about to be given: all that was met before is in it. */
void
keyless_order(struct keyless *k);
/* The snapshot is open, at E. */
void
keyless_open(struct keyless *k, const struct position *at);
/* A create or delete of the stream; `begin`: where its transaction begins. True: publish it
 * now; false: pass it over. */
bool
keyless_row(struct keyless *k, enum change_op op, const struct cell *row,
            const struct position *begin);
/* A row of the snapshot: publish it? */
bool
keyless_read(struct keyless *k, const struct cell *row);
/* A create that waited for E, to be published now; NULL: none left. */
const struct cell *
keyless_next_create(struct keyless *k);
/* At the end: a delete that waited, once per call; NULL: none left. */
const struct cell *
keyless_next_delete(struct keyless *k);
/* Something of this load was published: it cannot be ordered again. */
bool
keyless_published(const struct keyless *k);
bool
keyless_full(const struct keyless *k);

#endif
