/* A target table as information_schema tells it, as far as schema/target_ddl_mysql.h compares:
 * columns, types, unique keys. Thread: the lane's.
 */
#include "apply/mysql/target.h"

#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "schema/types_mysql.h"

enum field {
    F_NAME,
    F_HAS_DEFAULT,
    F_NULLABLE,
    F_DATA_TYPE,
    F_LENGTH,
    F_PRECISION,
    F_SCALE,
    F_FRACTION,
    F_CHARSET,
    F_COLLATION,
    F_COLUMN_TYPE,
    F_EXTRA,
};

static const char columns_sql[] =
    "SELECT column_name, column_default IS NOT NULL OR extra LIKE '%%auto_increment%%', "
    "is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, "
    "datetime_precision, character_set_name, collation_name, column_type, extra FROM "
    "information_schema.columns WHERE %s ORDER BY ordinal_position";

static struct bytes
cell(const struct mysql_rows *rows, size_t row, unsigned column)
{
    return rows->cells[row * rows->columns + column];
}

static uint64_t
number(struct bytes v)
{
    struct err e = {0};
    uint64_t n = 0;
    return v.p && target_cell_u64(v, &n, &e) ? n : 0;
}

static bool
is_word(struct bytes v, const char *word)
{
    return v.n == strlen(word) && !strncasecmp((const char *)v.p, word, v.n);
}

static bool
has_word(struct bytes v, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= v.n; i++)
        if (!strncasecmp((const char *)v.p + i, word, n))
            return true;
    return false;
}

static bool
is_geometry(struct bytes type)
{
    return has_word(type, "geom") || has_word(type, "point") || has_word(type, "linestring") ||
           has_word(type, "polygon");
}

/* The byte that stands behind a backslash in a column type. */
static uint8_t
unescaped(uint8_t c)
{
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == '0' ? 0 : c;
}

/* The labels of enum('a','b''c'). */
static void
read_labels(struct bytes type, struct column *c, struct arena *a)
{
    struct bytes *labels = arena_zalloc(a, (type.n / 2 + 1) * sizeof *labels);
    uint8_t *out = arena_alloc(a, type.n + 1);
    size_t at = 0;
    while (at < type.n) {
        while (at < type.n && type.p[at] != '\'')
            at++;
        if (at++ >= type.n)
            break;
        uint8_t *begin = out;
        for (; at < type.n; at++) {
            if (type.p[at] == '\'' && (at + 1 == type.n || type.p[at + 1] != '\''))
                break;
            bool escape = type.p[at] == '\\' && at + 1 < type.n;
            at += escape || type.p[at] == '\'';
            *out++ = escape ? unescaped(type.p[at]) : type.p[at];
        }
        at++;
        labels[c->label_count++] = bytes_of(begin, (size_t)(out - begin));
    }
    c->labels = labels;
}

static void
read_sizes(const struct mysql_rows *r, size_t i, struct column *c)
{
    uint64_t length = number(cell(r, i, F_LENGTH));
    bool text = type_is_text(c->type) || type_is_binary(c->type);
    c->length = text ? (uint32_t)(length > UINT32_MAX ? UINT32_MAX : length) : 0;
    if (c->type == COL_DECIMAL) {
        c->precision = (uint8_t)number(cell(r, i, F_PRECISION));
        c->scale = (uint8_t)number(cell(r, i, F_SCALE));
    } else if (c->type == COL_TIME || c->type == COL_DATETIME || c->type == COL_TIMESTAMP) {
        c->scale = (uint8_t)number(cell(r, i, F_FRACTION));
    } else if (c->type == COL_BIT) {
        c->length = (uint32_t)number(cell(r, i, F_PRECISION));
    } else if (c->type == COL_VECTOR) {
        struct bytes t = cell(r, i, F_COLUMN_TYPE);
        const uint8_t *open = memchr(t.p, '(', t.n);
        c->length = open ? (uint32_t)strtoul((const char *)open + 1, NULL, 10) : 0;
    }
}

MUST static bool
read_column(const struct mysql_rows *r, size_t i, struct table *t, struct err *e)
{
    struct column *c = t->columns + i;
    struct arena *a = &t->arena;
    struct bytes type = cell(r, i, F_DATA_TYPE), extra = cell(r, i, F_EXTRA);
    c->name = arena_strn(a, cell(r, i, F_NAME));
    if (is_geometry(type))
        c->type = COL_GEOMETRY;
    else if (!type_by_name(arena_strn(a, type), &c->type))
        return err_set(e, MR_TARGET_SHAPE, "column %s has a type that is not supported",
                       c->name);
    c->is_unsigned = has_word(cell(r, i, F_COLUMN_TYPE), "unsigned");
    c->nullable = is_word(cell(r, i, F_NULLABLE), "YES");
    c->generated = has_word(extra, "VIRTUAL") || has_word(extra, "STORED") ||
                   has_word(extra, "PERSISTENT");
    c->source_type = arena_strn(a, cell(r, i, F_COLUMN_TYPE));
    if (is_word(cell(r, i, F_HAS_DEFAULT), "1"))
        c->default_sql = "DEFAULT";
    read_sizes(r, i, c);
    bool labels = c->type == COL_ENUM || c->type == COL_SET;
    if ((labels || type_is_text(c->type)) && cell(r, i, F_CHARSET).p) {
        c->charset = arena_strn(a, cell(r, i, F_CHARSET));
        c->collation = arena_strn(a, cell(r, i, F_COLLATION));
    }
    if (labels)
        read_labels(cell(r, i, F_COLUMN_TYPE), c, a);
    return true;
}

MUST static bool
read_columns(struct mysql_conn *c, const char *where, struct arena *a, struct table *t,
             struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(c, a, &rows, e, columns_sql, where))
        return false;
    t->column_count = (uint16_t)rows.rows;
    t->columns = arena_zalloc(&t->arena, (rows.rows + 1) * sizeof *t->columns);
    for (size_t i = 0; i < rows.rows; i++)
        if (!read_column(&rows, i, t, e))
            return false;
    return true;
}

/* Rows [begin, end) are one index; one with an expression is kept without columns. */
static void
read_key(const struct mysql_rows *rows, size_t begin, size_t end, struct table *t)
{
    size_t n = end - begin;
    uint16_t *columns = arena_zalloc(&t->arena, n * sizeof *columns);
    uint32_t *prefixes = arena_zalloc(&t->arena, n * sizeof *prefixes);
    struct unique_key *u = t->uniques + t->unique_count++;
    *u = (struct unique_key){.name = arena_strn(&t->arena, cell(rows, begin, 0)),
                             .columns = columns,
                             .prefixes = prefixes};
    for (size_t i = 0; i < n; i++) {
        struct bytes name = cell(rows, begin + i, 1);
        int at = name.p ? table_column_find(t, name) : -1;
        if (at < 0) {
            u->column_count = 0;
            return;
        }
        columns[i] = (uint16_t)at;
        prefixes[i] = (uint32_t)number(cell(rows, begin + i, 2));
        u->column_count++;
    }
}

MUST static bool
read_keys(struct mysql_conn *c, const char *where, struct arena *a, struct table *t,
          struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(
            c, a, &rows, e,
            "SELECT index_name, column_name, sub_part FROM "
            "information_schema.statistics WHERE %s AND non_unique = 0 ORDER BY "
            "index_name = 'PRIMARY' DESC, index_name, seq_in_index",
            where))
        return false;
    t->uniques = arena_zalloc(&t->arena, (rows.rows + 1) * sizeof *t->uniques);
    for (size_t i = 0, end; i < rows.rows; i = end) {
        end = i + 1;
        while (end < rows.rows && bytes_eq(cell(&rows, end, 0), cell(&rows, i, 0)))
            end++;
        read_key(&rows, i, end, t);
    }
    return true;
}

bool
shape_read(struct mysql_conn *c, const char *db, const char *name, struct table **out,
           struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct buf where = {0};
    buf_add_str(&where, "table_schema = ");
    mysql_quote_text(bytes_str(db), &where);
    buf_add_str(&where, " AND table_name = ");
    mysql_quote_text(bytes_str(name), &where);
    struct table *t = table_new(db, name);
    t->flavor =
        mysql_conn_server(c)->flavor == MYSQL_FLAVOR_MARIADB ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    bool ok =
        read_columns(c, buf_cstr(&where), &a, t, e) && read_keys(c, buf_cstr(&where), &a, t, e);
    buf_free(&where);
    arena_free(&a);
    *out = NULL;
    if (ok && t->column_count) {
        table_seal(t);
        *out = t;
        return true;
    }
    table_unref(t);
    return ok;
}
