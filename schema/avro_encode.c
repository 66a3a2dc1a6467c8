/* Rows to Avro, straight from cells into one reserved stretch of the buffer.
 *
 * Wire format: Avro 1.11 binary encoding under Confluent's frame (0, schema id big-endian); the
 * field order is avro_schema.c's. Everything is bounded before the first byte is written: the
 * plan knows the most that columns of fixed size need, the cells tell the rest.
 *
 * Owner: none. Thread: any, an encoder is immutable. Limit: the buffer's.
 */
#include <assert.h>
#include <time.h>

#include "base/hash.h"
#include "schema/codec_plan.h"
#include "schema/decimal.h"

#define SOME 0x02 /* branch 1 of ["null", T] */

/* Where a row is written, and what its cells left for `source`. */
struct out {
    const struct plan *plan;
    uint8_t *p;
    unsigned raws;      /* cells for millrace_raw */
    unsigned unchanged; /* absent cells */
};

/* ---- primitives ---- */

static inline uint8_t *
put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)v | 0x80;
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *
put_long(uint8_t *p, int64_t v)
{
    return put_varint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static inline uint8_t *
put_bytes(uint8_t *p, const void *from, size_t n)
{
    p = put_long(p, (int64_t)n);
    if (n)
        memcpy(p, from, n);
    return p + n;
}

static inline uint8_t *
put_raw_bytes(uint8_t *p, struct bytes b)
{
    memcpy(p, b.p, b.n);
    return p + b.n;
}

/* ---- cells; NULL: the cell does not fit the column ---- */

static uint8_t *
put_real(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_DOUBLE && v->kind != CELL_FLOAT)
        return NULL;
    if (c->wire == WIRE_DOUBLE) {
        memcpy(p, &v->v.d, 8);
        return p + 8;
    }
    float f = (float)v->v.d;
    memcpy(p, &f, 4);
    return p + 4;
}

static uint8_t *
put_decimal(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    /* At most 32 bytes, so the length is one byte in front. */
    size_t n = 0;
    if (c->wire == WIRE_UINT64 && v->kind == CELL_UINT)
        n = decimal_of_u64(v->v.u, p + 1);
    else if (c->wire == WIRE_UINT64 && v->kind == CELL_INT && v->v.i >= 0)
        n = decimal_of_u64(v->v.u, p + 1);
    else if (c->wire == WIRE_DECIMAL && v->kind == CELL_DECIMAL)
        n = decimal_to_bytes(cell_bytes(v), c->scale, p + 1);
    if (n == 0)
        return NULL;
    *p = (uint8_t)(n << 1);
    return p + 1 + n;
}

static uint8_t *
put_bit(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_BIT)
        return NULL;
    if (c->wire == WIRE_BOOL) {
        *p = v->v.u != 0;
        return p + 1;
    }
    unsigned n = (c->column->length + 7) / 8;
    *p++ = (uint8_t)(n << 1);
    for (unsigned i = 0; i < n; i++)
        *p++ = (uint8_t)(v->v.u >> (8 * i));
    return p;
}

static uint8_t *
put_labels(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    struct bytes label = {NULL, 0};
    if (v->kind == CELL_TEXT)
        return put_bytes(p, v->v.p, v->len);
    if (c->wire == WIRE_ENUM && v->kind == CELL_ENUM) {
        /* Index 0 is written as '' in keys; in values plan_raw_text takes it. */
        if (v->v.u && !plan_enum_label(c->column, v->v.u, &label))
            return NULL;
        return put_bytes(p, label.p, label.n);
    }
    uint8_t *text = p + 5;
    size_t n;
    if (c->wire != WIRE_SET || v->kind != CELL_SET ||
        !plan_set_labels(c->column, v->v.u, text, &n))
        return NULL;
    p = put_long(p, (int64_t)n);
    memmove(p, text, n);
    return p + n;
}

static uint8_t *
put_temporal(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    char text[TEMPORAL_BUFFER];
    int64_t n;
    if (c->wire == WIRE_TIMESTAMP && v->kind != CELL_TIMESTAMP)
        return NULL;
    if (c->wire == WIRE_TIMESTAMP || c->wire >= WIRE_DATE_TEXT) {
        size_t len = plan_temporal_text(c, v, text);
        return len ? put_bytes(p, text, len) : NULL;
    }
    return plan_temporal_number(c, v, &n) ? put_long(p, n) : NULL;
}

static uint8_t *
put_geometry(const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_GEOMETRY || v->len < 4)
        return NULL;
    const uint8_t *g = v->v.p;
    uint32_t srid = g[0] | (uint32_t)g[1] << 8 | (uint32_t)g[2] << 16 | (uint32_t)g[3] << 24;
    p = put_bytes(p, g + 4, v->len - 4);
    if (srid == 0) {
        *p = 0;
        return p + 1;
    }
    *p = SOME;
    return put_long(p + 1, (int32_t)srid);
}

static uint8_t *
put_vector(const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_VECTOR || v->len % 4 != 0)
        return NULL;
    if (v->len) {
        p = put_long(p, v->len / 4);
        memcpy(p, v->v.p, v->len);
        p += v->len;
    }
    *p = 0;
    return p + 1;
}

static inline uint8_t *
put_text(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    bool fits = c->wire == WIRE_BYTES
                    ? v->kind == CELL_BYTES
                    : v->kind == CELL_TEXT || (c->wire == WIRE_JSON && v->kind == CELL_JSON);
    return fits ? put_bytes(p, v->v.p, v->len) : NULL;
}

static uint8_t *
put_value(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    int64_t n;
    switch (c->wire) {
    case WIRE_INT:
    case WIRE_LONG:
        return plan_integer(c, v, &n) ? put_long(p, n) : NULL;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_JSON:
        return put_text(c, v, p);
    case WIRE_FLOAT:
    case WIRE_DOUBLE:
        return put_real(c, v, p);
    case WIRE_UINT64:
    case WIRE_DECIMAL:
        return put_decimal(c, v, p);
    case WIRE_BOOL:
    case WIRE_BITS:
        return put_bit(c, v, p);
    case WIRE_ENUM:
    case WIRE_SET:
        return put_labels(c, v, p);
    case WIRE_GEOMETRY:
        return put_geometry(v, p);
    case WIRE_VECTOR:
        return put_vector(v, p);
    default:
        return put_temporal(c, v, p);
    }
}

/* The zero of a type that has no null: stands for a value that is not in the image. */
static uint8_t *
put_zero(const struct plan_col *c, uint8_t *p)
{
    static const uint8_t decimal[] = {0x02, 0};
    size_t n = 1;
    if (c->wire == WIRE_FLOAT || c->wire == WIRE_DOUBLE)
        n = c->wire == WIRE_FLOAT ? 4 : 8;
    else if (c->wire == WIRE_GEOMETRY)
        n = 2;
    if (c->wire == WIRE_DECIMAL || c->wire == WIRE_UINT64)
        return put_raw_bytes(p, bytes_of(decimal, 2));
    if (c->wire == WIRE_BITS) {
        unsigned bytes = (c->column->length + 7) / 8;
        *p = (uint8_t)(bytes << 1);
        memset(p + 1, 0, bytes);
        return p + 1 + bytes;
    }
    memset(p, 0, n);
    return p + n;
}

/* A cell that is no plain value: NULL, absent, or one the type cannot carry. */
static uint8_t *
put_special(struct out *o, const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    char raw[TEMPORAL_BUFFER];
    if (v->kind == CELL_ABSENT) {
        o->unchanged++;
        if (!c->nullable)
            return put_zero(c, p);
    } else if (v->kind != CELL_NULL) {
        if (plan_raw_text(c, v, raw) < 0)
            return NULL;
        o->raws++;
    }
    *p = 0;
    return c->nullable ? p + 1 : NULL;
}

/* Does the cell go to millrace_raw? Only ENUM's index 0 would otherwise pass as a value. */
static inline bool
is_special(const struct plan_col *c, const struct cell *v)
{
    return v->kind <= CELL_NULL ||
           (c->wire == WIRE_ENUM && v->kind == CELL_ENUM && v->v.u == 0);
}

MUST static bool
put_image(struct out *o, const struct cell *row, struct err *e)
{
    const struct plan *plan = o->plan;
    uint8_t *p = o->p;
    for (unsigned i = 0; i < plan->value_n; i++) {
        const struct plan_col *c = &plan->value[i];
        const struct cell *v = &row[i];
        uint8_t *end = NULL;
        if (!is_special(c, v)) {
            *p = SOME;
            end = put_value(c, v, p + c->nullable);
        }
        if (!end)
            end = put_special(o, c, v, p);
        if (!end)
            return plan_refuse_cell(plan, c, v, e);
        p = end;
    }
    o->p = p;
    return true;
}

/* ---- source ---- */

static void
put_raw_of(struct out *o, const struct cell *row, struct bytes prefix)
{
    char text[TEMPORAL_BUFFER];
    for (unsigned i = 0; row && i < o->plan->value_n; i++) {
        const struct plan_col *c = &o->plan->value[i];
        int64_t ignored;
        if (row[i].kind <= CELL_NULL || !type_has_raw(c->wire))
            continue;
        if (c->wire == WIRE_TIMESTAMP
                ? row[i].kind == CELL_TIMESTAMP
                : c->wire != WIRE_ENUM && plan_temporal_number(c, &row[i], &ignored))
            continue;
        int n = plan_raw_text(c, &row[i], text);
        if (n < 0)
            continue;
        size_t name_n = strlen(c->column->name);
        o->p = put_long(o->p, (int64_t)(prefix.n + name_n));
        o->p = put_raw_bytes(o->p, prefix);
        o->p = put_raw_bytes(o->p, bytes_of(c->column->name, name_n));
        o->p = put_bytes(o->p, text, (size_t)n);
    }
}

static void
put_unchanged_of(struct out *o, const struct cell *row, bool before)
{
    for (int i = 0; row && i < o->plan->value_n; i++)
        if (row[i].kind == CELL_ABSENT)
            o->p = put_long(o->p, before ? -(i + 1) : i);
}

static void
put_extras(struct out *o, const struct change *c)
{
    struct bytes before = c->after ? BYTES_LIT(RAW_BEFORE) : BYTES_LIT("");
    *o->p++ = o->unchanged ? SOME : 0;
    if (o->unchanged) {
        o->p = put_long(o->p, o->unchanged);
        put_unchanged_of(o, c->before, true);
        put_unchanged_of(o, c->after, false);
        *o->p++ = 0;
    }
    *o->p++ = o->raws ? SOME : 0;
    if (o->raws) {
        o->p = put_long(o->p, o->raws);
        put_raw_of(o, c->before, before);
        put_raw_of(o, c->after, BYTES_LIT(""));
        *o->p++ = 0;
    }
}

static inline uint8_t *
put_some_long(uint8_t *p, uint64_t v)
{
    *p = SOME;
    return put_long(p + 1, (int64_t)v);
}

static void
put_source(const struct row_encoder *enc, struct out *o, const struct change *c)
{
    const struct change_source *s = &c->source;
    uint8_t *p = put_raw_bytes(o->p, enc->source_head);
    p = put_long(p, (int64_t)(s->commit_us / 1000));
    p = put_raw_bytes(p, enc->source_kind[s->snapshot]);
    p = put_some_long(p, s->commit_us);
    p = put_some_long(p, s->commit_us * 1000);
    p = put_raw_bytes(p, enc->source_table);
    p = put_long(p, s->server_id);
    *p++ = s->gtid.n ? SOME : 0;
    if (s->gtid.n)
        p = put_bytes(p, s->gtid.p, s->gtid.n);
    p = put_bytes(p, s->file.p, s->file.n);
    p = put_long(p, (int64_t)s->pos);
    p = put_long(p, (int32_t)s->row);
    *p++ = s->thread ? SOME : 0;
    if (s->thread)
        p = put_long(p, (int64_t)s->thread);
    p = put_raw_bytes(p, enc->source_tail);
    p = put_long(p, (int64_t)c->id.epoch);
    p = put_long(p, (int64_t)c->id.seq);
    *p++ = s->snapshot ? SOME : 0;
    if (s->snapshot)
        p = put_long(p, (int64_t)s->load);
    o->p = p;
    put_extras(o, c);
}

/* Debezium's time of processing; the coarse clock (a few ms) costs a tenth of the exact one. */
static uint64_t
processing_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
put_tail(struct out *o, enum change_op op)
{
    uint64_t now = processing_us();
    uint8_t *p = o->p;
    *p++ = 0; /* transaction */
    *p++ = 0x02;
    *p++ = (uint8_t)op;
    p = put_some_long(p, now / 1000);
    p = put_some_long(p, now);
    o->p = put_some_long(p, now * 1000);
}

static size_t
image_extra(const struct plan *p, const struct cell *row)
{
    size_t n = 0;
    if (!row)
        return 0;
    for (unsigned i = 0; i < p->sized_n; i++)
        n += plan_cell_extra(CODEC_AVRO, &row[p->sized[i]]);
    return n + p->image_max;
}

MUST static bool
no_room(struct err *e)
{
    return err_set(e, MR_NO_MEMORY, "no room for a row in its batch");
}

bool
avro_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                  struct err *e)
{
    const struct plan *plan = &enc->plan;
    size_t max = enc->fixed_max + plan->raw_max + c->source.gtid.n + c->source.file.n +
                 image_extra(plan, c->before) + image_extra(plan, c->after);
    uint8_t *start = buf_reserve(out, max);
    if (!start)
        return no_room(e);
    struct out o = {.plan = plan, .p = put_raw_bytes(start, enc->value_head)};
    *o.p++ = c->before ? SOME : 0;
    if (c->before && !put_image(&o, c->before, e))
        return false;
    *o.p++ = c->after ? SOME : 0;
    if (c->after && !put_image(&o, c->after, e))
        return false;
    put_source(enc, &o, c);
    put_tail(&o, c->op);
    assert((size_t)(o.p - start) <= max);
    out->n += (size_t)(o.p - start);
    return true;
}

bool
avro_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
                struct err *e)
{
    const struct plan *plan = &enc->plan;
    size_t max = plan->key_max + 16;
    for (unsigned i = 0; i < plan->key_n; i++)
        max += plan_cell_extra(CODEC_AVRO, &row[plan->key[i].at]);
    uint8_t *start = buf_reserve(out, max);
    if (!start)
        return no_room(e);
    uint8_t *p = put_raw_bytes(start, enc->key_head);
    for (unsigned i = 0; i < plan->key_n; i++) {
        const struct plan_col *c = &plan->key[i];
        const struct cell *v = &row[c->at];
        uint8_t *end = v->kind <= CELL_NULL ? NULL : put_value(c, v, p);
        if (!end)
            return plan_refuse_cell(plan, c, v, e);
        p = end;
    }
    assert((size_t)(p - start) <= max);
    out->n += (size_t)(p - start);
    return true;
}

/* ---- constant parts ---- */

static struct bytes
frame(struct arena *a, uint32_t id)
{
    uint8_t b[5] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                    (uint8_t)id};
    return arena_copy(a, bytes_of(b, sizeof b));
}

static void
add_string(struct buf *b, const char *s)
{
    uint8_t n[10];
    size_t len = strlen(s);
    buf_add(b, n, (size_t)(put_long(n, (int64_t)len) - n));
    buf_add(b, s, len);
}

static struct bytes
keep(struct row_encoder *enc, struct buf *b)
{
    struct bytes kept = arena_copy(&enc->plan.arena, buf_bytes(b));
    enc->fixed_max += kept.n;
    buf_reset(b);
    return kept;
}

void
avro_encoder_init(struct row_encoder *enc, uint32_t key_id, uint32_t value_id)
{
    static const char *const snapshot[] = {"false", "incremental"};
    const struct plan *p = &enc->plan;
    struct buf b = {0};
    char inc[17];
    enc->fixed_max = 256;
    enc->key_head = frame(&enc->plan.arena, key_id);
    enc->value_head = frame(&enc->plan.arena, value_id);
    add_string(&b, MILLRACE_VERSION);
    add_string(&b, p->table->flavor == FLAVOR_MARIADB ? "mariadb" : "mysql");
    add_string(&b, p->conf.prefix);
    enc->source_head = keep(enc, &b);
    for (unsigned i = 0; i < 2; i++) {
        buf_add_byte(&b, 0); /* branch 0 of ["string", "null"] */
        add_string(&b, snapshot[i]);
        add_string(&b, p->table->database);
        buf_add_byte(&b, 0); /* sequence */
        enc->source_kind[i] = keep(enc, &b);
    }
    buf_add_byte(&b, SOME);
    add_string(&b, p->table->name);
    enc->source_table = keep(enc, &b);
    uint8_t id[8];
    for (unsigned i = 0; i < 8; i++)
        id[i] = (uint8_t)(p->conf.inc >> (56 - 8 * i));
    hex_encode(bytes_of(id, 8), inc);
    buf_add_byte(&b, 0); /* query */
    add_string(&b, inc);
    enc->source_tail = keep(enc, &b);
    buf_free(&b);
}
