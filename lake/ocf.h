/* Avro object container files, as Iceberg's manifests and manifest lists are written.
 *
 * Format: Avro 1.12 specification, "Object Container Files": "Obj\1", a metadata map
 * (avro.schema, avro.codec, and the writer's own keys), 16 bytes of sync, then blocks {count,
 * size, data, sync}. The schema's text is kept verbatim, because Iceberg resolves fields by the
 * `field-id` attributes in it. Codecs: null and deflate.
 *
 * Reading is driven by the file's own schema and gives every record as a tree of values, found
 * by field id; all lengths, counts and depths are bounded. Maps of Iceberg with keys other than
 * strings are arrays of records {key, value}.
 *
 * Errors: MR_LAKE_METADATA for any input that is not such a file. Owner: the arena given.
 * Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_OCF_H
#define MILLRACE_LAKE_OCF_H

#include "base/arena.h"

struct ocf_header {
    const char *key;
    struct bytes value;
};

/* Building blocks of a record: Avro's binary encoding. */
void
ocf_put_long(struct buf *out, int64_t v); /* zigzag varint; ints and enums too */
void
ocf_put_bytes(struct buf *out, struct bytes b); /* strings too */

/* A whole file: one deflated block of the `count` records already encoded in `records`. */
MUST bool
ocf_write(const char *schema, const struct ocf_header *headers, size_t headers_len,
          struct bytes records, uint64_t count, struct buf *out, struct err *e);

enum ocf_kind { OCF_NULL, OCF_BOOL, OCF_LONG, OCF_DOUBLE, OCF_BYTES, OCF_RECORD, OCF_ARRAY };

struct ocf_value {
    enum ocf_kind kind;
    int32_t field_id; /* of a record's field; -1: none */
    union {
        int64_t i; /* BOOL, LONG (int, long, enum index) */
        double d;  /* DOUBLE (float too) */
        struct bytes b;
        struct {
            const struct ocf_value
                *items; /* RECORD: fields in the file's order; ARRAY: items */
            size_t len;
        } list;
    } v;
};

struct ocf_file {
    const struct ocf_header *headers;
    size_t headers_len;
    const struct ocf_value *records; /* each an OCF_RECORD */
    size_t records_len;
};

/* Everything in *out lives in the arena; bytes may borrow from `file`. */
MUST bool
ocf_read(struct bytes file, struct arena *a, struct ocf_file *out, struct err *e);
/* The value of a header key; p is NULL when absent. */
struct bytes
ocf_header(const struct ocf_file *f, const char *key);
/* A record's field by id; NULL when the record has none or it is null. */
const struct ocf_value *
ocf_field(const struct ocf_value *record, int32_t field_id);

#endif
