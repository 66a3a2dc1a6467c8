/* The claim of a simulated capture: fence, read, claim, read up to the own claim, truth, epoch
 * record. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

static const char *const topics[TABLES] = {"sim.a", "sim.u", "sim.k"};

bool
capture_feed(struct capture *c, struct progress_view *v, size_t i, struct progress_record *rec,
             struct progress_fed *fed, struct arena *a)
{
    struct err e;
    const struct record *r = c->w->k.logs[PROGRESS].e[i].rec;
    struct progress_at at = {(int64_t)i, true};
    if (!progress_decode(r->key, r->value, a, rec, &e) ||
        !progress_view_feed(v, rec, at, fed, &e)) {
        world_violation(c->w, "%s cannot read progress: %s", c->name, e.text);
        progress_record_free(rec);
        return false;
    }
    return true;
}

static bool
key_begins(const struct entry *x, const char *prefix)
{
    size_t n = strlen(prefix);
    return x->rec->key.n >= n && memcmp(x->rec->key.p, prefix, n) == 0;
}

static uint64_t
highest_number(struct capture *c)
{
    struct arena a;
    struct progress_view *v = progress_view_new(&(struct progress_view_conf){.inc = INC});
    const struct log *l = &c->w->k.logs[PROGRESS];
    arena_init(&a, 0);
    for (size_t i = 0; i < l->n; i++) {
        struct progress_record rec;
        struct progress_fed fed;
        if (l->e[i].state != ENTRY_COMMITTED || !key_begins(&l->e[i], "claim/"))
            continue;
        if (capture_feed(c, v, i, &rec, &fed, &a))
            progress_record_free(&rec);
    }
    uint64_t n = progress_view_next_epoch(v, ++c->w->clock);
    progress_view_free(v);
    arena_free(&a);
    return n;
}

/* Where to read from: the anchor of the last progress record, or the beginning. Chosen before
 * the claim is written, so it lies before it. */
static size_t
read_from(struct capture *c)
{
    const struct log *l = &c->w->k.logs[PROGRESS];
    size_t from = 0;
    if (c->number % 2)
        return 0;
    for (size_t i = l->n; i-- > 0;) {
        struct arena a;
        struct progress_record rec;
        struct err e;
        if (l->e[i].state != ENTRY_COMMITTED || !key_begins(&l->e[i], "progress/"))
            continue;
        arena_init(&a, 0);
        if (progress_decode(l->e[i].rec->key, l->e[i].rec->value, &a, &rec, &e) &&
            rec.anchor > 0)
            from = (size_t)rec.anchor;
        progress_record_free(&rec);
        arena_free(&a);
        break;
    }
    return from;
}

static void
look_early(struct capture *c);
static void
start_running(struct capture *c, const struct progress_truth *t);

void
capture_init(struct capture *c)
{
    struct kafka *k = &c->w->k;
    if (c->w->o->lso && !c->looked) {
        look_early(c);
        return;
    }
    if (!c->w->o->fast) {
        if (k->ongoing) {
            kafka_decide(k, false);
            k->pepoch++; /* the coordinator fences before it aborts */
            return;
        }
        if (k->completing)
            return;
    }
    c->pepoch = ++k->pepoch;
    c->n = highest_number(c);
    c->read_at = read_from(c);
    c->stage = CAP_CLAIM;
    world_ev(c->w, "%s init, will claim %" PRIu64, c->name, c->n);
}

enum outcome
capture_claim(struct capture *c)
{
    c->id = ++c->w->claim_id;
    struct progress_record r = {
        .kind = PROGRESS_CLAIM, .inc = INC, .epoch = c->n, .claim = c->id, .name = c->name};
    enum outcome o = capture_own(c, &r);
    if (o != STEP_OK)
        return o;
    c->stage = CAP_READ;
    if (c->looked) {
        start_running(c, &c->early);
        c->stage = CAP_EPOCH;
    }
    world_ev(c->w, "%s wrote claim/%" PRIu64, c->name, c->n);
    return STEP_OK;
}

enum read_end { READ_CLAIM, READ_DEAD_CLAIM, READ_OPEN, READ_END, READ_ERROR };

static enum read_end
read_to_claim(struct capture *c, struct progress_view *v, struct arena *a)
{
    const struct log *l = &c->w->k.logs[PROGRESS];
    for (size_t i = c->read_at; i < l->n; i++) {
        struct progress_record rec;
        struct progress_fed fed;
        if (l->e[i].state == ENTRY_OPEN)
            return READ_OPEN;
        if (l->e[i].state != ENTRY_COMMITTED)
            continue;
        if (!capture_feed(c, v, i, &rec, &fed, a))
            return READ_ERROR;
        bool mine = rec.kind == PROGRESS_CLAIM && rec.claim == c->id;
        progress_record_free(&rec);
        if (mine)
            return fed.verdict == PROGRESS_IS_CLAIM ? READ_CLAIM : READ_DEAD_CLAIM;
    }
    return READ_END;
}

/* The live versions: what the stream's tables look like at the truth. */
static void
learn_live(struct capture *c, const struct progress_view *v)
{
    struct arena a;
    arena_init(&a, 0);
    for (unsigned t = 0; t < TABLES; t++)
        c->ver[t] = 1;
    uint64_t at = 0;
    for (c->live_n = 0; c->live_n < 8; c->live_n++) {
        struct buf *key = &c->live_keys[c->live_n], *value = &c->live_values[c->live_n];
        struct progress_record rec;
        struct err e;
        *key = *value = (struct buf){0};
        if (!progress_view_live(v, &at, key, value))
            break;
        if (!progress_decode(buf_bytes(key), buf_bytes(value), &a, &rec, &e))
            world_violation(c->w, "live record: %s", e.text);
        for (unsigned t = 0; rec.kind == PROGRESS_EVENT && t < TABLES; t++) {
            if (strcmp(rec.table, topics[t]) == 0)
                c->ver[t] = rec.version;
        }
        progress_record_free(&rec);
    }
    c->refresh = c->live_n > 0 && c->number % 3 != 0;
    arena_free(&a);
}

static void
start_position(const struct world *w, struct position *out)
{
    struct err e;
    position_init(out, POSITION_MYSQL);
    source_server_text(&w->s, out->server);
    snprintf(out->file, sizeof out->file, "binlog.000001");
    out->pos = source_end_pos(&w->s, 1);
    if (!w->s.gtid)
        return;
    out->gtid = gtid_set_new(GTID_MYSQL);
    if (!gtid_set_add(out->gtid, bytes_str(w->s.txn[1].gtid), &e))
        mem_die("gtid: %s", e.text);
}

/* What the server will leave out when asked from the sequencer's position. */
void
capture_source_open(struct capture *c)
{
    const struct position *p = sequencer_position(c->s);
    const struct source *s = &c->w->s;
    memset(&c->done, 0, sizeof c->done);
    c->log_at = 0;
    c->cur = 0;
    for (unsigned g = 1; g <= s->n; g++) {
        bool has =
            s->gtid ? gtid_set_has(p->gtid, bytes_str(s->txn[g].gtid)) : s->txn[g].pos < p->pos;
        if (has)
            set_add(&c->done, g);
    }
}

static void
start_running(struct capture *c, const struct progress_truth *t)
{
    struct position start;
    start_position(c->w, &start);
    struct sequencer_conf conf = {.inc = INC, .epoch = c->n, .claim = c->id};
    c->s = sequencer_new(&conf, t, &start);
    position_free(&start);
    for (int l = 0; l < PROGRESS; l++)
        c->part[l] = sequencer_part(c->s, topics[l / PARTITIONS], l % PARTITIONS);
    c->unit = 1;
    c->unit_begun = false;
    memset(c->units, 0, sizeof c->units);
    for (int t2 = 0; t2 < 2; t2++)
        c->wt[t2] = window_table_new(&(struct window_conf){.touched_max = 64});
    char name[40];
    source_server_text(&c->w->s, name);
    const struct position *at = sequencer_position(c->s);
    if (strcmp(at->server, name) != 0)
        sequencer_server(c->s, name, "binlog.000001", at->pos);
    capture_source_open(c);
    c->added = 0;
}

void
capture_read(struct capture *c)
{
    struct arena a;
    struct progress_truth t;
    struct err e;
    struct progress_view *v = progress_view_new(&(struct progress_view_conf){.inc = INC});
    if (!c->w->o->fast && c->w->k.completing) {
        progress_view_free(v);
        return;
    }
    arena_init(&a, 0);
    enum read_end end = read_to_claim(c, v, &a);
    if (end == READ_DEAD_CLAIM) {
        c->n = progress_view_next_epoch(v, 0);
        c->stage = CAP_CLAIM;
    } else if (end == READ_END) {
        world_ev(c->w, "%s own claim is gone", c->name);
        capture_reset(c);
    } else if (end == READ_CLAIM) {
        if (progress_view_truth(v, &t, &e)) {
            learn_live(c, v);
            start_running(c, &t);
            world_ev(c->w, "%s read truth: found %d seq %" PRIu64 " ranges %u", c->name,
                     t.found, t.seq, t.range_count);
            progress_truth_free(&t);
            c->stage = CAP_EPOCH;
        } else {
            world_violation(c->w, "truth: %s", e.text);
        }
    }
    arena_free(&a);
    progress_view_free(v);
}

/* The mutant "claim read to the LSO": the truth is read first, up to the first open
 * transaction, and not again behind the own claim. */
static void
look_early(struct capture *c)
{
    struct arena a;
    struct err e;
    struct progress_view *v = progress_view_new(&(struct progress_view_conf){.inc = INC});
    arena_init(&a, 0);
    c->id = UINT64_MAX;
    c->read_at = read_from(c);
    if (read_to_claim(c, v, &a) != READ_ERROR && progress_view_truth(v, &c->early, &e)) {
        learn_live(c, v);
        c->looked = true;
    }
    progress_view_free(v);
    arena_free(&a);
}

enum outcome
capture_epoch(struct capture *c)
{
    struct progress_record r;
    struct sequencer_state st;
    sequencer_epoch_record(c->s, &r);
    enum outcome o = capture_own(c, &r);
    if (o != STEP_OK)
        return o;
    c->stage = CAP_EPOCH_WAIT;
    c->seen = progress_view_new(&(struct progress_view_conf){.inc = INC});
    c->seen_at = 0;
    sequencer_state(c->s, &st);
    world_ev(c->w, "%s wrote epoch/%" PRIu64 " from_seq=%" PRIu64, c->name, c->n, st.seq);
    return STEP_OK;
}
