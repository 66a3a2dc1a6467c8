/* Compaction: rows of several data files, without the deleted ones, into one new file.
 *
 * The rewrite may take long, and the table goes on meanwhile. compact_commit therefore looks
 * again: rows that were deleted since the rewrite read the deletes of a file are found in the
 * new file (rows keep their order, so the place is a matter of counting) and deleted there in
 * the same commit. So are all rows of a file that is no longer in the table: whoever took it
 * out has decided about them. When that leaves less than half of the new file, or when a
 * foreign writer's deletes come in between once more, the commit fails with MR_LAKE_FILES_GONE;
 * compact_commit may be called again. Row lineage (version 3) is kept: the new file has the
 * columns _row_id and _last_updated_sequence_number.
 *
 * The new file is durable when compact_rewrite returns, and part of the table when
 * compact_commit does; dying between leaves an orphan. The two may use different handles on the
 * table, each by the thread that owns it.
 *
 * Refused (MR_LAKE_UNSUPPORTED): equality deletes or position deletes that speak of several
 * files. Memory: as the Parquet reader and writer say. Errors besides: those of lake/commit.h,
 * MR_LAKE_STOPPED.
 */
#ifndef MILLRACE_LAKE_COMPACT_H
#define MILLRACE_LAKE_COMPACT_H

#include "lake/commit.h"
#include "lake/parquet_writer.h"

#define COMPACT_FILES_MAX 500

/* When files are worth a rewrite. */
struct compact_limits {
    uint64_t target_bytes;    /* size that files grow towards */
    unsigned files_min;       /* so many small ones of about one size are made one; 0: never */
    unsigned deleted_percent; /* above it a file is written again; 0: never */
};

/* The files of the one rewrite that is most worth it, at most COMPACT_FILES_MAX; 0: none. A
 * row is written again once per tier of sizes, each files_min times the one below, and once
 * more per deleted_percent. *paths borrows from `files`. */
size_t
compact_choose(const struct lake_files *files, const struct compact_limits *limits,
               const char *paths[COMPACT_FILES_MAX]);

struct compact_conf {
    enum parquet_codec codec;
    const struct stop *stop; /* NULL: none */
};

struct compact;

/* Reads the data files of these paths, in their order, and writes the new one. The table's
 * present state is what it goes by: reload before, if wanted. The table must outlive it. */
MUST bool
compact_rewrite(struct lake_table *t, const char *const *paths, size_t n,
                const struct compact_conf *conf, struct compact **out, struct err *e);
/* Swaps the files. t: the table, this handle or another. conf as for commit_new; the base value
 * is told in the snapshot's summary too. */
MUST bool
compact_commit(struct compact *c, struct lake_table *t, const struct commit_conf *conf,
               struct err *e);
/* The new file's location; NULL: no row was left. */
const char *
compact_path(const struct compact *c);
size_t
compact_files(const struct compact *c); /* that were rewritten */
/* Rows deleted meanwhile that compact_commit translated. */
uint64_t
compact_translated(const struct compact *c);
/* Removes the new file, with the handle of compact_rewrite, unless it was, or may yet be,
 * committed. NULL allowed. */
void
compact_free(struct compact *c);

#endif
