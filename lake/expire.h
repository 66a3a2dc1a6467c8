/* What a table no longer needs: old snapshots, files of commits that never were.
 *
 * Only files that no snapshot of the table reaches are removed, and by orphans_remove only
 * those of our own names (COMMIT_NAME_PREFIX). Errors: those of lake/commit.h. Thread: the
 * table's.
 */
#ifndef MILLRACE_LAKE_EXPIRE_H
#define MILLRACE_LAKE_EXPIRE_H

#include "lake/commit.h"

struct expire_conf {
    struct commit_conf commit;
    int64_t older_than_ms; /* Unix time: younger snapshots stay */
    size_t keep_min;       /* so many of the newest stay whatever their age; at least 1 */
};

struct expire_done {
    size_t snapshots;
    size_t files; /* removed */
};

/* Forgets snapshots, then removes the files that only they reached. What branches and tags
 * point to stays. Dying between the commit and the removal leaves orphans. A file that cannot
 * be removed is an orphan too, no error. */
MUST bool
expire_snapshots(struct lake_table *t, const struct expire_conf *conf, struct expire_done *done,
                 struct err *e);
/* Removes files of our names below the table's location that are older than that Unix time and
 * that no snapshot reaches. The age must be above the longest time that a commit may take, a
 * day at the least: files of a commit under way are not reached yet. */
MUST bool
orphans_remove(struct lake_table *t, uint64_t older_than_ms, size_t *removed, struct err *e);

#endif
