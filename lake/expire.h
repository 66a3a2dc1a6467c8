/* What a table no longer needs: old snapshots, files of commits that never were.
 *
 * Only files that no snapshot of the table reaches are removed, and by orphans_remove only
 * those of our own names (COMMIT_NAME_PREFIX, catalog_is_own_metadata). Errors: those of
 * lake/commit.h; MR_LAKE_STOPPED.
 *
 * Expiry has three steps, so that the one that commits can be another thread's, with a handle
 * of its own on the table (apply/iceberg/maintain.c):
 *   plan     which snapshots, and all files that they reach. Nothing is changed.
 *   commit   they are forgotten, by one pointer swap.
 *   finish   what they reached and no snapshot reaches that the table has now is removed.
 * Dying before the commit changes nothing; behind it, or in the middle of finish, leaves files
 * that orphans_remove takes later. A commit of unknown outcome removes nothing.
 */
#ifndef MILLRACE_LAKE_EXPIRE_H
#define MILLRACE_LAKE_EXPIRE_H

#include "lake/commit.h"

/* A snapshot goes, the oldest first, if it is older than the age or there are too many. What
 * branches and tags point to stays. */
struct expire_conf {
    int64_t older_than_ms;   /* Unix time: younger snapshots stay */
    size_t keep_min;         /* so many of the newest stay whatever their age; at least 1 */
    size_t keep_max;         /* above so many the oldest go however young; 0: no limit */
    int64_t keep_from;       /* this snapshot and what came behind it stay; 0: none */
    const struct stop *stop; /* NULL: none */
};

struct expire_done {
    size_t snapshots;
    size_t files; /* removed */
};

struct expiry;

/* How many would go; *oldest_ms: time of the oldest of them. */
size_t
expire_count(const struct metadata *m, const struct expire_conf *conf, int64_t *oldest_ms);
/* By the table's present state. *out NULL: none go. The table must outlive it. */
MUST bool
expire_plan(struct lake_table *t, const struct expire_conf *conf, struct expiry **out,
            struct err *e);
/* t: the planned table, this handle or another. */
MUST bool
expire_commit(struct expiry *x, struct lake_table *t, const struct commit_conf *conf,
              struct err *e);
/* Only behind a commit that is done. Uses the handle of expire_plan. A file that cannot be
 * removed is an orphan, no error. */
MUST bool
expire_finish(struct expiry *x, struct expire_done *done, struct err *e);
void
expire_free(struct expiry *x); /* NULL allowed */

/* Of a table that was dropped while its data files are another's: its manifests and
 * metadata.json, which lie below its location, are removed. MR_LAKE_REMNANTS: some cannot be
 * and stay; the others are gone.
 */
MUST bool
expire_dropped(struct storage *s, const char *location, struct err *e);

struct orphans_conf {
    /* Unix time. The age must be above the longest time that a commit may take, a day at the
     * least: files of a commit under way are not reached yet. */
    uint64_t older_than_ms;
    uint64_t newer_than_ms;  /* older ones may be of a table that had this place before */
    const struct stop *stop; /* NULL: none */
};

/* Removes files of our names below the table's location that no snapshot and no metadata.json
 * that the table remembers reaches. Not while a commit's outcome is unknown. */
MUST bool
orphans_remove(struct lake_table *t, const struct orphans_conf *conf, size_t *removed,
               struct err *e);

#endif
