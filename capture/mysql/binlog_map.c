/* TABLE_MAP: see binlog_map.h. */
#include "capture/mysql/binlog_map.h"

#include "base/hash.h"

enum optional_field {
    FIELD_SIGNEDNESS = 1,
    FIELD_CHARSET_DEFAULT = 2,
    FIELD_CHARSET_EACH = 3,
    FIELD_NAMES = 4,
    FIELD_SET_LABELS = 5,
    FIELD_ENUM_LABELS = 6,
    FIELD_GEOMETRY_TYPES = 7,
    FIELD_KEY = 8,
    FIELD_KEY_PREFIXES = 9,
    FIELD_LABEL_CHARSET_DEFAULT = 10,
    FIELD_LABEL_CHARSET_EACH = 11,
    FIELD_VISIBILITY = 12,
    FIELD_DIMENSIONS = 13,
};

unsigned
binlog_decimal_size(unsigned precision, unsigned scale)
{
    static const uint8_t bytes_of_digits[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned whole = precision - scale;
    return whole / 9 * 4 + bytes_of_digits[whole % 9] + scale / 9 * 4 +
           bytes_of_digits[scale % 9];
}

/* The columns the signedness bits count. YEAR is one of them, although nothing says so. */
static bool
is_number(uint8_t type)
{
    switch (type) {
    case LOG_YEAR:
    case LOG_TINY:
    case LOG_SHORT:
    case LOG_INT24:
    case LOG_LONG:
    case LOG_LONGLONG:
    case LOG_FLOAT:
    case LOG_DOUBLE:
    case LOG_NEWDECIMAL:
        return true;
    default:
        return false;
    }
}

static bool
is_text(uint8_t type)
{
    switch (type) {
    case LOG_VARCHAR:
    case LOG_STRING:
    case LOG_BLOB:
    case LOG_TINY_BLOB:
    case LOG_MEDIUM_BLOB:
    case LOG_LONG_BLOB:
    case LOG_VARCHAR_COMPRESSED:
    case LOG_BLOB_COMPRESSED:
    case LOG_VECTOR: /* a blob to the server: it takes a place in the list of collations */
        return true;
    default:
        return false;
    }
}

/* MariaDB gives geometries a place in the list of collations too. */
static bool
is_text_maria(uint8_t type)
{
    return is_text(type) || type == LOG_GEOMETRY;
}

static bool
is_label(uint8_t type)
{
    return type == LOG_ENUM || type == LOG_SET;
}

bool
binlog_map_head(struct bytes event_body, struct binlog_map *out, struct err *e)
{
    *out = (struct binlog_map){0};
    struct reader r = reader_of(event_body);
    out->id = reader_le(&r, 6);
    reader_take(&r, 2);
    if (!r.failed)
        out->body = bytes_of(r.p, reader_left(&r));
    out->database = reader_take(&r, reader_u8(&r));
    reader_take(&r, 1);
    out->table = reader_take(&r, reader_u8(&r));
    reader_take(&r, 1);
    if (r.failed)
        return err_set(e, MR_SOURCE_CORRUPT, "a TABLE_MAP event is cut short");
    return true;
}

/* STRING's two metadata bytes hide the real type and, for long CHARs, two more length bits in
 * it. */
static void
read_string_meta(struct map_column *c, struct reader *r)
{
    uint8_t a = reader_u8(r), b = reader_u8(r);
    if (is_label(a)) {
        c->type = a;
        c->meta = b;
    } else {
        c->type = LOG_STRING;
        unsigned high = ((unsigned)a & 0x30u) ^ 0x30u;
        c->meta = (uint16_t)(b | high << 4);
    }
}

static void
read_meta(struct map_column *c, struct reader *r)
{
    switch (c->type) {
    case LOG_FLOAT:
    case LOG_DOUBLE:
    case LOG_BLOB:
    case LOG_TINY_BLOB:
    case LOG_MEDIUM_BLOB:
    case LOG_LONG_BLOB:
    case LOG_BLOB_COMPRESSED:
    case LOG_GEOMETRY:
    case LOG_JSON:
    case LOG_VECTOR:
    case LOG_TIME2:
    case LOG_DATETIME2:
    case LOG_TIMESTAMP2:
        c->meta = reader_u8(r);
        break;
    case LOG_VARCHAR:
    case LOG_VARCHAR_COMPRESSED:
        c->meta = (uint16_t)reader_le(r, 2);
        break;
    case LOG_BIT: {
        uint8_t bits = reader_u8(r), whole = reader_u8(r);
        c->meta = (uint16_t)(whole << 8 | bits);
        break;
    }
    case LOG_NEWDECIMAL:
        c->meta = (uint16_t)reader_be(r, 2);
        break;
    case LOG_STRING:
    case LOG_VAR_STRING:
    case LOG_ENUM:
    case LOG_SET:
        read_string_meta(c, r);
        break;
    default:
        break;
    }
}

static bool
meta_possible(const struct map_column *c)
{
    switch (c->type) {
    case LOG_TIME2:
    case LOG_DATETIME2:
    case LOG_TIMESTAMP2:
        return c->meta <= 6;
    case LOG_NEWDECIMAL:
        return c->meta >> 8 >= 1 && c->meta >> 8 <= 65 && (c->meta & 255) <= c->meta >> 8;
    case LOG_BIT:
        return (c->meta & 255) < 8 && (c->meta >> 8) * 8 + (c->meta & 255) <= 64 && c->meta;
    case LOG_ENUM:
        return c->meta == 1 || c->meta == 2;
    case LOG_SET:
        return c->meta >= 1 && c->meta <= 8;
    case LOG_BLOB:
    case LOG_BLOB_COMPRESSED:
    case LOG_GEOMETRY:
    case LOG_JSON:
    case LOG_VECTOR:
        return c->meta >= 1 && c->meta <= 4;
    default:
        return true;
    }
}

static void
read_signedness(struct binlog_map *m, struct bytes v)
{
    size_t bit = 0;
    m->has_sign = true;
    for (unsigned i = 0; i < m->column_count; i++) {
        if (!is_number(m->columns[i].type))
            continue;
        if (bit / 8 < v.n)
            m->columns[i].is_unsigned = v.p[bit / 8] >> (7 - bit % 8) & 1;
        bit++;
    }
}

/* Default collation, then pairs (index among such columns, collation) of the others. */
static void
read_charset_default(struct binlog_map *m, struct reader *r, bool (*applies)(uint8_t))
{
    uint64_t dflt = reader_lenenc(r), index = 0, at = UINT64_MAX, other = 0;
    for (unsigned i = 0; i < m->column_count && !r->failed; i++) {
        struct map_column *c = &m->columns[i];
        if (!applies(c->type))
            continue;
        if (at == UINT64_MAX && reader_left(r)) {
            at = reader_lenenc(r);
            other = reader_lenenc(r);
        }
        c->collation = (uint16_t)(at == index ? other : dflt);
        if (at == index++)
            at = UINT64_MAX;
    }
}

static void
read_charset_each(struct binlog_map *m, struct reader *r, bool (*applies)(uint8_t))
{
    for (unsigned i = 0; i < m->column_count; i++)
        if (applies(m->columns[i].type))
            m->columns[i].collation = (uint16_t)reader_lenenc(r);
}

static void
read_names(struct binlog_map *m, struct reader *r)
{
    m->has_names = true;
    for (unsigned i = 0; i < m->column_count; i++)
        m->columns[i].name = reader_lenenc_bytes(r);
}

static void
read_labels(struct binlog_map *m, struct reader *r, uint8_t type)
{
    for (unsigned i = 0; i < m->column_count && !r->failed; i++) {
        struct map_column *c = &m->columns[i];
        if (c->type != type)
            continue;
        uint64_t n = reader_lenenc(r);
        const uint8_t *begin = r->p;
        for (uint64_t k = 0; k < n && !r->failed; k++)
            reader_lenenc_bytes(r);
        if (r->failed)
            return;
        c->label_count = (uint32_t)n;
        c->labels = bytes_of(begin, (size_t)(r->p - begin));
    }
}

static void
read_key(struct binlog_map *m, struct reader *r, bool prefixes, struct arena *a)
{
    m->key = arena_zalloc(a, (size_t)m->column_count * sizeof(*m->key));
    m->key_count = 0;
    while (reader_left(r) && !r->failed) {
        uint64_t column = reader_lenenc(r);
        uint64_t prefix = prefixes ? reader_lenenc(r) : 0;
        if (column >= m->column_count || m->key_count == m->column_count) {
            r->failed = true;
            return;
        }
        m->key[m->key_count++] = (struct map_key){(uint16_t)column, (uint32_t)prefix};
    }
}

static void
read_visibility(struct binlog_map *m, struct bytes v)
{
    for (unsigned i = 0; i < m->column_count && i / 8 < v.n; i++)
        m->columns[i].invisible = !(v.p[i / 8] >> (7 - i % 8) & 1);
}

static void
read_dimensions(struct binlog_map *m, struct reader *r)
{
    for (unsigned i = 0; i < m->column_count; i++)
        if (m->columns[i].type == LOG_VECTOR)
            m->columns[i].dimensions = (uint32_t)reader_lenenc(r);
}

static void
read_geometry(struct binlog_map *m, struct reader *r)
{
    m->has_geometry = true;
    for (unsigned i = 0; i < m->column_count; i++)
        if (m->columns[i].type == LOG_GEOMETRY)
            m->columns[i].geometry = (uint8_t)reader_lenenc(r);
}

/* Unknown kinds are passed over: each carries its length. */
static void
read_field(struct binlog_map *m, uint8_t kind, struct bytes value, struct reader *r,
           struct arena *a)
{
    switch (kind) {
    case FIELD_SIGNEDNESS:
        read_signedness(m, value);
        break;
    case FIELD_CHARSET_DEFAULT:
        read_charset_default(m, r, m->maria ? is_text_maria : is_text);
        break;
    case FIELD_LABEL_CHARSET_DEFAULT:
        read_charset_default(m, r, is_label);
        break;
    case FIELD_CHARSET_EACH:
        read_charset_each(m, r, m->maria ? is_text_maria : is_text);
        break;
    case FIELD_LABEL_CHARSET_EACH:
        read_charset_each(m, r, is_label);
        break;
    case FIELD_NAMES:
        read_names(m, r);
        break;
    case FIELD_SET_LABELS:
    case FIELD_ENUM_LABELS:
        read_labels(m, r, kind == FIELD_SET_LABELS ? LOG_SET : LOG_ENUM);
        break;
    case FIELD_GEOMETRY_TYPES:
        read_geometry(m, r);
        break;
    case FIELD_KEY:
    case FIELD_KEY_PREFIXES:
        read_key(m, r, kind == FIELD_KEY_PREFIXES, a);
        break;
    case FIELD_VISIBILITY:
        read_visibility(m, value);
        break;
    case FIELD_DIMENSIONS:
        read_dimensions(m, r);
        break;
    default:
        break;
    }
}

MUST static bool
read_optional(struct binlog_map *m, struct reader *r, struct arena *a)
{
    while (reader_left(r) && !r->failed) {
        uint8_t kind = reader_u8(r);
        struct bytes value = reader_lenenc_bytes(r);
        struct reader field = reader_of(value);
        if (r->failed)
            return false;
        read_field(m, kind, value, &field, a);
        if (field.failed)
            return false;
    }
    return !r->failed;
}

MUST static bool
read_columns(struct binlog_map *m, struct reader *r, struct arena *a)
{
    uint64_t n = reader_lenenc(r);
    if (r->failed || n == 0 || n > BINLOG_COLUMNS_MAX)
        return false;
    m->column_count = (uint16_t)n;
    m->columns = arena_zalloc(a, (size_t)n * sizeof(*m->columns));
    struct bytes types = reader_take(r, n);
    struct reader meta = reader_of(reader_lenenc_bytes(r));
    struct bytes nullable = reader_take(r, (n + 7) / 8);
    if (r->failed || !types.p || !nullable.p)
        return false;
    for (unsigned i = 0; i < n; i++) {
        struct map_column *c = &m->columns[i];
        c->type = types.p[i];
        read_meta(c, &meta);
        c->nullable = nullable.p[i / 8] >> (i % 8) & 1;
        if (meta.failed || !meta_possible(c))
            return false;
    }
    return true;
}

bool
binlog_map_parse(struct bytes event_body, enum source_flavor flavor, struct arena *a,
                 struct binlog_map *out, struct err *e)
{
    if (!binlog_map_head(event_body, out, e))
        return false;
    out->maria = flavor == FLAVOR_MARIADB;
    struct reader r = reader_of(out->body);
    reader_take(&r, out->database.n + 2);
    reader_take(&r, out->table.n + 2);
    if (!read_columns(out, &r, a) || !read_optional(out, &r, a))
        return err_set(e, MR_SOURCE_CORRUPT, "TABLE_MAP of %.*s.%.*s cannot be read",
                       (int)out->database.n, (const char *)out->database.p, (int)out->table.n,
                       (const char *)out->table.p);
    return true;
}

static int
find_named(const struct binlog_map *m, const char *name)
{
    for (unsigned i = 0; i < m->column_count; i++)
        if (bytes_eq(m->columns[i].name, bytes_str(name)))
            return (int)i;
    return -1;
}

static void
take_out(struct binlog_map *m, uint16_t at)
{
    struct map_column *c = &m->columns[at];
    memmove(c, c + 1, (size_t)(m->column_count - at - 1U) * sizeof(*c));
    m->column_count--;
    uint16_t n = 0;
    for (uint16_t i = 0; i < m->key_count; i++) {
        struct map_key k = m->key[i];
        if (k.column == at)
            continue;
        k.column = (uint16_t)(k.column - (k.column > at));
        m->key[n++] = k;
    }
    m->key_count = n;
}

void
binlog_map_hide(struct binlog_map *m, const struct table *t)
{
    if (!t->period_end_at || m->hidden_count)
        return;
    int start = t->period_start_at - 1, end = t->period_end_at - 1;
    if (m->has_names) {
        start = find_named(m, t->period_start);
        end = find_named(m, t->period_end);
    } else if (m->column_count != t->column_count + 2) {
        return;
    }
    if (start < 0 || end < 0 || start == end || start >= m->column_count ||
        end >= m->column_count)
        return;
    m->row_end = end > start;
    m->hidden_at[m->row_end] = (uint16_t)end;
    m->hidden_at[!m->row_end] = (uint16_t)start;
    m->hidden_count = 2;
    for (unsigned i = 0; i < 2; i++)
        m->hidden[i] = m->columns[m->hidden_at[i]];
    take_out(m, m->hidden_at[1]);
    take_out(m, m->hidden_at[0]);
}

uint64_t
binlog_map_fingerprint(const struct binlog_map *m)
{
    uint8_t digest[32];
    hash_sha256(m->body, digest);
    struct reader r = reader_of(bytes_of(digest, 8));
    return reader_le(&r, 8) >> 1; /* 63 bits: travels as a JSON number */
}

struct bytes
binlog_map_label(struct bytes *labels)
{
    struct reader r = reader_of(*labels);
    struct bytes label = reader_lenenc_bytes(&r);
    *labels = reader_rest(&r);
    return label;
}
