/* Chunks: rows of a key range, read by a prepared statement, as the cells the stream gives for
 * the same rows.
 *
 * Rows: binary protocol [MySQL "Binary Protocol Resultset Row"], one arena copy per row, cells
 * borrow from it. ENUM and SET are selected as numbers. A composite key is compared in the
 * expanded form (a > ?) OR (a = ? AND b > ?), which the optimizer reads as ranges of the key;
 * texts are compared under the column's collation, as the key orders them. Without GTIDs on
 * MySQL the read locks (FOR SHARE), in a transaction of its own: it waits for writers that are
 * in the log but not yet visible.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "capture/mysql/source_private.h"
#include "capture/mysql/value.h"
#include "db/mysql_prepared.h"
#include "schema/temporal.h"
#include "schema/types_mysql.h"

#define FIRST_LIMIT 512
#define GROWTH      4
#define KEY_MAX     16
#define LOCK_TRIES  20
#define LOCK_WAIT   1205
#define DEADLOCK    1213

struct chunk_reader {
    struct table *table;
    struct mysql_prepared *stmt;
    bool has_after, has_upto, locking;
    const struct mysql_result_column *columns;
    uint64_t row_bytes; /* average of the last chunk, 0 = unknown */
    uint32_t limit;     /* of the last run */
};

void
chunk_reader_free(struct chunk_reader *r)
{
    if (!r)
        return;
    mysql_prepared_free(r->stmt);
    table_unref(r->table);
    free(r);
}

/* ---- the statement ---- */

static void
add_column(const struct column *c, struct buf *sql)
{
    bool number = c->type == COL_ENUM || c->type == COL_SET;
    buf_add_str(sql, number ? "CAST(" : "");
    mysql_quote_name(bytes_str(c->name), sql);
    buf_add_str(sql, number ? " AS UNSIGNED)" : "");
}

/* ((a < ?) OR (a = ? AND b <= ?)): each comparison but the last one strict. */
static void
add_bound(const struct table *t, const char *strict, const char *last, struct buf *sql)
{
    buf_add_byte(sql, '(');
    for (unsigned i = 0; i < t->key_count; i++) {
        buf_add_str(sql, i ? " OR (" : "(");
        for (unsigned k = 0; k <= i; k++) {
            mysql_quote_name(bytes_str(t->columns[t->key[k]].name), sql);
            buf_addf(sql, " %s ?%s",
                     k < i                   ? "="
                     : i + 1U < t->key_count ? strict
                                             : last,
                     k < i ? " AND " : "");
        }
        buf_add_byte(sql, ')');
    }
    buf_add_byte(sql, ')');
}

static const char *
key_name(const struct table *t)
{
    for (unsigned i = 0; i < t->unique_count; i++)
        if (t->uniques[i].columns == t->key)
            return t->uniques[i].name;
    return "PRIMARY";
}

static void
add_select(const struct table *t, struct buf *sql)
{
    buf_add_str(sql, "SELECT ");
    for (unsigned i = 0; i < t->column_count; i++) {
        buf_add_str(sql, i ? ", " : "");
        add_column(&t->columns[i], sql);
    }
    buf_add_str(sql, " FROM ");
    mysql_quote_table(bytes_str(t->database), bytes_str(t->name), sql);
}

static void
build_sql(const struct chunk_reader *r, const struct mysql_server *server, struct buf *sql)
{
    const struct table *t = r->table;
    add_select(t, sql);
    buf_add_str(sql, " FORCE INDEX (");
    mysql_quote_name(bytes_str(key_name(t)), sql);
    buf_add_byte(sql, ')');
    if (r->has_after || r->has_upto)
        buf_add_str(sql, " WHERE ");
    if (r->has_after)
        add_bound(t, ">", ">", sql);
    if (r->has_after && r->has_upto)
        buf_add_str(sql, " AND ");
    if (r->has_upto)
        add_bound(t, "<", "<=", sql);
    buf_add_str(sql, " ORDER BY ");
    for (unsigned i = 0; i < t->key_count; i++) {
        buf_add_str(sql, i ? ", " : "");
        mysql_quote_name(bytes_str(t->columns[t->key[i]].name), sql);
    }
    buf_add_str(sql, " LIMIT ?");
    if (r->locking)
        buf_add_str(sql, server->version >= 80000 ? " FOR SHARE" : " LOCK IN SHARE MODE");
}

MUST static bool
check_result(struct chunk_reader *r, struct err *e)
{
    unsigned n;
    r->columns = mysql_prepared_columns(r->stmt, &n);
    if (n == r->table->column_count)
        return true;
    return err_set(e, MR_SOURCE_TABLE_SCHEMA, "%u columns instead of %u", n,
                   r->table->column_count);
}

/* The statement of (table, bounds), kept while they stay. */
MUST static bool
prepare(struct source_loader *l, const struct source_chunk_request *q, struct err *e)
{
    struct chunk_reader *r = l->chunks;
    bool after = q->after != NULL, upto = q->upto != NULL;
    bool locking = l->source->info.flavor == FLAVOR_MYSQL && !atomic_load(&l->source->use_gtid);
    if (r && r->table == q->table && r->has_after == after && r->has_upto == upto &&
        r->locking == locking)
        return true;
    struct chunk_reader *fresh = mem_zalloc(sizeof(*fresh));
    *fresh = (struct chunk_reader){.has_after = after, .has_upto = upto, .locking = locking};
    if (r && r->table == q->table)
        fresh->row_bytes = r->row_bytes;
    if (r && r->table == q->table)
        fresh->limit = r->limit;
    fresh->table = table_ref((struct table *)(uintptr_t)q->table);
    chunk_reader_free(r);
    l->chunks = NULL;
    struct buf sql = {0};
    build_sql(fresh, mysql_conn_server(l->conn), &sql);
    bool ok =
        mysql_prepared_new(l->conn, buf_bytes(&sql), &fresh->stmt, e) && check_result(fresh, e);
    buf_free(&sql);
    if (ok)
        l->chunks = fresh;
    else
        chunk_reader_free(fresh);
    return ok;
}

/* ---- parameters ---- */

static struct bytes
temporal_text(const struct cell *c, struct arena *a)
{
    uint64_t packed = c->kind == CELL_TIMESTAMP ? temporal_from_epoch_us(c->v.i) : c->v.u;
    struct civil t = temporal_unpack(packed);
    if (c->kind == CELL_DATE)
        return bytes_str(arena_printf(a, "%04u-%02u-%02u", (unsigned)(c->v.u >> 9),
                                      (unsigned)(c->v.u >> 5 & 15), (unsigned)(c->v.u & 31)));
    if (c->kind != CELL_TIME)
        return bytes_str(arena_printf(a, "%04u-%02u-%02u %02u:%02u:%02u.%06u", t.year, t.month,
                                      t.day, t.hour, t.minute, t.second, t.micro));
    uint64_t us = (uint64_t)(c->v.i < 0 ? -c->v.i : c->v.i);
    return bytes_str(arena_printf(a, "%s%02u:%02u:%02u.%06u", c->v.i < 0 ? "-" : "",
                                  (unsigned)(us / 3600000000u), (unsigned)(us / 60000000 % 60),
                                  (unsigned)(us / 1000000 % 60), (unsigned)(us % 1000000)));
}

MUST static bool
param_of(const struct cell *c, struct arena *a, struct mysql_param *out, struct err *e)
{
    *out = (struct mysql_param){.kind = MYSQL_PARAM_TEXT};
    switch (c->kind) {
    case CELL_INT:
        out->kind = MYSQL_PARAM_I64;
        out->v.i = c->v.i;
        return true;
    case CELL_UINT:
    case CELL_YEAR:
    case CELL_BIT:
    case CELL_ENUM:
    case CELL_SET:
        out->kind = MYSQL_PARAM_U64;
        out->v.u = c->v.u;
        return true;
    case CELL_FLOAT:
    case CELL_DOUBLE:
        out->kind = MYSQL_PARAM_DOUBLE;
        out->v.d = c->v.d;
        return true;
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_BYTES:
        out->kind = c->kind == CELL_TEXT    ? MYSQL_PARAM_TEXT
                    : c->kind == CELL_BYTES ? MYSQL_PARAM_BINARY
                                            : MYSQL_PARAM_DECIMAL;
        out->bytes = cell_bytes(c);
        return true;
    case CELL_DATE:
    case CELL_TIME:
    case CELL_DATETIME:
    case CELL_TIMESTAMP:
        out->bytes = temporal_text(c, a);
        return true;
    default:
        return err_set(e, MR_SOURCE_TABLE_SCHEMA, "a key column holds a value of kind %u",
                       c->kind);
    }
}

MUST static bool
add_params(const struct table *t, const struct cell *key, struct arena *a,
           struct mysql_param *out, unsigned *n, struct err *e)
{
    for (unsigned i = 0; key && i < t->key_count; i++)
        for (unsigned k = 0; k <= i; k++)
            if (!param_of(&key[k], a, &out[(*n)++], e))
                return false;
    return true;
}

/* As many rows as fit in bytes_max, from what the last chunk's rows had; carefully at first. */
static uint32_t
choose_limit(const struct chunk_reader *r, const struct source_chunk_request *q)
{
    uint64_t limit = FIRST_LIMIT;
    if (r->row_bytes) {
        limit = q->bytes_max / r->row_bytes;
        if (limit > (uint64_t)r->limit * GROWTH)
            limit = (uint64_t)r->limit * GROWTH;
    }
    limit = limit < q->rows_max ? limit : q->rows_max;
    return limit ? (uint32_t)limit : 1;
}

MUST static bool
run(struct chunk_reader *r, const struct source_chunk_request *q, struct err *e)
{
    struct mysql_param params[MYSQL_PARAMS_MAX];
    unsigned n = 0;
    r->limit = choose_limit(r, q);
    if (!add_params(r->table, q->after, q->arena, params, &n, e) ||
        !add_params(r->table, q->upto, q->arena, params, &n, e))
        return false;
    params[n++] = (struct mysql_param){.kind = MYSQL_PARAM_I64, .v.i = r->limit};
    return mysql_prepared_run(r->stmt, params, n, e);
}

/* ---- values ---- */

static unsigned
integer_size(const struct mysql_result_column *m)
{
    switch (m->type) {
    case MYSQL_T_TINY:
        return 1;
    case MYSQL_T_SHORT:
    case MYSQL_T_YEAR:
        return 2;
    case MYSQL_T_LONG:
    case MYSQL_T_INT24:
        return 4;
    default:
        return 8;
    }
}

static void
read_integer(struct reader *r, const struct column *c, const struct mysql_result_column *m,
             struct cell *out)
{
    unsigned size = integer_size(m), shift = 64 - size * 8;
    uint64_t v = reader_le(r, size);
    *out = (struct cell){.kind = (uint8_t)type_mysql(c->type)->cell, .v.u = v};
    if (c->type > COL_BIGINT)
        return;
    out->kind = c->is_unsigned ? CELL_UINT : CELL_INT;
    if (!c->is_unsigned)
        out->v.i = (int64_t)(v << shift) >> shift;
}

static void
read_float(struct reader *r, const struct column *c, struct cell *out)
{
    float f;
    struct bytes b = reader_take(r, c->type == COL_FLOAT ? sizeof(f) : sizeof(double));
    if (!b.p)
        return;
    *out = (struct cell){.kind = c->type == COL_FLOAT ? CELL_FLOAT : CELL_DOUBLE};
    if (c->type == COL_FLOAT) {
        memcpy(&f, b.p, sizeof(f));
        out->v.d = f;
    } else {
        memcpy(&out->v.d, b.p, sizeof(double));
    }
}

/* ZEROFILL fills decimals up with zeros: the log does not. */
static void
read_decimal(struct reader *r, struct cell *out)
{
    struct bytes b = reader_lenenc_bytes(r);
    while (b.n > 1 && b.p[0] == '0' && b.p[1] != '.') {
        b.p++;
        b.n--;
    }
    *out = (struct cell){.kind = CELL_DECIMAL, .len = (uint32_t)b.n, .v.p = b.p};
}

/* Length 0, 4, 7 or 11: what is left out is zero. */
static uint64_t
read_packed(struct reader *r)
{
    struct reader v = reader_of(reader_take(r, reader_u8(r)));
    struct civil t = {0};
    if (reader_left(&v) >= 4) {
        t.year = (uint16_t)reader_le(&v, 2);
        t.month = reader_u8(&v);
        t.day = reader_u8(&v);
    }
    if (reader_left(&v) >= 3) {
        t.hour = reader_u8(&v);
        t.minute = reader_u8(&v);
        t.second = reader_u8(&v);
    }
    if (reader_left(&v) >= 4)
        t.micro = (uint32_t)reader_le(&v, 4);
    return temporal_pack(&t);
}

MUST static bool
read_date(struct reader *r, const struct column *c, struct cell *out)
{
    uint64_t packed = read_packed(r);
    struct civil t = temporal_unpack(packed);
    int64_t us;
    if (c->type == COL_DATE) {
        *out = (struct cell){.kind = CELL_DATE,
                             .v.u = (uint64_t)t.year << 9 | (uint64_t)t.month << 5 | t.day};
    } else if (c->type == COL_DATETIME || packed == 0) {
        *out = (struct cell){.kind = CELL_DATETIME, .dec = c->scale, .v.u = packed};
    } else {
        if (!temporal_epoch_us(packed, &us))
            return false;
        *out = (struct cell){.kind = CELL_TIMESTAMP, .dec = c->scale, .v.i = us};
    }
    return true;
}

static void
read_time(struct reader *r, const struct column *c, struct cell *out)
{
    struct reader v = reader_of(reader_take(r, reader_u8(r)));
    int64_t us = 0;
    bool negative = false;
    if (reader_left(&v) >= 8) {
        negative = reader_u8(&v);
        int64_t days = (int64_t)reader_le(&v, 4);
        int64_t hours = days * 24 + reader_u8(&v);
        int64_t minutes = hours * 60 + reader_u8(&v);
        us = (minutes * 60 + reader_u8(&v)) * 1000000;
    }
    if (reader_left(&v) >= 4)
        us += (int64_t)reader_le(&v, 4);
    *out = (struct cell){.kind = CELL_TIME, .dec = c->scale, .v.i = negative ? -us : us};
}

static void
read_bits(struct reader *r, struct cell *out)
{
    struct bytes b = reader_lenenc_bytes(r);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    *out = (struct cell){.kind = CELL_BIT, .v.u = v};
}

MUST static bool
read_string(struct reader *r, const struct column *c, struct cell *out)
{
    struct bytes b = reader_lenenc_bytes(r);
    enum cell_kind kind = type_mysql(c->type)->cell;
    *out = (struct cell){.kind = (uint8_t)kind, .len = (uint32_t)b.n, .v.p = b.p};
    return (kind != CELL_TEXT && kind != CELL_JSON) || utf8_valid(b);
}

MUST static bool
read_value(struct reader *r, const struct column *c, const struct mysql_result_column *m,
           struct cell *out)
{
    switch (c->type) {
    case COL_TINYINT:
    case COL_SMALLINT:
    case COL_MEDIUMINT:
    case COL_INT:
    case COL_BIGINT:
    case COL_YEAR:
    case COL_ENUM: /* selected as numbers */
    case COL_SET:
        read_integer(r, c, m, out);
        return true;
    case COL_FLOAT:
    case COL_DOUBLE:
        read_float(r, c, out);
        return true;
    case COL_DECIMAL:
        read_decimal(r, out);
        return true;
    case COL_DATE:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        return read_date(r, c, out);
    case COL_TIME:
        read_time(r, c, out);
        return true;
    case COL_BIT:
        read_bits(r, out);
        return true;
    default:
        return read_string(r, c, out);
    }
}

MUST static bool
read_row(const struct chunk_reader *cr, struct bytes row, struct cell *out, struct err *e)
{
    const struct table *t = cr->table;
    size_t head = mysql_binary_values(t->column_count);
    struct reader r = reader_of(row);
    reader_take(&r, head);
    for (unsigned i = 0; i < t->column_count && !r.failed; i++) {
        out[i] = (struct cell){.kind = CELL_NULL};
        if (!mysql_binary_null(row.p, i) &&
            !read_value(&r, &t->columns[i], &cr->columns[i], &out[i]))
            return err_set(e, MR_SCHEMA_CHARSET, "%s.%s, column %s: a value cannot be read",
                           t->database, t->name, t->columns[i].name);
    }
    if (!r.failed && reader_left(&r) == 0)
        return true;
    err_set(e, MR_SOURCE_TABLE_SCHEMA, "%s.%s: rows do not fit the definition", t->database,
            t->name);
    return err_reclass(e, ERR_RETRY);
}

/* Rows above the byte limit are read off the connection and left out. */
MUST static bool
read_rows(struct chunk_reader *r, const struct source_chunk_request *q,
          struct source_chunk *out, struct err *e)
{
    size_t n = r->table->column_count;
    struct cell *rows = arena_alloc(q->arena, (size_t)r->limit * n * sizeof(*rows));
    uint32_t seen = 0;
    uint64_t bytes = 0;
    bool ok = true, full = false;
    struct bytes row;
    for (;;) {
        struct err ignored;
        if (!mysql_prepared_next(r->stmt, &row, ok ? e : &ignored))
            return false;
        if (row.n == 0)
            break;
        seen++;
        bytes += row.n;
        /* Nothing behind a row that is left out, or the cursor would pass it. */
        full = full || seen > r->limit || (out->count && out->bytes + row.n > q->bytes_max);
        if (!ok || full)
            continue;
        out->bytes += row.n;
        ok = read_row(r, arena_copy(q->arena, row), &rows[out->count++ * n], e);
    }
    out->rows = rows;
    out->last = seen < r->limit && out->count == seen;
    r->row_bytes = seen ? bytes / seen + 1 : r->row_bytes;
    return ok;
}

static bool
is_integer(uint8_t type)
{
    return type == MYSQL_T_TINY || type == MYSQL_T_SHORT || type == MYSQL_T_INT24 ||
           type == MYSQL_T_LONG || type == MYSQL_T_LONGLONG || type == MYSQL_T_YEAR;
}

/* Would read_value take this result column for what it is? */
static bool
result_fits(const struct column *c, const struct mysql_result_column *m)
{
    bool moment = m->type == MYSQL_T_DATETIME || m->type == MYSQL_T_TIMESTAMP;
    switch (c->type) {
    case COL_TINYINT:
    case COL_SMALLINT:
    case COL_MEDIUMINT:
    case COL_INT:
    case COL_BIGINT:
        return is_integer(m->type) && m->type != MYSQL_T_YEAR &&
               m->is_unsigned == c->is_unsigned;
    case COL_YEAR:
    case COL_ENUM:
    case COL_SET:
        return is_integer(m->type);
    case COL_FLOAT:
        return m->type == MYSQL_T_FLOAT;
    case COL_DOUBLE:
        return m->type == MYSQL_T_DOUBLE;
    case COL_DECIMAL:
        return m->type == MYSQL_T_NEWDECIMAL;
    case COL_DATE:
        return m->type == MYSQL_T_DATE;
    case COL_DATETIME:
    case COL_TIMESTAMP:
        return moment && (m->type == MYSQL_T_TIMESTAMP) == (c->type == COL_TIMESTAMP);
    case COL_TIME:
        return m->type == MYSQL_T_TIME;
    case COL_BIT:
        return m->type == MYSQL_T_BIT;
    default:
        return m->type >= MYSQL_T_VECTOR || m->type == MYSQL_T_VARCHAR;
    }
}

MUST static bool
check_types(struct chunk_reader *r, struct err *e)
{
    const struct table *t = r->table;
    for (unsigned i = 0; i < t->column_count; i++)
        if (!result_fits(&t->columns[i], &r->columns[i]))
            return err_set(e, MR_SOURCE_TABLE_SCHEMA, "%s.%s: column %s is no longer %s",
                           t->database, t->name, t->columns[i].name, t->columns[i].source_type);
    return true;
}

MUST static bool
run_and_read(struct source_loader *l, const struct source_chunk_request *q,
             struct source_chunk *out, struct err *e)
{
    struct chunk_reader *r = l->chunks;
    if (!run(r, q, e))
        return false;
    if (check_types(r, e))
        return read_rows(r, q, out, e);
    struct bytes row = {NULL, 1};
    struct err ignored;
    while (row.n && mysql_prepared_next(r->stmt, &row, &ignored))
        ;
    return false;
}

/* A definition that no longer fits is no fault of the table: the stream will bring the new one.
 */
static bool
refit(struct source_loader *l, struct err *e)
{
    chunk_reader_free(l->chunks);
    l->chunks = NULL;
    return e->code == MR_SOURCE_TABLE_SCHEMA ? err_reclass(e, ERR_RETRY) : false;
}

MUST static bool
read_once(struct source_loader *l, const struct source_chunk_request *request,
          struct source_chunk *out, unsigned *number, struct err *e)
{
    *number = 0;
    *out = (struct source_chunk){.read_us = clock_wall_us()};
    bool locking = l->chunks->locking;
    if (locking && !mysql_conn_execf(l->conn, e, "START TRANSACTION"))
        return false;
    bool ok = run_and_read(l, request, out, e);
    *number = ok ? 0 : mysql_conn_errno(l->conn);
    struct err ignored;
    if (locking && !mysql_conn_execf(l->conn, ok ? e : &ignored, "COMMIT"))
        ok = false;
    return ok;
}

/* A deadlock with a writer, or a lock that was waited for too long: the chunk is read again. */
MUST static bool
read_patiently(struct source_loader *l, const struct source_chunk_request *request,
               struct source_chunk *out, struct err *e)
{
    unsigned number;
    for (int i = 1; i < LOCK_TRIES; i++) {
        if (read_once(l, request, out, &number, e))
            return true;
        if (!l->chunks->locking || (number != DEADLOCK && number != LOCK_WAIT))
            return false;
    }
    return read_once(l, request, out, &number, e);
}

/* ---- a table without a key ---- */

bool
chunk_reader_whole(struct mysql_conn *c, const struct table *t, struct chunk_reader **out,
                   struct err *e)
{
    struct chunk_reader *r = mem_zalloc(sizeof(*r));
    struct buf sql = {0};
    r->table = table_ref((struct table *)(uintptr_t)t);
    add_select(t, &sql);
    bool ok = mysql_prepared_new(c, buf_bytes(&sql), &r->stmt, e) && check_result(r, e) &&
              mysql_prepared_run(r->stmt, NULL, 0, e) && check_types(r, e);
    buf_free(&sql);
    *out = r;
    if (ok)
        return true;
    chunk_reader_free(r);
    *out = NULL;
    return e->code == MR_SOURCE_TABLE_SCHEMA ? err_reclass(e, ERR_RETRY) : false;
}

bool
chunk_reader_next(struct chunk_reader *r, const struct source_chunk_request *q,
                  struct source_chunk *out, struct err *e)
{
    size_t n = r->table->column_count, room = q->bytes_max / (n * sizeof(struct cell)) + 1;
    size_t max = room < q->rows_max ? room : q->rows_max;
    struct cell *rows = arena_alloc(q->arena, max * n * sizeof(*rows));
    *out = (struct source_chunk){.rows = rows, .read_us = clock_wall_us()};
    while (out->count < max && out->bytes < q->bytes_max) {
        struct bytes row;
        if (!mysql_prepared_next(r->stmt, &row, e))
            return false;
        out->last = row.n == 0;
        if (out->last)
            break;
        out->bytes += row.n;
        if (!read_row(r, arena_copy(q->arena, row), &rows[out->count++ * n], e))
            return false;
    }
    return true;
}

bool
chunk_read(struct source_loader *l, const struct source_chunk_request *request,
           struct source_chunk *out, struct err *e)
{
    const struct table *t = request->table;
    *out = (struct source_chunk){.read_us = clock_wall_us()};
    if (t->key_count == 0)
        return snapshot_chunk(l, request, out, e);
    if (t->key_count > KEY_MAX)
        return err_set(e, MR_SOURCE_NO_KEY, "%s.%s has no usable key", t->database, t->name);
    if (!prepare(l, request, e))
        return refit(l, e);
    return read_patiently(l, request, out, e) || refit(l, e);
}
