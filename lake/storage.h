/* Where the files of lake tables lie: one static table of functions per kind of storage.
 *
 * Files are written once and never changed: a writer's file is invisible until
 * storage_writer_finish, which makes it durable and visible under its name, and refuses a name
 * that exists (MR_STORAGE_EXISTS: the existing file is left alone). Dying at any moment before
 * leaves at most a remnant that no reader can take for the file (local: NAME.XXXXXX beside it).
 * Locations are absolute URIs as Iceberg metadata holds them: file:///path, file:/path,
 * local:///path or /path; s3://BUCKET/KEY (also s3a, s3n), the key as it is, not encoded.
 *
 * Errors: MR_STORAGE_*. Owner: who opened it. Thread: one at a time per handle.
 */
#ifndef MILLRACE_LAKE_STORAGE_H
#define MILLRACE_LAKE_STORAGE_H

#include "base/bytes.h"
#include "base/uri.h"

struct storage_options;

/* Gives new credentials: a REST catalog's, for example. *out is zeroed before; its strings are
 * ctx's until the next call. Thread: the storage's. */
typedef bool
storage_renew_fn(void *ctx, struct storage_options *out, struct err *e);

/* How an object storage is reached; local files need nothing of it. Each string is the value of
 * a property that Iceberg's catalogs and clients know, borrowed, NULL when not given. */
struct storage_options {
    const char *endpoint;          /* s3.endpoint: http(s)://HOST[:PORT]; AWS's of the region */
    const char *region;            /* s3.region, client.region; AWS_REGION, else us-east-1 */
    const char *access_key_id;     /* s3.access-key-id; neither this nor the next: those of */
    const char *secret_access_key; /* s3.secret-access-key; the environment: AWS_.. */
    const char *session_token;     /* s3.session-token */
    const char *expires_at_ms;     /* s3.session-token-expires-at-ms: Unix time */
    const char
        *path_style; /* s3.path-style-access, s3.path-style: true unless AWS's endpoint */
    const char *part_bytes;  /* s3.multipart.part-size-bytes: of a writer's memory too; 8 MiB */
    const char *ca_file;     /* s3.ca: certificates for https; the system's */
    storage_renew_fn *renew; /* NULL: credentials cannot be renewed */
    void *renew_ctx;
};

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
    bool (*sweep)(struct storage *s, const char *folder, const char *names,
                  uint64_t older_than_ms, struct err *e);
    bool (*check)(struct storage *s, const char *folder, struct err *e);
    bool (*renew)(struct storage *s, const struct storage_options *o, struct err *e);
    void (*close)(struct storage *s);
};

/* Takes a property by its name; false: no option of a storage. value is borrowed. */
bool
storage_options_set(struct storage_options *o, const char *key, const char *value);
/* The options s3.* of a URI, and its login where it has no host, so that the login can be no
 * server's: ACCESS-KEY-ID:SECRET-ACCESS-KEY@. Borrowed from u. MR_BAD_URI: an unknown one. */
MUST bool
storage_options_of_uri(const struct uri *u, struct storage_options *o, struct err *e);

/* The storage that holds `location` (only its scheme is looked at). Options are copied; NULL:
 * none. MR_STORAGE_CREDENTIALS, MR_BAD_URI. */
MUST bool
storage_open(const char *location, const struct storage_options *o, struct storage **out,
             struct err *e);
/* Other credentials from now on (the rest of *o is not looked at). */
MUST bool
storage_renew(struct storage *s, const struct storage_options *o, struct err *e);
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
/* Removes what dead writers of files below a folder left where storage_list does not see it, if
 * the file's name begins with `names` and it was begun before older_than_ms (Unix time). */
MUST bool
storage_sweep(struct storage *s, const char *folder, const char *names, uint64_t older_than_ms,
              struct err *e);
/* The folder can be used: a local one is there and may be written, a bucket is there and may be
 * read. */
MUST bool
storage_check(struct storage *s, const char *folder, struct err *e);

/* The kinds. */
MUST bool
storage_local_open(struct storage **out, struct err *e);
/* Is it a location of local files? *path: its path, borrowed from location. */
bool
storage_local_path(const char *location, const char **path);
MUST bool
storage_s3_open(const struct storage_options *o, struct storage **out, struct err *e);

#endif
