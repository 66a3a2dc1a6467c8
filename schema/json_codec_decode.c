/* JSON to rows: the envelope of json_codec_encode.c, members in any order, unknown ones
 * ignored. Strings without escapes borrow from the message, the rest is made in the arena.
 *
 * Owner: none. Thread: any, a plan is immutable.
 */
#include "schema/codec_plan.h"
#include "schema/decimal.h"
#include "schema/json_scan.h"
#include "schema/number_text.h"
#include "schema/temporal.h"

#define IS(name, literal) bytes_eq((name), BYTES_LIT(literal))
#define NOT_SEEN          0xff /* kind of a cell whose member has not come yet */

/* ---- cells ---- */

static struct cell
bytes_cell(struct reader *r, enum cell_kind kind, struct bytes b)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)b.n};
    if (b.n > UINT32_MAX)
        json_scan_fail(r);
    c.v.p = b.p;
    return c;
}

static struct cell
scan_integer(const struct plan_col *c, struct reader *r)
{
    int64_t n = json_scan_i64(r);
    struct cell out = {.kind = c->column->is_unsigned ? CELL_UINT : CELL_INT, .v.i = n};
    if (c->column->is_unsigned && n < 0)
        json_scan_fail(r);
    return out;
}

static struct cell
scan_real(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = c->wire == WIRE_FLOAT ? CELL_FLOAT : CELL_DOUBLE};
    if (!number_parse_double(json_scan_number(r), &out.v.d))
        json_scan_fail(r);
    if (c->wire == WIRE_FLOAT)
        out.v.d = (double)(float)out.v.d;
    return out;
}

static struct cell
scan_decimal(const struct plan_col *c, struct reader *r, struct arena *a)
{
    struct bytes b = json_scan_base64(r, a);
    if (c->wire == WIRE_UINT64) {
        struct cell u = {.kind = CELL_UINT};
        if (!decimal_to_u64(b, &u.v.u))
            json_scan_fail(r);
        return u;
    }
    char text[DECIMAL_TEXT_MAX];
    size_t n = decimal_to_text(b, c->scale, text);
    if (n == 0)
        json_scan_fail(r);
    return bytes_cell(r, CELL_DECIMAL, arena_copy(a, bytes_of(text, n)));
}

static struct cell
scan_bits(const struct plan_col *c, struct reader *r, struct arena *a)
{
    struct cell out = {.kind = CELL_BIT};
    struct bytes b = json_scan_base64(r, a);
    if (b.n != (c->column->length + 7) / 8)
        json_scan_fail(r);
    for (size_t i = 0; !r->failed && i < b.n; i++)
        out.v.u |= (uint64_t)b.p[i] << (8 * i);
    return out;
}

static struct cell
scan_timestamp(const struct plan_col *c, struct reader *r, struct arena *a)
{
    struct cell out = {.kind = CELL_TIMESTAMP, .dec = c->scale};
    if (!temporal_parse_zoned(json_scan_string(r, a), &out.v.i))
        json_scan_fail(r);
    return out;
}

static struct cell
scan_geometry(struct reader *r, struct arena *a)
{
    struct bytes wkb = {NULL, 0}, name;
    uint32_t srid = 0;
    json_scan_expect(r, '{');
    for (bool first = true; json_scan_member(r, &first, &name);) {
        if (IS(name, "wkb"))
            wkb = json_scan_base64(r, a);
        else if (IS(name, "srid"))
            srid = json_scan_null(r) ? 0 : (uint32_t)json_scan_i64(r);
        else
            json_scan_skip(r);
    }
    if (!wkb.p)
        json_scan_fail(r);
    if (r->failed)
        return (struct cell){.kind = CELL_NULL};
    uint8_t *p = arena_alloc(a, wkb.n + 4);
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(srid >> (8 * i));
    if (wkb.n)
        memcpy(p + 4, wkb.p, wkb.n);
    return bytes_cell(r, CELL_GEOMETRY, bytes_of(p, wkb.n + 4));
}

/* A float's text is at least one byte and a comma: half of what is left bounds the count. */
static struct cell
scan_vector(struct reader *r, struct arena *a)
{
    struct reader count = *r;
    size_t n = 0;
    json_scan_expect(&count, '[');
    for (bool first = true; json_scan_element(&count, &first); n++)
        json_scan_number(&count);
    uint8_t *p = arena_alloc(a, n * 4 + 4);
    n = 0;
    json_scan_expect(r, '[');
    for (bool first = true; !count.failed && json_scan_element(r, &first); n += 4) {
        double d = 0;
        if (!number_parse_double(json_scan_number(r), &d))
            json_scan_fail(r);
        float f = (float)d;
        memcpy(p + n, &f, 4);
    }
    if (count.failed)
        json_scan_fail(r);
    return bytes_cell(r, CELL_VECTOR, bytes_of(p, n));
}

static struct cell
scan_temporal(const struct plan_col *c, struct reader *r)
{
    struct cell out = {.kind = CELL_NULL};
    if (!plan_temporal_cell(c, json_scan_i64(r), &out))
        json_scan_fail(r);
    return out;
}

static struct cell
scan_value(const struct plan_col *c, struct reader *r, struct arena *a)
{
    switch (c->wire) {
    case WIRE_INT:
    case WIRE_LONG:
        return scan_integer(c, r);
    case WIRE_BYTES:
        return bytes_cell(r, CELL_BYTES, json_scan_base64(r, a));
    case WIRE_JSON:
        return bytes_cell(r, CELL_JSON, json_scan_string(r, a));
    case WIRE_FLOAT:
    case WIRE_DOUBLE:
        return scan_real(c, r);
    case WIRE_UINT64:
    case WIRE_DECIMAL:
        return scan_decimal(c, r, a);
    case WIRE_BOOL:
        return (struct cell){.kind = CELL_BIT, .v.u = json_scan_bool(r)};
    case WIRE_BITS:
        return scan_bits(c, r, a);
    case WIRE_TIMESTAMP:
        return scan_timestamp(c, r, a);
    case WIRE_GEOMETRY:
        return scan_geometry(r, a);
    case WIRE_VECTOR:
        return scan_vector(r, a);
    case WIRE_DATE:
    case WIRE_TIME:
    case WIRE_DATETIME_MS:
    case WIRE_DATETIME_US:
    case WIRE_YEAR:
        return scan_temporal(c, r);
    default:
        return bytes_cell(r, CELL_TEXT, json_scan_string(r, a));
    }
}

/* ---- images ---- */

struct columns {
    const struct plan_col *at;
    unsigned n;
};

/* The column of the next member and the reader behind its colon. Our own writer's order is
 * found by one memcmp; else by name. NULL: an unknown member, passed over, or the end. */
static const struct plan_col *
next_column(struct reader *r, const struct columns *all, unsigned expect, bool *first,
            bool *more)
{
    struct bytes name;
    if (expect < all->n && !r->failed) {
        struct bytes want = all->at[expect].json_name;
        size_t comma = !*first;
        if (reader_left(r) > want.n + comma && (*first || *r->p == ',') &&
            memcmp(r->p + comma, want.p, want.n) == 0) {
            r->p += want.n + comma;
            *first = false;
            *more = true;
            return &all->at[expect];
        }
    }
    *more = json_scan_member(r, first, &name);
    for (unsigned i = 0; *more && i < all->n; i++) {
        struct bytes want = all->at[i].json_name;
        if (name.n + 3 == want.n && memcmp(name.p, want.p + 1, name.n) == 0)
            return &all->at[i];
    }
    if (*more)
        json_scan_skip(r);
    return NULL;
}

/* Every column exactly once. */
static void
scan_columns(struct reader *r, const struct columns *all, struct arena *a, struct cell *row)
{
    unsigned seen = 0;
    bool first = true, more = true;
    json_scan_expect(r, '{');
    while (more && !r->failed) {
        const struct plan_col *c = next_column(r, all, seen, &first, &more);
        if (!c)
            continue;
        if (row[c->at].kind != NOT_SEEN)
            json_scan_fail(r);
        row[c->at] = json_scan_null(r) ? (struct cell){.kind = CELL_NULL} : scan_value(c, r, a);
        seen++;
    }
    if (seen != all->n)
        json_scan_fail(r);
}

static const struct cell *
scan_image(const struct plan *p, struct reader *r, struct arena *a)
{
    struct columns all = {p->value, p->value_n};
    if (json_scan_null(r))
        return NULL;
    struct cell *row = arena_alloc(a, (p->value_n + 1u) * sizeof *row);
    for (unsigned i = 0; i < p->value_n; i++)
        row[i] = (struct cell){.kind = NOT_SEEN};
    scan_columns(r, &all, a, row);
    return row;
}

/* ---- source ---- */

struct extras {
    struct bytes unchanged; /* JSON text, empty: none */
    struct bytes raw;
};

static uint64_t
scan_inc(struct reader *r)
{
    uint64_t v = 0;
    struct bytes s = json_scan_skip(r);
    if (s.n != 18 || s.p[0] != '"')
        json_scan_fail(r);
    for (size_t i = 1; i < 17 && !r->failed; i++) {
        uint8_t c = s.p[i];
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            json_scan_fail(r);
    }
    return v;
}

static uint64_t
scan_number(struct reader *r)
{
    return json_scan_null(r) ? 0 : (uint64_t)json_scan_i64(r);
}

/* Text of source: without an arena only what has no escapes is kept. */
static struct bytes
scan_text(struct reader *r, struct arena *a)
{
    if (json_scan_null(r))
        return BYTES_LIT("");
    if (a)
        return json_scan_string(r, a);
    json_scan_skip(r);
    return BYTES_LIT("");
}

/* The members that every record must have, one bit each. */
enum { HAS_INC = 1, HAS_EPOCH = 2, HAS_SEQ = 4, HAS_ALL = 7 };

static bool
scan_identity(struct reader *r, struct bytes name, struct change *c, unsigned *has)
{
    if (IS(name, "millrace_inc")) {
        c->id.inc = scan_inc(r);
        *has |= HAS_INC;
    } else if (IS(name, "millrace_epoch")) {
        c->id.epoch = scan_number(r);
        *has |= HAS_EPOCH;
    } else if (IS(name, "millrace_seq")) {
        c->id.seq = scan_number(r);
        *has |= HAS_SEQ;
    } else if (IS(name, "millrace_load")) {
        c->source.load = scan_number(r);
    } else {
        return false;
    }
    return true;
}

static bool
scan_place(struct reader *r, struct bytes name, struct change_source *s, struct arena *a)
{
    if (IS(name, "server_id"))
        s->server_id = (uint32_t)scan_number(r);
    else if (IS(name, "gtid"))
        s->gtid = scan_text(r, a);
    else if (IS(name, "file"))
        s->file = scan_text(r, a);
    else if (IS(name, "pos"))
        s->pos = scan_number(r);
    else if (IS(name, "row"))
        s->row = (uint32_t)scan_number(r);
    else if (IS(name, "thread"))
        s->thread = scan_number(r);
    else if (IS(name, "ts_us"))
        s->commit_us = scan_number(r);
    else
        return false;
    return true;
}

static void
scan_source(struct reader *r, struct arena *a, struct change *c, struct extras *x)
{
    struct bytes name;
    unsigned has = 0;
    c->source.gtid = c->source.file = BYTES_LIT("");
    json_scan_expect(r, '{');
    for (bool first = true; json_scan_member(r, &first, &name);) {
        if (scan_identity(r, name, c, &has) || scan_place(r, name, &c->source, a))
            continue;
        if (IS(name, "snapshot")) {
            struct bytes kind = json_scan_skip(r);
            c->source.snapshot = !IS(kind, "\"false\"") && !IS(kind, "null");
        } else if (IS(name, "millrace_unchanged")) {
            x->unchanged = json_scan_skip(r);
        } else if (IS(name, "millrace_raw")) {
            x->raw = json_scan_skip(r);
        } else {
            json_scan_skip(r);
        }
    }
    if (has != HAS_ALL)
        json_scan_fail(r);
}

static void
put_extras(const struct plan *p, const struct extras *x, struct arena *a, struct reader *r,
           struct change *c)
{
    struct reader u = reader_of(x->unchanged), raw = reader_of(x->raw);
    bool first = true;
    struct bytes name;
    if (x->unchanged.n && !json_scan_null(&u)) {
        json_scan_expect(&u, '[');
        while (json_scan_element(&u, &first))
            if (!plan_put_unchanged(p, json_scan_i64(&u), c))
                json_scan_fail(&u);
    }
    if (x->raw.n && !json_scan_null(&raw)) {
        json_scan_expect(&raw, '{');
        for (first = true; !raw.failed && !json_scan_char(&raw, '}'); first = false) {
            if (!first)
                json_scan_expect(&raw, ',');
            name = json_scan_string(&raw, a);
            json_scan_expect(&raw, ':');
            struct bytes text = json_scan_string(&raw, a);
            if (!raw.failed)
                plan_put_raw(p, name, text, c);
        }
    }
    if (u.failed || raw.failed)
        json_scan_fail(r);
}

static void
scan_op(struct reader *r, struct change *c)
{
    struct bytes op = json_scan_skip(r);
    if (op.n != 3 || op.p[0] != '"' || !memchr("cudr", op.p[1], 4))
        json_scan_fail(r);
    else
        c->op = (enum change_op)op.p[1];
}

MUST static bool
finish(struct reader *r, const struct change *c, bool has_source, struct err *e)
{
    if (!json_scan_end(r) || !c->op || !has_source)
        return err_set(e, MR_SCHEMA_DECODE, "a value is not Millrace's JSON envelope");
    return true;
}

bool
json_decode_head(struct bytes value, struct change *out, struct err *e)
{
    struct reader r = reader_of(value);
    struct extras x = {{NULL, 0}, {NULL, 0}};
    struct bytes name;
    bool has_source = false;
    memset(out, 0, sizeof *out);
    json_scan_expect(&r, '{');
    for (bool first = true; json_scan_member(&r, &first, &name);) {
        if (IS(name, "source")) {
            scan_source(&r, NULL, out, &x);
            has_source = true;
        } else if (IS(name, "op")) {
            scan_op(&r, out);
        } else {
            json_scan_skip(&r);
        }
    }
    return finish(&r, out, has_source, e);
}

bool
json_decode(const struct plan *p, struct bytes value, struct arena *a, struct change *out,
            struct err *e)
{
    struct reader r = reader_of(value);
    struct extras x = {{NULL, 0}, {NULL, 0}};
    struct bytes name;
    bool has_source = false;
    memset(out, 0, sizeof *out);
    out->table = p->table;
    json_scan_expect(&r, '{');
    for (bool first = true; json_scan_member(&r, &first, &name);) {
        if (IS(name, "before")) {
            out->before = scan_image(p, &r, a);
        } else if (IS(name, "after")) {
            out->after = scan_image(p, &r, a);
        } else if (IS(name, "source")) {
            scan_source(&r, a, out, &x);
            has_source = true;
        } else if (IS(name, "op")) {
            scan_op(&r, out);
        } else {
            json_scan_skip(&r);
        }
    }
    if (!r.failed)
        put_extras(p, &x, a, &r, out);
    if (!finish(&r, out, has_source, e))
        return err_wrap(e, "table %s.%s version %u", p->table->database, p->table->name,
                        p->table->version);
    return true;
}

bool
json_decode_key(const struct plan *p, struct bytes payload, struct arena *a, struct cell *row,
                struct err *e)
{
    struct reader r = reader_of(payload);
    struct columns all = {p->key, p->key_n};
    for (unsigned i = 0; i < p->value_n; i++)
        row[i] = (struct cell){.kind = CELL_ABSENT};
    for (unsigned i = 0; i < p->key_n; i++)
        row[p->key[i].at].kind = NOT_SEEN;
    scan_columns(&r, &all, a, row);
    for (unsigned i = 0; i < p->key_n && !r.failed; i++) {
        struct cell *v = &row[p->key[i].at];
        if (v->kind == CELL_NULL || !plan_key_cell(&p->key[i], v))
            json_scan_fail(&r);
    }
    if (!json_scan_end(&r))
        return err_set(e, MR_SCHEMA_DECODE, "a key of table %s.%s does not match its schema",
                       p->table->database, p->table->name);
    return true;
}
