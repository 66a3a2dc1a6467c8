/* The decode plan: see row_plan.h. */
#include "capture/mysql/row_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/mysql/value.h"

#define VALUE_PARTIAL_JSON UINT64_C(1)

enum row_op {
    /* fixed size */
    ROW_INT,
    ROW_UINT,
    ROW_FLOAT,
    ROW_DOUBLE,
    ROW_DECIMAL,
    ROW_YEAR,
    ROW_DATE,
    ROW_TIME2,
    ROW_DATETIME2,
    ROW_TIMESTAMP2,
    ROW_TIME_OLD,
    ROW_DATETIME_OLD,
    ROW_TIMESTAMP_OLD,
    ROW_BIT,
    ROW_ENUM,
    ROW_SET,
    /* a length of `size` bytes, then the value */
    ROW_BYTES,
    ROW_PADDED,
    ROW_TEXT,
    ROW_JSON_BINARY,
    ROW_JSON_TEXT,
    ROW_GEOMETRY,
    ROW_VECTOR,
    ROW_UUID,
    ROW_INET4,
    ROW_INET6,
};

struct row_column {
    uint8_t op;
    uint8_t size; /* of the value, or of its length */
    uint8_t dec;
    uint8_t precision;
    uint8_t scale;
    bool compressed; /* MariaDB's COMPRESSED columns */
    uint16_t padded; /* ROW_PADDED, UUID, INET: bytes of the whole value */
    uint16_t to;     /* column of the table; HIDDEN + 0 or 1: row_plan.hidden */
    struct charset *charset;
};

#define HIDDEN (BINLOG_COLUMNS_MAX + 1)

struct row_plan {
    struct table *table;
    struct cell hidden[2]; /* of the newest image */
    uint16_t hidden_count, row_end;
    struct row_column *columns;
    uint16_t count;
    uint16_t json_count; /* columns of binary JSON */
    size_t scratch;      /* arena bytes that the small made values of one image need at most */
    struct buf made;     /* of one value: JSON text, inflated bytes */
    struct bytes *documents; /* by column: binary JSON of the newest whole image; NULL: none */
    struct arena nodes;      /* of one JSON document that is changed */
    bool replaced;           /* a '?' was told of */
};

static uint64_t
le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static uint64_t
be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static void
cell_int(const uint8_t *p, unsigned size, struct cell *out)
{
    int64_t v;
    switch (size) {
    case 1:
        v = (int64_t)((uint64_t)p[0] << 56) >> 56;
        break;
    case 2:
        v = (int16_t)le(p, 2);
        break;
    case 3:
        v = (int32_t)((uint32_t)le(p, 3) << 8) >> 8;
        break;
    case 4:
        v = (int32_t)le(p, 4);
        break;
    default:
        v = (int64_t)le(p, 8);
    }
    *out = (struct cell){.kind = CELL_INT, .v.i = v};
}

static void
cell_float(const uint8_t *p, unsigned size, struct cell *out)
{
    *out = (struct cell){.kind = size == 4 ? CELL_FLOAT : CELL_DOUBLE};
    float f;
    if (size == 4) {
        memcpy(&f, p, sizeof(f));
        out->v.d = f;
    } else {
        memcpy(&out->v.d, p, sizeof(out->v.d));
    }
}

/* Microseconds of ceil(dec / 2) bytes. */
static uint32_t
fraction(const uint8_t *p, unsigned dec)
{
    static const uint16_t scale[4] = {0, 10000, 100, 1};
    unsigned n = (dec + 1) / 2;
    return (uint32_t)be(p, n) * scale[n];
}

static void
cell_temporal(const struct row_column *c, const uint8_t *p, struct cell *out)
{
    switch (c->op) {
    case ROW_DATE:
        *out = (struct cell){.kind = CELL_DATE, .v.u = le(p, 3)};
        break;
    case ROW_YEAR:
        *out = (struct cell){.kind = CELL_YEAR, .v.u = p[0] ? 1900u + p[0] : 0};
        break;
    case ROW_TIME2:
        value_time2(be(p, c->size), c->dec, out);
        break;
    case ROW_DATETIME2:
        value_datetime2(be(p, 5), fraction(p + 5, c->dec), c->dec, out);
        break;
    case ROW_TIMESTAMP2:
        value_timestamp((uint32_t)be(p, 4), fraction(p + 4, c->dec), c->dec, out);
        break;
    case ROW_TIME_OLD:
        value_time_old((int32_t)((uint32_t)le(p, 3) << 8) >> 8, out);
        break;
    case ROW_DATETIME_OLD:
        value_datetime_old(le(p, 8), out);
        break;
    default:
        value_timestamp((uint32_t)le(p, 4), 0, 0, out);
    }
}

static void
cell_fixed(const struct row_column *c, const uint8_t *p, char **scratch, struct cell *out)
{
    switch (c->op) {
    case ROW_INT:
        cell_int(p, c->size, out);
        break;
    case ROW_UINT:
        *out = (struct cell){.kind = CELL_UINT, .v.u = le(p, c->size)};
        break;
    case ROW_FLOAT:
    case ROW_DOUBLE:
        cell_float(p, c->size, out);
        break;
    case ROW_DECIMAL: {
        size_t n = value_decimal(p, c->precision, c->scale, *scratch);
        *out = (struct cell){
            .kind = CELL_DECIMAL, .len = (uint32_t)n, .v.p = (const uint8_t *)*scratch};
        *scratch += n;
        break;
    }
    case ROW_BIT:
        *out = (struct cell){.kind = CELL_BIT, .v.u = be(p, c->size)};
        break;
    case ROW_ENUM:
        *out = (struct cell){.kind = CELL_ENUM, .v.u = le(p, c->size)};
        break;
    case ROW_SET:
        *out = (struct cell){.kind = CELL_SET, .v.u = le(p, c->size)};
        break;
    default:
        cell_temporal(c, p, out);
    }
}

static void
cell_of(enum cell_kind kind, struct bytes v, struct cell *out)
{
    *out = (struct cell){.kind = (uint8_t)kind, .len = (uint32_t)v.n, .v.p = v.p};
}

/* The server cuts trailing 0x00 off BINARY and what is stored like it. */
static struct bytes
pad(const struct row_column *c, struct bytes v, char **scratch)
{
    if (v.n >= c->padded)
        return bytes_of(v.p, c->padded);
    uint8_t *p = (uint8_t *)*scratch;
    assert(p != NULL); /* the plan's scratch has room for every padded column */
    memset(p, 0, c->padded);
    memcpy(p, v.p, v.n);
    *scratch += c->padded;
    return bytes_of(p, c->padded);
}

static void
cell_network(const struct row_column *c, struct bytes v, char **scratch, struct cell *out)
{
    struct bytes whole = pad(c, v, scratch);
    char *text = *scratch;
    size_t n = UUID_TEXT;
    if (c->op == ROW_UUID)
        value_uuid(whole.p, text);
    else
        n = c->op == ROW_INET4 ? value_inet4(whole.p, text) : value_inet6(whole.p, text);
    *scratch += n;
    cell_of(CELL_TEXT, bytes_of(text, n), out);
}

static bool
bad_value(const struct row_plan *p, const struct row_column *c, enum err_code code,
          struct err *e)
{
    const struct table *t = p->table;
    return err_set(e, code, "%s.%s, column %s: a value cannot be read", t->database, t->name,
                   c->to < HIDDEN ? t->columns[c->to].name : "of the period");
}

struct image {
    struct reader *r;
    struct arena *arena;
    char *scratch;
    struct bytes partial; /* a bit for each JSON column of the table: differences only */
};

/* '?' in a key would be another row. */
static bool
is_key(const struct table *t, uint16_t column)
{
    for (unsigned i = 0; i < t->key_count; i++)
        if (t->key[i] == column)
            return true;
    return false;
}

/* Once a table version: there may be many. */
static void
tell_replaced(struct row_plan *p, const struct row_column *c)
{
    if (p->replaced)
        return;
    p->replaced = true;
    log_warn("text_not_in_charset", F_STR("database", p->table->database),
             F_STR("table", p->table->name), F_STR("column", p->table->columns[c->to].name),
             F_STR("replaced_by", "?"));
}

MUST static bool
cell_text(struct row_plan *p, const struct row_column *c, struct bytes v, struct arena *a,
          struct cell *out, struct err *e)
{
    struct bytes text;
    if (!charset_to_utf8(c->charset, v, a, &text)) {
        if (is_key(p->table, c->to) || !charset_show(c->charset, v, a, &text))
            return bad_value(p, c, MR_SCHEMA_CHARSET, e);
        tell_replaced(p, c);
    }
    cell_of(c->op == ROW_TEXT ? CELL_TEXT : CELL_JSON, text, out);
    return true;
}

MUST static bool
cell_json(struct row_plan *p, const struct row_column *c, struct bytes v, struct arena *a,
          struct cell *out, struct err *e)
{
    buf_reset(&p->made);
    if (!value_json(v, &p->made))
        return bad_value(p, c, MR_SOURCE_CORRUPT, e);
    p->documents[c - p->columns] = v;
    cell_of(CELL_JSON, arena_copy(a, buf_bytes(&p->made)), out);
    return true;
}

/* Differences to the document of the image before: their length 4, then they. */
MUST static bool
cell_json_diff(struct row_plan *p, const struct row_column *c, struct image *im,
               struct cell *out, struct err *e)
{
    struct bytes diffs = reader_take(im->r, reader_le(im->r, 4));
    struct bytes document = p->documents[c - p->columns];
    if (im->r->failed)
        return true;
    buf_reset(&p->made);
    arena_reset(&p->nodes);
    if (!document.p || !value_json_apply(document, diffs, &p->nodes, &p->made))
        return bad_value(p, c, MR_SOURCE_CORRUPT, e);
    cell_of(CELL_JSON, arena_copy(im->arena, buf_bytes(&p->made)), out);
    return true;
}

/* MariaDB's compressed value [sql/field.cc]: empty, or a header byte and the rest. 0: the rest
 * is the value. 0x8n: n & 7 bytes of length, big-endian, then zlib (n & 8: raw deflate) data.
 */
MUST static bool
inflate_value(struct row_plan *p, const struct row_column *c, struct bytes *v, struct arena *a,
              struct err *e)
{
    struct reader r = reader_of(*v);
    uint8_t head = v->n ? reader_u8(&r) : 0;
    if (head == 0) {
        *v = reader_rest(&r);
        return true;
    }
    uint64_t n = head & 7 ? reader_be(&r, head & 7) : 0;
    struct bytes data = reader_rest(&r);
    buf_reset(&p->made);
    bool ok = !r.failed && head >> 4 == 8 && n > 0 && n <= UINT32_MAX &&
              (head & 8 ? decompress_deflate : decompress_zlib)(data, n, &p->made, e) &&
              p->made.n == n;
    if (!ok)
        return bad_value(p, c, MR_SOURCE_CORRUPT, e);
    *v = arena_copy(a, buf_bytes(&p->made));
    return true;
}

MUST static bool
cell_sized(struct row_plan *p, const struct row_column *c, struct image *im, struct cell *out,
           struct err *e)
{
    struct bytes length = reader_take(im->r, c->size);
    struct bytes v = reader_take(im->r, length.p ? le(length.p, c->size) : 0);
    if (im->r->failed)
        return true; /* told by the caller, once per image */
    if (c->compressed && !inflate_value(p, c, &v, im->arena, e))
        return false;
    switch (c->op) {
    case ROW_TEXT:
    case ROW_JSON_TEXT:
        return cell_text(p, c, v, im->arena, out, e);
    case ROW_JSON_BINARY:
        return cell_json(p, c, v, im->arena, out, e);
    case ROW_PADDED:
        v = pad(c, v, &im->scratch);
        break;
    case ROW_UUID:
    case ROW_INET4:
    case ROW_INET6:
        cell_network(c, v, &im->scratch, out);
        return true;
    default:
        break;
    }
    cell_of(c->op == ROW_GEOMETRY ? CELL_GEOMETRY
            : c->op == ROW_VECTOR ? CELL_VECTOR
                                  : CELL_BYTES,
            v, out);
    return true;
}

MUST static bool
decode_cell(struct row_plan *p, const struct row_column *c, struct image *im, struct cell *out,
            struct err *e)
{
    if (c->op >= ROW_BYTES)
        return cell_sized(p, c, im, out, e);
    struct bytes v = reader_take(im->r, c->size);
    if (v.p)
        cell_fixed(c, v.p, &im->scratch, out);
    return true;
}

static bool
bit(struct bytes bits, unsigned i)
{
    return bits.p[i / 8] >> (i % 8) & 1;
}

static unsigned
count_present(const struct row_plan *p, struct bytes present)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->count; i++)
        n += bit(present, i);
    return n;
}

MUST static bool
read_image(struct row_plan *p, struct image *im, struct bytes present, struct cell *out,
           struct err *e)
{
    unsigned at = 0, json = 0;
    struct reader *r = im->r;
    struct bytes nulls = reader_take(r, (count_present(p, present) + 7) / 8);
    im->scratch = p->scratch ? arena_alloc(im->arena, p->scratch) : NULL;
    for (unsigned i = 0; i < p->count && !r->failed; i++) {
        unsigned to = p->columns[i].to;
        struct cell *cell = to < HIDDEN ? &out[to] : &p->hidden[to - HIDDEN];
        bool partial =
            im->partial.n && p->columns[i].op == ROW_JSON_BINARY && bit(im->partial, json++);
        if (!bit(present, i)) {
            if (to < HIDDEN) /* else as in the image before */
                *cell = (struct cell){.kind = CELL_ABSENT};
            continue;
        }
        bool null = bit(nulls, at);
        at++;
        if (null)
            *cell = (struct cell){.kind = CELL_NULL};
        else if (partial ? !cell_json_diff(p, &p->columns[i], im, cell, e)
                         : !decode_cell(p, &p->columns[i], im, cell, e))
            return false;
    }
    if (r->failed)
        return err_set(e, MR_SOURCE_CORRUPT, "a row of %s.%s is cut short", p->table->database,
                       p->table->name);
    return true;
}

bool
row_plan_image(struct row_plan *p, struct reader *r, struct bytes present, struct arena *a,
               struct cell *out, struct err *e)
{
    struct image im = {.r = r, .arena = a};
    if (p->documents)
        memset(p->documents, 0, p->count * sizeof(*p->documents));
    return read_image(p, &im, present, out, e);
}

bool
row_plan_partial_image(struct row_plan *p, struct reader *r, struct bytes present,
                       struct arena *a, struct cell *out, struct err *e)
{
    struct image im = {.r = r, .arena = a};
    uint64_t options = reader_lenenc(r);
    if (options & ~VALUE_PARTIAL_JSON)
        return err_set(e, MR_SOURCE_EVENT, "row value options %llx are not known",
                       (unsigned long long)options);
    if (options & VALUE_PARTIAL_JSON)
        im.partial = reader_take(r, (p->json_count + 7U) / 8);
    return read_image(p, &im, present, out, e);
}

struct table *
row_plan_table(const struct row_plan *p)
{
    return p->table;
}

unsigned
row_plan_columns(const struct row_plan *p)
{
    return p->count;
}

bool
row_plan_versioned(const struct row_plan *p)
{
    return p->hidden_count > 0;
}

/* It ends at the end of time: 2038, since MariaDB 11.5 2106. */
bool
row_plan_current(const struct row_plan *p)
{
    const struct cell *end = &p->hidden[p->row_end];
    int64_t seconds = end->v.i / 1000000;
    return !p->hidden_count || end->kind != CELL_TIMESTAMP || seconds == INT32_MAX ||
           seconds == UINT32_MAX;
}

/* ---- compiling ---- */

MUST static bool
compile_text(struct row_column *out, const struct map_column *m, const struct column *c,
             const struct collations *cs, struct err *e)
{
    const struct collation *co = m->collation ? collations_get(cs, m->collation) : NULL;
    const char *charset = co ? co->charset : c->charset;
    if (!charset)
        return err_set(e, MR_SOURCE_TYPE, "column %s: collation %u is not known", c->name,
                       m->collation);
    return charset_open(charset, &out->charset, e) || err_wrap(e, "column %s", c->name);
}

static bool
is_binary_column(const struct map_column *m, const struct column *c)
{
    return m->collation ? m->collation == COLLATION_BINARY : !c->charset;
}

MUST static bool
compile_string(struct row_column *out, const struct map_column *m, const struct column *c,
               const struct collations *cs, struct err *e)
{
    bool string =
        m->type == LOG_STRING || m->type == LOG_VARCHAR || m->type == LOG_VARCHAR_COMPRESSED;
    out->compressed = m->type == LOG_VARCHAR_COMPRESSED || m->type == LOG_BLOB_COMPRESSED;
    out->size = string ? (m->meta > 255 ? 2 : 1) : (uint8_t)m->meta;
    out->padded = c->type == COL_INET4 ? 4 : m->type == LOG_STRING ? m->meta : 0;
    if (c->type == COL_UUID || c->type == COL_INET6)
        out->padded = 16;
    if (c->type == COL_UUID || c->type == COL_INET4 || c->type == COL_INET6) {
        out->op = c->type == COL_UUID ? ROW_UUID : c->type == COL_INET4 ? ROW_INET4 : ROW_INET6;
        return true;
    }
    if (c->type == COL_VECTOR) {
        out->op = ROW_VECTOR;
        return true;
    }
    if (is_binary_column(m, c)) {
        out->op = m->type == LOG_STRING ? ROW_PADDED : ROW_BYTES;
        return true;
    }
    out->op = c->type == COL_JSON ? ROW_JSON_TEXT : ROW_TEXT;
    return compile_text(out, m, c, cs, e);
}

static void
compile_integer(struct row_column *out, const struct binlog_map *map,
                const struct map_column *m, const struct column *c)
{
    static const uint8_t sizes[] = {
        [LOG_TINY] = 1, [LOG_SHORT] = 2, [LOG_INT24] = 3, [LOG_LONG] = 4, [LOG_LONGLONG] = 8};
    bool is_unsigned = map->has_sign ? m->is_unsigned : c->is_unsigned;
    out->op = is_unsigned ? ROW_UINT : ROW_INT;
    out->size = sizes[m->type];
}

static void
compile_temporal(struct row_column *out, const struct map_column *m)
{
    unsigned fraction_bytes = (m->meta + 1U) / 2;
    out->dec = (uint8_t)m->meta;
    switch (m->type) {
    case LOG_TIME2:
        *out = (struct row_column){
            .op = ROW_TIME2, .size = (uint8_t)(3 + fraction_bytes), .dec = out->dec};
        break;
    case LOG_DATETIME2:
        *out = (struct row_column){
            .op = ROW_DATETIME2, .size = (uint8_t)(5 + fraction_bytes), .dec = out->dec};
        break;
    case LOG_TIMESTAMP2:
        *out = (struct row_column){
            .op = ROW_TIMESTAMP2, .size = (uint8_t)(4 + fraction_bytes), .dec = out->dec};
        break;
    case LOG_TIME:
        *out = (struct row_column){.op = ROW_TIME_OLD, .size = 3};
        break;
    case LOG_DATETIME:
        *out = (struct row_column){.op = ROW_DATETIME_OLD, .size = 8};
        break;
    case LOG_TIMESTAMP:
        *out = (struct row_column){.op = ROW_TIMESTAMP_OLD, .size = 4};
        break;
    case LOG_YEAR:
        *out = (struct row_column){.op = ROW_YEAR, .size = 1};
        break;
    default:
        *out = (struct row_column){.op = ROW_DATE, .size = 3};
    }
}

MUST static bool
compile_column(struct row_column *out, const struct binlog_map *map, const struct map_column *m,
               const struct column *c, const struct collations *cs, struct err *e)
{
    switch (m->type) {
    case LOG_TINY:
    case LOG_SHORT:
    case LOG_INT24:
    case LOG_LONG:
    case LOG_LONGLONG:
        compile_integer(out, map, m, c);
        return true;
    case LOG_FLOAT:
    case LOG_DOUBLE:
        out->op = m->type == LOG_FLOAT ? ROW_FLOAT : ROW_DOUBLE;
        out->size = m->type == LOG_FLOAT ? 4 : 8;
        return true;
    case LOG_NEWDECIMAL:
        out->op = ROW_DECIMAL;
        out->precision = (uint8_t)(m->meta >> 8);
        out->scale = (uint8_t)m->meta;
        out->size = (uint8_t)binlog_decimal_size(out->precision, out->scale);
        return true;
    case LOG_YEAR:
    case LOG_DATE:
    case LOG_NEWDATE:
    case LOG_TIME:
    case LOG_TIME2:
    case LOG_DATETIME:
    case LOG_DATETIME2:
    case LOG_TIMESTAMP:
    case LOG_TIMESTAMP2:
        compile_temporal(out, m);
        return true;
    case LOG_BIT:
        out->op = ROW_BIT;
        out->size = (uint8_t)((m->meta >> 8) + ((m->meta & 255) ? 1 : 0));
        return true;
    case LOG_ENUM:
    case LOG_SET:
        out->op = m->type == LOG_ENUM ? ROW_ENUM : ROW_SET;
        out->size = (uint8_t)m->meta;
        return true;
    case LOG_VARCHAR:
    case LOG_STRING:
    case LOG_BLOB:
    case LOG_VARCHAR_COMPRESSED:
    case LOG_BLOB_COMPRESSED:
        return compile_string(out, m, c, cs, e);
    case LOG_JSON:
    case LOG_GEOMETRY:
    case LOG_VECTOR:
        out->op = m->type == LOG_JSON       ? ROW_JSON_BINARY
                  : m->type == LOG_GEOMETRY ? ROW_GEOMETRY
                                            : ROW_VECTOR;
        out->size = (uint8_t)m->meta;
        return true;
    default:
        return err_set(e, MR_SOURCE_TYPE, "column %s: type %u of the log is not supported",
                       c->name, m->type);
    }
}

static size_t
scratch_of(const struct row_column *c)
{
    switch (c->op) {
    case ROW_DECIMAL:
        return VALUE_DECIMAL_MAX;
    case ROW_PADDED:
        return c->padded;
    case ROW_UUID:
    case ROW_INET4:
    case ROW_INET6:
        return 16 + INET6_TEXT_MAX;
    default:
        return 0;
    }
}

bool
row_plan_new(const struct binlog_map *m, struct table *t, const struct collations *cs,
             struct row_plan **out, struct err *e)
{
    static const struct column period = {.name = "of the period", .type = COL_TIMESTAMP};
    if (m->column_count != t->column_count)
        return err_set(e, MR_SOURCE_TABLE_SCHEMA,
                       "%s.%s: %u columns in the log, %u in the definition", t->database,
                       t->name, m->column_count, t->column_count);
    struct row_plan *p = mem_zalloc(sizeof(*p));
    p->table = table_ref(t);
    p->hidden_count = m->hidden_count;
    p->row_end = m->row_end;
    p->count = (uint16_t)(m->column_count + m->hidden_count);
    p->columns = mem_array(p->count, sizeof(*p->columns));
    for (uint16_t i = 0, hidden = 0; i < p->count; i++) {
        bool hides = hidden < m->hidden_count && m->hidden_at[hidden] == i;
        uint16_t at = (uint16_t)(i - hidden);
        const struct map_column *mc = hides ? &m->hidden[hidden] : &m->columns[at];
        bool ok =
            compile_column(&p->columns[i], m, mc, hides ? &period : &t->columns[at], cs, e);
        p->columns[i].to = hides ? (uint16_t)(HIDDEN + hidden) : at;
        hidden = (uint16_t)(hidden + hides);
        if (!ok) {
            row_plan_free(p);
            return err_wrap(e, "%s.%s", t->database, t->name);
        }
        p->scratch += scratch_of(&p->columns[i]);
        if (p->columns[i].op == ROW_JSON_BINARY)
            p->json_count++;
    }
    if (p->json_count)
        p->documents = mem_array(p->count, sizeof(*p->documents));
    *out = p;
    return true;
}

void
row_plan_free(struct row_plan *p)
{
    if (!p)
        return;
    for (unsigned i = 0; p->columns && i < p->count; i++)
        charset_close(p->columns[i].charset);
    free(p->columns);
    buf_free(&p->made);
    free(p->documents);
    arena_free(&p->nodes);
    table_unref(p->table);
    free(p);
}
