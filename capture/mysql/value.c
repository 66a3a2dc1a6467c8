/* Decimals, temporal values, UUID and INET: see value.h. */
#include "capture/mysql/value.h"

#include <arpa/inet.h>
#include <string.h>

#include "schema/number_text.h"

#define SECOND_US 1000000

static const uint8_t bytes_of_digits[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};

/* Groups of nine digits, big-endian; the first bit is flipped, and all bits of a negative
 * number. */
struct decimal_reader {
    const uint8_t *p;
    uint32_t mask;
    bool first;
};

static uint32_t
decimal_group(struct decimal_reader *d, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = *d->p++;
        if (d->first)
            b ^= 0x80;
        d->first = false;
        v = v << 8 | (uint8_t)(b ^ (uint8_t)d->mask);
    }
    return v;
}

/* The part before the point, without leading zeros. */
static char *
decimal_whole(struct decimal_reader *d, unsigned digits, char *o)
{
    bool started = false;
    unsigned odd = digits % 9;
    uint32_t v = odd ? decimal_group(d, bytes_of_digits[odd]) : 0;
    if (v) {
        o = number_put_u64(o, v);
        started = true;
    }
    for (unsigned i = 0; i < digits / 9; i++) {
        v = decimal_group(d, 4);
        if (started)
            o = number_put_digits(o, v, 9);
        else if (v)
            o = number_put_u64(o, v);
        started = started || v;
    }
    if (!started)
        *o++ = '0';
    return o;
}

/* A damaged group (above 999,999,999) must not write more digits than it has. */
size_t
value_decimal(const uint8_t *p, unsigned precision, unsigned scale, char *out)
{
    char text[VALUE_DECIMAL_MAX * 2];
    bool negative = !(p[0] & 0x80);
    struct decimal_reader d = {p, negative ? 0xffffffff : 0, true};
    char *o = text;
    if (negative)
        *o++ = '-';
    o = decimal_whole(&d, precision - scale, o);
    if (scale) {
        *o++ = '.';
        for (unsigned i = 0; i < scale / 9; i++)
            o = number_put_digits(o, decimal_group(&d, 4), 9);
        if (scale % 9)
            o = number_put_digits(o, decimal_group(&d, bytes_of_digits[scale % 9]), scale % 9);
    }
    size_t n = (size_t)(o - text);
    n = n < VALUE_DECIMAL_MAX ? n : VALUE_DECIMAL_MAX;
    memcpy(out, text, n);
    return n;
}

void
value_datetime2(uint64_t v, uint32_t micro, uint8_t dec, struct cell *out)
{
    v = v >= 0x8000000000u ? v - 0x8000000000u : 0;
    *out = (struct cell){.kind = CELL_DATETIME, .dec = dec, .v.u = v << 20 | micro};
}

void
value_timestamp(uint32_t seconds, uint32_t micro, uint8_t dec, struct cell *out)
{
    if (seconds == 0 && micro == 0)
        *out = (struct cell){.kind = CELL_DATETIME, .dec = dec};
    else
        *out = (struct cell){
            .kind = CELL_TIMESTAMP, .dec = dec, .v.i = (int64_t)seconds * SECOND_US + micro};
}

/* The sign covers integer and fraction: one signed number. */
void
value_time2(uint64_t v, uint8_t dec, struct cell *out)
{
    unsigned fraction_bits = (unsigned)(dec + 1) / 2 * 8;
    int64_t n = (int64_t)v - ((int64_t)0x800000 << fraction_bits);
    bool negative = n < 0;
    uint64_t u = (uint64_t)(negative ? -n : n);
    uint64_t hms = u >> fraction_bits;
    uint64_t micro = u & (((uint64_t)1 << fraction_bits) - 1);
    micro *= fraction_bits == 8 ? 10000 : fraction_bits == 16 ? 100 : 1;
    uint64_t seconds = (hms >> 12 & 0x3ff) * 3600 + (hms >> 6 & 63) * 60 + (hms & 63);
    int64_t us = (int64_t)(seconds * SECOND_US + micro);
    *out = (struct cell){.kind = CELL_TIME, .dec = dec, .v.i = negative ? -us : us};
}

void
value_datetime_old(uint64_t v, struct cell *out)
{
    uint64_t date = v / 1000000, time = v % 1000000;
    uint64_t months = date / 10000 * 13 + date / 100 % 100;
    uint64_t clock = time / 10000 << 12 | (time / 100 % 100) << 6 | time % 100;
    *out = (struct cell){.kind = CELL_DATETIME,
                         .v.u = ((months << 5 | date % 100) << 17 | clock) << 20};
}

void
value_time_old(int32_t v, struct cell *out)
{
    int64_t u = v < 0 ? -(int64_t)v : v;
    int64_t us = (u / 10000 * 3600 + u / 100 % 100 * 60 + u % 100) * SECOND_US;
    *out = (struct cell){.kind = CELL_TIME, .v.i = v < 0 ? -us : us};
}

static char *
put_hex(char *o, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *o++ = digits[p[i] >> 4];
        *o++ = digits[p[i] & 15];
    }
    return o;
}

/* The log has the bytes in the order of the text (the engine's order is another). */
void
value_uuid(const uint8_t p[16], char *out)
{
    char *o = put_hex(out, p, 4);
    for (unsigned i = 4; i < 10; i += 2) {
        *o++ = '-';
        o = put_hex(o, p + i, 2);
    }
    *o++ = '-';
    put_hex(o, p + 10, 6);
}

size_t
value_inet6(const uint8_t p[16], char *out)
{
    return inet_ntop(AF_INET6, p, out, INET6_TEXT_MAX) ? strlen(out) : 0;
}

size_t
value_inet4(const uint8_t p[4], char *out)
{
    return inet_ntop(AF_INET, p, out, INET6_TEXT_MAX) ? strlen(out) : 0;
}
