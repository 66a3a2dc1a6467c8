/* The sequencer's load ranges: each as published, as confirmed by a cut, and as recorded by a
 * load/ record.
 *
 * A load record repeats only what a confirmed cut said, so it can never be void; until the unit
 * that carries it is itself confirmed, every progress record repeats the range. Owner: the
 * sequencer. Thread: its own. Limit: a few hundred ranges.
 */
#ifndef MILLRACE_CAPTURE_SEQUENCER_RANGES_H
#define MILLRACE_CAPTURE_SEQUENCER_RANGES_H

#include "task/progress.h"

/* Keys and table are owned copies. `change` counts the changes of this range, 0 = none. */
struct sequencer_range_state {
    struct progress_range r;
    uint64_t change;
};

struct sequencer_range_entry {
    struct sequencer_range_state now;       /* as published */
    struct sequencer_range_state confirmed; /* change 0: never */
    uint64_t recorded;                      /* change that a committed load record says */
    uint64_t written; /* change that a load record of a unit not yet confirmed says */
    uint64_t closed;  /* change that a progress record said last */
};

struct sequencer_ranges {
    struct sequencer_range_entry *list;
    uint32_t count, cap;
    struct progress_range *out; /* memory of the arrays given out */
};

/* What one unit changed. */
struct sequencer_snapshot {
    struct sequencer_range_state *states;
    uint32_t count;
    struct sequencer_range_state
        *wrote; /* load records of the unit: only table, load, range, change */
    uint32_t wrote_count;
};

void
sequencer_ranges_free(struct sequencer_ranges *l);
void
sequencer_ranges_start(struct sequencer_ranges *l, const struct progress_range *r,
                       bool recorded);
void
sequencer_ranges_set(struct sequencer_ranges *l, const struct progress_range *r);
void
sequencer_ranges_forget(struct sequencer_ranges *l, const char *table, uint64_t load);
bool
sequencer_ranges_at(const struct sequencer_ranges *l, size_t i, struct progress_range *out);
/* Some range changed since the last close. */
bool
sequencer_ranges_changed(const struct sequencer_ranges *l);
/* Ranges whose published state no committed load record says. Lives until the next call that
 * gives out. */
const struct progress_range *
sequencer_ranges_unrecorded(struct sequencer_ranges *l, uint32_t *count);
/* Fills table, load and ranges of the next load record that is due. */
bool
sequencer_ranges_due(struct sequencer_ranges *l, struct progress_record *out);
void
sequencer_ranges_close(struct sequencer_ranges *l, struct sequencer_snapshot *out);
void
sequencer_ranges_confirm(struct sequencer_ranges *l, const struct sequencer_snapshot *s);
void
sequencer_snapshot_free(struct sequencer_snapshot *s);

#endif
