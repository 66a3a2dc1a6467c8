#include "capture/loads.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/loader.h"

#define CHUNK_ROWS       20000
#define MISMATCH_WAIT_MS 200
#define KEYLESS_TRIES    5

/* A window of a range and, once the loader came back, its chunk. */
struct pending {
    struct window *window;
    struct loader_chunk *chunk;
};

struct range {
    struct load *load;
    struct progress_range state; /* its keys live in `keys` */
    struct buf next;             /* state.next */
    struct loader *loader;       /* NULL: waits for one */
    struct pending pending[LOADER_ORDERS];
    unsigned pending_count;
    bool restart;     /* the loader's cursor is not at state.next */
    bool restarting;  /* windows were discarded: none is opened until all came back */
    bool end_seen;    /* the last chunk is in memory */
    uint64_t wait_ms; /* not before this moment */
};

struct load {
    struct captured *t;
    struct window_table *windows;
    uint64_t id;
    struct range range; /* one range a load: from the first row to the last */
    uint64_t rows_total;
    bool estimated;
    struct position p0; /* of the snapshot, tables without a key */
    bool whole;         /* one was ordered */
    struct load *next;
};

struct loads {
    struct loader **loaders;
    struct range **busy; /* per loader: the range it reads */
    unsigned loader_count;
    struct load *first;
};

/* ---- life ---- */

bool
loads_new(struct session *s, struct err *e)
{
    (void)e;
    s->loads = mem_zalloc(sizeof(*s->loads));
    return true;
}

/* Connections are made when the first load begins: a task that only streams holds none. */
static bool
open_loaders(struct session *s, struct err *e)
{
    struct loads *ls = s->loads;
    unsigned want = (unsigned)config_int(s->config, "load.connections");
    if (ls->loader_count > 0 || want == 0)
        return true;
    ls->loaders = mem_array(want, sizeof(struct loader *));
    ls->busy = mem_array(want, sizeof(struct range *));
    while (ls->loader_count < want) {
        struct source_loader *connection;
        if (!s->ops->loader_open(s->source, &connection, e))
            return err_wrap(e, "loader %u", ls->loader_count);
        ls->loaders[ls->loader_count] = loader_new(s, ls->loader_count, connection);
        ls->loader_count++;
    }
    return true;
}

static struct load *
find_load(const struct session *s, const struct captured *t)
{
    struct load *l = s->loads == NULL ? NULL : s->loads->first;
    while (l != NULL && l->t != t)
        l = l->next;
    return l;
}

static void
free_load(struct session *s, struct load *gone)
{
    struct load **at = &s->loads->first;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    buf_free(&gone->range.next);
    position_free(&gone->p0);
    free(gone);
}

static void
forget_windows(struct captured *t)
{
    t->windows = NULL;
    keyless_free(t->keyless);
    t->keyless = NULL;
}

void
loads_free(struct session *s)
{
    struct loads *ls = s->loads;
    if (ls == NULL)
        return;
    for (unsigned i = 0; i < ls->loader_count; i++)
        loader_free(ls->loaders[i]);
    while (ls->first != NULL) {
        struct range *r = &ls->first->range;
        for (unsigned i = 0; i < r->pending_count; i++)
            if (r->pending[i].chunk != NULL)
                loader_chunk_free(r->pending[i].chunk);
        window_table_free(ls->first->windows);
        if (ls->first->t != NULL)
            forget_windows(ls->first->t);
        free_load(s, ls->first);
    }
    free(ls->loaders);
    free(ls->busy);
    free(ls);
    s->loads = NULL;
}

/* ---- begin and end ---- */

static struct load *
add_load(struct session *s, struct captured *t, uint64_t id)
{
    struct load *l = mem_zalloc(sizeof(*l)), **at = &s->loads->first;
    l->t = t;
    l->id = id;
    l->range.load = l;
    l->range.restart = true;
    l->range.state = (struct progress_range){.table = t->topic, .load = id};
    while (*at != NULL)
        at = &(*at)->next;
    *at = l;
    struct window_conf wc = {.touched_max = 200000, .touched_bytes_max = (size_t)16 << 20};
    l->windows = window_table_new(&wc);
    t->windows = l->windows;
    position_init(&l->p0, POSITION_NONE);
    if (tables_keyless(t))
        t->keyless = keyless_new(t->shape->column_count, false);
    return l;
}

static bool
load_event(struct session *s, const struct load *l, enum progress_event_kind kind,
           struct err *e)
{
    struct progress_record r = {
        .event = kind,
        .table = l->t->topic,
        .load = l->id,
        .version = l->t->table->version,
    };
    return core_event(s, &r, e);
}

bool
loads_begin(struct session *s, struct captured *t, struct err *e)
{
    loads_drop(s, t);
    t->loaded = false;
    t->load = (random_u64() >> 1) | 1;
    if (!tables_note(s, t, e))
        return false;
    struct load *l = add_load(s, t, t->load);
    sequencer_range(s->seq, &l->range.state);
    log_info("load_begin", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic));
    if (!load_event(s, l, EVENT_LOAD_BEGIN, e))
        return false;
    tables_report(s, t);
    return true;
}

static void
forget_pending(struct range *r, unsigned at)
{
    struct pending *p = &r->pending[at];
    window_close(p->window);
    if (p->chunk != NULL)
        loader_chunk_free(p->chunk);
    r->pending_count--;
    memmove(p, p + 1, (r->pending_count - at) * sizeof(*p));
}

/* Forgets what is void and already back; when nothing is out any more the range starts again at
 * its `next`. */
static void
clean(struct range *r)
{
    for (unsigned i = 0; i < r->pending_count;) {
        bool out = r->pending[i].chunk == NULL;
        if (window_state(r->pending[i].window) == WINDOW_DISCARDED) {
            r->restarting = true;
            if (!out) {
                forget_pending(r, i);
                continue;
            }
        }
        i++;
    }
    if (!r->restarting || r->pending_count > 0)
        return;
    r->restarting = false;
    r->restart = true;
    r->end_seen = false;
}

/* Frees a dropped load once nothing of it is out. */
static void
bury(struct session *s, struct load *l)
{
    if (l->range.pending_count > 0)
        return;
    for (unsigned i = 0; i < s->loads->loader_count; i++)
        if (s->loads->busy[i] == &l->range) {
            s->loads->busy[i] = NULL;
            if (l->whole)
                loader_abandon(s->loads->loaders[i]);
        }
    window_table_free(l->windows);
    free_load(s, l);
}

void
loads_drop(struct session *s, struct captured *t)
{
    struct load *l = find_load(s, t);
    if (l == NULL)
        return;
    sequencer_forget(s->seq, t->topic, l->id);
    forget_windows(t);
    l->t = NULL;
    window_table_discard(l->windows);
    clean(&l->range);
    /* While its loader still holds orders it stays, and goes when they came back. */
    bury(s, l);
}

/* Rows of a table without a key that waited: its creates behind the snapshot, or at the end its
 * deletes. */
static bool
emit_waiting(struct session *s, struct load *l, enum change_op op, struct err *e)
{
    const struct position *at = s->ops->decoder_position(s->decoder);
    struct change_source source = {.commit_us = clock_wall_us(),
                                   .gtid = bytes_of("", 0),
                                   .file = bytes_str(at->file),
                                   .pos = at->pos,
                                   .snapshot = true,
                                   .load = l->id};
    struct captured *t = l->t;
    bool create = op == OP_CREATE;
    for (const struct cell *row; (row = create ? keyless_next_create(t->keyless)
                                               : keyless_next_delete(t->keyless)) != NULL;) {
        struct core_row out = {.t = t,
                               .op = op,
                               .before = create ? NULL : row,
                               .after = create ? row : NULL,
                               .source = &source};
        if (!core_publish_read(s, &out, NULL, e) ||
            (sequencer_must_close(s->seq) && !core_close(s, e)))
            return false;
    }
    return true;
}

static bool
end_load(struct session *s, struct load *l, struct err *e)
{
    struct captured *t = l->t;
    if (t->keyless != NULL && !emit_waiting(s, l, OP_DELETE, e))
        return false;
    log_info("load_end", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic),
             F_U64("rows", l->range.state.rows));
    if (!load_event(s, l, EVENT_LOAD_END, e))
        return false;
    t->loaded = true;
    t->load = 0;
    t->keyless_tries = 0;
    loads_drop(s, t);
    if (!tables_note(s, t, e))
        return false;
    tables_report(s, t);
    return true;
}

static bool
resume_range(struct session *s, const struct progress_range *r, struct err *e)
{
    struct captured *t = tables_by_topic(s, r->table);
    bool named =
        t != NULL && t->table != NULL && !t->stopped && !t->loaded && t->load == r->load;
    /* A table that was just found anew has begun its load already: one load a table. One
     * without a key is loaded anew: its snapshot is gone. */
    if (!named || find_load(s, t) != NULL || tables_keyless(t)) {
        sequencer_forget(s->seq, r->table, r->load);
        return true;
    }
    struct load *l = add_load(s, t, r->load);
    l->range.state.rows = r->rows;
    l->range.state.done = r->done;
    buf_add_bytes(&l->range.next, r->next);
    if (r->next.p != NULL)
        l->range.state.next = buf_bytes(&l->range.next);
    log_info("load_resume", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic),
             F_U64("rows", r->rows));
    return !r->done || end_load(s, l, e);
}

bool
loads_resume(struct session *s, struct err *e)
{
    for (uint32_t i = 0; i < s->truth.range_count; i++)
        if (!resume_range(s, &s->truth.ranges[i], e))
            return false;
    for (struct captured *t = tables_first(s); t != NULL; t = t->following)
        if (t->table != NULL && !t->stopped && !t->dropped && !t->gap && !t->loaded &&
            t->windows == NULL && !loads_begin(s, t, e))
            return false;
    return true;
}

bool
loads_running(const struct session *s)
{
    return s->loads != NULL && s->loads->first != NULL;
}

void
loads_progress(const struct session *s, const struct captured *t, uint64_t *rows,
               uint64_t *total)
{
    const struct load *l = find_load(s, t);
    *rows = l == NULL ? 0 : l->range.state.rows;
    *total = l == NULL ? 0 : l->rows_total;
}

/* ---- windows and orders ---- */

/* Key payload of the range's `next` back into the cells that a chunk's WHERE is bound to. */
static bool
next_cells(struct session *s, struct range *r, struct loader_order *o, struct err *e)
{
    if (r->state.next.p == NULL)
        return true;
    struct captured *t = r->load->t;
    struct codec_conf conf = {
        .format = s->task->format,
        .prefix = s->task->prefix,
        .topic = t->topic,
        .inc = s->task->inc,
    };
    struct row_decoder *d;
    if (!row_decoder_new(t->table, &conf, &d, e))
        return false;
    const struct table *table = t->table;
    struct cell *row = arena_zalloc(&o->arena, table->column_count * sizeof(*row));
    struct cell *key = arena_zalloc(&o->arena, table->key_count * sizeof(*key));
    struct bytes payload = arena_copy(&o->arena, r->state.next);
    bool ok = row_decode_key(d, payload, &o->arena, row, e);
    for (uint16_t i = 0; ok && i < table->key_count; i++)
        key[i] = row[table->key[i]];
    row_decoder_free(d);
    o->after = key;
    return ok;
}

/* All windows of a snapshot stand on the P0 it was ordered at. */
static void
order_whole(struct range *r, struct loader_order *o)
{
    o->whole = r->load->whole = true;
    if (r->restart) {
        keyless_order(r->load->t->keyless);
        position_copy(&r->load->p0, &o->p0);
    } else {
        position_copy(&o->p0, &r->load->p0);
    }
}

static bool
give_order(struct session *s, struct range *r, struct err *e)
{
    struct captured *t = r->load->t;
    struct loader_order *o = loader_order_new();
    size_t bytes = (size_t)config_int(s->config, "load.chunk.bytes");
    unsigned shrink = window_table_shrink(t->windows);
    bytes = bytes / (shrink == 0 ? 1 : shrink);
    if (!sequencer_p0(s->seq, &o->p0, e))
        return false;
    o->range = r;
    o->table = table_ref(t->table);
    o->restart = r->restart;
    o->bytes_max = bytes < 4096 ? 4096 : bytes;
    o->rows_max = CHUNK_ROWS;
    o->want_estimate = !r->load->estimated;
    r->load->estimated = true;
    if (t->keyless != NULL)
        order_whole(r, o);
    else if (r->restart && !next_cells(s, r, o, e))
        return false;
    r->restart = false;
    o->window = window_open(t->windows, 0, &o->p0);
    r->pending[r->pending_count++] = (struct pending){.window = o->window};
    loader_give(r->loader, o);
    return true;
}

static bool
range_waits(const struct range *r)
{
    return r->load->t != NULL && r->loader == NULL && !r->state.done;
}

static void
assign(struct session *s)
{
    struct loads *ls = s->loads;
    for (unsigned i = 0; i < ls->loader_count; i++) {
        if (ls->busy[i] != NULL)
            continue;
        for (struct load *l = ls->first; l != NULL && ls->busy[i] == NULL; l = l->next) {
            if (!range_waits(&l->range))
                continue;
            ls->busy[i] = &l->range;
            l->range.loader = ls->loaders[i];
            l->range.restart = true;
        }
    }
}

/* The load of a table without a key whose snapshot broke: once anything of it was published it
 * is begun anew. */
static bool
begin_anew(struct session *s, struct err *e)
{
    for (struct load *l = s->loads->first; l != NULL;) {
        struct captured *t = l->t;
        l = l->next;
        if (t == NULL || t->keyless == NULL)
            continue;
        struct load *own = find_load(s, t);
        if (keyless_full(t->keyless) && ++t->keyless_tries >= KEYLESS_TRIES) {
            struct err why;
            err_fill(&why, MR_SOURCE_KEYLESS_BUSY, "%s.%s", t->db, t->name);
            if (!tables_stop(s, t, &why, e))
                return false;
        } else if (keyless_full(t->keyless) ||
                   (own->range.restart && keyless_published(t->keyless))) {
            log_warn("load_anew", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic));
            if (!loads_begin(s, t, e))
                return false;
        }
    }
    return true;
}

bool
loads_pump(struct session *s, struct err *e)
{
    struct loads *ls = s->loads;
    if (ls->first == NULL)
        return true;
    if (!begin_anew(s, e) || !open_loaders(s, e))
        return false;
    assign(s);
    for (unsigned i = 0; i < ls->loader_count; i++) {
        struct range *r = ls->busy[i];
        if (r == NULL || r->restarting || r->end_seen || clock_mono_ms() < r->wait_ms)
            continue;
        while (r->pending_count < LOADER_ORDERS)
            if (!give_order(s, r, e))
                return false;
    }
    return true;
}

/* ---- chunks ---- */

void
loads_discard(struct session *s, struct captured *t)
{
    struct load *l = find_load(s, t);
    if (l == NULL)
        return;
    window_table_discard(t->windows);
    clean(&l->range);
}

void
loads_reshape(struct captured *t)
{
    if (t->windows == NULL)
        return;
    bool published = t->keyless != NULL && keyless_published(t->keyless);
    keyless_free(t->keyless);
    t->keyless = tables_keyless(t) ? keyless_new(t->shape->column_count, published) : NULL;
}

/* The definition moved on: the statement that did it brings the new one, when the stream meets
 * it. */
static bool
chunk_mismatch(struct range *r)
{
    r->wait_ms = clock_mono_ms() + MISMATCH_WAIT_MS;
    window_table_discard(r->load->windows);
    clean(r);
    return true;
}

static bool
chunk_failed(struct range *r, const struct err *why, struct err *e)
{
    struct captured *t = r->load->t;
    if (why->code == MR_SOURCE_TABLE_SCHEMA && why->class == ERR_RETRY)
        return chunk_mismatch(r);
    if (why->class == ERR_TABLE)
        return true; /* it stays: loads_emit stops the table */
    *e = *why;
    return err_wrap(e, "loading %s.%s", t->db, t->name);
}

bool
loads_chunk(struct session *s, struct loader_chunk *c, struct err *e)
{
    struct range *r = c->order->range;
    struct load *l = r->load;
    unsigned at = 0;
    while (at < r->pending_count && r->pending[at].window != c->order->window)
        at++;
    if (at == r->pending_count) {
        loader_chunk_free(c);
        return err_set(e, MR_INTERNAL, "a chunk without a window");
    }
    r->pending[at].chunk = c;
    if (l->t == NULL) {
        forget_pending(r, at);
        bury(s, l);
        return true;
    }
    if (c->estimate.rows > 0)
        l->rows_total = c->estimate.rows;
    if (!c->ok)
        return chunk_failed(r, &c->err, e);
    struct window *w = r->pending[at].window;
    bool read = window_may_read(w, &c->low) && window_read(w, &c->high);
    if (read)
        r->end_seen = r->end_seen || c->chunk.last;
    if (read && c->order->whole && c->order->restart)
        keyless_open(l->t->keyless, &c->high);
    clean(r);
    return l->t->keyless == NULL || !read || emit_waiting(s, l, OP_CREATE, e);
}

/* ---- emission ---- */

static bool
advance(struct session *s, struct range *r, const struct cell *row, uint64_t rows,
        struct err *e)
{
    size_t payload_at;
    struct buf *b = &r->next;
    if (row != NULL) {
        buf_reset(b);
        if (!row_encode_key(r->load->t->encoder, row, b, &payload_at, e))
            return false;
        memmove(b->p, b->p + payload_at, b->n - payload_at);
        b->n -= payload_at;
        r->state.next = buf_bytes(b);
    }
    r->state.rows += rows;
    sequencer_range(s->seq, &r->state);
    return true;
}

static struct change_source
read_source(const struct session *s, const struct load *l, const struct source_chunk *c)
{
    const struct position *at = s->ops->decoder_position(s->decoder);
    return (struct change_source){
        .commit_us = c->read_us,
        .gtid = bytes_of("", 0),
        .file = bytes_str(at->file),
        .pos = at->pos,
        .snapshot = true,
        .load = l->id,
    };
}

static bool
emit_whole(struct session *s, struct core_row *row, struct err *e)
{
    row->after = tables_widen(row->t, 1, row->after, &s->row);
    return !keyless_read(row->t->keyless, row->after) || core_publish_read(s, row, NULL, e);
}

static bool
emit_rows(struct session *s, struct range *r, struct pending *p, struct err *e)
{
    const struct source_chunk *c = &p->chunk->chunk;
    struct change_source source = read_source(s, r->load, c);
    struct captured *t = r->load->t;
    uint64_t since = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct cell *row = c->rows + (size_t)i * t->table->column_count;
        struct core_row out = {.t = t, .op = OP_READ, .after = row, .source = &source};
        if (!(t->keyless != NULL ? emit_whole(s, &out, e)
                                 : core_publish_read(s, &out, p->window, e)))
            return false;
        since++;
        bool last = i + 1 == c->count;
        if (!last && !sequencer_must_close(s->seq))
            continue;
        if (last)
            r->state.done = c->last;
        if (!advance(s, r, t->keyless != NULL ? NULL : row, since, e))
            return false;
        since = 0;
        if (sequencer_must_close(s->seq) && !core_close(s, e))
            return false;
    }
    if (c->count > 0 || !c->last)
        return true;
    r->state.done = true;
    return advance(s, r, NULL, 1, e);
}

/* A row that cannot be written ends its table, not the others. */
static bool
emit_one(struct session *s, struct range *r, struct err *e)
{
    struct captured *t = r->load->t;
    struct err why;
    if (!emit_rows(s, r, &r->pending[0], &why)) {
        if (why.class == ERR_TABLE)
            return tables_stop(s, t, &why, e);
        *e = why;
        return false;
    }
    forget_pending(r, 0);
    if (r->state.done) {
        /* Orders given beyond the end come back empty. */
        window_table_discard(t->windows);
        clean(r);
        r->restarting = true;
        return end_load(s, r->load, e);
    }
    return true;
}

/* Why a chunk of it could not be read; NULL: none failed. */
static const struct err *
failure(const struct range *r)
{
    for (unsigned i = 0; r->load->t != NULL && i < r->pending_count; i++)
        if (r->pending[i].chunk != NULL && !r->pending[i].chunk->ok)
            return &r->pending[i].chunk->err;
    return NULL;
}

static bool
emit_ready(const struct session *s, const struct range *r)
{
    return r->load->t != NULL && !r->load->t->unproved && r->pending_count > 0 &&
           r->pending[0].chunk != NULL && r->pending[0].chunk->ok &&
           window_state(r->pending[0].window) == WINDOW_READ &&
           window_may_emit(r->pending[0].window, sequencer_position(s->seq));
}

bool
loads_emit(struct session *s, struct err *e)
{
    /* A load may stop its table, which must not be before. */
    if (!sequencer_settled(s->seq))
        return true;
    for (struct load *l = s->loads->first; l != NULL;) {
        struct load *next = l->next;
        const struct err *failed = failure(&l->range);
        if (failed != NULL) {
            struct err why = *failed; /* of a chunk that goes with the load */
            if (!tables_stop(s, l->t, &why, e))
                return false;
        } else if (emit_ready(s, &l->range) && !emit_one(s, &l->range, e)) {
            return false;
        }
        l = next;
    }
    return true;
}
