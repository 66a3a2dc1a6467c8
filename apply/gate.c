/* The gate: rows, completeness, decisions. Rules and what is durable: apply/gate.h.
 *
 * Per partition the kept rows are judged once, in order, against the needs of the cuts: void,
 * or the next valid one. A row is judged only when it is not above the newest thing read from
 * the progress topic, since only then can no later epoch record (but after loss) make it void.
 * The part judged is sorted by `reach`, so a decision finds its end by bisection.
 *
 * With task consistency a decision is for all tables; it costs what those cost that have rows
 * or needs, see gate.awake.
 */
#include "apply/gate.h"

#include <inttypes.h>
#include <stdlib.h>

#include "apply/gate_core.h"
#include "base/mem.h"

#define ROWS_KEEP 1024 /* a partition's, between batches */

struct gate *
gate_new(const struct gate_conf *c)
{
    struct gate *g = mem_zalloc(sizeof *g);
    g->conf = *c;
    if (!g->conf.cuts_max)
        g->conf.cuts_max = 4096;
    if (!g->conf.batch_bytes)
        g->conf.batch_bytes = (uint64_t)64 << 20;
    g->view = progress_view_new(&(struct progress_view_conf){.inc = c->inc, .strict = true});
    g->chain = 1;
    return g;
}

void
gate_free(struct gate *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->table_count; i++) {
        free(g->tables[i].topic);
        free(g->tables[i].parts);
    }
    for (uint32_t i = 0; i < g->part_count; i++) {
        free(g->parts[i].rows);
        free(g->parts[i].needs);
    }
    free(g->tables);
    free(g->awake);
    free(g->parts);
    map_free(&g->by_topic);
    gate_cuts_free(g);
    progress_view_free(g->view);
    free(g);
}

/* ---- tables and partitions ---- */

uint32_t
gate_table_add(struct gate *g, const char *topic, struct cut_id base)
{
    if (g->table_count == g->table_cap) {
        g->table_cap = g->table_cap ? g->table_cap * 2 : 16;
        g->tables = mem_realloc(g->tables, g->table_cap * sizeof *g->tables);
    }
    uint32_t id = g->table_count++;
    struct gate_table *t = &g->tables[id];
    *t = (struct gate_table){
        .topic = mem_strdup(topic), .base = base, .floor = base, .start = base};
    bool fresh;
    struct map_slot *slot = map_put(&g->by_topic, bytes_str(t->topic), &fresh);
    slot->key = bytes_str(t->topic);
    slot->v.u = id;
    g->unchained++;
    gate_table_chain(g, t);
    gate_awake_add(g, id);
    return id;
}

static void
rows_clear(struct gate_part *p)
{
    p->row_head = p->row_len = p->judged = p->take = 0;
    p->bytes_in = 0;
}

void
gate_table_drop(struct gate *g, uint32_t table)
{
    struct gate_table *t = &g->tables[table];
    gate_wake(g, table);
    t->dropped = true;
    g->unchained -= t->chain == 0;
    t->chain = UINT64_MAX;
    map_del(&g->by_topic, bytes_str(t->topic));
    for (uint32_t i = 0; i < t->part_count; i++) {
        if (t->parts[i] == UINT32_MAX)
            continue;
        struct gate_part *p = &g->parts[t->parts[i]];
        rows_clear(p);
        p->need_head = p->need_at = p->need_len;
    }
    gate_events_done(g, table, UINT64_MAX);
}

bool
gate_table_find(const struct gate *g, const char *topic, uint32_t *table)
{
    const struct map_slot *slot = map_get(&g->by_topic, bytes_str(topic));
    if (!slot)
        return false;
    *table = (uint32_t)slot->v.u;
    return true;
}

uint32_t
gate_part_add(struct gate *g, uint32_t table, int32_t partition, struct gate_last last)
{
    gate_wake(g, table);
    if (g->part_count == g->part_cap) {
        g->part_cap = g->part_cap ? g->part_cap * 2 : 16;
        g->parts = mem_realloc(g->parts, g->part_cap * sizeof *g->parts);
    }
    uint32_t id = g->part_count++;
    g->parts[id] = (struct gate_part){.table = table,
                                      .partition = partition,
                                      .last = last,
                                      .judged_last = last,
                                      .check_last = last.offset >= 0};
    struct gate_table *t = &g->tables[table];
    if ((uint32_t)partition >= t->part_count) {
        uint32_t n = (uint32_t)partition + 1;
        t->parts = mem_realloc(t->parts, n * sizeof *t->parts);
        while (t->part_count < n)
            t->parts[t->part_count++] = UINT32_MAX;
    }
    t->parts[partition] = id;
    return id;
}

bool
gate_part_start(struct gate *g, uint32_t part, int64_t low, int64_t high, int64_t *offset,
                struct err *e)
{
    struct gate_part *p = &g->parts[part];
    const char *topic = g->tables[p->table].topic;
    int64_t last = p->last.offset;
    if (last >= high)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED,
                       "%s/%" PRId32 ": offset %" PRId64
                       " was applied, the topic ends at %" PRId64,
                       topic, p->partition, last, high);
    p->check_last = last >= 0 && last >= low;
    p->purged_to = low > last + 1 ? low : 0;
    *offset = p->check_last ? last : low;
    p->next = *offset;
    p->end = 0;
    p->end_token = 0;
    return true;
}

/* ---- rows ---- */

static bool
last_check(struct gate *g, struct gate_part *p, int64_t offset, const struct identity *id,
           struct err *e)
{
    if (offset == p->last.offset && id->inc == g->conf.inc && id->epoch == p->last.epoch &&
        id->seq == p->last.seq) {
        p->check_last = false;
        return true;
    }
    return err_set(e, MR_KAFKA_TOPIC_CHANGED,
                   "%s/%" PRId32 ": the last applied record (%" PRIu64 ", %" PRIu64
                   ") was at offset %" PRId64 ", there is another now",
                   g->tables[p->table].topic, p->partition, p->last.epoch, p->last.seq,
                   p->last.offset);
}

static void
row_append(struct gate_part *p, int64_t offset, const struct identity *id, uint32_t bytes)
{
    if (p->row_head > 1024 && p->row_head > p->row_len / 2) {
        memmove(p->rows, &p->rows[p->row_head], (p->row_len - p->row_head) * sizeof *p->rows);
        p->row_len -= p->row_head;
        p->row_head = 0;
    }
    if (p->row_len == p->row_cap) {
        p->row_cap = p->row_cap ? p->row_cap * 2 : 256;
        p->rows = mem_realloc(p->rows, p->row_cap * sizeof *p->rows);
    }
    p->rows[p->row_len++] = (struct gate_kept_row){offset, id->epoch, id->seq, 0, p->bytes_in};
    p->bytes_in += bytes;
}

bool
gate_row(struct gate *g, uint32_t part, int64_t offset, const struct identity *id,
         uint32_t bytes, enum gate_keep *out, struct err *e)
{
    struct gate_part *p = &g->parts[part];
    const struct gate_table *t = &g->tables[p->table];
    *out = GATE_DROP;
    if (t->dropped)
        return true;
    if (p->check_last)
        return last_check(g, p, offset, id, e);
    if (id->epoch >= ROW_VOID)
        return err_set(e, MR_KAFKA_BAD_RECORD, "%s/%" PRId32 " offset %" PRId64 ": epoch",
                       t->topic, p->partition, offset);
    /* Rows of epochs before the checkpoint's are applied or void: the table was complete there.
     */
    if (id->inc != g->conf.inc || id->epoch < t->start.epoch ||
        progress_view_void(g->view, id->epoch, id->seq))
        return true;
    gate_wake(g, p->table);
    row_append(p, offset, id, bytes);
    *out = GATE_KEEP;
    return true;
}

void
gate_position(struct gate *g, uint32_t part, int64_t next)
{
    g->parts[part].next = next;
}

uint64_t
gate_end_token(const struct gate *g)
{
    return g->serial;
}

void
gate_end(struct gate *g, uint32_t part, uint64_t token, int64_t end)
{
    struct gate_part *p = &g->parts[part];
    if (token < p->end_token)
        return;
    p->end_token = token;
    p->end = end;
}

/* ---- judging ---- */

static size_t
kept(const struct gate_part *p)
{
    return p->row_len - p->row_head;
}

static struct gate_kept_row *
row_at(const struct gate_part *p, size_t i)
{
    return &p->rows[p->row_head + i];
}

static struct gate_need *
need_now(const struct gate_part *p)
{
    return p->need_at < p->need_len ? &p->needs[p->need_at] : NULL;
}

void
gate_rejudge(struct gate *g, struct gate_part *p)
{
    gate_wake(g, p->table);
    uint64_t base = g->tables[p->table].base.seq;
    for (size_t i = 0; i < kept(p); i++)
        row_at(p, i)->epoch &= ~ROW_VOID;
    p->judged = p->take = 0;
    p->judged_last = p->last;
    p->counted = 0;
    p->need_at = p->need_head;
    while (need_now(p) && need_now(p)->cut.seq <= base)
        p->need_at++;
}

static bool
lost(const struct gate *g, const struct gate_part *p, const struct gate_need *n, struct err *e)
{
    return err_set(e, p->purged_to ? MR_KAFKA_PURGED : MR_KAFKA_LOST,
                   "%s/%" PRId32 ": cut (%" PRIu64 ", %" PRIu64 ") counts %" PRIu64
                   " rows up to seq %" PRIu64 ", found %" PRIu64,
                   g->tables[p->table].topic, p->partition, n->cut.epoch, n->cut.seq, n->rows,
                   n->last, p->counted);
}

static bool
need_finish(const struct gate *g, struct gate_part *p, struct err *e)
{
    const struct gate_need *n = need_now(p);
    if (p->counted != n->rows)
        return lost(g, p, n, e);
    p->need_at++;
    p->counted = 0;
    return true;
}

/* A row that is not void lies behind everything these needs count: what is not there yet will
 * not come. */
static bool
needs_passed(const struct gate *g, struct gate_part *p, const struct gate_kept_row *r,
             struct err *e)
{
    for (const struct gate_need *n; (n = need_now(p)) != NULL;) {
        if (r->epoch <= n->cut.epoch && r->seq <= n->last)
            return true;
        if (!need_finish(g, p, e))
            return false;
    }
    return true;
}

static bool
row_judge(const struct gate *g, struct gate_part *p, struct gate_kept_row *r, struct err *e)
{
    if (r->epoch < p->judged_last.epoch || r->seq <= p->judged_last.seq)
        return err_set(e, MR_KAFKA_LOST,
                       "%s/%" PRId32 " offset %" PRId64 ": row (%" PRIu64 ", %" PRIu64
                       ") is not above (%" PRIu64 ", %" PRIu64 ")",
                       g->tables[p->table].topic, p->partition, r->offset, r->epoch, r->seq,
                       p->judged_last.epoch, p->judged_last.seq);
    p->judged_last = (struct gate_last){r->offset, r->epoch, r->seq};
    const struct gate_need *n = need_now(p);
    if (!n || r->seq <= n->prev)
        return true; /* of a cut that was not read */
    p->counted++;
    return r->seq < n->last || need_finish(g, p, e);
}

static bool
part_judge(const struct gate *g, struct gate_part *p, struct err *e)
{
    struct cut_id tail;
    if (!progress_view_tail(g->view, &tail))
        return true;
    for (; p->judged < kept(p); p->judged++) {
        struct gate_kept_row *r = row_at(p, p->judged);
        if (progress_view_void(g->view, r->epoch, r->seq)) {
            r->epoch |= ROW_VOID;
        } else {
            if (!needs_passed(g, p, r, e))
                return false;
            if (r->epoch > tail.epoch || (r->epoch == tail.epoch && r->seq > tail.seq))
                return true;
            if (!row_judge(g, p, r, e))
                return false;
        }
        r->reach = p->judged_last.offset < 0 ? 0 : p->judged_last.seq;
    }
    const struct gate_need *n = need_now(p);
    if (n && p->end_token >= n->serial && p->next >= p->end)
        return lost(g, p, n, e);
    return true;
}

/* ---- completeness ---- */

/* Iteration over a table, or all that are awake (GATE_ALL), and over their parts. */
struct walk {
    uint32_t table; /* how many were begun */
    uint32_t part;
};

static struct gate_table *
table_next(const struct gate *g, uint32_t table, struct walk *at)
{
    at->part = 0;
    if (table != GATE_ALL)
        return at->table++ == 0 && !g->tables[table].dropped ? &g->tables[table] : NULL;
    while (at->table < g->awake_count) {
        struct gate_table *t = &g->tables[g->awake[at->table++]];
        if (!t->dropped)
            return t;
    }
    return NULL;
}

static struct gate_part *
part_of(const struct gate *g, const struct gate_table *t, struct walk *at)
{
    while (at->part < t->part_count) {
        uint32_t id = t->parts[at->part++];
        if (id != UINT32_MAX)
            return &g->parts[id];
    }
    return NULL;
}

static struct gate_part *
part_next(const struct gate *g, uint32_t table, struct walk *at)
{
    const struct gate_table *t = NULL;
    if (at->table)
        t = &g->tables[table == GATE_ALL ? g->awake[at->table - 1] : table];
    while (t || (t = table_next(g, table, at)) != NULL) {
        struct gate_part *p = t->dropped ? NULL : part_of(g, t, at);
        if (p)
            return p;
        t = NULL;
    }
    return NULL;
}

/* The partition has shown everything up to the cut, whatever cuts were not read. */
static bool
part_has_passed(const struct gate_part *p, const struct gate_cut *c)
{
    if (p->end_token >= c->serial && p->next >= p->end)
        return true;
    return p->judged < kept(p) ||
           (p->judged_last.offset >= 0 && p->judged_last.seq > c->id.seq);
}

static bool
part_complete(const struct gate *g, const struct gate_part *p, const struct gate_cut *c)
{
    if (p->need_at < p->need_len && p->needs[p->need_at].cut.seq <= c->id.seq)
        return false;
    return g->tables[p->table].chain == c->chain || part_has_passed(p, c);
}

static bool
table_complete(const struct gate *g, uint32_t table, const struct gate_cut *c)
{
    struct walk at = {0};
    for (const struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        if (!part_complete(g, p, c))
            return false;
    }
    return true;
}

/* *limit: seq of the first cut that some partition does not satisfy yet. */
static bool
judge(const struct gate *g, uint32_t table, uint64_t *limit, bool *wants_end, struct err *e)
{
    struct walk at = {0};
    *wants_end = false;
    *limit = UINT64_MAX;
    for (struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        p->take = 0;
        if (!part_judge(g, p, e))
            return false;
        const struct gate_need *n = need_now(p);
        *wants_end = *wants_end || (n && p->end_token < n->serial);
        if (n && n->cut.seq < *limit)
            *limit = n->cut.seq;
    }
    return true;
}

static uint64_t
base_seq(const struct gate *g, uint32_t table)
{
    if (table != GATE_ALL)
        return gate_base(g, &g->tables[table]).seq;
    uint64_t least = g->asleep ? g->all_base.seq : UINT64_MAX;
    struct walk at = {0};
    for (const struct gate_table *t; (t = table_next(g, table, &at)) != NULL;)
        least = t->base.seq < least ? t->base.seq : least;
    return least;
}

/* ---- decisions ---- */

/* Leading judged rows up to seq. */
static size_t
rows_to(const struct gate_part *p, uint64_t seq)
{
    size_t lo = 0, hi = p->judged;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (row_at(p, mid)->reach <= seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint64_t
part_bytes_to(const struct gate_part *p, uint64_t seq)
{
    if (kept(p) == 0)
        return 0;
    size_t n = rows_to(p, seq);
    uint64_t end = n < kept(p) ? row_at(p, n)->bytes : p->bytes_in;
    return end - row_at(p, 0)->bytes;
}

static uint64_t
bytes_to(const struct gate *g, uint32_t table, uint64_t seq)
{
    uint64_t bytes = 0;
    struct walk at = {0};
    for (const struct gate_part *p; (p = part_next(g, table, &at)) != NULL;)
        bytes += part_bytes_to(p, seq);
    return bytes;
}

/* Newest cut in [lo, hi) that may end a batch and where the table is complete; NULL: none. */
static const struct gate_cut *
newest_complete(const struct gate *g, uint32_t table, size_t lo, size_t hi, bool boundary)
{
    for (size_t i = hi; i-- > lo;) {
        const struct gate_cut *c = gate_cut_at(g, i);
        if ((!boundary || c->boundary) && table_complete(g, table, c))
            return c;
    }
    return NULL;
}

static size_t
index_of(const struct gate *g, const struct gate_cut *c)
{
    return (size_t)(c - &g->cuts[g->cut_head]);
}

/* Index after the last cut of [lo, hi) whose rows fit into a batch. */
static size_t
fitting(const struct gate *g, uint32_t table, size_t lo, size_t hi)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (bytes_to(g, table, gate_cut_at(g, mid)->id.seq) <= g->conf.batch_bytes)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Some row up to seq is not void. */
static bool
has_rows(const struct gate *g, uint32_t table, uint64_t seq)
{
    struct walk at = {0};
    for (const struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        size_t n = rows_to(p, seq);
        if (n && row_at(p, n - 1)->reach > (p->last.offset < 0 ? 0 : p->last.seq))
            return true;
    }
    return false;
}

/* The newest cut not above c whose rows fit; if none with rows does, the oldest one with rows.
 */
static const struct gate_cut *
bounded(const struct gate *g, uint32_t table, size_t lo, const struct gate_cut *c,
        bool boundary)
{
    if (bytes_to(g, table, c->id.seq) <= g->conf.batch_bytes)
        return c;
    size_t end = fitting(g, table, lo, index_of(g, c));
    const struct gate_cut *best = newest_complete(g, table, lo, end, boundary);
    if (best && has_rows(g, table, best->id.seq))
        return best;
    for (size_t i = end; i < index_of(g, c); i++) {
        const struct gate_cut *x = gate_cut_at(g, i);
        if ((!boundary || x->boundary) && has_rows(g, table, x->id.seq) &&
            table_complete(g, table, x))
            return x;
    }
    return c;
}

static void
decide_rows(struct gate *g, uint32_t table, struct gate_decision *out)
{
    struct walk at = {0};
    for (struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        p->take = rows_to(p, out->cut.seq);
        out->bytes += part_bytes_to(p, out->cut.seq);
        for (size_t i = 0; i < p->take; i++)
            out->rows += !(row_at(p, i)->epoch & ROW_VOID);
    }
}

static void
decide_cut(const struct gate_cut *c, struct gate_decision *out)
{
    out->cut = c->id;
    out->boundary = c->boundary;
    out->progress_offset = c->anchor;
    out->commit_us = c->commit_us;
}

bool
gate_decide(struct gate *g, uint32_t table, bool inside, struct gate_decision *out,
            struct err *e)
{
    uint64_t limit;
    *out = (struct gate_decision){0};
    if (!judge(g, table, &limit, &out->wants_end, e))
        return false;
    bool boundary = g->conf.task_consistency && !inside;
    size_t lo = gate_cut_from(g, base_seq(g, table) + 1), hi = gate_cut_from(g, limit);
    const struct gate_pending *event = gate_event_next(g, table);
    const struct gate_cut *c = NULL, *at_event = NULL;
    if (event) {
        /* Up to the event's own cut; where compaction took that, up to its seq in the next one.
         */
        size_t i = gate_cut_from(g, event->e.id.seq);
        if (i < hi && table_complete(g, table, gate_cut_at(g, i)))
            c = at_event = gate_cut_at(g, i);
        hi = i < hi ? i : hi;
    }
    if (!c)
        c = newest_complete(g, table, lo, hi, boundary);
    if (!c) {
        out->wants_end = out->wants_end || lo < gate_cut_count(g);
        return true;
    }
    const struct gate_cut *fit = bounded(g, table, lo, c, boundary);
    decide_cut(fit, out);
    if (fit == at_event) {
        out->event = &event->e;
        out->cut = event->e.id;
    }
    decide_rows(g, table, out);
    out->ready = out->rows > 0 || out->event;
    return true;
}

bool
gate_idle(struct gate *g, uint32_t table, struct gate_decision *out)
{
    struct err e;
    uint64_t limit;
    *out = (struct gate_decision){0};
    if (!judge(g, table, &limit, &out->wants_end, &e) || gate_event_next(g, table))
        return false;
    size_t lo = gate_cut_from(g, base_seq(g, table)); /* a heartbeat is newer, at its seq */
    const struct gate_cut *c =
        newest_complete(g, table, lo, gate_cut_from(g, limit), g->conf.task_consistency);
    if (!c)
        return false;
    decide_cut(c, out);
    decide_rows(g, table, out);
    out->ready = out->rows == 0;
    return out->ready;
}

size_t
gate_part_take(const struct gate *g, uint32_t part)
{
    return g->parts[part].take;
}

bool
gate_row_void(const struct gate *g, uint32_t part, size_t index)
{
    return row_at(&g->parts[part], index)->epoch & ROW_VOID;
}

struct gate_last
gate_part_last(const struct gate *g, uint32_t part)
{
    const struct gate_part *p = &g->parts[part];
    for (size_t i = p->take; i-- > 0;) {
        const struct gate_kept_row *r = row_at(p, i);
        if (!(r->epoch & ROW_VOID))
            return (struct gate_last){r->offset, r->epoch, r->seq};
    }
    return p->last;
}

/* What a large unit needed is not kept for ever: there may be many partitions. */
static void
rows_trim(struct gate_part *p)
{
    size_t n = kept(p);
    if (p->row_cap <= ROWS_KEEP || n > p->row_cap / 4) {
        if (!n)
            p->row_head = p->row_len = 0;
        return;
    }
    if (n)
        memmove(p->rows, &p->rows[p->row_head], n * sizeof *p->rows);
    p->row_head = 0;
    p->row_len = n;
    p->row_cap = 2 * n > ROWS_KEEP ? 2 * n : ROWS_KEEP;
    p->rows = mem_realloc(p->rows, p->row_cap * sizeof *p->rows);
}

void
gate_take(struct gate *g, uint32_t table, const struct gate_decision *d)
{
    struct walk at = {0};
    for (struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        p->last = gate_part_last(g, (uint32_t)(p - g->parts));
        p->row_head += p->take;
        p->judged -= p->take;
        p->take = 0;
        rows_trim(p);
    }
    if (!d->ready)
        return;
    size_t i = gate_cut_from(g, d->cut.seq);
    uint64_t chain = i < gate_cut_count(g) ? gate_cut_at(g, i)->chain : g->chain;
    at = (struct walk){0};
    for (struct gate_table *x; (x = table_next(g, table, &at)) != NULL;) {
        x->base = d->cut;
        g->unchained -= x->chain == 0;
        x->chain = chain;
    }
    if (table == GATE_ALL)
        g->all_base = d->cut;
}

void
gate_done(struct gate *g, uint32_t table, struct cut_id cut)
{
    struct walk at = {0};
    for (struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        while (p->need_head < p->need_at && p->needs[p->need_head].cut.seq <= cut.seq)
            p->need_head++;
    }
    size_t i = gate_cut_from(g, cut.seq);
    bool known = i < gate_cut_count(g) && gate_cut_at(g, i)->id.seq == cut.seq;
    at = (struct walk){0};
    for (struct gate_table *x; (x = table_next(g, table, &at)) != NULL;) {
        x->floor = cut;
        /* an event's cut that compaction took is on no chain */
        x->floor_chain = known ? gate_cut_at(g, i)->chain : 0;
    }
    if (table == GATE_ALL) {
        g->all_floor = cut;
        g->all_floor_chain = known ? gate_cut_at(g, i)->chain : 0;
    }
    gate_events_done(g, table, cut.seq);
    if (g->conf.task_consistency)
        gate_settle(g);
}

void
gate_part_rebase(struct gate *g, uint32_t part, struct gate_last last)
{
    struct gate_part *p = &g->parts[part];
    gate_wake(g, p->table);
    rows_clear(p);
    p->last = p->judged_last = last;
    p->check_last = last.offset >= 0;
    p->next = 0;
    p->end_token = 0;
}

/* The base lies inside a need: needs were added up across it. */
static bool
part_straddles(const struct gate_part *p, uint64_t seq)
{
    for (size_t i = p->need_head; i < p->need_len; i++) {
        if (p->needs[i].prev < seq && p->needs[i].cut.seq > seq)
            return true;
    }
    return false;
}

bool
gate_rebase(struct gate *g, uint32_t table, struct cut_id cut)
{
    gate_wake_all(g);
    struct walk at = {0};
    for (struct gate_table *x; (x = table_next(g, table, &at)) != NULL;) {
        if (cut.seq < x->floor.seq)
            return false;
        if (cut.seq != x->floor.seq)
            x->floor_chain = 0;
        x->base = x->floor = x->start = cut;
        gate_table_chain(g, x);
        x->floor_chain = x->chain;
    }
    at = (struct walk){0};
    for (struct gate_part *p; (p = part_next(g, table, &at)) != NULL;) {
        if (part_straddles(p, cut.seq))
            return false;
        gate_rejudge(g, p);
    }
    return true;
}
