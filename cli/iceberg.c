/* iceberg show, files, history: what a table of a lake is made of, for people who debug. */
#include <stdio.h>

#include "base/secret.h"
#include "base/text.h"
#include "cli/command.h"
#include "lake/deletes.h"
#include "lake/table.h"
#include "task/checkpoint.h"

#define LAKE_OPTIONS \
    {"sink-uri", 0, false, "URI", "the task's: iceberg+sql://... or iceberg+rest://..."}

static const struct cli_option options[] = {LAKE_OPTIONS};

const struct cli_spec iceberg_show_spec = {
    "millrace iceberg show NAMESPACE.TABLE --sink-uri URI",
    "Shows a table: format, columns, current snapshot, files, last compaction, owner and "
    "checkpoint, as JSON.",
    options, ARRAY_LEN(options), NULL};
const struct cli_spec iceberg_files_spec = {
    "millrace iceberg files NAMESPACE.TABLE --sink-uri URI",
    "Lists the data files of the current snapshot and how many of their rows are deleted, as "
    "JSON.",
    options, ARRAY_LEN(options), NULL};
const struct cli_spec iceberg_history_spec = {
    "millrace iceberg history NAMESPACE.TABLE --sink-uri URI",
    "Lists the snapshots, oldest first, with what each applied: cut and last offsets per "
    "partition, as JSON.",
    options, ARRAY_LEN(options), NULL};

static void
print(struct json *j)
{
    struct buf text = {0};
    json_dump_pretty(j, &text);
    printf("%s\n", buf_cstr(&text));
    buf_free(&text);
    json_free(j);
}

/* The checkpoint among properties or a summary; NULL: none. The caller's. */
static struct json *
checkpoint_in(const struct json *properties)
{
    const char *key;
    struct json *value, *out = NULL;
    struct err ignored;
    for (void *it = NULL; (it = json_next(properties, it, &key, &value)) != NULL;)
        if (text_starts(key, CHECKPOINT_LAKE_STATE) &&
            strcmp(key, CHECKPOINT_LAKE_OWNER) != 0 && json_bytes_value(value).n > 0 &&
            json_bytes_value(value).p[0] == '{' && out == NULL &&
            !json_parse(json_bytes_value(value), &out, &ignored))
            out = NULL;
    return out;
}

static struct json *
columns_of(const struct lake_schema *s)
{
    struct json *list = json_array_new();
    char type[LAKE_TYPE_TEXT_MAX];
    for (uint32_t i = 0; i < s->field_count; i++) {
        const struct lake_field *f = &s->fields[i];
        struct json *o = json_object_new();
        json_set(o, "id", json_i64(f->id));
        json_set(o, "name", json_str(f->name));
        json_set(o, "type", json_str(lake_type_text(&f->type, type)));
        json_set(o, "required", json_bool_new(f->required));
        json_push(list, o);
    }
    return list;
}

static int64_t
deleted_rows(const struct lake_file *f)
{
    int64_t n = f->vector != NULL ? f->vector->file.rows : 0;
    for (uint32_t i = 0; i < f->positions_len; i++)
        n += f->positions[i]->file.rows;
    return n;
}

/* What upkeep has to do with: how many files, how large, how holed. */
static struct json *
files_summary(const struct lake_files *all)
{
    struct json *o = json_object_new();
    int64_t rows = 0, deleted = 0, bytes = 0, smallest = 0;
    for (size_t i = 0; i < all->len; i++) {
        const struct data_file *f = &all->list[i].rows->file;
        rows += f->rows;
        deleted += deleted_rows(&all->list[i]);
        bytes += f->size;
        smallest = i == 0 || f->size < smallest ? f->size : smallest;
    }
    json_set(o, "count", json_u64(all->len));
    json_set(o, "rows", json_i64(rows));
    json_set(o, "deleted", json_i64(deleted));
    json_set(o, "bytes", json_i64(bytes));
    json_set(o, "smallest", json_i64(smallest));
    return o;
}

/* The newest compaction that the table still tells of; null: none. */
static struct json *
last_compaction(const struct metadata *m)
{
    struct snapshot s;
    for (size_t i = metadata_snapshot_count(m); i > 0; i--) {
        if (!metadata_snapshot_at(m, i - 1, &s) ||
            json_get_str(s.summary, "millrace.compacted", NULL) == NULL)
            continue;
        struct json *o = json_object_new();
        json_set(o, "snapshot", json_i64(s.id));
        json_set(o, "timestamp-ms", json_i64(s.timestamp_ms));
        json_set(o, "files", json_str(json_get_str(s.summary, "millrace.compacted", "")));
        json_set(o, "translated", json_str(json_get_str(s.summary, "millrace.translated", "")));
        return o;
    }
    return json_null_new();
}

static void
set_upkeep(struct json *o, const struct metadata *m, const struct lake_files *all)
{
    struct snapshot s;
    json_set(o, "files", files_summary(all));
    json_set(o, "oldest-snapshot-ms",
             metadata_snapshot_at(m, 0, &s) ? json_i64(s.timestamp_ms) : json_null_new());
    json_set(o, "previous-metadata", json_u64(json_len(json_get(m->doc, "metadata-log"))));
    json_set(o, "last-compaction", last_compaction(m));
}

static bool
show(struct lake_table *t, struct err *e)
{
    const struct metadata *m = t->state.metadata;
    struct arena a;
    struct lake_schema schema;
    struct lake_files all = {0};
    arena_init(&a, 0);
    bool ok = metadata_schema(m, -1, &a, &schema, e) && lake_table_files(t, &all, e);
    if (ok) {
        struct json *o = json_object_new();
        json_set(o, "uuid", json_str(m->uuid));
        json_set(o, "format-version", json_i64(m->version));
        json_set(o, "location", json_str(m->location));
        json_set(o, "metadata", json_str(t->state.location));
        json_set(o, "columns", columns_of(&schema));
        json_set(o, "snapshots", json_u64(metadata_snapshot_count(m)));
        json_set(o, "current-snapshot", json_i64(m->current_snapshot));
        set_upkeep(o, m, &all);
        json_set(o, "task", json_str(metadata_property(m, CHECKPOINT_LAKE_TASK)));
        json_set(o, "owner", json_str(metadata_property(m, CHECKPOINT_LAKE_OWNER)));
        struct json *checkpoint = checkpoint_in(json_get(m->doc, "properties"));
        json_set(o, "checkpoint", checkpoint != NULL ? checkpoint : json_null_new());
        print(o);
    }
    lake_files_free(&all);
    arena_free(&a);
    return ok;
}

static struct json *
file_json(const struct lake_file *f)
{
    struct json *o = json_object_new(), *deletes = json_array_new();
    if (f->vector != NULL)
        json_push(deletes, json_str(f->vector->file.path));
    for (uint32_t i = 0; i < f->positions_len; i++)
        json_push(deletes, json_str(f->positions[i]->file.path));
    json_set(o, "path", json_str(f->rows->file.path));
    json_set(o, "rows", json_i64(f->rows->file.rows));
    json_set(o, "deleted", json_i64(deleted_rows(f)));
    json_set(o, "bytes", json_i64(f->rows->file.size));
    json_set(o, "sequence", json_i64(f->rows->sequence));
    json_set(o, "snapshot", json_i64(f->rows->snapshot_id));
    json_set(o, "deletes", deletes);
    return o;
}

static bool
files(struct lake_table *t, struct err *e)
{
    struct lake_files all = {0};
    bool ok = lake_table_files(t, &all, e);
    struct json *list = json_array_new();
    for (size_t i = 0; ok && i < all.len; i++)
        json_push(list, file_json(&all.list[i]));
    lake_files_free(&all);
    if (ok)
        print(list);
    else
        json_free(list);
    return ok;
}

static struct json *
snapshot_json(const struct snapshot *s)
{
    static const char *const told[] = {"operation",
                                       "added-data-files",
                                       "added-records",
                                       "deleted-data-files",
                                       "deleted-records",
                                       "added-delete-files",
                                       "removed-delete-files",
                                       "added-position-deletes",
                                       "total-records",
                                       "total-position-deletes",
                                       "total-data-files",
                                       "total-delete-files",
                                       "millrace.compacted",
                                       "millrace.translated",
                                       CHECKPOINT_LAKE_OWNER};
    struct json *o = json_object_new();
    json_set(o, "id", json_i64(s->id));
    json_set(o, "parent", s->parent < 0 ? json_null_new() : json_i64(s->parent));
    json_set(o, "sequence", json_i64(s->sequence));
    json_set(o, "timestamp-ms", json_i64(s->timestamp_ms));
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        const char *text = json_get_str(s->summary, told[i], NULL);
        if (text != NULL)
            json_set(o, told[i], json_str(text));
    }
    struct json *c = checkpoint_in(s->summary);
    struct json *cut = json_get(c, "cut"), *parts = json_get(c, "parts");
    json_set(o, "cut", cut != NULL ? json_ref(cut) : json_null_new());
    json_set(o, "parts", parts != NULL ? json_ref(parts) : json_null_new());
    json_free(c);
    return o;
}

static bool
history(struct lake_table *t, struct err *e)
{
    struct json *list = json_array_new();
    struct snapshot s;
    (void)e;
    for (size_t i = 0; metadata_snapshot_at(t->state.metadata, i, &s); i++)
        json_push(list, snapshot_json(&s));
    print(list);
    return true;
}

/* NAMESPACE.TABLE; the last dot separates. */
static bool
parse_table(const char *text, struct arena *a, struct catalog_name *out, struct err *e)
{
    const char *dot = text != NULL ? strrchr(text, '.') : NULL;
    if (dot == NULL || dot == text || dot[1] == '\0')
        return err_set(e, MR_USAGE, "name the table as NAMESPACE.TABLE");
    out->space = arena_strn(a, bytes_of(text, (size_t)(dot - text)));
    out->table = dot + 1;
    return true;
}

static bool
on_table(struct command *c, bool (*what)(struct lake_table *t, struct err *e), struct err *e)
{
    const char *text = cli_get(c->spec, c->args, "sink-uri");
    struct arena a;
    struct uri u;
    struct catalog *catalog = NULL;
    struct lake_table *t = NULL;
    struct catalog_name name;
    if (text == NULL)
        return err_set(e, MR_USAGE, "--sink-uri is needed");
    if (!uri_parse(text, &u, e))
        return err_wrap(e, "--sink-uri");
    arena_init(&a, 0);
    bool ok = parse_table(cli_operand(c->args, 0), &a, &name, e) && secret_resolve_uri(&u, e) &&
              catalog_open(&u, &catalog, e) && lake_table_open(catalog, &name, &t, e) &&
              what(t, e);
    lake_table_close(t);
    catalog_close(catalog);
    uri_free(&u);
    arena_free(&a);
    return ok;
}

bool
iceberg_show_run(struct command *c, struct err *e)
{
    return on_table(c, show, e);
}

bool
iceberg_files_run(struct command *c, struct err *e)
{
    return on_table(c, files, e);
}

bool
iceberg_history_run(struct command *c, struct err *e)
{
    return on_table(c, history, e);
}
