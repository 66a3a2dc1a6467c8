/* Parquet writer: rows of cells in, one file out, in bounded memory.
 *
 * Format: apache/parquet-format README.md, parquet.thrift, Encodings.md, BloomFilter.md; types
 * and field ids as apache/iceberg format/spec.md Appendix A ("Parquet") says. Flat columns,
 * data pages of version 1 with CRC, encodings PLAIN and RLE_DICTIONARY, one bloom filter per
 * row group and asked column, statistics with column orders.
 *
 * Memory: one open page and dictionary a column, and the compressed pages of the open row group
 * (at most `group_bytes`). No allocation per row. The sink gets bytes in file order, in pieces
 * of a page or more.
 *
 * Ownership: the writer borrows `columns`, their names and source columns until it is freed;
 * rows only for the call. Thread: one at a time.
 * Errors: MR_LAKE_VALUE (a value that its field cannot hold; names the column), MR_LAKE_TYPE
 * (columns that no file can have), MR_NO_MEMORY, and what the sink says. After an error only
 * parquet_writer_free is allowed.
 */
#ifndef MILLRACE_LAKE_PARQUET_WRITER_H
#define MILLRACE_LAKE_PARQUET_WRITER_H

#include "lake/type.h"

enum parquet_codec {
    PARQUET_PLAIN,
    PARQUET_SNAPPY,
    PARQUET_ZSTD,
    PARQUET_LZ4,
    PARQUET_GZIP, /* what Java writes where a table does not say */
};
#define PARQUET_CODECS 5

/* What is kept about a column's values, in the file and for the manifest. */
enum parquet_metrics {
    PARQUET_METRICS_BOUNDS, /* counts and bounds; text cut to 16 characters, bytes to 16 */
    PARQUET_METRICS_FULL,   /* bounds in full length: file_path of position deletes */
    PARQUET_METRICS_COUNTS, /* no bounds */
    PARQUET_METRICS_NONE,   /* nothing: the reserved lineage columns */
};

struct parquet_column {
    struct lake_field field;
    const struct column *source; /* whose labels ENUM and SET cells need; NULL: none come */
    enum parquet_metrics metrics;
    bool bloom; /* boolean, float, double, binary and fixed have none all the same */
};

/* Zero takes the default. Pages and dictionaries have at most 64 MiB, pages 1,048,576 rows,
 * filters 32 MiB. */
struct parquet_conf {
    const struct parquet_column *columns;
    uint32_t column_count;
    enum parquet_codec codec;
    int level;               /* zstd's; 1 */
    size_t page_bytes;       /* of values, uncompressed; 1 MiB */
    uint32_t page_rows;      /* 20,000 */
    size_t group_bytes;      /* compressed and in open pages; 32 MiB */
    uint64_t group_rows;     /* 1,048,576 */
    size_t dictionary_bytes; /* a column's, before it falls back to PLAIN; 1 MiB */
    size_t bloom_bytes;      /* of one filter, at most; 1 MiB */
    const char
        *iceberg_schema; /* schema as JSON, put under the key `iceberg.schema`; or NULL */
    bool (*sink)(void *ctx, struct bytes b, struct err *e); /* takes all of b or fails */
    void *sink_ctx;
};

/* A column of a finished file, as a manifest's data_file wants it. Which of them count is told
 * by the column's parquet_metrics. */
struct parquet_column_metrics {
    int32_t id;
    uint64_t bytes;  /* column_sizes: compressed, with page headers */
    uint64_t values; /* value_counts: nulls and NaN too */
    uint64_t nulls;
    uint64_t nans; /* 0 unless float or double */
    bool has_counts;
    bool has_nans; /* float or double, and counted */
    bool has_lower;
    bool has_upper; /* may be false alone: 16 times the highest character has nothing above */
    struct bytes lower; /* single-value form */
    struct bytes upper;
};

struct parquet_file {
    uint64_t rows;
    uint64_t bytes;
    uint64_t zeros_nulled;                        /* zero and partial dates, written as null */
    const struct parquet_column_metrics *columns; /* in the order of the configuration */
    uint32_t column_count;
    const int64_t *split_offsets; /* first byte of each row group */
    uint32_t split_count;
};

struct parquet_writer;

MUST bool
parquet_writer_new(const struct parquet_conf *conf, struct parquet_writer **out, struct err *e);
/* n rows, each an array of `column_count` cells in the order of the columns: of a source or
 * native (lake/type.h). Many rows a call are faster than one. */
MUST bool
parquet_writer_rows(struct parquet_writer *w, const struct cell *const *rows, size_t n,
                    struct err *e);
/* Bytes of the file so far, open row group included: what to roll files by. */
uint64_t
parquet_writer_bytes(const struct parquet_writer *w);
uint64_t
parquet_writer_row_count(const struct parquet_writer *w);
/* Writes what is open and the footer. *out borrows from the writer. A file without rows is
 * valid. */
MUST bool
parquet_writer_finish(struct parquet_writer *w, struct parquet_file *out, struct err *e);
void
parquet_writer_free(struct parquet_writer *w); /* NULL allowed */

#endif
