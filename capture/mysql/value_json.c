/* MySQL's binary JSON -> text as the server prints it.
 *
 * Format [mysql-server sql-common/json_binary.h]: a type byte and a value. Objects and arrays:
 * element count and size in bytes (2 or 4 bytes each, little-endian), for objects key entries
 * (offset, length 2), then value entries (type, offset or the value itself when it fits);
 * offsets count from the container's count field. Strings have a varint length. Limit: 100
 * levels, as the server.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "capture/mysql/binlog_map.h"
#include "capture/mysql/json_binary.h"
#include "capture/mysql/value.h"
#include "schema/number_text.h"

enum json_type {
    JSON_LITERAL = 4,
    JSON_INT16 = 5,
    JSON_UINT16 = 6,
    JSON_INT32 = 7,
    JSON_UINT32 = 8,
    JSON_INT64 = 9,
    JSON_UINT64 = 10,
    JSON_DOUBLE = 11,
    JSON_STRING = 12,
    JSON_OPAQUE = 15,
};

/* The letter behind the backslash; 0 = none. */
static char
short_escape(uint8_t c)
{
    switch (c) {
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char)c;
    default:
        return 0;
    }
}

void
json_binary_put_string(struct bytes s, struct buf *out)
{
    uint8_t *p = buf_reserve(out, s.n * 6 + 2);
    if (!p)
        return;
    uint8_t *o = p;
    *o++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        char letter = c >= 0x20 && c != '"' && c != '\\' ? 0 : short_escape(c);
        if (letter) {
            *o++ = '\\';
            *o++ = (uint8_t)letter;
        } else if (c < 0x20) {
            memcpy(o, c < 0x10 ? "\\u000" : "\\u001", 5);
            o[5] = (uint8_t)"0123456789abcdef"[c & 15];
            o += 6;
        } else {
            *o++ = c;
        }
    }
    *o++ = '"';
    out->n += (size_t)(o - p);
}

/* Shortest digits that read back; *point: place of the decimal point before them. */
static size_t
double_digits(double d, char digits[20], int *point)
{
    char text[40];
    int precision = d < DBL_MIN ? 1 : 15; /* below, fewer digits can be enough */
    do
        snprintf(text, sizeof(text), "%.*e", precision - 1, d);
    while (strtod(text, NULL) != d && ++precision <= 17);
    size_t n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p != '.' && n < 19)
            digits[n++] = *p;
    *point = *p ? atoi(p + 1) + 1 : 1;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* As the server's my_gcvt: plain notation while the point is not further than 15 places away,
 * and always with a point or an exponent. */
static void
put_double(double d, struct buf *out)
{
    char digits[20];
    int point;
    if (signbit(d))
        buf_add_byte(out, '-');
    size_t n = double_digits(fabs(d), digits, &point);
    if (d == 0) {
        buf_add_str(out, "0.0");
    } else if (point < -DBL_DIG + 1 || point > DBL_DIG) {
        buf_add(out, digits, 1);
        if (n > 1) {
            buf_add_byte(out, '.');
            buf_add(out, digits + 1, n - 1);
        }
        buf_addf(out, "e%d", point - 1);
    } else if (point <= 0) {
        buf_add_str(out, "0.");
        for (int i = point; i < 0; i++)
            buf_add_byte(out, '0');
        buf_add(out, digits, n);
    } else {
        for (size_t i = 0; i < (size_t)point || i < n; i++) {
            if (i == (size_t)point)
                buf_add_byte(out, '.');
            buf_add_byte(out, i < n ? (uint8_t)digits[i] : '0');
        }
        if (n <= (size_t)point)
            buf_add_str(out, ".0");
    }
}

static bool
put_decimal(struct bytes v, struct buf *out)
{
    if (v.n < 3)
        return false;
    unsigned precision = v.p[0], scale = v.p[1];
    if (precision < 1 || precision > 65 || scale > precision ||
        v.n < 2 + binlog_decimal_size(precision, scale))
        return false;
    char text[VALUE_DECIMAL_MAX];
    buf_add(out, text, value_decimal(v.p + 2, precision, scale, text));
    return true;
}

static void
put_clock(uint64_t hours, uint64_t hms, uint64_t micro, struct buf *out)
{
    buf_addf(out, "%02u:%02u:%02u.%06u", (unsigned)hours, (unsigned)(hms >> 6 & 63),
             (unsigned)(hms & 63), (unsigned)micro);
}

/* Temporal values are packed in 8 bytes: date and time above 24 bits of microseconds. */
static bool
put_temporal(uint8_t type, struct bytes v, struct buf *out)
{
    struct reader r = reader_of(v);
    int64_t packed = (int64_t)reader_le(&r, 8);
    if (r.failed)
        return false;
    bool negative = packed < 0;
    uint64_t u = negative ? (uint64_t)0 - (uint64_t)packed : (uint64_t)packed;
    uint64_t micro = u & 0xffffff, hms = u >> 24 & 0x1ffff, date = u >> 41;
    buf_add_str(out, negative ? "\"-" : "\"");
    if (type == LOG_TIME) {
        put_clock(u >> 36 & 0x3ff, hms, micro, out);
    } else {
        uint64_t months = date >> 5;
        buf_addf(out, "%04u-%02u-%02u", (unsigned)(months / 13), (unsigned)(months % 13),
                 (unsigned)(date & 31));
        if (type != LOG_DATE) {
            buf_add_byte(out, ' ');
            put_clock(hms >> 12, hms, micro, out);
        }
    }
    buf_add_byte(out, '"');
    return true;
}

/* The server's base64 breaks lines after 76 characters; the breaks are escaped like in any
 * string. */
static void
put_base64(uint8_t type, struct bytes v, struct buf *out)
{
    struct buf raw = {0};
    buf_addf(out, "\"base64:type%u:", type);
    base64_encode(v, &raw);
    for (size_t i = 0; i < raw.n; i += 76) {
        if (i)
            buf_add_str(out, "\\n");
        buf_add(out, raw.p + i, raw.n - i < 76 ? raw.n - i : 76);
    }
    buf_add_byte(out, '"');
    buf_free(&raw);
}

static bool
put_opaque(uint8_t type, struct bytes v, struct buf *out)
{
    switch (type) {
    case LOG_NEWDECIMAL:
        return put_decimal(v, out);
    case LOG_DATE:
    case LOG_TIME:
    case LOG_DATETIME:
    case LOG_TIMESTAMP:
        return put_temporal(type, v, out);
    default:
        put_base64(type, v, out);
        return true;
    }
}

/* STRING and OPAQUE: a length of seven bits a byte, low first, then the bytes. */
static bool
put_sized(uint8_t type, struct bytes at, struct buf *out)
{
    struct reader r = reader_of(at);
    uint8_t field = type == JSON_OPAQUE ? reader_u8(&r) : 0;
    uint64_t n = 0;
    for (unsigned shift = 0; shift <= 28; shift += 7) {
        uint8_t b = reader_u8(&r);
        n |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            break;
    }
    struct bytes v = reader_take(&r, n);
    if (r.failed)
        return false;
    if (type == JSON_OPAQUE)
        return put_opaque(field, v, out);
    json_binary_put_string(v, out);
    return true;
}

static bool
put_literal(struct reader *r, struct buf *out)
{
    static const char *const texts[] = {"null", "true", "false"};
    uint8_t v = reader_u8(r);
    if (r->failed || v >= ARRAY_LEN(texts))
        return false;
    buf_add_str(out, texts[v]);
    return true;
}

static bool
put_scalar(uint8_t type, struct bytes at, struct buf *out)
{
    struct reader r = reader_of(at);
    uint64_t bits;
    double d;
    switch (type) {
    case JSON_LITERAL:
        return put_literal(&r, out);
    case JSON_INT16:
        buf_add_i64_text(out, (int16_t)reader_le(&r, 2));
        break;
    case JSON_UINT16:
        buf_add_u64_text(out, reader_le(&r, 2));
        break;
    case JSON_INT32:
        buf_add_i64_text(out, (int32_t)reader_le(&r, 4));
        break;
    case JSON_UINT32:
        buf_add_u64_text(out, reader_le(&r, 4));
        break;
    case JSON_INT64:
        buf_add_i64_text(out, (int64_t)reader_le(&r, 8));
        break;
    case JSON_UINT64:
        buf_add_u64_text(out, reader_le(&r, 8));
        break;
    case JSON_DOUBLE:
        bits = reader_le(&r, 8);
        memcpy(&d, &bits, sizeof(d));
        if (!isfinite(d))
            return false;
        put_double(d, out);
        break;
    default:
        return false;
    }
    return !r.failed;
}

bool
json_binary_open(uint8_t type, struct bytes at, struct json_container *c)
{
    struct reader r = reader_of(at);
    c->object = type == JSON_SMALL_OBJECT || type == JSON_LARGE_OBJECT;
    c->width = type == JSON_LARGE_OBJECT || type == JSON_LARGE_ARRAY ? 4 : 2;
    c->count = reader_le(&r, c->width);
    uint64_t size = reader_le(&r, c->width);
    if (r.failed || size > at.n)
        return false;
    c->all = bytes_of(at.p, (size_t)size);
    r = reader_of(c->all);
    reader_take(&r, (size_t)2 * c->width);
    c->keys = reader_of(reader_take(&r, c->object ? c->count * (c->width + 2) : 0));
    c->values = reader_of(reader_take(&r, c->count * (c->width + 1)));
    return !r.failed;
}

static bool
take_key(struct json_container *c, struct bytes *key)
{
    uint64_t offset = reader_le(&c->keys, c->width), n = reader_le(&c->keys, 2);
    if (c->keys.failed || offset > c->all.n || n > c->all.n - offset)
        return false;
    *key = bytes_of(c->all.p + offset, n);
    return true;
}

static bool
is_inline(uint8_t type, unsigned width)
{
    return type == JSON_LITERAL || type == JSON_INT16 || type == JSON_UINT16 ||
           (width == 4 && (type == JSON_INT32 || type == JSON_UINT32));
}

bool
json_binary_next(struct json_container *c, struct json_element *out)
{
    if (c->object && !take_key(c, &out->key))
        return false;
    out->type = reader_u8(&c->values);
    out->at = reader_take(&c->values, c->width);
    if (c->values.failed)
        return false;
    if (is_inline(out->type, c->width))
        return true;
    struct reader r = reader_of(out->at);
    uint64_t offset = reader_le(&r, c->width);
    /* an element lies behind the header of its container: no document can contain itself */
    if (offset < (uint64_t)2 * c->width || offset >= c->all.n)
        return false;
    out->at = bytes_of(c->all.p + offset, c->all.n - offset);
    return true;
}

static bool
put_container(uint8_t type, struct bytes at, struct buf *out, unsigned depth)
{
    struct json_container c;
    if (depth > JSON_DEPTH_MAX || !json_binary_open(type, at, &c))
        return false;
    buf_add_byte(out, c.object ? '{' : '[');
    for (uint64_t i = 0; i < c.count && !out->failed; i++) {
        struct json_element x = {0};
        if (!json_binary_next(&c, &x))
            return false;
        if (i)
            buf_add_str(out, ", ");
        if (c.object) {
            json_binary_put_string(x.key, out);
            buf_add_str(out, ": ");
        }
        if (!json_binary_put(x.type, x.at, out, depth + 1))
            return false;
    }
    buf_add_byte(out, c.object ? '}' : ']');
    return true;
}

bool
json_binary_put(uint8_t type, struct bytes at, struct buf *out, unsigned depth)
{
    if (type <= JSON_LARGE_ARRAY)
        return put_container(type, at, out, depth);
    if (type == JSON_STRING || type == JSON_OPAQUE)
        return put_sized(type, at, out);
    return put_scalar(type, at, out);
}

bool
value_json(struct bytes doc, struct buf *out)
{
    if (doc.n == 0) {
        buf_add_str(out, "null");
        return true;
    }
    size_t max = out->max;
    out->max = out->n + JSON_TEXT_MAX(doc.n);
    bool ok = json_binary_put(doc.p[0], bytes_of(doc.p + 1, doc.n - 1), out, 0) && !out->failed;
    out->max = max;
    return ok;
}
