/* Rows to JSON: Debezium's envelope without an embedded schema, written in one pass into one
 * reserved stretch of the buffer. Decimals, bytes and bits are base64 as Connect's
 * JsonConverter writes them; columns keep their own names.
 *
 * Owner: none. Thread: any, an encoder is immutable. Limit: the buffer's.
 */
#include <assert.h>
#include <math.h>
#include <time.h>

#include "schema/codec_plan.h"
#include "schema/decimal.h"
#include "schema/number_text.h"

#define PUT(p, literal) put_part((p), BYTES_LIT(literal))

struct out {
    const struct plan *plan;
    uint8_t *p;
    unsigned raws;
    unsigned unchanged;
};

/* ---- primitives ---- */

static inline uint8_t *
put_part(uint8_t *p, struct bytes b)
{
    memcpy(p, b.p, b.n);
    return p + b.n;
}

static inline uint8_t *
put_i64(uint8_t *p, int64_t v)
{
    return (uint8_t *)number_put_i64((char *)p, v);
}

/* Some byte of v is below 32, a quote or a backslash. */
static inline bool
needs_escape(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    return (((v - ones * 32) & ~v) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
           high;
}

static uint8_t *
put_escaped_byte(uint8_t *p, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c >= 32 && c != '"' && c != '\\') {
        *p = c;
        return p + 1;
    }
    *p++ = '\\';
    if (c >= 32 || letters[c]) {
        *p = c >= 32 ? c : (uint8_t)letters[c];
        return p + 1;
    }
    p = PUT(p, "u00");
    *p++ = (uint8_t)hex[c >> 4];
    *p++ = (uint8_t)hex[c & 15];
    return p;
}

static uint8_t *
put_escaped(uint8_t *p, struct bytes s)
{
    while (s.n) {
        uint64_t v;
        while (s.n >= 8 && (memcpy(&v, s.p, 8), !needs_escape(v))) {
            memcpy(p, &v, 8);
            p += 8;
            s.p += 8;
            s.n -= 8;
        }
        for (size_t i = s.n < 8 ? s.n : 8; i > 0; i--) {
            p = put_escaped_byte(p, *s.p++);
            s.n--;
        }
    }
    return p;
}

static uint8_t *
put_string(uint8_t *p, struct bytes s)
{
    *p = '"';
    p = put_escaped(p + 1, s);
    *p = '"';
    return p + 1;
}

static uint8_t *
put_base64(uint8_t *p, struct bytes b)
{
    static const char set[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    *p++ = '"';
    size_t i = 0;
    for (; i + 3 <= b.n; i += 3) {
        uint32_t v = (uint32_t)b.p[i] << 16 | (uint32_t)b.p[i + 1] << 8 | b.p[i + 2];
        p[0] = (uint8_t)set[v >> 18];
        p[1] = (uint8_t)set[v >> 12 & 63];
        p[2] = (uint8_t)set[v >> 6 & 63];
        p[3] = (uint8_t)set[v & 63];
        p += 4;
    }
    if (i < b.n) {
        uint32_t v = (uint32_t)b.p[i] << 16 | (i + 1 < b.n ? (uint32_t)b.p[i + 1] << 8 : 0);
        p[0] = (uint8_t)set[v >> 18];
        p[1] = (uint8_t)set[v >> 12 & 63];
        p[2] = i + 1 < b.n ? (uint8_t)set[v >> 6 & 63] : '=';
        p[3] = '=';
        p += 4;
    }
    *p = '"';
    return p + 1;
}

/* ---- cells; NULL: the cell does not fit the column ---- */

static uint8_t *
put_real(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    if ((v->kind != CELL_DOUBLE && v->kind != CELL_FLOAT) || !isfinite(v->v.d))
        return NULL;
    char *end = c->wire == WIRE_FLOAT ? number_put_float((char *)p, (float)v->v.d, false)
                                      : number_put_double((char *)p, v->v.d, false);
    return (uint8_t *)end;
}

static uint8_t *
put_decimal(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    uint8_t b[DECIMAL_BYTES_MAX];
    size_t n = 0;
    if (c->wire == WIRE_UINT64) {
        if (v->kind == CELL_UINT || (v->kind == CELL_INT && v->v.i >= 0))
            n = decimal_of_u64(v->v.u, b);
    } else if (v->kind == CELL_DECIMAL) {
        n = decimal_to_bytes(cell_bytes(v), c->scale, b);
    }
    return n ? put_base64(p, bytes_of(b, n)) : NULL;
}

static uint8_t *
put_bit(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    uint8_t b[8];
    if (v->kind != CELL_BIT)
        return NULL;
    if (c->wire == WIRE_BOOL)
        return v->v.u ? PUT(p, "true") : PUT(p, "false");
    for (unsigned i = 0; i < 8; i++)
        b[i] = (uint8_t)(v->v.u >> (8 * i));
    return put_base64(p, bytes_of(b, (c->column->length + 7) / 8));
}

static uint8_t *
put_set(const struct column *c, uint64_t mask, uint8_t *p)
{
    if (c->label_count < 64 && mask >> c->label_count != 0)
        return NULL;
    *p++ = '"';
    for (unsigned i = 0; mask; i++, mask >>= 1) {
        if (!(mask & 1))
            continue;
        p = put_escaped(p, c->labels[i]);
        if (mask > 1)
            *p++ = ',';
    }
    *p = '"';
    return p + 1;
}

static uint8_t *
put_labels(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    struct bytes label = {(const uint8_t *)"", 0};
    if (v->kind == CELL_TEXT)
        return put_string(p, cell_bytes(v));
    if (c->wire == WIRE_SET)
        return v->kind == CELL_SET ? put_set(c->column, v->v.u, p) : NULL;
    if (v->kind != CELL_ENUM || (v->v.u && !plan_enum_label(c->column, v->v.u, &label)))
        return NULL;
    return put_string(p, label);
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
        return len ? put_string(p, bytes_of(text, len)) : NULL;
    }
    return plan_temporal_number(c, v, &n) ? put_i64(p, n) : NULL;
}

static uint8_t *
put_geometry(const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_GEOMETRY || v->len < 4)
        return NULL;
    const uint8_t *g = v->v.p;
    uint32_t srid = g[0] | (uint32_t)g[1] << 8 | (uint32_t)g[2] << 16 | (uint32_t)g[3] << 24;
    p = PUT(p, "{\"wkb\":");
    p = put_base64(p, bytes_of(g + 4, v->len - 4));
    p = PUT(p, ",\"srid\":");
    p = srid ? put_i64(p, (int32_t)srid) : PUT(p, "null");
    *p = '}';
    return p + 1;
}

static uint8_t *
put_vector(const struct cell *v, uint8_t *p)
{
    if (v->kind != CELL_VECTOR || v->len % 4 != 0)
        return NULL;
    *p++ = '[';
    for (uint32_t i = 0; i < v->len; i += 4) {
        float f;
        memcpy(&f, v->v.p + i, 4);
        if (!isfinite(f))
            return NULL;
        if (i)
            *p++ = ',';
        p = (uint8_t *)number_put_float((char *)p, f, false);
    }
    *p = ']';
    return p + 1;
}

static uint8_t *
put_text(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    if (c->wire == WIRE_BYTES)
        return v->kind == CELL_BYTES ? put_base64(p, cell_bytes(v)) : NULL;
    if (v->kind == CELL_TEXT || (c->wire == WIRE_JSON && v->kind == CELL_JSON))
        return put_string(p, cell_bytes(v));
    return NULL;
}

static uint8_t *
put_value(const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    int64_t n;
    switch (c->wire) {
    case WIRE_INT:
    case WIRE_LONG:
        return plan_integer(c, v, &n) ? put_i64(p, n) : NULL;
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

/* NULL, a value that is not in the image, or one the type cannot carry: null in all cases. */
static uint8_t *
put_special(struct out *o, const struct plan_col *c, const struct cell *v, uint8_t *p)
{
    char raw[TEMPORAL_BUFFER];
    if (v->kind == CELL_ABSENT) {
        o->unchanged++;
    } else if (v->kind == CELL_NULL) {
        if (!c->nullable)
            return NULL;
    } else {
        if (plan_raw_text(c, v, raw) < 0)
            return NULL;
        o->raws++;
    }
    return PUT(p, "null");
}

MUST static bool
put_image(struct out *o, const struct cell *row, struct err *e)
{
    const struct plan *plan = o->plan;
    uint8_t *p = o->p;
    *p++ = '{';
    for (unsigned i = 0; i < plan->value_n; i++) {
        const struct plan_col *c = &plan->value[i];
        const struct cell *v = &row[i];
        bool special = v->kind <= CELL_NULL ||
                       (c->wire == WIRE_ENUM && v->kind == CELL_ENUM && v->v.u == 0);
        if (i)
            *p++ = ',';
        p = put_part(p, c->json_name);
        uint8_t *end = special ? NULL : put_value(c, v, p);
        if (!end)
            end = put_special(o, c, v, p);
        if (!end)
            return plan_refuse_cell(plan, c, v, e);
        p = end;
    }
    *p++ = '}';
    o->p = p;
    return true;
}

/* ---- source ---- */

static void
put_raw_of(struct out *o, const struct cell *row, const char *prefix, unsigned *done)
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
        if ((*done)++)
            *o->p++ = ',';
        *o->p++ = '"';
        o->p = put_part(o->p, bytes_str(prefix));
        o->p = put_part(o->p, bytes_of(c->json_name.p + 1, c->json_name.n - 1));
        o->p = put_string(o->p, bytes_of(text, (size_t)n));
    }
}

static void
put_unchanged_of(struct out *o, const struct cell *row, bool before, unsigned *done)
{
    for (int i = 0; row && i < o->plan->value_n; i++) {
        if (row[i].kind != CELL_ABSENT)
            continue;
        if ((*done)++)
            *o->p++ = ',';
        o->p = put_i64(o->p, before ? -(i + 1) : i);
    }
}

static void
put_extras(struct out *o, const struct change *c)
{
    unsigned done = 0;
    o->p = PUT(o->p, ",\"millrace_unchanged\":");
    if (o->unchanged) {
        *o->p++ = '[';
        put_unchanged_of(o, c->before, true, &done);
        put_unchanged_of(o, c->after, false, &done);
        *o->p++ = ']';
    } else {
        o->p = PUT(o->p, "null");
    }
    o->p = PUT(o->p, ",\"millrace_raw\":");
    done = 0;
    if (o->raws) {
        *o->p++ = '{';
        put_raw_of(o, c->before, c->after ? RAW_BEFORE : "", &done);
        put_raw_of(o, c->after, "", &done);
        *o->p++ = '}';
    } else {
        o->p = PUT(o->p, "null");
    }
    *o->p++ = '}';
}

static void
put_source(const struct row_encoder *enc, struct out *o, const struct change *c)
{
    const struct change_source *s = &c->source;
    uint8_t *p = put_part(o->p, enc->source_head);
    p = put_i64(p, (int64_t)(s->commit_us / 1000));
    p = put_part(p, enc->source_kind[s->snapshot]);
    p = put_i64(p, (int64_t)s->commit_us);
    p = PUT(p, ",\"ts_ns\":");
    p = put_i64(p, (int64_t)(s->commit_us * 1000));
    p = put_part(p, enc->source_table);
    p = put_i64(p, s->server_id);
    p = PUT(p, ",\"gtid\":");
    p = s->gtid.n ? put_string(p, s->gtid) : PUT(p, "null");
    p = PUT(p, ",\"file\":");
    p = put_string(p, s->file);
    p = PUT(p, ",\"pos\":");
    p = put_i64(p, (int64_t)s->pos);
    p = PUT(p, ",\"row\":");
    p = put_i64(p, (int32_t)s->row);
    p = PUT(p, ",\"thread\":");
    p = s->thread ? put_i64(p, (int64_t)s->thread) : PUT(p, "null");
    p = put_part(p, enc->source_tail);
    p = put_i64(p, (int64_t)c->id.epoch);
    p = PUT(p, ",\"millrace_seq\":");
    p = put_i64(p, (int64_t)c->id.seq);
    p = PUT(p, ",\"millrace_load\":");
    o->p = s->snapshot ? put_i64(p, (int64_t)s->load) : PUT(p, "null");
    put_extras(o, c);
}

static void
put_tail(struct out *o, enum change_op op)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    int64_t now = ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
    uint8_t *p = PUT(o->p, ",\"transaction\":null,\"op\":\"");
    *p++ = (uint8_t)op;
    p = PUT(p, "\",\"ts_ms\":");
    p = put_i64(p, now / 1000);
    p = PUT(p, ",\"ts_us\":");
    p = put_i64(p, now);
    p = PUT(p, ",\"ts_ns\":");
    p = put_i64(p, now * 1000);
    *p++ = '}';
    o->p = p;
}

static size_t
image_extra(const struct plan *p, const struct cell *row)
{
    size_t n = 0;
    if (!row)
        return 0;
    for (unsigned i = 0; i < p->sized_n; i++)
        n += plan_cell_extra(CODEC_JSON, &row[p->sized[i]]);
    return n + p->image_max;
}

bool
json_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                  struct err *e)
{
    const struct plan *plan = &enc->plan;
    size_t max = enc->fixed_max + plan->raw_max + (c->source.gtid.n + c->source.file.n) * 6 +
                 image_extra(plan, c->before) + image_extra(plan, c->after);
    uint8_t *start = buf_reserve(out, max);
    if (!start)
        return err_set(e, MR_NO_MEMORY, "no room for a row in its batch");
    struct out o = {.plan = plan, .p = PUT(start, "{\"before\":")};
    if (!c->before)
        o.p = PUT(o.p, "null");
    else if (!put_image(&o, c->before, e))
        return false;
    o.p = PUT(o.p, ",\"after\":");
    if (!c->after)
        o.p = PUT(o.p, "null");
    else if (!put_image(&o, c->after, e))
        return false;
    put_source(enc, &o, c);
    put_tail(&o, c->op);
    assert((size_t)(o.p - start) <= max);
    out->n += (size_t)(o.p - start);
    return true;
}

bool
json_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
                struct err *e)
{
    const struct plan *plan = &enc->plan;
    size_t max = plan->key_max + 16;
    for (unsigned i = 0; i < plan->key_n; i++)
        max += plan_cell_extra(CODEC_JSON, &row[plan->key[i].at]);
    uint8_t *start = buf_reserve(out, max);
    if (!start)
        return err_set(e, MR_NO_MEMORY, "no room for a key in its batch");
    uint8_t *p = start;
    *p++ = '{';
    for (unsigned i = 0; i < plan->key_n; i++) {
        const struct plan_col *c = &plan->key[i];
        const struct cell *v = &row[c->at];
        if (i)
            *p++ = ',';
        p = put_part(p, c->json_name);
        uint8_t *end = v->kind <= CELL_NULL ? NULL : put_value(c, v, p);
        if (!end)
            return plan_refuse_cell(plan, c, v, e);
        p = end;
    }
    *p++ = '}';
    assert((size_t)(p - start) <= max);
    out->n += (size_t)(p - start);
    return true;
}

/* ---- constant parts ---- */

static void
add_string(struct buf *b, const char *s)
{
    struct bytes text = bytes_str(s);
    uint8_t *p = buf_reserve(b, text.n * 6 + 2);
    if (p)
        b->n += (size_t)(put_string(p, text) - p);
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
json_encoder_init(struct row_encoder *enc)
{
    static const char *const snapshot[] = {"false", "incremental"};
    const struct plan *p = &enc->plan;
    struct buf b = {0};
    enc->fixed_max = 1024;
    buf_addf(&b,
             ",\"source\":{\"version\":\"%s\",\"connector\":\"%s\",\"name\":", MILLRACE_VERSION,
             p->table->flavor == FLAVOR_MARIADB ? "mariadb" : "mysql");
    add_string(&b, p->conf.prefix);
    buf_add_str(&b, ",\"ts_ms\":");
    enc->source_head = keep(enc, &b);
    for (unsigned i = 0; i < 2; i++) {
        buf_addf(&b, ",\"snapshot\":\"%s\",\"db\":", snapshot[i]);
        add_string(&b, p->table->database);
        buf_add_str(&b, ",\"sequence\":null,\"ts_us\":");
        enc->source_kind[i] = keep(enc, &b);
    }
    buf_add_str(&b, ",\"table\":");
    add_string(&b, p->table->name);
    buf_add_str(&b, ",\"server_id\":");
    enc->source_table = keep(enc, &b);
    buf_addf(&b, ",\"query\":null,\"millrace_inc\":\"%016llx\",\"millrace_epoch\":",
             (unsigned long long)p->conf.inc);
    enc->source_tail = keep(enc, &b);
    buf_free(&b);
}
