/* Calendar arithmetic shared by decoders, codecs and sinks. Proleptic Gregorian; zero parts pass through unchanged. */
#ifndef MILLRACE_SCHEMA_TEMPORAL_H
#define MILLRACE_SCHEMA_TEMPORAL_H

#include <stdbool.h>
#include <stdint.h>

struct civil {
    uint16_t year;
    uint8_t month, day, hour, minute, second;
    uint32_t micro;
};

/* CELL_DATETIME's packing: (((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 20 | micro. */
uint64_t temporal_pack(const struct civil *c);
struct civil temporal_unpack(uint64_t packed);
/* Days since 1970-01-01; false for zero or impossible parts. */
bool temporal_days(unsigned year, unsigned month, unsigned day, int64_t *days);
void temporal_civil(int64_t days, int *year, unsigned *month, unsigned *day);
/* Microseconds since the epoch, the civil time read as UTC; false for zero or impossible parts. */
bool temporal_epoch_us(uint64_t packed, int64_t *us);
uint64_t temporal_from_epoch_us(int64_t us);

#endif
