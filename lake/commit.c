/* The transaction: what it holds, and the loop of its attempts. */
#include "lake/commit.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "lake/commit_private.h"

#define ATTEMPTS_MAX  10
#define BACKOFF_MS    50
#define BACKOFF_TIMES 64
#define MERGE_AT      100

static int64_t
new_snapshot_id(void)
{
    int64_t id = 0;
    while (id == 0)
        id = (int64_t)(random_u64() >> 1);
    return id;
}

struct commit *
commit_new(struct lake_table *t, const struct commit_conf *conf)
{
    struct commit *c = mem_zalloc(sizeof(*c));
    const struct metadata *m = t->state.metadata;
    arena_init(&c->mem, 0);
    c->table = t;
    c->conf = *conf;
    c->conf.base_key = conf->base_key ? arena_strdup(&c->mem, conf->base_key) : NULL;
    c->conf.base_value = conf->base_value ? arena_strdup(&c->mem, conf->base_value) : NULL;
    c->conf.attempts_max = conf->attempts_max ? conf->attempts_max : ATTEMPTS_MAX;
    c->conf.backoff_ms = conf->backoff_ms ? conf->backoff_ms : BACKOFF_MS;
    c->conf.merge_at = conf->merge_at ? conf->merge_at : MERGE_AT;
    c->properties = json_object_new();
    c->unset = json_array_new();
    c->summary = json_object_new();
    c->expired = json_array_new();
    c->snapshot_id = new_snapshot_id();
    c->base_snapshot = m->current_snapshot;
    c->base_schema = m->current_schema;
    c->base_last_column = m->last_column_id;
    return c;
}

void
commit_remove_file(struct commit *c, const char *path)
{
    struct err ignored;
    for (size_t i = 0; i < c->written_len; i++) {
        if (strcmp(c->written[i], path) != 0)
            continue;
        (void)!storage_remove(c->table->catalog->storage, path, &ignored);
        free(c->written[i]);
        c->written[i] = c->written[--c->written_len];
        return;
    }
}

void
commit_free(struct commit *c)
{
    if (!c)
        return;
    while (!c->done && !c->unsure && !c->list_failed && c->written_len > 0)
        commit_remove_file(c, c->written[0]);
    for (size_t i = 0; i < c->written_len; i++)
        free(c->written[i]);
    for (size_t i = 0; i < c->rewrites_len; i++)
        free(c->rewrites[i].from);
    free(c->written);
    free(c->rewrites);
    free(c->rows.items);
    free(c->deletes.items);
    free(c->expected);
    map_free(&c->removed);
    json_free(c->properties);
    json_free(c->unset);
    json_free(c->summary);
    json_free(c->schema);
    json_free(c->expired);
    arena_free(&c->mem);
    free(c);
}

void
entry_list_add(struct entry_list *l, const struct manifest_entry *m)
{
    if (l->len == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->items = mem_realloc(l->items, l->cap * sizeof(*l->items));
    }
    l->items[l->len++] = *m;
}

/* A copy whose parts are the arena's. */
static struct data_file
copy_file(const struct data_file *f, struct arena *a)
{
    struct data_file out = *f;
    struct file_metric *metrics = arena_alloc(a, (f->metrics_len + 1) * sizeof(*metrics));
    int64_t *splits = arena_alloc(a, (f->splits_len + 1) * sizeof(*splits));
    int32_t *ids = arena_alloc(a, (f->equality_len + 1) * sizeof(*ids));
    for (uint32_t i = 0; i < f->metrics_len; i++) {
        metrics[i] = f->metrics[i];
        metrics[i].lower = arena_copy(a, f->metrics[i].lower);
        metrics[i].upper = arena_copy(a, f->metrics[i].upper);
    }
    for (uint32_t i = 0; i < f->splits_len; i++)
        splits[i] = f->split_offsets[i];
    for (uint32_t i = 0; i < f->equality_len; i++)
        ids[i] = f->equality_ids[i];
    out.metrics = metrics;
    out.split_offsets = splits;
    out.equality_ids = ids;
    out.path = arena_strdup(a, f->path);
    out.format = arena_strdup(a, f->format);
    out.referenced = f->referenced ? arena_strdup(a, f->referenced) : NULL;
    if (f->key_metadata.p)
        out.key_metadata = arena_copy(a, f->key_metadata);
    return out;
}

static void
add_entry(struct commit *c, struct entry_list *l, const struct data_file *f)
{
    struct manifest_entry m = {.status = MANIFEST_ADDED,
                               .snapshot_id = c->snapshot_id,
                               .sequence = -1,
                               .file_sequence = -1,
                               .file = copy_file(f, &c->mem)};
    entry_list_add(l, &m);
}

void
commit_add_rows(struct commit *c, const struct data_file *f)
{
    add_entry(c, &c->rows, f);
}

void
commit_add_deletes(struct commit *c, const struct data_file *f)
{
    add_entry(c, &c->deletes, f);
}

struct bytes
commit_key(const struct data_file *f, struct arena *a)
{
    return bytes_str(arena_printf(a, "%d %lld %s", f->content != DATA_FILE_ROWS,
                                  (long long)f->content_offset, f->path));
}

void
commit_remove(struct commit *c, const struct data_file *f)
{
    bool fresh;
    map_put(&c->removed, commit_key(f, &c->mem), &fresh);
    c->removed_data += fresh && f->content == DATA_FILE_ROWS;
}

void
commit_expect_deletes(struct commit *c, const struct lake_file *f)
{
    struct commit_expected x = {.path = arena_strdup(&c->mem, f->rows->file.path)};
    x.deletes = arena_zalloc(&c->mem, (f->positions_len + 1) * sizeof(*x.deletes));
    if (f->vector)
        x.deletes[x.len++] = commit_key(&f->vector->file, &c->mem);
    for (uint32_t i = 0; i < f->positions_len; i++)
        x.deletes[x.len++] = commit_key(&f->positions[i]->file, &c->mem);
    c->expected = mem_realloc(c->expected, (c->expected_len + 1) * sizeof(*c->expected));
    c->expected[c->expected_len++] = x;
}

void
commit_set_property(struct commit *c, const char *key, const char *value)
{
    if (value)
        json_set(c->properties, key, json_str(value));
    else
        json_push(c->unset, json_str(key));
}

void
commit_set_summary(struct commit *c, const char *key, const char *value)
{
    json_set(c->summary, key, json_str(value));
}

void
commit_set_operation(struct commit *c, const char *operation)
{
    c->operation = arena_strdup(&c->mem, operation);
}

void
commit_claim(struct commit *c)
{
    c->claim = true;
}

static bool
is_schema(const struct metadata *m, int32_t id, const struct lake_schema *s)
{
    struct arena a;
    struct lake_schema have;
    struct err ignored;
    arena_init(&a, 0);
    bool same = metadata_schema(m, id, &a, &have, &ignored) && lake_schema_equal(&have, s);
    arena_free(&a);
    return same;
}

/* The id of a schema of the table that is just this one (*known), or one above all. REST
 * catalogs choose it in the same way. */
static int32_t
schema_id(const struct metadata *m, const struct lake_schema *s, bool *known)
{
    const struct json *list = json_get(m->doc, "schemas");
    int64_t id = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        int64_t have = json_get_i64(json_at(list, i), "schema-id", 0);
        if ((*known = is_schema(m, (int32_t)have, s)))
            return (int32_t)have;
        id = have > id ? have : id;
    }
    return (int32_t)(id < INT32_MAX ? id + 1 : id);
}

void
commit_set_schema(struct commit *c, const struct lake_schema *s, int32_t last_column_id)
{
    struct lake_schema next = *s;
    next.id = schema_id(c->table->state.metadata, s, &c->schema_known);
    json_free(c->schema);
    c->schema = schema_json_write(&next);
    c->last_column = last_column_id;
}

void
commit_expire(struct commit *c, const int64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_push(c->expired, json_i64(ids[i]));
}

bool
commit_has_snapshot(const struct commit *c)
{
    return c->claim || c->rows.len || c->deletes.len || c->removed.len;
}

int64_t
commit_snapshot_id(const struct commit *c)
{
    return commit_has_snapshot(c) ? c->snapshot_id : -1;
}

bool
commit_unsure(const struct commit *c)
{
    return c->unsure && !c->done;
}

unsigned
commit_conflicts(const struct commit *c)
{
    return c->conflicts;
}

bool
commit_write_file(struct commit *c, const char *suffix, struct bytes content, const char **path,
                  struct err *e)
{
    char *name =
        mem_printf("%s/metadata/" COMMIT_NAME_PREFIX "%016llx-%s.avro",
                   c->table->state.metadata->location, (long long)c->snapshot_id, suffix);
    if (!storage_put(c->table->catalog->storage, name, content, e)) {
        free(name);
        return false;
    }
    c->written = mem_realloc(c->written, (c->written_len + 1) * sizeof(*c->written));
    c->written[c->written_len++] = name;
    *path = arena_strdup(&c->mem, name);
    return true;
}

/* The table has every property that the commit sets: a commit without a snapshot is done. */
static bool
properties_are_set(const struct commit *c)
{
    const struct metadata *m = c->table->state.metadata;
    const char *key;
    struct json *value;
    for (void *it = NULL; (it = json_next(c->properties, it, &key, &value)) != NULL;) {
        const char *have = metadata_property(m, key);
        if (!have || strcmp(have, json_str_value(value, "")) != 0)
            return false;
    }
    return json_len(c->properties) > 0;
}

static bool
is_committed(const struct commit *c)
{
    if (commit_has_snapshot(c))
        return metadata_is_ancestor(c->table->state.metadata, c->snapshot_id);
    return c->unsure && properties_are_set(c);
}

static bool
check_base(const struct commit *c, struct err *e)
{
    const struct metadata *m = c->table->state.metadata;
    const char *key = c->conf.base_key, *want = c->conf.base_value;
    const char *have = key ? metadata_property(m, key) : NULL;
    if (key && (!have != !want || (have && strcmp(have, want) != 0)))
        return err_set(e, MR_LAKE_BASE_CHANGED, "table %s.%s: property %s %s", c->table->space,
                       c->table->table, key, have ? "has another value" : "is gone");
    if (m->current_schema != c->base_schema ||
        (c->schema && m->last_column_id != c->base_last_column))
        return err_set(e, MR_LAKE_BASE_CHANGED, "table %s.%s has another schema",
                       c->table->space, c->table->table);
    return metadata_writable(m, e);
}

/* Builds the files and asks the catalog, once. */
static bool
try_once(struct commit *c, struct err *e)
{
    struct commit_attempt t = {0};
    struct catalog_table next;
    bool snapshot = commit_has_snapshot(c);
    arena_init(&t.mem, 0);
    c->attempt++;
    if (snapshot && !commit_build(c, &t, e)) {
        commit_attempt_free(&t);
        return false;
    }
    struct json *requirements = commit_requirements(c);
    struct json *updates = commit_updates(c, snapshot ? &t : NULL);
    struct catalog_commit commit = {requirements, updates};
    bool ok =
        catalog_commit(c->table->catalog, &c->table->name, &c->table->state, &commit, &next, e);
    if (ok)
        lake_table_take(c->table, &next);
    else if (e->code == MR_CATALOG_CONFLICT && t.list_path)
        c->list_failed = arena_strdup(&c->mem, t.list_path);
    json_free(requirements);
    json_free(updates);
    commit_attempt_free(&t);
    return ok;
}

static void
pause_before_retry(const struct commit *c)
{
    unsigned times = 1;
    for (unsigned i = 1; i < c->conflicts && times < BACKOFF_TIMES; i++)
        times *= 2;
    unsigned ms = c->conf.backoff_ms * times;
    ms = ms / 2 + (unsigned)(random_u64() % (ms / 2 + 1));
    stop_wait(c->conf.stop, (int)ms);
}

/* No further attempt: what is known of those that were is told. */
static bool
stopped(const struct commit *c, struct err *e)
{
    if (!c->attempt || !stop_asked(c->conf.stop))
        return false;
    if (c->unsure)
        (void)!err_set(e, MR_CATALOG_UNKNOWN_OUTCOME,
                       "table %s.%s: stopped before it was known", c->table->space,
                       c->table->table);
    else
        (void)!err_set(e, MR_LAKE_STOPPED, "table %s.%s", c->table->space, c->table->table);
    return true;
}

/* Behind an attempt that failed with *e: can there be another one? The table is then reloaded.
 */
static bool
prepare_retry(struct commit *c, struct err *e)
{
    enum err_code code = e->code;
    if (code == MR_CATALOG_UNKNOWN_OUTCOME)
        c->unsure = true;
    else if (code == MR_CATALOG_CONFLICT)
        c->conflicts++;
    else
        return false;
    if (c->attempt % c->conf.attempts_max == 0)
        return false;
    if (code == MR_CATALOG_CONFLICT)
        pause_before_retry(c);
    if (lake_table_reload(c->table, e))
        return true;
    if (!c->unsure)
        return false;
    e->code = MR_CATALOG_UNKNOWN_OUTCOME;
    return err_reclass(e, err_info(e->code)->class);
}

/* Behind a conflict, when the table was seen without this commit: a conflict can also be the
 * answer to a second copy of a request that was carried out. */
static void
drop_failed_list(struct commit *c)
{
    if (c->list_failed)
        commit_remove_file(c, c->list_failed);
    c->list_failed = NULL;
}

bool
commit_run(struct commit *c, struct err *e)
{
    FAULT("lake.commit.begin");
    if (c->unsure && !c->done && !lake_table_reload(c->table, e)) {
        e->code = MR_CATALOG_UNKNOWN_OUTCOME;
        return err_reclass(e, err_info(e->code)->class);
    }
    /* Another state than the commit began on was looked at: is it in there already? */
    while (!c->done && !(c->done = c->attempt > 0 && is_committed(c))) {
        drop_failed_list(c);
        if (stopped(c, e) || !check_base(c, e))
            return false;
        c->done = try_once(c, e);
        if (!c->done && !prepare_retry(c, e))
            return false;
    }
    FAULT("lake.commit.end");
    return true;
}
