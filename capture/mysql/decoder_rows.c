/* Rows events: see decoder.h.
 *
 * Format [mysql-server rows_event.h]: table id 6, flags 2, (version 2: length of extra data,
 * itself included, 2, and the data), column count (lenenc), bitmap of the columns present
 * (updates: a second one for the image after), rows. MariaDB's compressed events: the rows part
 * behind a header byte and a length, deflated.
 */
#include <stdlib.h>

#include "base/compress.h"
#include "base/mem.h"
#include "capture/mysql/decoder_private.h"

#define END_OF_STATEMENT 1
#define DUMMY_TABLE      0xffffff
#define GROUP_CELLS      ((size_t)65536)

struct rows_event {
    uint64_t table_id;
    uint16_t flags;
    enum change_op op;
    bool compressed;
    bool partial;
    uint64_t columns;
    struct bytes present, present_after;
    struct bytes rows;
};

static void
rows_kind(uint8_t type, struct rows_event *out)
{
    switch (type) {
    case BINLOG_WRITE_ROWS:
    case BINLOG_WRITE_ROWS_V1:
    case BINLOG_MARIA_WRITE_ROWS_COMPRESSED:
        out->op = OP_CREATE;
        break;
    case BINLOG_UPDATE_ROWS:
    case BINLOG_UPDATE_ROWS_V1:
    case BINLOG_MARIA_UPDATE_ROWS_COMPRESSED:
    case BINLOG_PARTIAL_UPDATE_ROWS:
        out->op = OP_UPDATE;
        break;
    default:
        out->op = OP_DELETE;
    }
    out->partial = type == BINLOG_PARTIAL_UPDATE_ROWS;
    out->compressed = type >= BINLOG_MARIA_WRITE_ROWS_COMPRESSED;
}

MUST static bool
rows_parse(const struct binlog_event *ev, struct rows_event *out, struct err *e)
{
    struct reader r = reader_of(ev->body);
    rows_kind(ev->type, out);
    out->table_id = reader_le(&r, 6);
    out->flags = (uint16_t)reader_le(&r, 2);
    if (out->partial || (ev->type >= BINLOG_WRITE_ROWS && ev->type <= BINLOG_DELETE_ROWS)) {
        uint64_t extra = reader_le(&r, 2);
        r.failed = r.failed || extra < 2;
        reader_take(&r, extra - 2);
    }
    out->columns = reader_lenenc(&r);
    if (out->columns > BINLOG_COLUMNS_MAX)
        r.failed = true;
    out->present = reader_take(&r, (out->columns + 7) / 8);
    out->present_after =
        out->op == OP_UPDATE ? reader_take(&r, (out->columns + 7) / 8) : out->present;
    out->rows = reader_rest(&r);
    return !r.failed ||
           err_set(e, MR_SOURCE_CORRUPT, "a rows event (type %u) is cut short", ev->type);
}

bool
decoder_inflate(struct binlog_decoder *d, struct bytes in, struct err *e)
{
    struct reader r = reader_of(in);
    uint8_t length_bytes = reader_u8(&r) & 7;
    uint64_t n = length_bytes ? reader_be(&r, length_bytes) : 0;
    buf_reset(&d->inflated);
    if (r.failed || n == 0 || n > BINLOG_EVENT_MAX)
        return err_set(e, MR_SOURCE_CORRUPT, "a compressed event has a bad header");
    if (!decompress_zlib(reader_rest(&r), n, &d->inflated, e) || d->inflated.n != n)
        return err_set(e, MR_SOURCE_CORRUPT, "a compressed event cannot be inflated");
    return true;
}

MUST static bool
rows_bytes(struct binlog_decoder *d, struct rows_event *rows, struct err *e)
{
    if (rows->compressed && !decoder_inflate(d, rows->rows, e))
        return false;
    if (rows->compressed)
        rows->rows = buf_bytes(&d->inflated);
    return true;
}

static void
reserve_cells(struct binlog_decoder *d, size_t n)
{
    if (n <= d->cells_cap)
        return;
    d->cells_cap = n;
    d->before = mem_realloc(d->before, n * sizeof(*d->before));
    d->after = mem_realloc(d->after, n * sizeof(*d->after));
}

/* MariaDB 11.8 leaves generated columns out of the images of updates and deletes. */
MUST static bool
whole_image(const struct cell *row, const struct table *t, struct err *e)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (row[i].kind == CELL_ABSENT && !t->columns[i].generated)
            return err_set(e, MR_SOURCE_ROW_IMAGE,
                           "a row of %s.%s was logged without column %s", t->database, t->name,
                           t->columns[i].name);
    return true;
}

struct group {
    struct binding *binding;
    const struct rows_event *rows;
    struct table *table;
    uint32_t count;
    uint32_t first; /* ordinal of the first row */
    enum change_op op;
    bool was, is; /* the image before, after is the present version of its row */
};

/* One change: image before, after, or both. MariaDB's FULL_NODUP leaves unchanged columns out
 * of the image after. */
MUST static bool
read_change(struct binlog_decoder *d, struct group *g, struct reader *r, struct err *e)
{
    size_t n = g->table->column_count, at = g->count * n;
    struct row_plan *plan = g->binding->plan;
    struct arena *a = d->sink->arena;
    if (g->rows->op != OP_CREATE) {
        if (!row_plan_image(plan, r, g->rows->present, a, &d->before[at], e) ||
            !whole_image(&d->before[at], g->table, e))
            return false;
        g->was = row_plan_current(plan);
    }
    if (g->rows->op == OP_DELETE)
        return true;
    if (!(g->rows->partial ? row_plan_partial_image : row_plan_image)(
            plan, r, g->rows->present_after, a, &d->after[at], e))
        return false;
    g->is = row_plan_current(plan);
    for (size_t i = 0; i < n && g->rows->op == OP_UPDATE; i++)
        if (d->after[at + i].kind == CELL_ABSENT)
            d->after[at + i] = d->before[at + i];
    return whole_image(&d->after[at], g->table, e);
}

MUST static bool
hand_over(struct binlog_decoder *d, struct group *g, struct err *e)
{
    struct source_rows out = {
        .table = g->table,
        .user = g->binding->user,
        .op = g->op,
        .count = g->count,
        .before = g->op == OP_CREATE ? NULL : d->before,
        .after = g->op == OP_DELETE ? NULL : d->after,
        .source =
            {
                .commit_us = d->txn.commit_us,
                .server_id = d->txn.server_id,
                .gtid = bytes_str(d->gtid.text),
                .file = bytes_str(d->file),
                .pos = d->first_row_pos,
                .row = g->first,
                .thread = d->thread,
            },
    };
    d->rows_seen = true;
    g->first += g->count;
    g->count = 0;
    bool ok = d->sink->rows(d->sink->ctx, &out, e);
    arena_reset(d->sink->arena);
    return ok;
}

/* MariaDB's system versioning, seen by who reads the table: a row that ends is deleted, what is
 * written of ended ones is nothing. */
MUST static bool
version_change(struct binlog_decoder *d, struct group *g, struct err *e)
{
    if (g->was || g->is) {
        g->op = !g->was ? OP_CREATE : !g->is ? OP_DELETE : OP_UPDATE;
        g->count = 1;
        return hand_over(d, g, e);
    }
    g->first++;
    arena_reset(d->sink->arena);
    return true;
}

static size_t
group_rows(const struct group *g)
{
    size_t n = GROUP_CELLS / g->table->column_count;
    return n < 1 ? 1 : n > SOURCE_GROUP_ROWS ? SOURCE_GROUP_ROWS : n;
}

MUST static bool
decode_rows(struct binlog_decoder *d, struct binding *b, const struct rows_event *rows,
            struct err *e)
{
    struct group g = {
        .binding = b, .rows = rows, .table = row_plan_table(b->plan), .op = rows->op};
    bool versioned = row_plan_versioned(b->plan);
    size_t group_max = group_rows(&g);
    reserve_cells(d, group_max * g.table->column_count);
    struct reader r = reader_of(rows->rows);
    while (reader_left(&r)) {
        const uint8_t *begin = r.p;
        if (!read_change(d, &g, &r, e))
            return false;
        if (r.p == begin)
            return err_set(e, MR_SOURCE_CORRUPT, "a row without bytes");
        if (versioned ? !version_change(d, &g, e)
                      : ++g.count == group_max && !hand_over(d, &g, e))
            return false;
    }
    return g.count == 0 || hand_over(d, &g, e);
}

MUST static bool
rows_of_table(struct binlog_decoder *d, struct binding *b, struct rows_event *rows,
              struct err *e)
{
    struct table *t = row_plan_table(b->plan);
    struct err why;
    if (rows->columns != row_plan_columns(b->plan))
        return err_set(e, MR_SOURCE_CORRUPT,
                       "rows of %s.%s have %u columns, their TABLE_MAP %u", t->database,
                       t->name, (unsigned)rows->columns, row_plan_columns(b->plan));
    if (!rows_bytes(d, rows, e))
        return false;
    if (decode_rows(d, b, rows, &why))
        return true;
    if (why.class == ERR_TABLE)
        return decoder_table_failed(d, b, &why, e);
    *e = why;
    return false;
}

bool
decoder_rows(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    struct rows_event rows;
    struct binding *b;
    if (!rows_parse(ev, &rows, e))
        return false;
    if (!d->in_txn)
        return err_set(e, MR_SOURCE_CORRUPT, "rows outside of a transaction");
    if (rows.table_id != DUMMY_TABLE || d->open_count) {
        if (!decoder_binding(d, rows.table_id, &b, e))
            return false;
        if (!b && rows.table_id != DUMMY_TABLE)
            return err_set(e, MR_SOURCE_CORRUPT, "rows without a TABLE_MAP");
        if (!d->first_row_pos)
            d->first_row_pos = d->event_pos;
        if (b && b->wanted && !rows_of_table(d, b, &rows, e))
            return false;
    }
    if (rows.flags & END_OF_STATEMENT)
        d->open_count = 0;
    return true;
}
