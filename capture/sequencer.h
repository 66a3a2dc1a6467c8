/* The sequencer: gives every published row its seq and every unit of publication its progress
 * record.
 *
 * One per claimed source, made from the truth its claim read; destroyed, never rewound, when a
 * commit or abort is not known to have succeeded. No I/O: the stream and the loaders feed it,
 * the publisher writes what it says.
 *
 * Protocol of a unit: rows, load rows, at most one event as its last thing; sequencer_close
 * gives the progress record; the publisher waits for the delivery report of every row, then
 * produces the record, then commits; sequencer_confirm. Units are confirmed in the order they
 * were closed; the next unit may be filled meanwhile.
 *
 * Durable state is only what confirmed cuts say. Die before a unit's commit: its rows are above
 * the next from_seq and void, its transactions are read from the source again, a transaction
 * that an earlier unit left partly published is skipped up to the rows that cut counted. Die
 * after the commit, before the source was acknowledged: the truth is the cut, the source is
 * asked for everything after its position.
 *
 * The count is right only if a reading that comes again selects the same rows. So, while a
 * transaction is partly published, the set of captured tables may only shrink, by
 * sequencer_uncount, and not before the rows that were counted are counted again; a table that
 * was stopped is taken up again only when none is partly published (capture/tables.c). What
 * goes wrong with that is an error at the latest when the transaction ends too early
 * (MR_TXN_RECOUNT), not a row that is lost or doubled.
 *
 * Thread: one (the sequencer's). Limits: POSITION_PARTIALS partly published transactions.
 */
#ifndef MILLRACE_CAPTURE_SEQUENCER_H
#define MILLRACE_CAPTURE_SEQUENCER_H

#include "task/progress.h"

struct sequencer_conf {
    uint64_t inc;
    uint64_t epoch;
    uint64_t claim;
    uint32_t spec;
    uint64_t min_us;       /* 0 = 5,000: close at a boundary with an empty ring */
    uint64_t partition_us; /* 0 = 2,000: or this times the partitions touched last time */
    uint64_t max_us;       /* 0 = 20,000: close at a boundary anyhow */
    uint64_t behind_us;    /* 0 = 200,000: instead of max_us when far behind or loading */
    uint64_t heartbeat_us; /* 0 = 1,000,000: an idle source writes a cut */
    uint64_t bytes_max;    /* 0 = 64 MiB: close even inside a transaction */
    uint64_t rows_max;     /* 0 = 500,000: likewise */
};

struct sequencer;

/* Copies the truth. Its `found` may be false; start is the position to begin at when the truth
 * has none. */
struct sequencer *
sequencer_new(const struct sequencer_conf *c, const struct progress_truth *t,
              const struct position *start);
void
sequencer_free(struct sequencer *s);

/* The epoch record to write before the source is opened. Borrows from s until its next call. */
void
sequencer_epoch_record(struct sequencer *s, struct progress_record *out);
/* Id of (topic, partition), made at the first call: 0, 1, ... */
uint32_t
sequencer_part(struct sequencer *s, const char *topic, int32_t partition);

/* ---- the stream, in source order ---- */

/* A transaction begins. id: its GTID, else "file:pos" of its begin event, which file and pos
 * name in either case. Its first rows are skipped when an earlier unit published them.
 * MR_INTERNAL: one is open already. MR_SOURCE_REWOUND: a partly published transaction is not
 * where it was in the log, or is missing from it. */
MUST bool
sequencer_begin(struct sequencer *s, struct bytes id, const char *file, uint64_t pos,
                struct err *e);
/* One selected row. False: published already, drop it. True: *seq is its number. */
bool
sequencer_row(struct sequencer *s, uint32_t part, uint64_t bytes, uint64_t *seq);
/* One selected row that is not published: it counts in its transaction, so that a later reading
 * finds the rows behind it. */
void
sequencer_pass(struct sequencer *s);
/* The next selected row was published by an earlier reading: sequencer_row will say so. */
bool
sequencer_replays(const struct sequencer *s);
/* Whatever earlier readings published came again: a table may stop. Before that it is not known
 * how many of the counted rows to come are its. */
bool
sequencer_settled(const struct sequencer *s);
/* `rows` of those counted in the open transaction, all that their table has in it so far, will
 * not be met by a later reading: the table was stopped, and the unit that says so is closed
 * next. Only when sequencer_settled. */
void
sequencer_uncount(struct sequencer *s, uint64_t rows);
/* An event counts as one selected row of its transaction. False: published already. True: close
 * the unit now, before any other call that publishes (sequencer_must_close). */
bool
sequencer_event(struct sequencer *s, uint64_t *seq);

/* An event of ours (table version, load begin or end): no row of any transaction, so a replay,
 * which knows it from its cut, does not meet it again. Close the unit now. */
uint64_t
sequencer_note(struct sequencer *s);

struct sequencer_end {
    struct bytes gtid; /* "" when the server has none */
    const char *file;  /* where the next transaction begins */
    uint64_t pos;
    uint64_t commit_us;
};
/* MR_TXN_RECOUNT: it has fewer rows than were published of it. */
MUST bool
sequencer_end(struct sequencer *s, const struct sequencer_end *end, struct err *e);
/* Position moved without a selected transaction (others', rotate, heartbeat of the source):
 * gtid may be "". MR_SOURCE_REWOUND: it moved past a partly published transaction. */
MUST bool
sequencer_skip(struct sequencer *s, const struct sequencer_end *end, struct err *e);
/* The oldest prepared XA transaction still held; file "" = none. */
void
sequencer_xa(struct sequencer *s, const char *file, uint64_t pos);
/* The connection was lost or another server took over: the open transaction becomes a partial
 * one, to be read again. Windows must be discarded by the caller when the server changed.
 * MR_INTERNAL: more than POSITION_PARTIALS. */
MUST bool
sequencer_reconnect(struct sequencer *s, struct err *e);
/* After a failover the coordinates of the old server mean nothing, those of partly published
 * transactions neither: server, file and pos of the new one. */
void
sequencer_server(struct sequencer *s, const char *server, const char *file, uint64_t pos);

/* Everything published whole, plus partials: where to (re)open the source. Borrowed. */
const struct position *
sequencer_position(struct sequencer *s);
/* P0 of a window: covered by a mark only if that mark covers every transaction of which any row
 * was streamed. */
MUST bool
sequencer_p0(struct sequencer *s, struct position *out, struct err *e);

/* ---- loads ---- */

/* A row of a load, op r. */
uint64_t
sequencer_load_row(struct sequencer *s, uint32_t part, uint64_t bytes);
/* The range's new state, after its rows of this window (or none): it is true once this unit's
 * cut is. Copied. */
void
sequencer_range(struct sequencer *s, const struct progress_range *r);
/* Forgets every range of a load: dropped, or restarted under another id. */
void
sequencer_forget(struct sequencer *s, const char *table, uint64_t load);
/* The i-th range known: the truth's or as last set. */
bool
sequencer_range_at(const struct sequencer *s, size_t i, struct progress_range *out);
/* Load records due: confirmed states that no load record has yet. Call after a unit's first row
 * or before close, produce each into the progress topic inside this unit. False: none left for
 * this unit. */
bool
sequencer_load_record(struct sequencer *s, struct progress_record *out);

/* ---- units ---- */

struct sequencer_state {
    uint64_t seq;  /* last given */
    uint64_t rows; /* of the open unit */
    uint64_t bytes;
    uint32_t unconfirmed; /* closed units */
    bool in_txn;
    bool boundary;
};
void
sequencer_state(const struct sequencer *s, struct sequencer_state *out);

struct sequencer_moment {
    uint64_t now_us; /* monotonic */
    bool ring_empty; /* nothing waits behind the stream */
    bool far_behind; /* behind the source, or loading */
};
/* An event was the last thing, or the unit is full: nothing may be published before
 * sequencer_close. */
bool
sequencer_must_close(const struct sequencer *s);
bool
sequencer_should_close(struct sequencer *s, const struct sequencer_moment *m);
/* Closes the open unit, possibly an empty one (heartbeat). The record borrows from s until the
 * next close: encode it. */
void
sequencer_close(struct sequencer *s, uint64_t now_us, struct progress_record *out);
/* The oldest closed unit is committed. Returns its seq. */
uint64_t
sequencer_confirm(struct sequencer *s);
/* Position of the newest confirmed cut: what the source may be told. */
const struct position *
sequencer_confirmed(const struct sequencer *s);
/* progress_view_anchor of the capture's own view, for the next cuts. */
void
sequencer_set_anchor(struct sequencer *s, int64_t anchor);
void
sequencer_set_spec(struct sequencer *s, uint32_t spec);

#endif
