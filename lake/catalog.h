/* Catalogs: which metadata.json is the table's. One static table of functions per kind.
 *
 *   iceberg+sql:///ABS/catalog.db?warehouse=URI&catalog=NAME
 *   iceberg+rest://[ID:SECRET@]HOST:PORT/PATH?warehouse=NAME-OR-URI&tls=on    (rest_client.h)
 *
 * A commit is {requirements, updates}, the two lists of the REST catalog (lake/metadata.h), so
 * that every kind takes the same. Its outcome is the return value and the error's class: true
 * done, durable, visible MR_CATALOG_CONFLICT         not done: somebody else's commit came
 * first (RETRY) MR_CATALOG_UNKNOWN_OUTCOME  done or not, now or later (UNKNOWN): look before
 * anything else, delete nothing any other error             not done The new metadata.json of a
 * commit that is not done is removed, if this program wrote it.
 *
 * Errors: MR_CATALOG_*, MR_STORAGE_*, MR_LAKE_*. Owner: who opened it. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_CATALOG_H
#define MILLRACE_LAKE_CATALOG_H

#include "base/uri.h"
#include "lake/metadata.h"
#include "lake/storage.h"

struct catalog {
    const struct catalog_ops *ops;
    const char *warehouse; /* location below which tables are made; without a '/' at its end */
    struct storage *storage; /* REST: of the tables loaded so far */
};

/* Where a table is; a namespace of one level. Borrowed. */
struct catalog_name {
    const char *space;
    const char *table;
};

/* A table as the catalog has it. */
struct catalog_table {
    struct metadata *metadata;
    char *location; /* of the metadata.json; NULL when the catalog does not tell */
};

struct catalog_commit {
    const struct json *requirements;
    const struct json *updates;
};

struct catalog_ops {
    bool keeps_metadata; /* writes metadata.json itself, by catalog_write_metadata */
    bool (*make_namespace)(struct catalog *c, const char *space, struct err *e);
    bool (*load)(struct catalog *c, const struct catalog_name *name, struct catalog_table *out,
                 struct err *e);
    bool (*create)(struct catalog *c, const struct catalog_name *name, const struct metadata *m,
                   struct catalog_table *out, struct err *e);
    bool (*commit)(struct catalog *c, const struct catalog_name *name,
                   const struct catalog_table *base, const struct catalog_commit *commit,
                   struct catalog_table *out, struct err *e);
    bool (*drop)(struct catalog *c, const struct catalog_name *name, struct err *e);
    void (*close)(struct catalog *c);
};

/* The kind is the scheme's; passwords resolved (base/secret.h). MR_BAD_URI. */
MUST bool
catalog_open(const struct uri *u, struct catalog **out, struct err *e);
void
catalog_close(struct catalog *c); /* NULL allowed */

/* Exists already: fine. */
MUST bool
catalog_make_namespace(struct catalog *c, const char *space, struct err *e);
/* MR_CATALOG_MISSING: no such table. *out: catalog_table_free. */
MUST bool
catalog_load(struct catalog *c, const struct catalog_name *name, struct catalog_table *out,
             struct err *e);
/* The table's first metadata. MR_CATALOG_EXISTS; MR_CATALOG_MISSING: no such namespace. */
MUST bool
catalog_create(struct catalog *c, const struct catalog_name *name, const struct metadata *m,
               struct catalog_table *out, struct err *e);
/* On true *out is the new state, and base is still the caller's. Where this program keeps
 * metadata.json and the table's property write.metadata.delete-after-commit.enabled is true,
 * those that fell out of the metadata log (write.metadata.previous-versions-max) are removed
 * then; dying before it leaves orphans. */
MUST bool
catalog_commit(struct catalog *c, const struct catalog_name *name,
               const struct catalog_table *base, const struct catalog_commit *commit,
               struct catalog_table *out, struct err *e);
/* Forgets the table; its files stay. Absent is fine. */
MUST bool
catalog_drop(struct catalog *c, const struct catalog_name *name, struct err *e);
void
catalog_table_free(struct catalog_table *t);
/* WAREHOUSE/SPACE/TABLE: where a new table's files go. */
char *
catalog_table_location(const struct catalog *c, const struct catalog_name *name);

/* A metadata.json that this program wrote, by its name: the UUID in it is one of version 8 that
 * begins with "millra". */
bool
catalog_is_own_metadata(const char *name);

/* For the kinds that keep metadata.json themselves. Writes the next metadata of a table as
 * LOCATION/metadata/NNNNN-UUID.metadata.json, durable; *location is the caller's. */
MUST bool
catalog_write_metadata(struct catalog *c, const struct metadata *m, const char *previous,
                       char **location, struct err *e);
MUST bool
catalog_read_metadata(struct catalog *c, const char *location, struct metadata **out,
                      struct err *e);

/* The kinds. */
MUST bool
catalog_sql_open(const struct uri *u, struct catalog **out, struct err *e);
MUST bool
catalog_rest_open(const struct uri *u, struct catalog **out, struct err *e);

#endif
