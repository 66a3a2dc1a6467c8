/* The writing of one column: values into pages, pages into the chunk of a row group. Compiled
 * once per file: which function appends is decided by the field's type.
 *
 * A chunk begins with a dictionary. It is given up when it does not pay (nearly all values
 * differ, or the first page would not become smaller) or grows above its limit; pages from then
 * on are PLAIN. Owner: the writer. Thread: one at a time. No allocation per row.
 */
#ifndef MILLRACE_LAKE_PARQUET_COLUMN_H
#define MILLRACE_LAKE_PARQUET_COLUMN_H

#include "lake/parquet_block.h"
#include "lake/parquet_bloom.h"
#include "lake/parquet_bounds.h"
#include "lake/parquet_dictionary.h"
#include "lake/thrift.h"
#include "lake/value.h"

struct parquet_column_writer;

/* Takes *n rows or fewer: as many as it took. */
typedef bool
parquet_append_fn(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
                  struct err *e);

/* A finished chunk, until the next one begins. */
struct parquet_chunk {
    uint64_t rows, nulls, nans;
    uint64_t raw_bytes;  /* uncompressed, with page headers */
    uint64_t file_bytes; /* compressed, with page headers */
    uint32_t plain_pages, dictionary_pages;
    bool has_dictionary;
};

struct parquet_column_writer {
    const struct parquet_column *def;
    const struct parquet_conf *conf; /* defaults filled in */
    uint32_t at;                     /* index of its cell in a row */
    unsigned width;
    enum parquet_physical physical;
    enum cell_kind fast; /* the kind that needs no conversion */
    bool keep_bounds, keep_bloom;
    parquet_append_fn *append;
    struct lake_scratch scratch;

    /* the open page */
    uint32_t page_rows, page_values;
    size_t page_bytes; /* of values in PLAIN form, encoded or not */
    uint8_t *valid;    /* a bit per row */
    uint32_t *indexes; /* into the dictionary, while it is on */
    struct buf plain;  /* values, while it is off; a byte per BOOLEAN */
    bool dictionary_on;
    struct parquet_dictionary dictionary;

    /* the open chunk */
    struct parquet_chunk chunk;
    struct buf pages;
    struct buf dictionary_page;
    struct parquet_bounds bounds;
    struct parquet_bloom bloom;

    /* the file */
    struct parquet_chunk file;
    struct parquet_bounds file_bounds;
};

/* conf has its defaults; def and conf must outlive it. */
void
parquet_column_init(struct parquet_column_writer *c, const struct parquet_conf *conf,
                    uint32_t at);
void
parquet_column_free(struct parquet_column_writer *c);
/* All n rows, pages closed on the way. block and body: shared working memory. */
MUST bool
parquet_column_rows(struct parquet_column_writer *c, const struct cell *const *rows, size_t n,
                    struct parquet_block *block, struct buf *body, struct err *e);
/* Closes the open page and makes the dictionary's. c->chunk, pages and dictionary_page are then
 * what a row group needs. */
MUST bool
parquet_column_end(struct parquet_column_writer *c, struct parquet_block *block,
                   struct buf *body, struct err *e);
/* Begins the next chunk. */
void
parquet_column_next(struct parquet_column_writer *c);
/* Memory that the open chunk takes. */
static inline size_t
parquet_column_bytes(const struct parquet_column_writer *c)
{
    return c->pages.n + c->page_bytes;
}

/* Encoding of the values (lake/parquet_append.c). */
parquet_append_fn *
parquet_append_of(const struct lake_type *t);
/* Turns the page's indexes into PLAIN values; the dictionary is off from then on. */
void
parquet_column_drop_dictionary(struct parquet_column_writer *c);

#endif
