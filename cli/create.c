#include "cli/create.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/yaml.h"
#include "cli/session.h"

static const struct cli_option options[] = {
    {"task-name", 0, false, "NAME", "name, 1 to 64 of A-Z a-z 0-9 _ . -; names topics too"},
    {"source-uri", 0, false, "URI", "mysql://user:password@host:port"},
    {"sink-type", 0, false, "TYPE", "mysql, iceberg (or lakehouse), kafka"},
    {"sink-uri", 0, false, "URI",
     "mysql://user:password@host:port, or "
     "iceberg+sql:///PATH/catalog.db?warehouse=file:///PATH "
     "[&catalog=NAME&namespace=NAME], or iceberg+rest://ID:SECRET@host:port/PATH; not with "
     "kafka"},
    {"level", 0, false, "LEVEL", "account, database or table"},
    {"databases", 0, false, "LIST", "level database: src[:dst],..."},
    {"tables", 0, false, "LIST", "level table: db.t[:db.t],..."},
    {"exclude", 0, false, "REGEX", "leave out what it is found in: db.table"},
    {"no-full", 0, false, NULL, "no full load: only changes from now on"},
    {"start-ts", 0, false, "TIME", "not yet"},
    {"end-ts", 0, false, "TIME", "not yet"},
    {"send-sql-timeout", 0, false, "TIME", "longest statement or commit at the target (10m)"},
    {"max-sql-length", 0, false, "BYTES", "longest statement (4194304, the target's limit)"},
    {"error-handle-option", 0, false, "stop", "what a refused row does: stop its table"},
    {"on-gap", 0, false, "stop|resync", "when the source purged its log (stop)"},
    {"keyless", 0, false, "HOW",
     "tables without a key: refuse (default), append, multiset; or by table: "
     "refuse,db.t:multiset,..."},
    {"delivery", 0, false, "MODE", "exactly-once (default) or fast"},
    {"consistency", 0, false, "table|task", "target commits per table, or whole (table)"},
    {"format", 0, false, "avro|json", "of the topics (avro)"},
    {"prefix", 0, false, "PREFIX", "of the topics (the task's name)"},
    {"partitions", 0, false, "N", "of each topic (4)"},
    {"file", 'f', false, "FILE", "YAML with these flags as keys"},
    {"no-start", 0, false, NULL, "create it stopped"},
    {"dry-run", 0, false, NULL, "check, list the selected tables, create nothing"},
    GLOBAL_OPTIONS,
};

const struct cli_spec create_spec = {
    "millrace task create --task-name NAME --source-uri URI --sink-type TYPE --sink-uri URI "
    "--level LEVEL [flags]",
    "Creates a task and starts it: a full load, then every change, until it is stopped.",
    options, ARRAY_LEN(options),
    "Passwords: percent-encode special characters, or refer to ${env:NAME} or ${file:PATH}.\n"
    "Names with comma, dot, colon or backquote stand in backquotes."};

/* A list or another scalar as the text its flag would have. */
static bool
file_value(const char *key, const struct json *v, struct buf *out, struct err *e)
{
    bool fits = json_is_str(v) || json_is_array(v);
    if (json_is_str(v))
        buf_add_str(out, json_str_value(v, ""));
    for (size_t i = 0; json_is_array(v) && i < json_len(v); i++) {
        fits = fits && json_is_str(json_at(v, i));
        buf_addf(out, "%s%s", i > 0 ? "," : "", json_str_value(json_at(v, i), ""));
    }
    if (!fits && !json_is_object(v) && !json_is_null(v)) {
        json_dump(v, out);
        fits = true;
    }
    return fits || err_set(e, MR_CONFIG, "'%s' is not a text or a list of texts", key);
}

static bool
known_flag(const char *key, struct err *e)
{
    const char *names[ARRAY_LEN(options)];
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        names[i] = options[i].name;
        if (strcmp(key, names[i]) == 0)
            return true;
    }
    const char *near = text_nearest(key, names, ARRAY_LEN(names));
    return err_set(e, MR_CONFIG, "unknown key '%s'%s%s", key,
                   near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

static bool
load_file(struct command *c, struct err *e)
{
    const char *path = cli_get(c->spec, c->args, "file");
    struct json *y = NULL;
    if (path == NULL)
        return true;
    if (!yaml_load(path, &y, e))
        return false;
    c->file = json_object_new();
    const char *key = NULL;
    struct json *value = NULL;
    bool ok = true;
    for (void *it = NULL; ok && (it = json_next(y, it, &key, &value)) != NULL;) {
        struct buf text = {0};
        ok = known_flag(key, e) && file_value(key, value, &text, e);
        if (ok)
            json_set(c->file, key, json_str(buf_cstr(&text)));
        buf_free(&text);
    }
    json_free(y);
    return ok || err_wrap(e, "%s", path);
}

static void
print_tables(const struct command *c, const struct task *task, const struct discover *d)
{
    for (size_t i = 0; i < d->tables_len; i++) {
        const struct discover_table *t = &d->tables[i];
        printf("  %s.%s -> %s.%s (about %" PRIu64 " rows)%s\n", t->db, t->table, t->to_db,
               t->to_table, t->rows, create_keyless(c, task, t));
    }
}

static void
warn_workers(const struct session *s, const struct task *t)
{
    struct summary sum;
    session_summary(s, t, &sum);
    if (t->desired == TASK_RUNNING && sum.code == MR_NO_WORKER)
        fprintf(stderr, "warning: %s\n", sum.err_msg);
    summary_free(&sum);
}

/* What does not arrive as it is, by type. */
static void
print_types(const struct discover *d)
{
    for (size_t i = 0; i < d->types_len; i++)
        printf("type %s (%" PRIu64 " columns, first %s): %s\n", d->types[i].name,
               d->types[i].columns, d->types[i].first, d->types[i].policy);
}

static void
report(const struct session *s, const struct task *t, const struct discover *d)
{
    printf("task_id: %s\n", t->id);
    printf("task '%s': %zu tables of %s\n", t->name, d->tables_len, d->version);
    if (t->desired == TASK_STOPPED)
        printf("created, not started: `task resume` starts it\n");
    else if (t->full)
        printf("it starts with a full load, then follows every change\n");
    else
        printf("it follows every change from now on, without a full load\n");
    print_types(d);
    warn_workers(s, t);
}

static bool
check_new(const struct session *s, const struct task *t, struct err *e)
{
    const struct task *same = task_store_find(s->store, t->owner, t->name);
    if (same != NULL)
        return err_set(e, MR_TASK_EXISTS, "task '%s' exists (id %s)", t->name, same->id);
    return true;
}

static bool
create(struct command *c, struct task *t, struct session *s, struct err *e)
{
    struct discover found = {0};
    bool ok = check_new(s, t, e) && create_check(c, t, &found, e);
    if (ok && command_has(c, "dry-run")) {
        printf("task '%s' would copy %zu tables:\n", t->name, found.tables_len);
        print_tables(c, t, &found);
        print_types(&found);
    } else if (ok) {
        ok = task_store_put(s->store, t, e);
        if (ok)
            report(s, t, &found);
    }
    discover_free(&found);
    return ok;
}

bool
create_run(struct command *c, struct err *e)
{
    struct session s;
    struct task *t = NULL;
    if (!load_file(c, e) || !create_build(c, &t, e))
        return false;
    bool ok = session_open(c, &s, e) && create(c, t, &s, e);
    session_close(&s);
    task_unref(t);
    return ok;
}
