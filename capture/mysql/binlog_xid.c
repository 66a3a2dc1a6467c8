/* XA transaction ids: see binlog_xid.h. */
#include "capture/mysql/binlog_xid.h"

#include "base/text.h"

static bool
put_xid(uint32_t format, struct bytes global, struct bytes branch, struct binlog_xid *out)
{
    if (global.n > XID_PART_MAX || branch.n > XID_PART_MAX)
        return false;
    uint8_t *o = out->p;
    for (unsigned i = 0; i < 4; i++)
        *o++ = (uint8_t)(format >> (8 * i));
    *o++ = (uint8_t)global.n;
    *o++ = (uint8_t)branch.n;
    if (global.n)
        memcpy(o, global.p, global.n);
    if (branch.n)
        memcpy(o + global.n, branch.p, branch.n);
    out->n = 6 + global.n + branch.n;
    return true;
}

bool
binlog_xid_read(struct reader *r, struct binlog_xid *out)
{
    uint32_t format = (uint32_t)reader_le(r, 4);
    uint8_t global = reader_u8(r), branch = reader_u8(r);
    struct bytes g = reader_take(r, global), b = reader_take(r, branch);
    if (!r->failed && !put_xid(format, g, b, out))
        r->failed = true;
    return !r->failed;
}

bool
binlog_xa_prepare(struct bytes body, bool *one_phase, struct binlog_xid *out, struct err *e)
{
    struct reader r = reader_of(body);
    *one_phase = reader_u8(&r);
    uint32_t format = (uint32_t)reader_le(&r, 4);
    uint64_t global = reader_le(&r, 4), branch = reader_le(&r, 4);
    struct bytes g = reader_take(&r, global), b = reader_take(&r, branch);
    return (!r.failed && put_xid(format, g, b, out)) ||
           err_set(e, MR_SOURCE_CORRUPT, "an XA_PREPARE event cannot be read");
}

/* ---- statements ---- */

static bool
take_text(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if (reader_left(r) < n || memcmp(r->p, text, n) != 0)
        return false;
    r->p += n;
    return true;
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* X'<hex>' */
static bool
take_hex(struct reader *r, uint8_t out[XID_PART_MAX], struct bytes *part)
{
    size_t n = 0;
    if (!take_text(r, "X'"))
        return false;
    while (reader_left(r) > 1 && *r->p != '\'' && n < XID_PART_MAX) {
        int high = hex_digit(r->p[0]), low = hex_digit(r->p[1]);
        if (high < 0 || low < 0)
            return false;
        out[n++] = (uint8_t)(high << 4 | low);
        r->p += 2;
    }
    *part = bytes_of(out, n);
    return take_text(r, "'");
}

/* All that is left; a format id is a signed 32-bit number. */
static bool
take_format(struct reader *r, uint32_t *out)
{
    char text[16];
    uint64_t v;
    bool negative = take_text(r, "-");
    size_t n = reader_left(r);
    if (n >= sizeof(text))
        return false;
    memcpy(text, r->p, n);
    text[n] = 0;
    if (!text_u64(text, &v) || v > UINT32_MAX)
        return false;
    *out = negative ? 0u - (uint32_t)v : (uint32_t)v;
    return true;
}

bool
binlog_xa_statement(struct bytes sql, enum xa_verb *verb, struct binlog_xid *out)
{
    static const char *const verbs[] = {"START ", "END ", "PREPARE ", "COMMIT ", "ROLLBACK "};
    struct reader r = reader_of(sql);
    uint8_t memory[2][XID_PART_MAX];
    struct bytes global, branch;
    uint32_t format;
    size_t v = 0;
    if (!take_text(&r, "XA "))
        return false;
    while (v < ARRAY_LEN(verbs) && !take_text(&r, verbs[v]))
        v++;
    if (v == ARRAY_LEN(verbs))
        return false;
    *verb = (enum xa_verb)v;
    return take_hex(&r, memory[0], &global) && take_text(&r, ",") &&
           take_hex(&r, memory[1], &branch) && take_text(&r, ",") && take_format(&r, &format) &&
           put_xid(format, global, branch, out);
}
