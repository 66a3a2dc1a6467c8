/* The simulator's world: a source database, Kafka, a target, captures and applies that crash,
 * freeze and multiply, under one seeded schedule. The rules under test are not here: they are
 * the shipped objects of task/progress*.c, task/checkpoint.c, capture/sequencer*.c,
 * capture/window.c, apply/gate*.c, apply/fold.c.
 *
 * A schedule is a list of (action, r); r feeds every choice inside the action, so a schedule
 * replays and shrinks. One thread, no clock, no I/O. Everything of a schedule is freed with its
 * world.
 */
#ifndef MILLRACE_TESTS_SIM_H
#define MILLRACE_TESTS_SIM_H

#include <stdio.h>
#include <stdlib.h>

#include "apply/fold.h"
#include "apply/gate.h"
#include "base/mem.h"
#include "capture/sequencer.h"
#include "capture/window.h"
#include "task/checkpoint.h"

#define TABLES     3
#define PARTITIONS 2
#define PROGRESS   (TABLES * PARTITIONS) /* index of the progress topic's log */
#define LOGS       (PROGRESS + 1)
#define TXNS_MAX   512
#define TXN_ROWS   16
#define KEYS_MAX   9
#define INC        UINT64_C(0x1a2b3c4d5e6f7081)
#define RANGES     3
#define WINDOWS    (RANGES * 2)
#define NODES_MAX  16 /* captures, and applies, of one schedule */

/* a: a table with a key. u: also a secondary unique key. k: no key at all, a multiset, in which
 * nothing heals itself. */
enum table_id { T_A, T_U, T_K };

enum row_op {
    ROW_CREATE = 'c',
    ROW_UPDATE = 'u',
    ROW_DELETE = 'd',
    ROW_READ = 'r',
    ROW_TRUNCATE = 't',
    ROW_ALTER = 'v'
};

struct row {
    uint8_t table;
    uint8_t op;
    uint8_t key;
    uint8_t uval; /* u's secondary unique value */
    uint32_t val;
    uint32_t ver; /* table version */
};

struct txn {
    struct row rows[TXN_ROWS];
    unsigned n;
    char gtid[48];
    char id[48]; /* gtid, or file:pos */
    uint64_t pos;
};

struct set {
    uint64_t w[TXNS_MAX / 64];
};

static inline bool
set_has(const struct set *s, unsigned i)
{
    return s->w[i / 64] >> (i % 64) & 1;
}

static inline void
set_add(struct set *s, unsigned i)
{
    s->w[i / 64] |= UINT64_C(1) << (i % 64);
}

struct value {
    uint32_t val;
    uint8_t uval;
    bool there;
};

struct state {
    struct value rows[2][KEYS_MAX]; /* a and u by key, from 1 */
    int k[4];
    uint32_t ver[TABLES];
};

/* Transaction numbers are 1..n in the order of their first commit. */
struct source {
    struct txn txn[TXNS_MAX];
    unsigned n;
    unsigned log[TXNS_MAX]; /* in the order of the current server's log */
    struct set visible;
    uint32_t uniq;
    bool gtid;
    unsigned server; /* counts failovers */
};

enum entry_state { ENTRY_REMOVED, ENTRY_OPEN, ENTRY_COMMITTED, ENTRY_ABORTED, ENTRY_MARKER };

struct record {
    struct row row;
    struct identity id;
    struct bytes key, value; /* of the progress topic */
};

struct entry {
    const struct record *rec;
    enum entry_state state;
};

struct log {
    struct entry *e;
    size_t n, cap;
};

struct late_end {
    unsigned pepoch;
    bool commit;
};

struct kafka {
    struct log logs[LOGS];
    unsigned pepoch;
    bool ongoing;
    unsigned txn_logs; /* bits */
    bool completing, decision;
    unsigned pending; /* logs without their marker */
    struct late_end net[64];
    size_t net_n;
    uint64_t appended;   /* data records: the counter of the mutants */
    struct record *held; /* mutant swap */
    int held_log;
};

enum produce { PRODUCE_OK, PRODUCE_NOTHING, PRODUCE_FENCED, PRODUCE_BAD };

struct options {
    bool fast;
    bool task;
    bool loss;
    unsigned steps;
    bool verbose;
    bool many_events; /* every other source transaction is a TRUNCATE or ALTER */
    /* mutants of the world */
    bool no_gate, no_void, no_track, no_base, no_prev, ack_first, no_kill, lso, p0_short,
        no_partial;
    bool source_drop, source_double, source_swap, kafka_drop, kafka_double, kafka_swap, no_ends;
};

#define MUTANT_EVERY 9

struct world;

struct item {
    const struct record *rec;
    uint64_t unit;
};

struct queue {
    struct item *items;
    size_t head, n, cap;
};

enum capture_stage { CAP_INIT, CAP_CLAIM, CAP_READ, CAP_EPOCH, CAP_EPOCH_WAIT, CAP_RUN };

struct capture_window {
    struct window *w;
    uint8_t from, last; /* keys */
    bool final;
    struct row rows[2];
    unsigned n;
    bool read;
};

struct capture_unit {
    bool closed, sent;
    uint64_t number, seq;
    const struct record *rec;
};

struct capture {
    struct world *w;
    char name[8];
    unsigned number;
    bool dead, frozen;
    enum capture_stage stage;
    unsigned pepoch;
    unsigned added; /* logs in the current transaction */
    struct queue q[LOGS];
    uint64_t n; /* epoch */
    size_t read_at;
    uint64_t id; /* random of the claim */
    bool looked; /* mutant lso: early holds what it saw */
    struct progress_truth early;
    struct progress_view *seen; /* fed while running: claims, anchor */
    size_t seen_at;
    struct sequencer *s;
    uint32_t part[LOGS];
    uint32_t ver[TABLES];
    struct set done; /* what the source will not send on this connection */
    unsigned log_at;
    unsigned cur; /* transaction being read, 0: none */
    unsigned row;
    uint64_t unit; /* open one */
    bool unit_begun;
    bool refresh; /* live records are still to be repeated */
    struct buf live_keys[8], live_values[8];
    unsigned live_n;
    struct capture_unit units[2];
    struct window_table *wt[2];
    struct capture_window win[WINDOWS];
    uint64_t now_us;
};

struct payload {
    struct row row;
    struct identity id;
};

struct payloads {
    struct payload *p;
    size_t head, n, cap;
};

struct batch {
    unsigned tables; /* bits */
    struct payload *rows;
    size_t n;
    struct checkpoint base[TABLES], next[TABLES];
    struct cut_id cut;
    bool boundary, event;
};

struct apply {
    struct world *w;
    char name[8];
    uint64_t owner;
    bool dead, frozen, started;
    struct gate *g;
    uint32_t table[TABLES], part[PROGRESS];
    size_t progress_at;
    size_t pos[PROGRESS];
    struct payloads rows[PROGRESS];
    struct checkpoint base[TABLES]; /* planned */
    struct batch *batch[TABLES][2]; /* per lane, oldest first */
    uint64_t end_token;
    bool has_token;
    unsigned executing; /* table + 1 */
};

struct stored {
    struct buf state;
    uint64_t owner, instance, commits;
};

struct pending {
    struct batch *b;
    uint64_t owner;
};

/* A statement that the server has and its client has no answer to. */
struct ddl {
    uint64_t owner;
    unsigned table;
    bool alter;
    uint32_t version;
};

struct target {
    struct value rows[2][KEYS_MAX];
    int k[4];
    uint32_t ver[TABLES];
    struct stored ck[TABLES];
    struct pending pending[TABLES];
    unsigned pending_n;
    struct ddl ddl[NODES_MAX];
    unsigned ddl_n;
    uint64_t killed_below; /* connections of owners below it are gone */
};

/* What a cut means, noted by the capture that wrote it: the oracle of task consistency. */
struct cut_note {
    struct cut_id id;
    struct set done;
    bool loaded, boundary;
};

struct world {
    const struct options *o;
    struct arena mem;
    struct source s;
    struct kafka k;
    struct target t;
    struct capture *caps[NODES_MAX];
    unsigned cap_n;
    struct apply *apps[NODES_MAX];
    unsigned app_n;
    struct cut_note *notes;
    size_t note_n, note_cap;
    uint64_t claim_id;
    uint64_t clock;
    size_t compacted; /* limit in the progress log */
    bool faults, lost;
    uint32_t rr;
    uint64_t crashes, events;
    bool stopped;
    struct err stop;
    char violation[256];
};

/* world.c */
void
world_init(struct world *w, const struct options *o, uint64_t seed);
void
world_free(struct world *w);
void
world_ev(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void
world_violation(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
uint32_t
world_rr(struct world *w);
size_t
action_count(void);
const char *
action_name(size_t i);
unsigned
action_weight(size_t i);
size_t
action_find(const char *name);
void
world_do(struct world *w, size_t action, uint64_t r);
void
world_converge(struct world *w);
bool
world_same(const struct world *w);
bool
world_over(const struct world *w);

/* source.c */
void
source_init(struct source *s, bool gtid);
void
source_state(const struct source *s, const struct set *done, struct state *out);
void
source_all(const struct source *s, struct set *out);
void
source_write(struct world *w, uint64_t r);
void
source_visible(struct world *w, uint64_t r);
bool
source_failover(struct world *w, uint64_t r);
/* A visibility-exact mark; in file mode taking it waits until all is visible. */
void
source_mark(struct source *s, struct position *out);
void
source_server_text(const struct source *s, char out[40]);
uint64_t
source_end_pos(const struct source *s, unsigned txn);

/* kafka.c */
void
kafka_free(struct kafka *k);
void
kafka_decide(struct kafka *k, bool commit);
void
kafka_marker(struct kafka *k, uint64_t i);
bool
kafka_end(struct kafka *k, unsigned pepoch, bool commit);
void
kafka_append(struct kafka *k, int log, const struct record *rec, enum entry_state st);
void
kafka_deliver_row(struct world *w, int log, const struct record *rec, enum entry_state st);
void
kafka_compact(struct world *w, uint64_t r);
void
kafka_lose(struct world *w, uint64_t r);
const struct record *
kafka_progress(struct world *w, const struct progress_record *r);

/* capture.c, capture_load.c */
struct capture *
capture_new(struct world *w);
void
capture_free(struct capture *c);
void
capture_step(struct capture *c, uint64_t r);
void
capture_check_claims(struct capture *c);
bool
capture_idle(const struct capture *c);
void
capture_source_moved(struct capture *c);
void
capture_reconnect(struct capture *c);
void
capture_send(struct capture *c, int log, const struct record *rec);
void
capture_row(struct capture *c, const struct row *row, uint64_t seq);
void
capture_begin_unit(struct capture *c);
void
capture_plan(struct capture *c);
void
capture_window_step(struct capture *c, uint64_t r);
void
capture_touch(struct capture *c, const struct row *row);
void
capture_windows_discard(struct capture *c);
void
capture_windows_free(struct capture *c);
bool
capture_loaded(const struct capture *c);

/* apply.c */
struct apply *
apply_new(struct world *w);
void
apply_free(struct apply *a);
void
apply_step(struct apply *a, uint64_t r);
bool
apply_idle(const struct apply *a);
bool
apply_waits(const struct apply *a); /* rows are kept that it never got to apply */
void
batch_free(struct batch *b);

/* target.c */
void
target_init(struct target *t);
void
target_free(struct target *t);
bool
target_load(const struct target *t, unsigned table, struct checkpoint *out, struct err *e);
void
target_store(struct target *t, unsigned table, const struct checkpoint *c);
/* False: the stored checkpoints are not the base. */
bool
target_commit(struct world *w, const struct batch *b);
bool
target_busy(const struct target *t, unsigned tables);
bool
target_resolve(struct world *w, uint64_t r);
void
target_kill_below(struct world *w, uint64_t owner);
void
target_ddl_send(struct world *w, const struct ddl *d);
/* Executes it, unless the server has done so already. */
void
target_ddl_finish(struct world *w, uint64_t owner);
/* The server gets to one of the statements sent, whatever became of its client. */
void
target_ddl_any(struct world *w, uint64_t r);

#endif
