/* A Parquet file of rows on its way into a table: written to storage, described for a manifest.
 * And out of one again.
 *
 * The file is durable when rows_file_finish returns, and part of no table until a commit names
 * it; dying before leaves an orphan. Owner, thread: the caller's. Errors: those of
 * lake/parquet_writer.h and lake/storage.h.
 */
#ifndef MILLRACE_LAKE_ROWS_FILE_H
#define MILLRACE_LAKE_ROWS_FILE_H

#include "lake/manifest.h"
#include "lake/parquet_reader.h"
#include "lake/parquet_writer.h"
#include "lake/storage.h"

struct rows_file;

/* conf's sink is set here; the rest is borrowed as parquet_writer_new says. */
MUST bool
rows_file_new(struct storage *s, const char *location, const struct parquet_conf *conf,
              struct rows_file **out, struct err *e);
/* For parquet_writer_rows, _bytes and _row_count. */
struct parquet_writer *
rows_file_writer(struct rows_file *f);
/* *out (content DATA_FILE_ROWS) lives in the arena. */
MUST bool
rows_file_finish(struct rows_file *f, struct arena *a, struct data_file *out, struct err *e);
/* In every case, finished or not; an unfinished file leaves nothing. NULL allowed. */
void
rows_file_free(struct rows_file *f);

struct rows_reader;

/* Reads a Parquet file of a table. fields: as parquet_reader_open says. */
MUST bool
rows_reader_open(struct storage *s, const struct data_file *f, const struct lake_field *fields,
                 uint32_t field_count, struct rows_reader **out, struct err *e);
struct parquet_reader *
rows_reader_parquet(struct rows_reader *r);
void
rows_reader_free(struct rows_reader *r); /* NULL allowed */

#endif
