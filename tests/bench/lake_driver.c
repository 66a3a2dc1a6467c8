/* An Iceberg table written by lake/, as a script tells; tests/real/test_lake*.py decide the
 * rows and read the table with independent clients. Argument: the catalog's URI. A JSON object
 * a line on stdin, one a line on stdout: {"ok":true,..} or {"ok":false,"code":..,"text":..}.
 *
 * {"op":"create","table":[NS,NAME],"version":3,"schema":{..},"properties":{..}}
 * {"op":"open","table":[NS,NAME]}
 * {"op":"show"}                       properties, snapshots, live files
 * {"op":"reload"}
 * {"op":"schema","changes":[{"kind":"add","name":..,"type":..},..]}
 * {"op":"commit", and any of          every part is optional
 *  "files":[{"name":..,"rows":[[cell,..],..],"group_rows":N,   data files to add
 *            "metrics":[NAME,..] of the columns: bounds, full, counts, none}]
 *  "delete":{NAME:[pos,..]}           rows of earlier files
 *  "drop":[NAME,..]                   earlier files, whole
 *  "properties":{..},"base":[KEY,VALUE or null],"claim":true,"operation":..,"merge_at":N,
 *  "expire":[id,..],"reload":false    commit on the state last seen, not the newest}
 * {"op":"rewrite","files":[NAME,..]}  compaction's first half; the table may change before the
 * second
 * {"op":"swap","name":NAME}           compaction's second half; NAME is the new file's
 * {"op":"expire","older_than_ms":T,"keep":N}
 * {"op":"orphans","older_than_ms":T}
 * Cells are in Iceberg's units; decimals text, uuid and binary hex, NaN the text "NaN".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lake/compact.h"
#include "lake/deletes.h"
#include "lake/expire.h"
#include "lake/rows_file.h"
#include "support/driver.h"

static struct catalog *catalog;
static struct lake_table *table;
static struct compact *compaction;
static struct arena mem;   /* of one command */
static struct arena names; /* of the process */
static struct map paths;   /* name -> v.ptr: path of the data file */

static bool
cell_of(const struct lake_type *t, const struct json *j, struct cell *out, struct err *e)
{
    struct bytes text = json_bytes_value(j);
    *out = (struct cell){.kind = CELL_NULL};
    if (json_is_null(j))
        return true;
    switch (t->kind) {
    case LAKE_FLOAT:
    case LAKE_DOUBLE:
        out->kind = t->kind == LAKE_FLOAT ? CELL_FLOAT : CELL_DOUBLE;
        out->v.d = text.p ? strtod((const char *)text.p, NULL) : (double)json_i64_value(j, 0);
        return true;
    case LAKE_DECIMAL:
    case LAKE_STRING:
        out->kind = t->kind == LAKE_STRING ? CELL_TEXT : CELL_DECIMAL;
        text = arena_copy(&mem, text);
        break;
    case LAKE_UUID:
    case LAKE_FIXED:
    case LAKE_BINARY: {
        uint8_t *raw = arena_alloc(&mem, text.n / 2 + 1);
        if (!hex_decode(text.p ? (const char *)text.p : "", raw, text.n / 2))
            return err_set(e, MR_USAGE, "not hex");
        out->kind = CELL_BYTES;
        text = bytes_of(raw, text.n / 2);
        break;
    }
    default:
        out->kind = CELL_INT;
        out->v.i = json_i64_value(j, 0);
        return true;
    }
    out->v.p = text.p;
    out->len = (uint32_t)text.n;
    return true;
}

static bool
write_rows(struct parquet_writer *w, const struct lake_schema *s, const struct json *rows,
           struct err *e)
{
    struct arena a;
    bool ok = true;
    arena_init(&a, 0);
    for (size_t i = 0; ok && i < json_len(rows); i++) {
        struct cell *row = arena_zalloc(&a, (s->field_count + 1) * sizeof(*row));
        const struct cell *one = row;
        for (uint32_t k = 0; ok && k < s->field_count; k++)
            ok = cell_of(&s->fields[k].type, json_at(json_at(rows, i), k), &row[k], e);
        ok = ok && parquet_writer_rows(w, &one, 1, e);
        arena_reset(&a);
    }
    arena_free(&a);
    return ok;
}

static char *
new_location(const char *folder, const char *suffix)
{
    char uuid[37];
    uuid_v7(uuid);
    return arena_printf(&mem, "%s/%s/" COMMIT_NAME_PREFIX "%s%s",
                        table->state.metadata->location, folder, uuid, suffix);
}

static enum parquet_metrics
metrics_of(const char *name)
{
    static const char *const all[] = {"bounds", "full", "counts", "none"};
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(all) && strcmp(name, all[i]) != 0)
        i++;
    return (enum parquet_metrics)i;
}

static bool
add_file(struct commit *c, const struct lake_schema *s, const struct json *spec, struct err *e)
{
    struct parquet_column *columns =
        arena_zalloc(&mem, (s->field_count + 1) * sizeof(*columns));
    const struct json *metrics = json_get(spec, "metrics");
    for (uint32_t i = 0; i < s->field_count; i++) {
        columns[i].field = s->fields[i];
        columns[i].metrics = metrics_of(json_str_value(json_at(metrics, i), "bounds"));
    }
    struct parquet_conf conf = {.columns = columns,
                                .column_count = s->field_count,
                                .codec = PARQUET_ZSTD,
                                .group_rows = json_get_u64(spec, "group_rows", 0)};
    struct rows_file *f;
    struct data_file done;
    char *path = new_location("data", ".parquet");
    if (!rows_file_new(table->catalog->storage, path, &conf, &f, e))
        return false;
    bool ok = write_rows(rows_file_writer(f), s, json_get(spec, "rows"), e) &&
              rows_file_finish(f, &mem, &done, e);
    rows_file_free(f);
    if (!ok)
        return false;
    bool fresh;
    const char *name = arena_strdup(&names, json_get_str(spec, "name", path));
    map_put(&paths, bytes_str(name), &fresh)->v.ptr = arena_strdup(&names, path);
    commit_add_rows(c, &done);
    return true;
}

static const char *
path_of(const char *name)
{
    struct map_slot *s = map_get(&paths, bytes_str(name));
    return s ? s->v.ptr : name;
}

/* All positions deleted in a file, old and new, in one delete file. */
static bool
delete_rows(struct commit *c, const struct lake_file *f, const struct json *list, struct err *e)
{
    struct positions p = {0};
    struct data_file done;
    struct deletes_conf conf = {.storage = table->catalog->storage,
                                .version = table->state.metadata->version,
                                .location = new_location("data", ""),
                                .data_file = f->rows->file.path};
    bool ok = deletes_read_all(table->catalog->storage, f, &p, e);
    for (size_t i = 0; i < json_len(list); i++)
        positions_add(&p, (uint64_t)json_i64_value(json_at(list, i), 0));
    ok = ok && deletes_write(&conf, &p, &mem, &done, e);
    positions_free(&p);
    if (!ok)
        return false;
    if (f->vector)
        commit_remove(c, &f->vector->file);
    for (uint32_t i = 0; i < f->positions_len; i++)
        commit_remove(c, &f->positions[i]->file);
    commit_add_deletes(c, &done);
    return true;
}

static bool
fill_deletes(struct commit *c, const struct json *cmd, struct err *e)
{
    struct lake_files files = {0};
    const struct json *drop = json_get(cmd, "drop");
    const char *name;
    struct json *list;
    bool ok = true;
    if (!json_len(json_get(cmd, "delete")) && !json_len(drop))
        return true;
    ok = lake_table_files(table, &files, e);
    for (void *it = NULL; ok && (it = json_next(json_get(cmd, "delete"), it, &name, &list));) {
        const struct lake_file *f = lake_files_find(&files, path_of(name));
        ok = f ? delete_rows(c, f, list, e) : err_set(e, MR_USAGE, "no live file %s", name);
    }
    for (size_t i = 0; ok && i < json_len(drop); i++) {
        const struct lake_file *f =
            lake_files_find(&files, path_of(json_str_value(json_at(drop, i), "")));
        if (f)
            commit_remove(c, &f->rows->file);
        else
            ok = err_set(e, MR_USAGE, "no live file to drop");
    }
    lake_files_free(&files);
    return ok;
}

static void
fill_rest(struct commit *c, const struct json *cmd)
{
    const char *key;
    struct json *value;
    for (void *it = NULL; (it = json_next(json_get(cmd, "properties"), it, &key, &value));) {
        commit_set_property(c, key, json_str_value(value, NULL));
        if (json_is_str(value))
            commit_set_summary(c, key, json_str_value(value, ""));
    }
    if (json_get_bool(cmd, "claim", false))
        commit_claim(c);
    if (json_get_str(cmd, "operation", NULL))
        commit_set_operation(c, json_get_str(cmd, "operation", ""));
    const struct json *ids = json_get(cmd, "expire");
    for (size_t i = 0; i < json_len(ids); i++) {
        int64_t id = json_i64_value(json_at(ids, i), 0);
        commit_expire(c, &id, 1);
    }
}

static bool
run_commit(struct commit *c, struct err *e)
{
    struct json *o = json_object_new();
    bool ok = commit_run(c, e);
    if (ok) {
        json_set(o, "ok", json_bool_new(true));
        json_set(o, "snapshot", json_i64(commit_snapshot_id(c)));
        json_set(o, "conflicts", json_i64(commit_conflicts(c)));
        driver_reply(o);
    } else {
        json_free(o);
    }
    return ok;
}

static bool
do_commit(const struct json *cmd, struct err *e)
{
    const struct json *base = json_get(cmd, "base"), *files = json_get(cmd, "files");
    struct commit_conf conf = {.base_key = json_str_value(json_at(base, 0), NULL),
                               .base_value = json_str_value(json_at(base, 1), NULL),
                               .attempts_max = 100,
                               .backoff_ms = 5,
                               .merge_at = (unsigned)json_get_i64(cmd, "merge_at", 0)};
    struct lake_schema s;
    if (json_get_bool(cmd, "reload", true) && !lake_table_reload(table, e))
        return false;
    struct commit *c = commit_new(table, &conf);
    bool ok = metadata_schema(table->state.metadata, -1, &mem, &s, e);
    for (size_t i = 0; ok && i < json_len(files); i++)
        ok = add_file(c, &s, json_at(files, i), e);
    ok = ok && fill_deletes(c, cmd, e);
    if (ok)
        fill_rest(c, cmd);
    ok = ok && run_commit(c, e);
    commit_free(c);
    return ok;
}

static bool
change_of(const struct json *j, struct schema_change *out, struct err *e)
{
    static const char *const kinds[] = {"add", "drop", "rename", "widen", "move"};
    const char *kind = json_get_str(j, "kind", ""), *type = json_get_str(j, "type", NULL);
    *out = (struct schema_change){.id = (int32_t)json_get_i64(j, "id", 0),
                                  .name = json_get_str(j, "name", NULL),
                                  .after = (int32_t)json_get_i64(j, "after", 0)};
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && strcmp(kind, kinds[i]) != 0)
        i++;
    out->kind = (enum schema_change_kind)i;
    if (i == ARRAY_LEN(kinds) || (type && !lake_type_parse(bytes_str(type), &out->type)))
        return err_set(e, MR_USAGE, "not a change");
    return true;
}

static bool
do_schema(const struct json *cmd, struct err *e)
{
    const struct json *changes = json_get(cmd, "changes");
    struct lake_schema s;
    if (!lake_table_reload(table, e))
        return false;
    int32_t last = table->state.metadata->last_column_id;
    if (!metadata_schema(table->state.metadata, -1, &mem, &s, e))
        return false;
    for (size_t i = 0; i < json_len(changes); i++) {
        struct schema_change change;
        struct lake_schema next;
        if (!change_of(json_at(changes, i), &change, e) ||
            !schema_change_apply(&s, &change, &last, &mem, &next, e))
            return false;
        s = next;
    }
    struct commit *c = commit_new(table, &(struct commit_conf){.attempts_max = 100});
    commit_set_schema(c, &s, last);
    bool ok = run_commit(c, e);
    commit_free(c);
    return ok;
}

static void
reply_count(const char *key, uint64_t n)
{
    struct json *o = json_object_new();
    json_set(o, "ok", json_bool_new(true));
    json_set(o, key, json_u64(n));
    driver_reply(o);
}

static bool
do_rewrite(const struct json *cmd, struct err *e)
{
    const struct json *files = json_get(cmd, "files");
    const char **list = arena_alloc(&mem, (json_len(files) + 1) * sizeof(*list));
    for (size_t i = 0; i < json_len(files); i++)
        list[i] = path_of(json_str_value(json_at(files, i), ""));
    const struct compact_conf conf = {.codec = PARQUET_ZSTD};
    compact_free(compaction);
    compaction = NULL;
    if (!lake_table_reload(table, e) ||
        !compact_rewrite(table, list, json_len(files), &conf, &compaction, e))
        return false;
    reply_count("files", json_len(files));
    return true;
}

static bool
do_swap(const struct json *cmd, struct err *e)
{
    bool fresh;
    if (!compaction)
        return err_set(e, MR_USAGE, "nothing was rewritten");
    if (!compact_commit(compaction, table, &(struct commit_conf){.backoff_ms = 5}, e))
        return false;
    const char *name = arena_strdup(&names, json_get_str(cmd, "name", "compacted"));
    map_put(&paths, bytes_str(name), &fresh)->v.ptr =
        arena_strdup(&names, compact_path(compaction));
    reply_count("translated", compact_translated(compaction));
    return true;
}

static bool
do_expire(const struct json *cmd, struct err *e)
{
    struct expire_conf conf = {.older_than_ms = json_get_i64(cmd, "older_than_ms", 0),
                               .keep_min = (size_t)json_get_i64(cmd, "keep", 1)};
    struct expire_done done = {0};
    struct expiry *x = NULL;
    bool ok = lake_table_reload(table, e) && expire_plan(table, &conf, &x, e) &&
              (!x || (expire_commit(x, table, &(struct commit_conf){.backoff_ms = 5}, e) &&
                      expire_finish(x, &done, e)));
    expire_free(x);
    if (!ok)
        return false;
    reply_count("files", done.files);
    return true;
}

static bool
do_orphans(const struct json *cmd, struct err *e)
{
    size_t removed;
    const struct orphans_conf conf = {.older_than_ms = json_get_u64(cmd, "older_than_ms", 0),
                                      .newer_than_ms = json_get_u64(cmd, "newer_than_ms", 0)};
    if (!orphans_remove(table, &conf, &removed, e))
        return false;
    reply_count("files", removed);
    return true;
}

static bool
open_table(const struct json *cmd, struct err *e)
{
    const struct json *name = json_get(cmd, "table");
    struct catalog_name n = {arena_strdup(&names, json_str_value(json_at(name, 0), "")),
                             arena_strdup(&names, json_str_value(json_at(name, 1), ""))};
    lake_table_close(table);
    table = NULL;
    return lake_table_open(catalog, &n, &table, e);
}

static void
reply_table(void)
{
    struct json *o = json_object_new(), *ids = json_array_new();
    struct snapshot s;
    for (size_t i = 0; metadata_snapshot_at(table->state.metadata, i, &s); i++)
        json_push(ids, json_i64(s.id));
    json_set(o, "ok", json_bool_new(true));
    json_set(o, "uuid", json_str(table->state.metadata->uuid));
    json_set(o, "location", json_str(table->state.metadata->location));
    json_set(o, "properties", json_ref(json_get(table->state.metadata->doc, "properties")));
    json_set(o, "snapshots", ids);
    driver_reply(o);
}

static bool
do_create(const struct json *cmd, struct err *e)
{
    const struct json *name = json_get(cmd, "table");
    struct catalog_name n = {json_str_value(json_at(name, 0), ""),
                             json_str_value(json_at(name, 1), "")};
    struct lake_schema s;
    struct metadata *m;
    struct catalog_table made;
    if (!schema_json_read(json_get(cmd, "schema"), &mem, &s, e))
        return false;
    char *location = catalog_table_location(catalog, &n);
    struct metadata_conf conf = {.version = (int)json_get_i64(cmd, "version", 3),
                                 .location = location,
                                 .schema = &s,
                                 .properties = json_get(cmd, "properties")};
    bool ok = catalog_make_namespace(catalog, n.space, e) && metadata_new(&conf, &m, e);
    free(location);
    if (!ok)
        return false;
    ok = catalog_create(catalog, &n, m, &made, e);
    metadata_free(m);
    if (ok)
        catalog_table_free(&made);
    return ok && open_table(cmd, e);
}

static bool
run_command(const struct json *cmd, struct err *e)
{
    const char *op = json_get_str(cmd, "op", "");
    if (strcmp(op, "create") == 0 || strcmp(op, "open") == 0) {
        if (!(*op == 'c' ? do_create(cmd, e) : open_table(cmd, e)))
            return false;
        reply_table();
        return true;
    }
    if (!table)
        return err_set(e, MR_USAGE, "no table is open");
    if (strcmp(op, "commit") == 0)
        return do_commit(cmd, e);
    if (strcmp(op, "schema") == 0)
        return do_schema(cmd, e);
    if (strcmp(op, "rewrite") == 0)
        return do_rewrite(cmd, e);
    if (strcmp(op, "swap") == 0)
        return do_swap(cmd, e);
    if (strcmp(op, "expire") == 0)
        return do_expire(cmd, e);
    if (strcmp(op, "orphans") == 0)
        return do_orphans(cmd, e);
    if (strcmp(op, "show") != 0 && strcmp(op, "reload") != 0)
        return err_set(e, MR_USAGE, "no command %s", op);
    if (!lake_table_reload(table, e))
        return false;
    reply_table();
    return true;
}

int
main(int argc, char **argv)
{
    struct uri u;
    struct err e;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool parsed = argc == 2 && uri_parse(argv[1], &u, &e);
    if (!parsed || !catalog_open(&u, &catalog, &e)) {
        if (argc == 2)
            driver_reply_error(&e);
        if (parsed)
            uri_free(&u);
        return argc == 2 ? 1 : 2;
    }
    arena_init(&mem, 0);
    arena_init(&names, 0);
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct json *cmd = NULL;
        if (!json_parse(bytes_of(line, (size_t)n), &cmd, &e) || !run_command(cmd, &e))
            driver_reply_error(&e);
        json_free(cmd);
        arena_reset(&mem);
    }
    compact_free(compaction);
    lake_table_close(table);
    catalog_close(catalog);
    uri_free(&u);
    free(line);
    return 0;
}
