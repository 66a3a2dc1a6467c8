/* Where keys are: the rows of data files that have one of a batch's keys.
 *
 * A data file never changes, so its keys are indexed once: a file per data file, sorted hashes
 * with row positions, mapped into memory (lake/key_index_file.h). It is bound to the data
 * file's path, size and rows and to the key's fields and types, so it cannot be stale; which
 * data files are alive is the snapshot's matter, and so the caller's. The index is a cache: a
 * file of it that is absent, damaged or of something else is made again from the key columns,
 * one that cannot be made is done without. Data files below `rows_min` are not indexed: their
 * key columns are read, row groups that cannot have a key left out by bounds and bloom filters.
 *
 * Keys are compared by 96 bits of XXH3 with a seed of the folder's own: among 10 million keys
 * and a million looked up, two different ones meet with a probability of 10^-16.
 *
 * Memory: index files are mapped, not read. Owner: who opened it, one per table and process.
 * Thread: one at a time. Errors: those of lake/parquet_reader.h only; trouble of the index is
 * logged and counted. Limit: while a file of the index is in use nobody may shorten it.
 */
#ifndef MILLRACE_LAKE_KEY_INDEX_H
#define MILLRACE_LAKE_KEY_INDEX_H

#include "lake/parquet_reader.h"

struct key_index_conf {
    const char *folder;              /* of this table alone; made when absent */
    const struct lake_field *fields; /* of the key, as the table has them now; copied */
    uint32_t field_count;
    uint64_t rows_min; /* 0: 4,096 */
};

struct key_index_stats {
    uint64_t lookups;  /* key x data file */
    uint64_t built;    /* index files made */
    uint64_t refused;  /* index files found damaged or of something else */
    uint64_t failures; /* index files that could not be made or kept */
    uint64_t scanned;  /* data files read for want of an index */
    uint64_t groups_skipped;
};

struct key_index;
struct key_batch;

MUST bool
key_index_open(const struct key_index_conf *conf, struct key_index **out, struct err *e);
void
key_index_close(struct key_index *x); /* NULL allowed; the files stay */
const struct key_index_stats *
key_index_stats(const struct key_index *x);

/* The keys of a batch. Owner: the caller; not beyond the index. */
struct key_batch *
key_batch_new(struct key_index *x);
void
key_batch_free(struct key_batch *b); /* NULL allowed */
void
key_batch_clear(struct key_batch *b);
/* Adds a key: native cells in the order of the fields, copied. Gives its number: 0, 1, ... or
 * that of the same key added before. */
size_t
key_batch_add(struct key_batch *b, const struct cell *native);
/* Keys that are the next to be added, in this order: their hashes are taken now, and their
 * places are on the way from memory until then. At most KEY_BATCH_AHEAD not yet added. */
#define KEY_BATCH_AHEAD 256
void
key_batch_expect(struct key_batch *b, const struct cell *native);
size_t
key_batch_count(const struct key_batch *b);

struct key_index_data {
    const char *path; /* as manifests have it: the name of the file for ever */
    uint64_t rows;
    struct parquet_source source;
};

/* A row of the data file has that key of the batch. */
typedef bool
key_found_fn(void *ctx, size_t key, uint64_t position, struct err *e);

/* Every row of the data file that has a key of the batch, deleted ones too, in no order.
 * Nothing is given when it fails. */
MUST bool
key_index_find(struct key_index *x, struct key_batch *b, const struct key_index_data *data,
               key_found_fn *found, void *ctx, struct err *e);
/* Index files that are open. */
size_t
key_index_files(const struct key_index *x);
/* Removes the index files of all data files but these. */
void
key_index_keep(struct key_index *x, const char *const *paths, size_t n);

#endif
