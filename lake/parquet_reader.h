/* Parquet reader: rows of native cells (lake/type.h) of chosen columns, with their positions.
 *
 * Reads what lake/parquet_writer.h writes and what Iceberg's Java writers make by default of
 * flat tables: data pages of version 1, PLAIN and dictionary encodings, none, snappy, zstd and
 * lz4. Columns are found by field id; one that the file lacks is null in every row; one of a
 * narrower type is promoted. Format: apache/parquet-format, as in parquet_writer.h.
 *
 * Memory: the footer, and per column a window of the file, one page and the dictionary.
 * Checksums of pages are checked where they are. Owner: caller. Thread: one at a time. Errors:
 * MR_LAKE_DATA_FILE (damaged, or of a form that is not known), and what the source says.
 */
#ifndef MILLRACE_LAKE_PARQUET_READER_H
#define MILLRACE_LAKE_PARQUET_READER_H

#include "lake/type.h"

/* The file: any n bytes from an offset. */
struct parquet_source {
    uint64_t size;
    bool (*read)(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e);
    void *ctx;
};

struct parquet_batch {
    uint64_t position; /* of the first row in the file, from 0 */
    size_t rows;
    const struct cell *cells; /* rows x fields, row by row; valid until the next call */
};

struct parquet_reader;

/* fields: the columns wanted, in the order of the cells; they must outlive the reader. */
MUST bool
parquet_reader_open(const struct parquet_source *source, const struct lake_field *fields,
                    uint32_t field_count, struct parquet_reader **out, struct err *e);
void
parquet_reader_free(struct parquet_reader *r); /* NULL allowed */
uint64_t
parquet_reader_rows(const struct parquet_reader *r);
uint32_t
parquet_reader_groups(const struct parquet_reader *r);
/* False in *may: no row of that row group has the value in fields[field], as bounds and bloom
 * filter tell. The value is native and not null. */
MUST bool
parquet_reader_may_have(struct parquet_reader *r, uint32_t group, uint32_t field,
                        const struct cell *value, bool *may, struct err *e);
/* The next rows are those of that row group. */
MUST bool
parquet_reader_seek(struct parquet_reader *r, uint32_t group, struct err *e);
/* Rows of the open row group; none: its end, or none is open. */
MUST bool
parquet_reader_next(struct parquet_reader *r, struct parquet_batch *out, struct err *e);

#endif
