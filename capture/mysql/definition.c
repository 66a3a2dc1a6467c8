/* TABLE_MAP against definitions, and definitions from TABLE_MAP alone: see definition.h. */
#include "capture/mysql/definition.h"

#include <stdlib.h>

#include "base/text.h"
#include "schema/types_mysql.h"

/* ---- agreement ---- */

static uint8_t
integer_type(enum column_type t)
{
    switch (t) {
    case COL_TINYINT:
        return LOG_TINY;
    case COL_SMALLINT:
        return LOG_SHORT;
    case COL_MEDIUMINT:
        return LOG_INT24;
    case COL_INT:
        return LOG_LONG;
    default:
        return LOG_LONGLONG;
    }
}

/* Length bytes of the BLOB family. */
static unsigned
blob_width(enum column_type t)
{
    switch (t) {
    case COL_TINYTEXT:
    case COL_TINYBLOB:
        return 1;
    case COL_TEXT:
    case COL_BLOB:
        return 2;
    case COL_MEDIUMTEXT:
    case COL_MEDIUMBLOB:
        return 3;
    default:
        return 4;
    }
}

static bool
temporal_agrees(const struct map_column *m, const struct column *c, uint8_t type2, uint8_t old)
{
    return (m->type == type2 && m->meta == c->scale) || (m->type == old && c->scale == 0);
}

static bool
string_agrees(const struct map_column *m, const struct column *c, uint8_t type,
              const struct collations *cs)
{
    unsigned bytes = c->charset ? collations_char_bytes(cs, c->charset) : 1;
    return m->type == type && m->meta == c->length * bytes;
}

static bool
type_agrees(const struct map_column *m, const struct column *c, const struct collations *cs)
{
    switch (c->type) {
    case COL_TINYINT:
    case COL_SMALLINT:
    case COL_MEDIUMINT:
    case COL_INT:
    case COL_BIGINT:
        return m->type == integer_type(c->type);
    case COL_FLOAT:
        return m->type == LOG_FLOAT;
    case COL_DOUBLE:
        return m->type == LOG_DOUBLE;
    case COL_DECIMAL:
        return m->type == LOG_NEWDECIMAL && m->meta == (c->precision << 8 | c->scale);
    case COL_CHAR:
    case COL_BINARY:
        return string_agrees(m, c, LOG_STRING, cs);
    case COL_VARCHAR:
    case COL_VARBINARY:
        return string_agrees(m, c, LOG_VARCHAR, cs) || m->type == LOG_VARCHAR_COMPRESSED;
    case COL_DATE:
        return m->type == LOG_DATE || m->type == LOG_NEWDATE;
    case COL_TIME:
        return temporal_agrees(m, c, LOG_TIME2, LOG_TIME);
    case COL_DATETIME:
        return temporal_agrees(m, c, LOG_DATETIME2, LOG_DATETIME);
    case COL_TIMESTAMP:
        return temporal_agrees(m, c, LOG_TIMESTAMP2, LOG_TIMESTAMP);
    case COL_YEAR:
        return m->type == LOG_YEAR;
    case COL_BIT:
        return m->type == LOG_BIT && (m->meta >> 8) * 8u + (m->meta & 255) == c->length;
    case COL_ENUM:
        return m->type == LOG_ENUM;
    case COL_SET:
        return m->type == LOG_SET;
    case COL_JSON:
        return m->type == LOG_JSON || (m->type == LOG_BLOB && m->meta == 4);
    case COL_GEOMETRY:
        return m->type == LOG_GEOMETRY;
    case COL_VECTOR:
        return m->type == LOG_VECTOR || (m->type == LOG_VARCHAR && m->meta == c->length * 4);
    case COL_UUID:
    case COL_INET6:
        return m->type == LOG_STRING && m->meta == 16;
    case COL_INET4:
        return m->type == LOG_STRING && m->meta == 4;
    default:
        return (m->type == LOG_BLOB && m->meta == blob_width(c->type)) ||
               m->type == LOG_BLOB_COMPRESSED;
    }
}

static bool
labels_agree(const struct map_column *m, const struct column *c, const struct collations *cs)
{
    const struct collation *co = collations_get(cs, m->collation);
    struct bytes rest = m->labels;
    struct charset *charset;
    struct arena a;
    struct err ignored;
    if (!m->label_count || !co)
        return true;
    if (m->label_count != c->label_count || !charset_open(co->charset, &charset, &ignored))
        return false;
    arena_init(&a, 0);
    bool same = true;
    for (uint32_t i = 0; i < m->label_count && same; i++) {
        struct bytes text;
        same = charset_to_utf8(charset, binlog_map_label(&rest), &a, &text) &&
               bytes_eq(text, c->labels[i]);
    }
    arena_free(&a);
    charset_close(charset);
    return same;
}

static const char *const geometries[] = {
    "geometry",   "point",           "linestring",   "polygon",
    "multipoint", "multilinestring", "multipolygon", "geometrycollection"};

static bool
geometry_agrees(const struct map_column *m, const struct column *c)
{
    const char *type = c->source_type;
    if (m->geometry == 7 && text_same(type, "geomcollection")) /* MySQL 8's name of it */
        return true;
    return m->geometry < ARRAY_LEN(geometries) && text_same(type, geometries[m->geometry]);
}

static bool
column_agrees(const struct binlog_map *m, unsigned i, const struct column *c,
              const struct collations *cs)
{
    const struct map_column *mc = &m->columns[i];
    bool number = c->type <= COL_DECIMAL;
    const struct collation *co = mc->collation ? collations_get(cs, mc->collation) : NULL;
    if (!type_agrees(mc, c, cs) || mc->nullable != c->nullable)
        return false;
    if (m->has_names && !bytes_eq(mc->name, bytes_str(c->name)))
        return false;
    if (m->has_geometry && c->type == COL_GEOMETRY && !geometry_agrees(mc, c))
        return false;
    if (m->has_sign && number && mc->is_unsigned != c->is_unsigned)
        return false;
    if (co && c->collation && strcmp(co->name, c->collation) != 0)
        return false;
    if (co && type_is_binary(c->type) != (mc->collation == COLLATION_BINARY) &&
        (type_is_binary(c->type) || type_is_text(c->type)))
        return false;
    return (c->type != COL_ENUM && c->type != COL_SET) || labels_agree(mc, c, cs);
}

static bool
is_logged_key(const struct binlog_map *m, const struct unique_key *u)
{
    if (u->column_count != m->key_count)
        return false;
    for (unsigned i = 0; i < m->key_count; i++)
        if (u->columns[i] != m->key[i].column)
            return false;
    return true;
}

/* MySQL logs a unique key of NOT NULL columns as the primary key of a table that has none. */
static bool
key_agrees(const struct binlog_map *m, const struct table *t)
{
    bool has_primary = t->unique_count && strcmp(t->uniques[0].name, "PRIMARY") == 0;
    if (!m->has_names || !m->key_count)
        return !m->has_names || !has_primary;
    for (unsigned i = 0; i < (has_primary ? 1U : t->unique_count); i++)
        if (is_logged_key(m, &t->uniques[i]))
            return true;
    return false;
}

bool
definition_agrees(const struct binlog_map *m, const struct table *t,
                  const struct collations *cs)
{
    if (m->column_count != t->column_count)
        return false;
    for (unsigned i = 0; i < m->column_count; i++)
        if (!column_agrees(m, i, &t->columns[i], cs))
            return false;
    return key_agrees(m, t);
}

/* ---- from the map ---- */

static enum column_type
blob_type(const struct map_column *m)
{
    static const enum column_type text[] = {COL_TINYTEXT, COL_TEXT, COL_MEDIUMTEXT,
                                            COL_LONGTEXT};
    static const enum column_type binary[] = {COL_TINYBLOB, COL_BLOB, COL_MEDIUMBLOB,
                                              COL_LONGBLOB};
    unsigned i = m->meta - 1U;
    return m->collation == COLLATION_BINARY ? binary[i] : text[i];
}

MUST static bool
derive_type(const struct map_column *m, enum column_type *out, struct err *e)
{
    static const uint8_t simple[256] = {
        [LOG_TINY] = 1 + COL_TINYINT,        [LOG_SHORT] = 1 + COL_SMALLINT,
        [LOG_INT24] = 1 + COL_MEDIUMINT,     [LOG_LONG] = 1 + COL_INT,
        [LOG_LONGLONG] = 1 + COL_BIGINT,     [LOG_FLOAT] = 1 + COL_FLOAT,
        [LOG_DOUBLE] = 1 + COL_DOUBLE,       [LOG_NEWDECIMAL] = 1 + COL_DECIMAL,
        [LOG_DATE] = 1 + COL_DATE,           [LOG_NEWDATE] = 1 + COL_DATE,
        [LOG_TIME] = 1 + COL_TIME,           [LOG_TIME2] = 1 + COL_TIME,
        [LOG_DATETIME] = 1 + COL_DATETIME,   [LOG_DATETIME2] = 1 + COL_DATETIME,
        [LOG_TIMESTAMP] = 1 + COL_TIMESTAMP, [LOG_TIMESTAMP2] = 1 + COL_TIMESTAMP,
        [LOG_YEAR] = 1 + COL_YEAR,           [LOG_BIT] = 1 + COL_BIT,
        [LOG_ENUM] = 1 + COL_ENUM,           [LOG_SET] = 1 + COL_SET,
        [LOG_JSON] = 1 + COL_JSON,           [LOG_GEOMETRY] = 1 + COL_GEOMETRY,
        [LOG_VECTOR] = 1 + COL_VECTOR,
    };
    bool binary = m->collation == COLLATION_BINARY;
    if (simple[m->type])
        *out = (enum column_type)(simple[m->type] - 1);
    else if (m->type == LOG_STRING)
        *out = binary ? COL_BINARY : COL_CHAR;
    else if (m->type == LOG_VARCHAR || m->type == LOG_VARCHAR_COMPRESSED)
        *out = binary ? COL_VARBINARY : COL_VARCHAR;
    else if (m->type == LOG_BLOB || m->type == LOG_BLOB_COMPRESSED)
        *out = blob_type(m);
    else
        return err_set(e, MR_SOURCE_TYPE, "column %.*s: type %u of the log is not supported",
                       (int)m->name.n, (const char *)m->name.p, m->type);
    return true;
}

static void
derive_sizes(const struct map_column *m, struct column *c, const struct collations *cs)
{
    static const uint32_t blob_lengths[] = {255, 65535, 16777215, UINT32_MAX};
    unsigned bytes = c->charset ? collations_char_bytes(cs, c->charset) : 1;
    switch (c->type) {
    case COL_DECIMAL:
        c->precision = (uint8_t)(m->meta >> 8);
        c->scale = (uint8_t)m->meta;
        break;
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        c->scale = (uint8_t)m->meta;
        break;
    case COL_BIT:
        c->length = (m->meta >> 8) * 8u + (m->meta & 255);
        break;
    case COL_VECTOR:
        c->length = m->dimensions;
        break;
    case COL_CHAR:
    case COL_VARCHAR:
    case COL_BINARY:
    case COL_VARBINARY:
        c->length = (m->meta - (m->type == LOG_VARCHAR_COMPRESSED ? 1U : 0U)) / bytes;
        break;
    default:
        if (type_is_text(c->type) || type_is_binary(c->type))
            c->length = blob_lengths[m->meta - 1];
    }
}

MUST static bool
derive_labels(const struct map_column *m, struct column *c, struct arena *a, struct err *e)
{
    struct bytes rest = m->labels;
    struct charset *charset;
    struct bytes *labels = arena_zalloc(a, (m->label_count + 1) * sizeof(*labels));
    if (!charset_open(c->charset ? c->charset : "utf8mb4", &charset, e))
        return false;
    bool ok = true;
    for (uint32_t i = 0; i < m->label_count && ok; i++) {
        ok = charset_to_utf8(charset, binlog_map_label(&rest), a, &labels[i]);
        labels[i] = arena_copy(a, labels[i]);
    }
    charset_close(charset);
    c->labels = labels;
    c->label_count = m->label_count;
    return ok || err_set(e, MR_SCHEMA_CHARSET, "column %s: a label cannot be read", c->name);
}

static const char *
derive_source_type(const struct map_column *m, const struct column *c, struct arena *a)
{
    const char *name = type_mysql(c->type)->name, *sign = c->is_unsigned ? " unsigned" : "";
    switch (c->type) {
    case COL_GEOMETRY:
        return arena_strdup(a, geometries[m->geometry % ARRAY_LEN(geometries)]);
    case COL_DECIMAL:
        return arena_printf(a, "%s(%u,%u)%s", name, c->precision, c->scale, sign);
    case COL_CHAR:
    case COL_VARCHAR:
    case COL_BINARY:
    case COL_VARBINARY:
    case COL_BIT:
    case COL_VECTOR:
        return arena_printf(a, "%s(%u)", name, c->length);
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        return c->scale ? arena_printf(a, "%s(%u)", name, c->scale) : arena_strdup(a, name);
    default:
        return arena_printf(a, "%s%s", name, sign);
    }
}

MUST static bool
derive_column(const struct map_column *m, const struct collations *cs, struct column *c,
              struct arena *a, struct err *e)
{
    const struct collation *co = collations_get(cs, m->collation);
    c->name = arena_strn(a, m->name);
    c->nullable = m->nullable;
    c->is_unsigned = m->is_unsigned;
    c->invisible = m->invisible;
    if (!derive_type(m, &c->type, e))
        return false;
    if (co && (type_is_text(c->type) || c->type == COL_ENUM || c->type == COL_SET)) {
        c->charset = arena_strdup(a, co->charset);
        c->collation = arena_strdup(a, co->name);
    }
    derive_sizes(m, c, cs);
    c->source_type = derive_source_type(m, c, a);
    if ((c->type == COL_ENUM || c->type == COL_SET) && !derive_labels(m, c, a, e))
        return false;
    return type_check(c, e);
}

static const char *
copy_text(struct arena *a, const char *s)
{
    return s ? arena_strdup(a, s) : NULL;
}

static void
copy_column(const struct column *from, struct column *to, struct arena *a)
{
    *to = *from;
    to->name = copy_text(a, from->name);
    to->charset = copy_text(a, from->charset);
    to->collation = copy_text(a, from->collation);
    to->source_type = copy_text(a, from->source_type);
    to->default_sql = copy_text(a, from->default_sql);
    struct bytes *labels = arena_zalloc(a, (from->label_count + 1) * sizeof(*labels));
    for (uint32_t i = 0; i < from->label_count; i++)
        labels[i] = arena_copy(a, from->labels[i]);
    to->labels = labels;
}

static void
add_unique(struct table *t, const char *name, const uint16_t *columns, const uint32_t *prefixes,
           uint16_t n)
{
    t->uniques[t->unique_count++] =
        (struct unique_key){arena_strdup(&t->arena, name), columns, prefixes, n};
}

static void
add_primary(const struct binlog_map *m, struct table *t)
{
    uint16_t *columns = arena_zalloc(&t->arena, m->key_count * sizeof(*columns));
    uint32_t *prefixes = arena_zalloc(&t->arena, m->key_count * sizeof(*prefixes));
    for (unsigned i = 0; i < m->key_count; i++) {
        columns[i] = m->key[i].column;
        prefixes[i] = m->key[i].prefix;
    }
    add_unique(t, "PRIMARY", columns, prefixes, m->key_count);
}

/* A unique key of the hint, if all its columns are still there. */
static void
keep_unique(const struct table *hint, const struct unique_key *u, struct table *t)
{
    uint16_t *columns = arena_zalloc(&t->arena, u->column_count * sizeof(*columns));
    uint32_t *prefixes = arena_zalloc(&t->arena, u->column_count * sizeof(*prefixes));
    for (unsigned i = 0; i < u->column_count; i++) {
        int at = table_column_find(t, bytes_str(hint->columns[u->columns[i]].name));
        if (at < 0)
            return;
        columns[i] = (uint16_t)at;
        prefixes[i] = u->prefixes[i];
    }
    add_unique(t, u->name, columns, prefixes, u->column_count);
}

/* The key of the log is a unique key of a table that has no primary key. */
static bool
is_hinted_unique(const struct binlog_map *m, const struct table *hint, const struct table *t)
{
    for (unsigned i = 0; hint && i < hint->unique_count; i++) {
        const struct unique_key *u = &hint->uniques[i];
        bool same = u->column_count == m->key_count;
        for (unsigned k = 0; same && k < m->key_count; k++)
            same = strcmp(hint->columns[u->columns[k]].name,
                          t->columns[m->key[k].column].name) == 0;
        if (same)
            return strcmp(hint->uniques[0].name, "PRIMARY") != 0;
    }
    return false;
}

/* The log tells the primary key alone. */
static void
derive_keys(const struct binlog_map *m, const struct table *hint, struct table *t)
{
    t->uniques =
        arena_zalloc(&t->arena, (hint ? hint->unique_count + 1U : 1U) * sizeof(*t->uniques));
    if (m->key_count && !is_hinted_unique(m, hint, t))
        add_primary(m, t);
    for (unsigned i = 0; hint && i < hint->unique_count; i++)
        if (strcmp(hint->uniques[i].name, "PRIMARY") != 0)
            keep_unique(hint, &hint->uniques[i], t);
}

static void
derive_period(const struct binlog_map *m, struct table *t)
{
    unsigned end = m->row_end, start = !end;
    if (!m->hidden_count)
        return;
    t->period_start = arena_strn(&t->arena, m->hidden[start].name);
    t->period_end = arena_strn(&t->arena, m->hidden[end].name);
    t->period_start_at = (uint16_t)(m->hidden_at[start] + 1);
    t->period_end_at = (uint16_t)(m->hidden_at[end] + 1);
}

bool
definition_from_map(const struct binlog_map *m, const struct table *hint,
                    const struct collations *cs, enum source_flavor flavor, struct table **out,
                    struct err *e)
{
    struct arena names;
    arena_init(&names, 1024);
    struct table *t = table_new(arena_strn(&names, m->database), arena_strn(&names, m->table));
    arena_free(&names);
    t->flavor = flavor;
    t->fingerprint = binlog_map_fingerprint(m);
    t->column_count = m->column_count;
    t->columns = arena_zalloc(&t->arena, m->column_count * sizeof(*t->columns));
    t->charset = hint ? copy_text(&t->arena, hint->charset) : NULL;
    t->collation = hint ? copy_text(&t->arena, hint->collation) : NULL;
    t->comment = hint ? copy_text(&t->arena, hint->comment) : NULL;
    for (unsigned i = 0; i < m->column_count; i++) {
        int at = hint ? table_column_find(hint, m->columns[i].name) : -1;
        if (at >= 0 && column_agrees(m, i, &hint->columns[at], cs)) {
            copy_column(&hint->columns[at], &t->columns[i], &t->arena);
        } else if (!derive_column(&m->columns[i], cs, &t->columns[i], &t->arena, e)) {
            table_unref(t);
            return err_wrap(e, "%.*s.%.*s", (int)m->database.n, (const char *)m->database.p,
                            (int)m->table.n, (const char *)m->table.p);
        }
    }
    derive_keys(m, hint, t);
    derive_period(m, t);
    table_seal(t);
    *out = t;
    return true;
}
