/* What the catalog is told: requirements, updates, and the snapshot with its summary. */
#include "base/clock.h"
#include "base/text.h"
#include "lake/commit_private.h"

static void
set_count(struct json *o, const char *key, int64_t v)
{
    struct buf text = {0};
    buf_add_i64_text(&text, v);
    json_set(o, key, json_str(buf_cstr(&text)));
    buf_free(&text);
}

/* Only what happened is told. */
static void
set_if_any(struct json *o, const char *key, int64_t v)
{
    if (v > 0)
        set_count(o, key, v);
}

static struct file_sums
sums_of(const struct entry_list *l, bool equality)
{
    struct file_sums s = {0};
    for (size_t i = 0; i < l->len; i++) {
        const struct data_file *f = &l->items[i].file;
        if ((f->content == DATA_FILE_EQUALITY) != equality)
            continue;
        s.files++;
        s.rows += f->rows;
        s.bytes += f->content_offset >= 0 ? f->content_size : f->size;
    }
    return s;
}

static const char *
operation_of(const struct commit *c, const struct commit_attempt *t)
{
    if (c->operation)
        return c->operation;
    if (!c->deletes.len && !t->removed_data.files && !t->removed_deletes.files)
        return "append";
    return c->rows.len ? "overwrite" : "delete";
}

/* A total of the parent snapshot; 0 without a parent, -1 when it does not tell. */
static int64_t
parent_total(const struct commit *c, const char *key)
{
    struct snapshot s;
    int64_t v;
    if (!metadata_snapshot(c->table->state.metadata, c->table->state.metadata->current_snapshot,
                           &s))
        return 0;
    const char *text = json_get_str(s.summary, key, NULL);
    return text && text_i64(text, &v) ? v : -1;
}

/* Totals of files and rows are counted in the manifest list itself, so they are exact whatever
 * others wrote; bytes only follow. */
static void
set_totals(struct json *o, const struct commit *c, const struct commit_attempt *t,
           int64_t bytes_change)
{
    int64_t files[2] = {0}, rows[2] = {0};
    int64_t equality = parent_total(c, "total-equality-deletes");
    if (equality >= 0) /* none of them is ever removed here */
        equality += sums_of(&c->deletes, true).rows;
    int64_t bytes = parent_total(c, "total-files-size");
    for (size_t i = 0; i < t->len; i++) {
        const struct manifest_file *f = &t->files[i];
        files[f->deletes] += f->counts[MANIFEST_ADDED] + f->counts[MANIFEST_EXISTING];
        rows[f->deletes] += f->rows[MANIFEST_ADDED] + f->rows[MANIFEST_EXISTING];
    }
    set_count(o, "total-data-files", files[0]);
    set_count(o, "total-records", rows[0]);
    set_count(o, "total-delete-files", files[1]);
    if (equality >= 0) {
        set_count(o, "total-position-deletes", rows[1] - equality);
        set_count(o, "total-equality-deletes", equality);
    }
    if (bytes >= 0)
        set_count(o, "total-files-size", bytes + bytes_change);
}

static struct json *
summary_of(const struct commit *c, const struct commit_attempt *t)
{
    struct json *o = json_object_new(), *value;
    struct file_sums rows = sums_of(&c->rows, false), deletes = sums_of(&c->deletes, false);
    struct file_sums equality = sums_of(&c->deletes, true);
    bool vectors = c->table->state.metadata->version >= 3;
    const char *key;
    json_set(o, "operation", json_str(operation_of(c, t)));
    for (void *it = NULL; (it = json_next(c->summary, it, &key, &value)) != NULL;)
        json_set(o, key, json_ref(value));
    set_if_any(o, "added-data-files", rows.files);
    set_if_any(o, "added-records", rows.rows);
    set_if_any(o, "deleted-data-files", t->removed_data.files);
    set_if_any(o, "deleted-records", t->removed_data.rows);
    set_if_any(o, "added-delete-files", deletes.files + equality.files);
    set_if_any(o, "added-equality-delete-files", equality.files);
    set_if_any(o, "added-equality-deletes", equality.rows);
    set_if_any(o, vectors ? "added-dvs" : "added-position-delete-files", deletes.files);
    set_if_any(o, "added-position-deletes", deletes.rows);
    set_if_any(o, "removed-delete-files", t->removed_deletes.files);
    set_if_any(o, vectors ? "removed-dvs" : "removed-position-delete-files",
               t->removed_deletes.files);
    set_if_any(o, "removed-position-deletes", t->removed_deletes.rows);
    int64_t added = rows.bytes + deletes.bytes + equality.bytes;
    set_if_any(o, "added-files-size", added);
    set_if_any(o, "removed-files-size", t->removed_data.bytes + t->removed_deletes.bytes);
    set_count(o, "changed-partition-count",
              rows.files + deletes.files + equality.files + t->removed_data.files > 0);
    set_totals(o, c, t, added - t->removed_data.bytes - t->removed_deletes.bytes);
    return o;
}

static struct json *
snapshot_of(const struct commit *c, const struct commit_attempt *t)
{
    const struct metadata *m = c->table->state.metadata;
    struct json *s = json_object_new();
    int64_t now = (int64_t)clock_wall_ms();
    json_set(s, "snapshot-id", json_i64(c->snapshot_id));
    if (m->current_snapshot >= 0)
        json_set(s, "parent-snapshot-id", json_i64(m->current_snapshot));
    json_set(s, "sequence-number", json_i64(t->sequence));
    json_set(s, "timestamp-ms", json_i64(now > m->last_updated_ms ? now : m->last_updated_ms));
    json_set(s, "manifest-list", json_str(t->list_path));
    json_set(s, "summary", summary_of(c, t));
    json_set(s, "schema-id",
             json_i64(c->schema ? json_get_i64(c->schema, "schema-id", 0) : m->current_schema));
    if (m->version >= 3) {
        json_set(s, "first-row-id", json_i64(t->first_row_id));
        json_set(s, "added-rows", json_i64(t->added_rows));
    }
    return s;
}

/* A new member of the list, {key: value}; for more members. */
static struct json *
push_object(struct json *list, const char *key, const char *value)
{
    struct json *o = json_object_new();
    json_set(o, key, json_str(value));
    json_push(list, o);
    return o;
}

struct json *
commit_requirements(const struct commit *c)
{
    const struct metadata *m = c->table->state.metadata;
    struct json *list = json_array_new();
    json_set(push_object(list, "type", "assert-table-uuid"), "uuid", json_str(m->uuid));
    struct json *ref = push_object(list, "type", "assert-ref-snapshot-id");
    json_set(ref, "ref", json_str("main"));
    json_set(ref, "snapshot-id",
             m->current_snapshot >= 0 ? json_i64(m->current_snapshot) : json_null_new());
    json_set(push_object(list, "type", "assert-current-schema-id"), "current-schema-id",
             json_i64(c->base_schema));
    if (c->schema)
        json_set(push_object(list, "type", "assert-last-assigned-field-id"),
                 "last-assigned-field-id", json_i64(c->base_last_column));
    return list;
}

static void
push_schema(struct json *list, const struct commit *c)
{
    int64_t id = -1; /* the one added last */
    if (c->schema_known) {
        id = json_get_i64(c->schema, "schema-id", 0);
    } else {
        struct json *add = push_object(list, "action", "add-schema");
        json_set(add, "last-column-id", json_i64(c->last_column));
        json_set(add, "schema", json_clone(c->schema));
    }
    json_set(push_object(list, "action", "set-current-schema"), "schema-id", json_i64(id));
}

/* Of those that the table has: some catalogs refuse to remove what is not there. */
static void
push_removals(struct json *list, const struct commit *c)
{
    struct json *keys = json_array_new();
    for (size_t i = 0; i < json_len(c->unset); i++) {
        struct json *key = json_at(c->unset, i);
        if (metadata_property(c->table->state.metadata, json_str_value(key, "")))
            json_push(keys, json_ref(key));
    }
    if (json_len(keys))
        json_set(push_object(list, "action", "remove-properties"), "removals", keys);
    else
        json_free(keys);
}

/* Those that are there and that no branch or tag points to now. */
static void
push_expired(struct json *list, const struct commit *c)
{
    const struct metadata *m = c->table->state.metadata;
    struct json *ids = json_array_new();
    struct snapshot s;
    for (size_t i = 0; i < json_len(c->expired); i++) {
        int64_t id = json_i64_value(json_at(c->expired, i), -1);
        if (metadata_snapshot(m, id, &s) && !metadata_is_referenced(m, id))
            json_push(ids, json_i64(id));
    }
    if (json_len(ids))
        json_set(push_object(list, "action", "remove-snapshots"), "snapshot-ids", ids);
    else
        json_free(ids);
}

struct json *
commit_updates(const struct commit *c, const struct commit_attempt *t)
{
    struct json *list = json_array_new();
    if (c->schema)
        push_schema(list, c);
    if (t) {
        json_set(push_object(list, "action", "add-snapshot"), "snapshot", snapshot_of(c, t));
        struct json *ref = push_object(list, "action", "set-snapshot-ref");
        json_set(ref, "ref-name", json_str("main"));
        json_set(ref, "type", json_str("branch"));
        json_set(ref, "snapshot-id", json_i64(c->snapshot_id));
    }
    if (json_len(c->properties))
        json_set(push_object(list, "action", "set-properties"), "updates",
                 json_clone(c->properties));
    push_removals(list, c);
    push_expired(list, c);
    return list;
}
