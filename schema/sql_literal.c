/* SQL text of names and values. Escapes as in the servers' manuals, "String Literals": with
 * backslash escapes on, only the quote, the backslash and NUL need one.
 */
#include "schema/sql_literal.h"

#include "schema/number_text.h"
#include "schema/temporal.h"
#include "schema/types_mysql.h"

void
sql_ident(const char *name, struct buf *out)
{
    buf_add_byte(out, '`');
    for (const char *s = name; *s; s++) {
        if (*s == '`')
            buf_add_byte(out, '`');
        buf_add_byte(out, (uint8_t)*s);
    }
    buf_add_byte(out, '`');
}

void
sql_table(const char *database, const char *name, struct buf *out)
{
    sql_ident(database, out);
    buf_add_byte(out, '.');
    sql_ident(name, out);
}

/* Some byte of v is 0, a quote or a backslash. */
static inline bool
needs_escape(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = v ^ ones * '\'', slash = v ^ ones * '\\';
    return (((v - ones) & ~v) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high;
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
            uint8_t c = *s.p++;
            s.n--;
            if (c == '\'' || c == '\\' || c == 0)
                *p++ = '\\';
            *p++ = c ? c : '0';
        }
    }
    return p;
}

void
sql_text(struct bytes text, struct buf *out)
{
    uint8_t *start = buf_reserve(out, text.n * 2 + 2), *p = start;
    if (!p)
        return;
    *p++ = '\'';
    p = put_escaped(p, text);
    *p++ = '\'';
    out->n += (size_t)(p - start);
}

static void
add_hex(struct bytes b, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *start = buf_reserve(out, b.n * 2 + 3), *p = start;
    if (!p)
        return;
    *p++ = 'x';
    *p++ = '\'';
    for (size_t i = 0; i < b.n; i++) {
        *p++ = (uint8_t)hex[b.p[i] >> 4];
        *p++ = (uint8_t)hex[b.p[i] & 15];
    }
    *p++ = '\'';
    out->n += (size_t)(p - start);
}

static void
add_labels(const struct column *c, uint64_t mask, struct buf *out)
{
    if (c->label_count < 64 && mask >> c->label_count != 0)
        out->failed = true;
    buf_add_byte(out, '\'');
    for (; mask && !out->failed; mask &= mask - 1) {
        struct bytes label = c->labels[__builtin_ctzll(mask)];
        uint8_t *p = buf_reserve(out, label.n * 2);
        if (p)
            out->n += (size_t)(put_escaped(p, label) - p);
        if (mask & (mask - 1))
            buf_add_byte(out, ',');
    }
    buf_add_byte(out, '\'');
}

static char *
put_temporal(const struct column *c, const struct cell *v, char *p)
{
    *p++ = '\'';
    if (v->kind == CELL_DATE)
        p = temporal_put_date(p, v->v.u);
    else if (v->kind == CELL_TIME)
        p = temporal_put_time(p, v->v.i, c->scale);
    else if (v->kind == CELL_DATETIME)
        p = temporal_put_datetime(p, v->v.u, c->scale, ' ');
    else
        p = temporal_put_datetime(p, temporal_from_epoch_us(v->v.i), c->scale, ' ');
    *p++ = '\'';
    return p;
}

/* Kinds whose text is short. */
static void
add_short(const struct column *c, const struct cell *v, struct buf *out)
{
    char *start = (char *)buf_reserve(out, TEMPORAL_TEXT_MAX + NUMBER_TEXT_MAX), *p = start;
    if (!p)
        return;
    switch ((enum cell_kind)v->kind) {
    case CELL_INT:
        p = number_put_i64(p, v->v.i);
        break;
    case CELL_UINT:
    case CELL_YEAR:
    case CELL_BIT:
        p = number_put_u64(p, v->v.u);
        break;
    case CELL_FLOAT: /* all its digits: the column may be a double */
        p = number_put_double(p, (double)(float)v->v.d, true);
        break;
    case CELL_DOUBLE:
        p = number_put_double(p, v->v.d, true);
        break;
    default:
        p = put_temporal(c, v, p);
    }
    out->n += (size_t)(p - start);
}

static void
add_enum(const struct column *c, uint64_t index, struct buf *out)
{
    if (index > c->label_count)
        out->failed = true;
    else
        sql_text(index ? c->labels[index - 1] : BYTES_LIT(""), out);
}

void
sql_literal(const struct column *c, const struct cell *v, struct buf *out)
{
    switch ((enum cell_kind)v->kind) {
    case CELL_ABSENT:
        buf_add(out, "DEFAULT", 7);
        break;
    case CELL_NULL:
        buf_add(out, "NULL", 4);
        break;
    case CELL_TEXT:
    case CELL_JSON:
        sql_text(cell_bytes(v), out);
        break;
    case CELL_DECIMAL:
        buf_add(out, v->v.p, v->len);
        break;
    case CELL_BYTES:
    case CELL_GEOMETRY:
    case CELL_VECTOR:
        add_hex(cell_bytes(v), out);
        break;
    case CELL_ENUM:
        add_enum(c, v->v.u, out);
        break;
    case CELL_SET:
        add_labels(c, v->v.u, out);
        break;
    default:
        add_short(c, v, out);
    }
}

bool
sql_needs_lenient(const struct column *c, const struct cell *v)
{
    if (c->type != COL_ENUM)
        return false;
    if (v->kind == CELL_ENUM)
        return v->v.u == 0;
    if (v->kind != CELL_TEXT || v->len != 0)
        return false;
    for (uint32_t i = 0; i < c->label_count; i++)
        if (c->labels[i].n == 0)
            return false;
    return true;
}
