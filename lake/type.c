/* Types: names, promotion, the mapping of source columns, single-value serialization. */
#include "lake/type.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const struct lake_field LAKE_FIELD_ROW_ID = {LAKE_ID_ROW_ID, "_row_id", {.kind = LAKE_LONG}, 0};
const struct lake_field LAKE_FIELD_LAST_UPDATED = {
    LAKE_ID_LAST_UPDATED, "_last_updated_sequence_number", {.kind = LAKE_LONG}, 0};
const struct lake_field LAKE_FIELD_FILE_PATH = {
    LAKE_ID_FILE_PATH, "file_path", {.kind = LAKE_STRING}, true};
const struct lake_field LAKE_FIELD_POS = {LAKE_ID_POS, "pos", {.kind = LAKE_LONG}, true};

static const char *const NAMES[LAKE_KINDS] = {
    [LAKE_BOOLEAN] = "boolean",     [LAKE_INT] = "int",
    [LAKE_LONG] = "long",           [LAKE_FLOAT] = "float",
    [LAKE_DOUBLE] = "double",       [LAKE_DECIMAL] = "decimal",
    [LAKE_DATE] = "date",           [LAKE_TIME] = "time",
    [LAKE_TIMESTAMP] = "timestamp", [LAKE_TIMESTAMPTZ] = "timestamptz",
    [LAKE_STRING] = "string",       [LAKE_UUID] = "uuid",
    [LAKE_FIXED] = "fixed",         [LAKE_BINARY] = "binary",
};

bool
lake_type_equal(const struct lake_type *a, const struct lake_type *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == LAKE_DECIMAL)
        return a->precision == b->precision && a->scale == b->scale;
    return a->kind != LAKE_FIXED || a->length == b->length;
}

char *
lake_type_text(const struct lake_type *t, char out[LAKE_TYPE_TEXT_MAX])
{
    if (t->kind == LAKE_DECIMAL)
        snprintf(out, LAKE_TYPE_TEXT_MAX, "decimal(%u, %u)", t->precision, t->scale);
    else if (t->kind == LAKE_FIXED)
        snprintf(out, LAKE_TYPE_TEXT_MAX, "fixed[%" PRIu32 "]", t->length);
    else
        snprintf(out, LAKE_TYPE_TEXT_MAX, "%s", NAMES[t->kind]);
    return out;
}

static bool
take(struct bytes *b, uint8_t c)
{
    while (b->n && *b->p == ' ')
        *b = bytes_of(b->p + 1, b->n - 1);
    if (!b->n || *b->p != c)
        return false;
    *b = bytes_of(b->p + 1, b->n - 1);
    return true;
}

static bool
take_number(struct bytes *b, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    size_t digits = 0;
    while (b->n && *b->p == ' ')
        *b = bytes_of(b->p + 1, b->n - 1);
    for (; b->n && *b->p >= '0' && *b->p <= '9' && v <= max; digits++) {
        v = v * 10 + (*b->p - '0');
        *b = bytes_of(b->p + 1, b->n - 1);
    }
    *out = (uint32_t)v;
    return digits && v <= max;
}

static bool
take_word(struct bytes *b, const char *word)
{
    size_t n = strlen(word);
    if (b->n < n || memcmp(b->p, word, n) != 0)
        return false;
    *b = bytes_of(b->p + n, b->n - n);
    return true;
}

static bool
parse_decimal(struct bytes t, struct lake_type *out)
{
    uint32_t p, s;
    if (!take(&t, '(') || !take_number(&t, LAKE_PRECISION_MAX, &p) || !take(&t, ',') ||
        !take_number(&t, LAKE_PRECISION_MAX, &s) || !take(&t, ')') || t.n || !p || s > p)
        return false;
    *out = (struct lake_type){LAKE_DECIMAL, (uint8_t)p, (uint8_t)s, 0};
    return true;
}

bool
lake_type_parse(struct bytes text, struct lake_type *out)
{
    struct bytes rest = text;
    if (take_word(&rest, "decimal"))
        return parse_decimal(rest, out);
    if (take_word(&rest, "fixed")) {
        *out = (struct lake_type){.kind = LAKE_FIXED};
        return take(&rest, '[') && take_number(&rest, INT32_MAX, &out->length) &&
               take(&rest, ']') && !rest.n && out->length;
    }
    for (unsigned k = 0; k < LAKE_KINDS; k++) {
        if (bytes_eq(text, bytes_str(NAMES[k]))) {
            *out = (struct lake_type){.kind = (enum lake_kind)k};
            return true;
        }
    }
    return false;
}

bool
lake_type_promotes(const struct lake_type *from, const struct lake_type *to)
{
    if (from->kind == LAKE_INT && to->kind == LAKE_LONG)
        return true;
    if (from->kind == LAKE_FLOAT && to->kind == LAKE_DOUBLE)
        return true;
    if (from->kind == LAKE_DECIMAL && to->kind == LAKE_DECIMAL)
        return from->scale == to->scale && from->precision <= to->precision;
    return lake_type_equal(from, to);
}

unsigned
lake_decimal_width(unsigned precision)
{
    static const uint8_t widths[LAKE_PRECISION_MAX + 1] = {
        1, 1, 1,  2,  2,  3,  3,  4,  4,  4,  5,  5,  6,  6,  6,  7,  7,  8,  8, 9,
        9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 13, 14, 14, 15, 15, 16, 16, 16};
    return widths[precision <= LAKE_PRECISION_MAX ? precision : LAKE_PRECISION_MAX];
}

bool
lake_schema_equal(const struct lake_schema *a, const struct lake_schema *b)
{
    if (a->field_count != b->field_count || a->identifier_count != b->identifier_count)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct lake_field *x = &a->fields[i], *y = &b->fields[i];
        if (x->id != y->id || strcmp(x->name, y->name) != 0 || x->required != y->required ||
            !lake_type_equal(&x->type, &y->type))
            return false;
    }
    for (uint32_t i = 0; i < a->identifier_count; i++)
        if (a->identifier_ids[i] != b->identifier_ids[i])
            return false;
    return true;
}

const struct lake_field *
lake_schema_find(const struct lake_schema *s, int32_t id)
{
    for (uint32_t i = 0; i < s->field_count; i++)
        if (s->fields[i].id == id)
            return &s->fields[i];
    return NULL;
}

const struct lake_field *
lake_schema_find_name(const struct lake_schema *s, struct bytes name)
{
    for (uint32_t i = 0; i < s->field_count; i++)
        if (bytes_eq(bytes_str(s->fields[i].name), name))
            return &s->fields[i];
    return NULL;
}

static struct lake_type
integer_type(const struct column *c, const struct lake_map_conf *conf)
{
    if (c->type == COL_BIGINT && c->is_unsigned)
        return (struct lake_type){LAKE_DECIMAL, 20, 0, 0};
    if (c->type == COL_BIGINT || (c->type == COL_INT && c->is_unsigned))
        return (struct lake_type){.kind = LAKE_LONG};
    if (c->type == COL_TINYINT && conf->tinyint1_boolean && c->source_type &&
        strncmp(c->source_type, "tinyint(1)", 10) == 0)
        return (struct lake_type){.kind = LAKE_BOOLEAN};
    return (struct lake_type){.kind = LAKE_INT};
}

struct lake_type
lake_type_of_column(const struct column *c, const struct lake_map_conf *conf)
{
    static const enum lake_kind kinds[COL_TYPES] = {
        [COL_FLOAT] = LAKE_FLOAT,        [COL_DOUBLE] = LAKE_DOUBLE,
        [COL_CHAR] = LAKE_STRING,        [COL_VARCHAR] = LAKE_STRING,
        [COL_TINYTEXT] = LAKE_STRING,    [COL_TEXT] = LAKE_STRING,
        [COL_MEDIUMTEXT] = LAKE_STRING,  [COL_LONGTEXT] = LAKE_STRING,
        [COL_BINARY] = LAKE_BINARY,      [COL_VARBINARY] = LAKE_BINARY,
        [COL_TINYBLOB] = LAKE_BINARY,    [COL_BLOB] = LAKE_BINARY,
        [COL_MEDIUMBLOB] = LAKE_BINARY,  [COL_LONGBLOB] = LAKE_BINARY,
        [COL_DATE] = LAKE_DATE,          [COL_TIME] = LAKE_TIME,
        [COL_DATETIME] = LAKE_TIMESTAMP, [COL_TIMESTAMP] = LAKE_TIMESTAMPTZ,
        [COL_YEAR] = LAKE_INT,           [COL_BIT] = LAKE_BINARY,
        [COL_ENUM] = LAKE_STRING,        [COL_SET] = LAKE_STRING,
        [COL_JSON] = LAKE_STRING,        [COL_GEOMETRY] = LAKE_BINARY,
        [COL_VECTOR] = LAKE_BINARY,      [COL_UUID] = LAKE_UUID,
        [COL_INET4] = LAKE_STRING,       [COL_INET6] = LAKE_STRING,
    };
    if (c->type <= COL_BIGINT)
        return integer_type(c, conf);
    if (c->type == COL_DECIMAL && c->precision <= LAKE_PRECISION_MAX)
        return (struct lake_type){LAKE_DECIMAL, c->precision, c->scale, 0};
    if (c->type == COL_DECIMAL || (c->type == COL_TIME && conf->time_text))
        return (struct lake_type){.kind = LAKE_STRING};
    if (c->type == COL_BIT && c->length == 1)
        return (struct lake_type){.kind = LAKE_BOOLEAN};
    return (struct lake_type){.kind = kinds[c->type]};
}

bool
lake_column_may_null(const struct column *c)
{
    return c->type == COL_DATE || c->type == COL_DATETIME || c->type == COL_TIMESTAMP;
}

void
lake_schema_of_table(const struct table *t, const struct lake_map_conf *conf, struct arena *a,
                     struct lake_schema *out)
{
    struct lake_field *fields = arena_zalloc(a, t->column_count * sizeof *fields);
    int32_t *key = arena_zalloc(a, t->key_count * sizeof *key);
    bool floats = false;
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        bool required = !c->nullable && (c->key_at || !lake_column_may_null(c));
        fields[i] = (struct lake_field){(int32_t)i + 1, arena_strdup(a, c->name),
                                        lake_type_of_column(c, conf), required};
    }
    for (uint32_t i = 0; i < t->key_count; i++) {
        const struct lake_field *f = &fields[t->key[i]];
        floats |= f->type.kind == LAKE_FLOAT || f->type.kind == LAKE_DOUBLE || !f->required;
        key[i] = f->id;
    }
    *out = (struct lake_schema){0, fields, t->column_count, key, floats ? 0 : t->key_count};
}

/* Shortest big-endian two's complement of big-endian two's complement. */
static struct bytes
shortest(struct bytes b)
{
    while (b.n > 1 && ((b.p[0] == 0 && !(b.p[1] & 0x80)) || (b.p[0] == 0xff && b.p[1] & 0x80)))
        b = bytes_of(b.p + 1, b.n - 1);
    return b;
}

static void
put_decimal(const struct cell *c, struct buf *out)
{
    uint8_t be[8];
    if (c->kind == CELL_BYTES) {
        buf_add_bytes(out, shortest(cell_bytes(c)));
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        be[i] = (uint8_t)((uint64_t)c->v.i >> (56 - 8 * i));
    buf_add_bytes(out, shortest(bytes_of(be, 8)));
}

static void
put_le(uint64_t v, unsigned n, struct buf *out)
{
    for (unsigned i = 0; i < n; i++)
        buf_add_byte(out, (uint8_t)(v >> (8 * i)));
}

void
lake_value_put(const struct lake_type *t, const struct cell *c, struct buf *out)
{
    float narrow;
    uint32_t bits;
    uint64_t wide;
    switch (t->kind) {
    case LAKE_BOOLEAN:
        put_le(c->v.u, 1, out);
        break;
    case LAKE_INT:
    case LAKE_DATE:
        put_le(c->v.u, 4, out);
        break;
    case LAKE_FLOAT:
        narrow = (float)c->v.d;
        memcpy(&bits, &narrow, sizeof bits);
        put_le(bits, 4, out);
        break;
    case LAKE_DOUBLE:
        memcpy(&wide, &c->v.d, sizeof wide);
        put_le(wide, 8, out);
        break;
    case LAKE_DECIMAL:
        put_decimal(c, out);
        break;
    case LAKE_LONG:
    case LAKE_TIME:
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        put_le(c->v.u, 8, out);
        break;
    default:
        buf_add_bytes(out, cell_bytes(c));
    }
}

static bool
get_integer(struct bytes b, size_t n, struct cell *out)
{
    struct reader r = reader_of(b);
    if (b.n != n && !(n == 8 && b.n == 4))
        return false;
    uint64_t v = reader_le(&r, b.n);
    *out = (struct cell){.kind = CELL_INT};
    out->v.i = b.n == 4 ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
    return true;
}

static bool
get_float(const struct lake_type *t, struct bytes b, struct cell *out)
{
    bool wide = t->kind == LAKE_DOUBLE;
    *out = (struct cell){.kind = wide ? CELL_DOUBLE : CELL_FLOAT};
    if (b.n == 8 && wide) {
        memcpy(&out->v.d, b.p, 8);
        return true;
    }
    float narrow;
    if (b.n != 4)
        return false;
    memcpy(&narrow, b.p, 4);
    out->v.d = (double)narrow;
    return true;
}

static bool
get_decimal(const struct lake_type *t, struct bytes b, struct arena *a, struct cell *out)
{
    unsigned width = lake_decimal_width(t->precision);
    if (!b.n || b.n > width)
        return false;
    uint8_t fill = b.p[0] & 0x80 ? 0xff : 0;
    if (t->precision > 18) {
        uint8_t *wide = arena_alloc(a, width);
        memset(wide, fill, width - b.n);
        memcpy(wide + width - b.n, b.p, b.n);
        *out = (struct cell){.kind = CELL_BYTES, .len = width, .v.p = wide};
        return true;
    }
    uint64_t v = fill ? UINT64_MAX : 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    *out = (struct cell){.kind = CELL_INT, .v.u = v};
    return true;
}

bool
lake_value_get(const struct lake_type *t, struct bytes b, struct arena *a, struct cell *out)
{
    switch (t->kind) {
    case LAKE_BOOLEAN:
        *out = (struct cell){.kind = CELL_INT, .v.i = b.n && b.p[0]};
        return b.n == 1 && b.p[0] <= 1;
    case LAKE_INT:
    case LAKE_DATE:
        return get_integer(b, 4, out);
    case LAKE_LONG:
        return get_integer(b, 8, out);
    case LAKE_TIME:
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        return b.n == 8 && get_integer(b, 8, out);
    case LAKE_FLOAT:
    case LAKE_DOUBLE:
        return get_float(t, b, out);
    case LAKE_DECIMAL:
        return get_decimal(t, b, a, out);
    default:
        *out = (struct cell){.kind = t->kind == LAKE_STRING ? CELL_TEXT : CELL_BYTES,
                             .len = (uint32_t)b.n,
                             .v.p = b.p};
        return b.n <= UINT32_MAX && (t->kind != LAKE_UUID || b.n == 16);
    }
}

static int
compare_doubles(double a, double b)
{
    if (a < b || a > b)
        return a < b ? -1 : 1;
    return (__builtin_signbit(a) == 0) - (__builtin_signbit(b) == 0);
}

int
lake_value_cmp(const struct lake_type *t, const struct cell *a, const struct cell *b)
{
    if (t->kind == LAKE_FLOAT || t->kind == LAKE_DOUBLE)
        return compare_doubles(a->v.d, b->v.d);
    if (a->kind == CELL_INT)
        return (a->v.i > b->v.i) - (a->v.i < b->v.i);
    if (t->kind == LAKE_DECIMAL && (a->v.p[0] ^ b->v.p[0]) & 0x80)
        return a->v.p[0] & 0x80 ? -1 : 1;
    return bytes_cmp(cell_bytes(a), cell_bytes(b));
}
