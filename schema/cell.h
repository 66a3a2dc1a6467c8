/* A cell: one typed value of a row, 16 bytes, as the source decoders make it and the codecs and
 * sinks read it.
 *
 * Ownership: pointers of a cell borrow from the packet or arena of its batch. A row is an array
 * of cells, one per column of its table version, in column order. Thread: moves with its batch.
 */
#ifndef MILLRACE_SCHEMA_CELL_H
#define MILLRACE_SCHEMA_CELL_H

#include "base/bytes.h"

enum cell_kind {
    CELL_ABSENT, /* not in this image (row image not FULL, or unchanged) */
    CELL_NULL,
    CELL_INT,     /* v.i */
    CELL_UINT,    /* v.u */
    CELL_FLOAT,   /* v.d holds the float's value */
    CELL_DOUBLE,  /* v.d */
    CELL_DECIMAL, /* text "-123.4500", ASCII, exactly `scale` fraction digits, no leading zeros,
                     no exponent */
    CELL_TEXT,    /* valid UTF-8 */
    CELL_BYTES,
    CELL_DATE,      /* v.u = year << 9 | month << 5 | day; parts may be zero */
    CELL_TIME,      /* v.i = signed microseconds, |v| < 839 h */
    CELL_DATETIME,  /* v.u packed by temporal_pack; parts may be zero; no zone */
    CELL_TIMESTAMP, /* v.i = microseconds since 1970-01-01 UTC; CELL_DATETIME 0 stands for
                       '0000-00-00 00:00:00' */
    CELL_YEAR,      /* v.u = 0 or 1901..2155 */
    CELL_BIT,       /* v.u, right aligned */
    CELL_ENUM,      /* v.u = index, 1-based; 0 = '' (invalid value) */
    CELL_SET,       /* v.u = bit mask */
    CELL_JSON,      /* UTF-8 text as the server prints it */
    CELL_GEOMETRY,  /* 4 bytes SRID little-endian, then WKB */
    CELL_VECTOR,    /* float32 little-endian each */
};

struct cell {
    uint8_t kind; /* enum cell_kind */
    uint8_t dec;  /* fraction digits of DATETIME, TIME, TIMESTAMP: 0..6 */
    uint16_t reserved;
    uint32_t len; /* of v.p, for the kinds that have bytes */
    union {
        int64_t i;
        uint64_t u;
        double d;
        const uint8_t *p;
    } v;
};

static inline struct bytes
cell_bytes(const struct cell *c)
{
    return (struct bytes){c->v.p, c->len};
}

#endif
