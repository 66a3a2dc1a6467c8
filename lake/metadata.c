/* metadata.json: reading, checking, and what callers ask of it. */
#include "lake/metadata.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/compress.h"
#include "base/hash.h"
#include "base/mem.h"
#include "lake/schema_json.h"

#define LAST_PARTITION_ID 999 /* of a table that never had a partition field */

static bool
broken(struct err *e, const char *what)
{
    return err_set(e, MR_LAKE_METADATA, "table metadata: %s", what);
}

/* A member that must be an integer >= least. */
static bool
need_number(const struct json *doc, const char *key, int64_t least, int64_t *out, struct err *e)
{
    *out = json_get_i64(doc, key, INT64_MIN);
    return *out >= least ||
           err_set(e, MR_LAKE_METADATA, "table metadata: %s is missing or wrong", key);
}

static bool
need_id(const struct json *doc, const char *key, int32_t *out, struct err *e)
{
    int64_t v;
    if (!need_number(doc, key, 0, &v, e) || v > INT32_MAX)
        return broken(e, "an id is missing or out of range");
    *out = (int32_t)v;
    return true;
}

static bool
need_text(const struct json *doc, const char *key, const char **out, struct err *e)
{
    *out = json_get_str(doc, key, NULL);
    return *out || err_set(e, MR_LAKE_METADATA, "table metadata: %s is missing", key);
}

static bool
check_version(struct metadata *m, struct err *e)
{
    int64_t version;
    if (!json_is_object(m->doc))
        return broken(e, "not an object");
    if (!need_number(m->doc, "format-version", 1, &version, e))
        return false;
    if (version > 3)
        return err_set(e, MR_LAKE_VERSION, "format version %lld", (long long)version);
    if (version < 2)
        return err_set(e, MR_LAKE_UNSUPPORTED, "format version 1");
    m->version = (int)version;
    return true;
}

static bool
check_snapshots(const struct metadata *m, struct err *e)
{
    const struct json *list = json_get(m->doc, "snapshots");
    struct snapshot s;
    if (!json_is_null(list) && !json_is_array(list))
        return broken(e, "snapshots is not a list");
    for (size_t i = 0; i < json_len(list); i++)
        if (!metadata_snapshot_at(m, i, &s))
            return broken(e, "a snapshot lacks its id, sequence number or manifest list");
    if (m->current_snapshot >= 0 && !metadata_snapshot(m, m->current_snapshot, &s))
        return broken(e, "the current snapshot is not in the list");
    return true;
}

static bool
check_current(struct metadata *m, struct err *e)
{
    m->current_snapshot = json_get_i64(m->doc, "current-snapshot-id", -1);
    if (!json_is_array(json_get(m->doc, "schemas")) ||
        !json_is_array(json_get(m->doc, "partition-specs")))
        return broken(e, "schemas or partition-specs are missing");
    if (m->version >= 3 && !need_number(m->doc, "next-row-id", 0, &m->next_row_id, e))
        return false;
    const struct json *properties = json_get(m->doc, "properties");
    if (!json_is_null(properties) && !json_is_object(properties))
        return broken(e, "properties is not an object");
    return check_snapshots(m, e);
}

bool
metadata_of_json(struct json *doc, struct metadata **out, struct err *e)
{
    struct metadata *m = mem_zalloc(sizeof(*m));
    m->doc = doc;
    if (check_version(m, e) && need_text(doc, "table-uuid", &m->uuid, e) &&
        need_text(doc, "location", &m->location, e) &&
        need_number(doc, "last-sequence-number", 0, &m->last_sequence, e) &&
        need_number(doc, "last-updated-ms", 0, &m->last_updated_ms, e) &&
        need_id(doc, "current-schema-id", &m->current_schema, e) &&
        need_id(doc, "last-column-id", &m->last_column_id, e) && check_current(m, e)) {
        *out = m;
        return true;
    }
    metadata_free(m);
    return false;
}

static bool
parse_json(struct bytes text, struct metadata **out, struct err *e)
{
    struct json *doc;
    if (json_parse(text, &doc, e))
        return metadata_of_json(doc, out, e);
    e->code = MR_LAKE_METADATA;
    e->class = err_info(e->code)->class;
    return err_wrap(e, "table metadata");
}

bool
metadata_parse(struct bytes text, struct metadata **out, struct err *e)
{
    struct buf plain = {0};
    bool ok = true;
    if (text.n < 2 || text.p[0] != 0x1f || text.p[1] != 0x8b)
        return parse_json(text, out, e);
    if (!decompress_gzip(text, METADATA_BYTES_MAX, &plain, e))
        ok = broken(e, "its gzip data is damaged");
    ok = ok && parse_json(buf_bytes(&plain), out, e);
    buf_free(&plain);
    return ok;
}

void
metadata_free(struct metadata *m)
{
    if (m)
        json_free(m->doc);
    free(m);
}

void
metadata_write(const struct metadata *m, struct buf *out)
{
    json_dump(m->doc, out);
}

/* A list of one object with an id and no fields: partition specs, sort orders. */
static struct json *
empty_list(const char *id_key)
{
    struct json *list = json_array_new();
    struct json *o = json_object_new();
    json_set(o, id_key, json_i64(0));
    json_set(o, "fields", json_array_new());
    json_push(list, o);
    return list;
}

static int32_t
largest_id(const struct lake_schema *s)
{
    int32_t id = 0;
    for (uint32_t i = 0; i < s->field_count; i++)
        id = s->fields[i].id > id ? s->fields[i].id : id;
    return id;
}

bool
metadata_new(const struct metadata_conf *conf, struct metadata **out, struct err *e)
{
    char uuid[37];
    struct json *doc = json_object_new();
    struct json *schemas = json_array_new();
    uuid_v7(uuid);
    json_push(schemas, schema_json_write(conf->schema));
    json_set(doc, "format-version", json_i64(conf->version));
    json_set(doc, "table-uuid", json_str(uuid));
    json_set(doc, "location", json_str(conf->location));
    json_set(doc, "last-sequence-number", json_i64(0));
    json_set(doc, "last-updated-ms", json_u64(clock_wall_ms()));
    json_set(doc, "last-column-id", json_i64(largest_id(conf->schema)));
    json_set(doc, "current-schema-id", json_i64(conf->schema->id));
    json_set(doc, "schemas", schemas);
    json_set(doc, "default-spec-id", json_i64(0));
    json_set(doc, "partition-specs", empty_list("spec-id"));
    json_set(doc, "last-partition-id", json_i64(LAST_PARTITION_ID));
    json_set(doc, "default-sort-order-id", json_i64(0));
    json_set(doc, "sort-orders", empty_list("order-id"));
    json_set(doc, "properties",
             conf->properties ? json_clone(conf->properties) : json_object_new());
    json_set(doc, "current-snapshot-id", json_null_new());
    json_set(doc, "refs", json_object_new());
    json_set(doc, "snapshots", json_array_new());
    json_set(doc, "statistics", json_array_new());
    json_set(doc, "partition-statistics", json_array_new());
    json_set(doc, "snapshot-log", json_array_new());
    json_set(doc, "metadata-log", json_array_new());
    if (conf->version >= 3)
        json_set(doc, "next-row-id", json_i64(0));
    return metadata_of_json(doc, out, e);
}

bool
metadata_schema(const struct metadata *m, int32_t id, struct arena *a, struct lake_schema *out,
                struct err *e)
{
    const struct json *list = json_get(m->doc, "schemas");
    int32_t wanted = id < 0 ? m->current_schema : id;
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_i64(json_at(list, i), "schema-id", -1) == wanted)
            return schema_json_read(json_at(list, i), a, out, e);
    return err_set(e, MR_LAKE_METADATA, "table metadata: no schema %d", wanted);
}

const char *
metadata_property(const struct metadata *m, const char *key)
{
    return json_get_str(json_get(m->doc, "properties"), key, NULL);
}

size_t
metadata_snapshot_count(const struct metadata *m)
{
    return json_len(json_get(m->doc, "snapshots"));
}

bool
metadata_snapshot_at(const struct metadata *m, size_t i, struct snapshot *out)
{
    const struct json *j = json_at(json_get(m->doc, "snapshots"), i);
    out->id = json_get_i64(j, "snapshot-id", -1);
    out->parent = json_get_i64(j, "parent-snapshot-id", -1);
    out->sequence = json_get_i64(j, "sequence-number", 0);
    out->timestamp_ms = json_get_i64(j, "timestamp-ms", 0);
    out->manifest_list = json_get_str(j, "manifest-list", NULL);
    out->summary = json_get(j, "summary");
    return out->id >= 0 && out->sequence >= 0 && out->manifest_list != NULL;
}

bool
metadata_snapshot(const struct metadata *m, int64_t id, struct snapshot *out)
{
    /* The newest are asked for most. */
    for (size_t i = metadata_snapshot_count(m); i > 0; i--)
        if (metadata_snapshot_at(m, i - 1, out) && out->id == id)
            return true;
    return false;
}

bool
metadata_is_ancestor(const struct metadata *m, int64_t id)
{
    struct snapshot s;
    int64_t at = m->current_snapshot;
    if (!metadata_snapshot(m, id, &s))
        return false;
    for (size_t left = metadata_snapshot_count(m); left > 0 && at >= 0; left--) {
        if (at == id)
            return true;
        at = metadata_snapshot(m, at, &s) ? s.parent : -1;
    }
    return false;
}

bool
metadata_is_referenced(const struct metadata *m, int64_t id)
{
    const char *name;
    struct json *ref;
    for (void *it = NULL; (it = json_next(json_get(m->doc, "refs"), it, &name, &ref)) != NULL;)
        if (json_get_i64(ref, "snapshot-id", -1) == id)
            return true;
    return m->current_snapshot == id;
}

bool
metadata_writable(const struct metadata *m, struct err *e)
{
    const struct json *specs = json_get(m->doc, "partition-specs");
    for (size_t i = 0; i < json_len(specs); i++)
        if (json_len(json_get(json_at(specs, i), "fields")) > 0)
            return err_set(e, MR_LAKE_UNSUPPORTED, "the table %s is partitioned", m->location);
    return true;
}
