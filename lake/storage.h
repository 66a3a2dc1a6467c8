/* Where the files of lake tables lie: one static table of functions per kind of storage.
 *
 * Files are written once and never changed: a writer's file is invisible until
 * storage_writer_finish, which makes it durable and visible under its name, and refuses a name
 * that exists (MR_STORAGE_EXISTS: the existing file is left alone). Dying at any moment before
 * leaves at most a remnant that no reader can take for the file (local: NAME.XXXXXX beside it).
 * Locations are absolute URIs as Iceberg metadata holds them: file:///path, file:/path,
 * local:///path or /path.
 *
 * Errors: MR_STORAGE_*. Owner: who opened it. Thread: one at a time per handle.
 */
#ifndef MILLRACE_LAKE_STORAGE_H
#define MILLRACE_LAKE_STORAGE_H

#include "base/bytes.h"

struct storage {
    const struct storage_ops *ops;
};

struct storage_writer {
    const struct storage_ops *ops;
    uint64_t written; /* bytes given so far */
};

struct storage_entry {
    const char *location; /* in the form of the listed prefix */
    uint64_t size;
    uint64_t mtime_ms; /* Unix time */
};

typedef bool
storage_entry_fn(void *ctx, const struct storage_entry *entry, struct err *e);

struct storage_ops {
    bool (*create)(struct storage *s, const char *location, struct storage_writer **out,
                   struct err *e);
    bool (*write)(struct storage_writer *w, struct bytes b, struct err *e);
    bool (*finish)(struct storage_writer *w, struct err *e);
    void (*abandon)(struct storage_writer *w);
    bool (*read)(struct storage *s, const char *location, uint64_t offset, size_t n,
                 struct buf *out, struct err *e);
    bool (*size)(struct storage *s, const char *location, uint64_t *size, struct err *e);
    bool (*remove)(struct storage *s, const char *location, struct err *e);
    bool (*list)(struct storage *s, const char *prefix, storage_entry_fn *each, void *ctx,
                 struct err *e);
    void (*close)(struct storage *s);
};

/* The storage that holds `location` (only its scheme is looked at). */
MUST bool
storage_open(const char *location, struct storage **out, struct err *e);
void
storage_close(struct storage *s); /* NULL allowed */

MUST bool
storage_create(struct storage *s, const char *location, struct storage_writer **out,
               struct err *e);
MUST bool
storage_write(struct storage_writer *w, struct bytes b, struct err *e);
/* Ends the writer in every case; true: the file is durable under its name. */
MUST bool
storage_finish(struct storage_writer *w, struct err *e);
/* Ends the writer and leaves no file. NULL allowed. */
void
storage_abandon(struct storage_writer *w);
/* A whole file at once. */
MUST bool
storage_put(struct storage *s, const char *location, struct bytes content, struct err *e);
/* Appends exactly n bytes from offset on; a shorter file is MR_STORAGE_ERROR. */
MUST bool
storage_read(struct storage *s, const char *location, uint64_t offset, size_t n,
             struct buf *out, struct err *e);
/* The whole file; above size_max bytes is MR_LAKE_METADATA. */
MUST bool
storage_read_all(struct storage *s, const char *location, size_t size_max, struct buf *out,
                 struct err *e);
/* MR_STORAGE_MISSING when it is not there. */
MUST bool
storage_size(struct storage *s, const char *location, uint64_t *size, struct err *e);
/* Absent is fine. */
MUST bool
storage_remove(struct storage *s, const char *location, struct err *e);
/* Every file below a folder, depth first, in no order. An absent folder is empty. */
MUST bool
storage_list(struct storage *s, const char *prefix, storage_entry_fn *each, void *ctx,
             struct err *e);

/* The kinds. */
MUST bool
storage_local_open(struct storage **out, struct err *e);
/* Is it a location of local files? *path: its path, borrowed from location. */
bool
storage_local_path(const char *location, const char **path);

#endif
