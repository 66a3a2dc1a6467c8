/* Compaction: rows of several data files, without the deleted ones, into one new file.
 *
 * The rewrite may take long, and the table goes on meanwhile. compact_commit therefore looks
 * again: rows that were deleted since the rewrite read the deletes of a file are found in the
 * new file (rows keep their order, so the place is a matter of counting) and deleted there in
 * the same commit. If a foreign writer's deletes come in between once more, the commit fails
 * with MR_LAKE_FILES_GONE and compact_commit may be called again. Row lineage (version 3) is
 * kept: the new file has the columns _row_id and _last_updated_sequence_number.
 *
 * The new file is durable when compact_rewrite returns, and part of the table when
 * compact_commit does; dying between leaves an orphan.
 *
 * Refused (MR_LAKE_UNSUPPORTED): equality deletes or position deletes that speak of several
 * files. Owner, thread: the table's. Memory: as the Parquet reader and writer say.
 */
#ifndef MILLRACE_LAKE_COMPACT_H
#define MILLRACE_LAKE_COMPACT_H

#include "lake/commit.h"

struct compact;

/* Reads the data files of these paths, in their order, and writes the new one. The table's
 * present state is what it goes by: reload before, if wanted. */
MUST bool
compact_rewrite(struct lake_table *t, const char *const *paths, size_t n, struct compact **out,
                struct err *e);
/* Swaps the files. conf as for commit_new. */
MUST bool
compact_commit(struct compact *c, const struct commit_conf *conf, struct err *e);
/* The new file's location; NULL: no row was left. */
const char *
compact_path(const struct compact *c);
/* Rows deleted meanwhile that compact_commit translated. */
uint64_t
compact_translated(const struct compact *c);
/* Removes the new file unless it was, or may yet be, committed. NULL allowed. */
void
compact_free(struct compact *c);

#endif
