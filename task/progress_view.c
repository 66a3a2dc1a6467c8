/* What a reader of the progress topic knows: claims, epochs, the newest cut, live events and
 * loads. Rules: task/progress.h.
 *
 * Nothing here is durable: a view is built again from the log. Capture's is read up to its own
 * claim and gives the truth; apply's is fed for ever by the gate. Both must come to the same
 * verdict about the same record, whatever they had read before it, from the record's anchor on.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "task/progress.h"

/* An epoch number: claimed, or begun, or known from a later epoch record. Ascending by n. */
struct epoch_entry {
    uint64_t n;
    uint64_t claim; /* random of the claim or, without one, of the epoch record; 0: not known */
    uint64_t from_seq;
    bool begun;
};

/* A live record. */
struct live {
    struct cut_id id;
    int64_t offset;
    struct buf key;
    struct buf value;
    struct live *next; /* versions of one table, newest first */
    bool names_load;   /* a version: every load of the table but this one is over */
    uint64_t load;
};

struct load_live {
    uint64_t load;
    struct live record;
    struct load_live *next;
};

struct table_live {
    char *topic;
    struct live *versions;
    struct load_live *loads;
};

/* A cut or epoch record as the truth may need it. */
struct kept {
    struct cut_id id;
    uint64_t inc;
    int64_t offset;
    struct json *doc;
};

struct progress_view {
    struct progress_view_conf conf;
    struct epoch_entry *epochs;
    size_t epoch_count, epoch_cap;
    uint64_t max_claim;
    uint64_t claim_instance;
    char *claim_name;
    bool has_tail;
    struct cut_id tail;
    uint64_t applied; /* progress_view_applied */
    struct kept cut;
    struct kept epoch;
    struct map by_topic; /* -> struct table_live */
    struct table_live **tables;
    size_t table_count, table_cap;
    bool unconfirmed; /* some table keeps more than its newest version */
};

struct progress_view *
progress_view_new(const struct progress_view_conf *c)
{
    struct progress_view *v = mem_zalloc(sizeof *v);
    v->conf = *c;
    v->epoch.offset = v->cut.offset = -1;
    return v;
}

static void
live_clear(struct live *l)
{
    buf_free(&l->key);
    buf_free(&l->value);
}

static void
table_live_free(struct table_live *t)
{
    while (t->versions) {
        struct live *l = t->versions;
        t->versions = l->next;
        live_clear(l);
        free(l);
    }
    while (t->loads) {
        struct load_live *l = t->loads;
        t->loads = l->next;
        live_clear(&l->record);
        free(l);
    }
    free(t->topic);
    free(t);
}

void
progress_view_free(struct progress_view *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->table_count; i++)
        table_live_free(v->tables[i]);
    free(v->tables);
    map_free(&v->by_topic);
    free(v->epochs);
    free(v->claim_name);
    json_free(v->cut.doc);
    json_free(v->epoch.doc);
    free(v);
}

/* ---- epochs ---- */

static size_t
epoch_place(const struct progress_view *v, uint64_t n)
{
    size_t at = v->epoch_count;
    while (at && v->epochs[at - 1].n >= n)
        at--;
    return at;
}

static struct epoch_entry *
epoch_find(const struct progress_view *v, uint64_t n)
{
    size_t at = epoch_place(v, n);
    return at < v->epoch_count && v->epochs[at].n == n ? &v->epochs[at] : NULL;
}

static struct epoch_entry *
epoch_put(struct progress_view *v, uint64_t n)
{
    size_t at = epoch_place(v, n);
    if (at < v->epoch_count && v->epochs[at].n == n)
        return &v->epochs[at];
    if (v->epoch_count == v->epoch_cap) {
        v->epoch_cap = v->epoch_cap ? v->epoch_cap * 2 : 16;
        v->epochs = mem_realloc(v->epochs, v->epoch_cap * sizeof *v->epochs);
    }
    memmove(&v->epochs[at + 1], &v->epochs[at], (v->epoch_count - at) * sizeof *v->epochs);
    v->epoch_count++;
    v->epochs[at] = (struct epoch_entry){.n = n};
    return &v->epochs[at];
}

uint64_t
progress_view_valid_to(const struct progress_view *v, uint64_t epoch)
{
    uint64_t to = UINT64_MAX;
    for (size_t i = v->epoch_count; i-- && v->epochs[i].n > epoch;) {
        if (v->epochs[i].begun && v->epochs[i].from_seq < to)
            to = v->epochs[i].from_seq;
    }
    return to;
}

bool
progress_view_void(const struct progress_view *v, uint64_t epoch, uint64_t seq)
{
    return seq > progress_view_valid_to(v, epoch);
}

bool
progress_view_has_epoch(const struct progress_view *v, uint64_t epoch)
{
    const struct epoch_entry *x = epoch_find(v, epoch);
    return x && x->begun;
}

void
progress_view_assume(struct progress_view *v, struct cut_id cut)
{
    struct epoch_entry *x = epoch_put(v, cut.epoch);
    if (!x->begun) {
        x->begun = true;
        x->from_seq = cut.seq;
    }
    if (v->max_claim < cut.epoch)
        v->max_claim = cut.epoch;
    v->tail = cut;
    v->has_tail = true;
}

void
progress_view_applied(struct progress_view *v, uint64_t seq)
{
    v->applied = seq;
}

uint64_t
progress_view_claim(const struct progress_view *v, const char **name, uint64_t *instance)
{
    *name = v->claim_name ? v->claim_name : "";
    *instance = v->claim_instance;
    return v->max_claim;
}

uint64_t
progress_view_next_epoch(const struct progress_view *v, uint64_t now_ms)
{
    uint64_t n = v->max_claim;
    if (v->epoch_count && v->epochs[v->epoch_count - 1].n > n)
        n = v->epochs[v->epoch_count - 1].n;
    return n + 1 > now_ms ? n + 1 : now_ms;
}

bool
progress_view_tail(const struct progress_view *v, struct cut_id *out)
{
    *out = v->tail;
    return v->has_tail;
}

static void
kept_set(struct kept *k, const struct progress_record *r, int64_t offset)
{
    struct json *doc = r->doc;
    if (doc) {
        json_ref(doc);
    } else {
        struct buf key = {0}, value = {0};
        struct err e;
        progress_encode(r, &key, &value);
        if (!json_parse(buf_bytes(&value), &doc, &e))
            mem_die("progress record does not parse: %s", e.text);
        buf_free(&key);
        buf_free(&value);
    }
    json_free(k->doc);
    *k = (struct kept){{r->epoch, r->seq}, r->inc, offset, doc};
}

/* ---- versions and loads ---- */

static struct table_live *
table_live(struct progress_view *v, const char *topic)
{
    bool fresh;
    struct map_slot *slot = map_put(&v->by_topic, bytes_str(topic), &fresh);
    if (!fresh)
        return slot->v.ptr;
    struct table_live *t = mem_zalloc(sizeof *t);
    t->topic = mem_strdup(topic);
    slot->key.p = (const uint8_t *)t->topic;
    slot->v.ptr = t;
    if (v->table_count == v->table_cap) {
        v->table_cap = v->table_cap ? v->table_cap * 2 : 16;
        v->tables = mem_realloc(v->tables, v->table_cap * sizeof *v->tables);
    }
    v->tables[v->table_count++] = t;
    return t;
}

static void
live_set(struct live *l, const struct progress_record *r, int64_t offset)
{
    buf_reset(&l->key);
    buf_reset(&l->value);
    progress_encode(r, &l->key, &l->value);
    l->id = (struct cut_id){r->epoch, r->seq};
    l->offset = offset;
    struct json *load = r->kind == PROGRESS_EVENT ? json_get(r->schema, "load") : NULL;
    l->names_load = !json_is_null(load);
    l->load = json_u64_value(load, 0);
}

/* Newest first. True: it is new. */
static bool
version_put(struct progress_view *v, const struct progress_record *r, int64_t offset)
{
    struct live **at = &table_live(v, r->table)->versions;
    while (*at && (*at)->id.seq > r->seq)
        at = &(*at)->next;
    struct progress_record copy = *r;
    copy.copy = true;
    if (*at && (*at)->id.seq == r->seq && (*at)->id.epoch == r->epoch) {
        live_set(*at, &copy, offset);
        return false;
    }
    struct live *l = mem_zalloc(sizeof *l);
    live_set(l, &copy, offset);
    l->next = *at;
    *at = l;
    if (l->next)
        v->unconfirmed = true;
    return true;
}

/* Load records of loads that are over would be repeated for ever, and read again as ranges. */
static void
loads_prune(struct table_live *t, uint64_t but)
{
    for (struct load_live **at = &t->loads; *at;) {
        struct load_live *l = *at;
        if (l->load == but) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        live_clear(&l->record);
        free(l);
    }
}

/* Drops void versions; a version that a cut confirms makes the ones below it history. */
static void
versions_prune(struct progress_view *v, uint64_t confirmed_seq)
{
    bool more = false;
    for (size_t i = 0; i < v->table_count; i++) {
        bool found = false;
        for (struct live **at = &v->tables[i]->versions; *at;) {
            struct live *l = *at;
            if (found || progress_view_void(v, l->id.epoch, l->id.seq)) {
                *at = l->next;
                live_clear(l);
                free(l);
                continue;
            }
            found = l->id.seq <= confirmed_seq;
            if (found && l->names_load)
                loads_prune(v->tables[i], l->load);
            at = &l->next;
        }
        more = more || (v->tables[i]->versions && v->tables[i]->versions->next);
    }
    v->unconfirmed = more;
}

static void
load_put(struct progress_view *v, const struct progress_record *r, int64_t offset)
{
    struct table_live *t = table_live(v, r->table);
    struct load_live *l = t->loads;
    while (l && l->load != r->load)
        l = l->next;
    if (!l) {
        l = mem_zalloc(sizeof *l);
        l->load = r->load;
        l->next = t->loads;
        t->loads = l;
    }
    live_set(&l->record, r, offset);
}

/* The i-th live record of a table. */
static const struct live *
table_record(const struct progress_view *v, const struct table_live *t, size_t i)
{
    const struct live *l = t->versions;
    while (l && l->id.seq > v->tail.seq)
        l = l->next; /* no cut confirms it: void once the next epoch begins */
    if (l && i-- == 0)
        return l;
    for (const struct load_live *x = t->loads; x; x = x->next)
        if (x->record.id.seq <= v->tail.seq && i-- == 0)
            return &x->record;
    return NULL;
}

/* *at: the table, and in the lower half which record of it. */
bool
progress_view_live(const struct progress_view *v, uint64_t *at, struct buf *key,
                   struct buf *value)
{
    for (; *at >> 32 < v->table_count; *at = ((*at >> 32) + 1) << 32) {
        const struct live *l = table_record(v, v->tables[*at >> 32], *at & UINT32_MAX);
        if (!l)
            continue;
        ++*at;
        buf_add_bytes(key, buf_bytes(&l->key));
        buf_add_bytes(value, buf_bytes(&l->value));
        return true;
    }
    return false;
}

static int64_t
lower(int64_t a, int64_t b)
{
    return b < a ? b : a;
}

int64_t
progress_view_anchor(const struct progress_view *v)
{
    if (v->epoch.offset < 0)
        return -1;
    int64_t a = v->epoch.offset;
    for (size_t t = 0; t < v->table_count; t++) {
        for (const struct live *l = v->tables[t]->versions; l; l = l->next)
            a = lower(a, l->offset);
        for (const struct load_live *x = v->tables[t]->loads; x; x = x->next)
            a = lower(a, x->record.offset);
    }
    return a;
}

/* ---- feed ---- */

/* Where a reader must begin to make sense of the record at `offset`: at the epoch record in
 * force there, without which the cuts behind it belong to nobody. */
static int64_t
readable_from(const struct progress_view *v, int64_t offset)
{
    return v->epoch.offset >= 0 ? v->epoch.offset : offset;
}

static void
feed_claim(struct progress_view *v, const struct progress_record *r, struct progress_fed *out)
{
    if (r->epoch <= v->max_claim) {
        out->verdict = PROGRESS_IS_DEAD_CLAIM;
        return;
    }
    v->max_claim = r->epoch;
    v->claim_instance = r->instance;
    free(v->claim_name);
    v->claim_name = mem_strdup(r->name ? r->name : "");
    epoch_put(v, r->epoch)->claim = r->claim;
    out->verdict = PROGRESS_IS_CLAIM;
}

/* The record was written by another claimer of the same number, one that is none. */
static bool
is_impostor(const struct epoch_entry *x, const struct progress_record *r)
{
    return x && x->claim && r->claim && x->claim != r->claim;
}

static void
history_learn(struct progress_view *v, const struct progress_record *r)
{
    for (uint32_t i = 0; i < r->history_count; i++) {
        struct epoch_entry *x = epoch_put(v, r->history[i].epoch);
        if (!x->begun) {
            x->begun = true;
            x->from_seq = r->history[i].seq;
        }
    }
}

static bool
feed_epoch(struct progress_view *v, const struct progress_record *r, struct progress_at at,
           struct progress_fed *out, struct err *e)
{
    struct epoch_entry *x = epoch_find(v, r->epoch);
    if (r->epoch < v->max_claim || is_impostor(x, r)) {
        out->verdict = PROGRESS_IS_VOID;
        return true;
    }
    if (x && x->begun && v->epoch.id.epoch == r->epoch) {
        out->verdict = PROGRESS_IS_REPEAT;
        return true;
    }
    out->linked = v->has_tail && r->seq <= v->tail.seq;
    if (v->has_tail && !out->linked && !at.compactable && v->conf.strict)
        return err_set(e, MR_KAFKA_LOST,
                       "progress offset %" PRId64 ": epoch %" PRIu64 " begins at %" PRIu64
                       ", the newest cut read is %" PRIu64,
                       at.offset, r->epoch, r->seq, v->tail.seq);
    v->max_claim = r->epoch;
    x = epoch_put(v, r->epoch);
    x->claim = r->claim ? r->claim : x->claim;
    x->from_seq = r->seq;
    x->begun = true;
    history_learn(v, r);
    kept_set(&v->epoch, r, at.offset);
    v->tail = (struct cut_id){r->epoch, r->seq};
    v->has_tail = true;
    versions_prune(v, r->seq);
    out->verdict = r->inc == v->conf.inc ? PROGRESS_IS_EPOCH : PROGRESS_IS_FOREIGN;
    return true;
}

static bool
cut_check(const struct progress_view *v, const struct progress_record *r, struct progress_at at,
          bool linked, struct err *e)
{
    /* Of another incarnation nothing is applied: reading may begin in the midst of it. */
    if (!v->conf.strict || r->inc != v->conf.inc)
        return true;
    if (!progress_view_has_epoch(v, r->epoch))
        return err_set(e, MR_KAFKA_LOST,
                       "progress offset %" PRId64 ": cut %" PRIu64 " is of epoch %" PRIu64
                       ", which has no epoch record",
                       at.offset, r->seq, r->epoch);
    if (v->has_tail && !linked && !at.compactable)
        return err_set(e, MR_KAFKA_LOST,
                       "progress offset %" PRId64 ": cut %" PRIu64 " follows %" PRIu64
                       ", the newest read is %" PRIu64,
                       at.offset, r->seq, r->prev.seq, v->tail.seq);
    return true;
}

static bool
feed_cut(struct progress_view *v, const struct progress_record *r, struct progress_at at,
         struct progress_fed *out, struct err *e)
{
    if (r->epoch < v->max_claim || is_impostor(epoch_find(v, r->epoch), r)) {
        out->verdict = PROGRESS_IS_VOID;
        return true;
    }
    if (v->conf.strict && r->seq <= v->applied && !progress_view_has_epoch(v, r->epoch)) {
        out->verdict = PROGRESS_IS_VOID;
        return true;
    }
    out->linked = v->has_tail && cut_id_cmp(r->prev, v->tail) == 0;
    if (!cut_check(v, r, at, out->linked, e))
        return false;
    kept_set(&v->cut, r, at.offset);
    v->tail = (struct cut_id){r->epoch, r->seq};
    v->has_tail = true;
    if (v->unconfirmed)
        versions_prune(v, r->seq);
    out->verdict = r->inc == v->conf.inc ? PROGRESS_IS_CUT : PROGRESS_IS_FOREIGN;
    return true;
}

static void
feed_event(struct progress_view *v, const struct progress_record *r, struct progress_at at,
           struct progress_fed *out)
{
    out->verdict = PROGRESS_IS_EVENT;
    if (r->inc != v->conf.inc)
        out->verdict = PROGRESS_IS_FOREIGN;
    else if (progress_view_void(v, r->epoch, r->seq))
        out->verdict = PROGRESS_IS_VOID;
    else if (r->event == EVENT_VERSION && !version_put(v, r, readable_from(v, at.offset)))
        out->verdict = PROGRESS_IS_REPEAT;
}

bool
progress_view_feed(struct progress_view *v, const struct progress_record *r,
                   struct progress_at at, struct progress_fed *out, struct err *e)
{
    *out = (struct progress_fed){0};
    if (at.offset == 0)
        v->has_tail = true; /* nothing came before: the tail is {0, 0} */
    switch (r->kind) {
    case PROGRESS_CLAIM:
        feed_claim(v, r, out);
        return true;
    case PROGRESS_EPOCH:
        return feed_epoch(v, r, at, out, e);
    case PROGRESS_CUT:
        return feed_cut(v, r, at, out, e);
    case PROGRESS_LOAD:
        out->verdict = r->inc == v->conf.inc ? PROGRESS_IS_LOAD : PROGRESS_IS_FOREIGN;
        if (out->verdict == PROGRESS_IS_LOAD)
            load_put(v, r, readable_from(v, at.offset));
        return true;
    case PROGRESS_EVENT:
        feed_event(v, r, at, out);
        return true;
    }
    return err_set(e, MR_INTERNAL, "progress record of kind %d", (int)r->kind);
}

/* ---- truth ---- */

static bool
kept_decode(const struct kept *k, enum progress_kind kind, struct arena *a,
            struct progress_record *out, struct err *e)
{
    struct buf key = {0}, value = {0};
    buf_addf(&key, "%s/%" PRIu64, kind == PROGRESS_CUT ? "progress" : "epoch", k->id.epoch);
    json_dump(k->doc, &value);
    bool ok = progress_decode(buf_bytes(&key), buf_bytes(&value), a, out, e);
    buf_free(&key);
    buf_free(&value);
    return ok;
}

static struct bytes
key_copy(struct arena *a, struct bytes b)
{
    return b.p ? bytes_of(arena_strn(a, b), b.n) : b;
}

static struct progress_range
range_copy(struct arena *a, const struct progress_range *r)
{
    struct progress_range x = *r;
    x.table = arena_strdup(a, r->table);
    x.begin = key_copy(a, r->begin);
    x.next = key_copy(a, r->next);
    x.end = key_copy(a, r->end);
    return x;
}

static void
truth_range(struct progress_truth *t, const struct progress_range *r, bool recorded)
{
    for (uint32_t i = 0; i < t->range_count; i++) {
        struct progress_range *x = &t->ranges[i];
        if (x->range != r->range || x->load != r->load || strcmp(x->table, r->table) != 0)
            continue;
        if (x->done > r->done || (x->done == r->done && x->rows > r->rows))
            return;
        *x = range_copy(&t->arena, r);
        t->recorded[i] = recorded;
        return;
    }
    uint32_t n = t->range_count++;
    t->ranges = mem_realloc(t->ranges, (n + 1) * sizeof *t->ranges);
    t->recorded = mem_realloc(t->recorded, (n + 1) * sizeof *t->recorded);
    t->ranges[n] = range_copy(&t->arena, r);
    t->recorded[n] = recorded;
}

static bool
truth_loads(const struct progress_view *v, struct progress_truth *out, struct err *e)
{
    for (size_t t = 0; t < v->table_count; t++) {
        for (const struct load_live *l = v->tables[t]->loads; l; l = l->next) {
            struct progress_record r;
            bool ok = progress_decode(buf_bytes(&l->record.key), buf_bytes(&l->record.value),
                                      &out->arena, &r, e);
            /* One above the truth repeats a cut that Kafka lost: its rows are void. */
            for (uint32_t i = 0; ok && r.seq <= out->seq && i < r.range_count; i++)
                truth_range(out, &r.ranges[i], true);
            progress_record_free(&r);
            if (!ok)
                return false;
        }
    }
    return true;
}

static void
truth_history(const struct progress_view *v, struct progress_truth *out)
{
    out->history = arena_zalloc(&out->arena, PROGRESS_HISTORY_MAX * sizeof *out->history);
    for (size_t i = v->epoch_count; i-- && out->history_count < PROGRESS_HISTORY_MAX;) {
        if (v->epochs[i].begun)
            out->history[out->history_count++] =
                (struct cut_id){v->epochs[i].n, v->epochs[i].from_seq};
    }
    for (uint32_t i = 0; i < out->history_count / 2; i++) {
        struct cut_id x = out->history[i];
        out->history[i] = out->history[out->history_count - 1 - i];
        out->history[out->history_count - 1 - i] = x;
    }
}

static bool
truth_record(const struct kept *k, enum progress_kind kind, uint64_t inc,
             struct progress_truth *out, struct err *e)
{
    struct progress_record r;
    bool ok = kept_decode(k, kind, &out->arena, &r, e);
    out->found = true;
    out->same_inc = k->inc == inc;
    out->seq = k->id.seq;
    if (ok && out->same_inc) {
        for (uint32_t i = 0; i < r.range_count; i++)
            truth_range(out, &r.ranges[i], false);
        ok = progress_record_position(&r, &out->pos, e);
    }
    progress_record_free(&r);
    return ok;
}

bool
progress_view_truth(const struct progress_view *v, struct progress_truth *out, struct err *e)
{
    *out = (struct progress_truth){0};
    arena_init(&out->arena, 4096);
    position_init(&out->pos, POSITION_NONE);
    bool by_epoch = v->epoch.doc && (!v->cut.doc || v->epoch.id.epoch > v->cut.id.epoch);
    out->prev = v->tail;
    bool ok = true;
    if (by_epoch)
        ok = truth_record(&v->epoch, PROGRESS_EPOCH, v->conf.inc, out, e);
    else if (v->cut.doc)
        ok = truth_record(&v->cut, PROGRESS_CUT, v->conf.inc, out, e);
    ok = ok && truth_loads(v, out, e);
    truth_history(v, out);
    if (!ok)
        progress_truth_free(out);
    return ok;
}

void
progress_truth_free(struct progress_truth *t)
{
    position_free(&t->pos);
    free(t->ranges);
    free(t->recorded);
    arena_free(&t->arena);
    *t = (struct progress_truth){0};
}
