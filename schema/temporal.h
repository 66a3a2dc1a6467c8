/* Calendar arithmetic shared by decoders, codecs and sinks. Proleptic Gregorian; zero parts
 * pass through unchanged. Text as MySQL writes it. Thread: any; nothing allocates.
 */
#ifndef MILLRACE_SCHEMA_TEMPORAL_H
#define MILLRACE_SCHEMA_TEMPORAL_H

#include "base/bytes.h"

struct civil {
    uint16_t year;
    uint8_t month, day, hour, minute, second;
    uint32_t micro;
};

/* CELL_DATETIME's packing: (((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 |
 * second) << 20 | micro. */
uint64_t
temporal_pack(const struct civil *c);
struct civil
temporal_unpack(uint64_t packed);
/* Days since 1970-01-01; false for zero or impossible parts. */
bool
temporal_days(unsigned year, unsigned month, unsigned day, int64_t *days);
void
temporal_civil(int64_t days, int *year, unsigned *month, unsigned *day);
/* Microseconds since the epoch, the civil time read as UTC; false for zero or impossible parts.
 */
bool
temporal_epoch_us(uint64_t packed, int64_t *us);
uint64_t
temporal_from_epoch_us(int64_t us);

/* The writers below need this much room at p and return the end of what they wrote. */
#define TEMPORAL_TEXT_MAX 40

/* "2026-11-20" of CELL_DATE's v.u; parts out of range are written as they are. */
char *
temporal_put_date(char *p, uint64_t date);
/* "2026-11-20 22:33:44[.ffffff]" of a packed datetime with dec fraction digits (0..6);
 * `between` stands between date and time. */
char *
temporal_put_datetime(char *p, uint64_t packed, unsigned dec, char between);
/* "-838:59:59[.ffffff]" */
char *
temporal_put_time(char *p, int64_t us, unsigned dec);
/* "2026-11-20T22:33:44[.ffffff]Z": Debezium's ZonedTimestamp. */
char *
temporal_put_zoned(char *p, int64_t us, unsigned dec);
/* Reads what temporal_put_zoned writes, 0 to 6 fraction digits. */
MUST bool
temporal_parse_zoned(struct bytes text, int64_t *us);

#endif
