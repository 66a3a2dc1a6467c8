/* Core: source callbacks -> seq, encoded records, blocks and cuts. See capture/session.h; one
 * thread. */
#include "capture/tables.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "capture/claim.h"
#include "capture/ddl.h"
#include "capture/definitions.h"
#include "capture/loads.h"
#include "capture/mutant.h"

#define BLOCK_WAIT_MS 50
#define ROW_KEEP      ((size_t)1 << 20)
/* The record batch's own overhead a message may cost at the broker. */
#define MESSAGE_OVERHEAD 512

/* ---- blocks ---- */

static void
seal_block(struct session *s)
{
    if (s->block == NULL)
        return;
    publisher_block(s->publisher, s->block);
    s->block = NULL;
}

static bool
publisher_failed(struct session *s, struct err *e)
{
    if (!atomic_load(&s->publisher_failed))
        return false;
    publisher_error(s->publisher, e);
    return true;
}

static bool
take_block(struct session *s, struct err *e)
{
    if (s->block != NULL && !block_full(s->block))
        return true;
    seal_block(s);
    while ((s->block = block_pool_take(s->pool, BLOCK_WAIT_MS)) == NULL) {
        if (publisher_failed(s, e))
            return false;
        if (!core_confirm(s, e) || !claim_watch(s, e))
            return false;
    }
    return true;
}

/* ---- units ---- */

static struct publisher_cut *
open_cut(struct session *s)
{
    if (s->cut == NULL)
        s->cut = publisher_cut_new();
    return s->cut;
}

static void
cut_add(struct publisher_cut *c, struct bytes key, struct bytes value)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 4 : 2 * c->capacity;
        struct publisher_record *grown =
            arena_alloc(&c->arena, c->capacity * sizeof(*c->records));
        if (c->count > 0)
            memcpy(grown, c->records, c->count * sizeof(*grown));
        c->records = grown;
    }
    c->records[c->count++] = (struct publisher_record){.key = arena_copy(&c->arena, key),
                                                       .value = arena_copy(&c->arena, value)};
}

static void
cut_add_record(struct session *s, const struct progress_record *r)
{
    struct buf key = {0}, value = {0};
    progress_encode(r, &key, &value);
    cut_add(open_cut(s), buf_bytes(&key), buf_bytes(&value));
    buf_free(&key);
    buf_free(&value);
}

/* Writes the live records again, so that the anchor moves up and a start stays short. */
static void
cut_add_refresh(struct session *s)
{
    struct buf key = {0}, value = {0};
    uint64_t at = 0;
    s->refresh = false;
    while (progress_view_live(s->view, &at, &key, &value)) {
        cut_add(open_cut(s), buf_bytes(&key), buf_bytes(&value));
        buf_reset(&key);
        buf_reset(&value);
    }
    buf_free(&key);
    buf_free(&value);
}

bool
core_close(struct session *s, struct err *e)
{
    struct progress_record r;
    struct sequencer_state st;
    if (publisher_failed(s, e))
        return false;
    sequencer_state(s->seq, &st);
    while (sequencer_load_record(s->seq, &r))
        cut_add_record(s, &r);
    if (s->refresh)
        cut_add_refresh(s);
    seal_block(s);
    sequencer_close(s->seq, clock_mono_us(), &r);
    cut_add_record(s, &r);
    s->cut->rows = st.rows;
    s->cut->closed_us = clock_mono_us();
    s->rows_open += st.rows;
    publisher_cut(s->publisher, s->cut);
    s->cut = NULL;
    return true;
}

bool
core_close_if_due(struct session *s, bool ring_empty, struct err *e)
{
    struct sequencer_moment m = {
        .now_us = clock_mono_us(),
        .ring_empty = ring_empty,
        .far_behind = loads_running(s) || !ring_empty,
    };
    struct sequencer_state st;
    sequencer_state(s->seq, &st);
    bool due = sequencer_should_close(s->seq, &m);
    /* While a commit is under way a unit only grows: one closed now would wait behind it, and
     * the units of a slow Kafka would queue up. */
    if (!sequencer_must_close(s->seq) && (!due || st.unconfirmed > 0))
        return true;
    return core_close(s, e);
}

bool
core_confirm(struct session *s, struct err *e)
{
    for (;;) {
        pthread_mutex_lock(&s->done_lock);
        struct publisher_cut *c = NULL;
        if (s->done_count > 0) {
            c = s->done[0];
            memmove(s->done, s->done + 1, --s->done_count * sizeof(*s->done));
        }
        pthread_mutex_unlock(&s->done_lock);
        if (c == NULL)
            return !publisher_failed(s, e);
        if (c->ok) {
            sequencer_confirm(s->seq);
            unit_progress(s->unit);
            s->rows_total += c->rows;
            s->rows_open -= c->rows;
            metric_add(s->gauges.rows, c->rows);
            metric_add(s->gauges.cuts, 1);
            metric_observe_us(s->gauges.commit, clock_mono_us() - c->closed_us);
        }
        publisher_cut_free(c);
    }
}

static bool
write_event(struct session *s, struct progress_record *r, struct err *e)
{
    r->kind = PROGRESS_EVENT;
    r->inc = s->task->inc;
    r->epoch = s->epoch;
    r->position = sequencer_position(s->seq);
    cut_add_record(s, r);
    return core_close(s, e);
}

bool
core_event(struct session *s, struct progress_record *r, struct err *e)
{
    r->seq = sequencer_note(s->seq);
    return write_event(s, r, e);
}

bool
core_event_of_txn(struct session *s, struct progress_record *r, struct err *e)
{
    return !sequencer_event(s->seq, &r->seq) || write_event(s, r, e);
}

/* ---- rows ---- */

/* No padding between members: gcc clears a gap together with half of the member behind it, and
 * the load of a member written in two parts waits for every store before it, among them those
 * of the row before to memory that another CPU has; that was a quarter of the core's time. */
struct outgoing {
    struct captured *t;
    const struct cell *key; /* the image that carries the key */
    const struct cell *before;
    const struct cell *after;
    const struct change_source *source;
    struct window *window; /* of a load */
    enum change_op op;
    bool load;
};

static struct change
change_of(const struct session *s, const struct outgoing *o, uint64_t seq)
{
    return (struct change){
        .op = o->op,
        .table = o->t->shape,
        .before = o->before,
        .after = o->after,
        .id = {.inc = s->task->inc, .epoch = s->epoch, .seq = seq},
        .source = *o->source,
    };
}

static bool
check_size(const struct outgoing *o, const struct block_record *r, struct err *e)
{
    size_t total = (size_t)r->key_len + r->value_len + MESSAGE_OVERHEAD;
    if (total <= (size_t)o->t->limit)
        return true;
    return err_set(e, MR_KAFKA_ROW_TOO_LARGE,
                   "a row of %s.%s is %zu bytes as a message; the limit of topic %s is %lld",
                   o->t->db, o->t->name, total, o->t->topic, (long long)o->t->limit);
}

static void
count_in_txn(struct session *s, struct captured *t)
{
    if (t->txn != s->txn_count)
        t->txn_rows = 0;
    t->txn = s->txn_count;
    t->txn_rows++;
}

/* A row of the stream takes its number in its transaction. */
static bool
take_number(struct session *s, struct captured *t, uint32_t part, uint64_t bytes, uint64_t *seq)
{
    count_in_txn(s, t);
    return sequencer_row(s->seq, part, bytes, seq);
}

/* The record is encoded with the seq it will get, and gets it only when it is known to be
 * publishable: a seq once given must be published. *took false: an earlier unit has published
 * the row; it is not encoded again, what was possible then need not be so now. */
static bool
encode_value(struct session *s, const struct outgoing *o, struct block_record *r, uint32_t part,
             bool *took, struct err *e)
{
    struct captured *t = o->t;
    struct buf *data = &s->row;
    struct sequencer_state st;
    uint64_t seq, bytes;
    if (!o->load && sequencer_replays(s->seq)) {
        *took = take_number(s, t, part, 0, &seq);
        return true;
    }
    sequencer_state(s->seq, &st);
    struct change c = change_of(s, o, st.seq + 1);
    if (!row_encode_value(t->encoder, &c, data, e))
        return false;
    r->value_len = (uint32_t)(data->n - r->key_len);
    if (!check_size(o, r, e))
        return false;
    bytes = (uint64_t)r->key_len + r->value_len;
    *took = true;
    if (o->load)
        seq = sequencer_load_row(s->seq, part, bytes);
    else
        *took = take_number(s, t, part, bytes, &seq);
    if (*took && seq != st.seq + 1)
        return err_set(e, MR_INTERNAL, "a row got seq %llu, not %llu", (unsigned long long)seq,
                       (unsigned long long)st.seq + 1);
    return true;
}

/* A mutant's wish: the newest record goes before the one it follows in its partition. */
static void
swap_last(struct session *s, struct block *b)
{
    struct block_record *last = &b->records[b->count - 1];
    if (!s->swap || b->count < 2 || last[-1].slot != last->slot)
        return;
    struct block_record r = last[-1];
    last[-1] = *last;
    *last = r;
    s->swap = false;
}

static bool
put_record(struct session *s, const struct outgoing *o, struct err *e)
{
    struct captured *t = o->t;
    if (!take_block(s, e))
        return false;
    struct buf *data = &s->row;
    struct block_record r = {.next = BLOCK_NONE};
    size_t payload_at;
    bool took = false;
    buf_reset(data);
    if (data->cap > ROW_KEEP)
        buf_free(data);
    if (!row_encode_key(t->encoder, o->key, data, &payload_at, e))
        return false;
    r.key_len = (uint32_t)data->n;
    struct bytes payload = bytes_of(data->p + payload_at, data->n - payload_at);
    if (t->windows != NULL && t->keyless == NULL && !o->load)
        window_touch(t->windows, payload);
    int32_t partition = hash_partition(payload, t->partitions);
    r.slot = t->slots[partition];
    bool wanted = o->window == NULL || window_emits(o->window, payload);
    bool ok = !wanted || encode_value(s, o, &r, t->parts[partition], &took, e);
    if (!ok || !took)
        return ok;
    block_add(s->block, &r, buf_bytes(data));
    swap_last(s, s->block);
    if (o->op == OP_DELETE && s->tombstones && !tables_keyless(t))
        block_add_tombstone(s->block);
    /* A load closes its units itself, with its range's progress in them. */
    return o->load || !sequencer_must_close(s->seq) || core_close(s, e);
}

/* Same key bytes in both images? Cells of key columns are canonical, so equal values have equal
 * cells. */
static bool
same_key(const struct table *t, const struct cell *a, const struct cell *b)
{
    for (uint16_t i = 0; i < t->key_count; i++) {
        const struct cell *x = &a[t->key[i]], *y = &b[t->key[i]];
        if (x->kind != y->kind)
            return false;
        switch ((enum cell_kind)x->kind) {
        case CELL_DECIMAL:
        case CELL_TEXT:
        case CELL_BYTES:
        case CELL_JSON:
        case CELL_GEOMETRY:
        case CELL_VECTOR:
            if (!bytes_eq(cell_bytes(x), cell_bytes(y)))
                return false;
            break;
        default:
            if (x->v.u != y->v.u)
                return false;
        }
    }
    return true;
}

/* A row of the stream whose table has no key and is being loaded: not now, or not at all. */
static bool
passed_over(struct session *s, const struct outgoing *o)
{
    struct captured *t = o->t;
    if (t->keyless == NULL || o->load || sequencer_replays(s->seq))
        return false;
    /* An update here leaves the row as it is. */
    if (o->op != OP_UPDATE &&
        keyless_row(t->keyless, o->op, o->key, s->ops->decoder_position(s->decoder)))
        return false;
    count_in_txn(s, t);
    sequencer_pass(s->seq);
    return true;
}

static bool
put(struct session *s, const struct outgoing *o, struct err *e)
{
    return passed_over(s, o) || put_record(s, o, e);
}

bool
core_publish(struct session *s, const struct core_row *in, struct err *e)
{
    struct core_row wide = *in, *row = &wide;
    if (tables_keyless(in->t) && in->before != NULL)
        wide.before = tables_widen(in->t, 0, in->before, &s->row);
    if (tables_keyless(in->t) && in->after != NULL)
        wide.after = tables_widen(in->t, 1, in->after, &s->row);
    struct outgoing o = {
        .t = row->t,
        .op = row->op,
        .key = row->after != NULL ? row->after : row->before,
        .before = row->before,
        .after = row->after,
        .source = row->source,
    };
    enum mutant mutant = mutant_next();
    s->swap = s->swap || mutant == MUTANT_SWAP;
    if (mutant == MUTANT_DROP)
        return true;
    if (mutant == MUTANT_DOUBLE && !put_record(s, &o, e))
        return false;
    assert(row->op != OP_UPDATE || (row->before != NULL && row->after != NULL));
    if (row->op != OP_UPDATE || same_key(row->t->shape, row->before, row->after))
        return put(s, &o, e);
    /* A key change is delete + tombstone + create: the two keys may live in different
     * partitions. */
    struct outgoing gone = o, made = o;
    gone.op = OP_DELETE;
    gone.key = row->before;
    gone.after = NULL;
    made.op = OP_CREATE;
    made.before = NULL;
    return put(s, &gone, e) && put(s, &made, e);
}

bool
core_publish_read(struct session *s, const struct core_row *row, struct window *w,
                  struct err *e)
{
    struct outgoing o = {
        .t = row->t,
        .op = row->op,
        .key = row->op == OP_DELETE ? row->before : row->after,
        .before = row->before,
        .after = row->after,
        .source = row->source,
        .load = true,
        .window = w,
    };
    return put_record(s, &o, e);
}

/* ---- callbacks of the decoder ---- */

static bool
on_txn_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    struct session *s = ctx;
    s->txn_commit_us = txn->commit_us;
    s->in_txn = true;
    s->txn_count++;
    return sequencer_begin(s->seq, txn->id, txn->file, txn->pos, e);
}

static bool
on_txn_end(void *ctx, const struct source_txn *txn, struct err *e)
{
    struct session *s = ctx;
    const struct position *at = s->ops->decoder_position(s->decoder);
    struct sequencer_end end = {
        .gtid = s->info->gtid ? txn->id : bytes_of("", 0),
        .file = at->file,
        .pos = at->pos,
        .commit_us = txn->commit_us,
    };
    s->in_txn = false;
    sequencer_xa(s->seq, at->xa_file, at->xa_pos);
    return sequencer_end(s->seq, &end, e);
}

static bool
on_heartbeat(void *ctx, struct err *e)
{
    struct session *s = ctx;
    const struct position *at = s->ops->decoder_position(s->decoder);
    struct sequencer_end end = {
        .gtid = bytes_of("", 0),
        .file = at->file,
        .pos = at->pos,
        .commit_us = clock_wall_us(),
    };
    s->caught_up_us = end.commit_us;
    return sequencer_skip(s->seq, &end, e);
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    struct session *s = ctx;
    struct captured *t;
    *out = (struct source_known){0};
    if (!tables_take(s, name->database, name->table, &t, e))
        return false;
    /* Not discovered yet: what is not proved is to be marked before its first row. */
    if (t != NULL && t->table == NULL && !t->asked && tables_discovering(s) &&
        !definitions_ask(s, t, e))
        return false;
    out->wanted = t != NULL && !t->stopped;
    if (t != NULL) {
        out->table = t->table;
        out->unproved = t->unproved;
        out->user = t;
    }
    return true;
}

static bool
on_table_version(void *ctx, struct table *version, void **user, struct err *e)
{
    struct session *s = ctx;
    struct captured *t;
    *user = NULL;
    if (!tables_take(s, bytes_str(version->database), bytes_str(version->name), &t, e))
        return false;
    if (t == NULL) {
        table_unref(version);
        return err_set(e, MR_INTERNAL, "a version of a table that is not selected");
    }
    *user = t;
    return definitions_proved(s, t, version, e);
}

/* A row that cannot be written ends its table, not the stream. */
static bool
contain(struct session *s, struct captured *t, const struct err *why, struct err *e)
{
    if (why->class == ERR_TABLE)
        return tables_stop(s, t, why, e);
    *e = *why;
    return false;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    struct session *s = ctx;
    struct captured *t = rows->user;
    uint16_t columns = rows->table->column_count;
    struct change_source source = rows->source;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (t == NULL || t->stopped)
            return true;
        struct core_row row = {
            .t = t,
            .op = rows->op,
            .before = rows->before == NULL ? NULL : rows->before + (size_t)i * columns,
            .after = rows->after == NULL ? NULL : rows->after + (size_t)i * columns,
            .source = &source,
        };
        struct err why;
        if (!core_publish(s, &row, &why) && !contain(s, t, &why, e))
            return false;
        source.row++;
    }
    return true;
}

static bool
on_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
               struct err *e)
{
    struct session *s = ctx;
    struct captured *t = user;
    if (t == NULL && !tables_take(s, name->database, name->table, &t, e))
        return false;
    return t == NULL || tables_stop(s, t, why, e);
}

void
core_init(struct session *s)
{
    arena_init(&s->scratch, (size_t)256 << 10);
    s->sink = (struct source_sink){
        .ctx = s,
        .arena = &s->scratch,
        .txn_begin = on_txn_begin,
        .table = on_table,
        .table_version = on_table_version,
        .gap = definitions_gap,
        .rows = on_rows,
        .truncate = ddl_truncate,
        .ddl = ddl_statement,
        .txn_end = on_txn_end,
        .heartbeat = on_heartbeat,
        .table_error = on_table_error,
        .rows_missed = ddl_rows_missed,
    };
}
