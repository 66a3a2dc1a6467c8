/* The metadata.json of an Iceberg table: read, checked, changed, written.
 *
 * Format: apache/iceberg format/spec.md, "Table Metadata" and Appendix C; format versions 2
 * and 3. Version 1 is MR_LAKE_UNSUPPORTED, above 3 MR_LAKE_VERSION. The document itself is the
 * model: members that are not known here are kept as they are. A struct metadata is immutable;
 * a commit makes the next one of it. Changes and what they demand are those of the REST catalog
 * (open-api/rest-catalog-open-api.yaml, TableUpdate and TableRequirement), so that every
 * catalog takes the same two lists.
 *
 * Errors: MR_LAKE_METADATA for a document that breaks the specification. Owner: who made it.
 * Thread: one at a time (the JSON's reference counts).
 */
#ifndef MILLRACE_LAKE_METADATA_H
#define MILLRACE_LAKE_METADATA_H

#include "base/json.h"
#include "lake/type.h"

#define METADATA_BYTES_MAX ((size_t)256 << 20)

struct metadata {
    struct json *doc;
    int version;
    const char *uuid;
    const char *location;     /* without a '/' at its end */
    int64_t last_sequence;    /* last-sequence-number */
    int64_t last_updated_ms;  /* Unix time */
    int64_t next_row_id;      /* version 3; else 0 */
    int64_t current_snapshot; /* of branch main; -1: none */
    int32_t current_schema;
    int32_t last_column_id;
};

struct snapshot {
    int64_t id;
    int64_t parent; /* -1: none */
    int64_t sequence;
    int64_t timestamp_ms;
    const char *manifest_list;
    const struct json *summary; /* an object; NULL: none */
};

struct metadata_conf {
    int version; /* 2 or 3 */
    const char *location;
    const struct lake_schema *schema;
    const struct json *properties; /* object of texts; NULL: none */
};

/* The first state of a table: no snapshot, unpartitioned, unsorted. */
MUST bool
metadata_new(const struct metadata_conf *conf, struct metadata **out, struct err *e);
/* gzip is seen and unpacked. */
MUST bool
metadata_parse(struct bytes text, struct metadata **out, struct err *e);
/* Takes the document over, on false too. */
MUST bool
metadata_of_json(struct json *doc, struct metadata **out, struct err *e);
void
metadata_free(struct metadata *m); /* NULL allowed */
void
metadata_write(const struct metadata *m, struct buf *out);

/* id -1: the current one. */
MUST bool
metadata_schema(const struct metadata *m, int32_t id, struct arena *a, struct lake_schema *out,
                struct err *e);
/* NULL: not set. */
const char *
metadata_property(const struct metadata *m, const char *key);
/* false: no such snapshot. What *out points to is the metadata's. */
bool
metadata_snapshot(const struct metadata *m, int64_t id, struct snapshot *out);
size_t
metadata_snapshot_count(const struct metadata *m);
bool
metadata_snapshot_at(const struct metadata *m, size_t i, struct snapshot *out);
/* Is `id` the current snapshot or one of its ancestors (as far as they are kept)? */
bool
metadata_is_ancestor(const struct metadata *m, int64_t id);
/* A branch or tag points to the snapshot. */
bool
metadata_is_referenced(const struct metadata *m, int64_t id);
/* This program can write to it: no partition fields. MR_LAKE_UNSUPPORTED. */
MUST bool
metadata_writable(const struct metadata *m, struct err *e);

/* The next state: requirements hold (else MR_CATALOG_CONFLICT), updates applied in order.
 * `location` is where m itself was read from (for the metadata log); NULL: nowhere yet. */
MUST bool
metadata_next(const struct metadata *m, const char *location, const struct json *requirements,
              const struct json *updates, struct metadata **out, struct err *e);

#endif
