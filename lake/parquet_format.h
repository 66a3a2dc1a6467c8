/* Numbers of Parquet that its writer and its reader share. Format: apache/parquet-format
 * parquet.thrift, Encodings.md.
 */
#ifndef MILLRACE_LAKE_PARQUET_FORMAT_H
#define MILLRACE_LAKE_PARQUET_FORMAT_H

#include "lake/parquet_writer.h"

#define PARQUET_MAGIC         "PAR1"
#define PARQUET_VALUE_MAX     ((size_t)1 << 30) /* bytes of one value */
#define PARQUET_COLUMNS_MAX   32767
#define PARQUET_PAGE_ROWS_MAX ((uint32_t)1 << 20)

enum parquet_physical {
    PHYSICAL_BOOLEAN = 0,
    PHYSICAL_INT32 = 1,
    PHYSICAL_INT64 = 2,
    PHYSICAL_FLOAT = 4,
    PHYSICAL_DOUBLE = 5,
    PHYSICAL_BYTES = 6, /* BYTE_ARRAY */
    PHYSICAL_FIXED = 7, /* FIXED_LEN_BYTE_ARRAY */
};

enum { ENCODING_PLAIN = 0, ENCODING_RLE = 3, ENCODING_DICTIONARY = 8 };
enum { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum { REPETITION_REQUIRED = 0, REPETITION_OPTIONAL = 1 };

static inline enum parquet_physical
parquet_physical(const struct lake_type *t)
{
    static const uint8_t of[LAKE_KINDS] = {
        [LAKE_BOOLEAN] = PHYSICAL_BOOLEAN,   [LAKE_INT] = PHYSICAL_INT32,
        [LAKE_LONG] = PHYSICAL_INT64,        [LAKE_FLOAT] = PHYSICAL_FLOAT,
        [LAKE_DOUBLE] = PHYSICAL_DOUBLE,     [LAKE_DATE] = PHYSICAL_INT32,
        [LAKE_TIME] = PHYSICAL_INT64,        [LAKE_TIMESTAMP] = PHYSICAL_INT64,
        [LAKE_TIMESTAMPTZ] = PHYSICAL_INT64, [LAKE_STRING] = PHYSICAL_BYTES,
        [LAKE_BINARY] = PHYSICAL_BYTES,      [LAKE_UUID] = PHYSICAL_FIXED,
        [LAKE_FIXED] = PHYSICAL_FIXED,
    };
    if (t->kind != LAKE_DECIMAL)
        return (enum parquet_physical)of[t->kind];
    if (t->precision > 18)
        return PHYSICAL_FIXED;
    return t->precision > 9 ? PHYSICAL_INT64 : PHYSICAL_INT32;
}

/* Bytes of a value in PLAIN; 0 for BYTE_ARRAY, 1 for BOOLEAN. */
static inline unsigned
parquet_width(const struct lake_type *t)
{
    switch (parquet_physical(t)) {
    case PHYSICAL_BOOLEAN:
        return 1;
    case PHYSICAL_INT32:
    case PHYSICAL_FLOAT:
        return 4;
    case PHYSICAL_INT64:
    case PHYSICAL_DOUBLE:
        return 8;
    case PHYSICAL_FIXED:
        return t->kind == LAKE_UUID      ? 16
               : t->kind == LAKE_DECIMAL ? lake_decimal_width(t->precision)
                                         : t->length;
    default:
        return 0;
    }
}

/* CompressionCodec. */
static inline int32_t
parquet_codec_number(enum parquet_codec c)
{
    static const int32_t numbers[] = {[PARQUET_PLAIN] = 0,
                                      [PARQUET_SNAPPY] = 1,
                                      [PARQUET_ZSTD] = 6,
                                      [PARQUET_LZ4] = 7,
                                      [PARQUET_GZIP] = 2};
    return numbers[c];
}

#endif
