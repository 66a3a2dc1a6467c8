/* The simulator's nodes: captures, applies, the target, and the world that holds them. */
#ifndef MILLRACE_TESTS_SIM_NODES_H
#define MILLRACE_TESTS_SIM_NODES_H

#include "sim_data.h"

struct world;

struct item {
    const struct record *rec;
    uint64_t unit;
};

struct queue {
    struct item *items;
    size_t head, n, cap;
};

enum outcome { STEP_OK, STEP_FENCED, STEP_BAD };

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

#endif
