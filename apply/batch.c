/* Batch: the rows of a table's partitions, merged by seq, folded per key, decoded and written.
 *
 * Rows are taken in seq order over all partitions, so that every part written, and not only the
 * batch as a whole, leaves the table as the source had it at some moment: a table with further
 * unique keys needs that. A fold holds at most part_rows_max rows and FOLD_BYTES of them; only
 * the last image of each key is decoded. Deletes go first. A table with further unique keys is
 * written by deleting every key touched, then plain INSERT: at a moment of the source its own
 * constraints guarantee that nothing collides.
 *
 * First loads (SINK_LOAD): a key whose only change in the fold is a row of a load, of a table
 * that holds nothing but what this incarnation wrote. If that key is there already, the stream
 * wrote it before the load's window began, and it did not change up to the window's end (else
 * the window would have left it out), so that row says the same: skipping it is right. With
 * further unique keys a skip for their sake would be wrong; the sink tells the two apart.
 *
 * A table of changes (sink_ops.every_change) gets them in seq order, unfolded. Of a multiset
 * the fold counts: as many rows of a content as it lost go, or as it won come.
 *
 * Memory: a fold, its cells (CELLS_BYTES at a time), rows read again from Kafka. Thread: the
 * lane's.
 */
#include "apply/apply.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

#define FOLD_BYTES  ((size_t)2 << 20)
#define CELLS_BYTES ((size_t)2 << 20)
#define LIST_MAX    20000u

struct source {
    const struct job_part *part;
    struct fifo_cursor at;
    const struct fifo_row *row; /* next one to be applied; NULL: none left */
};

struct batch {
    struct lane *lane;
    struct apply_table *table;
    const struct plan *plan; /* of the rows in the fold */
    struct source *sources;
    size_t bytes; /* of the rows in the fold */
    uint32_t rows;
    bool load; /* SINK_LOAD may be used */
    bool unique;
    bool loading; /* a load began and is not done */
};

static void
source_next(struct source *s)
{
    do
        s->row = fifo_next(&s->at);
    while (s->row && s->row->skip);
}

static struct source *
lowest(struct batch *b)
{
    struct source *best = NULL;
    for (size_t i = 0; i < b->table->parts_len; i++) {
        struct source *s = b->sources + i;
        if (s->row && (!best || s->row->seq < best->row->seq))
            best = s;
    }
    return best;
}

/* Which of a fold's entries a pass writes, and how. */
enum pass { PASS_DELETES, PASS_TOUCHED, PASS_UPSERTS, PASS_INSERTS, PASS_LOADS };

static bool
is_load(const struct batch *b, const struct fold_entry *x)
{
    return b->load && x->last_op == OP_READ && x->changes == 1;
}

static bool
in_pass(const struct batch *b, const struct fold_entry *x, enum pass pass)
{
    switch (pass) {
    case PASS_DELETES:
        return x->last_op == OP_DELETE;
    case PASS_TOUCHED:
        return !is_load(b, x);
    case PASS_UPSERTS:
    case PASS_INSERTS:
        return x->last_op != OP_DELETE && !is_load(b, x);
    case PASS_LOADS:
        return is_load(b, x);
    }
    return false;
}

static enum sink_op
op_of(enum pass pass)
{
    switch (pass) {
    case PASS_DELETES:
    case PASS_TOUCHED:
        return SINK_DELETE;
    case PASS_UPSERTS:
        return SINK_UPSERT;
    case PASS_INSERTS:
        return SINK_INSERT;
    case PASS_LOADS:
        break;
    }
    return SINK_LOAD;
}

MUST static bool
send(struct batch *b, enum sink_op op, size_t n, struct err *e)
{
    struct lane *l = b->lane;
    struct sink_part p = {.db = b->table->to_db,
                          .table = b->table->own.written,
                          .version = b->plan->table,
                          .op = op,
                          .loading = b->loading,
                          .rows = l->list,
                          .changes = l->changes,
                          .n = n};
    bool ok = !n || l->run->ops->write(l->sink, &p, e);
    arena_reset(&l->rows);
    return ok;
}

static char
op_letter(uint8_t op)
{
    return op == OP_DELETE ? 'D' : op == OP_UPDATE ? 'U' : 'I';
}

/* Cells of a row as number `at` of the list: a delete's are in the image before. */
MUST static bool
decode(struct batch *b, const struct fifo_row *r, size_t at, struct err *e)
{
    struct lane *l = b->lane;
    struct change c;
    if (r->image_at && !l->changes)
        return row_decode_image(b->plan->decoder, fifo_value(r), r->image_at, &l->rows,
                                l->list + at, e) ||
               err_wrap(e, "seq %" PRIu64, r->seq);
    if (!row_decode(b->plan->decoder, fifo_value(r), &l->rows, &c, e))
        return err_wrap(e, "seq %" PRIu64, r->seq);
    l->list[at] = r->op == OP_DELETE ? c.before : c.after;
    if (!l->list[at])
        return err_set(e, MR_SCHEMA_DECODE, "seq %" PRIu64 " has no image of the row", r->seq);
    if (l->changes)
        l->changes[at] = (struct sink_change){op_letter(r->op), r->seq, c.source.commit_us};
    return true;
}

static bool
list_full(const struct lane *l, size_t n)
{
    return n >= LIST_MAX || l->rows.used >= CELLS_BYTES;
}

MUST static bool
run_pass(struct batch *b, enum pass pass, struct err *e)
{
    struct lane *l = b->lane;
    size_t n = 0;
    for (uint32_t i = 0; i < l->fold.len; i++) {
        const struct fold_entry *x = l->fold.entries + i;
        if (!in_pass(b, x, pass))
            continue;
        if (!decode(b, x->row, n, e))
            return false;
        if (!list_full(l, ++n))
            continue;
        if (!send(b, op_of(pass), n, e))
            return false;
        n = 0;
    }
    return send(b, op_of(pass), n, e);
}

static bool
is_multiset(const struct batch *b)
{
    return b->plan->table->rows == TABLE_MULTISET;
}

/* Equal rows stand beside each other. */
MUST static bool
run_counts(struct batch *b, bool deletes, struct err *e)
{
    struct lane *l = b->lane;
    enum sink_op op = deletes ? SINK_DELETE : b->load ? SINK_LOAD : SINK_INSERT;
    size_t n = 0;
    for (uint32_t i = 0; i < l->fold.len; i++) {
        const struct fold_entry *x = l->fold.entries + i;
        for (int64_t left = deletes ? -x->net : x->net; left > 0; left--) {
            if (!decode(b, x->row, n, e))
                return false;
            if (!list_full(l, ++n))
                continue;
            if (!send(b, op, n, e))
                return false;
            n = 0;
        }
    }
    return send(b, op, n, e);
}

/* Every change: b->rows of the list wait. */
MUST static bool
append_flush(struct batch *b, struct err *e)
{
    bool ok = send(b, SINK_APPEND, b->rows, e);
    arena_reset(&b->lane->copies);
    b->rows = 0;
    return ok;
}

MUST static bool
append(struct batch *b, const struct source *s, struct err *e)
{
    const struct fifo_row *r = s->row;
    const struct plan *plan = r->plan ? r->plan : b->table->own.plan;
    if ((b->plan != plan || list_full(b->lane, b->rows)) && !append_flush(b, e))
        return false;
    b->plan = plan;
    if (r->thin && !refetch_row(b->lane, b->table, s->part->partition, s->row, &r, e))
        return false;
    return decode(b, r, b->rows++, e);
}

MUST static bool
flush(struct batch *b, struct err *e)
{
    if (!b->rows)
        return true;
    bool ok = is_multiset(b) ? run_counts(b, true, e) && run_counts(b, false, e)
              : b->unique    ? run_pass(b, PASS_TOUCHED, e) && run_pass(b, PASS_INSERTS, e)
                             : run_pass(b, PASS_DELETES, e) && run_pass(b, PASS_UPSERTS, e);
    ok = ok && (is_multiset(b) || !b->load || run_pass(b, PASS_LOADS, e));
    fold_reset(&b->lane->fold);
    arena_reset(&b->lane->copies);
    b->rows = 0;
    b->bytes = 0;
    return ok;
}

static struct bytes
key_payload(const struct batch *b, const struct fifo_row *r)
{
    struct bytes k = fifo_key(r);
    size_t frame = b->lane->run->task->format == CODEC_AVRO ? 5 : 0;
    return k.n < frame ? k : bytes_of(k.p + frame, k.n - frame);
}

MUST static bool
add(struct batch *b, const struct source *s, struct err *e)
{
    const struct fifo_row *r = s->row;
    const struct plan *plan = r->plan ? r->plan : b->table->own.plan;
    if (r->thin && !refetch_row(b->lane, b->table, s->part->partition, s->row, &r, e))
        return false;
    if (b->plan != plan || b->rows >= b->lane->run->part_rows_max || b->bytes >= FOLD_BYTES) {
        /* a row read again lives until the flush: keep it over it */
        struct fifo_row *kept = NULL;
        if (r->thin) {
            size_t n = sizeof *r + r->key_len + r->value_len;
            kept = mem_alloc(n);
            memcpy(kept, r, n);
        }
        bool ok = flush(b, e);
        b->plan = plan;
        if (kept) {
            size_t n = sizeof *r + kept->key_len + kept->value_len;
            struct bytes copy = arena_copy(&b->lane->copies, bytes_of(kept, n));
            r = (const struct fifo_row *)(const void *)copy.p;
            free(kept);
        }
        if (!ok)
            return false;
    }
    union {
        const struct fifo_row *in;
        void *out;
    } ref = {r};
    fold_add(&b->lane->fold, key_payload(b, r), (enum change_op)r->op, ref.out);
    b->rows++;
    b->bytes += r->key_len + r->value_len;
    return true;
}

bool
batch_write(struct lane *l, struct job *j, struct job_slice *s, struct err *e)
{
    struct apply_table *t = s->table;
    struct batch b = {.lane = l,
                      .table = t,
                      .plan = t->own.plan,
                      .unique =
                          t->own.more_unique || table_has_secondary_unique(t->own.plan->table),
                      .load = t->own.own && !j->no_load && l->run->ops->can_load(l->run->sink)};
    const struct table *version = t->own.plan->table;
    bool log = version->rows == TABLE_APPEND ||
               (l->run->ops->every_change && l->run->ops->every_change(l->run->sink, version));
    const struct json *loads = t->own.ck.loads;
    b.loading =
        loads && json_get_bool(loads, "begun", false) && !json_get_bool(loads, "loaded", false);
    if (!l->list)
        l->list = mem_array(LIST_MAX, sizeof(struct cell *));
    if (!l->changes && (log || l->run->manner.tells))
        l->changes = mem_array(LIST_MAX, sizeof *l->changes);
    b.sources = mem_array(t->parts_len, sizeof *b.sources);
    for (size_t i = 0; i < t->parts_len; i++) {
        b.sources[i] = (struct source){s->parts + i, fifo_span_walk(&s->parts[i].rows), NULL};
        source_next(b.sources + i);
    }
    fold_reset(&l->fold);
    arena_reset(&l->copies);
    arena_reset(&l->rows);
    bool ok = true;
    for (struct source *next; ok && (next = lowest(&b)) != NULL; source_next(next))
        ok = log ? append(&b, next, e) : add(&b, next, e);
    ok = ok && (log ? append_flush(&b, e) : flush(&b, e));
    fold_reset(&l->fold);
    free(b.sources);
    return ok;
}
