/* A bounded reader of JSON text (RFC 8259). Nesting is kept as a bit per level, so a deep
 * document costs no stack.
 */
#include "schema/json_scan.h"

#include <endian.h>

#include "schema/number_text.h"

static bool
take_word(struct reader *r, struct bytes word)
{
    json_scan_space(r);
    if (reader_left(r) < word.n || memcmp(r->p, word.p, word.n) != 0)
        return false;
    r->p += word.n;
    return true;
}

bool
json_scan_null(struct reader *r)
{
    return take_word(r, BYTES_LIT("null"));
}

bool
json_scan_bool(struct reader *r)
{
    if (take_word(r, BYTES_LIT("true")))
        return true;
    if (!take_word(r, BYTES_LIT("false")))
        json_scan_fail(r);
    return false;
}

struct bytes
json_scan_number(struct reader *r)
{
    json_scan_space(r);
    const uint8_t *from = r->p;
    while (r->p < r->end && ((*r->p >= '0' && *r->p <= '9') || *r->p == '-' || *r->p == '+' ||
                             *r->p == '.' || *r->p == 'e' || *r->p == 'E'))
        r->p++;
    if (r->p == from)
        json_scan_fail(r);
    return bytes_of(from, r->failed ? 0 : (size_t)(r->p - from));
}

int64_t
json_scan_i64(struct reader *r)
{
    int64_t v = 0;
    json_scan_space(r);
    const uint8_t *p = r->p;
    const uint8_t *stop = reader_left(r) > 18 ? p + 18 : r->end;
    for (; p < stop && *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (*p - '0');
    if (p > r->p && p < stop) {
        r->p = p;
        return v;
    }
    if (!number_parse_i64(json_scan_number(r), &v))
        json_scan_fail(r);
    return r->failed ? 0 : v;
}

/* ---- strings ---- */

/* High bits of the bytes of v that are below 32, a quote or a backslash; the lowest one set is
 * exact, higher ones may be borrow's. */
static inline uint64_t
stops(uint64_t v)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    return (((v - ones * 32) & ~v) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
           high;
}

/* The next byte below 32, quote or backslash, or the end. */
static inline void
skip_plain(struct reader *r)
{
    uint64_t v;
    for (; reader_left(r) >= 8; r->p += 8) {
        memcpy(&v, r->p, 8);
        v = le64toh(v);
        uint64_t found = stops(v);
        if (found) {
            r->p += __builtin_ctzll(found) / 8;
            return;
        }
    }
    while (r->p < r->end && *r->p >= 32 && *r->p != '"' && *r->p != '\\')
        r->p++;
}

/* Up to the closing quote, which is taken; escapes are kept and only passed over. */
static struct bytes
raw_string(struct reader *r, bool *escaped)
{
    *escaped = false;
    json_scan_expect(r, '"');
    const uint8_t *from = r->p;
    for (;;) {
        skip_plain(r);
        if (r->p == r->end || *r->p < 32)
            break;
        if (*r->p == '"') {
            struct bytes s = {from, (size_t)(r->p - from)};
            r->p++;
            return s;
        }
        *escaped = true;
        if (reader_left(r) < 2)
            break;
        r->p += 2;
    }
    json_scan_fail(r);
    return (struct bytes){NULL, 0};
}

static bool
hex4(struct bytes s, size_t at, uint32_t *out)
{
    uint32_t v = 0;
    if (s.n - at < 4 || at > s.n)
        return false;
    for (size_t i = at; i < at + 4; i++) {
        uint8_t c = s.p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    *out = v;
    return true;
}

static uint8_t *
put_utf8(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        *p++ = (uint8_t)c;
    } else if (c < 0x800) {
        *p++ = (uint8_t)(0xc0 | c >> 6);
        *p++ = (uint8_t)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *p++ = (uint8_t)(0xe0 | c >> 12);
        *p++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *p++ = (uint8_t)(0x80 | (c & 63));
    } else {
        *p++ = (uint8_t)(0xf0 | c >> 18);
        *p++ = (uint8_t)(0x80 | (c >> 12 & 63));
        *p++ = (uint8_t)(0x80 | (c >> 6 & 63));
        *p++ = (uint8_t)(0x80 | (c & 63));
    }
    return p;
}

/* \uXXXX at s[*at] (the u), a pair of them for a surrogate. NULL: bad. */
static uint8_t *
unescape_unicode(struct bytes s, size_t *at, uint8_t *p)
{
    uint32_t c, low;
    if (!hex4(s, *at + 1, &c))
        return NULL;
    *at += 5;
    if (c < 0xd800 || c > 0xdfff)
        return put_utf8(p, c);
    if (c > 0xdbff || s.n - *at < 6 || s.p[*at] != '\\' || s.p[*at + 1] != 'u' ||
        !hex4(s, *at + 2, &low) || low < 0xdc00 || low > 0xdfff)
        return NULL;
    *at += 6;
    return put_utf8(p, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
}

static struct bytes
unescape(struct reader *r, struct bytes s, struct arena *a)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t *start = arena_alloc(a, s.n), *p = start;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\') {
            *p++ = s.p[i++];
            continue;
        }
        i++;
        const char *known = memchr(from, s.p[i], sizeof from - 1);
        if (known) {
            *p++ = (uint8_t)to[known - from];
            i++;
            continue;
        }
        uint8_t *end = s.p[i] == 'u' ? unescape_unicode(s, &i, p) : NULL;
        if (!end) {
            json_scan_fail(r);
            return (struct bytes){NULL, 0};
        }
        p = end;
    }
    return bytes_of(start, (size_t)(p - start));
}

struct bytes
json_scan_string(struct reader *r, struct arena *a)
{
    bool escaped;
    struct bytes s = raw_string(r, &escaped);
    return escaped && !r->failed ? unescape(r, s, a) : s;
}

static int
base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The last 2 or 3 digits of s. */
static bool
base64_rest(struct bytes s, uint8_t *p)
{
    int v[3] = {0, 0, 0};
    for (size_t i = 0; i < s.n; i++) {
        v[i] = base64_value(s.p[i]);
        if (v[i] < 0)
            return false;
    }
    p[0] = (uint8_t)(v[0] << 2 | v[1] >> 4);
    if (s.n == 3)
        p[1] = (uint8_t)(v[1] << 4 | v[2] >> 2);
    return s.n > 1;
}

struct bytes
json_scan_base64(struct reader *r, struct arena *a)
{
    bool escaped;
    struct bytes s = raw_string(r, &escaped);
    uint8_t *p = arena_alloc(a, s.n / 4 * 3 + 3);
    size_t n = 0, i = 0;
    int bad = escaped || s.n % 4 != 0;
    for (unsigned k = 0; k < 2 && s.n && s.p[s.n - 1] == '='; k++)
        s.n--;
    for (; i + 4 <= s.n; i += 4, n += 3) {
        int v = base64_value(s.p[i]), w = base64_value(s.p[i + 1]);
        int x = base64_value(s.p[i + 2]), y = base64_value(s.p[i + 3]);
        bad |= (v | w | x | y) < 0;
        uint32_t all = (uint32_t)v << 18 | (uint32_t)w << 12 | (uint32_t)x << 6 | (uint32_t)y;
        p[n] = (uint8_t)(all >> 16);
        p[n + 1] = (uint8_t)(all >> 8);
        p[n + 2] = (uint8_t)all;
    }
    if (i < s.n) {
        bad |= !base64_rest(bytes_of(s.p + i, s.n - i), p + n);
        n += s.n - i - 1;
    }
    if (bad)
        json_scan_fail(r);
    return bytes_of(p, r->failed ? 0 : n);
}

/* ---- structure ---- */

static void
skip_scalar(struct reader *r)
{
    bool escaped;
    json_scan_space(r);
    if (r->p == r->end)
        json_scan_fail(r);
    else if (*r->p == '"')
        raw_string(r, &escaped);
    else if (*r->p == 't' || *r->p == 'f')
        json_scan_bool(r);
    else if (!json_scan_null(r))
        json_scan_number(r);
}

/* After a value: closes what ends here; true while something is open. */
static bool
close_levels(struct reader *r, uint64_t *objects, unsigned *depth)
{
    bool escaped;
    while (*depth && !r->failed) {
        bool object = *objects & 1;
        if (json_scan_char(r, ',')) {
            if (object) {
                json_scan_space(r);
                raw_string(r, &escaped);
                json_scan_expect(r, ':');
            }
            return true;
        }
        json_scan_expect(r, object ? '}' : ']');
        *objects >>= 1;
        (*depth)--;
    }
    return false;
}

enum opened { OPENED_NOTHING, OPENED_EMPTY, OPENED_FILLED };

/* Takes a brace or bracket and, in an object, the first name; the closing one stays. */
static enum opened
open_level(struct reader *r, uint64_t *objects, unsigned *depth)
{
    bool escaped, object = json_scan_char(r, '{');
    if (!object && !json_scan_char(r, '['))
        return OPENED_NOTHING;
    *objects = *objects << 1 | object;
    if (++*depth > JSON_SCAN_DEPTH)
        json_scan_fail(r);
    json_scan_space(r);
    if (r->p < r->end && *r->p == (object ? '}' : ']'))
        return OPENED_EMPTY;
    if (!object)
        return OPENED_FILLED;
    raw_string(r, &escaped);
    json_scan_expect(r, ':');
    return OPENED_FILLED;
}

struct bytes
json_scan_skip(struct reader *r)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    json_scan_space(r);
    const uint8_t *from = r->p;
    do {
        enum opened opened;
        do
            opened = open_level(r, &objects, &depth);
        while (opened == OPENED_FILLED);
        if (opened == OPENED_NOTHING)
            skip_scalar(r);
    } while (close_levels(r, &objects, &depth));
    return bytes_of(from, r->failed ? 0 : (size_t)(r->p - from));
}

bool
json_scan_end(struct reader *r)
{
    json_scan_space(r);
    return !r->failed && r->p == r->end;
}

bool
json_scan_member(struct reader *r, bool *first, struct bytes *name)
{
    bool escaped;
    if (r->failed || json_scan_char(r, '}'))
        return false;
    if (!*first)
        json_scan_expect(r, ',');
    *first = false;
    *name = raw_string(r, &escaped);
    json_scan_expect(r, ':');
    return !r->failed;
}

bool
json_scan_element(struct reader *r, bool *first)
{
    if (r->failed || json_scan_char(r, ']'))
        return false;
    if (!*first)
        json_scan_expect(r, ',');
    *first = false;
    return !r->failed;
}
