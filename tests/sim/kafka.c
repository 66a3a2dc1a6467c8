/* Kafka: logs with transactions. An EndTxn may arrive late and end whatever is open then, so
 * half of a transaction that its producer later aborts can be committed; markers are written
 * one log after the other; the progress log is compacted; on request the tails of logs are
 * lost. */
#include <string.h>

#include "sim.h"

void
kafka_free(struct kafka *k)
{
    for (int i = 0; i < LOGS; i++)
        free(k->logs[i].e);
}

void
kafka_append(struct kafka *k, int log, const struct record *rec, enum entry_state st)
{
    struct log *l = &k->logs[log];
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->e = mem_realloc(l->e, l->cap * sizeof *l->e);
    }
    l->e[l->n++] = (struct entry){rec, st};
}

/* A data record as the mutants want it: every MUTANT_EVERY-th dropped, doubled or swapped with
 * the next of its log. */
void
kafka_deliver_row(struct world *w, int log, const struct record *rec, enum entry_state st)
{
    struct kafka *k = &w->k;
    bool hit = log != PROGRESS && ++k->appended % MUTANT_EVERY == 0;
    if (hit && w->o->kafka_drop)
        return;
    if (hit && w->o->kafka_swap && !k->held) {
        k->held = mem_alloc(sizeof *k->held);
        *k->held = *rec;
        k->held_log = log;
        return;
    }
    kafka_append(k, log, rec, st);
    if (hit && w->o->kafka_double)
        kafka_append(k, log, rec, st);
    if (k->held && k->held_log == log) {
        struct record *copy = arena_alloc(&w->mem, sizeof *copy);
        *copy = *k->held;
        kafka_append(k, log, copy, st);
        free(k->held);
        k->held = NULL;
    }
}

void
kafka_decide(struct kafka *k, bool commit)
{
    k->ongoing = false;
    k->pending = k->txn_logs;
    k->txn_logs = 0;
    k->decision = commit;
    k->completing = k->pending != 0;
}

void
kafka_marker(struct kafka *k, uint64_t i)
{
    int logs[LOGS], n = 0;
    for (int l = 0; l < LOGS; l++) {
        if (k->pending >> l & 1)
            logs[n++] = l;
    }
    int log = logs[i % (uint64_t)n];
    struct log *l = &k->logs[log];
    for (size_t x = 0; x < l->n; x++) {
        if (l->e[x].state == ENTRY_OPEN)
            l->e[x].state = k->decision ? ENTRY_COMMITTED : ENTRY_ABORTED;
    }
    kafka_append(k, log, NULL, ENTRY_MARKER);
    k->pending &= ~(1u << log);
    k->completing = k->pending != 0;
}

bool
kafka_end(struct kafka *k, unsigned pepoch, bool commit)
{
    if (pepoch != k->pepoch || !k->ongoing)
        return false;
    kafka_decide(k, commit);
    return true;
}

static bool
superseded(const struct log *l, size_t i, size_t limit)
{
    for (size_t x = i + 1; x < limit; x++) {
        if (l->e[x].state == ENTRY_COMMITTED && bytes_eq(l->e[x].rec->key, l->e[i].rec->key))
            return true;
    }
    return false;
}

/* The documented limit: what Kafka loses can go unnoticed where compaction has taken cuts that
 * apply had not read. So in schedules with loss compaction stays below the cut that every table
 * has applied. */
static size_t
applied_below(struct world *w)
{
    const struct log *l = &w->k.logs[PROGRESS];
    uint64_t least = UINT64_MAX;
    size_t i = 0;
    for (unsigned t = 0; t < TABLES; t++) {
        struct checkpoint c;
        struct err e;
        checkpoint_init(&c, INC);
        if (target_load(&w->t, t, &c, &e) && checkpoint_source(&c, 1)->cut.seq < least)
            least = checkpoint_source(&c, 1)->cut.seq;
        checkpoint_free(&c);
    }
    for (bool above = false; i < l->n && !above; i += !above) {
        struct arena a;
        struct progress_record r;
        struct err e;
        if (l->e[i].state != ENTRY_COMMITTED)
            continue;
        arena_init(&a, 0);
        above =
            progress_decode(l->e[i].rec->key, l->e[i].rec->value, &a, &r, &e) && r.seq > least;
        progress_record_free(&r);
        arena_free(&a);
    }
    return i;
}

void
kafka_compact(struct world *w, uint64_t r)
{
    struct log *l = &w->k.logs[PROGRESS];
    size_t limit = r % (l->n + 1), removed = 0;
    size_t applied = w->o->loss ? applied_below(w) : l->n;
    limit = limit < applied ? limit : applied;
    for (size_t i = 0; i < limit; i++) {
        if (l->e[i].state == ENTRY_OPEN)
            limit = i;
    }
    for (size_t i = 0; i < limit; i++) {
        enum entry_state st = l->e[i].state;
        if (st == ENTRY_REMOVED || (st == ENTRY_COMMITTED && !superseded(l, i, limit)))
            continue;
        l->e[i].state = ENTRY_REMOVED;
        removed++;
    }
    if (limit > w->compacted)
        w->compacted = limit;
    world_ev(w, "progress compacted below %zu, %zu removed", limit, removed);
}

void
kafka_lose(struct world *w, uint64_t r)
{
    struct kafka *k = &w->k;
    if (!w->o->loss || w->lost || k->completing || k->ongoing)
        return;
    unsigned mask = (unsigned)(r % 128);
    size_t lost = 0;
    r /= 128;
    for (int i = 0; i < LOGS; i++) {
        size_t n = 1 + (r >> i) % 3;
        if (!(mask >> i & 1) && mask <= 100)
            continue;
        n = n < k->logs[i].n ? n : k->logs[i].n;
        k->logs[i].n -= n;
        lost += n;
    }
    if (w->compacted > k->logs[PROGRESS].n)
        w->compacted = k->logs[PROGRESS].n;
    if (lost) {
        w->lost = true;
        world_ev(w, "Kafka lost the tails of logs %x, %zu records", mask, lost);
    }
}

const struct record *
kafka_progress(struct world *w, const struct progress_record *r)
{
    struct buf key = {0}, value = {0};
    struct record *rec = arena_zalloc(&w->mem, sizeof *rec);
    progress_encode(r, &key, &value);
    rec->key = arena_copy(&w->mem, buf_bytes(&key));
    rec->value = arena_copy(&w->mem, buf_bytes(&value));
    buf_free(&key);
    buf_free(&value);
    return rec;
}
