/* An Iceberg table, open: its metadata, and the manifests of its current snapshot.
 *
 * Manifests are immutable, so each is read once and kept as long as the current snapshot lists
 * it. Owner: who opened it. The catalog must outlive it. Thread: one at a time. Errors:
 * MR_CATALOG_*, MR_STORAGE_*, MR_LAKE_*.
 */
#ifndef MILLRACE_LAKE_TABLE_H
#define MILLRACE_LAKE_TABLE_H

#include "base/map.h"
#include "lake/catalog.h"
#include "lake/manifest.h"

struct table_manifest {
    struct manifest_file info;
    struct manifest_entry *entries; /* NULL: not read yet */
    size_t entries_len;
    struct arena mem; /* info and entries */
};

struct lake_table {
    struct catalog *catalog;
    struct catalog_name name;
    struct catalog_table state;
    struct table_manifest **manifests; /* of the current snapshot, in its list's order */
    size_t manifests_len;
    bool listed; /* manifests are those of `state` */
    char *space;
    char *table;
};

MUST bool
lake_table_open(struct catalog *c, const struct catalog_name *name, struct lake_table **out,
                struct err *e);
void
lake_table_close(struct lake_table *t); /* NULL allowed */
/* Asks the catalog for the present state. */
MUST bool
lake_table_reload(struct lake_table *t, struct err *e);
/* Takes a state over (a commit's). */
void
lake_table_take(struct lake_table *t, struct catalog_table *state);
/* The manifest list is read if it was not. */
MUST bool
lake_table_list(struct lake_table *t, struct err *e);
/* A manifest's entries are read if they were not. */
MUST bool
lake_table_entries(struct lake_table *t, struct table_manifest *m, struct err *e);

/* A live data file and what deletes its rows. Valid until the table is reloaded, changed or
 * closed.
 */
struct lake_file {
    const struct manifest_entry *rows;
    const struct manifest_entry *vector;           /* its deletion vector, or NULL */
    const struct manifest_entry *const *positions; /* file-scoped position delete files */
    uint32_t positions_len;
};

struct lake_files {
    struct lake_file *list;
    size_t len;
    struct map by_path; /* of the data file -> v.ptr: struct lake_file */
    /* Delete files that speak of more than one data file: equality deletes, unscoped position
     * deletes. Of foreign writers only. */
    size_t wide_deletes;
    struct arena mem;
};

/* All live data files of the current snapshot. lake_files_free, on false too. */
MUST bool
lake_table_files(struct lake_table *t, struct lake_files *out, struct err *e);
void
lake_files_free(struct lake_files *f);
const struct lake_file *
lake_files_find(const struct lake_files *f, const char *path);

#endif
