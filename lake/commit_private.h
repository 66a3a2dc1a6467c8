/* What commit.c (the transaction), commit_manifests.c (the files of an attempt) and
 * commit_updates.c (what the catalog is told) share. */
#ifndef MILLRACE_LAKE_COMMIT_PRIVATE_H
#define MILLRACE_LAKE_COMMIT_PRIVATE_H

#include "lake/commit.h"

struct entry_list {
    struct manifest_entry *items;
    size_t len;
    size_t cap;
};

/* Totals of files, for the summary. */
struct file_sums {
    int64_t files;
    int64_t rows; /* positions of delete files */
    int64_t bytes;
};

/* A manifest of the base, written again without the removed files. */
struct commit_rewrite {
    char *from; /* path in the base */
    struct manifest_file into;
    struct file_sums data; /* what it lost */
    struct file_sums deletes;
    size_t removed; /* of the caller's removals, found in it */
};

/* What a data file's deletes must be. */
struct commit_expected {
    const char *path;
    struct bytes *deletes; /* commit_key of each */
    uint32_t len;
};

struct commit {
    struct lake_table *table;
    struct commit_conf conf;
    struct arena mem;
    struct entry_list rows;    /* added */
    struct entry_list deletes; /* added */
    struct map removed;        /* commit_key -> */
    size_t removed_data;
    struct commit_expected *expected;
    size_t expected_len;
    struct json *properties; /* object: key -> text */
    struct json *unset;      /* array of keys */
    struct json *summary;    /* object: key -> text */
    struct json *schema;     /* NULL: stays */
    bool schema_known;       /* the table has it already, under this id */
    int32_t last_column;     /* with it */
    struct json *expired;    /* array of snapshot ids */
    const char *operation;
    bool claim;
    int64_t snapshot_id;
    int64_t base_snapshot; /* what deletes were built on */
    int32_t base_schema;
    int32_t base_last_column;
    bool added_written;
    struct manifest_file added[2]; /* rows, deletes; path NULL: none */
    struct commit_rewrite *rewrites;
    size_t rewrites_len;
    char **written; /* files of this commit */
    size_t written_len;
    unsigned attempt;
    unsigned conflicts;
    const char *list_failed; /* manifest list of an attempt that met a conflict; else NULL */
    bool unsure;
    bool done;
};

/* One attempt: the manifests of the new snapshot. */
struct commit_attempt {
    struct manifest_file *files;
    size_t len;
    size_t cap;
    struct file_sums removed_data;
    struct file_sums removed_deletes;
    size_t removed; /* of the caller's removals */
    int64_t sequence;
    int64_t first_row_id; /* version 3 */
    int64_t added_rows;
    char *list_path;
    struct arena mem;
};

void
entry_list_add(struct entry_list *l, const struct manifest_entry *m);
/* Makes a snapshot? */
bool
commit_has_snapshot(const struct commit *c);
/* Writes a file of the commit; *path is the commit's. */
MUST bool
commit_write_file(struct commit *c, const char *suffix, struct bytes content, const char **path,
                  struct err *e);
void
commit_remove_file(struct commit *c, const char *path);
/* The key of a removal in c->removed. */
struct bytes
commit_key(const struct data_file *f, struct arena *a);

/* Everything up to the manifest list, durable. */
MUST bool
commit_build(struct commit *c, struct commit_attempt *t, struct err *e);
void
commit_attempt_free(struct commit_attempt *t);

/* Both are the caller's. t NULL: no snapshot. */
struct json *
commit_requirements(const struct commit *c);
struct json *
commit_updates(const struct commit *c, const struct commit_attempt *t);

#endif
