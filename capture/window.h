/* Windows: reading chunks of a table under a stream that never pauses (DBLog, "track first").
 *
 * Per loading table, on the sequencer's thread:
 *   w = window_open(t, range, p0)       from here every streamed change is noted with
 * window_touch window_may_read(w, L)               L, a mark read at the source now, covers P0:
 * only now may the chunk be read
 *   ... a loader reads rows (from, ...], then mark H ...  window_read(w, H)
 *   window_may_emit(w, stream)          the stream has published everything of H
 *   window_emits(w, key) per row        its key was not changed since P0
 *   window_close(w)                     after sequencer_load_row of the rows and
 * sequencer_range of the new `next` Why: a dump thread may send a change before it is visible.
 * A transaction streamed before P0 is visible at L, so the chunk has it; one streamed after P0
 * touches its keys; one in neither was streamed after emission and overwrites.
 *
 * A truncation, a source failover or a change of the definition ends every window:
 * window_table_discard. Windows of one range emit in the order they were opened. `next` moves
 * only with the cut of its rows (sequencer_range), so after a crash the rows above the
 * confirmed `next` are read again and nothing is emitted twice in a valid epoch.
 *
 * Thread: one; a loader holds only the chunk's plan (from, H). Limit: touched_max keys; above
 * it the windows are discarded and window_table_chunk tells a smaller size for the retry.
 */
#ifndef MILLRACE_CAPTURE_WINDOW_H
#define MILLRACE_CAPTURE_WINDOW_H

#include "base/map.h"
#include "task/progress.h"

enum window_state {
    WINDOW_TRACKING, /* waiting for a mark that covers P0 */
    WINDOW_READING,
    WINDOW_READ, /* waiting for the stream to cover H */
    WINDOW_DISCARDED,
};

struct window_conf {
    size_t touched_max;       /* keys; 0 = 1,000,000 */
    size_t touched_bytes_max; /* of keys; 0 = 64 MiB */
};

struct window;
struct window_table;

struct window_table *
window_table_new(const struct window_conf *c);
void
window_table_free(struct window_table *t); /* closes its windows */
/* The keys of a streamed change, old and new; cheap when no window is open. */
void
window_touch(struct window_table *t, struct bytes key);
/* Every window is WINDOW_DISCARDED; the caller closes each when its loader is back, and opens
 * anew. */
void
window_table_discard(struct window_table *t);
size_t
window_table_open(const struct window_table *t);
/* Divide the chunk's size by this at the next window: doubles with each discard for size,
 * halves with each emission. */
unsigned
window_table_shrink(const struct window_table *t);

/* range: caller's id; windows of one range emit in order. p0: sequencer_p0, copied. */
struct window *
window_open(struct window_table *t, uint32_t range, const struct position *p0);
enum window_state
window_state(const struct window *w);
/* True: the state is now WINDOW_READING. */
bool
window_may_read(struct window *w, const struct position *mark);
/* The chunk is in memory and `mark` was read after it. False: discarded meanwhile, forget the
 * rows. */
bool
window_read(struct window *w, const struct position *mark);
/* `stream`: sequencer_position. Only the oldest window of its range. */
bool
window_may_emit(const struct window *w, const struct position *stream);
bool
window_emits(const struct window *w, struct bytes key);
void
window_close(struct window *w);

#endif
