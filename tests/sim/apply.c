/* An apply of the simulator: claims the target, reads, asks the shipped gate, builds batches on
 * the planned checkpoint (up to two ahead), commits by the target rule. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

static const char *const topics[TABLES] = {"sim.a", "sim.u", "sim.k"};

struct apply *
apply_new(struct world *w)
{
    if (w->app_n == NODES_MAX)
        return NULL;
    struct apply *a = mem_zalloc(sizeof *a);
    a->w = w;
    a->owner = w->app_n + 1;
    snprintf(a->name, sizeof a->name, "A%u", w->app_n + 1);
    w->apps[w->app_n++] = a;
    return a;
}

void
batch_free(struct batch *b)
{
    if (!b)
        return;
    for (unsigned t = 0; t < TABLES; t++) {
        checkpoint_free(&b->base[t]);
        checkpoint_free(&b->next[t]);
    }
    free(b->rows);
    free(b);
}

static void
batches_drop(struct apply *a, unsigned lane)
{
    for (unsigned i = 0; i < 2; i++) {
        batch_free(a->batch[lane][i]);
        a->batch[lane][i] = NULL;
    }
}

static void
apply_forget(struct apply *a)
{
    gate_free(a->g);
    a->g = NULL;
    for (unsigned t = 0; t < TABLES; t++) {
        batches_drop(a, t);
        checkpoint_free(&a->base[t]);
    }
    for (unsigned p = 0; p < PROGRESS; p++)
        a->rows[p].head = a->rows[p].n = 0;
    a->has_token = false;
    a->executing = 0;
}

void
apply_free(struct apply *a)
{
    apply_forget(a);
    for (unsigned p = 0; p < PROGRESS; p++)
        free(a->rows[p].p);
    free(a);
}

static void
stop(struct apply *a, const struct err *e)
{
    a->w->stopped = true;
    a->w->stop = *e;
    world_ev(a->w, "%s stops: MR%d %s", a->name, (int)e->code, e->text);
}

/* ---- start ---- */

static bool
load_base(struct apply *a, unsigned t)
{
    struct err e;
    if (!target_load(&a->w->t, t, &a->base[t], &e)) {
        world_violation(a->w, "checkpoint: %s", e.text);
        return false;
    }
    if (a->base[t].owner != a->owner)
        a->dead = true;
    return a->base[t].owner == a->owner;
}

static struct gate_last
last_of(struct checkpoint *c, unsigned p)
{
    const struct checkpoint_part *x =
        checkpoint_part(c, topics[p / PARTITIONS], (int32_t)(p % PARTITIONS));
    return (struct gate_last){x->offset, x->epoch, x->seq};
}

static bool
seek_part(struct apply *a, unsigned p)
{
    struct err e;
    int64_t offset;
    a->rows[p].head = a->rows[p].n = 0;
    if (!gate_part_start(a->g, a->part[p], 0, (int64_t)a->w->k.logs[p].n, &offset, &e)) {
        stop(a, &e);
        return false;
    }
    a->pos[p] = (size_t)offset;
    return true;
}

/* A new gate from the stored checkpoints. */
static void
build_gate(struct apply *a)
{
    int64_t from = INT64_MAX;
    apply_forget(a);
    struct gate_conf conf = {
        .inc = INC, .task_consistency = a->w->o->task, .cuts_max = 8, .batch_bytes = 40};
    a->g = gate_new(&conf);
    for (unsigned t = 0; t < TABLES; t++) {
        if (!load_base(a, t))
            return;
        const struct checkpoint_source *s = checkpoint_source(&a->base[t], 1);
        a->table[t] = gate_table_add(a->g, topics[t], s->cut);
        from = s->progress_offset < from ? s->progress_offset : from;
        for (unsigned i = 0; i < PARTITIONS; i++) {
            unsigned p = t * PARTITIONS + i;
            a->part[p] = gate_part_add(a->g, a->table[t], (int32_t)i, last_of(&a->base[t], p));
            if (!seek_part(a, p))
                return;
        }
    }
    a->progress_at = a->owner % 2 ? (size_t)from : 0;
    a->started = true;
}

static void
start(struct apply *a)
{
    struct world *w = a->w;
    struct err e;
    if (target_busy(&w->t, 7)) {
        target_resolve(w, 0);
        return;
    }
    for (unsigned t = 0; t < TABLES; t++) {
        if (w->t.ck[t].owner >= a->owner) {
            a->dead = true;
            return;
        }
    }
    for (unsigned t = 0; t < TABLES; t++) {
        struct checkpoint c;
        checkpoint_init(&c, INC);
        if (!target_load(&w->t, t, &c, &e))
            world_violation(w, "checkpoint: %s", e.text);
        c.owner = c.instance = a->owner;
        c.commits++;
        target_store(&w->t, t, &c);
        checkpoint_free(&c);
    }
    if (!w->o->no_kill)
        target_kill_below(w, a->owner);
    build_gate(a);
    world_ev(w, "%s owns the target, reads progress from %zu", a->name, a->progress_at);
}

/* Back to the stored checkpoints of these tables. */
static void
reseek(struct apply *a, unsigned tables)
{
    target_ddl_finish(a->w, a->owner);
    a->executing = 0;
    for (unsigned t = 0; t < TABLES; t++) {
        if (tables >> t & 1)
            batches_drop(a, a->w->o->task ? 0 : t);
    }
    for (unsigned t = 0; t < TABLES; t++) {
        if (!(tables >> t & 1))
            continue;
        if (!load_base(a, t))
            return;
        for (unsigned i = 0; i < PARTITIONS; i++)
            gate_part_rebase(a->g, a->part[t * PARTITIONS + i],
                             last_of(&a->base[t], t * PARTITIONS + i));
        if (!gate_rebase(a->g, a->table[t], checkpoint_source(&a->base[t], 1)->cut)) {
            world_ev(a->w, "%s builds a new gate", a->name);
            build_gate(a);
            return;
        }
        for (unsigned i = 0; i < PARTITIONS; i++) {
            if (!seek_part(a, t * PARTITIONS + i))
                return;
        }
    }
}

/* ---- reading ---- */

/* The mutant "no void rule": epochs begin where nothing is void. */
static void
unvoid(struct progress_record *r)
{
    if (r->kind == PROGRESS_EPOCH)
        r->seq = (uint64_t)1 << 40;
    r->history_count = 0;
}

static void
read_progress(struct apply *a)
{
    struct world *w = a->w;
    const struct log *l = &w->k.logs[PROGRESS];
    struct err e;
    if (a->progress_at > l->n) {
        err_set(&e, MR_KAFKA_LOST, "progress ends at %zu, %zu was read", l->n, a->progress_at);
        stop(a, &e);
        return;
    }
    if (a->progress_at == l->n || l->e[a->progress_at].state == ENTRY_OPEN)
        return;
    size_t i = a->progress_at++;
    if (l->e[i].state != ENTRY_COMMITTED)
        return;
    struct arena mem;
    struct progress_record r;
    enum progress_verdict verdict;
    struct progress_at at = {(int64_t)i, i < w->compacted || w->o->no_prev || w->o->no_void};
    arena_init(&mem, 0);
    if (!progress_decode(l->e[i].rec->key, l->e[i].rec->value, &mem, &r, &e)) {
        world_violation(w, "progress: %s", e.text);
    } else {
        if (w->o->no_void)
            unvoid(&r);
        if (!gate_progress(a->g, &r, at, &verdict, &e))
            stop(a, &e);
    }
    progress_record_free(&r);
    arena_free(&mem);
}

static void
keep(struct payloads *x, const struct record *rec)
{
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 32;
        x->p = mem_realloc(x->p, x->cap * sizeof *x->p);
    }
    x->p[x->n++] = (struct payload){rec->row, rec->id};
}

static void
read_data(struct apply *a, unsigned p)
{
    const struct log *l = &a->w->k.logs[p];
    struct err e;
    for (int i = 0; i < 3; i++) {
        enum gate_keep what;
        if (a->pos[p] > l->n) {
            err_set(&e, MR_KAFKA_LOST, "log %u ends at %zu, %zu was read", p, l->n, a->pos[p]);
            stop(a, &e);
            return;
        }
        if (a->pos[p] == l->n || l->e[a->pos[p]].state == ENTRY_OPEN)
            break;
        const struct entry *x = &l->e[a->pos[p]++];
        if (x->state != ENTRY_COMMITTED)
            continue;
        if (!gate_row(a->g, a->part[p], (int64_t)a->pos[p] - 1, &x->rec->id, 10, &what, &e)) {
            stop(a, &e);
            return;
        }
        if (what == GATE_KEEP)
            keep(&a->rows[p], x->rec);
    }
    gate_position(a->g, a->part[p], (int64_t)a->pos[p]);
}

/* Two steps: what had been read when the query left, then the answer. */
static void
query_ends(struct apply *a)
{
    if (a->w->o->no_ends)
        return;
    if (!a->has_token) {
        a->end_token = gate_end_token(a->g);
        a->has_token = true;
        return;
    }
    a->has_token = false;
    for (unsigned p = 0; p < PROGRESS; p++)
        gate_end(a->g, a->part[p], a->end_token, (int64_t)a->w->k.logs[p].n);
}

/* ---- batches ---- */

static void
batch_rows(struct apply *a, struct batch *b)
{
    for (unsigned p = 0; p < PROGRESS; p++) {
        if (!(b->tables >> (p / PARTITIONS) & 1))
            continue;
        struct payloads *x = &a->rows[p];
        size_t n = gate_part_take(a->g, a->part[p]);
        b->rows = mem_realloc(b->rows, (b->n + n + 1) * sizeof *b->rows);
        for (size_t i = 0; i < n; i++) {
            if (!gate_row_void(a->g, a->part[p], i))
                b->rows[b->n++] = x->p[x->head + i];
        }
        x->head += n;
        if (x->head == x->n)
            x->head = x->n = 0;
    }
}

static void
batch_checkpoint(struct apply *a, struct batch *b, unsigned t, const struct gate_decision *d)
{
    struct checkpoint *c = &b->next[t];
    checkpoint_init(&b->base[t], INC);
    checkpoint_init(c, INC);
    checkpoint_copy(&b->base[t], &a->base[t]);
    checkpoint_copy(c, &a->base[t]);
    struct checkpoint_source *s = checkpoint_source(c, 1);
    s->cut = d->cut;
    if (d->progress_offset > 0)
        s->progress_offset = d->progress_offset;
    c->commit_us = d->commit_us;
    c->commits++;
    for (unsigned i = 0; i < PARTITIONS; i++) {
        struct gate_last last = gate_part_last(a->g, a->part[t * PARTITIONS + i]);
        struct checkpoint_part *x = checkpoint_part(c, topics[t], (int32_t)i);
        x->offset = last.offset;
        x->epoch = last.epoch;
        x->seq = last.seq;
    }
    if (d->event && d->event->table == a->table[t]) {
        checkpoint_topic(c, topics[t])->version = d->event->version;
        checkpoint_set_intent(c, d->event->kind == EVENT_VERSION ? "version" : "truncate",
                              d->event->id, "", "");
    }
    checkpoint_copy(&a->base[t], c);
}

static struct batch *
batch_make(struct apply *a, unsigned tables, const struct gate_decision *d)
{
    struct batch *b = mem_zalloc(sizeof *b);
    b->tables = tables;
    b->cut = d->cut;
    b->boundary = d->boundary;
    b->event = d->event != NULL;
    for (unsigned t = 0; t < TABLES; t++) {
        if (tables >> t & 1)
            batch_checkpoint(a, b, t, d);
    }
    batch_rows(a, b);
    return b;
}

/* The mutant "no gate": whatever was read is applied. */
static void
build_ungated(struct apply *a, unsigned lane, unsigned tables)
{
    struct batch *b = mem_zalloc(sizeof *b);
    struct gate_decision d = {0};
    b->tables = tables;
    for (unsigned t = 0; t < TABLES; t++) {
        if (tables >> t & 1)
            batch_checkpoint(a, b, t, &d);
    }
    for (unsigned p = 0; p < PROGRESS; p++) {
        struct payloads *x = &a->rows[p];
        if (!(tables >> (p / PARTITIONS) & 1))
            continue;
        b->rows = mem_realloc(b->rows, (b->n + x->n + 1) * sizeof *b->rows);
        while (x->head < x->n)
            b->rows[b->n++] = x->p[x->head++];
    }
    a->batch[lane][a->batch[lane][0] ? 1 : 0] = b;
}

/* Checkpoints of the others stay where they are. */
static unsigned
changed(const struct apply *a, unsigned tables, const struct gate_decision *d)
{
    unsigned found = 0;
    for (unsigned p = 0; p < PROGRESS; p++)
        found |= gate_part_take(a->g, a->part[p]) ? 1u << p / PARTITIONS : 0;
    for (unsigned t = 0; t < TABLES; t++)
        found |= d->event && d->event->table == a->table[t] ? 1u << t : 0;
    return found & tables;
}

static void
build(struct apply *a, unsigned lane, unsigned tables, uint64_t r)
{
    struct gate_decision d;
    struct err e;
    uint32_t table = a->w->o->task ? GATE_ALL : a->table[lane];
    if (a->w->o->no_gate) {
        build_ungated(a, lane, tables);
        return;
    }
    if (!gate_decide(a->g, table, false, &d, &e)) {
        stop(a, &e);
        return;
    }
    if (!d.ready && r % 7 == 0 && !a->w->o->task)
        (void)gate_idle(a->g, table, &d);
    if (!d.ready)
        return;
    if (a->w->o->task && r % 5)
        tables = changed(a, tables, &d);
    struct batch *b = batch_make(a, tables, &d);
    gate_take(a->g, table, &d);
    a->batch[lane][a->batch[lane][0] ? 1 : 0] = b;
}

static void
shift(struct apply *a, unsigned lane)
{
    a->batch[lane][0] = a->batch[lane][1];
    a->batch[lane][1] = NULL;
}

static void
commit(struct apply *a, unsigned lane, unsigned tables, uint64_t r)
{
    struct world *w = a->w;
    struct batch *b = a->batch[lane][0];
    uint32_t table = w->o->task ? GATE_ALL : a->table[lane];
    if (target_busy(&w->t, tables)) {
        target_resolve(w, r);
        return;
    }
    if (w->faults && r % 10 == 0 && !w->o->no_base) {
        world_ev(w, "%s target commit of tables %x: outcome unknown", a->name, tables);
        shift(a, lane);
        w->t.pending[w->t.pending_n++] = (struct pending){b, a->owner};
        while (target_busy(&w->t, tables)) /* the locked read waits for it */
            target_resolve(w, world_rr(w));
        reseek(a, tables);
        return;
    }
    if (target_commit(w, b)) {
        gate_done(a->g, table, b->cut);
        shift(a, lane);
        batch_free(b);
    } else {
        world_ev(w, "%s base differs: discard, re-seek", a->name);
        reseek(a, tables);
    }
}

/* ---- intents ---- */

static void
intent_send(struct apply *a, unsigned t)
{
    struct checkpoint *base = &a->base[t];
    target_ddl_finish(a->w, a->owner); /* one statement at a time on a connection */
    struct ddl d = {.owner = a->owner, .table = t};
    d.alter = strcmp(base->intent->kind, "version") == 0;
    d.version = checkpoint_topic(base, topics[t])->version;
    target_ddl_send(a->w, &d);
    a->executing = t + 1;
}

static void
intent_clear(struct apply *a, unsigned t)
{
    struct checkpoint stored;
    struct checkpoint *base = &a->base[t];
    struct err e;
    checkpoint_init(&stored, INC);
    if (target_load(&a->w->t, t, &stored, &e) && checkpoint_is_base(&stored, base)) {
        checkpoint_set_intent(&stored, NULL, (struct cut_id){0}, NULL, NULL);
        stored.commits++;
        target_store(&a->w->t, t, &stored);
        checkpoint_copy(base, &stored);
    } else {
        reseek(a, a->w->o->task ? 7 : 1u << t);
    }
    checkpoint_free(&stored);
}

/* Outside the checkpoint's transaction: sent, executed, cleared, and the server may execute it
 * at any time between, after its sender died too, unless its connection was killed. */
static void
intent(struct apply *a, unsigned t)
{
    struct world *w = a->w;
    if (a->owner < w->t.killed_below) {
        a->dead = true;
    } else if (w->t.pending_n) {
        target_resolve(w, 0);
    } else if (a->executing != t + 1) {
        intent_send(a, t);
    } else {
        a->executing = 0;
        target_ddl_finish(w, a->owner);
        intent_clear(a, t);
    }
}

static bool
has_intent(const struct apply *a, unsigned tables, unsigned *t)
{
    for (*t = 0; *t < TABLES; (*t)++) {
        if ((tables >> *t & 1) && a->base[*t].intent)
            return true;
    }
    return false;
}

static void
work(struct apply *a, unsigned lane, uint64_t r)
{
    unsigned tables = a->w->o->task ? 7 : 1u << lane, t;
    bool waits = has_intent(a, tables, &t);
    if (waits && !a->batch[lane][0]) {
        intent(a, t);
    } else if (a->batch[lane][0] && (waits || a->batch[lane][1] || r % 3)) {
        commit(a, lane, tables, r / 3);
    } else {
        build(a, lane, tables, r / 3);
    }
}

void
apply_step(struct apply *a, uint64_t r)
{
    unsigned k = (unsigned)(r % 8);
    r /= 8;
    if (!a->started)
        start(a);
    else if (k < 2)
        read_progress(a);
    else if (k < 5)
        read_data(a, (unsigned)(r % PROGRESS));
    else if (k == 5 && r % 4 == 0)
        query_ends(a);
    else
        work(a, a->w->o->task ? 0 : (unsigned)(r / 4 % TABLES), r / 12);
}

bool
apply_idle(const struct apply *a)
{
    if (!a->started || a->progress_at != a->w->k.logs[PROGRESS].n)
        return false;
    for (unsigned t = 0; t < TABLES; t++) {
        if (a->batch[t][0] || a->base[t].intent)
            return false;
    }
    for (unsigned p = 0; p < PROGRESS; p++) {
        if (a->pos[p] != a->w->k.logs[p].n)
            return false;
    }
    return true;
}

bool
apply_waits(const struct apply *a)
{
    for (unsigned p = 0; p < PROGRESS; p++) {
        if (a->rows[p].head < a->rows[p].n)
            return true;
    }
    return !a->started;
}
