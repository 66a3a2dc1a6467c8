/* The reading of one column: a chunk's pages into native cells. Owner: a reader. Thread: one at
 * a time. Limits: a page has at most PARQUET_PAGE_ROWS_MAX rows and PARQUET_PAGE_BYTES_MAX
 * bytes.
 */
#ifndef MILLRACE_LAKE_PARQUET_PAGE_H
#define MILLRACE_LAKE_PARQUET_PAGE_H

#include "lake/parquet_block.h"
#include "lake/parquet_meta.h"

#define PARQUET_PAGE_BYTES_MAX (PARQUET_VALUE_MAX + ((size_t)64 << 20))

struct parquet_column_reader {
    const struct parquet_source *source;
    const struct parquet_leaf *leaf; /* NULL: the file lacks the column */
    const struct lake_field *field;
    bool promote;

    const struct parquet_chunk_meta *chunk;
    struct parquet_block block;
    uint64_t next, end; /* offsets in the file: the page to come, behind the chunk */
    uint64_t rows_left; /* of the chunk, in pages to come */
    struct buf window;  /* the file from window_at on */
    uint64_t window_at;
    struct buf dictionary_page;
    struct arena dictionary_wide;
    struct cell *dictionary;
    uint32_t dictionary_count, dictionary_cap;
    bool has_dictionary;

    /* the open page */
    uint32_t page_rows, page_at;
    uint32_t values, value_at;
    bool indexed;
    uint32_t *levels, *indexes; /* 1: there is a value */
    uint32_t levels_cap, indexes_cap;
    struct reader plain;
    struct arena wide;

    struct buf bloom;     /* of row group bloom_group */
    uint32_t bloom_group; /* + 1; 0: none */
};

void
parquet_column_reader_free(struct parquet_column_reader *c);
MUST bool
parquet_column_reader_begin(struct parquet_column_reader *c,
                            const struct parquet_chunk_meta *chunk, struct err *e);
/* Rows that the open page still has, at least one: the next page is read when it is spent. Only
 * while the chunk has rows. */
MUST bool
parquet_column_reader_page(struct parquet_column_reader *c, uint32_t *rows, struct err *e);
/* n rows of the open page into every stride-th cell. */
MUST bool
parquet_column_reader_fill(struct parquet_column_reader *c, struct cell *out, size_t stride,
                           size_t n, struct err *e);
/* A value in PLAIN form, without the length of BYTE_ARRAY, as a native cell of the leaf's type.
 */
MUST bool
parquet_plain_cell(const struct parquet_leaf *leaf, struct bytes b, struct cell *out);

#endif
