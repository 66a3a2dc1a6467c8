/* Decimals. Up to 18 digits in one 64-bit integer, above in eight 32-bit limbs (least
 * significant first), nine decimal digits a step.
 */
#include "schema/decimal.h"

#include "schema/number_text.h"

#define LIMBS      8
#define DIGITS_MAX 76 /* below 2^255 */
#define STEP       1000000000u

struct digits {
    bool negative;
    size_t n;
    uint8_t d[DIGITS_MAX]; /* 0..9, most significant first */
};

/* Sign, digits with the point taken out, zeros appended up to scale. */
static bool
read_digits(struct bytes t, unsigned scale, struct digits *out)
{
    bool point = false;
    unsigned fraction = 0, seen = 0;
    out->n = 0;
    out->negative = t.n && t.p[0] == '-';
    for (size_t i = out->negative; i < t.n; i++) {
        unsigned d = (unsigned)t.p[i] - '0';
        if (t.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (d > 9 || out->n == DIGITS_MAX || (point && fraction++ == scale))
            return false;
        seen++;
        if (out->n || d)
            out->d[out->n++] = (uint8_t)d;
    }
    if (out->n && out->n + scale - fraction > DIGITS_MAX)
        return false;
    for (; out->n && fraction < scale; fraction++)
        out->d[out->n++] = 0;
    return seen > 0;
}

/* Shortest big-endian two's complement of v. */
static size_t
put_i64(int64_t v, uint8_t *out)
{
    uint64_t fold = (uint64_t)(v < 0 ? ~v : v);
    unsigned bits = fold ? 65 - (unsigned)__builtin_clzll(fold) : 1;
    size_t n = (bits + 7) / 8;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((uint64_t)v >> (8 * (n - 1 - i)));
    return n;
}

static void
limbs_multiply_add(uint32_t limb[LIMBS], uint32_t by, uint32_t add)
{
    uint64_t carry = add;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)limb[i] * by;
        limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void
limbs_negate(uint32_t limb[LIMBS])
{
    uint64_t carry = 1;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uint32_t)~limb[i];
        limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static uint32_t
limbs_divide(uint32_t limb[LIMBS], uint32_t by)
{
    uint64_t rest = 0;
    for (int i = LIMBS - 1; i >= 0; i--) {
        rest = rest << 32 | limb[i];
        limb[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

static bool
limbs_zero(const uint32_t limb[LIMBS])
{
    for (int i = 0; i < LIMBS; i++)
        if (limb[i])
            return false;
    return true;
}

static size_t
put_limbs(const uint32_t limb[LIMBS], uint8_t *out)
{
    uint8_t all[DECIMAL_BYTES_MAX];
    for (size_t i = 0; i < sizeof all; i++)
        all[sizeof all - 1 - i] = (uint8_t)(limb[i / 4] >> (8 * (i % 4)));
    size_t from = 0;
    uint8_t sign = all[0] & 0x80 ? 0xff : 0;
    while (from + 1 < sizeof all && all[from] == sign && ((all[from + 1] ^ sign) & 0x80) == 0)
        from++;
    memcpy(out, all + from, sizeof all - from);
    return sizeof all - from;
}

static size_t
big_to_bytes(const struct digits *d, uint8_t *out)
{
    uint32_t limb[LIMBS] = {0};
    for (size_t i = 0; i < d->n; i++)
        limbs_multiply_add(limb, 10, d->d[i]);
    if (d->negative)
        limbs_negate(limb);
    return put_limbs(limb, out);
}

size_t
decimal_to_bytes(struct bytes text, unsigned scale, uint8_t out[DECIMAL_BYTES_MAX])
{
    struct digits d;
    if (!read_digits(text, scale, &d))
        return 0;
    if (d.n > 18)
        return big_to_bytes(&d, out);
    int64_t v = 0;
    for (size_t i = 0; i < d.n; i++)
        v = v * 10 + d.d[i];
    return put_i64(d.negative ? -v : v, out);
}

size_t
decimal_of_u64(uint64_t v, uint8_t out[DECIMAL_BYTES_MAX])
{
    if (v <= INT64_MAX)
        return put_i64((int64_t)v, out);
    out[0] = 0;
    for (size_t i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)(v >> (56 - 8 * i));
    return 9;
}

static void
read_limbs(struct bytes b, uint32_t limb[LIMBS])
{
    uint32_t fill = b.p[0] & 0x80 ? UINT32_MAX : 0;
    for (int i = 0; i < LIMBS; i++)
        limb[i] = fill;
    for (size_t i = 0; i < b.n; i++) {
        unsigned shift = (unsigned)(8 * (i % 4));
        uint32_t *l = &limb[i / 4];
        *l = (*l & ~(0xffu << shift)) | (uint32_t)b.p[b.n - 1 - i] << shift;
    }
}

/* Unsigned decimal text of the absolute value at the end of t; gives where it starts. */
static size_t
absolute_text(struct bytes b, char t[DECIMAL_TEXT_MAX])
{
    size_t at = DECIMAL_TEXT_MAX;
    if (b.n <= 8) {
        uint64_t v = b.p[0] & 0x80 ? UINT64_MAX : 0;
        for (size_t i = 0; i < b.n; i++)
            v = v << 8 | b.p[i];
        char s[NUMBER_TEXT_MAX];
        size_t n = (size_t)(number_put_u64(s, b.p[0] & 0x80 ? -v : v) - s);
        memcpy(t + at - n, s, n);
        return at - n;
    }
    uint32_t limb[LIMBS];
    read_limbs(b, limb);
    if (b.p[0] & 0x80)
        limbs_negate(limb);
    while (!limbs_zero(limb)) {
        at -= 9;
        number_put_digits(t + at, limbs_divide(limb, STEP), 9);
    }
    while (at < DECIMAL_TEXT_MAX && t[at] == '0')
        at++;
    return at;
}

size_t
decimal_to_text(struct bytes b, unsigned scale, char out[DECIMAL_TEXT_MAX])
{
    char t[DECIMAL_TEXT_MAX];
    char *p = out;
    if (b.n == 0 || b.n > DECIMAL_BYTES_MAX || scale > 38)
        return 0;
    size_t at = absolute_text(b, t);
    size_t n = sizeof t - at;
    while (n < scale + 1) {
        t[--at] = '0';
        n++;
    }
    if (b.p[0] & 0x80)
        *p++ = '-';
    memcpy(p, t + at, n - scale);
    p += n - scale;
    if (scale) {
        *p++ = '.';
        memcpy(p, t + sizeof t - scale, scale);
        p += scale;
    }
    return (size_t)(p - out);
}

bool
decimal_to_u64(struct bytes b, uint64_t *out)
{
    if (b.n == 0 || b.p[0] & 0x80 || b.n > 9 || (b.n == 9 && b.p[0] != 0))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    *out = v;
    return true;
}
