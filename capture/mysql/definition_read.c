/* A definition as information_schema tells it now: see definition.h. */
#include <stdlib.h>

#include "base/text.h"
#include "capture/mysql/definition.h"
#include "schema/types_mysql.h"

struct reading {
    struct mysql_conn *conn;
    const struct collations *collations;
    struct arena arena; /* of the queries' rows */
    struct buf where;   /* table_schema = '...' AND table_name = '...' */
    bool maria;
    bool escaped;   /* expressions, and encoded twice */
    bool versioned; /* MariaDB: WITH SYSTEM VERSIONING */
};

static struct bytes
cell(const struct mysql_rows *rows, size_t row, unsigned column)
{
    return rows->cells[row * rows->columns + column];
}

static uint64_t
number(struct bytes v)
{
    uint64_t n;
    return v.p && text_u64((const char *)v.p, &n) ? n : 0;
}

static bool
is_text(struct bytes v, const char *s)
{
    return v.n == strlen(s) && strncasecmp((const char *)v.p, s, v.n) == 0;
}

static bool
contains(struct bytes v, const char *s)
{
    return v.p && strcasestr((const char *)v.p, s);
}

static enum definition_kind
kind_of(struct bytes type)
{
    if (is_text(type, "BASE TABLE") || is_text(type, "SYSTEM VERSIONED"))
        return DEFINITION_TABLE;
    return is_text(type, "SEQUENCE") ? DEFINITION_SEQUENCE : DEFINITION_OTHER;
}

MUST static bool
read_table(struct reading *rd, enum definition_kind *kind, struct mysql_rows *rows,
           struct err *e)
{
    *kind = DEFINITION_NONE;
    if (!mysql_conn_selectf(rd->conn, &rd->arena, rows, e,
                            "SELECT table_type, table_collation, table_comment FROM "
                            "information_schema.tables WHERE %s",
                            buf_cstr(&rd->where)))
        return false;
    if (rows->rows)
        *kind = kind_of(cell(rows, 0, 0));
    rd->versioned = rows->rows && is_text(cell(rows, 0, 0), "SYSTEM VERSIONED");
    return true;
}

static bool
is_geometry(struct bytes type)
{
    static const char *const names[] = {
        "geometry",        "point",        "linestring",         "polygon",       "multipoint",
        "multilinestring", "multipolygon", "geometrycollection", "geomcollection"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (is_text(type, names[i]))
            return true;
    return false;
}

MUST static bool
type_of(struct bytes data_type, const char *column, enum column_type *out, struct err *e)
{
    if (is_geometry(data_type)) {
        *out = COL_GEOMETRY;
        return true;
    }
    if (type_by_name((const char *)data_type.p, out))
        return true;
    return err_set(e, MR_SOURCE_TYPE, "column %s: type %s is not supported", column,
                   (const char *)data_type.p);
}

/* What stands behind a backslash. */
static uint8_t
unescaped(uint8_t c)
{
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == '0' ? 0 : c;
}

/* The next label of enum('a','b''c'): quotes doubled, NUL, newline, return and backslash behind
 * a backslash. */
static struct bytes
take_label(struct reader *r, struct arena *a)
{
    uint8_t *out = arena_alloc(a, reader_left(r) + 1);
    size_t n = 0;
    while (reader_left(r) && reader_u8(r) != '\'')
        ;
    while (reader_left(r)) {
        uint8_t c = reader_u8(r);
        if (c == '\'' && (!reader_left(r) || *r->p != '\''))
            break;
        if (c == '\'')
            c = reader_u8(r);
        else if (c == '\\' && reader_left(r))
            c = unescaped(reader_u8(r));
        out[n++] = c;
    }
    return bytes_of(out, n);
}

static uint32_t
count_labels(struct bytes column_type, struct arena *scratch)
{
    uint32_t n = 0;
    struct reader r = reader_of(column_type);
    while (reader_left(&r) > 1) {
        take_label(&r, scratch);
        n++;
    }
    return n;
}

static void
set_labels(struct reading *rd, struct column *c, struct bytes column_type, struct arena *a)
{
    c->label_count = count_labels(column_type, &rd->arena);
    struct bytes *labels = arena_zalloc(a, (c->label_count + 1) * sizeof(*labels));
    struct reader r = reader_of(column_type);
    for (uint32_t i = 0; i < c->label_count; i++)
        labels[i] = arena_copy(a, take_label(&r, &rd->arena));
    c->labels = labels;
}

/* MySQL 8 and 9 give an expression's UTF-8 as if it were latin1, encoded once more (seen on
 * 8.0.31 and 9.7.4, whatever the session's character set). Text that is not such stays. */
static struct bytes
once_encoded(struct bytes text, struct arena *a)
{
    uint8_t *out = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c >= 0x80 && ((c != 0xc2 && c != 0xc3) || i + 1 == text.n))
            return text;
        out[n++] = c < 0x80 ? c : (uint8_t)(c << 6 | (text.p[++i] & 0x3f));
    }
    return text_is_utf8(bytes_of(out, n)) ? bytes_of(out, n) : text;
}

/* MySQL escapes quotes, backslashes and newlines of an expression once more, 5.7 does not. */
static const char *
expression_sql(const struct reading *rd, struct bytes expression, struct arena *a)
{
    char *text = arena_alloc(a, expression.n + 1);
    size_t n = 0;
    if (rd->escaped)
        expression = once_encoded(expression, a);
    for (size_t i = 0; i < expression.n; i++) {
        uint8_t c = expression.p[i];
        if (rd->escaped && c == '\\' && i + 1 < expression.n)
            c = unescaped(expression.p[++i]);
        text[n++] = (char)c;
    }
    text[n] = '\0';
    return text;
}

/* MariaDB gives SQL text. MySQL gives the bare value, but for expressions, which `extra` tells.
 */
static const char *
default_sql(const struct reading *rd, const struct column *c, struct bytes value,
            struct bytes extra, struct arena *a)
{
    if (!value.p)
        return NULL;
    if (rd->maria)
        return is_text(value, "NULL") ? NULL : arena_strn(a, value);
    if (contains(value, "CURRENT_TIMESTAMP"))
        return arena_strn(a, value);
    if (contains(extra, "DEFAULT_GENERATED"))
        return arena_printf(a, "(%s)", expression_sql(rd, value, a));
    if (c->type == COL_BIT ||
        (type_is_binary(c->type) && text_starts((const char *)value.p, "0x")))
        return arena_strn(a, value);
    struct buf quoted = {0};
    mysql_quote_text(value, &quoted);
    const char *sql = arena_strn(a, buf_bytes(&quoted));
    buf_free(&quoted);
    return sql;
}

static const char *
generation_sql(const struct reading *rd, struct bytes expression, struct bytes extra,
               struct arena *a)
{
    if (!expression.p)
        return NULL;
    return arena_printf(a, "GENERATED ALWAYS AS (%s) %s", expression_sql(rd, expression, a),
                        contains(extra, "VIRTUAL") ? "VIRTUAL" : "STORED");
}

enum column_field {
    F_NAME,
    F_DEFAULT,
    F_NULLABLE,
    F_DATA_TYPE,
    F_LENGTH,
    F_PRECISION,
    F_SCALE,
    F_DATETIME_PRECISION,
    F_CHARSET,
    F_COLLATION,
    F_COLUMN_TYPE,
    F_EXTRA,
    F_GENERATION,
};

static uint32_t
vector_dimensions(struct bytes column_type)
{
    const char *open = strchr((const char *)column_type.p, '(');
    return open ? (uint32_t)strtoul(open + 1, NULL, 10) : 0;
}

static void
set_sizes(struct column *c, const struct mysql_rows *rows, size_t i)
{
    uint64_t length = number(cell(rows, i, F_LENGTH));
    c->length = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    if (c->type == COL_DECIMAL) {
        c->precision = (uint8_t)number(cell(rows, i, F_PRECISION));
        c->scale = (uint8_t)number(cell(rows, i, F_SCALE));
    } else if (c->type == COL_TIME || c->type == COL_DATETIME || c->type == COL_TIMESTAMP) {
        c->scale = (uint8_t)number(cell(rows, i, F_DATETIME_PRECISION));
    } else if (c->type == COL_BIT) {
        c->length = (uint32_t)number(cell(rows, i, F_PRECISION));
    } else if (c->type == COL_VECTOR) {
        c->length = vector_dimensions(cell(rows, i, F_COLUMN_TYPE));
    } else if (!type_is_text(c->type) && !type_is_binary(c->type)) {
        c->length = 0;
    }
}

MUST static bool
read_column(struct reading *rd, const struct mysql_rows *rows, size_t i, struct table *t,
            struct err *e)
{
    struct column *c = &t->columns[t->column_count++];
    struct arena *a = &t->arena;
    struct bytes extra = cell(rows, i, F_EXTRA), column_type = cell(rows, i, F_COLUMN_TYPE);
    c->name = arena_strn(a, cell(rows, i, F_NAME));
    if (!type_of(cell(rows, i, F_DATA_TYPE), c->name, &c->type, e))
        return false;
    c->is_unsigned = contains(column_type, "unsigned");
    c->nullable = is_text(cell(rows, i, F_NULLABLE), "YES");
    c->generated = contains(extra, "VIRTUAL") || contains(extra, "STORED GENERATED") ||
                   contains(extra, "PERSISTENT");
    c->invisible = contains(extra, "INVISIBLE");
    c->source_type = arena_strn(a, column_type);
    set_sizes(c, rows, i);
    bool has_charset = type_is_text(c->type) || c->type == COL_ENUM || c->type == COL_SET;
    if (has_charset && cell(rows, i, F_CHARSET).p) {
        c->charset = arena_strn(a, cell(rows, i, F_CHARSET));
        c->collation = arena_strn(a, cell(rows, i, F_COLLATION));
    }
    if (c->type == COL_ENUM || c->type == COL_SET)
        set_labels(rd, c, column_type, a);
    c->default_sql = c->generated ? generation_sql(rd, cell(rows, i, F_GENERATION), extra, a)
                                  : default_sql(rd, c, cell(rows, i, F_DEFAULT), extra, a);
    return type_check(c, e);
}

/* MariaDB's JSON is LONGTEXT with a CHECK of json_valid() on the column. */
MUST static bool
find_maria_json(struct reading *rd, struct table *t, struct err *e)
{
    struct mysql_rows rows;
    bool longtext = false;
    for (unsigned i = 0; i < t->column_count; i++)
        longtext = longtext || t->columns[i].type == COL_LONGTEXT;
    if (!rd->maria || !longtext)
        return true;
    if (!mysql_conn_selectf(
            rd->conn, &rd->arena, &rows, e,
            "SELECT check_clause FROM (SELECT constraint_schema AS table_schema, "
            "table_name, check_clause FROM information_schema.check_constraints) k "
            "WHERE %s",
            buf_cstr(&rd->where)))
        return false;
    for (size_t r = 0; r < rows.rows; r++)
        for (unsigned i = 0; i < t->column_count; i++) {
            struct column *c = &t->columns[i];
            const char *clause = arena_printf(&rd->arena, "json_valid(`%s`)", c->name);
            if (c->type == COL_LONGTEXT && bytes_eq(cell(&rows, r, 0), bytes_str(clause)))
                c->type = COL_JSON;
        }
    return true;
}

/* The columns of the period, when they were declared; else two that are not shown, the last of
 * a row. *is true: row i is one of them. */
MUST static bool
read_period(const struct mysql_rows *rows, size_t i, struct table *t, bool *is, struct err *e)
{
    struct bytes generation = cell(rows, i, F_GENERATION);
    bool start = is_text(generation, "ROW START"), end = is_text(generation, "ROW END");
    *is = start || end;
    if (*is && !is_text(cell(rows, i, F_DATA_TYPE), "timestamp"))
        return err_set(e, MR_SOURCE_TYPE,
                       "system versioning by transaction number: it is logged as statements");
    const char *name = *is ? arena_strn(&t->arena, cell(rows, i, F_NAME)) : NULL;
    if (start) {
        t->period_start = name;
        t->period_start_at = (uint16_t)(i + 1);
    } else if (end) {
        t->period_end = name;
        t->period_end_at = (uint16_t)(i + 1);
    }
    return true;
}

static void
hidden_period(struct table *t)
{
    if (t->period_end)
        return;
    t->period_start = arena_strdup(&t->arena, "row_start");
    t->period_end = arena_strdup(&t->arena, "row_end");
    t->period_start_at = (uint16_t)(t->column_count + 1);
    t->period_end_at = (uint16_t)(t->column_count + 2);
}

MUST static bool
read_columns(struct reading *rd, struct table *t, struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(
            rd->conn, &rd->arena, &rows, e,
            "SELECT c.column_name, c.column_default, c.is_nullable, c.data_type, "
            "c.character_maximum_length, "
            "c.numeric_precision, c.numeric_scale, c.datetime_precision, c.character_set_name, "
            "c.collation_name, c.column_type, c.extra, c.generation_expression "
            "FROM information_schema.columns c WHERE %s ORDER BY c.ordinal_position",
            buf_cstr(&rd->where)))
        return false;
    if (rows.rows == 0 || rows.rows > BINLOG_COLUMNS_MAX)
        return err_set(e, MR_SOURCE_TABLE_SCHEMA, "%zu columns", rows.rows);
    t->columns = arena_zalloc(&t->arena, rows.rows * sizeof(*t->columns));
    for (size_t i = 0; i < rows.rows; i++) {
        bool period = false;
        if (rd->versioned && !read_period(&rows, i, t, &period, e))
            return false;
        if (!period && !read_column(rd, &rows, i, t, e))
            return false;
    }
    if (rd->versioned)
        hidden_period(t);
    return find_maria_json(rd, t, e);
}

/* Rows [begin, end) are the parts of one index. Left out: one with a part that is no column (an
 * expression). */
static void
read_unique(const struct mysql_rows *rows, size_t begin, size_t end, struct table *t)
{
    size_t n = 0;
    struct unique_key *u = &t->uniques[t->unique_count];
    uint16_t *columns = arena_zalloc(&t->arena, (end - begin) * sizeof(*columns));
    uint32_t *prefixes = arena_zalloc(&t->arena, (end - begin) * sizeof(*prefixes));
    for (size_t i = begin; i < end; i++) {
        struct bytes name = cell(rows, i, 1);
        if (name.p && t->period_end && bytes_eq(name, bytes_str(t->period_end)))
            continue; /* current rows are unique without it */
        int at = name.p ? table_column_find(t, name) : -1;
        if (at < 0)
            return;
        columns[n] = (uint16_t)at;
        prefixes[n++] = (uint32_t)number(cell(rows, i, 2));
    }
    *u = (struct unique_key){
        .name = arena_strn(&t->arena, cell(rows, begin, 0)),
        .columns = columns,
        .prefixes = prefixes,
        .column_count = (uint16_t)n,
    };
    t->unique_count++;
}

MUST static bool
read_uniques(struct reading *rd, struct table *t, struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(
            rd->conn, &rd->arena, &rows, e,
            "SELECT index_name, column_name, sub_part FROM information_schema.statistics WHERE "
            "%s "
            "AND non_unique = 0 ORDER BY index_name = 'PRIMARY' DESC, index_name, seq_in_index",
            buf_cstr(&rd->where)))
        return false;
    t->uniques = arena_zalloc(&t->arena, (rows.rows + 1) * sizeof(*t->uniques));
    for (size_t i = 0, end; i < rows.rows; i = end) {
        for (end = i + 1; end < rows.rows && bytes_eq(cell(&rows, end, 0), cell(&rows, i, 0));
             end++)
            ;
        read_unique(&rows, i, end, t);
    }
    return true;
}

static void
set_table_facts(struct reading *rd, const struct mysql_rows *rows, struct table *t)
{
    struct bytes collation = cell(rows, 0, 1);
    t->flavor = rd->maria ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    t->comment = arena_strn(&t->arena, cell(rows, 0, 2));
    t->collation = collation.p ? arena_strn(&t->arena, collation) : NULL;
    for (unsigned i = 0; t->collation && i < rd->collations->len; i++) {
        const struct collation *c = collations_get(rd->collations, i);
        if (c && strcmp(c->name, t->collation) == 0)
            t->charset = arena_strdup(&t->arena, c->charset);
    }
}

MUST static bool
read_all(struct reading *rd, const struct source_name *name, enum definition_kind *kind,
         struct table **out, struct err *e)
{
    struct mysql_rows facts;
    if (!read_table(rd, kind, &facts, e))
        return false;
    if (*kind != DEFINITION_TABLE)
        return true;
    struct table *t =
        table_new(arena_strn(&rd->arena, name->database), arena_strn(&rd->arena, name->table));
    set_table_facts(rd, &facts, t);
    if (!read_columns(rd, t, e) || !read_uniques(rd, t, e)) {
        table_unref(t);
        return err_wrap(e, "definition of %.*s.%.*s", (int)name->database.n,
                        (const char *)name->database.p, (int)name->table.n,
                        (const char *)name->table.p);
    }
    table_seal(t);
    *out = t;
    return true;
}

bool
definition_read(struct mysql_conn *c, const struct collations *cs,
                const struct source_name *name, enum definition_kind *kind, struct table **out,
                struct err *e)
{
    const struct mysql_server *server = mysql_conn_server(c);
    struct reading rd = {
        .conn = c,
        .collations = cs,
        .maria = server->flavor == MYSQL_FLAVOR_MARIADB,
        .escaped = server->flavor == MYSQL_FLAVOR_MYSQL && server->version >= 80000,
    };
    *out = NULL;
    arena_init(&rd.arena, 0);
    buf_add_str(&rd.where, "table_schema = ");
    mysql_quote_text(name->database, &rd.where);
    buf_add_str(&rd.where, " AND table_name = ");
    mysql_quote_text(name->table, &rd.where);
    bool ok = read_all(&rd, name, kind, out, e);
    buf_free(&rd.where);
    arena_free(&rd.arena);
    return ok;
}
