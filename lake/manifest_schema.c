/* The schemas, from tables of their fields. */
#include "lake/manifest_schema.h"

struct avro_field {
    const char *name;
    const char *type; /* JSON; with `key` a map's value, with `item` a list's item */
    int id;
    bool optional;
    int since; /* format version */
    int key;   /* a map: ids of its keys and values */
    int value;
    int item; /* a list: id of its items */
};

#define INT      "\"int\""
#define LONG     "\"long\""
#define STRING   "\"string\""
#define BYTES    "\"bytes\""
#define REQUIRED .optional = false
#define OPTIONAL .optional = true

static const struct avro_field entry_fields[] = {
    {"status", INT, 0, REQUIRED},
    {"snapshot_id", LONG, 1, OPTIONAL},
    {"sequence_number", LONG, 3, OPTIONAL},
    {"file_sequence_number", LONG, 4, OPTIONAL},
};

/* The order is that in which manifest_write.c puts the values. */
static const struct avro_field file_fields[] = {
    {"content", INT, 134, REQUIRED},
    {"file_path", STRING, 100, REQUIRED},
    {"file_format", STRING, 101, REQUIRED},
    {"partition", "{\"type\":\"record\",\"name\":\"r102\",\"fields\":[]}", 102, REQUIRED},
    {"record_count", LONG, 103, REQUIRED},
    {"file_size_in_bytes", LONG, 104, REQUIRED},
    {"column_sizes", LONG, 108, OPTIONAL, .key = 117, .value = 118},
    {"value_counts", LONG, 109, OPTIONAL, .key = 119, .value = 120},
    {"null_value_counts", LONG, 110, OPTIONAL, .key = 121, .value = 122},
    {"nan_value_counts", LONG, 137, OPTIONAL, .key = 138, .value = 139},
    {"lower_bounds", BYTES, 125, OPTIONAL, .key = 126, .value = 127},
    {"upper_bounds", BYTES, 128, OPTIONAL, .key = 129, .value = 130},
    {"key_metadata", BYTES, 131, OPTIONAL},
    {"split_offsets", LONG, 132, OPTIONAL, .item = 133},
    {"equality_ids", INT, 135, OPTIONAL, .item = 136},
    {"sort_order_id", INT, 140, OPTIONAL},
    {"first_row_id", LONG, 142, OPTIONAL, .since = 3},
    {"referenced_data_file", STRING, 143, OPTIONAL},
    {"content_offset", LONG, 144, OPTIONAL, .since = 3},
    {"content_size_in_bytes", LONG, 145, OPTIONAL, .since = 3},
};

static const struct avro_field summary_fields[] = {
    {"contains_null", "\"boolean\"", 509, REQUIRED},
    {"contains_nan", "\"boolean\"", 518, OPTIONAL},
    {"lower_bound", BYTES, 510, OPTIONAL},
    {"upper_bound", BYTES, 511, OPTIONAL},
};

static const struct avro_field list_fields[] = {
    {"manifest_path", STRING, 500, REQUIRED},
    {"manifest_length", LONG, 501, REQUIRED},
    {"partition_spec_id", INT, 502, REQUIRED},
    {"content", INT, 517, REQUIRED},
    {"sequence_number", LONG, 515, REQUIRED},
    {"min_sequence_number", LONG, 516, REQUIRED},
    {"added_snapshot_id", LONG, 503, REQUIRED},
    {"added_files_count", INT, 504, REQUIRED},
    {"existing_files_count", INT, 505, REQUIRED},
    {"deleted_files_count", INT, 506, REQUIRED},
    {"added_rows_count", LONG, 512, REQUIRED},
    {"existing_rows_count", LONG, 513, REQUIRED},
    {"deleted_rows_count", LONG, 514, REQUIRED},
    {"partitions", NULL, 507, OPTIONAL, .item = 508}, /* of records of summary_fields */
    {"key_metadata", BYTES, 519, OPTIONAL},
    {"first_row_id", LONG, 520, OPTIONAL, .since = 3},
};

static void
put_fields(struct buf *out, const struct avro_field *fields, size_t n, int version);

static void
put_type(struct buf *out, const struct avro_field *f, int version)
{
    if (f->key) {
        buf_addf(out,
                 "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\","
                 "\"name\":\"k%d_v%d\",\"fields\":[{\"name\":\"key\",\"type\":\"int\","
                 "\"field-id\":%d},{\"name\":\"value\",\"type\":%s,\"field-id\":%d}]}}",
                 f->key, f->value, f->key, f->type, f->value);
    } else if (f->item && f->type) {
        buf_addf(out, "{\"type\":\"array\",\"items\":%s,\"element-id\":%d}", f->type, f->item);
    } else if (f->item) {
        buf_addf(out,
                 "{\"type\":\"array\",\"element-id\":%d,\"items\":{\"type\":\"record\","
                 "\"name\":\"r%d\",\"fields\":[",
                 f->item, f->item);
        put_fields(out, summary_fields, ARRAY_LEN(summary_fields), version);
        buf_add_str(out, "]}}");
    } else {
        buf_add_str(out, f->type);
    }
}

static void
put_fields(struct buf *out, const struct avro_field *fields, size_t n, int version)
{
    for (size_t i = 0; i < n; i++) {
        const struct avro_field *f = &fields[i];
        if (f->since > version)
            continue;
        buf_addf(out, "%s{\"name\":\"%s\",\"type\":%s", i ? "," : "", f->name,
                 f->optional ? "[\"null\"," : "");
        put_type(out, f, version);
        buf_addf(out, "%s,\"field-id\":%d}", f->optional ? "],\"default\":null" : "", f->id);
    }
}

void
manifest_schema_put(int version, struct buf *out)
{
    buf_add_str(out, "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[");
    put_fields(out, entry_fields, ARRAY_LEN(entry_fields), version);
    buf_add_str(out, ",{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\","
                     "\"name\":\"r2\",\"fields\":[");
    put_fields(out, file_fields, ARRAY_LEN(file_fields), version);
    buf_add_str(out, "]}}]}");
}

void
manifest_list_schema_put(int version, struct buf *out)
{
    buf_add_str(out, "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[");
    put_fields(out, list_fields, ARRAY_LEN(list_fields), version);
    buf_add_str(out, "]}");
}
