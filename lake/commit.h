/* A commit: data files, delete files and properties of a table, visible by one pointer swap.
 *
 * What is durable when, and what is left if the process dies there (commit_run):
 *   1. The caller wrote data and delete files, each durable under its name. Dying: orphans.
 *   2. A manifest of the added data files, one of the added delete files, and a rewritten
 * manifest for each one that holds a removed file. Dying: orphans.
 *   3. The manifest list. Dying: an orphan.
 *   4. The catalog's swap (lake/catalog_sql.c): metadata.json durable, then the pointer. Dying
 *      before the pointer is durable: orphans, the table as it was. Behind it: committed; the
 * next run finds the properties and the snapshot. Nothing is ever changed in place, so readers
 * see the old state or the new one.
 *
 * A snapshot's id is chosen once, so every attempt of a commit is the same snapshot. Outcomes:
 *   conflict   reload; the base property must still have the caller's value (else
 *              MR_LAKE_BASE_CHANGED), every file that is removed, or whose rows are deleted,
 * must still be there with the same deletes (else MR_LAKE_FILES_GONE); then the manifest list
 * is built again. Added manifests stay as they are. unknown    reload and look for the
 * snapshot's id among the ancestors of main: there, done; not there, try again: the requirement
 * on main's snapshot lets at most one of the attempts in. If the table cannot be read now:
 * MR_CATALOG_UNKNOWN_OUTCOME; commit_run again begins by looking. Files of a commit are removed
 * only while every attempt is known to have failed (commit_free); commit_unsure tells whether
 * the caller may remove its own.
 *
 * Owner: who made it. The table must outlive it and is changed by it. Thread: the table's.
 */
#ifndef MILLRACE_LAKE_COMMIT_H
#define MILLRACE_LAKE_COMMIT_H

#include "base/stop.h"
#include "lake/schema_json.h"
#include "lake/table.h"

/* What names of files made by this program begin with; orphan removal looks at no other. */
#define COMMIT_NAME_PREFIX "millrace-"

struct commit_conf {
    const char *base_key;    /* a property that must have .. */
    const char *base_value;  /* .. this value (NULL: none at all); base_key NULL: no demand */
    unsigned attempts_max;   /* 0: 10 */
    unsigned backoff_ms;     /* first pause behind a conflict, doubled to 64 times; 0: 50 */
    unsigned merge_at;       /* manifests of one content, above which they are merged; 0: 100 */
    const struct stop *stop; /* asked: no second attempt, MR_LAKE_STOPPED; NULL: none */
};

struct commit;

/* Strings are copied. The table's current snapshot is what added delete files are built on. */
struct commit *
commit_new(struct lake_table *t, const struct commit_conf *conf);
/* Removes what commit_run wrote, unless it was, or may yet be, committed. NULL allowed. */
void
commit_free(struct commit *c);

/* All copy what they are given. */
void
commit_add_rows(struct commit *c, const struct data_file *f);
/* Deletes of one data file (f->referenced), or equality deletes. */
void
commit_add_deletes(struct commit *c, const struct data_file *f);
/* A live data file (its deletes go with it), or a live delete file. */
void
commit_remove(struct commit *c, const struct data_file *f);
/* The data file must have just these deletes when the commit is done, whatever others did
 * meanwhile (else MR_LAKE_FILES_GONE). */
void
commit_expect_deletes(struct commit *c, const struct lake_file *f);
/* value NULL removes. */
void
commit_set_property(struct commit *c, const char *key, const char *value);
void
commit_set_summary(struct commit *c, const char *key, const char *value);
/* append, overwrite, delete, replace; without it what the files say. */
void
commit_set_operation(struct commit *c, const char *operation);
/* A snapshot even without files: moves main, so that a commit on the old one fails. */
void
commit_claim(struct commit *c);
/* The current schema becomes this one, made from it by schema_change_apply; gets a new id, or
 * that of the same schema where the table has it. */
void
commit_set_schema(struct commit *c, const struct lake_schema *s, int32_t last_column_id);
/* Snapshots that are forgotten, unless a branch or tag points to them when it is done. */
void
commit_expire(struct commit *c, const int64_t *ids, size_t n);

MUST bool
commit_run(struct commit *c, struct err *e);
/* -1: the commit makes no snapshot. */
int64_t
commit_snapshot_id(const struct commit *c);
/* An attempt's outcome is unknown: no file may be removed. */
bool
commit_unsure(const struct commit *c);
/* Conflicts met so far. */
unsigned
commit_conflicts(const struct commit *c);

#endif
