/* The gate's own structures, shared by gate.c (rows, decisions) and gate_cuts.c (progress). Not
 * for others. */
#ifndef MILLRACE_APPLY_GATE_CORE_H
#define MILLRACE_APPLY_GATE_CORE_H

#include "apply/gate.h"
#include "base/map.h"

#define ROW_VOID ((uint64_t)1 << 63) /* in row.epoch, once judged */

/* A kept row. `reach`: seq of the newest valid row up to here, so that the judged part is
 * sorted by it. */
struct gate_kept_row {
    int64_t offset;
    uint64_t epoch;
    uint64_t seq;
    uint64_t reach;
    uint64_t bytes; /* of all rows of the partition before this one, since its start */
};

/* What a cut says of a partition: `rows` rows with prev < seq <= last. */
struct gate_need {
    struct cut_id cut;
    uint64_t prev;
    uint64_t last;
    uint64_t rows;
    uint64_t serial; /* of the cut */
};

struct gate_part {
    uint32_t table;
    int32_t partition;
    struct gate_last last; /* planned: of the last taken row */
    struct gate_last judged_last;
    struct gate_kept_row *rows;
    size_t row_head, row_len, row_cap; /* kept: [head, len) */
    size_t judged;                     /* of the kept ones */
    size_t take;
    uint64_t bytes_in; /* ever kept since start */
    struct gate_need *needs;
    size_t need_head, need_len, need_cap; /* known: [head, len) */
    size_t need_at;                       /* absolute index of the first unsatisfied one */
    uint64_t counted;
    int64_t next;
    int64_t end;
    uint64_t end_token;
    bool check_last; /* the last applied record must come first */
    int64_t purged_to;
};

struct gate_table {
    char *topic;
    struct cut_id base;  /* planned */
    struct cut_id floor; /* committed */
    struct cut_id
        start;      /* checkpoint it was (re)based on: older epochs' rows are void or applied */
    uint64_t chain; /* of base; 0: not known */
    uint64_t floor_chain; /* of floor; 0: not known */
    uint32_t *parts;      /* by partition; UINT32_MAX: none */
    uint32_t part_count;
    bool dropped;
    bool awake; /* in the gate's list */
};

/* A cut as a place where a batch may end. */
struct gate_cut {
    struct cut_id id;
    uint64_t serial;
    uint64_t chain; /* cuts of one chain were all read, one after the other */
    bool boundary;
    int64_t anchor;
    uint64_t commit_us;
};

struct gate_pending {
    struct gate_event e;
    char *topic;
    struct buf key;
    struct buf value;
};

struct gate {
    struct gate_conf conf;
    struct progress_view *view;
    struct gate_table *tables;
    uint32_t table_count, table_cap;
    uint32_t unchained; /* tables whose chain is not known */
    uint32_t *awake;    /* tables, see gate_awake.c */
    uint32_t awake_count, awake_cap;
    uint32_t asleep;        /* tables neither awake nor dropped */
    struct cut_id all_base; /* of those asleep, as the next two */
    struct cut_id all_floor;
    uint64_t all_floor_chain;
    struct map by_topic;
    struct gate_part *parts;
    uint32_t part_count, part_cap;
    struct gate_cut *cuts;
    size_t cut_head, cut_len, cut_cap;
    uint64_t serial; /* cuts read */
    uint64_t chain;
    struct gate_pending **events; /* ascending by seq */
    size_t event_count, event_cap;
    uint64_t fresh_epoch;  /* of the event records read since the last cut */
    uint32_t fresh_events; /* how many of them */
    uint64_t newest_commit_us;
};

/* gate.c */
void
gate_rejudge(struct gate *g, struct gate_part *p);
/* gate_awake.c */
void
gate_awake_add(struct gate *g, uint32_t table); /* a new one */
void
gate_wake(struct gate *g, uint32_t table);
/* Before the chain of those asleep ends, or their base is moved back. */
void
gate_wake_all(struct gate *g);
void
gate_settle(struct gate *g);
struct cut_id
gate_base(const struct gate *g, const struct gate_table *t);
/* gate_cuts.c */
struct gate_cut *
gate_cut_at(const struct gate *g, size_t i); /* i < gate_cut_count, oldest first */
size_t
gate_cut_count(const struct gate *g);
/* Index of the first cut with seq >= seq, gate_cut_count if none. */
size_t
gate_cut_from(const struct gate *g, uint64_t seq);
void
gate_table_chain(struct gate *g, struct gate_table *t);
/* Lowest event above the table's base that is not void; table GATE_ALL: of any. */
const struct gate_pending *
gate_event_next(const struct gate *g, uint32_t table);
void
gate_events_done(struct gate *g, uint32_t table, uint64_t seq);
void
gate_cuts_free(struct gate *g);

#endif
