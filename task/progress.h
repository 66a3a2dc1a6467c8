/* The progress topic: its records, and what a reader of them knows.
 *
 * Topic `millrace.progress.<task>`, one partition per source, read read_committed. Key text,
 * value one line of JSON (docs/formats.md, "Progress topic"): claim/<n>/<random>       a
 * capture wants to be epoch n; random names this claim for ever epoch/<n>                the
 * claimer of n goes on after from_seq, at pos progress/<n>             a cut: every row of
 * (prev, seq] is in its topic, every transaction of pos is whole load/<topic>/<load>/<n>  all
 * ranges of a load, as an already confirmed cut said them event/<n>/<seq>          version,
 * ddl, truncate, load_begin, load_end; the last thing of its unit
 *
 * The log itself fences: once claim n is read, epoch and progress records of a lower epoch
 * behind it are void, for every reader. A row, an event and a cut (e, s) are void when a later
 * epoch began at from_seq < s.
 *
 * What is durable when. A claim is written alone, before anything of its epoch. The epoch
 * record is written after the claimer has read everything before its claim, and before it opens
 * the source. Die between claim and epoch: the epoch never existed; the next claimer takes a
 * higher number and the same truth. Die after the epoch: the next truth is this epoch record,
 * equal to the truth it repeats. A cut is written after the delivery report of each of its
 * rows: die before it and the rows are above the next from_seq, void. A load record repeats
 * what a confirmed cut said, so it may be there or not.
 *
 * Record strings and arrays borrow: of the arena given to progress_decode, or of the caller for
 * progress_encode. Thread: one. Limit: a view holds one entry per epoch, per table and per open
 * load, never a list of cuts.
 */
#ifndef MILLRACE_TASK_PROGRESS_H
#define MILLRACE_TASK_PROGRESS_H

#include "base/arena.h"
#include "schema/position.h"

#define PROGRESS_FORMAT      1
#define PROGRESS_HISTORY_MAX 256 /* epochs repeated in an epoch record */

enum progress_kind {
    PROGRESS_CLAIM,
    PROGRESS_EPOCH,
    PROGRESS_CUT,
    PROGRESS_LOAD,
    PROGRESS_EVENT,
};

enum progress_event_kind {
    EVENT_VERSION,
    EVENT_DDL,
    EVENT_TRUNCATE,
    EVENT_LOAD_BEGIN,
    EVENT_LOAD_END,
};

struct cut_id {
    uint64_t epoch;
    uint64_t seq;
};

static inline int
cut_id_cmp(struct cut_id a, struct cut_id b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return a.seq < b.seq ? -1 : a.seq > b.seq;
}

/* One range of a load. Keys are key payloads (without the Avro frame); p == NULL: from the
 * start, to the end. */
struct progress_range {
    const char *table;             /* topic name */
    uint64_t load;                 /* unique for ever in its table */
    uint32_t range;                /* 0, 1, ... in its load */
    struct bytes begin, next, end; /* begin and next exclusive: the rows are (next, end] */
    uint64_t rows; /* rows read so far, emitted or not; grows whenever next does: the order of
                      two states of a range */
    bool done;
};

struct progress_touched {
    const char *topic;
    int32_t partition;
    uint64_t rows;
    uint64_t last_seq;
};

/* One record of any kind; fields of other kinds are zero. */
struct progress_record {
    enum progress_kind kind;
    uint64_t inc;
    uint64_t epoch;
    uint64_t claim; /* the claim's random; in epoch and cut too, 0 = not said */
    uint64_t seq;   /* cut, event: its seq; epoch: from_seq; load: of the cut it repeats */
    /* claim */
    const char *name; /* of the worker */
    uint64_t instance;
    uint64_t ts_ms;
    /* epoch, cut; event optionally */
    const struct position *position; /* encode: this, or else pos */
    struct json *pos;                /* decode: borrowed of doc; progress_record_position */
    /* epoch, cut: of any table; load: of its table and load */
    const struct progress_range *ranges;
    uint32_t range_count;
    /* epoch: earlier epochs with their from_seq, oldest first, as struct cut_id {n, from_seq}
     */
    const struct cut_id *history;
    uint32_t history_count;
    /* cut */
    struct cut_id prev;
    uint64_t first_seq; /* seq + 1: no row (heartbeat, or load records only) */
    uint32_t spec;      /* generation of the task record */
    uint64_t commit_us; /* of the last source transaction in it */
    bool boundary;      /* no transaction is partly published */
    int64_t anchor;     /* lowest offset that a reader needs */
    const struct progress_touched *touched;
    uint32_t touched_count;
    uint32_t events; /* event records of its unit */
    /* load, event */
    const char *table;
    uint64_t load;
    /* event */
    bool copy; /* under version/<topic> */
    enum progress_event_kind event;
    uint32_t version;
    struct json
        *schema; /* EVENT_VERSION: table_to_json. Encode borrows it, decode borrows of doc */
    const char *sql;
    /* decode only */
    struct json *doc; /* owned: progress_record_free */
};

/* Appends key and value. */
void
progress_encode(const struct progress_record *r, struct buf *key, struct buf *value);
/* MR_KAFKA_VERSION: an unknown "v"; MR_KAFKA_BAD_RECORD: anything else. progress_record_free in
 * either case. */
MUST bool
progress_decode(struct bytes key, struct bytes value, struct arena *a,
                struct progress_record *out, struct err *e);
void
progress_record_free(struct progress_record *r);
/* The record's position; POSITION_NONE when it has none (a task's first epoch). out must be
 * initialised. */
MUST bool
progress_record_position(const struct progress_record *r, struct position *out, struct err *e);

/* ---- view ---- */

enum progress_verdict {
    PROGRESS_IS_CLAIM,      /* above every claim before it */
    PROGRESS_IS_DEAD_CLAIM, /* not above: it is none, its writer must claim again */
    PROGRESS_IS_EPOCH,
    PROGRESS_IS_CUT,
    PROGRESS_IS_LOAD,
    PROGRESS_IS_EVENT,
    PROGRESS_IS_VOID,    /* behind a newer claim, or above a later epoch's from_seq */
    PROGRESS_IS_FOREIGN, /* valid, of another incarnation */
    PROGRESS_IS_REPEAT,  /* a refreshed epoch or event record: known already */
};

struct progress_view_conf {
    uint64_t inc;
    bool strict; /* apply: lost progress is an error. Capture: false, it only wants the truth */
};

struct progress_at {
    int64_t offset;
    bool compactable; /* the record is old enough that compaction may have taken others before
                       * it: its timestamp is older than half of min.compaction.lag.ms */
};

struct progress_fed {
    enum progress_verdict verdict;
    bool linked; /* epoch, cut: it follows the newest cut or epoch read; false: something before
                    it was not read */
};

struct progress_view;

struct progress_view *
progress_view_new(const struct progress_view_conf *c);
void
progress_view_free(struct progress_view *v);
/* Records in log order. MR_KAFKA_LOST (strict): a cut of an epoch without epoch record; a cut
 * or an epoch that does not follow the newest one read, where compaction does not explain it.
 */
MUST bool
progress_view_feed(struct progress_view *v, const struct progress_record *r,
                   struct progress_at at, struct progress_fed *out, struct err *e);
/* For a reader that starts at a cut instead of its anchor: that epoch exists and `cut` is the
 * newest cut read. */
void
progress_view_assume(struct progress_view *v, struct cut_id cut);
/* Strict readers that begin at an anchor: cuts up to seq are applied everywhere and need no
 * epoch record, it may lie before the anchor. */
void
progress_view_applied(struct progress_view *v, uint64_t seq);
/* The row, event or cut (epoch, seq) is void as far as was read. */
bool
progress_view_void(const struct progress_view *v, uint64_t epoch, uint64_t seq);
/* Largest seq of `epoch` that is not void; UINT64_MAX when no later epoch is known. */
uint64_t
progress_view_valid_to(const struct progress_view *v, uint64_t epoch);
bool
progress_view_has_epoch(const struct progress_view *v, uint64_t epoch);
/* The newest valid claim: its number, 0 if none; name and instance of its writer (name lives
 * until the next feed). */
uint64_t
progress_view_claim(const struct progress_view *v, const char **name, uint64_t *instance);
/* The number to claim: above every claim and epoch read, and never below the wall clock, so
 * that it is never used twice even if Kafka lost claims. */
uint64_t
progress_view_next_epoch(const struct progress_view *v, uint64_t now_ms);
/* Newest of cut and epoch read; false: none yet. */
bool
progress_view_tail(const struct progress_view *v, struct cut_id *out);
/* Lowest offset a later reader needs: of the newest epoch record (which tells the earlier
 * epochs), each table's newest version and each load. -1: none. Moves up when they are
 * refreshed. */
int64_t
progress_view_anchor(const struct progress_view *v);

/* Where a claimer goes on. Read up to one's own claim (which must have been PROGRESS_IS_CLAIM),
 * then this. */
struct progress_truth {
    bool found;    /* false: the topic held nothing of any incarnation */
    bool same_inc; /* false: seq goes on, position and ranges are not ours and left empty */
    uint64_t seq;  /* becomes from_seq */
    struct cut_id prev;  /* {0,0}: none */
    struct position pos; /* POSITION_NONE: none */
    struct progress_range
        *ranges; /* per range the larger of the truth's record and the last load record */
    uint32_t range_count;
    bool *recorded;         /* per range: a load record says the same already */
    struct cut_id *history; /* for the epoch record */
    uint32_t history_count;
    struct arena arena;
};

MUST bool
progress_view_truth(const struct progress_view *v, struct progress_truth *out, struct err *e);
void
progress_truth_free(struct progress_truth *t);

/* The next live record: the newest version event of each table that a cut confirms, and the
 * newest load record of each load. *at: 0 for the first, not over a feed. Appends key and
 * value, as progress_decode takes them. For table versions at a resume, and to refresh: a
 * claimer produces them again in its first unit, so that no anchor is far behind. */
bool
progress_view_live(const struct progress_view *v, uint64_t *at, struct buf *key,
                   struct buf *value);

#endif
