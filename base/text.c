/* Text of humans to values. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define TEXT_NAME_MAX 64

bool
text_i64(const char *s, int64_t *out)
{
    const char *digits = s + (*s == '-' || *s == '+');
    if (!isdigit((unsigned char)*digits))
        return false;
    char *end;
    errno = 0;
    int64_t v = strtoimax(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

bool
text_u64(const char *s, uint64_t *out)
{
    const char *digits = s + (*s == '+');
    if (!isdigit((unsigned char)*digits))
        return false;
    char *end;
    errno = 0;
    uint64_t v = strtoumax(s, &end, 10);
    if (errno || *end)
        return false;
    *out = v;
    return true;
}

bool
text_same(const char *s, const char *t)
{
    while (*s && tolower((unsigned char)*s) == tolower((unsigned char)*t)) {
        s++;
        t++;
    }
    return !*s && !*t;
}

bool
text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
text_bool(const char *s, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (text_same(s, yes[i]) || text_same(s, no[i])) {
            *out = text_same(s, yes[i]);
            return true;
        }
    }
    return false;
}

/* A run of digits at *s, at most INT64_MAX; moves *s behind it. */
static bool
text_digits(const char **s, int64_t *out)
{
    if (!isdigit((unsigned char)**s))
        return false;
    int64_t v = 0;
    for (; isdigit((unsigned char)**s); (*s)++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **s - '0', &v))
            return false;
    }
    *out = v;
    return true;
}

bool
text_size(const char *s, int64_t *out)
{
    static const char units[] = "kmgt";
    int64_t v;
    if (!text_digits(&s, &v))
        return false;
    const char *unit = *s ? strchr(units, tolower((unsigned char)*s)) : NULL;
    if (unit) {
        s++;
        if (__builtin_mul_overflow(v, INT64_C(1024) << 10 * (unit - units), &v))
            return false;
        if (*s == 'i' && s[1] == 'B')
            s++;
    }
    if (*s == 'B')
        s++;
    if (*s)
        return false;
    *out = v;
    return true;
}

/* The unit at *s in milliseconds, 0 when there is none; moves *s behind it. */
static int64_t
text_unit_ms(const char **s)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text_starts(*s, units[i].name)) {
            *s += strlen(units[i].name);
            return units[i].ms;
        }
    }
    return 0;
}

bool
text_duration_ms(const char *s, int64_t unit_ms, int64_t *out)
{
    int64_t total = 0;
    bool first = true;
    do {
        int64_t part;
        if (!text_digits(&s, &part))
            return false;
        int64_t ms = first && !*s ? unit_ms : text_unit_ms(&s);
        if (!ms || __builtin_mul_overflow(part, ms, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        first = false;
    } while (*s);
    *out = total;
    return true;
}

static size_t
min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

size_t
text_distance(const char *a, const char *b)
{
    size_t rows[3][TEXT_NAME_MAX + 1]; /* two back, one back, this one: rows[i % 3] */
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > TEXT_NAME_MAX || b_len > TEXT_NAME_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]);
            int y = tolower((unsigned char)b[j - 1]);
            row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                           y == tolower((unsigned char)a[i - 2]);
            if (swapped && rows[(i - 2) % 3][j - 2] + 1 < row[j])
                row[j] = rows[(i - 2) % 3][j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *
text_nearest(const char *s, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(s) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        size_t d = text_distance(s, names[i]);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

/* Length of the valid UTF-8 sequence at p (n > 0 bytes left), or 0. RFC 3629. */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xc2 && c <= 0xdf   ? 2
                 : (c & 0xf0) == 0xe0     ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    bool surrogate = c == 0xed && p[1] >= 0xa0;
    bool too_high = c == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || too_high ? 0 : len;
}

bool
text_is_utf8(struct bytes b)
{
    for (size_t i = 0, len; i < b.n; i += len) {
        len = utf8_len(b.p + i, b.n - i);
        if (len == 0)
            return false;
    }
    return true;
}

void
text_utf8(struct bytes b, struct buf *out)
{
    for (size_t i = 0; i < b.n;) {
        size_t len = utf8_len(b.p + i, b.n - i);
        if (len)
            buf_add(out, b.p + i, len);
        else
            buf_add_str(out, "\xef\xbf\xbd");
        i += len ? len : 1;
    }
}
