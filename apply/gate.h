/* The gate: which rows may be applied, up to which cut. (docs/ARCHITECTURE.md, "Gate".)
 *
 * Apply never applies a row above the newest cut it has read, and none that is void; a table is
 * applied up to a cut only when it is complete there: every row that the cuts count has been
 * seen, or, where cuts were not all read (a start, compaction), the read_committed position of
 * each partition has passed its end as it was after the cut was read, or a valid row above the
 * cut was seen. So what Kafka loses, repeats, tears or reorders is invisible here or an error:
 *   MR_KAFKA_LOST           fewer rows than counted, the end passed without the last one, a cut
 * or epoch that does not follow, a row not above the one before it, an epoch that begins below
 * what was applied MR_KAFKA_PURGED         the same where retention explains it
 *   MR_KAFKA_TOPIC_CHANGED  another record where the last applied one was
 *
 * The caller keeps the rows: per partition, in offset order, exactly those that gate_row
 * answered GATE_KEEP for. After a decision the first gate_part_take() of them are decided: void
 * (gate_row_void) or applicable. gate_take removes them.
 *
 *   gate_progress(record) ... gate_row / gate_position / gate_end ... gate_decide -> rows ->
 * gate_take -> (target commit)
 *   -> gate_done, or gate_rebase to the stored checkpoint when the commit did not happen or
 * somebody else's did.
 *
 * What is durable: only the target's checkpoint. The gate is memory: die anywhere and it is
 * built again from the checkpoint, progress from progress_offset on and each partition from its
 * last applied record on. gate_take before the target commit lets the next batch be prepared
 * meanwhile; gate_rebase takes it back.
 *
 * Thread: one (intake). Memory: 40 bytes a kept row; cuts are merged beyond cuts_max where no
 * event and no boundary is lost, so its size does not grow with the lag.
 */
#ifndef MILLRACE_APPLY_GATE_H
#define MILLRACE_APPLY_GATE_H

#include "schema/change.h"
#include "task/progress.h"

struct gate_conf {
    uint64_t inc;
    bool task_consistency; /* one group of all tables, boundary cuts only */
    size_t cuts_max;       /* 0 = 4,096 */
    uint64_t batch_bytes; /* a batch takes the newest complete cut up to about this size; 0 = 64
                             MiB */
};

struct gate;

struct gate *
gate_new(const struct gate_conf *c);
void
gate_free(struct gate *g);

/* ---- tables and partitions: ids 0, 1, ... ---- */

struct gate_last {
    int64_t offset; /* of the last applied record; -1: none */
    uint64_t epoch;
    uint64_t seq;
};

/* A source topic. Its base is the checkpoint's cut ({0,0}: none); partitions follow with
 * gate_part_add. */
uint32_t
gate_table_add(struct gate *g, const char *topic, struct cut_id base);
void
gate_table_drop(struct gate *g,
                uint32_t table); /* its rows and events are ignored from now on */
bool
gate_table_find(const struct gate *g, const char *topic, uint32_t *table);
uint32_t
gate_part_add(struct gate *g, uint32_t table, int32_t partition, struct gate_last last);

/* Where to begin reading a partition whose offsets are [low, high) now. MR_KAFKA_TOPIC_CHANGED:
 * fewer offsets than were applied; MR_KAFKA_PURGED: unread records are gone for certain. */
MUST bool
gate_part_start(struct gate *g, uint32_t part, int64_t low, int64_t high, int64_t *offset,
                struct err *e);

/* ---- what was read ---- */

/* Progress records in log order, from the checkpoints' least progress_offset (or an anchor
 * below it) on. Events of tables not added are kept for them (version events tell the caller
 * which tables to add). */
MUST bool
gate_progress(struct gate *g, const struct progress_record *r, struct progress_at at,
              enum progress_verdict *out, struct err *e);
const struct progress_view *
gate_view(const struct gate *g);
void
gate_assume(struct gate *g, struct cut_id cut); /* progress_view_assume */

enum gate_keep {
    GATE_DROP, /* of another incarnation, void for ever, or the last applied record itself:
                  forget it */
    GATE_KEEP,
};
/* A record with an identity (no tombstones), in offset order of its partition. */
MUST bool
gate_row(struct gate *g, uint32_t part, int64_t offset, const struct identity *id,
         uint32_t bytes, enum gate_keep *out, struct err *e);
/* The read_committed position (rd_kafka_position: next offset to read): after each poll, and
 * whenever it moved. */
void
gate_position(struct gate *g, uint32_t part, int64_t next);

/* End offsets, needed when gate_decision.wants_end says so: take gate_end_token, then query
 * each partition's read_uncommitted high watermark, then gate_end. (The token says which cuts
 * had been read before the query.) */
uint64_t
gate_end_token(const struct gate *g);
void
gate_end(struct gate *g, uint32_t part, uint64_t token, int64_t end);

/* ---- decisions ---- */

struct gate_event {
    enum progress_event_kind kind;
    uint32_t table;
    struct cut_id id;
    uint32_t version;
    uint64_t load;
    struct bytes value; /* the event's record as JSON: progress_decode with key */
    struct bytes key;
};

struct gate_decision {
    bool ready;     /* false: wait; nothing below but wants_end */
    bool wants_end; /* some partition waits for rows or for its end: query end offsets if this
                       lasts (100 ms) */
    struct cut_id cut; /* the checkpoint to store */
    bool boundary;     /* of the source: no transaction is torn by this cut (false in an event's
                          middle) */
    int64_t progress_offset; /* to store: the anchor of the cut */
    uint64_t commit_us;
    uint64_t rows; /* applicable ones */
    uint64_t bytes;
    const struct gate_event
        *event; /* execute after the rows; NULL: none. Lives until gate_take */
};

#define GATE_ALL UINT32_MAX /* table of task_consistency's group */
/* inside: task consistency may end at a cut that is no boundary (a transaction above
 * atomic_rows_max). Not ready when the table has neither rows nor an event up to any complete
 * cut. */
MUST bool
gate_decide(struct gate *g, uint32_t table, bool inside, struct gate_decision *out,
            struct err *e);
/* Of a decision for all that wants ends: it waits for this table. */
bool
gate_waits(const struct gate *g, uint32_t table);
/* Leading rows of the partition that the last decision of its table decided, void ones
 * included. */
size_t
gate_part_take(const struct gate *g, uint32_t part);
bool
gate_row_void(const struct gate *g, uint32_t part, size_t index);
/* The partition's last applied record once the decision is done: for the checkpoint. */
struct gate_last
gate_part_last(const struct gate *g, uint32_t part);
/* Removes the decided rows; the table's planned base is now the decision's. */
void
gate_take(struct gate *g, uint32_t table, const struct gate_decision *d);
/* The target has committed it. */
void
gate_done(struct gate *g, uint32_t table, struct cut_id cut);
/* The stored checkpoint is this cut, with these last records per partition (gate_part_rebase
 * for each, then): rows kept by the caller are forgotten, reading starts again
 * (gate_part_start). False: older than what the gate still knows, build a new gate. */
void
gate_part_rebase(struct gate *g, uint32_t part, struct gate_last last);
bool
gate_rebase(struct gate *g, uint32_t table, struct cut_id cut);
/* Newest cut at which the table is complete with nothing left to apply: may be stored now and
 * then, so that an idle table's checkpoint does not stay behind. False: none newer than its
 * base. */
bool
gate_idle(struct gate *g, uint32_t table, struct gate_decision *out);

struct gate_status {
    struct cut_id newest; /* cut read */
    uint64_t commit_us;   /* of that cut */
    size_t rows;          /* kept */
    size_t cuts;
};
void
gate_status(const struct gate *g, struct gate_status *out);

#endif
