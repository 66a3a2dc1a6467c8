/* Rows as SQL: DELETE by lists of keys, multi-row INSERT, with or without ON DUPLICATE KEY
 * UPDATE.
 *
 * A statement holds at most TARGET_ROWS_PER_STATEMENT rows and sink.statement_max bytes; a row
 * above that goes alone. Generated columns are not written. Rows with an invalid ENUM value go
 * in statements of their own, without strict mode: nothing else writes them; a rollback
 * restores the mode. MariaDB (10.11, 11.8) compares the rows of (a,b) IN ((..),(..)) byte by
 * byte, whatever their character sets: where a key has text of another one than ASCII and
 * UTF-8, its rows are named by a=.. AND b=.. instead. Key columns are left out of the update
 * list: they are equal, as far as the target's collation tells.
 *
 * Failpoints: apply.statement.before, apply.statement.after. Thread: the lane's.
 */
#include "apply/mysql/target.h"

#include <inttypes.h>

#include "base/fault.h"
#include "schema/sql_literal.h"
#include "schema/temporal.h"

static void
add_name(struct buf *out, const char *name)
{
    mysql_quote_name(bytes_str(name), out);
}

/* a, b, c of the columns that are written. */
static void
add_columns(const struct table *t, struct buf *out)
{
    bool first = true;
    for (uint16_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated)
            continue;
        if (!first)
            buf_add_byte(out, ',');
        add_name(out, t->columns[i].name);
        first = false;
    }
    for (size_t i = 0; t->rows == TABLE_APPEND && i < ARRAY_LEN(ddl_log_columns); i++) {
        buf_add_byte(out, ',');
        add_name(out, ddl_log_columns[i].name);
    }
}

static void
add_assignment(const struct sink_lane *l, const char *name, struct buf *out)
{
    add_name(out, name);
    if (l->sink->row_alias) {
        buf_add_str(out, "=new.");
        add_name(out, name);
        return;
    }
    buf_add_str(out, "=VALUES(");
    add_name(out, name);
    buf_add_byte(out, ')');
}

/* The tail of an upsert. */
static void
add_update(const struct sink_lane *l, const struct table *t, struct buf *out)
{
    buf_add_str(out, l->sink->row_alias ? " AS new ON DUPLICATE KEY UPDATE "
                                        : " ON DUPLICATE KEY UPDATE ");
    bool first = true;
    for (uint16_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated || t->columns[i].key_at)
            continue;
        if (!first)
            buf_add_byte(out, ',');
        add_assignment(l, t->columns[i].name, out);
        first = false;
    }
    if (first)
        add_assignment(l, t->columns[t->key[0]].name, out);
}

MUST static bool
flush(struct sink_lane *l, const char *tail, size_t rows, struct err *e)
{
    if (!rows)
        return true;
    buf_add_str(&l->sql, tail);
    FAULT("apply.statement.before");
    if (!session_exec(l, NULL, e))
        return false;
    FAULT("apply.statement.after");
    return true;
}

typedef void
add_row_fn(const struct table *t, const struct cell *row, const struct sink_change *change,
           struct buf *out);

/* How a part becomes statements: head row,row,... tail. */
struct list {
    struct bytes head;
    const char *between; /* NULL: a comma */
    const char *tail;
    add_row_fn *add_row;
    bool lenient; /* the rows that need it, or the others */
};

static bool
needs_lenient(const struct table *t, const struct cell *row)
{
    for (uint16_t i = 0; i < t->column_count; i++)
        if (t->columns[i].type == COL_ENUM && !t->columns[i].generated &&
            sql_needs_lenient(t->columns + i, row + i))
            return true;
    return false;
}

static void
put_row(struct sink_lane *l, const struct list *s, const struct sink_part *p, size_t i,
        size_t rows)
{
    if (rows) {
        buf_add_str(&l->sql, s->between ? s->between : ",");
    } else {
        buf_reset(&l->sql);
        buf_add_bytes(&l->sql, s->head);
    }
    s->add_row(p->version, p->rows[i], p->changes ? p->changes + i : NULL, &l->sql);
}

MUST static bool
write_list(struct sink_lane *l, const struct sink_part *p, const struct list *s, struct err *e)
{
    size_t rows = 0, room = l->sink->statement_max, tail_len = strlen(s->tail);
    for (size_t i = 0; i < p->n; i++) {
        if (p->op != SINK_DELETE && needs_lenient(p->version, p->rows[i]) != s->lenient)
            continue;
        size_t before = l->sql.n;
        put_row(l, s, p, i, rows);
        if (rows && l->sql.n + tail_len > room && !l->sql.failed) {
            l->sql.n = before;
            if (!flush(l, s->tail, rows, e))
                return false;
            rows = 0;
            put_row(l, s, p, i, rows);
        }
        if (++rows < TARGET_ROWS_PER_STATEMENT)
            continue;
        if (!flush(l, s->tail, rows, e))
            return false;
        rows = 0;
    }
    return flush(l, s->tail, rows, e);
}

/* The values of ddl_log_columns. */
static void
add_change(const struct sink_change *c, struct buf *out)
{
    struct civil t = temporal_unpack(temporal_from_epoch_us((int64_t)c->commit_us));
    buf_addf(out, ",'%c',%" PRIu64 ",'%04u-%02u-%02u %02u:%02u:%02u.%06u'", c->op, c->seq,
             t.year, t.month, t.day, t.hour, t.minute, t.second, t.micro);
}

static void
add_values(const struct table *t, const struct cell *row, const struct sink_change *change,
           struct buf *out)
{
    buf_add_byte(out, '(');
    bool first = true;
    for (uint16_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated)
            continue;
        if (!first)
            buf_add_byte(out, ',');
        sql_literal(t->columns + i, row + i, out);
        first = false;
    }
    if (t->rows == TABLE_APPEND && change)
        add_change(change, out);
    buf_add_byte(out, ')');
}

static void
add_key(const struct table *t, const struct cell *row, const struct sink_change *change,
        struct buf *out)
{
    (void)change;
    if (t->key_count > 1)
        buf_add_byte(out, '(');
    for (uint16_t i = 0; i < t->key_count; i++) {
        if (i)
            buf_add_byte(out, ',');
        sql_literal(t->columns + t->key[i], row + t->key[i], out);
    }
    if (t->key_count > 1)
        buf_add_byte(out, ')');
}

static void
add_key_equal(const struct table *t, const struct cell *row, const struct sink_change *change,
              struct buf *out)
{
    (void)change;
    for (uint16_t i = 0; i < t->key_count; i++) {
        const struct column *c = t->columns + t->key[i];
        buf_add_str(out, i ? " AND " : "(");
        add_name(out, c->name);
        buf_add_byte(out, '=');
        sql_literal(c, row + t->key[i], out);
    }
    buf_add_byte(out, ')');
}

static bool
compares_bytes(const struct sink_lane *l, const struct table *t)
{
    if (!l->sink->maria || t->key_count < 2)
        return false;
    for (uint16_t i = 0; i < t->key_count; i++) {
        const char *charset = t->columns[t->key[i]].charset;
        if (charset && strncmp(charset, "utf8", 4) != 0 && strcmp(charset, "ascii") != 0)
            return true;
    }
    return false;
}

MUST static bool
delete_rows(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    const struct table *t = p->version;
    struct buf *head = &l->cols;
    buf_reset(head);
    buf_add_str(head, "DELETE FROM ");
    mysql_quote_table(bytes_str(p->db), bytes_str(p->table), head);
    if (compares_bytes(l, t)) {
        buf_add_str(head, " WHERE ");
        struct list each = {
            .head = buf_bytes(head), .between = " OR ", .tail = "", .add_row = add_key_equal};
        return write_list(l, p, &each, e);
    }
    buf_add_str(head, t->key_count > 1 ? " WHERE (" : " WHERE ");
    for (uint16_t i = 0; i < t->key_count; i++) {
        if (i)
            buf_add_byte(head, ',');
        add_name(head, t->columns[t->key[i]].name);
    }
    buf_add_str(head, t->key_count > 1 ? ") IN (" : " IN (");
    struct list s = {.head = buf_bytes(head), .tail = ")", .add_row = add_key};
    return write_list(l, p, &s, e);
}

/* Rows with an invalid ENUM value, which strict mode refuses in every form. */
MUST static bool
write_lenient(struct sink_lane *l, const struct sink_part *p, struct list *s, struct err *e)
{
    bool any = false;
    for (size_t i = 0; i < p->n && !any; i++)
        any = needs_lenient(p->version, p->rows[i]);
    if (!any)
        return true;
    s->lenient = true;
    return mysql_conn_execf(l->conn, e, "SET SESSION sql_mode = '" TARGET_SQL_MODE "'") &&
           write_list(l, p, s, e) &&
           mysql_conn_execf(l->conn, e,
                            "SET SESSION sql_mode = 'STRICT_ALL_TABLES," TARGET_SQL_MODE "'");
}

MUST static bool
insert_rows(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    struct buf *head = &l->cols;
    buf_reset(head);
    buf_add_str(head, "INSERT INTO ");
    mysql_quote_table(bytes_str(p->db), bytes_str(p->table), head);
    buf_add_str(head, " (");
    add_columns(p->version, head);
    buf_add_str(head, ") VALUES ");
    struct buf tail = {0};
    if (p->op == SINK_UPSERT)
        add_update(l, p->version, &tail);
    struct list s = {.head = buf_bytes(head), .tail = buf_cstr(&tail), .add_row = add_values};
    bool ok = write_list(l, p, &s, e) && write_lenient(l, p, &s, e);
    buf_free(&tail);
    return ok;
}

bool
rows_write(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    if (!p->n)
        return true;
    if (!p->version->key_count)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s has no key", p->db, p->table);
    if (!l->conn)
        return err_set(e, MR_TARGET_UNREACHABLE, "the connection was lost");
    bool ok, multiset = p->version->rows == TABLE_MULTISET;
    if (p->op == SINK_LOAD)
        ok = bulk_write(l, p, e);
    else if (p->op == SINK_DELETE)
        ok = multiset ? multiset_delete(l, p, e) : delete_rows(l, p, e);
    else
        ok = insert_rows(l, p, e);
    return ok || err_wrap(e, "%s.%s", p->db, p->table);
}
