/* Manifests and manifest lists, written. */
#include <stdio.h>

#include "lake/manifest.h"
#include "lake/manifest_schema.h"
#include "lake/ocf.h"

/* An optional long that is -1 when null. */
static void
put_optional(struct buf *out, int64_t v)
{
    ocf_put_long(out, v >= 0);
    if (v >= 0)
        ocf_put_long(out, v);
}

static void
put_optional_bytes(struct buf *out, struct bytes b)
{
    ocf_put_long(out, b.p != NULL);
    if (b.p)
        ocf_put_bytes(out, b);
}

static void
put_optional_text(struct buf *out, const char *s)
{
    put_optional_bytes(out, s ? bytes_str(s) : bytes_of(NULL, 0));
}

enum metric_part { PART_BYTES, PART_VALUES, PART_NULLS, PART_NANS, PART_LOWER, PART_UPPER };

static bool
has_part(const struct file_metric *m, enum metric_part part)
{
    switch (part) {
    case PART_BYTES:
        return m->bytes >= 0;
    case PART_VALUES:
        return m->values >= 0;
    case PART_NULLS:
        return m->nulls >= 0;
    case PART_NANS:
        return m->nans >= 0;
    case PART_LOWER:
        return m->has_lower;
    case PART_UPPER:
        return m->has_upper;
    }
    return false;
}

static void
put_part(struct buf *out, const struct file_metric *m, enum metric_part part)
{
    const int64_t numbers[] = {m->bytes, m->values, m->nulls, m->nans};
    ocf_put_long(out, m->id);
    if (part < PART_LOWER)
        ocf_put_long(out, numbers[part]);
    else
        ocf_put_bytes(out, part == PART_LOWER ? m->lower : m->upper);
}

/* One of the maps column id -> metric; null when no column has it. */
static void
put_map(struct buf *out, const struct data_file *f, enum metric_part part)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < f->metrics_len; i++)
        n += has_part(&f->metrics[i], part);
    ocf_put_long(out, n > 0);
    if (n == 0)
        return;
    ocf_put_long(out, n);
    for (uint32_t i = 0; i < f->metrics_len; i++)
        if (has_part(&f->metrics[i], part))
            put_part(out, &f->metrics[i], part);
    ocf_put_long(out, 0);
}

static void
put_lists(struct buf *out, const struct data_file *f)
{
    ocf_put_long(out, f->splits_len > 0);
    if (f->splits_len) {
        ocf_put_long(out, f->splits_len);
        for (uint32_t i = 0; i < f->splits_len; i++)
            ocf_put_long(out, f->split_offsets[i]);
        ocf_put_long(out, 0);
    }
    ocf_put_long(out, f->equality_len > 0);
    if (f->equality_len) {
        ocf_put_long(out, f->equality_len);
        for (uint32_t i = 0; i < f->equality_len; i++)
            ocf_put_long(out, f->equality_ids[i]);
        ocf_put_long(out, 0);
    }
}

static void
put_file(struct buf *out, const struct data_file *f, int version)
{
    ocf_put_long(out, f->content);
    ocf_put_bytes(out, bytes_str(f->path));
    ocf_put_bytes(out, bytes_str(f->format));
    ocf_put_long(out, f->rows);
    ocf_put_long(out, f->size);
    for (enum metric_part part = PART_BYTES; part <= PART_UPPER; part++)
        put_map(out, f, part);
    put_optional_bytes(out, f->key_metadata);
    put_lists(out, f);
    put_optional(out, f->sort_order_id);
    if (version >= 3)
        put_optional(out, f->first_row_id);
    put_optional_text(out, f->referenced);
    if (version >= 3) {
        put_optional(out, f->content_offset);
        put_optional(out, f->content_offset >= 0 ? f->content_size : -1);
    }
}

static void
put_entry(struct buf *out, const struct manifest_entry *m, int version)
{
    struct data_file file = m->file;
    bool added = m->status == MANIFEST_ADDED;
    if (added || file.content != DATA_FILE_ROWS)
        file.first_row_id = -1;
    ocf_put_long(out, m->status);
    put_optional(out, m->snapshot_id);
    put_optional(out, added ? -1 : m->sequence);
    put_optional(out, added ? -1 : m->file_sequence);
    put_file(out, &file, version);
}

static void
count_entries(const struct manifest_entry *entries, size_t n, struct manifest_file *info)
{
    info->min_sequence = -1;
    for (size_t i = 0; i < n; i++) {
        const struct manifest_entry *m = &entries[i];
        info->counts[m->status]++;
        info->rows[m->status] += m->file.rows;
        if (m->status == MANIFEST_EXISTING &&
            (info->min_sequence < 0 || m->sequence < info->min_sequence))
            info->min_sequence = m->sequence;
    }
}

bool
manifest_write(const struct manifest_conf *conf, const struct manifest_entry *entries, size_t n,
               struct buf *out, struct manifest_file *info, struct err *e)
{
    struct buf records = {0}, schema = {0}, avro = {0};
    char schema_id[24], version[4];
    size_t before = out->n;
    for (size_t i = 0; i < n; i++)
        put_entry(&records, &entries[i], conf->version);
    json_dump(conf->schema, &schema);
    snprintf(schema_id, sizeof(schema_id), "%lld",
             (long long)json_get_i64(conf->schema, "schema-id", 0));
    snprintf(version, sizeof(version), "%d", conf->version);
    const struct ocf_header headers[] = {
        {"schema", buf_bytes(&schema)},
        {"schema-id", bytes_str(schema_id)},
        {"partition-spec", BYTES_LIT("[]")},
        {"partition-spec-id", BYTES_LIT("0")},
        {"format-version", bytes_str(version)},
        {"content", conf->deletes ? BYTES_LIT("deletes") : BYTES_LIT("data")},
    };
    manifest_schema_put(conf->version, &avro);
    bool ok = !records.failed && !schema.failed;
    if (!ok)
        err_set(e, MR_NO_MEMORY, "a manifest above its limit");
    ok = ok && ocf_write(buf_cstr(&avro), headers, ARRAY_LEN(headers), buf_bytes(&records), n,
                         out, e);
    buf_free(&records);
    buf_free(&schema);
    buf_free(&avro);
    *info = (struct manifest_file){.length = (int64_t)(out->n - before),
                                   .deletes = conf->deletes,
                                   .sequence = -1,
                                   .added_snapshot = conf->snapshot_id,
                                   .first_row_id = -1};
    count_entries(entries, n, info);
    return ok;
}

static void
put_manifest_file(struct buf *out, const struct manifest_file *f, int version)
{
    static const enum manifest_status order[] = {MANIFEST_ADDED, MANIFEST_EXISTING,
                                                 MANIFEST_DELETED};
    ocf_put_bytes(out, bytes_str(f->path));
    ocf_put_long(out, f->length);
    ocf_put_long(out, f->spec_id);
    ocf_put_long(out, f->deletes);
    ocf_put_long(out, f->sequence);
    ocf_put_long(out, f->min_sequence);
    ocf_put_long(out, f->added_snapshot);
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        ocf_put_long(out, f->counts[order[i]]);
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        ocf_put_long(out, f->rows[order[i]]);
    ocf_put_long(out, 0); /* partitions: there are none */
    put_optional_bytes(out, f->key_metadata);
    if (version >= 3)
        put_optional(out, f->deletes ? -1 : f->first_row_id);
}

bool
manifest_list_write(const struct manifest_list_conf *conf, const struct manifest_file *files,
                    size_t n, struct buf *out, struct err *e)
{
    struct buf records = {0}, avro = {0};
    char texts[5][24] = {""};
    const int64_t numbers[] = {conf->snapshot_id, conf->parent, conf->sequence, conf->version,
                               conf->first_row_id};
    for (size_t i = 0; i < n; i++)
        put_manifest_file(&records, &files[i], conf->version);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        snprintf(texts[i], sizeof(texts[i]), "%lld", (long long)numbers[i]);
    const struct ocf_header headers[] = {
        {"snapshot-id", bytes_str(texts[0])},
        {"parent-snapshot-id", bytes_str(conf->parent >= 0 ? texts[1] : "null")},
        {"sequence-number", bytes_str(texts[2])},
        {"format-version", bytes_str(texts[3])},
        {"first-row-id", bytes_str(texts[4])},
    };
    size_t headers_len = conf->version >= 3 ? 5 : 4;
    manifest_list_schema_put(conf->version, &avro);
    bool ok = !records.failed || err_set(e, MR_NO_MEMORY, "a manifest list above its limit");
    ok = ok && ocf_write(buf_cstr(&avro), headers, headers_len, buf_bytes(&records), n, out, e);
    buf_free(&avro);
    buf_free(&records);
    return ok;
}
