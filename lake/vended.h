/* The storage of a REST catalog's tables: what the user's URI and the catalog's answers say of
 * it. Credentials that come with a table are used for its files and fetched anew with it
 * before they expire.
 *
 * Format: apache/iceberg open-api/rest-catalog-open-api.yaml, LoadTableResult: `config` and
 * `storage-credentials` (a list of {prefix, config}; the longest prefix wins). Later ones win
 * of: the catalog's defaults, the URI's options s3.*, the catalog's overrides, the table's
 * config, its credentials. Owner: the catalog. Thread: its.
 */
#ifndef MILLRACE_LAKE_VENDED_H
#define MILLRACE_LAKE_VENDED_H

#include "base/uri.h"
#include "lake/rest_client.h"
#include "lake/storage.h"

struct vended;

/* client and u must outlive it. MR_BAD_URI: an unknown option s3.*. */
MUST bool
vended_new(struct rest_client *client, const struct uri *u, struct vended **out, struct err *e);
void
vended_free(struct vended *v); /* NULL allowed */
/* Holds the files of every table taken so far. */
struct storage *
vended_storage(const struct vended *v);
/* An answer about the table at `path` (as in struct rest_call), whose files lie at `location`.
 */
MUST bool
vended_take(struct vended *v, const char *path, const struct json *answer, const char *location,
            struct err *e);

#endif
