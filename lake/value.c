/* Values of a source as values of Iceberg. */
#include "lake/value.h"

#include "base/hash.h"
#include "schema/decimal.h"
#include "schema/temporal.h"

#define DAY_US (86400LL * 1000000)

static const char *const KINDS[] = {
    [CELL_ABSENT] = "absent",       [CELL_NULL] = "null",     [CELL_INT] = "int",
    [CELL_UINT] = "uint",           [CELL_FLOAT] = "float",   [CELL_DOUBLE] = "double",
    [CELL_DECIMAL] = "decimal",     [CELL_TEXT] = "text",     [CELL_BYTES] = "bytes",
    [CELL_DATE] = "date",           [CELL_TIME] = "time",     [CELL_DATETIME] = "datetime",
    [CELL_TIMESTAMP] = "timestamp", [CELL_YEAR] = "year",     [CELL_BIT] = "bit",
    [CELL_ENUM] = "enum",           [CELL_SET] = "set",       [CELL_JSON] = "json",
    [CELL_GEOMETRY] = "geometry",   [CELL_VECTOR] = "vector",
};

void
lake_scratch_free(struct lake_scratch *s)
{
    buf_free(&s->text);
}

static bool
refuse(const struct lake_field *f, const struct cell *in, const char *why, struct err *e)
{
    char type[LAKE_TYPE_TEXT_MAX];
    return err_set(e, MR_LAKE_VALUE, "column %s (%s): a value of kind %s %s", f->name,
                   lake_type_text(&f->type, type),
                   in->kind < ARRAY_LEN(KINDS) ? KINDS[in->kind] : "unknown", why);
}

static bool
wrong_kind(const struct lake_field *f, const struct cell *in, struct err *e)
{
    return refuse(f, in, "has no form in this type", e);
}

static void
give_int(int64_t v, struct cell *out)
{
    *out = (struct cell){.kind = CELL_INT, .v.i = v};
}

static void
give_bytes(enum cell_kind kind, struct bytes b, struct cell *out)
{
    *out = (struct cell){.kind = (uint8_t)kind, .len = (uint32_t)b.n, .v.p = b.p};
}

/* Null for a date that does not exist. */
static bool
give_null(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
          struct cell *out, struct err *e)
{
    if (f->required)
        return refuse(f, in, "is a zero or partial date, and the column is required", e);
    s->zeros++;
    *out = (struct cell){.kind = CELL_NULL};
    return true;
}

static bool
to_integer(const struct lake_field *f, const struct cell *in, struct cell *out, struct err *e)
{
    int64_t low = INT64_MIN, high = INT64_MAX;
    bool is_signed =
        in->kind == CELL_INT || (in->kind == CELL_TIME && f->type.kind == LAKE_LONG);
    if (f->type.kind == LAKE_BOOLEAN)
        low = 0, high = 1;
    else if (f->type.kind == LAKE_INT)
        low = INT32_MIN, high = INT32_MAX;
    if (!is_signed && in->kind != CELL_UINT && in->kind != CELL_YEAR && in->kind != CELL_BIT)
        return wrong_kind(f, in, e);
    if ((!is_signed && in->v.u > (uint64_t)high) ||
        (is_signed && (in->v.i < low || in->v.i > high)))
        return refuse(f, in, "is out of range", e);
    give_int(in->v.i, out);
    return true;
}

static bool
to_float(const struct lake_field *f, const struct cell *in, struct cell *out, struct err *e)
{
    bool wide = f->type.kind == LAKE_DOUBLE;
    if (in->kind != CELL_FLOAT && !(wide && in->kind == CELL_DOUBLE))
        return wrong_kind(f, in, e);
    *out = (struct cell){.kind = wide ? CELL_DOUBLE : CELL_FLOAT, .v.d = in->v.d};
    return true;
}

/* Big-endian two's complement of n bytes, sign-extended into the scratch. */
static void
widen(const uint8_t *be, size_t n, unsigned width, struct lake_scratch *s, struct cell *out)
{
    memset(s->wide, be[0] & 0x80 ? 0xff : 0, width - n);
    memcpy(s->wide + width - n, be, n);
    give_bytes(CELL_BYTES, bytes_of(s->wide, width), out);
}

static bool
unscaled(const struct lake_field *f, int64_t v, struct lake_scratch *s, struct cell *out)
{
    static const int64_t powers[] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000,
                                     10000000000000000,
                                     100000000000000000,
                                     1000000000000000000};
    unsigned p = f->type.precision;
    if (p < ARRAY_LEN(powers)) {
        give_int(v, out);
        return v < powers[p] && v > -powers[p];
    }
    uint8_t be[8];
    for (unsigned i = 0; i < 8; i++)
        be[i] = (uint8_t)((uint64_t)v >> (56 - 8 * i));
    widen(be, sizeof be, lake_decimal_width(p), s, out);
    return true;
}

/* "-123.45" of at most 18 digits; false: not such a text. */
static bool
read_small(struct bytes t, unsigned scale, int64_t *out)
{
    size_t i = t.n && t.p[0] == '-';
    uint64_t v = 0;
    unsigned digits = 0, fraction = 0;
    bool point = false;
    for (; i < t.n; i++) {
        unsigned d = (unsigned)t.p[i] - '0';
        if (t.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (d > 9 || ++digits > 19)
            return false;
        fraction += point;
        v = v * 10 + d;
    }
    for (; fraction < scale; fraction++, digits++)
        v *= 10;
    if (fraction != scale || !digits || digits > 19 || v > INT64_MAX)
        return false;
    *out = t.p[0] == '-' ? -(int64_t)v : (int64_t)v;
    return true;
}

static unsigned
whole_digits(struct bytes t)
{
    size_t i = t.n && t.p[0] == '-';
    while (i < t.n && t.p[i] == '0')
        i++;
    unsigned n = 0;
    for (; i < t.n && t.p[i] != '.'; i++)
        n++;
    return n;
}

static bool
decimal_of_text(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
                struct cell *out, struct err *e)
{
    int64_t v;
    uint8_t be[DECIMAL_BYTES_MAX];
    unsigned width = lake_decimal_width(f->type.precision);
    if (f->type.precision <= 18 && read_small(cell_bytes(in), f->type.scale, &v))
        return unscaled(f, v, s, out) || refuse(f, in, "has too many digits", e);
    if (f->type.precision <= 18 ||
        whole_digits(cell_bytes(in)) + f->type.scale > f->type.precision)
        return refuse(f, in, "has too many digits", e);
    size_t n = decimal_to_bytes(cell_bytes(in), f->type.scale, be);
    if (!n || n > width)
        return refuse(f, in, "is no decimal of that scale", e);
    widen(be, n, width, s, out);
    return true;
}

static bool
decimal_of_unsigned(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
                    struct cell *out, struct err *e)
{
    if (f->type.scale)
        return wrong_kind(f, in, e);
    if (f->type.precision >= 20) {
        uint8_t be[9] = {0};
        for (unsigned i = 0; i < 8; i++)
            be[1 + i] = (uint8_t)(in->v.u >> (56 - 8 * i));
        widen(be, sizeof be, lake_decimal_width(f->type.precision), s, out);
        return true;
    }
    return (in->v.u <= INT64_MAX && unscaled(f, in->v.i, s, out)) ||
           refuse(f, in, "has too many digits", e);
}

static bool
to_decimal(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
           struct cell *out, struct err *e)
{
    switch (in->kind) {
    case CELL_DECIMAL:
        return decimal_of_text(f, in, s, out, e);
    case CELL_UINT:
        return decimal_of_unsigned(f, in, s, out, e);
    case CELL_INT:
        return unscaled(f, in->v.i, s, out) || refuse(f, in, "has too many digits", e);
    case CELL_BYTES:
        if (f->type.precision <= 18 || in->len != lake_decimal_width(f->type.precision))
            return refuse(f, in, "has another width", e);
        *out = *in;
        return true;
    default:
        return wrong_kind(f, in, e);
    }
}

static bool
to_date(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
        struct cell *out, struct err *e)
{
    int64_t days = in->v.i;
    if (in->kind == CELL_DATE) {
        uint64_t d = in->v.u;
        if (!temporal_days((unsigned)(d >> 9), d >> 5 & 15, d & 31, &days))
            return give_null(f, in, s, out, e);
    } else if (in->kind != CELL_INT) {
        return wrong_kind(f, in, e);
    }
    if (days < INT32_MIN || days > INT32_MAX)
        return refuse(f, in, "is out of range", e);
    give_int(days, out);
    return true;
}

static bool
to_time(const struct lake_field *f, const struct cell *in, struct cell *out, struct err *e)
{
    if (in->kind != CELL_TIME && in->kind != CELL_INT)
        return wrong_kind(f, in, e);
    if (in->v.i < 0 || in->v.i >= DAY_US)
        return refuse(f, in, "is no time of a day", e);
    give_int(in->v.i, out);
    return true;
}

static bool
to_timestamp(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
             struct cell *out, struct err *e)
{
    bool zone = f->type.kind == LAKE_TIMESTAMPTZ;
    int64_t us = in->v.i;
    if (in->kind == CELL_DATETIME) {
        if (zone && in->v.u)
            return wrong_kind(f, in, e);
        if (!temporal_epoch_us(in->v.u, &us))
            return give_null(f, in, s, out, e);
    } else if (in->kind != CELL_INT && !(zone && in->kind == CELL_TIMESTAMP)) {
        return wrong_kind(f, in, e);
    }
    give_int(us, out);
    return true;
}

static bool
add_labels(const struct column *source, const struct cell *in, struct buf *out)
{
    uint64_t bits = in->v.u;
    if (in->kind == CELL_ENUM) {
        if (bits)
            buf_add_bytes(out, bits <= source->label_count ? source->labels[bits - 1]
                                                           : (struct bytes){0});
        return bits <= source->label_count;
    }
    for (uint32_t i = 0; bits && i < source->label_count; i++, bits >>= 1) {
        if (bits & 1) {
            if (out->n)
                buf_add_byte(out, ',');
            buf_add_bytes(out, source->labels[i]);
        }
    }
    return bits == 0;
}

static bool
label_text(const struct lake_field *f, const struct column *source, const struct cell *in,
           struct lake_scratch *s, struct err *e)
{
    if (!source || !add_labels(source, in, &s->text))
        return refuse(f, in, "names no label of its column", e);
    return true;
}

static void
temporal_text(const struct cell *in, struct buf *out)
{
    char *at = (char *)buf_reserve(out, TEMPORAL_TEXT_MAX), *end = at;
    if (!at)
        return;
    if (in->kind == CELL_DATE)
        end = temporal_put_date(at, in->v.u);
    else if (in->kind == CELL_TIME)
        end = temporal_put_time(at, in->v.i, in->dec);
    else if (in->kind == CELL_DATETIME)
        end = temporal_put_datetime(at, in->v.u, in->dec, ' ');
    else
        end = temporal_put_zoned(at, in->v.i, in->dec);
    out->n += (size_t)(end - at);
}

static bool
to_string(const struct lake_field *f, const struct column *source, const struct cell *in,
          struct lake_scratch *s, struct cell *out, struct err *e)
{
    buf_reset(&s->text);
    switch (in->kind) {
    case CELL_TEXT:
    case CELL_JSON:
    case CELL_DECIMAL:
        give_bytes(CELL_TEXT, cell_bytes(in), out);
        return true;
    case CELL_ENUM:
    case CELL_SET:
        if (!label_text(f, source, in, s, e))
            return false;
        break;
    case CELL_DATE:
    case CELL_TIME:
    case CELL_DATETIME:
    case CELL_TIMESTAMP:
        temporal_text(in, &s->text);
        break;
    default:
        return wrong_kind(f, in, e);
    }
    if (s->text.failed)
        return err_set(e, MR_NO_MEMORY, "column %s", f->name);
    give_bytes(CELL_TEXT, buf_bytes(&s->text), out);
    return true;
}

static bool
to_uuid(const struct lake_field *f, const struct cell *in, struct lake_scratch *s,
        struct cell *out, struct err *e)
{
    char text[37] = "";
    if (in->kind == CELL_TEXT && in->len == 36) {
        memcpy(text, in->v.p, 36);
        if (!uuid_parse(text, s->wide))
            return refuse(f, in, "is no UUID", e);
        give_bytes(CELL_BYTES, bytes_of(s->wide, 16), out);
        return true;
    }
    if (in->kind != CELL_BYTES || in->len != 16)
        return wrong_kind(f, in, e);
    *out = *in;
    return true;
}

static bool
to_binary(const struct lake_field *f, const struct column *source, const struct cell *in,
          struct lake_scratch *s, struct cell *out, struct err *e)
{
    if (in->kind == CELL_BIT) {
        unsigned n = source && source->length ? (source->length + 7) / 8 : 8;
        for (unsigned i = 0; i < n; i++)
            s->wide[i] = (uint8_t)(in->v.u >> (8 * (n - 1 - i)));
        give_bytes(CELL_BYTES, bytes_of(s->wide, n), out);
    } else if (in->kind == CELL_BYTES || in->kind == CELL_GEOMETRY || in->kind == CELL_VECTOR) {
        give_bytes(CELL_BYTES, cell_bytes(in), out);
    } else {
        return wrong_kind(f, in, e);
    }
    if (f->type.kind == LAKE_FIXED && out->len != f->type.length)
        return refuse(f, in, "has another length", e);
    return true;
}

bool
lake_native(const struct lake_field *f, const struct column *source, const struct cell *in,
            struct lake_scratch *s, struct cell *out, struct err *e)
{
    if (in->kind == CELL_ABSENT)
        return refuse(f, in, "was given for a whole row", e);
    if (in->kind == CELL_NULL) {
        *out = *in;
        return !f->required || refuse(f, in, "was given for a required column", e);
    }
    switch (f->type.kind) {
    case LAKE_BOOLEAN:
    case LAKE_INT:
    case LAKE_LONG:
        return to_integer(f, in, out, e);
    case LAKE_FLOAT:
    case LAKE_DOUBLE:
        return to_float(f, in, out, e);
    case LAKE_DECIMAL:
        return to_decimal(f, in, s, out, e);
    case LAKE_DATE:
        return to_date(f, in, s, out, e);
    case LAKE_TIME:
        return to_time(f, in, out, e);
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        return to_timestamp(f, in, s, out, e);
    case LAKE_STRING:
        return to_string(f, source, in, s, out, e);
    case LAKE_UUID:
        return to_uuid(f, in, s, out, e);
    default:
        return to_binary(f, source, in, s, out, e);
    }
}

void
lake_promote(const struct lake_type *to, struct arena *a, struct cell *c)
{
    if (to->kind == LAKE_DOUBLE)
        c->kind = CELL_DOUBLE;
    if (to->kind != LAKE_DECIMAL || to->precision <= 18)
        return;
    uint8_t be[8];
    unsigned width = lake_decimal_width(to->precision);
    struct bytes from = cell_bytes(c);
    if (c->kind == CELL_INT) {
        for (unsigned i = 0; i < 8; i++)
            be[i] = (uint8_t)(c->v.u >> (56 - 8 * i));
        from = bytes_of(be, sizeof be);
    }
    uint8_t *wide = arena_alloc(a, width);
    memset(wide, from.p[0] & 0x80 ? 0xff : 0, width - from.n);
    memcpy(wide + width - from.n, from.p, from.n);
    give_bytes(CELL_BYTES, bytes_of(wide, width), c);
}
