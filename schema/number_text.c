/* Numbers to text. A double is first tried as an integer below 2^53 divided by a power of ten
 * up to 10^15: both are exact doubles, so the correctly rounded quotient is what any reader
 * makes of the text. The rest goes through printf with 15, 16 or 17 digits.
 */
#include "schema/number_text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

static const char PAIRS[] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

char *
number_put_u64(char *p, uint64_t v)
{
    char t[20];
    size_t at = sizeof t;
    while (v >= 100) {
        at -= 2;
        memcpy(t + at, PAIRS + v % 100 * 2, 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(t + at, PAIRS + v * 2, 2);
    } else {
        t[--at] = (char)('0' + v);
    }
    memcpy(p, t + at, sizeof t - at);
    return p + (sizeof t - at);
}

char *
number_put_i64(char *p, int64_t v)
{
    if (v >= 0)
        return number_put_u64(p, (uint64_t)v);
    *p = '-';
    return number_put_u64(p + 1, -(uint64_t)v);
}

char *
number_put_digits(char *p, uint32_t v, unsigned n)
{
    for (unsigned i = n; i > 0; i--) {
        p[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    return p + n;
}

/* digits / 10^scale, scale > 0, trailing zeros of the fraction are the caller's to avoid. */
static char *
put_scaled(char *p, uint64_t digits, unsigned scale)
{
    char t[NUMBER_TEXT_MAX];
    size_t n = (size_t)(number_put_u64(t, digits) - t);
    if (n > scale) {
        memcpy(p, t, n - scale);
        p += n - scale;
        *p++ = '.';
        memcpy(p, t + n - scale, scale);
        return p + scale;
    }
    *p++ = '0';
    *p++ = '.';
    memset(p, '0', scale - n);
    memcpy(p + scale - n, t, n);
    return p + scale;
}

/* NULL when d (positive) is not a short decimal. */
static char *
put_exact(char *p, double d, bool is_float, bool approximate)
{
    if (!(d < 1e15) || (d != 0 && d < 1e-5))
        return NULL;
    for (unsigned k = 0; k <= 15; k++) {
        double v = nearbyint(d * POWERS[k]);
        if (v >= EXACT_MAX)
            return NULL;
        double back = v / POWERS[k];
        if (is_float ? (double)(float)back != d || back > (double)FLT_MAX : back != d)
            continue;
        if (k)
            return put_scaled(p, (uint64_t)v, k);
        p = number_put_u64(p, (uint64_t)v);
        if (approximate) {
            memcpy(p, "e0", 2);
            p += 2;
        }
        return p;
    }
    return NULL;
}

/* printf's "1e+22" and "123456" made sure to look like a double. */
static char *
put_printf(char *p, double d, bool is_float, bool approximate)
{
    int n = 0;
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        n = snprintf(p, NUMBER_TEXT_MAX, "%.*g", digits, d);
        double back = strtod(p, NULL);
        if (is_float ? (double)(float)back == d && fabs(back) <= (double)FLT_MAX : back == d)
            break;
    }
    if (approximate && !memchr(p, 'e', (size_t)n)) {
        memcpy(p + n, "e0", 2);
        n += 2;
    }
    return p + n;
}

static char *
put_real(char *p, double d, bool is_float, bool approximate)
{
    if (!isfinite(d))
        d = 0;
    if (signbit(d)) {
        *p++ = '-';
        d = -d;
    }
    char *end = put_exact(p, d, is_float, approximate);
    if (!end)
        return put_printf(p, d, is_float, approximate);
    if (approximate && !memchr(p, 'e', (size_t)(end - p))) {
        memcpy(end, "e0", 2);
        end += 2;
    }
    return end;
}

char *
number_put_double(char *p, double d, bool approximate)
{
    return put_real(p, d, false, approximate);
}

char *
number_put_float(char *p, float f, bool approximate)
{
    return put_real(p, (double)f, true, approximate);
}

struct scan {
    const uint8_t *p, *end;
};

static bool
digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static size_t
skip_digits(struct scan *s)
{
    const uint8_t *from = s->p;
    while (digit(s))
        s->p++;
    return (size_t)(s->p - from);
}

static bool
is_number(struct bytes text)
{
    struct scan s = {text.p, text.p + text.n};
    if (s.p < s.end && *s.p == '-')
        s.p++;
    if (!skip_digits(&s))
        return false;
    if (s.p < s.end && *s.p == '.') {
        s.p++;
        if (!skip_digits(&s))
            return false;
    }
    if (s.p < s.end && (*s.p | 0x20) == 'e') {
        s.p++;
        if (s.p < s.end && (*s.p == '+' || *s.p == '-'))
            s.p++;
        if (!skip_digits(&s))
            return false;
    }
    return s.p == s.end;
}

/* "-123.45" of at most 15 digits: integer over power of ten, exact. */
static bool
parse_short(struct bytes text, double *out)
{
    uint64_t v = 0;
    unsigned scale = 0, digits = 0;
    bool point = false;
    size_t i = text.n && text.p[0] == '-';
    for (; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '.') {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > 15)
            return false;
        v = v * 10 + (unsigned)(c - '0');
        scale += point;
    }
    double d = (double)v / POWERS[scale];
    *out = text.p[0] == '-' ? -d : d;
    return true;
}

bool
number_parse_double(struct bytes text, double *out)
{
    char t[401];
    if (text.n == 0 || text.n >= sizeof t || !is_number(text))
        return false;
    if (text.n <= 17 && parse_short(text, out))
        return true;
    memcpy(t, text.p, text.n);
    t[text.n] = 0;
    *out = strtod(t, NULL);
    return isfinite(*out);
}

bool
number_parse_i64(struct bytes text, int64_t *out)
{
    bool negative = text.n && text.p[0] == '-';
    uint64_t v = 0, max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    size_t i = negative;
    if (i == text.n)
        return false;
    for (; i < text.n; i++) {
        unsigned d = (unsigned)text.p[i] - '0';
        if (d > 9 || v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = (int64_t)(negative ? -v : v);
    return true;
}
