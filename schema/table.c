/* Table versions: life, key choice and JSON form (the `table` of an event record of kind
 * version, docs/formats.md). Owner: reference counted; immutable after table_seal, so any
 * thread may read.
 */
#include "schema/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "schema/types_mysql.h"

#define COLUMNS_MAX 4096
#define UNIQUES_MAX 1024

struct table *
table_new(const char *database, const char *name)
{
    struct table *t = mem_zalloc(sizeof *t);
    arena_init(&t->arena, 4096);
    t->refs = 1;
    t->database = arena_strdup(&t->arena, database);
    t->name = arena_strdup(&t->arena, name);
    return t;
}

struct table *
table_ref(struct table *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void
table_unref(struct table *t)
{
    if (!t || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    struct arena arena = t->arena;
    arena_free(&arena);
    free(t);
}

static bool
can_be_key(const struct table *t, const struct unique_key *u)
{
    if (strcmp(u->name, "PRIMARY") == 0)
        return true;
    for (unsigned i = 0; i < u->column_count; i++)
        if (t->columns[u->columns[i]].nullable || u->prefixes[i] != 0)
            return false;
    return u->column_count > 0;
}

/* The last column is the key. */
static void
seal_rows(struct table *t)
{
    uint16_t *key = arena_alloc(&t->arena, sizeof *key);
    *key = (uint16_t)(t->column_count - 1u);
    t->columns[*key].key_at = 1;
    t->key = key;
    t->key_count = 1;
}

void
table_seal(struct table *t)
{
    t->key = NULL;
    t->key_count = 0;
    for (unsigned i = 0; i < t->column_count; i++)
        t->columns[i].key_at = 0;
    if (t->rows != TABLE_KEYED) {
        seal_rows(t);
        return;
    }
    for (unsigned i = 0; i < t->unique_count; i++) {
        const struct unique_key *u = &t->uniques[i];
        for (unsigned k = 0; k < u->column_count; k++)
            assert(u->columns[k] < t->column_count);
        if (t->key_count || !can_be_key(t, u))
            continue;
        t->key = u->columns;
        t->key_count = u->column_count;
        for (unsigned k = 0; k < u->column_count; k++)
            t->columns[u->columns[k]].key_at = (uint16_t)(k + 1);
    }
}

int
table_column_find(const struct table *t, struct bytes name)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (bytes_eq(bytes_str(t->columns[i].name), name))
            return (int)i;
    return -1;
}

bool
table_has_secondary_unique(const struct table *t)
{
    for (unsigned i = 0; t->rows == TABLE_KEYED && i < t->unique_count; i++)
        if (t->uniques[i].columns != t->key)
            return true;
    return false;
}

/* ---- to JSON ---- */

static const char *const rows_text[] = {NULL, "append", "multiset"};

static void
set_text(struct json *o, const char *key, const char *value)
{
    if (value)
        json_set(o, key, json_str(value));
}

static void
set_flag(struct json *o, const char *key, bool value)
{
    if (value)
        json_set(o, key, json_bool_new(true));
}

static void
set_number(struct json *o, const char *key, uint64_t value)
{
    if (value)
        json_set(o, key, json_u64(value));
}

static struct json *
column_to_json(const struct column *c)
{
    struct json *o = json_object_new();
    json_set(o, "name", json_str(c->name));
    json_set(o, "type", json_str(type_mysql(c->type)->name));
    set_flag(o, "unsigned", c->is_unsigned);
    set_flag(o, "nullable", c->nullable);
    set_flag(o, "generated", c->generated);
    set_flag(o, "invisible", c->invisible);
    set_number(o, "length", c->length);
    set_number(o, "precision", c->precision);
    set_number(o, "scale", c->scale);
    set_text(o, "charset", c->charset);
    set_text(o, "collation", c->collation);
    set_text(o, "source_type", c->source_type);
    set_text(o, "default", c->default_sql);
    if (c->label_count) {
        struct json *labels = json_array_new();
        for (uint32_t i = 0; i < c->label_count; i++)
            json_push(labels, json_bytes(c->labels[i]));
        json_set(o, "labels", labels);
    }
    return o;
}

static struct json *
unique_to_json(const struct unique_key *u)
{
    struct json *o = json_object_new(), *columns = json_array_new();
    struct json *prefixes = json_array_new();
    for (unsigned i = 0; i < u->column_count; i++) {
        json_push(columns, json_u64(u->columns[i]));
        json_push(prefixes, json_u64(u->prefixes[i]));
    }
    json_set(o, "name", json_str(u->name));
    json_set(o, "columns", columns);
    json_set(o, "prefixes", prefixes);
    return o;
}

struct json *
table_to_json(const struct table *t)
{
    struct json *o = json_object_new(), *columns = json_array_new();
    struct json *uniques = json_array_new();
    json_set(o, "flavor", json_str(t->flavor == FLAVOR_MARIADB ? "mariadb" : "mysql"));
    json_set(o, "database", json_str(t->database));
    json_set(o, "name", json_str(t->name));
    json_set(o, "version", json_u64(t->version));
    json_set(o, "fingerprint", json_u64(t->fingerprint));
    set_text(o, "rows", rows_text[t->rows]);
    set_text(o, "charset", t->charset);
    set_text(o, "collation", t->collation);
    set_text(o, "comment", t->comment);
    set_text(o, "period_start", t->period_start);
    set_text(o, "period_end", t->period_end);
    set_number(o, "period_start_at", t->period_start_at);
    set_number(o, "period_end_at", t->period_end_at);
    for (unsigned i = 0; i < t->column_count; i++)
        json_push(columns, column_to_json(&t->columns[i]));
    json_set(o, "columns", columns);
    for (unsigned i = 0; i < t->unique_count; i++)
        json_push(uniques, unique_to_json(&t->uniques[i]));
    json_set(o, "uniques", uniques);
    return o;
}

/* ---- from JSON ---- */

PRINTF_LIKE(2, 3)
static bool
damaged(struct err *e, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, MR_KAFKA_BAD_RECORD, "table version: %s", text);
}

static const char *
get_text(struct table *t, const struct json *o, const char *key)
{
    const char *s = json_get_str(o, key, NULL);
    return s ? arena_strdup(&t->arena, s) : NULL;
}

MUST static bool
labels_from_json(struct table *t, const struct json *a, struct column *c, struct err *e)
{
    size_t n = json_len(a);
    if (n > 65535)
        return damaged(e, "column %s has %zu labels", c->name, n);
    struct bytes *labels = arena_zalloc(&t->arena, (n ? n : 1) * sizeof *labels);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_str_value(json_at(a, i), NULL);
        if (!s)
            return damaged(e, "column %s has a label that is no text", c->name);
        labels[i] = arena_copy(&t->arena, bytes_str(s));
    }
    c->labels = labels;
    c->label_count = (uint32_t)n;
    return true;
}

MUST static bool
column_from_json(struct table *t, const struct json *o, struct column *c, struct err *e)
{
    const char *type = json_get_str(o, "type", "");
    c->name = get_text(t, o, "name");
    if (!c->name || !*c->name)
        return damaged(e, "a column has no name");
    if (!type_by_name(type, &c->type))
        return damaged(e, "column %s: type '%.40s' is not known", c->name, type);
    uint64_t length = json_get_u64(o, "length", 0), scale = json_get_u64(o, "scale", 0);
    uint64_t precision = json_get_u64(o, "precision", 0);
    if (length > UINT32_MAX || precision > 255 || scale > 255)
        return damaged(e, "column %s: length, precision or scale", c->name);
    c->length = (uint32_t)length;
    c->precision = (uint8_t)precision;
    c->scale = (uint8_t)scale;
    c->is_unsigned = json_get_bool(o, "unsigned", false);
    c->nullable = json_get_bool(o, "nullable", false);
    c->generated = json_get_bool(o, "generated", false);
    c->invisible = json_get_bool(o, "invisible", false);
    c->charset = get_text(t, o, "charset");
    c->collation = get_text(t, o, "collation");
    c->source_type = get_text(t, o, "source_type");
    c->default_sql = get_text(t, o, "default");
    return labels_from_json(t, json_get(o, "labels"), c, e) && type_check(c, e);
}

MUST static bool
unique_from_json(struct table *t, const struct json *o, struct unique_key *u, struct err *e)
{
    const struct json *columns = json_get(o, "columns"), *prefixes = json_get(o, "prefixes");
    size_t n = json_len(columns);
    u->name = get_text(t, o, "name");
    if (!u->name || n == 0 || n > t->column_count || json_len(prefixes) != n)
        return damaged(e, "a unique key is incomplete");
    uint16_t *at = arena_zalloc(&t->arena, n * sizeof *at);
    uint32_t *prefix = arena_zalloc(&t->arena, n * sizeof *prefix);
    for (size_t i = 0; i < n; i++) {
        uint64_t c = json_u64_value(json_at(columns, i), UINT64_MAX);
        uint64_t p = json_u64_value(json_at(prefixes, i), UINT64_MAX);
        if (c >= t->column_count || p > UINT32_MAX)
            return damaged(e, "unique key %s names a column that is not there", u->name);
        at[i] = (uint16_t)c;
        prefix[i] = (uint32_t)p;
    }
    u->columns = at;
    u->prefixes = prefix;
    u->column_count = (uint16_t)n;
    return true;
}

MUST static bool
lists_from_json(struct table *t, const struct json *j, struct err *e)
{
    const struct json *columns = json_get(j, "columns"), *uniques = json_get(j, "uniques");
    size_t n = json_len(columns), keys = json_len(uniques);
    if (n == 0 || n > COLUMNS_MAX || keys > UNIQUES_MAX)
        return damaged(e, "%zu columns, %zu unique keys", n, keys);
    t->columns = arena_zalloc(&t->arena, n * sizeof *t->columns);
    t->column_count = (uint16_t)n;
    for (size_t i = 0; i < n; i++)
        if (!column_from_json(t, json_at(columns, i), &t->columns[i], e))
            return false;
    t->uniques = arena_zalloc(&t->arena, (keys ? keys : 1) * sizeof *t->uniques);
    t->unique_count = (uint16_t)keys;
    for (size_t i = 0; i < keys; i++)
        if (!unique_from_json(t, json_at(uniques, i), &t->uniques[i], e))
            return false;
    return true;
}

MUST static bool
rows_from_json(struct table *t, const struct json *j, struct err *e)
{
    const char *text = json_get_str(j, "rows", NULL);
    t->rows = !text ? TABLE_KEYED : strcmp(text, "append") == 0 ? TABLE_APPEND : TABLE_MULTISET;
    if (!text)
        return true;
    const struct column *last = &t->columns[t->column_count - 1];
    bool fits = last->type == COL_BINARY && strcmp(last->name, TABLE_ROW_COLUMN) == 0 &&
                strcmp(text, rows_text[t->rows]) == 0;
    return fits || damaged(e, "rows '%.40s'", text);
}

bool
table_from_json(const struct json *j, struct table **out, struct err *e)
{
    const char *database = json_get_str(j, "database", NULL);
    const char *name = json_get_str(j, "name", NULL);
    const char *flavor = json_get_str(j, "flavor", "");
    uint64_t version = json_get_u64(j, "version", 0);
    bool mariadb = strcmp(flavor, "mariadb") == 0;
    if (!database || !name || version > UINT32_MAX ||
        (!mariadb && strcmp(flavor, "mysql") != 0))
        return damaged(e, "database, name, flavor or version is missing");
    struct table *t = table_new(database, name);
    t->flavor = mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    t->version = (uint32_t)version;
    t->fingerprint = json_get_u64(j, "fingerprint", 0);
    t->charset = get_text(t, j, "charset");
    t->collation = get_text(t, j, "collation");
    t->comment = get_text(t, j, "comment");
    t->period_start = get_text(t, j, "period_start");
    t->period_end = get_text(t, j, "period_end");
    t->period_start_at = (uint16_t)json_get_u64(j, "period_start_at", 0);
    t->period_end_at = (uint16_t)json_get_u64(j, "period_end_at", 0);
    if (!lists_from_json(t, j, e) || !rows_from_json(t, j, e)) {
        table_unref(t);
        return false;
    }
    table_seal(t);
    *out = t;
    return true;
}

bool
table_same(const struct table *a, const struct table *b)
{
    struct table left = *a, right = *b;
    left.version = right.version = 0;
    left.fingerprint = right.fingerprint = 0;
    struct json *ja = table_to_json(&left), *jb = table_to_json(&right);
    struct buf ta = {0}, tb = {0};
    json_dump(ja, &ta);
    json_dump(jb, &tb);
    bool same = bytes_eq(buf_bytes(&ta), buf_bytes(&tb));
    buf_free(&ta);
    buf_free(&tb);
    json_free(ja);
    json_free(jb);
    return same;
}
