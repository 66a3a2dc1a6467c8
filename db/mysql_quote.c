/* Quoting for SQL text: the one place that makes identifiers and literals. */
#include "db/mysql.h"

void
mysql_quote_name(struct bytes name, struct buf *out)
{
    buf_add_byte(out, '`');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '`')
            buf_add_byte(out, '`');
        buf_add_byte(out, name.p[i]);
    }
    buf_add_byte(out, '`');
}

void
mysql_quote_table(struct bytes database, struct bytes table, struct buf *out)
{
    mysql_quote_name(database, out);
    buf_add_byte(out, '.');
    mysql_quote_name(table, out);
}

/* The letter behind the backslash, 0: stands for itself. */
static uint8_t
escape_of(uint8_t c)
{
    switch (c) {
    case 0:
        return '0';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case 0x1a:
        return 'Z';
    case '\\':
    case '\'':
        return c;
    default:
        return 0;
    }
}

void
mysql_quote_text(struct bytes text, struct buf *out)
{
    uint8_t *p = buf_reserve(out, text.n * 2 + 2);
    if (!p)
        return;
    uint8_t *at = p;
    *at++ = '\'';
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = escape_of(text.p[i]);
        if (c)
            *at++ = '\\';
        *at++ = c ? c : text.p[i];
    }
    *at++ = '\'';
    out->n += (size_t)(at - p);
}

void
mysql_quote_hex(struct bytes b, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *p = buf_reserve(out, b.n * 2 + 3);
    if (!p)
        return;
    *p++ = 'x';
    *p++ = '\'';
    for (size_t i = 0; i < b.n; i++) {
        *p++ = (uint8_t)digits[b.p[i] >> 4];
        *p++ = (uint8_t)digits[b.p[i] & 15];
    }
    *p = '\'';
    out->n += b.n * 2 + 3;
}
