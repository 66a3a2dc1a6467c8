/* Rows as LOAD DATA LOCAL reads them. */
#include "schema/tsv.h"

#include "schema/number_text.h"
#include "schema/sql_literal.h"
#include "schema/temporal.h"
#include "schema/types_mysql.h"

/* Through a user variable; else a plain field. */
static bool
is_converted(const struct column *c)
{
    return type_is_binary(c->type) || c->type == COL_GEOMETRY || c->type == COL_VECTOR ||
           c->type == COL_BIT;
}

static void
add_conversion(const struct column *c, unsigned i, struct buf *out)
{
    if (c->type == COL_BIT)
        buf_addf(out, "CAST(@c%u AS UNSIGNED)", i);
    else
        buf_addf(out, "UNHEX(@c%u)", i);
}

void
tsv_columns(const struct table *t, struct buf *out)
{
    const char *between = "(";
    for (unsigned i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (c->generated)
            continue;
        buf_add_str(out, between);
        between = ",";
        if (is_converted(c))
            buf_addf(out, "@c%u", i);
        else
            sql_ident(c->name, out);
    }
    buf_add_byte(out, ')');
    between = " SET ";
    for (unsigned i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (c->generated || !is_converted(c))
            continue;
        buf_add_str(out, between);
        between = ",";
        sql_ident(c->name, out);
        buf_add_byte(out, '=');
        add_conversion(c, i, out);
    }
}

/* ---- fields ---- */

/* Some byte of v is below 16 (NUL, tab, newline and neighbours) or a backslash. */
static inline bool
needs_escape(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t slash = v ^ ones * '\\';
    return (((v - ones * 16) & ~v) | ((slash - ones) & ~slash)) & high;
}

static uint8_t *
put_escaped_byte(uint8_t *p, uint8_t c)
{
    switch (c) {
    case 0:
        *p++ = '\\';
        c = '0';
        break;
    case '\t':
        *p++ = '\\';
        c = 't';
        break;
    case '\n':
        *p++ = '\\';
        c = 'n';
        break;
    case '\r':
        *p++ = '\\';
        c = 'r';
        break;
    case '\\':
        *p++ = '\\';
        break;
    default:
        break;
    }
    *p++ = c;
    return p;
}

static void
add_text(struct bytes s, struct buf *out)
{
    uint8_t *start = buf_reserve(out, s.n * 2), *p = start;
    if (!p)
        return;
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
    out->n += (size_t)(p - start);
}

static void
add_hex(struct bytes b, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *p = buf_reserve(out, b.n * 2);
    if (!p)
        return;
    for (size_t i = 0; i < b.n; i++) {
        p[2 * i] = (uint8_t)hex[b.p[i] >> 4];
        p[2 * i + 1] = (uint8_t)hex[b.p[i] & 15];
    }
    out->n += b.n * 2;
}

static void
add_labels(const struct column *c, uint64_t mask, struct buf *out)
{
    for (; mask; mask &= mask - 1) {
        add_text(c->labels[__builtin_ctzll(mask)], out);
        if (mask & (mask - 1))
            buf_add_byte(out, ',');
    }
}

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
    case CELL_YEAR: /* the text "0" would be 2000 */
        p = number_put_digits(p, (uint32_t)v->v.u, 4);
        break;
    case CELL_FLOAT: /* as in sql_literal.c */
        p = number_put_double(p, (double)(float)v->v.d, false);
        break;
    case CELL_DOUBLE:
        p = number_put_double(p, v->v.d, false);
        break;
    case CELL_DATE:
        p = temporal_put_date(p, v->v.u);
        break;
    case CELL_TIME:
        p = temporal_put_time(p, v->v.i, c->scale);
        break;
    case CELL_DATETIME:
        p = temporal_put_datetime(p, v->v.u, c->scale, ' ');
        break;
    case CELL_TIMESTAMP:
        p = temporal_put_datetime(p, temporal_from_epoch_us(v->v.i), c->scale, ' ');
        break;
    default:
        p = number_put_u64(p, v->v.u);
    }
    out->n += (size_t)(p - start);
}

MUST static bool
refuse(const struct column *c, const struct cell *v, struct err *e)
{
    return err_set(e, MR_TARGET_ROW, "column %s: a cell of kind %d has no LOAD DATA form",
                   c->name, v->kind);
}

bool
tsv_field(const struct column *c, const struct cell *v, struct buf *out, struct err *e)
{
    switch ((enum cell_kind)v->kind) {
    case CELL_ABSENT:
        return refuse(c, v, e);
    case CELL_NULL:
        buf_add(out, "\\N", 2);
        break;
    case CELL_TEXT:
    case CELL_JSON:
    case CELL_DECIMAL:
        add_text(cell_bytes(v), out);
        break;
    case CELL_BYTES:
    case CELL_GEOMETRY:
    case CELL_VECTOR:
        add_hex(cell_bytes(v), out);
        break;
    case CELL_ENUM:
        if (v->v.u > c->label_count)
            return refuse(c, v, e);
        if (v->v.u)
            add_text(c->labels[v->v.u - 1], out);
        break;
    case CELL_SET:
        if (c->label_count < 64 && v->v.u >> c->label_count != 0)
            return refuse(c, v, e);
        add_labels(c, v->v.u, out);
        break;
    default:
        add_short(c, v, out);
    }
    return true;
}

bool
tsv_row(const struct table *t, const struct cell *row, struct buf *out, struct err *e)
{
    bool first = true;
    for (unsigned i = 0; i < t->column_count; i++) {
        if (t->columns[i].generated)
            continue;
        if (!first)
            buf_add_byte(out, '\t');
        first = false;
        if (!tsv_field(&t->columns[i], &row[i], out, e))
            return false;
    }
    buf_add_byte(out, '\n');
    return true;
}
