/* The target database: three tables and a checkpoint row each, as JSON. A commit can be
 * pending: its client does not know, and it lands or rolls back later. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

void
target_init(struct target *t)
{
    memset(t, 0, sizeof *t);
    for (unsigned i = 0; i < TABLES; i++) {
        struct checkpoint c;
        checkpoint_init(&c, INC);
        checkpoint_source(&c, 1);
        target_store(t, i, &c);
        checkpoint_free(&c);
        t->ver[i] = 1;
    }
}

void
target_free(struct target *t)
{
    for (unsigned i = 0; i < TABLES; i++)
        buf_free(&t->ck[i].state);
    for (unsigned i = 0; i < t->pending_n; i++)
        batch_free(t->pending[i].b);
}

bool
target_load(const struct target *t, unsigned table, struct checkpoint *out, struct err *e)
{
    const struct stored *s = &t->ck[table];
    if (!checkpoint_decode(buf_bytes(&s->state), out, e))
        return false;
    out->owner = s->owner;
    out->instance = s->instance;
    out->commits = s->commits;
    return true;
}

void
target_store(struct target *t, unsigned table, const struct checkpoint *c)
{
    struct stored *s = &t->ck[table];
    buf_reset(&s->state);
    checkpoint_encode(c, &s->state);
    s->owner = c->owner;
    s->instance = c->instance;
    s->commits = c->commits;
}

bool
target_busy(const struct target *t, unsigned tables)
{
    for (unsigned i = 0; i < t->pending_n; i++) {
        if (t->pending[i].b->tables & tables)
            return true;
    }
    return false;
}

/* ---- rows ---- */

static bool
unique_taken(const struct target *t, uint8_t uval)
{
    for (unsigned k = 1; k < KEYS_MAX; k++) {
        if (t->rows[T_U][k].there && t->rows[T_U][k].uval == uval)
            return true;
    }
    return false;
}

/* Deletes first; u has a secondary unique key: delete all touched keys, then plain INSERT. */
static void
fold_write(struct world *w, const struct fold *f, unsigned table)
{
    struct target *t = &w->t;
    const struct fold_entry *x;
    for (uint32_t i = 0; i < f->len; i++) {
        if (table == T_U || f->entries[i].last_op == OP_DELETE)
            t->rows[table][*f->entries[i].key.p] = (struct value){0};
    }
    for (uint32_t at = 0; (x = fold_next_upsert(f, &at)) != NULL;) {
        const struct row *r = x->row;
        if (table == T_U && unique_taken(t, r->uval))
            world_violation(w, "1062: a plain INSERT collides on a secondary unique key");
        t->rows[table][r->key] = (struct value){r->val, r->uval, true};
    }
}

static enum change_op
op_of(const struct row *r)
{
    return r->op == ROW_DELETE   ? OP_DELETE
           : r->op == ROW_CREATE ? OP_CREATE
           : r->op == ROW_READ   ? OP_READ
                                 : OP_UPDATE;
}

static void
write_rows(struct world *w, const struct batch *b)
{
    struct fold f[2];
    for (int t = 0; t < 2; t++)
        fold_init(&f[t], true);
    for (size_t i = 0; i < b->n; i++) {
        struct payload *x = &b->rows[i];
        if (x->row.ver != w->t.ver[x->row.table])
            world_violation(w, "a row of table version %u is applied at version %u", x->row.ver,
                            w->t.ver[x->row.table]);
        if (x->row.table == T_K)
            w->t.k[x->row.val] += x->row.op == ROW_CREATE ? 1 : -1;
        else
            fold_add(&f[x->row.table], bytes_of(&x->row.key, 1), op_of(&x->row), &x->row);
    }
    for (unsigned t = 0; t < 2; t++) {
        fold_write(w, &f[t], t);
        fold_free(&f[t]);
    }
}

/* ---- commit ---- */

static bool
is_base(struct world *w, const struct batch *b)
{
    struct checkpoint stored;
    struct err e;
    bool same = true;
    checkpoint_init(&stored, INC);
    for (unsigned t = 0; t < TABLES && same; t++) {
        if (!(b->tables >> t & 1))
            continue;
        if (!target_load(&w->t, t, &stored, &e))
            world_violation(w, "checkpoint: %s", e.text);
        same = checkpoint_is_base(&stored, &b->base[t]);
    }
    checkpoint_free(&stored);
    return same;
}

static void
check_forward(struct world *w, const struct batch *b, unsigned t)
{
    struct checkpoint old;
    struct err e;
    checkpoint_init(&old, INC);
    if (!target_load(&w->t, t, &old, &e))
        world_violation(w, "checkpoint: %s", e.text);
    for (uint32_t i = 0; i < old.topic_count; i++) {
        for (uint32_t k = 0; k < old.topics[i].part_count; k++) {
            const struct checkpoint_part *x = &old.topics[i].parts[k];
            struct checkpoint next;
            checkpoint_init(&next, INC);
            checkpoint_copy(&next, &b->next[t]);
            const struct checkpoint_part *y =
                checkpoint_part(&next, old.topics[i].topic, x->partition);
            if (y->epoch < x->epoch || y->seq < x->seq)
                world_violation(w, "the checkpoint went back from %" PRIu64 " to %" PRIu64,
                                x->seq, y->seq);
            checkpoint_free(&next);
        }
    }
    checkpoint_free(&old);
}

static bool
same_rows(const struct target *t, const struct state *st)
{
    return memcmp(t->rows, st->rows, sizeof t->rows) == 0 &&
           memcmp(t->k, st->k, sizeof t->k) == 0;
}

/* With consistency task every commit shows a set of whole transactions, once everything is
 * loaded. */
static void
check_boundary(struct world *w, const struct batch *b)
{
    for (size_t i = w->note_n; i-- > 0;) {
        const struct cut_note *n = &w->notes[i];
        struct state st;
        if (cut_id_cmp(n->id, b->cut) != 0 || !n->boundary)
            continue;
        if (!n->loaded)
            return;
        source_state(&w->s, &n->done, &st);
        if (!same_rows(&w->t, &st))
            world_violation(w, "consistency task: a commit is not a transaction boundary");
        return;
    }
    world_violation(w, "consistency task: a commit at a cut that is no boundary");
}

bool
target_commit(struct world *w, const struct batch *b)
{
    if (!w->o->no_base && !is_base(w, b))
        return false;
    write_rows(w, b);
    for (unsigned t = 0; t < TABLES; t++) {
        if (!(b->tables >> t & 1))
            continue;
        check_forward(w, b, t);
        target_store(&w->t, t, &b->next[t]);
    }
    world_ev(w, "target commit of tables %x: %zu rows, cut (%" PRIu64 ", %" PRIu64 ")%s",
             b->tables, b->n, b->cut.epoch, b->cut.seq, b->event ? " and an event" : "");
    if (w->o->task && !w->lost && !b->event && !w->o->no_gate)
        check_boundary(w, b);
    return true;
}

bool
target_resolve(struct world *w, uint64_t r)
{
    struct target *t = &w->t;
    if (t->pending_n == 0)
        return false;
    struct batch *b = t->pending[0].b;
    t->pending_n--;
    memmove(&t->pending[0], &t->pending[1], t->pending_n * sizeof t->pending[0]);
    world_ev(w, "a pending target commit %s", r % 2 ? "lands" : "was rolled back");
    if (r % 2)
        (void)!target_commit(w, b);
    batch_free(b);
    return true;
}

/* ---- DDL ---- */

void
target_kill_below(struct world *w, uint64_t owner)
{
    struct target *t = &w->t;
    unsigned kept = 0;
    t->killed_below = owner;
    for (unsigned i = 0; i < t->ddl_n; i++) {
        if (t->ddl[i].owner >= owner)
            t->ddl[kept++] = t->ddl[i];
    }
    t->ddl_n = kept;
}

void
target_ddl_send(struct world *w, const struct ddl *d)
{
    struct target *t = &w->t;
    if (t->ddl_n < NODES_MAX)
        t->ddl[t->ddl_n++] = *d;
}

static void
ddl_execute(struct world *w, unsigned i)
{
    struct target *t = &w->t;
    struct ddl d = t->ddl[i];
    t->ddl[i] = t->ddl[--t->ddl_n];
    if (d.alter)
        t->ver[d.table] = d.version;
    else if (d.table == T_K)
        memset(t->k, 0, sizeof t->k);
    else
        memset(t->rows[d.table], 0, sizeof t->rows[d.table]);
    world_ev(w, "the target executes %s of table %u, sent by A%" PRIu64,
             d.alter ? "ALTER" : "TRUNCATE", d.table, d.owner);
}

void
target_ddl_finish(struct world *w, uint64_t owner)
{
    for (unsigned i = 0; i < w->t.ddl_n; i++) {
        if (w->t.ddl[i].owner == owner) {
            ddl_execute(w, i);
            return;
        }
    }
}

void
target_ddl_any(struct world *w, uint64_t r)
{
    if (w->t.ddl_n)
        ddl_execute(w, (unsigned)(r % w->t.ddl_n));
}
