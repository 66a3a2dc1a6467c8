/* Calendar arithmetic: days <-> civil dates after Howard Hinnant's algorithms
 * (chrono-compatible low-level date algorithms), for years 1 to 9999 and a little more.
 */
#include "schema/temporal.h"

#include "schema/number_text.h"

#define DAY_US 86400000000LL

uint64_t
temporal_pack(const struct civil *c)
{
    uint64_t day = ((uint64_t)c->year * 13 + c->month) << 5 | c->day;
    uint64_t time = (uint64_t)c->hour << 12 | (uint64_t)c->minute << 6 | c->second;
    return (day << 17 | time) << 20 | c->micro;
}

struct civil
temporal_unpack(uint64_t packed)
{
    uint64_t time = packed >> 20 & 0x1ffff, day = packed >> 37, month = day >> 5;
    return (struct civil){
        .year = (uint16_t)(month / 13),
        .month = (uint8_t)(month % 13),
        .day = (uint8_t)(day & 31),
        .hour = (uint8_t)(time >> 12),
        .minute = (uint8_t)(time >> 6 & 63),
        .second = (uint8_t)(time & 63),
        .micro = (uint32_t)(packed & 0xfffff),
    };
}

static bool
date_exists(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t last[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year == 0 || year > 9999 || month == 0 || month > 12 || day == 0)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= last[month] + (unsigned)(month == 2 && leap);
}

bool
temporal_days(unsigned year, unsigned month, unsigned day, int64_t *days)
{
    if (!date_exists(year, month, day))
        return false;
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = y / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    *days = era * 146097 + (int64_t)doe - 719468;
    return true;
}

void
temporal_civil(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int)(yoe + era * 400) + (*month <= 2);
}

bool
temporal_epoch_us(uint64_t packed, int64_t *us)
{
    struct civil c = temporal_unpack(packed);
    int64_t days;
    if (c.hour > 23 || c.minute > 59 || c.second > 59 || c.micro > 999999 ||
        !temporal_days(c.year, c.month, c.day, &days))
        return false;
    *us = days * DAY_US + ((c.hour * 60LL + c.minute) * 60 + c.second) * 1000000 + c.micro;
    return true;
}

uint64_t
temporal_from_epoch_us(int64_t us)
{
    int64_t days = us / DAY_US, rest = us % DAY_US;
    if (rest < 0) {
        days--;
        rest += DAY_US;
    }
    int year;
    unsigned month, day;
    temporal_civil(days, &year, &month, &day);
    uint32_t s = (uint32_t)(rest / 1000000);
    struct civil c = {.year = (uint16_t)year,
                      .month = (uint8_t)month,
                      .day = (uint8_t)day,
                      .hour = (uint8_t)(s / 3600),
                      .minute = (uint8_t)(s / 60 % 60),
                      .second = (uint8_t)(s % 60),
                      .micro = (uint32_t)(rest % 1000000)};
    return temporal_pack(&c);
}

/* ---- text ---- */

static char *
put_fraction(char *p, uint32_t micro, unsigned dec)
{
    static const uint32_t divisor[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (dec == 0 || dec > 6)
        return p;
    *p++ = '.';
    return number_put_digits(p, micro / divisor[dec], dec);
}

static char *
put_ymd(char *p, unsigned year, unsigned month, unsigned day)
{
    p = number_put_digits(p, year, 4);
    *p++ = '-';
    p = number_put_digits(p, month, 2);
    *p++ = '-';
    return number_put_digits(p, day, 2);
}

static char *
put_hms(char *p, unsigned hour, unsigned minute, unsigned second)
{
    p = number_put_digits(p, hour, hour > 99 ? 3 : 2);
    *p++ = ':';
    p = number_put_digits(p, minute, 2);
    *p++ = ':';
    return number_put_digits(p, second, 2);
}

char *
temporal_put_date(char *p, uint64_t date)
{
    return put_ymd(p, (unsigned)(date >> 9), (unsigned)(date >> 5 & 15), (unsigned)(date & 31));
}

char *
temporal_put_datetime(char *p, uint64_t packed, unsigned dec, char between)
{
    struct civil c = temporal_unpack(packed);
    p = put_ymd(p, c.year, c.month, c.day);
    *p++ = between;
    p = put_hms(p, c.hour, c.minute, c.second);
    return put_fraction(p, c.micro, dec);
}

char *
temporal_put_time(char *p, int64_t us, unsigned dec)
{
    uint64_t v = us < 0 ? -(uint64_t)us : (uint64_t)us;
    if (us < 0)
        *p++ = '-';
    uint32_t s = (uint32_t)(v / 1000000);
    p = put_hms(p, s / 3600, s / 60 % 60, s % 60);
    return put_fraction(p, (uint32_t)(v % 1000000), dec);
}

char *
temporal_put_zoned(char *p, int64_t us, unsigned dec)
{
    p = temporal_put_datetime(p, temporal_from_epoch_us(us), dec, 'T');
    *p++ = 'Z';
    return p;
}

/* n digits at t[*at], then `end` (0: nothing). */
static bool
take(struct bytes t, size_t *at, unsigned n, char end, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < n; i++, (*at)++) {
        unsigned d = *at < t.n ? (unsigned)t.p[*at] - '0' : 10;
        if (d > 9)
            return false;
        *out = *out * 10 + d;
    }
    if (!end)
        return true;
    return *at < t.n && t.p[(*at)++] == (uint8_t)end;
}

bool
temporal_parse_zoned(struct bytes text, int64_t *us)
{
    unsigned year, month, day, hour, minute, second, micro = 0;
    size_t at = 0;
    if (!take(text, &at, 4, '-', &year) || !take(text, &at, 2, '-', &month) ||
        !take(text, &at, 2, 'T', &day) || !take(text, &at, 2, ':', &hour) ||
        !take(text, &at, 2, ':', &minute) || !take(text, &at, 2, 0, &second) || at >= text.n)
        return false;
    if (text.p[at] == '.') {
        unsigned digits = (unsigned)(text.n - at - 2);
        at++;
        if (text.n - at < 2 || digits > 6 || !take(text, &at, digits, 0, &micro))
            return false;
        for (; digits < 6; digits++)
            micro *= 10;
    }
    struct civil c = {.year = (uint16_t)year,
                      .month = (uint8_t)month,
                      .day = (uint8_t)day,
                      .hour = (uint8_t)hour,
                      .minute = (uint8_t)minute,
                      .second = (uint8_t)second,
                      .micro = micro};
    return text.n - at == 1 && text.p[at] == 'Z' && month < 13 && hour < 24 &&
           temporal_epoch_us(temporal_pack(&c), us);
}
