/* A capture of the simulator: claims, reads the source's log, drives the shipped sequencer and
 * windows, and publishes as capture/publisher.c must: rows, their reports, the progress record,
 * the commit; unknown or aborted = claim again. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

static const char *const topics[TABLES] = {"sim.a", "sim.u", "sim.k"};

static void
capture_forget(struct capture *c)
{
    sequencer_free(c->s);
    c->s = NULL;
    progress_view_free(c->seen);
    c->seen = NULL;
    capture_windows_free(c);
    for (unsigned i = 0; i < c->live_n; i++) {
        buf_free(&c->live_keys[i]);
        buf_free(&c->live_values[i]);
    }
    c->live_n = 0;
    for (int l = 0; l < LOGS; l++)
        c->q[l].head = c->q[l].n = 0;
}

/* The producer is destroyed and everything known with it: claim again. */
void
capture_reset(struct capture *c)
{
    capture_forget(c);
    c->stage = CAP_INIT;
    c->pepoch = 0;
    c->added = 0;
    if (c->looked)
        progress_truth_free(&c->early);
    c->looked = false;
}

struct capture *
capture_new(struct world *w)
{
    if (w->cap_n == NODES_MAX)
        return NULL;
    struct capture *c = mem_zalloc(sizeof *c);
    c->w = w;
    c->number = w->cap_n + 1;
    snprintf(c->name, sizeof c->name, "C%u", c->number);
    w->caps[w->cap_n++] = c;
    world_ev(w, "%s starts", c->name);
    return c;
}

void
capture_free(struct capture *c)
{
    capture_reset(c);
    for (int l = 0; l < LOGS; l++)
        free(c->q[l].items);
    free(c);
}

/* ---- producer ---- */

void
capture_send(struct capture *c, int log, const struct record *rec)
{
    struct queue *q = &c->q[log];
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 32;
        q->items = mem_realloc(q->items, q->cap * sizeof *q->items);
    }
    q->items[q->n++] = (struct item){rec, c->unit};
}

/* The unit whose transaction is open or next. */
static uint64_t
unit_now(const struct capture *c)
{
    return c->units[0].closed ? c->units[0].number : c->unit;
}

static bool
queue_ready(const struct capture *c, int log)
{
    const struct queue *q = &c->q[log];
    return q->head < q->n && q->items[q->head].unit == unit_now(c);
}

static bool
unit_delivered(const struct capture *c)
{
    for (int l = 0; l < LOGS; l++) {
        if (queue_ready(c, l))
            return false;
    }
    return true;
}

static enum produce
deliver_to(struct capture *c, int log, enum entry_state *st)
{
    struct kafka *k = &c->w->k;
    *st = ENTRY_COMMITTED;
    if (c->w->o->fast)
        return log == PROGRESS && c->pepoch != k->pepoch ? PRODUCE_FENCED : PRODUCE_OK;
    *st = ENTRY_OPEN;
    if (c->pepoch != k->pepoch)
        return PRODUCE_FENCED;
    if (!(c->added >> log & 1)) {
        if (k->completing)
            return PRODUCE_NOTHING;
        k->ongoing = true;
        k->txn_logs |= 1u << log;
        c->added |= 1u << log;
    } else if (!k->ongoing || !(k->txn_logs >> log & 1)) {
        return PRODUCE_BAD; /* INVALID_TXN_STATE */
    }
    return PRODUCE_OK;
}

static enum outcome
deliver(struct capture *c, uint64_t r)
{
    int logs[LOGS], n = 0;
    for (int l = 0; l < LOGS; l++) {
        if (queue_ready(c, l))
            logs[n++] = l;
    }
    if (n == 0)
        return STEP_OK;
    int log = logs[r % (uint64_t)n];
    enum entry_state st;
    enum produce what = deliver_to(c, log, &st);
    if (what == PRODUCE_FENCED)
        return STEP_FENCED;
    if (what == PRODUCE_BAD)
        return STEP_BAD;
    if (what == PRODUCE_OK) {
        struct queue *q = &c->q[log];
        kafka_deliver_row(c->w, log, q->items[q->head++].rec, st);
    }
    return STEP_OK;
}

/* A record in a transaction of its own, committed. */
enum outcome
capture_own(struct capture *c, const struct progress_record *r)
{
    struct kafka *k = &c->w->k;
    if (c->pepoch != k->pepoch)
        return STEP_FENCED;
    if (c->w->o->fast) {
        kafka_append(k, PROGRESS, kafka_progress(c->w, r), ENTRY_COMMITTED);
        return STEP_OK;
    }
    if (k->completing || k->ongoing)
        return STEP_BAD;
    k->ongoing = true;
    k->txn_logs = 1u << PROGRESS;
    kafka_append(k, PROGRESS, kafka_progress(c->w, r), ENTRY_OPEN);
    kafka_decide(k, true);
    kafka_marker(k, 0);
    return STEP_OK;
}

/* ---- the stream ---- */

void
capture_begin_unit(struct capture *c)
{
    struct progress_record r;
    if (c->unit_begun)
        return;
    c->unit_begun = true;
    while (sequencer_load_record(c->s, &r))
        capture_send(c, PROGRESS, kafka_progress(c->w, &r));
    for (unsigned i = 0; c->refresh && i < c->live_n; i++) {
        struct record *rec = arena_zalloc(&c->w->mem, sizeof *rec);
        rec->key = arena_copy(&c->w->mem, buf_bytes(&c->live_keys[i]));
        rec->value = arena_copy(&c->w->mem, buf_bytes(&c->live_values[i]));
        capture_send(c, PROGRESS, rec);
    }
    c->refresh = false;
}

static int
log_of(const struct row *row)
{
    unsigned partition = row->table == T_K ? row->val & 1 : row->key & 1;
    return (int)(row->table * PARTITIONS + partition);
}

void
capture_row(struct capture *c, const struct row *row, uint64_t seq)
{
    struct record *rec = arena_zalloc(&c->w->mem, sizeof *rec);
    rec->row = *row;
    rec->id = (struct identity){INC, c->n, seq};
    capture_send(c, log_of(row), rec);
}

static unsigned
next_txn(struct capture *c)
{
    const struct source *s = &c->w->s;
    for (unsigned i = 0; i < s->n; i++) {
        if (!set_has(&c->done, s->log[i]))
            return s->log[i];
    }
    return 0;
}

static void
emit_event(struct capture *c, const struct row *row)
{
    uint64_t seq;
    if (row->op == ROW_ALTER && row->table < T_K)
        capture_windows_discard(c);
    if (row->op == ROW_TRUNCATE && row->table < T_K)
        window_table_discard(c->wt[row->table]);
    if (!sequencer_event(c->s, &seq))
        return;
    if (row->op == ROW_ALTER)
        c->ver[row->table] = row->ver;
    struct json *schema = json_object_new();
    struct progress_record r = {.kind = PROGRESS_EVENT,
                                .inc = INC,
                                .epoch = c->n,
                                .seq = seq,
                                .event = row->op == ROW_ALTER ? EVENT_VERSION : EVENT_TRUNCATE,
                                .table = topics[row->table],
                                .version = row->ver,
                                .schema = schema};
    capture_send(c, PROGRESS, kafka_progress(c->w, &r));
    json_free(schema);
}

/* The version event is lost, or this is a bug. A real capture sees it in the row's table map
 * and stops. */
static void
version_unknown(struct capture *c, const struct row *row)
{
    struct world *w = c->w;
    if (!w->lost) {
        world_violation(w, "%s thinks table %u has version %u, its row has %u", c->name,
                        row->table, c->ver[row->table], row->ver);
        return;
    }
    w->stopped = true;
    err_set(&w->stop, MR_KAFKA_LOST, "the version of table %u is lost", row->table);
}

static void
emit_row(struct capture *c, const struct row *row)
{
    uint64_t seq;
    const struct options *o = c->w->o;
    if (row->ver != c->ver[row->table]) {
        version_unknown(c, row);
        return;
    }
    if (sequencer_row(c->s, c->part[log_of(row)], 10, &seq)) {
        capture_touch(c, row);
        capture_row(c, row, seq);
        if (o->source_double && seq % MUTANT_EVERY == 0)
            capture_row(c, row, sequencer_load_row(c->s, c->part[log_of(row)], 10));
    }
}

static void
txn_end(struct capture *c)
{
    struct err e;
    const struct txn *t = &c->w->s.txn[c->cur];
    struct sequencer_end end = {bytes_str(t->gtid), "binlog.000001",
                                source_place(&c->w->s, c->cur) + 100, 1000 + c->cur};
    if (!c->w->s.gtid)
        end.gtid = (struct bytes){0};
    if (!sequencer_end(c->s, &end, &e))
        world_violation(c->w, "end: %s", e.text);
    set_add(&c->done, c->cur);
    c->cur = 0;
}

static bool
txn_begin(struct capture *c)
{
    struct err e;
    unsigned g = next_txn(c);
    if (g == 0)
        return false;
    const struct txn *t = &c->w->s.txn[g];
    if (!sequencer_begin(c->s, bytes_str(t->id), "binlog.000001", source_place(&c->w->s, g),
                         &e)) {
        world_violation(c->w, "begin: %s", e.text);
        return false;
    }
    c->cur = g;
    c->row = 0;
    return true;
}

static const struct row *
source_row(struct capture *c)
{
    const struct txn *t = &c->w->s.txn[c->cur];
    unsigned i = c->row++;
    if (c->w->o->source_swap && c->cur % 3 == 0 && t->n > 1 && i < 2)
        i = 1 - i;
    return &t->rows[i];
}

/* One more row of the stream. */
static bool
emit(struct capture *c)
{
    if (!c->cur && !txn_begin(c))
        return false;
    capture_begin_unit(c);
    const struct txn *t = &c->w->s.txn[c->cur];
    if (c->row < t->n) {
        const struct row *row = source_row(c);
        if (row->op == ROW_TRUNCATE || row->op == ROW_ALTER)
            emit_event(c, row);
        else if (!(c->w->o->source_drop && (c->cur + c->row) % MUTANT_EVERY == 0))
            emit_row(c, row);
    }
    if (c->row >= t->n)
        txn_end(c);
    return true;
}

/* ---- units ---- */

static void
follow_progress(struct capture *c)
{
    const struct log *l = &c->w->k.logs[PROGRESS];
    struct arena a;
    arena_init(&a, 0);
    if (c->seen_at > l->n)
        c->seen_at = l->n; /* lost */
    for (; c->seen_at < l->n && l->e[c->seen_at].state != ENTRY_OPEN; c->seen_at++) {
        struct progress_record rec;
        struct progress_fed fed;
        if (l->e[c->seen_at].state != ENTRY_COMMITTED)
            continue;
        if (capture_feed(c, c->seen, c->seen_at, &rec, &fed, &a))
            progress_record_free(&rec);
    }
    arena_free(&a);
}

static void
note_cut(struct capture *c, const struct progress_record *r)
{
    struct world *w = c->w;
    if (w->note_n == w->note_cap) {
        w->note_cap = w->note_cap ? w->note_cap * 2 : 64;
        w->notes = mem_realloc(w->notes, w->note_cap * sizeof *w->notes);
    }
    w->notes[w->note_n++] =
        (struct cut_note){{r->epoch, r->seq}, c->done, capture_loaded(c), r->boundary};
}

static void
close_unit(struct capture *c, const char *why)
{
    struct progress_record r;
    struct capture_unit *u = c->units[0].closed ? &c->units[1] : &c->units[0];
    capture_begin_unit(c);
    follow_progress(c);
    sequencer_set_anchor(c->s, progress_view_anchor(c->seen));
    sequencer_close(c->s, ++c->now_us, &r);
    note_cut(c, &r);
    *u = (struct capture_unit){
        .closed = true, .number = c->unit, .seq = r.seq, .rec = kafka_progress(c->w, &r)};
    c->unit++;
    c->unit_begun = false;
    world_ev(c->w, "%s closes unit (%" PRIu64 ", %" PRIu64 ") %s boundary %d", c->name, r.epoch,
             r.seq, why, r.boundary);
}

static void
confirm(struct capture *c)
{
    sequencer_confirm(c->s);
    c->units[0] = c->units[1];
    c->units[1] = (struct capture_unit){0};
    c->added = 0;
}

static void
late_end(struct capture *c, bool commit)
{
    struct kafka *k = &c->w->k;
    if (k->net_n < sizeof k->net / sizeof k->net[0])
        k->net[k->net_n++] = (struct late_end){c->pepoch, commit};
}

static enum outcome
commit_abort(struct capture *c, uint64_t r)
{
    if (!kafka_end(&c->w->k, c->pepoch, false))
        return STEP_BAD;
    if (r % 2)
        late_end(c, false);
    world_ev(c->w, "%s aborts%s: claim again", c->name,
             r % 2 ? ", a copy of the abort stays in the network" : "");
    capture_reset(c);
    return STEP_OK;
}

static enum outcome
commit(struct capture *c, uint64_t r)
{
    struct world *w = c->w;
    unsigned f = (unsigned)(r % 12);
    r /= 12;
    if (w->o->fast) {
        world_ev(w, "%s progress %" PRIu64 " acked", c->name, c->units[0].seq);
        confirm(c);
        return STEP_OK;
    }
    if (c->pepoch != w->k.pepoch)
        return STEP_FENCED;
    if (w->faults && f == 1)
        return commit_abort(c, r);
    if (w->faults && f == 2) {
        if (r % 3 == 0)
            kafka_end(&w->k, c->pepoch, true);
        else if (r % 3 == 1)
            late_end(c, true);
        world_ev(w, "%s commit of %" PRIu64 " unknown: claim again", c->name, c->units[0].seq);
        capture_reset(c);
        return STEP_OK;
    }
    if (!kafka_end(&w->k, c->pepoch, true))
        return STEP_BAD;
    world_ev(w, "%s commit %" PRIu64 " ok%s", c->name, c->units[0].seq,
             w->faults && (f == 3 || f == 4) ? ", a copy stays in the network" : "");
    if (w->faults && (f == 3 || f == 4)) {
        late_end(c, true);
        if (f == 4 && r % 2) {
            capture_reset(c); /* the closed socket told */
            return STEP_OK;
        }
    }
    confirm(c);
    return STEP_OK;
}

static enum outcome
publish(struct capture *c, uint64_t r)
{
    struct capture_unit *u = &c->units[0];
    if (!u->sent && (c->w->o->ack_first || unit_delivered(c))) {
        uint64_t unit = c->unit;
        c->unit = u->number;
        struct queue *q = &c->q[PROGRESS];
        capture_send(c, PROGRESS, u->rec);
        /* Records of the next unit may wait behind: ours goes before them. */
        for (size_t i = q->n - 1; i > q->head && q->items[i - 1].unit > u->number; i--) {
            struct item x = q->items[i];
            q->items[i] = q->items[i - 1];
            q->items[i - 1] = x;
        }
        c->unit = unit;
        u->sent = true;
        return STEP_OK;
    }
    if (!unit_delivered(c))
        return deliver(c, r);
    return commit(c, r);
}

static void
fill(struct capture *c, unsigned a, uint64_t r)
{
    struct sequencer_state st;
    sequencer_state(c->s, &st);
    if (sequencer_must_close(c->s))
        close_unit(c, "after an event");
    else if (a >= 7 && a <= 9)
        emit(c);
    else if (a == 10 && st.rows && !c->cur)
        close_unit(c, "at a transaction's end");
    else if (a == 11 && st.rows && c->cur && c->w->s.txn[c->cur].n >= 4)
        close_unit(c, "inside a transaction");
    else if (a == 12 && !c->cur && (c->unit_begun || r % 5 == 0))
        close_unit(c, "without rows");
    else if (a >= 12)
        capture_window_step(c, r);
}

static enum outcome
run(struct capture *c, uint64_t r)
{
    unsigned a = (unsigned)(r % 16);
    r /= 16;
    if (!unit_delivered(c) && a < 7)
        return deliver(c, r);
    /* The next unit may be filled while the closed one is on its way, but not closed. */
    if (c->units[0].closed && (a < 7 || c->units[1].closed || r % 2))
        return publish(c, r / 2);
    if (c->units[0].closed && sequencer_must_close(c->s))
        return publish(c, r / 2);
    if (c->units[0].closed && a >= 10 && a <= 12)
        return publish(c, r / 2);
    fill(c, a, r);
    return STEP_OK;
}

/* ---- life ---- */

static void
on_fence(struct capture *c)
{
    world_ev(c->w, "%s fenced", c->name);
    if (c->w->caps[c->w->cap_n - 1] != c)
        c->dead = true;
    else
        capture_reset(c);
}

static enum outcome
step(struct capture *c, uint64_t r)
{
    switch (c->stage) {
    case CAP_INIT:
        capture_init(c);
        return STEP_OK;
    case CAP_CLAIM:
        return capture_claim(c);
    case CAP_READ:
        capture_read(c);
        return STEP_OK;
    case CAP_EPOCH:
        return capture_epoch(c);
    case CAP_EPOCH_WAIT:
        if (!c->w->k.completing || c->w->o->fast) {
            c->stage = CAP_RUN;
            capture_plan(c);
        }
        return STEP_OK;
    case CAP_RUN:
        return run(c, r);
    }
    return STEP_OK;
}

void
capture_step(struct capture *c, uint64_t r)
{
    enum outcome o = step(c, r);
    if (o == STEP_FENCED)
        on_fence(c);
    else if (o == STEP_BAD) {
        world_ev(c->w, "%s INVALID_TXN_STATE: claim again", c->name);
        capture_reset(c);
    }
}

void
capture_check_claims(struct capture *c)
{
    const char *name;
    uint64_t instance;
    if (c->stage != CAP_RUN)
        return;
    follow_progress(c);
    if (progress_view_claim(c->seen, &name, &instance) > c->n && strcmp(name, c->name) != 0)
        c->dead = true;
}

void
capture_reconnect(struct capture *c)
{
    struct err e;
    if (c->stage != CAP_RUN)
        return;
    if (!sequencer_reconnect(c->s, &e))
        world_violation(c->w, "reconnect: %s", e.text);
    capture_source_open(c);
    world_ev(c->w, "%s reconnects to the source", c->name);
}

void
capture_source_moved(struct capture *c)
{
    char name[40];
    source_server_text(&c->w->s, name);
    if (c->s)
        sequencer_server(c->s, name, "binlog.000001", 0);
    if (c->stage != CAP_RUN)
        return;
    capture_windows_discard(c);
    capture_reconnect(c);
}

bool
capture_idle(const struct capture *c)
{
    if (c->stage != CAP_RUN || c->units[0].closed || c->cur || !unit_delivered(c))
        return false;
    struct sequencer_state st;
    sequencer_state(c->s, &st);
    struct capture *x = c->w->caps[c->number - 1];
    return st.rows == 0 && !c->unit_begun && next_txn(x) == 0 && capture_loaded(c);
}
