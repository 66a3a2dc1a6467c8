/* Avro to rows, by the plan of the writer's table version. Every length is checked against the
 * message; a message that is longer than its schema is refused. Text, bytes and vectors borrow
 * from the message; decimals and geometries are made in the arena.
 *
 * Owner: none. Thread: any, a plan is immutable.
 */
#include <endian.h>

#include "schema/codec_plan.h"
#include "schema/decimal.h"
#include "schema/temporal.h"

#define FRAME_N 5

/* ---- primitives; after a failure they give zero ---- */

static uint64_t
fail(struct reader *r)
{
    r->failed = true;
    r->p = r->end;
    return 0;
}

/* Byte by byte, for the end of a message and for more than 56 bits. */
static uint64_t
take_slow_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->p == r->end)
            return fail(r);
        uint8_t b = *r->p++;
        if (shift == 63 && b > 1)
            return fail(r);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    return fail(r);
}

/* Eight bytes at once: the first one below 0x80 ends the number, then the 7-bit groups are
 * moved together in three steps. */
static uint64_t
take_long_varint(struct reader *r)
{
    uint64_t v;
    if (reader_left(r) < 8)
        return take_slow_varint(r);
    memcpy(&v, r->p, 8);
    v = le64toh(v);
    uint64_t ends = ~v & 0x8080808080808080u;
    if (!ends)
        return take_slow_varint(r);
    v &= ends ^ (ends - 1);
    v = (v & 0x007f007f007f007fu) | (v & 0x7f007f007f007f00u) >> 1;
    v = (v & 0x00003fff00003fffu) | (v & 0x3fff00003fff0000u) >> 2;
    v = (v & 0x000000000fffffffu) | (v & 0x0fffffff00000000u) >> 4;
    r->p += __builtin_ctzll(ends) / 8 + 1;
    return v;
}

static inline int64_t
take_long(struct reader *r)
{
    uint64_t v;
    if (r->p != r->end && *r->p < 0x80)
        v = *r->p++;
    else
        v = take_long_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct bytes
take_bytes(struct reader *r)
{
    int64_t n = take_long(r);
    if (n < 0 || (uint64_t)n > reader_left(r)) {
        fail(r);
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {r->p, (size_t)n};
    r->p += n;
    return b;
}

/* Branch of a union of two: 0 or 1. */
static inline unsigned
take_branch(struct reader *r)
{
    int64_t b = take_long(r);
    return b == 0 || b == 1 ? (unsigned)b : (unsigned)fail(r);
}

/* Items of the next block of an array or map; its size, when given, is passed over. */
static size_t
take_block(struct reader *r)
{
    int64_t n = take_long(r);
    if (n < 0) {
        take_long(r);
        n = n == INT64_MIN ? 0 : -n;
    }
    return (uint64_t)n > reader_left(r) ? fail(r) : (size_t)n;
}

static void
skip_array(struct reader *r, size_t item)
{
    for (size_t n = take_block(r); n; n = take_block(r)) {
        if (n > reader_left(r) / item) {
            fail(r);
            return;
        }
        r->p += n * item;
    }
}

/* ---- cells ---- */

static struct cell
bytes_cell(enum cell_kind kind, struct bytes b)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)b.n};
    c.v.p = b.p;
    return c;
}

static struct bytes
take_sized(struct reader *r)
{
    struct bytes b = take_bytes(r);
    if (b.n > UINT32_MAX - 4)
        fail(r);
    return b;
}

static struct cell
take_decimal(const struct plan_col *c, struct reader *r, struct arena *a)
{
    struct bytes b = take_bytes(r);
    if (c->wire == WIRE_UINT64) {
        struct cell u = {.kind = CELL_UINT};
        if (!decimal_to_u64(b, &u.v.u))
            fail(r);
        return u;
    }
    char text[DECIMAL_TEXT_MAX];
    size_t n = decimal_to_text(b, c->scale, text);
    if (n == 0)
        fail(r);
    return bytes_cell(CELL_DECIMAL, arena_copy(a, bytes_of(text, n)));
}

static struct cell
take_bit(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = CELL_BIT};
    struct bytes b = take_bytes(r);
    if (b.n != (c->column->length + 7) / 8)
        fail(r);
    for (size_t i = 0; !r->failed && i < b.n; i++)
        out.v.u |= (uint64_t)b.p[i] << (8 * i);
    return out;
}

static struct cell
take_bool(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    if (b.n && *b.p > 1)
        fail(r);
    return (struct cell){.kind = CELL_BIT, .v.u = b.n ? *b.p : 0};
}

static struct cell
take_timestamp(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = CELL_TIMESTAMP, .dec = c->scale};
    if (!temporal_parse_zoned(take_bytes(r), &out.v.i))
        fail(r);
    return out;
}

static struct cell
take_geometry(struct reader *r, struct arena *a)
{
    struct bytes wkb = take_sized(r);
    uint32_t srid = take_branch(r) ? (uint32_t)take_long(r) : 0;
    if (r->failed)
        return (struct cell){.kind = CELL_NULL};
    uint8_t *p = arena_alloc(a, wkb.n + 4);
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(srid >> (8 * i));
    if (wkb.n)
        memcpy(p + 4, wkb.p, wkb.n);
    return bytes_cell(CELL_GEOMETRY, bytes_of(p, wkb.n + 4));
}

/* Borrowed, so in one block, as every known writer does. */
static struct cell
take_vector(struct reader *r)
{
    size_t n = take_block(r);
    struct bytes all = {r->p, 0};
    if (n) {
        all = reader_take(r, n > UINT32_MAX / 4 ? SIZE_MAX : n * 4);
        if (take_block(r))
            fail(r);
    }
    return bytes_cell(CELL_VECTOR, all);
}

static struct cell
take_real(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = c->wire == WIRE_FLOAT ? CELL_FLOAT : CELL_DOUBLE};
    struct bytes b = reader_take(r, c->wire == WIRE_FLOAT ? 4 : 8);
    float f;
    if (r->failed)
        return out;
    if (c->wire == WIRE_DOUBLE) {
        memcpy(&out.v.d, b.p, 8);
        return out;
    }
    memcpy(&f, b.p, 4);
    out.v.d = (double)f;
    return out;
}

static struct cell
take_integer(const struct plan_col *c, struct reader *r)
{
    int64_t n = take_long(r);
    struct cell out = {.kind = c->column->is_unsigned ? CELL_UINT : CELL_INT, .v.i = n};
    if (c->column->is_unsigned && n < 0)
        fail(r);
    return out;
}

static struct cell
take_number(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = CELL_NULL};
    if (!plan_temporal_cell(c, take_long(r), &out))
        fail(r);
    return out;
}

static struct cell
take_value(const struct plan_col *c, struct reader *r, struct arena *a)
{
    switch (c->wire) {
    case WIRE_INT:
    case WIRE_LONG:
        return take_integer(c, r);
    case WIRE_BYTES:
        return bytes_cell(CELL_BYTES, take_sized(r));
    case WIRE_JSON:
        return bytes_cell(CELL_JSON, take_sized(r));
    case WIRE_FLOAT:
    case WIRE_DOUBLE:
        return take_real(c, r);
    case WIRE_UINT64:
    case WIRE_DECIMAL:
        return take_decimal(c, r, a);
    case WIRE_BOOL:
        return take_bool(r);
    case WIRE_BITS:
        return take_bit(c, r);
    case WIRE_TIMESTAMP:
        return take_timestamp(c, r);
    case WIRE_GEOMETRY:
        return take_geometry(r, a);
    case WIRE_VECTOR:
        return take_vector(r);
    case WIRE_DATE:
    case WIRE_TIME:
    case WIRE_DATETIME_MS:
    case WIRE_DATETIME_US:
    case WIRE_YEAR:
        return take_number(c, r);
    default:
        return bytes_cell(CELL_TEXT, take_sized(r));
    }
}

static void
skip_value(const struct plan_col *c, struct reader *r)
{
    switch (c->wire) {
    case WIRE_INT:
    case WIRE_LONG:
    case WIRE_BOOL:
    case WIRE_DATE:
    case WIRE_TIME:
    case WIRE_DATETIME_MS:
    case WIRE_DATETIME_US:
    case WIRE_YEAR:
        take_long(r);
        break;
    case WIRE_FLOAT:
    case WIRE_DOUBLE:
        reader_take(r, c->wire == WIRE_FLOAT ? 4 : 8);
        break;
    case WIRE_VECTOR:
        skip_array(r, 4);
        break;
    case WIRE_GEOMETRY:
        take_bytes(r);
        if (take_branch(r))
            take_long(r);
        break;
    default:
        take_bytes(r);
    }
}

static void
skip_image(const struct plan *p, struct reader *r)
{
    for (unsigned i = 0; i < p->value_n && !r->failed; i++)
        if (!p->value[i].nullable || take_branch(r))
            skip_value(&p->value[i], r);
}

/* Where it begins; NULL: there is none. */
static const uint8_t *
skip_optional_image(const struct plan *p, struct reader *r)
{
    if (!take_branch(r))
        return NULL;
    const uint8_t *at = r->p;
    skip_image(p, r);
    return at;
}

static const struct cell *
take_image(const struct plan *p, struct reader *r, struct arena *a)
{
    struct cell *row = arena_alloc(a, (p->value_n + 1u) * sizeof *row);
    for (unsigned i = 0; i < p->value_n; i++) {
        const struct plan_col *c = &p->value[i];
        if (c->nullable && !take_branch(r))
            row[i] = (struct cell){.kind = CELL_NULL};
        else
            row[i] = take_value(c, r, a);
        if (r->failed)
            break;
    }
    return row;
}

/* ---- source ---- */

static bool
hex16(struct bytes b, uint64_t *out)
{
    uint64_t v = 0;
    if (b.n != 16)
        return false;
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = b.p[i], low = c | 0x20;
        unsigned d = c >= '0' && c <= '9'       ? (unsigned)c - '0'
                     : low >= 'a' && low <= 'f' ? (unsigned)low - 'a' + 10
                                                : 16;
        if (d > 15)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

/* version to table */
static void
take_source_head(struct reader *r, struct change_source *s)
{
    take_bytes(r);
    take_bytes(r);
    take_bytes(r);
    uint64_t ms = (uint64_t)take_long(r);
    /* ["string", "null"] */
    struct bytes snapshot = take_branch(r) ? BYTES_LIT("false") : take_bytes(r);
    s->snapshot = !bytes_eq(snapshot, BYTES_LIT("false"));
    take_bytes(r);
    if (take_branch(r))
        take_bytes(r);
    s->commit_us = take_branch(r) ? (uint64_t)take_long(r) : ms * 1000;
    if (take_branch(r))
        take_long(r);
    if (take_branch(r))
        take_bytes(r);
}

/* server_id to millrace_load */
static void
take_source_tail(struct reader *r, struct change *c)
{
    struct change_source *s = &c->source;
    s->server_id = (uint32_t)take_long(r);
    s->gtid = take_branch(r) ? take_bytes(r) : BYTES_LIT("");
    s->file = take_bytes(r);
    s->pos = (uint64_t)take_long(r);
    s->row = (uint32_t)take_long(r);
    s->thread = take_branch(r) ? (uint64_t)take_long(r) : 0;
    if (take_branch(r))
        take_bytes(r);
    if (!hex16(take_bytes(r), &c->id.inc))
        fail(r);
    c->id.epoch = (uint64_t)take_long(r);
    c->id.seq = (uint64_t)take_long(r);
    s->load = take_branch(r) ? (uint64_t)take_long(r) : 0;
}

static void
take_unchanged(const struct plan *p, struct reader *r, struct change *c)
{
    for (size_t n = take_block(r); n; n = take_block(r)) {
        for (size_t i = 0; i < n && !r->failed; i++)
            if (!plan_put_unchanged(p, take_long(r), c))
                fail(r);
    }
}

static void
take_raw(const struct plan *p, struct reader *r, struct change *c)
{
    for (size_t n = take_block(r); n; n = take_block(r)) {
        for (size_t i = 0; i < n && !r->failed; i++) {
            struct bytes name = take_bytes(r);
            struct bytes text = take_sized(r);
            if (!r->failed)
                plan_put_raw(p, name, text, c);
        }
    }
}

/* Gives whether there are any. */
static bool
skip_extras(struct reader *r)
{
    bool unchanged = take_branch(r);
    if (unchanged)
        for (size_t n = take_block(r); n; n = take_block(r))
            while (n-- && !r->failed)
                take_long(r);
    bool raw = take_branch(r);
    if (raw) {
        for (size_t n = take_block(r); n; n = take_block(r)) {
            while (n-- && !r->failed) {
                take_bytes(r);
                take_bytes(r);
            }
        }
    }
    return unchanged || raw;
}

static void
skip_transaction(struct reader *r)
{
    if (!take_branch(r))
        return;
    take_bytes(r);
    take_long(r);
    take_long(r);
}

static void
take_op(struct reader *r, struct change *c)
{
    skip_transaction(r);
    struct bytes op = take_bytes(r);
    if (op.n != 1 || !memchr("cudr", op.p[0], 4))
        fail(r);
    else
        c->op = (enum change_op)op.p[0];
}

static void
skip_times(struct reader *r)
{
    for (unsigned i = 0; i < 3; i++)
        if (take_branch(r))
            take_long(r);
}

MUST static bool
refuse(const struct plan *p, const char *why, struct err *e)
{
    return err_set(e, MR_SCHEMA_DECODE, "a value of table %s.%s version %u %s",
                   p->table->database, p->table->name, p->table->version, why);
}

MUST static bool
open_value(const struct plan *p, struct bytes value, struct reader *r, struct change *out,
           struct err *e)
{
    memset(out, 0, sizeof *out);
    out->table = p->table;
    *r = reader_of(value);
    if (value.n < FRAME_N || value.p[0] != 0)
        return refuse(p, "is not in Confluent's wire format", e);
    r->p += FRAME_N;
    return true;
}

bool
avro_decode_head(const struct plan *p, struct bytes value, struct change *out,
                 uint32_t *image_at, struct err *e)
{
    struct reader r;
    if (!open_value(p, value, &r, out, e))
        return false;
    const uint8_t *before = skip_optional_image(p, &r);
    const uint8_t *after = skip_optional_image(p, &r);
    take_source_head(&r, &out->source);
    take_source_tail(&r, out);
    bool extras = skip_extras(&r);
    take_op(&r, out);
    skip_times(&r);
    if (r.failed || r.p != r.end)
        return refuse(p, "does not match its schema", e);
    const uint8_t *image = out->op == OP_DELETE ? before : after;
    *image_at = image && !extras ? (uint32_t)(image - value.p) : 0;
    return true;
}

bool
avro_decode_image(const struct plan *p, struct bytes value, uint32_t image_at, struct arena *a,
                  const struct cell **out, struct err *e)
{
    struct reader r = reader_of(value);
    reader_take(&r, image_at);
    *out = take_image(p, &r, a);
    return !r.failed || refuse(p, "does not match its schema", e);
}

bool
avro_decode(const struct plan *p, struct bytes value, struct arena *a, struct change *out,
            struct err *e)
{
    struct reader r;
    if (!open_value(p, value, &r, out, e))
        return false;
    out->before = take_branch(&r) ? take_image(p, &r, a) : NULL;
    out->after = take_branch(&r) ? take_image(p, &r, a) : NULL;
    take_source_head(&r, &out->source);
    take_source_tail(&r, out);
    if (take_branch(&r))
        take_unchanged(p, &r, out);
    if (take_branch(&r))
        take_raw(p, &r, out);
    take_op(&r, out);
    skip_times(&r);
    if (r.failed || r.p != r.end)
        return refuse(p, "does not match its schema", e);
    return true;
}

bool
avro_decode_key(const struct plan *p, struct bytes payload, struct arena *a, struct cell *row,
                struct err *e)
{
    struct reader r = reader_of(payload);
    for (unsigned i = 0; i < p->value_n; i++)
        row[i] = (struct cell){.kind = CELL_ABSENT};
    for (unsigned i = 0; i < p->key_n && !r.failed; i++) {
        struct cell *v = &row[p->key[i].at];
        *v = take_value(&p->key[i], &r, a);
        if (!r.failed && !plan_key_cell(&p->key[i], v))
            fail(&r);
    }
    if (r.failed || r.p != r.end)
        return refuse(p, "has a key that does not match its schema", e);
    return true;
}
