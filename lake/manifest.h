/* Manifests and manifest lists: which files a snapshot is made of.
 *
 * Format: apache/iceberg format/spec.md, "Manifests" and "Snapshots" ("Manifest Lists", "First
 * Row ID Inheritance", "Sequence Number Inheritance"); Avro containers with field ids
 * (lake/ocf.h).
 *
 * A manifest is immutable. Its ADDED entries carry null for what only the commit knows
 * (sequence numbers, first_row_id), readers inherit it from the manifest list; so a manifest
 * survives the retries of its commit, and only the manifest list is written again. EXISTING and
 * DELETED entries carry both sequence numbers and, in version 3, first_row_id. Data files and
 * delete files are in separate manifests. Only the unpartitioned spec 0 is written; entries of
 * others are not accepted (MR_LAKE_UNSUPPORTED).
 *
 * Errors: MR_LAKE_METADATA for what breaks the specification. Everything read lives in the
 * arena given. Thread: any.
 */
#ifndef MILLRACE_LAKE_MANIFEST_H
#define MILLRACE_LAKE_MANIFEST_H

#include "base/arena.h"
#include "base/json.h"

enum data_file_content { DATA_FILE_ROWS, DATA_FILE_POSITIONS, DATA_FILE_EQUALITY };

/* What is known of one column of a file. */
struct file_metric {
    int32_t id;
    int64_t bytes; /* -1: not known; so the next three */
    int64_t values;
    int64_t nulls;
    int64_t nans;
    bool has_lower;
    bool has_upper;
    struct bytes lower; /* single-value form */
    struct bytes upper;
};

struct data_file {
    enum data_file_content content;
    const char *path;
    const char *format;                /* PARQUET, PUFFIN, .. */
    int64_t rows;                      /* of a delete file: positions in it */
    int64_t size;                      /* of the whole file */
    const struct file_metric *metrics; /* ascending ids */
    uint32_t metrics_len;
    const int64_t *split_offsets;
    uint32_t splits_len;
    const int32_t *equality_ids;
    uint32_t equality_len;
    int32_t sort_order_id;  /* -1: none */
    int64_t first_row_id;   /* -1: none (yet) */
    const char *referenced; /* referenced_data_file of a delete file; NULL: none */
    int64_t content_offset; /* a deletion vector's place in its Puffin file; -1: none */
    int64_t content_size;
    struct bytes key_metadata; /* p NULL: none */
};

enum manifest_status { MANIFEST_EXISTING, MANIFEST_ADDED, MANIFEST_DELETED };

struct manifest_entry {
    enum manifest_status status;
    int64_t snapshot_id;   /* that added it, or, when DELETED, deleted it */
    int64_t sequence;      /* data sequence number; -1 in an ADDED entry to be written */
    int64_t file_sequence; /* likewise */
    struct data_file file;
};

/* An entry of a manifest list. counts and rows by enum manifest_status. */
struct manifest_file {
    const char *path;
    int64_t length;
    int32_t spec_id;
    bool deletes; /* content 1 */
    int64_t sequence;
    int64_t min_sequence;
    int64_t added_snapshot;
    int64_t counts[3];
    int64_t rows[3];
    int64_t first_row_id; /* -1: null */
    struct bytes key_metadata;
};

struct manifest_conf {
    int version; /* of the table: 2 or 3 */
    bool deletes;
    const struct json *schema; /* the table's current one */
    int64_t snapshot_id;       /* of the commit that writes it */
};

/* Appends the file's bytes to out and fills *info but for path, sequence and first_row_id. */
MUST bool
manifest_write(const struct manifest_conf *conf, const struct manifest_entry *entries, size_t n,
               struct buf *out, struct manifest_file *info, struct err *e);
/* The entries with all that is inherited filled in. `from` is the manifest's entry in its list.
 */
MUST bool
manifest_read(struct bytes file, const struct manifest_file *from, struct arena *a,
              struct manifest_entry **entries, size_t *n, struct err *e);

struct manifest_list_conf {
    int version;
    int64_t snapshot_id;
    int64_t parent; /* -1: none */
    int64_t sequence;
    int64_t first_row_id; /* version 3 */
};

MUST bool
manifest_list_write(const struct manifest_list_conf *conf, const struct manifest_file *files,
                    size_t n, struct buf *out, struct err *e);
MUST bool
manifest_list_read(struct bytes file, struct arena *a, struct manifest_file **files, size_t *n,
                   struct err *e);

#endif
