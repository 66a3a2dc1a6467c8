/* The gate's cuts, needs and events, from progress records. Rules: apply/gate.h.
 *
 * A cut is (1) a place where a batch may end and (2) for each partition it touched a need: so
 * many rows up to such a seq. Places may be forgotten when there are too many; needs never are,
 * they are only added up. A cut that does not follow the one read before it starts a new chain:
 * across chains completeness needs end offsets.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "apply/gate_core.h"
#include "base/mem.h"

size_t
gate_cut_count(const struct gate *g)
{
    return g->cut_len - g->cut_head;
}

struct gate_cut *
gate_cut_at(const struct gate *g, size_t i)
{
    return &g->cuts[g->cut_head + i];
}

size_t
gate_cut_from(const struct gate *g, uint64_t seq)
{
    size_t lo = 0, hi = gate_cut_count(g);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (gate_cut_at(g, mid)->id.seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* ---- chains ---- */

/* A base is on the chain when its seq is that of a cut of it or of the newest thing read: valid
 * seqs never repeat. */
void
gate_table_chain(struct gate *g, struct gate_table *t)
{
    struct cut_id tail;
    bool known = t->chain != 0;
    t->chain = 0;
    size_t i = gate_cut_from(g, t->base.seq);
    if (i < gate_cut_count(g) && gate_cut_at(g, i)->id.seq == t->base.seq)
        t->chain = gate_cut_at(g, i)->chain;
    else if (t->base.seq == t->floor.seq && t->floor_chain)
        t->chain = t->floor_chain;
    else if (progress_view_tail(g->view, &tail) && tail.seq == t->base.seq)
        t->chain = g->chain;
    g->unchained += known && !t->chain;
    g->unchained -= !known && t->chain;
}

/* What comes does not follow what was read. */
static void
chain_ends(struct gate *g)
{
    gate_wake_all(g);
    g->chain++;
}

static void
chains_resolve(struct gate *g, uint64_t seq)
{
    for (uint32_t i = 0; g->unchained && i < g->table_count; i++) {
        struct gate_table *t = &g->tables[i];
        if (!t->chain && t->base.seq == seq) {
            t->chain = g->chain;
            if (t->floor.seq == seq)
                t->floor_chain = g->chain;
            g->unchained--;
        }
    }
}

/* ---- needs ---- */

static void
need_add(struct gate_part *p, const struct gate_need *n)
{
    if (p->need_head > 64 && p->need_head > p->need_len / 2) {
        memmove(p->needs, &p->needs[p->need_head],
                (p->need_len - p->need_head) * sizeof *p->needs);
        p->need_len -= p->need_head;
        p->need_at -= p->need_head;
        p->need_head = 0;
    }
    if (p->need_len == p->need_cap) {
        p->need_cap = p->need_cap ? p->need_cap * 2 : 16;
        p->needs = mem_realloc(p->needs, p->need_cap * sizeof *p->needs);
    }
    p->needs[p->need_len++] = *n;
}

/* Adds up needs between which no cut is left; the current one is never touched, its count has
 * begun. */
static void
needs_merge(struct gate *g, struct gate_part *p)
{
    if (p->need_at + 1 >= p->need_len)
        return;
    size_t kept = p->need_at + 1;
    for (size_t i = kept + 1; i < p->need_len; i++) {
        struct gate_need *a = &p->needs[kept];
        const struct gate_need *b = &p->needs[i];
        size_t at = gate_cut_from(g, a->cut.seq);
        bool between = at < gate_cut_count(g) && gate_cut_at(g, at)->id.seq < b->cut.seq;
        if (between || a->cut.epoch != b->cut.epoch) {
            p->needs[++kept] = *b;
            continue;
        }
        a->cut = b->cut;
        a->last = b->last;
        a->rows += b->rows;
        a->serial = b->serial;
    }
    p->need_len = kept + 1;
}

/* ---- cuts ---- */

static bool
cut_has_event(const struct gate *g, uint64_t seq)
{
    for (size_t i = 0; i < g->event_count; i++) {
        if (g->events[i]->e.id.seq == seq)
            return true;
    }
    return false;
}

/* Moves the base of a table that has nothing waiting to the newest cut, in memory only. */
static void
table_advance(struct gate *g, struct gate_table *t)
{
    const struct gate_cut *c = gate_cut_at(g, gate_cut_count(g) - 1);
    if (t->chain != c->chain || gate_event_next(g, (uint32_t)(t - g->tables)))
        return;
    for (uint32_t i = 0; i < t->part_count; i++) {
        if (t->parts[i] == UINT32_MAX)
            continue;
        const struct gate_part *p = &g->parts[t->parts[i]];
        if (p->need_at < p->need_len || p->row_head < p->row_len)
            return;
    }
    if (t->base.seq < c->id.seq)
        t->base = c->id;
}

/* Cuts at or below every base are no use any more. */
static void
cuts_prune(struct gate *g)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < g->table_count; i++) {
        struct gate_table *t = &g->tables[i];
        if (t->dropped)
            continue;
        if (!g->conf.task_consistency)
            table_advance(g, t);
        if (gate_base(g, t).seq < least)
            least = gate_base(g, t).seq;
    }
    while (gate_cut_count(g) > 1 && gate_cut_at(g, 0)->id.seq < least)
        g->cut_head++;
}

/* Forgets every other place but the newest, those of events and, for task consistency, the
 * boundaries that stand before a cut that is none. */
static void
cuts_thin(struct gate *g)
{
    size_t n = gate_cut_count(g), kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct gate_cut *c = gate_cut_at(g, i);
        bool odd = i % 2 == 1 && i + 1 < n;
        if (odd && !cut_has_event(g, c->id.seq) &&
            !(g->conf.task_consistency && c->boundary && !gate_cut_at(g, i + 1)->boundary))
            continue;
        g->cuts[kept++] = *c;
    }
    g->cut_head = 0;
    g->cut_len = kept;
    for (uint32_t i = 0; i < g->part_count; i++)
        needs_merge(g, &g->parts[i]);
}

static void
cut_append(struct gate *g, const struct gate_cut *c)
{
    if (g->serial % 256 == 0)
        cuts_prune(g);
    if (gate_cut_count(g) >= g->conf.cuts_max)
        cuts_thin(g);
    size_t n = gate_cut_count(g);
    /* A heartbeat moves no row: the same place, newer. */
    if (n && gate_cut_at(g, n - 1)->id.seq == c->id.seq &&
        gate_cut_at(g, n - 1)->chain == c->chain) {
        struct gate_cut *last = gate_cut_at(g, n - 1);
        bool boundary = last->boundary || c->boundary;
        *last = *c;
        last->boundary = boundary;
        return;
    }
    if (g->cut_head && g->cut_len == g->cut_cap) {
        memmove(g->cuts, &g->cuts[g->cut_head], n * sizeof *g->cuts);
        g->cut_len = n;
        g->cut_head = 0;
    }
    if (g->cut_len == g->cut_cap) {
        g->cut_cap = g->cut_cap ? g->cut_cap * 2 : 64;
        g->cuts = mem_realloc(g->cuts, g->cut_cap * sizeof *g->cuts);
    }
    g->cuts[g->cut_len++] = *c;
}

static bool
cut_needs(struct gate *g, const struct progress_record *r, struct err *e)
{
    for (uint32_t i = 0; i < r->touched_count; i++) {
        const struct progress_touched *x = &r->touched[i];
        uint32_t table;
        if (!gate_table_find(g, x->topic, &table) || g->tables[table].dropped)
            continue;
        struct gate_table *t = &g->tables[table];
        gate_wake(g, table);
        if (r->seq <= t->base.seq)
            continue;
        if ((uint32_t)x->partition >= t->part_count || t->parts[x->partition] == UINT32_MAX)
            return err_set(e, MR_KAFKA_TOPIC_CHANGED,
                           "cut %" PRIu64 " names partition %" PRId32 " of %s, which has fewer",
                           r->seq, x->partition, x->topic);
        struct gate_need n = {{r->epoch, r->seq}, r->prev.seq, x->last_seq, x->rows, g->serial};
        need_add(&g->parts[t->parts[x->partition]], &n);
    }
    return true;
}

static uint64_t
bases_least(const struct gate *g)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < g->table_count; i++) {
        if (!g->tables[i].dropped && g->tables[i].start.seq < least)
            least = g->tables[i].start.seq;
    }
    return g->table_count ? least : 0;
}

/* Every event of the unit was read before its cut; those of cuts that all tables are past may
 * lie before our start. */
static bool
cut_events(const struct gate *g, const struct progress_record *r, struct err *e)
{
    uint32_t n = g->fresh_epoch == r->epoch ? g->fresh_events : 0;
    if (n >= r->events || r->seq <= bases_least(g))
        return true;
    return err_set(e, MR_KAFKA_LOST, "cut (%" PRIu64 ", %" PRIu64 ") has %u events, found %u",
                   r->epoch, r->seq, r->events, n);
}

static bool
feed_cut(struct gate *g, const struct progress_record *r, bool linked, struct err *e)
{
    if (!linked)
        chain_ends(g);
    struct gate_cut c = {
        .id = {r->epoch, r->seq},
        .serial = ++g->serial,
        .chain = g->chain,
        .boundary = r->boundary,
        .anchor = r->anchor,
        .commit_us = r->commit_us,
    };
    if (r->commit_us)
        g->newest_commit_us = r->commit_us;
    chains_resolve(g, r->seq);
    cut_append(g, &c);
    if (!cut_events(g, r, e))
        return false;
    g->fresh_events = 0;
    return cut_needs(g, r, e);
}

/* ---- epochs ---- */

/* Rows that are applied, or on their way, lie above where the new epoch says the truth ended.
 */
static bool
epoch_check(const struct gate *g, const struct progress_record *r, struct err *e)
{
    for (uint32_t i = 0; i < g->part_count; i++) {
        const struct gate_part *p = &g->parts[i];
        const struct gate_table *t = &g->tables[p->table];
        if (t->dropped || r->epoch <= t->start.epoch || p->last.offset < 0)
            continue;
        if (p->last.epoch < r->epoch && p->last.seq > r->seq)
            return err_set(e, MR_KAFKA_LOST,
                           "epoch %" PRIu64 " begins at %" PRIu64 ", but %" PRIu64
                           " of %s/%" PRId32 " is applied: committed progress was lost",
                           r->epoch, r->seq, p->last.seq, t->topic, p->partition);
    }
    return true;
}

/* Cuts above from_seq that were read and not applied: Kafka had them and lost them before the
 * claimer read. */
static void
epoch_drop(struct gate *g, uint64_t from_seq)
{
    size_t n = gate_cut_count(g);
    size_t keep = gate_cut_from(g, from_seq + 1);
    if (keep == n)
        return;
    g->cut_len = g->cut_head + keep;
    for (uint32_t i = 0; i < g->part_count; i++) {
        struct gate_part *p = &g->parts[i];
        while (p->need_len > p->need_head && p->needs[p->need_len - 1].cut.seq > from_seq)
            p->need_len--;
        gate_rejudge(g, p);
    }
}

static void
pending_free(struct gate_pending *x)
{
    free(x->topic);
    buf_free(&x->key);
    buf_free(&x->value);
    free(x);
}

static void
events_drop_void(struct gate *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->event_count; i++) {
        struct gate_pending *x = g->events[i];
        if (progress_view_void(g->view, x->e.id.epoch, x->e.id.seq))
            pending_free(x);
        else
            g->events[kept++] = x;
    }
    g->event_count = kept;
}

static bool
feed_epoch(struct gate *g, const struct progress_record *r, bool linked, struct err *e)
{
    if (!linked)
        chain_ends(g);
    if (!epoch_check(g, r, e))
        return false;
    epoch_drop(g, r->seq);
    events_drop_void(g);
    chains_resolve(g, r->seq);
    return true;
}

/* ---- events ---- */

static void
event_count(struct gate *g, const struct progress_record *r)
{
    if (g->fresh_epoch != r->epoch)
        g->fresh_events = 0;
    g->fresh_epoch = r->epoch;
    g->fresh_events++;
}

/* Nobody would ever take its events. */
static bool
is_dropped(const struct gate *g, const char *topic)
{
    uint32_t table;
    if (gate_table_find(g, topic, &table))
        return false;
    for (uint32_t i = 0; i < g->table_count; i++)
        if (g->tables[i].dropped && strcmp(g->tables[i].topic, topic) == 0)
            return true;
    return false;
}

static void
feed_event(struct gate *g, const struct progress_record *r)
{
    size_t at = g->event_count;
    if (is_dropped(g, r->table))
        return;
    while (at && g->events[at - 1]->e.id.seq > r->seq)
        at--;
    if (at && g->events[at - 1]->e.id.seq == r->seq &&
        g->events[at - 1]->e.id.epoch == r->epoch)
        return;
    struct gate_pending *x = mem_zalloc(sizeof *x);
    struct progress_record own = *r;
    own.copy = false;
    x->topic = mem_strdup(r->table);
    progress_encode(&own, &x->key, &x->value);
    x->e = (struct gate_event){.kind = r->event,
                               .id = {r->epoch, r->seq},
                               .version = r->version,
                               .load = r->load,
                               .key = buf_bytes(&x->key),
                               .value = buf_bytes(&x->value)};
    if (!gate_table_find(g, r->table, &x->e.table))
        x->e.table = GATE_ALL;
    if (g->event_count == g->event_cap) {
        g->event_cap = g->event_cap ? g->event_cap * 2 : 16;
        g->events = mem_realloc(g->events, g->event_cap * sizeof *g->events);
    }
    memmove(&g->events[at + 1], &g->events[at], (g->event_count - at) * sizeof *g->events);
    g->events[at] = x;
    g->event_count++;
}

const struct gate_pending *
gate_event_next(const struct gate *g, uint32_t table)
{
    for (size_t i = 0; i < g->event_count; i++) {
        struct gate_pending *x = g->events[i];
        if (x->e.table == GATE_ALL && !gate_table_find(g, x->topic, &x->e.table))
            continue;
        if (table != GATE_ALL && x->e.table != table)
            continue;
        const struct gate_table *t = &g->tables[x->e.table];
        if (!t->dropped && x->e.id.seq > gate_base(g, t).seq &&
            !progress_view_void(g->view, x->e.id.epoch, x->e.id.seq))
            return x;
    }
    return NULL;
}

void
gate_events_done(struct gate *g, uint32_t table, uint64_t seq)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->event_count; i++) {
        struct gate_pending *x = g->events[i];
        bool its = table == GATE_ALL || x->e.table == table;
        if (its && x->e.table != GATE_ALL && x->e.id.seq <= seq)
            pending_free(x);
        else
            g->events[kept++] = x;
    }
    g->event_count = kept;
}

void
gate_cuts_free(struct gate *g)
{
    for (size_t i = 0; i < g->event_count; i++)
        pending_free(g->events[i]);
    free(g->events);
    free(g->cuts);
}

/* ---- records ---- */

bool
gate_progress(struct gate *g, const struct progress_record *r, struct progress_at at,
              enum progress_verdict *out, struct err *e)
{
    struct progress_fed fed;
    if (r->kind == PROGRESS_CUT && !progress_view_has_epoch(g->view, r->epoch))
        progress_view_applied(g->view, bases_least(g));
    if (!progress_view_feed(g->view, r, at, &fed, e))
        return false;
    *out = fed.verdict;
    if (r->kind == PROGRESS_EVENT && !r->copy)
        event_count(g, r);
    if (r->kind == PROGRESS_EVENT && fed.verdict == PROGRESS_IS_EVENT)
        feed_event(g, r);
    if (r->kind == PROGRESS_EPOCH &&
        (fed.verdict == PROGRESS_IS_EPOCH || fed.verdict == PROGRESS_IS_FOREIGN))
        return feed_epoch(g, r, fed.linked, e);
    if (r->kind != PROGRESS_CUT)
        return true;
    if (fed.verdict == PROGRESS_IS_CUT)
        return feed_cut(g, r, fed.linked, e);
    if (fed.verdict == PROGRESS_IS_FOREIGN) {
        if (!fed.linked)
            chain_ends(g);
        chains_resolve(g, r->seq);
    }
    return true;
}

const struct progress_view *
gate_view(const struct gate *g)
{
    return g->view;
}

void
gate_assume(struct gate *g, struct cut_id cut)
{
    progress_view_assume(g->view, cut);
    chains_resolve(g, cut.seq);
}

void
gate_status(const struct gate *g, struct gate_status *out)
{
    *out = (struct gate_status){.commit_us = g->newest_commit_us, .cuts = gate_cut_count(g)};
    if (out->cuts)
        out->newest = gate_cut_at(g, out->cuts - 1)->id;
    for (uint32_t i = 0; i < g->awake_count; i++) {
        const struct gate_table *t = &g->tables[g->awake[i]];
        for (uint32_t k = 0; k < t->part_count; k++)
            if (t->parts[k] != UINT32_MAX)
                out->rows += g->parts[t->parts[k]].row_len - g->parts[t->parts[k]].row_head;
    }
}
