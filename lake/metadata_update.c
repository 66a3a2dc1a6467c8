/* The next state of a table: requirements and updates of the REST catalog, applied to
 * metadata.json. An action or a requirement that is not known is an error of ours. */
#include "lake/metadata.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define PREVIOUS_VERSIONS_MAX \
    100 /* Iceberg's default of write.metadata.previous-versions-max */

static bool
unmet(struct err *e, const char *what)
{
    return err_set(e, MR_CATALOG_CONFLICT, "the table changed: another %s", what);
}

static int64_t
ref_snapshot(const struct json *doc, const char *ref)
{
    return json_get_i64(json_get(json_get(doc, "refs"), ref), "snapshot-id", -1);
}

static bool
check_one(const struct json *doc, const struct json *r, struct err *e)
{
    const char *type = json_get_str(r, "type", "");
    if (strcmp(type, "assert-table-uuid") == 0)
        return strcmp(json_get_str(doc, "table-uuid", ""), json_get_str(r, "uuid", "-")) == 0 ||
               unmet(e, "table has this name now");
    if (strcmp(type, "assert-ref-snapshot-id") == 0)
        return ref_snapshot(doc, json_get_str(r, "ref", "main")) ==
                   json_get_i64(r, "snapshot-id", -1) ||
               unmet(e, "snapshot is current");
    if (strcmp(type, "assert-current-schema-id") == 0)
        return json_get_i64(doc, "current-schema-id", -1) ==
                   json_get_i64(r, "current-schema-id", -2) ||
               unmet(e, "schema is current");
    if (strcmp(type, "assert-last-assigned-field-id") == 0)
        return json_get_i64(doc, "last-column-id", -1) ==
                   json_get_i64(r, "last-assigned-field-id", -2) ||
               unmet(e, "column was added");
    return err_set(e, MR_INTERNAL, "requirement %s", type);
}

/* Lists that old or foreign metadata may lack. */
static struct json *
list_of(struct json *doc, const char *key)
{
    struct json *list = json_get(doc, key);
    if (json_is_array(list))
        return list;
    json_set(doc, key, json_array_new());
    return json_get(doc, key);
}

static struct json *
object_of(struct json *doc, const char *key)
{
    struct json *o = json_get(doc, key);
    if (json_is_object(o))
        return o;
    json_set(doc, key, json_object_new());
    return json_get(doc, key);
}

static bool
add_schema(struct json *doc, const struct json *update, struct err *e)
{
    const struct json *schema = json_get(update, "schema");
    int64_t last = json_get_i64(doc, "last-column-id", 0);
    int64_t given = json_get_i64(update, "last-column-id", 0);
    const struct json *fields = json_get(schema, "fields");
    const struct json *known = list_of(doc, "schemas");
    for (size_t i = 0; i < json_len(known); i++)
        if (json_get_i64(json_at(known, i), "schema-id", -1) ==
            json_get_i64(schema, "schema-id", -1))
            return err_set(e, MR_CATALOG_CONFLICT,
                           "the table changed: another schema was added");
    last = given > last ? given : last;
    for (size_t i = 0; i < json_len(fields); i++) {
        int64_t id = json_get_i64(json_at(fields, i), "id", 0);
        last = id > last ? id : last;
    }
    if (!json_is_object(schema))
        return err_set(e, MR_INTERNAL, "add-schema without one");
    json_push(list_of(doc, "schemas"), json_clone(schema));
    json_set(doc, "last-column-id", json_i64(last));
    return true;
}

/* -1 means the schema added last. */
static bool
set_current_schema(struct json *doc, const struct json *update)
{
    int64_t id = json_get_i64(update, "schema-id", -1);
    const struct json *known = list_of(doc, "schemas");
    if (id < 0)
        id = json_get_i64(json_at(known, json_len(known) - 1), "schema-id", 0);
    json_set(doc, "current-schema-id", json_i64(id));
    return true;
}

static bool
add_snapshot(struct json *doc, const struct json *update, struct err *e)
{
    const struct json *s = json_get(update, "snapshot");
    int64_t sequence = json_get_i64(s, "sequence-number", 0);
    if (!json_is_object(s))
        return err_set(e, MR_INTERNAL, "add-snapshot without one");
    if (sequence <= json_get_i64(doc, "last-sequence-number", 0))
        return unmet(e, "snapshot took the sequence number");
    if (json_get_i64(doc, "format-version", 2) >= 3) {
        int64_t first = json_get_i64(s, "first-row-id", -1);
        if (first < json_get_i64(doc, "next-row-id", 0))
            return unmet(e, "snapshot took the row ids");
        json_set(doc, "next-row-id", json_i64(first + json_get_i64(s, "added-rows", 0)));
    }
    json_set(doc, "last-sequence-number", json_i64(sequence));
    json_push(list_of(doc, "snapshots"), json_clone(s));
    return true;
}

static bool
set_snapshot_ref(struct json *doc, const struct json *update, uint64_t now_ms)
{
    const char *name = json_get_str(update, "ref-name", "main");
    int64_t id = json_get_i64(update, "snapshot-id", -1);
    const struct json *old = json_get(object_of(doc, "refs"), name);
    struct json *ref = json_is_object(old) ? json_clone(old) : json_object_new();
    json_set(ref, "snapshot-id", json_i64(id));
    json_set(ref, "type", json_str(json_get_str(update, "type", "branch")));
    json_set(object_of(doc, "refs"), name, ref);
    if (strcmp(name, "main") != 0)
        return true;
    struct json *entry = json_object_new();
    json_set(entry, "snapshot-id", json_i64(id));
    json_set(entry, "timestamp-ms", json_u64(now_ms));
    json_push(list_of(doc, "snapshot-log"), entry);
    json_set(doc, "current-snapshot-id", json_i64(id));
    return true;
}

static bool
holds(const struct json *ids, int64_t id)
{
    for (size_t i = 0; i < json_len(ids); i++)
        if (json_i64_value(json_at(ids, i), -1) == id)
            return true;
    return false;
}

/* Keeps the items of a list whose snapshot is not removed. `cut`: what lies before a removed
 * one goes too (the log must have no holes). */
static void
keep_others(struct json *doc, const char *key, const struct json *ids, bool cut)
{
    const struct json *old = json_get(doc, key);
    struct json *kept = json_array_new();
    if (!json_is_array(old)) {
        json_free(kept);
        return;
    }
    for (size_t i = 0; i < json_len(old); i++) {
        struct json *item = json_at(old, i);
        if (!holds(ids, json_get_i64(item, "snapshot-id", -1))) {
            json_push(kept, json_ref(item));
        } else if (cut) {
            json_free(kept);
            kept = json_array_new();
        }
    }
    json_set(doc, key, kept);
}

static bool
remove_snapshots(struct json *doc, const struct json *update)
{
    const struct json *ids = json_get(update, "snapshot-ids");
    keep_others(doc, "snapshots", ids, false);
    keep_others(doc, "snapshot-log", ids, true);
    keep_others(doc, "statistics", ids, false);
    keep_others(doc, "partition-statistics", ids, false);
    return true;
}

static bool
set_properties(struct json *doc, const struct json *update)
{
    struct json *all = object_of(doc, "properties"), *value;
    const char *key;
    for (void *it = NULL; (it = json_next(json_get(update, "updates"), it, &key, &value));)
        json_set(all, key, json_clone(value));
    return true;
}

static bool
remove_properties(struct json *doc, const struct json *update)
{
    const struct json *keys = json_get(update, "removals");
    for (size_t i = 0; i < json_len(keys); i++)
        json_del(object_of(doc, "properties"), json_str_value(json_at(keys, i), ""));
    return true;
}

static bool
apply_one(struct json *doc, const struct json *update, uint64_t now_ms, struct err *e)
{
    const char *action = json_get_str(update, "action", "");
    if (strcmp(action, "add-schema") == 0)
        return add_schema(doc, update, e);
    if (strcmp(action, "set-current-schema") == 0)
        return set_current_schema(doc, update);
    if (strcmp(action, "add-snapshot") == 0)
        return add_snapshot(doc, update, e);
    if (strcmp(action, "set-snapshot-ref") == 0)
        return set_snapshot_ref(doc, update, now_ms);
    if (strcmp(action, "remove-snapshots") == 0)
        return remove_snapshots(doc, update);
    if (strcmp(action, "set-properties") == 0)
        return set_properties(doc, update);
    if (strcmp(action, "remove-properties") == 0)
        return remove_properties(doc, update);
    return err_set(e, MR_INTERNAL, "update %s", action);
}

/* The log of earlier metadata files, the oldest dropped. */
static void
log_previous(struct json *doc, const struct metadata *m, const char *location)
{
    int64_t max;
    const char *text = metadata_property(m, "write.metadata.previous-versions-max");
    if (!text || !text_i64(text, &max) || max < 1)
        max = PREVIOUS_VERSIONS_MAX;
    struct json *entry = json_object_new();
    json_set(entry, "timestamp-ms", json_i64(m->last_updated_ms));
    json_set(entry, "metadata-file", json_str(location));
    json_push(list_of(doc, "metadata-log"), entry);
    const struct json *log = json_get(doc, "metadata-log");
    size_t n = json_len(log), first = n > (size_t)max ? n - (size_t)max : 0;
    struct json *kept = json_array_new();
    for (size_t i = first; i < n; i++)
        json_push(kept, json_ref(json_at(log, i)));
    json_set(doc, "metadata-log", kept);
}

bool
metadata_next(const struct metadata *m, const char *location, const struct json *requirements,
              const struct json *updates, struct metadata **out, struct err *e)
{
    uint64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < json_len(requirements); i++)
        if (!check_one(m->doc, json_at(requirements, i), e))
            return false;
    /* Time does not run backwards in a table, whatever the clocks do. */
    if (now_ms < (uint64_t)m->last_updated_ms)
        now_ms = (uint64_t)m->last_updated_ms;
    struct json *doc = json_clone(m->doc);
    bool ok = true;
    for (size_t i = 0; ok && i < json_len(updates); i++)
        ok = apply_one(doc, json_at(updates, i), now_ms, e);
    if (!ok) {
        json_free(doc);
        return false;
    }
    json_set(doc, "last-updated-ms", json_u64(now_ms));
    if (location)
        log_previous(doc, m, location);
    return metadata_of_json(doc, out, e);
}
