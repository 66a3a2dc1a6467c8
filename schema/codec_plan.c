/* Compiling a table version to wire forms, and the conversions that Avro and JSON share. */
#include "schema/codec_plan.h"

#include <stdlib.h>

#include "base/map.h"
#include "schema/decimal.h"
#include "schema/temporal.h"
#include "schema/topic.h"

/* ---- names ---- */

static void
json_name(struct plan *p, struct plan_col *c)
{
    static const char hex[] = "0123456789abcdef";
    struct bytes name = bytes_str(c->column->name);
    uint8_t *q = arena_alloc(&p->arena, name.n * 6 + 3), *start = q;
    *q++ = '"';
    for (size_t i = 0; i < name.n; i++) {
        uint8_t b = name.p[i];
        if (b >= 32 && b != '"' && b != '\\') {
            *q++ = b;
            continue;
        }
        memcpy(q, "\\u00", 4);
        q[4] = (uint8_t)hex[b >> 4];
        q[5] = (uint8_t)hex[b & 15];
        q += 6;
    }
    *q++ = '"';
    *q++ = ':';
    c->json_name = bytes_of(start, (size_t)(q - start));
}

/* Debezium's adjustment; a clash gets the column's number. */
static void
avro_name(struct plan *p, struct plan_col *c, struct map *taken)
{
    struct buf b = {0};
    bool fresh;
    topic_avro_name(bytes_str(c->column->name), &b);
    while (map_get(taken, buf_bytes(&b)))
        buf_addf(&b, "_%u", c->at);
    c->name = bytes_str(arena_strn(&p->arena, buf_bytes(&b)));
    map_put(taken, c->name, &fresh);
    buf_free(&b);
}

/* ---- sizes ---- */

static size_t
labels_max(const struct column *c)
{
    size_t longest = 0, all = 0;
    for (uint32_t i = 0; i < c->label_count; i++) {
        all += c->labels[i].n + 1;
        longest = c->labels[i].n > longest ? c->labels[i].n : longest;
    }
    return c->type == COL_SET ? all : longest;
}

static bool
is_sized(enum wire w)
{
    switch (w) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_JSON:
    case WIRE_GEOMETRY:
    case WIRE_VECTOR:
    case WIRE_ENUM:
    case WIRE_SET:
        return true;
    default:
        return false;
    }
}

/* Without what plan_cell_extra counts; 64 covers lengths, union branches and base64 of 32. */
static size_t
column_max(const struct plan *p, const struct plan_col *c)
{
    size_t labels = labels_max(c->column);
    if (p->conf.format == CODEC_AVRO)
        return 64 + labels;
    return 72 + c->json_name.n + labels * 6;
}

static void
add_column(struct plan *p, struct plan_col *c, uint16_t at, bool in_key, struct map *taken)
{
    const struct column *column = &p->table->columns[at];
    enum wire w = type_wire(column, in_key);
    *c = (struct plan_col){.wire = (uint8_t)w,
                           .nullable = !in_key && (column->nullable || type_has_raw(w)),
                           .scale = column->scale,
                           .at = at,
                           .column = column};
    avro_name(p, c, taken);
    json_name(p, c);
}

static void
add_value_columns(struct plan *p)
{
    const struct table *t = p->table;
    struct map taken = {0};
    for (uint16_t i = 0; i < t->column_count; i++) {
        struct plan_col *c = &p->value[i];
        add_column(p, c, i, false, &taken);
        p->image_max += column_max(p, c);
        p->raw_max += 2 * (32 + 2 * c->json_name.n + RAW_TEXT_MAX * 2);
        if (is_sized(c->wire))
            p->sized[p->sized_n++] = i;
    }
    map_free(&taken);
}

static void
add_key_columns(struct plan *p)
{
    struct map taken = {0};
    for (uint16_t i = 0; i < p->key_n; i++) {
        add_column(p, &p->key[i], p->table->key[i], true, &taken);
        p->key_max += column_max(p, &p->key[i]);
    }
    map_free(&taken);
}

/* ---- checks ---- */

MUST static bool
raw_names_are_clear(const struct table *t, struct err *e)
{
    size_t skip = sizeof RAW_BEFORE - 1;
    for (unsigned i = 0; i < t->column_count; i++) {
        const char *name = t->columns[i].name;
        if (strncmp(name, RAW_BEFORE, skip) != 0)
            continue;
        if (table_column_find(t, bytes_str(name + skip)) >= 0)
            return err_set(e, MR_SOURCE_TYPE, "%s.%s: columns %s and %s cannot be told apart",
                           t->database, t->name, name, name + skip);
    }
    return true;
}

MUST static bool
columns_are_valid(const struct table *t, struct err *e)
{
    for (unsigned i = 0; i < t->column_count; i++)
        if (!type_check(&t->columns[i], e))
            return err_wrap(e, "table %s.%s", t->database, t->name);
    return raw_names_are_clear(t, e);
}

bool
plan_init(struct plan *p, struct table *t, const struct codec_conf *c, struct err *e)
{
    memset(p, 0, sizeof *p);
    if (!columns_are_valid(t, e))
        return false;
    arena_init(&p->arena, 4096);
    p->table = table_ref(t);
    p->conf = *c;
    p->conf.prefix = arena_strdup(&p->arena, c->prefix);
    p->conf.topic = arena_strdup(&p->arena, c->topic);
    p->value_n = t->column_count;
    p->key_n = t->key_count;
    p->value = arena_zalloc(&p->arena, (p->value_n + 1u) * sizeof *p->value);
    p->key = arena_zalloc(&p->arena, (p->key_n + 1u) * sizeof *p->key);
    p->sized = arena_zalloc(&p->arena, (p->value_n + 1u) * sizeof *p->sized);
    add_value_columns(p);
    add_key_columns(p);
    return true;
}

void
plan_free(struct plan *p)
{
    table_unref(p->table);
    arena_free(&p->arena);
}

bool
plan_refuse_cell(const struct plan *p, const struct plan_col *c, const struct cell *v,
                 struct err *e)
{
    return err_set(e, MR_SCHEMA_DECODE, "%s.%s: column %s (%s): a cell of kind %d does not fit",
                   p->table->database, p->table->name, c->column->name,
                   type_mysql(c->column->type)->name, v->kind);
}

/* ---- conversions: cell to wire ---- */

bool
plan_integer(const struct plan_col *c, const struct cell *v, int64_t *out)
{
    if (v->kind == CELL_INT)
        *out = v->v.i;
    else if (v->kind == CELL_UINT && v->v.u <= INT64_MAX)
        *out = (int64_t)v->v.u;
    else
        return false;
    return c->wire == WIRE_LONG || (*out >= INT32_MIN && *out <= INT32_MAX);
}

bool
plan_temporal_number(const struct plan_col *c, const struct cell *v, int64_t *out)
{
    switch (c->wire) {
    case WIRE_YEAR:
        *out = (int64_t)v->v.u;
        return (v->kind == CELL_YEAR || v->kind == CELL_UINT) && v->v.u <= 9999;
    case WIRE_TIME:
        *out = v->v.i;
        return v->kind == CELL_TIME;
    case WIRE_DATE:
        return v->kind == CELL_DATE &&
               temporal_days((unsigned)(v->v.u >> 9), (unsigned)(v->v.u >> 5 & 15),
                             (unsigned)(v->v.u & 31), out);
    case WIRE_DATETIME_MS:
        if (v->kind != CELL_DATETIME || !temporal_epoch_us(v->v.u, out) || *out % 1000 != 0)
            return false;
        *out /= 1000;
        return true;
    default:
        return v->kind == CELL_DATETIME && temporal_epoch_us(v->v.u, out);
    }
}

static unsigned
fraction_digits(const struct plan_col *c, uint64_t micro)
{
    static const uint32_t unit[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    return micro % unit[c->scale > 6 ? 6 : c->scale] == 0 ? c->scale : 6;
}

/* The columns of TIMESTAMP can hold 1970 to 2106 and a little; anything outside year 1 to 9999
 * has no text. */
static bool
timestamp_in_range(int64_t us)
{
    return us >= -62135596800000000 && us < 253402300800000000;
}

size_t
plan_temporal_text(const struct plan_col *c, const struct cell *v, char *out)
{
    if (v->kind == CELL_TEXT && v->len < RAW_TEXT_MAX) {
        memcpy(out, v->v.p, v->len);
        return v->len;
    }
    if (v->kind == CELL_DATE && c->wire == WIRE_DATE_TEXT)
        return (size_t)(temporal_put_date(out, v->v.u) - out);
    if (v->kind == CELL_TIMESTAMP && timestamp_in_range(v->v.i)) {
        unsigned dec = fraction_digits(c, (uint64_t)(v->v.i % 1000000 + 1000000) % 1000000);
        return (size_t)(temporal_put_zoned(out, v->v.i, dec) - out);
    }
    if (v->kind != CELL_DATETIME || c->wire == WIRE_TIMESTAMP)
        return 0;
    return (
        size_t)(temporal_put_datetime(out, v->v.u, fraction_digits(c, v->v.u & 0xfffff), ' ') -
                out);
}

int
plan_raw_text(const struct plan_col *c, const struct cell *v, char *out)
{
    if (c->wire == WIRE_ENUM)
        return v->kind == CELL_ENUM && v->v.u == 0 ? 0 : -1;
    if (!type_has_raw(c->wire))
        return -1;
    if (v->kind == CELL_TEXT && v->len < RAW_TEXT_MAX) {
        memcpy(out, v->v.p, v->len);
        return (int)v->len;
    }
    if (v->kind == CELL_DATE && c->wire == WIRE_DATE)
        return (int)(temporal_put_date(out, v->v.u) - out);
    if (v->kind != CELL_DATETIME || c->wire == WIRE_DATE)
        return -1;
    unsigned dec = fraction_digits(c, v->v.u & 0xfffff);
    return (int)(temporal_put_datetime(out, v->v.u, dec, ' ') - out);
}

bool
plan_enum_label(const struct column *c, uint64_t index, struct bytes *out)
{
    if (index == 0 || index > c->label_count)
        return false;
    *out = c->labels[index - 1];
    return true;
}

bool
plan_set_labels(const struct column *c, uint64_t mask, uint8_t *out, size_t *n)
{
    uint8_t *p = out;
    if (c->label_count < 64 && mask >> c->label_count != 0)
        return false;
    while (mask) {
        struct bytes label = c->labels[__builtin_ctzll(mask)];
        mask &= mask - 1;
        memcpy(p, label.p, label.n);
        p += label.n;
        if (mask)
            *p++ = ',';
    }
    *n = (size_t)(p - out);
    return true;
}

/* ---- conversions: wire to cell ---- */

static bool
datetime_cell(const struct plan_col *c, int64_t us, struct cell *out)
{
    if (!timestamp_in_range(us))
        return false;
    *out = (struct cell){.kind = CELL_DATETIME, .dec = c->scale};
    out->v.u = temporal_from_epoch_us(us);
    return true;
}

static bool
date_cell(int64_t days, struct cell *out)
{
    int year;
    unsigned month, day;
    if (days < -719162 || days > 2932896)
        return false;
    temporal_civil(days, &year, &month, &day);
    *out = (struct cell){.kind = CELL_DATE};
    out->v.u = (uint64_t)(unsigned)year << 9 | month << 5 | day;
    return true;
}

bool
plan_temporal_cell(const struct plan_col *c, int64_t n, struct cell *out)
{
    switch (c->wire) {
    case WIRE_YEAR:
        *out = (struct cell){.kind = CELL_YEAR, .v.u = (uint64_t)n};
        return n >= 0 && n <= 9999;
    case WIRE_TIME:
        *out = (struct cell){.kind = CELL_TIME, .dec = c->scale, .v.i = n};
        return n > -3600000000000 && n < 3600000000000;
    case WIRE_DATE:
        return date_cell(n, out);
    case WIRE_DATETIME_MS:
        return n > -62135596801000 && n < 253402300801000 && datetime_cell(c, n * 1000, out);
    default:
        return datetime_cell(c, n, out);
    }
}

/* The images are the decoder's own array, made writable again here alone. */
static struct cell *
own_cells(const struct cell *image)
{
    union {
        const struct cell *in;
        struct cell *out;
    } u = {.in = image};
    return u.out;
}

static void
put_text(const struct cell *image, int at, struct bytes text)
{
    if (!image || at < 0 || image[at].kind != CELL_NULL)
        return;
    struct cell *c = &own_cells(image)[at];
    *c = (struct cell){.kind = CELL_TEXT, .len = (uint32_t)text.n};
    c->v.p = text.p;
}

void
plan_put_raw(const struct plan *p, struct bytes name, struct bytes text, struct change *c)
{
    size_t skip = sizeof RAW_BEFORE - 1;
    if (c->after && c->before && name.n > skip && memcmp(name.p, RAW_BEFORE, skip) == 0) {
        struct bytes rest = {name.p + skip, name.n - skip};
        int at = table_column_find(p->table, rest);
        if (at >= 0) {
            put_text(c->before, at, text);
            return;
        }
    }
    put_text(c->after ? c->after : c->before, table_column_find(p->table, name), text);
}

bool
plan_put_unchanged(const struct plan *p, int64_t k, struct change *c)
{
    const struct cell *image = k < 0 ? c->before : c->after;
    int64_t at = k < 0 ? -(k + 1) : k;
    if (!image || at >= p->value_n)
        return false;
    own_cells(image)[at] = (struct cell){.kind = CELL_ABSENT};
    return true;
}
