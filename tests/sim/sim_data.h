/* The simulator's data: rows, the source's transactions, Kafka's logs, the options of a run. */
#ifndef MILLRACE_TESTS_SIM_DATA_H
#define MILLRACE_TESTS_SIM_DATA_H

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

#endif
