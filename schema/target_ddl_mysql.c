/* CREATE TABLE and ALTER TABLE text for targets of the MySQL family. */
#include "schema/target_ddl_mysql.h"

#include <stdio.h>

#include "base/text.h"
#include "schema/sql_literal.h"
#include "schema/types_mysql.h"

#define VECTOR_SHORT 250 /* floats that fit in a row beside other columns */

const struct ddl_log_column ddl_log_columns[3] = {
    {"_op", "char(1) character set ascii"},
    {"_seq", "bigint unsigned"},
    {"_commit_ts", "datetime(6)"},
};

/* Where text goes and what it is for. */
struct writer {
    const struct ddl_target *to;
    enum source_flavor source;
    struct buf *sql;
    struct buf *notes;
};

static void
note(const struct writer *w, const char *column, const char *what)
{
    if (w->notes)
        buf_addf(w->notes, "column %s: %s\n", column, what);
}

/* ---- collations ---- */

static bool
list_has(const struct ddl_target *to, const char *name)
{
    for (size_t i = 0; i < to->collation_count; i++)
        if (text_same(to->collations[i], name))
            return true;
    return false;
}

static bool
is_marked(const char *collation)
{
    return strstr(collation, "_0900_") || strstr(collation, "uca1400") ||
           strstr(collation, "nopad");
}

static bool
target_has(const struct writer *w, const char *collation)
{
    if (w->to->collations)
        return list_has(w->to, collation);
    return w->to->flavor == w->source || !is_marked(collation);
}

/* utf8 and utf8mb3 are one character set under two names. */
static const char *
other_name(const char *collation, char out[96])
{
    if (strncmp(collation, "utf8_", 5) == 0)
        snprintf(out, 96, "utf8mb3_%.80s", collation + 5);
    else if (strncmp(collation, "utf8mb3_", 8) == 0)
        snprintf(out, 96, "utf8_%.80s", collation + 8);
    else
        return NULL;
    return out;
}

static const char *
fallback_collation(const struct writer *w)
{
    return w->to->flavor == FLAVOR_MARIADB ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
}

/* The collation to use; its character set is the part before the first underscore. */
static const char *
map_collation(const struct writer *w, const char *collation, char out[96])
{
    if (target_has(w, collation))
        return collation;
    const char *other = other_name(collation, out);
    if (other && target_has(w, other))
        return other;
    return fallback_collation(w);
}

static void
add_collation(const struct writer *w, const struct column *c)
{
    char other[96];
    if (!c->collation || c->type == COL_JSON)
        return;
    const char *collation = map_collation(w, c->collation, other);
    if (strcmp(collation, fallback_collation(w)) == 0 && strcmp(collation, c->collation) != 0) {
        note(w, c->name, "the target lacks its collation; binary comparison instead");
        buf_addf(w->sql, " character set utf8mb4 collate %s", collation);
        return;
    }
    bool same = strcmp(collation, c->collation) == 0;
    buf_add_str(w->sql, " character set ");
    if (same && c->charset)
        buf_add_str(w->sql, c->charset);
    else
        buf_add(w->sql, collation, strcspn(collation, "_"));
    buf_addf(w->sql, " collate %s", collation);
}

/* ---- types ---- */

static bool
geometry_name(const char *source_type, struct buf *out)
{
    static const char *const names[][2] = {
        {"point", "point"},
        {"linestring", "linestring"},
        {"polygon", "polygon"},
        {"multipoint", "multipoint"},
        {"multilinestring", "multilinestring"},
        {"multipolygon", "multipolygon"},
        {"geometrycollection", "geometrycollection"},
        {"geomcollection", "geometrycollection"},
    };
    size_t n = source_type ? strcspn(source_type, " (") : 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (n == strlen(names[i][0]) && strncmp(source_type, names[i][0], n) == 0) {
            buf_add_str(out, names[i][1]);
            return true;
        }
    }
    return false;
}

static void
add_labels(const struct column *c, struct buf *out)
{
    for (uint32_t i = 0; i < c->label_count; i++) {
        if (i)
            buf_add_byte(out, ',');
        sql_text(c->labels[i], out);
    }
}

static void
add_template(const struct column *c, const char *template, struct buf *out)
{
    for (const char *s = template; *s; s++) {
        if (*s != '%') {
            buf_add_byte(out, (uint8_t)*s);
            continue;
        }
        switch (*++s) {
        case 'n':
            buf_addf(out, "%u", c->length);
            break;
        case 'p':
            buf_addf(out, "%u", c->precision);
            break;
        case 's':
            buf_addf(out, "%u", c->scale);
            break;
        case 'f':
            if (c->scale)
                buf_addf(out, "(%u)", c->scale);
            break;
        default:
            add_labels(c, out);
        }
    }
}

/* "int(9) unsigned zerofill" of the source: the width is part of how values are shown. */
static bool
add_zerofill(const struct column *c, struct buf *out)
{
    const char *text = c->source_type, *open = text ? strchr(text, '(') : NULL;
    if (!open || !type_is_integer(c->type) || !strstr(text, "zerofill"))
        return false;
    buf_add_str(out, open);
    return true;
}

void
ddl_type_text(const struct column *c, enum source_flavor flavor, struct buf *out)
{
    const struct type_mysql *t = type_mysql(c->type);
    if (c->type == COL_GEOMETRY && geometry_name(c->source_type, out))
        return;
    add_template(c, flavor == FLAVOR_MARIADB ? t->mariadb : t->mysql, out);
    if (add_zerofill(c, out))
        return;
    if (c->is_unsigned)
        buf_add_str(out, " unsigned");
}

/* The type at the target. */
static void
add_type(const struct writer *w, const struct column *c)
{
    if (c->type != COL_VECTOR || !w->to->lacks_vector) {
        ddl_type_text(c, w->to->flavor, w->sql);
        return;
    }
    note(w, c->name, "the target lacks VECTOR: kept as bytes, float32 little-endian");
    if (c->length <= VECTOR_SHORT)
        buf_addf(w->sql, "varbinary(%u)", c->length * 4);
    else
        buf_add_str(w->sql, "mediumblob");
}

/* ---- defaults ---- */

static bool
is_current_timestamp(const char *sql)
{
    return text_starts(sql, "CURRENT_TIMESTAMP") || text_starts(sql, "current_timestamp");
}

/* A quoted text, number, NULL, b'..' or x'..'. */
static bool
is_constant(const char *sql)
{
    if (text_same(sql, "NULL"))
        return true;
    if (*sql == '\'' || ((*sql == 'b' || *sql == 'x') && sql[1] == '\''))
        return strlen(sql) > 1 && sql[strlen(sql) - 1] == '\'';
    size_t sign = *sql == '-';
    return sql[sign] && strspn(sql + sign, "0123456789.eE+-") == strlen(sql + sign);
}

static const char *
default_text(const struct column *c)
{
    const char *sql = c->default_sql;
    if (!sql || c->generated)
        return NULL;
    if (strlen(sql) > 8 && (text_starts(sql, "DEFAULT ") || text_starts(sql, "default ")))
        sql += 8;
    /* MySQL's information_schema ends binary defaults at their first NUL. */
    return strcmp(sql, "0x") == 0 ? NULL : sql;
}

/* MySQL gives these no constant default. */
static bool
is_large(const struct column *c)
{
    return (c->type >= COL_TINYTEXT && c->type <= COL_LONGTEXT) ||
           (c->type >= COL_TINYBLOB && c->type <= COL_LONGBLOB) ||
           (c->type >= COL_JSON && c->type <= COL_VECTOR);
}

static bool
takes_default(const struct writer *w, const struct column *c, const char *sql)
{
    if (w->to->flavor == w->source)
        return true;
    return !is_large(c) && (is_constant(sql) || is_current_timestamp(sql));
}

bool
ddl_fills_alike(const struct column *c)
{
    const char *sql = default_text(c);
    if (sql)
        return !is_large(c) && is_constant(sql);
    return c->nullable || (!is_large(c) && c->type != COL_TIMESTAMP && c->type < COL_JSON);
}

static void
add_default(const struct writer *w, const struct column *c)
{
    const char *sql = default_text(c);
    if (sql && takes_default(w, c, sql)) {
        buf_addf(w->sql, " default %s", sql);
        return;
    }
    if (sql)
        note(w, c->name, "its default is left out, the target may not know the expression");
    /* Else older servers add ON UPDATE CURRENT_TIMESTAMP of their own. */
    if (c->type == COL_TIMESTAMP && !c->nullable)
        buf_add_str(w->sql, " default '1970-01-01 00:00:01'");
}

/* ---- columns ---- */

/* The clause of a generated column that the target can take over, or NULL. */
static const char *
generated_clause(const struct writer *w, const struct column *c)
{
    const char *sql = c->default_sql;
    if (!sql || w->to->flavor != w->source)
        return NULL;
    return text_starts(sql, "GENERATED ") || text_starts(sql, "AS ") ? sql : NULL;
}

static bool
is_written(const struct writer *w, const struct column *c)
{
    return !c->generated || generated_clause(w, c);
}

static void
add_column(const struct writer *w, const struct column *c)
{
    sql_ident(c->name, w->sql);
    buf_add_byte(w->sql, ' ');
    add_type(w, c);
    add_collation(w, c);
    if (c->generated) {
        buf_addf(w->sql, " %s", generated_clause(w, c));
        return;
    }
    buf_add_str(w->sql, c->nullable ? " null" : " not null");
    add_default(w, c);
    if (strcmp(c->name, TABLE_ROW_COLUMN) == 0)
        buf_add_str(w->sql, " default '' invisible");
}

/* ---- keys ---- */

static bool
key_is_written(const struct writer *w, const struct table *t, const struct unique_key *u)
{
    if (t->rows != TABLE_KEYED)
        return false;
    for (unsigned i = 0; i < u->column_count; i++)
        if (!is_written(w, &t->columns[u->columns[i]]))
            return false;
    return true;
}

static void
add_key(const struct writer *w, const struct table *t, const struct unique_key *u)
{
    if (strcmp(u->name, "PRIMARY") == 0) {
        buf_add_str(w->sql, "primary key (");
    } else {
        buf_add_str(w->sql, "unique key ");
        sql_ident(u->name, w->sql);
        buf_add_str(w->sql, " (");
    }
    for (unsigned i = 0; i < u->column_count; i++) {
        if (i)
            buf_add_byte(w->sql, ',');
        sql_ident(t->columns[u->columns[i]].name, w->sql);
        if (u->prefixes[i])
            buf_addf(w->sql, "(%u)", u->prefixes[i]);
    }
    buf_add_byte(w->sql, ')');
}

/* What an index finds rows by that are to be deleted. */
static void
add_row_index(const struct writer *w)
{
    buf_add_str(w->sql, "key " TABLE_ROW_COLUMN " (" TABLE_ROW_COLUMN ")");
}

/* What a change was, beside its row. */
static void
add_log_columns(const struct writer *w)
{
    for (unsigned i = 0; i < ARRAY_LEN(ddl_log_columns); i++)
        buf_addf(w->sql, ",\n  %s %s null", ddl_log_columns[i].name, ddl_log_columns[i].type);
}

static void
add_options(const struct writer *w, const struct table *t)
{
    char other[96];
    buf_add_str(w->sql, "\n) engine=InnoDB");
    if (t->collation) {
        const char *collation = map_collation(w, t->collation, other);
        buf_add_str(w->sql, " default character set ");
        buf_add(w->sql, collation, strcspn(collation, "_"));
        buf_addf(w->sql, " collate %s", collation);
    }
    if (t->comment && *t->comment) {
        buf_add_str(w->sql, " comment=");
        sql_text(bytes_str(t->comment), w->sql);
    }
}

bool
ddl_create_table(const struct table *t, const struct ddl_target *to, struct buf *sql,
                 struct buf *notes, struct err *e)
{
    const struct writer w = {to, t->flavor, sql, notes};
    unsigned written = 0;
    buf_add_str(sql, "create table ");
    sql_table(to->database, to->table, sql);
    for (unsigned i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (!is_written(&w, c)) {
            note(&w, c->name, "a generated column, left out: its expression is not known");
            continue;
        }
        buf_add_str(sql, written++ ? ",\n  " : " (\n  ");
        add_column(&w, c);
    }
    if (!written)
        return err_set(e, MR_TARGET_DDL, "%s.%s has only generated columns", t->database,
                       t->name);
    for (unsigned i = 0; i < t->unique_count; i++) {
        if (!key_is_written(&w, t, &t->uniques[i]))
            continue;
        buf_add_str(sql, ",\n  ");
        add_key(&w, t, &t->uniques[i]);
    }
    if (t->rows == TABLE_APPEND)
        add_log_columns(&w);
    if (t->rows == TABLE_MULTISET) {
        buf_add_str(sql, ",\n  ");
        add_row_index(&w);
    }
    add_options(&w, t);
    return true;
}

void
ddl_drop_table(const struct ddl_target *to, struct buf *sql)
{
    buf_add_str(sql, "drop table if exists ");
    sql_table(to->database, to->table, sql);
}

void
ddl_truncate_table(const struct ddl_target *to, struct buf *sql)
{
    buf_add_str(sql, "truncate table ");
    sql_table(to->database, to->table, sql);
}

/* ---- ALTER ---- */

struct alter {
    struct writer w;
    const struct table *from, *into;
    const struct ddl_rename *renames;
    size_t rename_count;
    struct ddl_alter *out;
    bool begun;
};

static void
begin_part(struct alter *a)
{
    if (!a->begun) {
        buf_add_str(a->w.sql, "alter table ");
        sql_table(a->w.to->database, a->w.to->table, a->w.sql);
    }
    buf_add_str(a->w.sql, a->begun ? ",\n  " : "\n  ");
    a->begun = true;
}

static const char *
renamed_from(const struct alter *a, const char *name)
{
    for (size_t i = 0; i < a->rename_count; i++)
        if (strcmp(a->renames[i].to, name) == 0)
            return a->renames[i].from;
    return name;
}

static const struct column *
find_column(const struct table *t, const char *name)
{
    int at = table_column_find(t, bytes_str(name));
    return at < 0 ? NULL : &t->columns[at];
}

/* A column of the old version lives on, under this name or another. */
static bool
is_kept(const struct alter *a, const char *name)
{
    for (size_t i = 0; i < a->rename_count; i++)
        if (strcmp(a->renames[i].from, name) == 0)
            return find_column(a->into, a->renames[i].to) != NULL;
    return find_column(a->into, name) && strcmp(renamed_from(a, name), name) == 0;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The clause would come out the same. */
static bool
same_column(const struct alter *a, const struct column *x, const struct column *y)
{
    struct buf p = {0}, q = {0};
    struct writer wx = a->w, wy = a->w;
    wx.notes = wy.notes = NULL;
    wx.sql = &p;
    wy.sql = &q;
    add_type(&wx, x);
    add_type(&wy, y);
    add_collation(&wx, x);
    add_collation(&wy, y);
    bool same = bytes_eq(buf_bytes(&p), buf_bytes(&q)) && x->nullable == y->nullable &&
                same_text(x->default_sql, y->default_sql);
    buf_free(&p);
    buf_free(&q);
    return same;
}

static void
add_place(struct alter *a, unsigned at)
{
    const struct column *before = NULL;
    if (at + 1 == a->into->column_count)
        return;
    for (unsigned i = at; i > 0 && !before; i--)
        if (is_written(&a->w, &a->into->columns[i - 1]))
            before = &a->into->columns[i - 1];
    buf_add_str(a->w.sql, before ? " after " : " first");
    if (before)
        sql_ident(before->name, a->w.sql);
}

static void
alter_added(struct alter *a, unsigned at)
{
    const struct column *c = &a->into->columns[at];
    const char *dflt = default_text(c);
    begin_part(a);
    buf_add_str(a->w.sql, "add column ");
    add_column(&a->w, c);
    add_place(a, at);
    a->out->added++;
    if (dflt && (!is_constant(dflt) || !takes_default(&a->w, c, dflt)))
        a->out->exact = false;
    if (c->type == COL_TIMESTAMP && !c->nullable && !dflt)
        a->out->exact = false;
}

static void
alter_changed(struct alter *a, const struct column *old, const struct column *new)
{
    bool renamed = strcmp(old->name, new->name) != 0;
    bool same = same_column(a, old, new);
    if (same && !renamed)
        return;
    begin_part(a);
    buf_add_str(a->w.sql, renamed ? "change column " : "modify column ");
    if (renamed) {
        sql_ident(old->name, a->w.sql);
        buf_add_byte(a->w.sql, ' ');
    }
    add_column(&a->w, new);
    a->out->renamed += renamed;
    a->out->modified += !same;
    if (!same && !ddl_column_fits(old, new))
        a->out->exact = false;
}

static void
alter_columns(struct alter *a)
{
    for (unsigned i = 0; i < a->from->column_count; i++) {
        const struct column *c = &a->from->columns[i];
        if (!is_written(&a->w, c) || is_kept(a, c->name))
            continue;
        begin_part(a);
        buf_add_str(a->w.sql, "drop column ");
        sql_ident(c->name, a->w.sql);
        a->out->dropped++;
    }
    for (unsigned i = 0; i < a->into->column_count; i++) {
        const struct column *c = &a->into->columns[i];
        const struct column *old = find_column(a->from, renamed_from(a, c->name));
        if (!is_written(&a->w, c))
            continue;
        if (old && is_written(&a->w, old))
            alter_changed(a, old, c);
        else
            alter_added(a, i);
    }
}

static bool
same_key(const struct alter *a, const struct unique_key *old, const struct unique_key *new)
{
    if (strcmp(old->name, new->name) != 0 || old->column_count != new->column_count)
        return false;
    for (unsigned i = 0; i < old->column_count; i++) {
        const char *name = a->into->columns[new->columns[i]].name;
        if (strcmp(a->from->columns[old->columns[i]].name, renamed_from(a, name)) != 0 ||
            old->prefixes[i] != new->prefixes[i])
            return false;
    }
    return true;
}

static bool
key_is_in(const struct alter *a, const struct unique_key *u, bool old)
{
    const struct table *t = old ? a->into : a->from;
    for (unsigned i = 0; t->rows == TABLE_KEYED && i < t->unique_count; i++) {
        const struct unique_key *other = &t->uniques[i];
        if (old ? same_key(a, u, other) : same_key(a, other, u))
            return true;
    }
    return false;
}

static void
alter_keys_dropped(struct alter *a)
{
    for (unsigned i = 0; i < a->from->unique_count; i++) {
        const struct unique_key *u = &a->from->uniques[i];
        if (key_is_in(a, u, true) || !key_is_written(&a->w, a->from, u))
            continue;
        begin_part(a);
        a->out->keys = true;
        if (strcmp(u->name, "PRIMARY") == 0) {
            buf_add_str(a->w.sql, "drop primary key");
            continue;
        }
        buf_add_str(a->w.sql, "drop index ");
        sql_ident(u->name, a->w.sql);
    }
}

static void
alter_keys_added(struct alter *a)
{
    for (unsigned i = 0; i < a->into->unique_count; i++) {
        const struct unique_key *u = &a->into->uniques[i];
        if (key_is_in(a, u, false) || !key_is_written(&a->w, a->into, u))
            continue;
        begin_part(a);
        a->out->keys = true;
        buf_add_str(a->w.sql, "add ");
        add_key(&a->w, a->into, u);
    }
}

bool
ddl_alter_table(const struct table *from, const struct table *into, const struct ddl_target *to,
                const struct ddl_rename *renames, size_t rename_count, struct ddl_alter *out,
                struct buf *sql)
{
    struct alter a = {.w = {to, into->flavor, sql, NULL},
                      .from = from,
                      .into = into,
                      .renames = renames,
                      .rename_count = rename_count,
                      .out = out};
    *out = (struct ddl_alter){.exact = true};
    alter_keys_dropped(&a);
    alter_columns(&a);
    alter_keys_added(&a);
    if (into->rows == TABLE_MULTISET && from->rows != TABLE_MULTISET) {
        begin_part(&a);
        buf_add_str(sql, "add ");
        add_row_index(&a.w);
    }
    return a.begun;
}
