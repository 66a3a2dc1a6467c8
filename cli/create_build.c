/* The flags of task create, as a task record. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/uri.h"
#include "cli/create.h"
#include "task/secret.h"

static bool
not_yet(const char *what, struct err *e)
{
    return err_set(e, MR_NOT_YET, "%s", what);
}

static bool
need(const struct command *c, const char *flag, const char **out, struct err *e)
{
    *out = command_flag(c, flag);
    if (*out == NULL || (*out)[0] == '\0')
        return err_set(e, MR_USAGE, "--%s is needed", flag);
    return true;
}

static bool
parse_server(const char *flag, const char *text, struct uri *u, struct err *e)
{
    if (!uri_parse(text, u, e))
        return err_wrap(e, "--%s", flag);
    bool ok = true;
    if (strncmp(u->scheme, "postgres", 8) == 0)
        ok = not_yet("a PostgreSQL source", e);
    else if (strcmp(u->scheme, "mysql") != 0)
        ok = err_set(e, MR_BAD_URI, "--%s: '%s://' is not mysql://", flag, u->scheme);
    else if (u->host[0] == '\0' || u->user == NULL || u->user[0] == '\0')
        ok = err_set(e, MR_BAD_URI, "--%s: %s is missing", flag,
                     u->host[0] == '\0' ? "the host" : "the user");
    else if (strcmp(u->path, "") != 0 && strcmp(u->path, "/") != 0)
        ok = err_set(e, MR_BAD_URI,
                     "--%s: a path is not expected: databases are chosen by "
                     "--level",
                     flag);
    if (!ok)
        uri_free(u);
    return ok;
}

static bool
take_source(const struct command *c, struct task *t, struct err *e)
{
    const char *text = NULL;
    struct uri u;
    if (!need(c, "source-uri", &text, e) || !parse_server("source-uri", text, &u, e))
        return false;
    t->sources = arena_zalloc(&t->arena, sizeof(*t->sources));
    t->sources_len = 1;
    t->sources[0].name = arena_strdup(&t->arena, u.hosts);
    t->owner = arena_strdup(&t->arena, u.user);
    bool ok = secret_seal_endpoint(c->config, t, &u, &t->sources[0].at, e);
    uri_free(&u);
    return ok;
}

static bool
parse_lake(const struct task *t, const char *text, struct uri *u, struct err *e)
{
    if (t->consistency == TASK_BY_TASK)
        return err_set(e, MR_USAGE,
                       "--consistency task does not go with --sink-type iceberg: a commit to a "
                       "lake is one table's");
    if (!uri_parse(text, u, e))
        return err_wrap(e, "--sink-uri");
    bool ok = false;
    if (strcmp(u->scheme, "iceberg+file") == 0)
        not_yet("iceberg+file://", e);
    else if (strcmp(u->scheme, "iceberg+sql") != 0 && strcmp(u->scheme, "iceberg+rest") != 0)
        err_set(e, MR_BAD_URI, "--sink-uri: '%s://' is not iceberg+sql:// or iceberg+rest://",
                u->scheme);
    else
        ok = true;
    if (!ok)
        uri_free(u);
    return ok;
}

static bool
take_sink(const struct command *c, struct task *t, struct err *e)
{
    const char *type = NULL, *text = NULL;
    struct uri u;
    if (!need(c, "sink-type", &type, e) || !task_parse_sink(type, &t->sink_type, e))
        return false;
    if (t->sink_type == TASK_SINK_MATRIXONE)
        return err_set(e, MR_NOT_YET, "--sink-type %s", task_sink_text(t->sink_type));
    if (t->sink_type == TASK_SINK_KAFKA) {
        if (command_flag(c, "sink-uri") != NULL)
            return not_yet("--sink-uri with --sink-type kafka (rows stay in the cluster of "
                           "--kafka; --prefix names the topics)",
                           e);
        return true;
    }
    if (!need(c, "sink-uri", &text, e) ||
        !(t->sink_type == TASK_SINK_ICEBERG ? parse_lake(t, text, &u, e)
                                            : parse_server("sink-uri", text, &u, e)))
        return false;
    bool ok = secret_seal_endpoint(c->config, t, &u, &t->sink, e);
    uri_free(&u);
    return ok;
}

/* The flag that lists objects fits the level; both are named when it does not. */
static bool
check_lists(const struct command *c, const struct task *t, struct err *e)
{
    const char *level = task_level_text(t->level);
    bool databases = command_flag(c, "databases") != NULL;
    bool tables = command_flag(c, "tables") != NULL;
    if (databases && t->level != TASK_DATABASE)
        return err_set(e, MR_USAGE, "--databases does not go with --level %s", level);
    if (tables && t->level != TASK_TABLE)
        return err_set(e, MR_USAGE, "--tables does not go with --level %s", level);
    if (t->level == TASK_DATABASE && !databases)
        return err_set(e, MR_USAGE, "--level database needs --databases");
    if (t->level == TASK_TABLE && !tables)
        return err_set(e, MR_USAGE, "--level table needs --tables");
    return true;
}

static bool
take_selection(const struct command *c, struct task *t, struct err *e)
{
    const char *level = NULL;
    const char *exclude = command_flag(c, "exclude");
    if (!need(c, "level", &level, e) || !task_parse_level(level, &t->level, e) ||
        !check_lists(c, t, e))
        return false;
    const char *flag = t->level == TASK_TABLE ? "tables" : "databases";
    char dashed[16];
    snprintf(dashed, sizeof(dashed), "--%s", flag);
    if (t->level != TASK_ACCOUNT && !task_parse_objects(t, dashed, command_flag(c, flag), e))
        return false;
    return exclude == NULL || task_set_exclude(t, exclude, e);
}

static bool
take_choice(const struct command *c, const char *flag, const char *const *texts, int *out,
            struct err *e)
{
    const char *given = command_flag(c, flag);
    if (given == NULL)
        return true;
    for (int i = 0; i < 2; i++) {
        if (text_same(given, texts[i])) {
            *out = i;
            return true;
        }
    }
    return err_set(e, MR_USAGE, "--%s is %s or %s, not '%s'", flag, texts[0], texts[1], given);
}

static bool
take_choices(const struct command *c, struct task *t, struct err *e)
{
    static const char *const on_error[] = {"stop", "ignore"}, *const on_gap[] = {"stop",
                                                                                 "resync"};
    static const char *const delivery[] = {"exactly-once", "fast"};
    static const char *const consistency[] = {"table", "task"}, *const format[] = {"avro",
                                                                                   "json"};
    int error = 0, gap = 0, how = 0, by = 0, as = 0;
    if (!take_choice(c, "error-handle-option", on_error, &error, e) ||
        !take_choice(c, "on-gap", on_gap, &gap, e) ||
        !take_choice(c, "delivery", delivery, &how, e) ||
        !take_choice(c, "consistency", consistency, &by, e) ||
        !take_choice(c, "format", format, &as, e))
        return false;
    if (error == TASK_ERROR_IGNORE)
        return not_yet("--error-handle-option ignore", e);
    t->on_error = (enum task_on_error)error;
    t->on_gap = (enum task_on_gap)gap;
    t->delivery = (enum task_delivery)how;
    t->consistency = (enum task_consistency)by;
    t->format = (enum codec_format)as;
    return true;
}

static bool
take_param(struct task *t, const char *flag, const char *name, const char *value, struct err *e)
{
    struct config *scratch = config_new();
    bool ok = config_set(scratch, name, value, CONFIG_FROM_TASK, e);
    config_free(scratch);
    if (!ok)
        return err_wrap(e, "--%s", flag);
    json_set(t->params, name, json_str(value));
    return true;
}

/* --set of what a task may set stays with the task. */
static bool
take_set(const struct command *c, struct task *t, struct err *e)
{
    const char *pair = NULL;
    for (size_t i = 0; (pair = cli_get_at(c->spec, c->args, "set", i)) != NULL; i++) {
        char name[128];
        const char *equals = strchr(pair, '=');
        size_t n = equals != NULL ? (size_t)(equals - pair) : 0;
        if (n == 0 || n >= sizeof(name))
            continue;
        memcpy(name, pair, n);
        name[n] = '\0';
        const struct config_option *o = config_option_find(name);
        if (o != NULL && (o->flags & CONFIG_PER_TASK) != 0 &&
            !take_param(t, "set", name, equals + 1, e))
            return false;
    }
    return true;
}

static bool
take_params(const struct command *c, struct task *t, struct err *e)
{
    const char *timeout = command_flag(c, "send-sql-timeout");
    const char *length = command_flag(c, "max-sql-length");
    const char *partitions = command_flag(c, "partitions");
    const char *keyless = command_flag(c, "keyless");
    int64_t n = config_int(c->config, "topic.partitions");
    if (keyless != NULL && !take_param(t, "keyless", "keyless", keyless, e))
        return false;
    if (timeout != NULL &&
        !take_param(t, "send-sql-timeout", "send.sql.timeout.ms", timeout, e))
        return false;
    if (length != NULL && !take_param(t, "max-sql-length", "max.sql.length", length, e))
        return false;
    if (partitions != NULL && (!text_i64(partitions, &n) || n < 1 || n > TASK_PARTITIONS_MAX))
        return err_set(e, MR_USAGE, "--partitions is 1 to %d, not '%s'", TASK_PARTITIONS_MAX,
                       partitions);
    t->partitions = (unsigned)(n < TASK_PARTITIONS_MAX ? n : TASK_PARTITIONS_MAX);
    return take_set(c, t, e);
}

static bool
refuse_times(const struct command *c, struct err *e)
{
    if (command_flag(c, "start-ts") != NULL)
        return not_yet("--start-ts (a task starts with a full load, or with --no-full at the "
                       "present position)",
                       e);
    if (command_flag(c, "end-ts") != NULL)
        return not_yet("--end-ts", e);
    return true;
}

static bool
fill(const struct command *c, struct task *t, struct err *e)
{
    const char *name = NULL;
    const char *prefix = command_flag(c, "prefix");
    if (!need(c, "task-name", &name, e) || !task_check_name(name, e) || !refuse_times(c, e))
        return false;
    t->name = arena_strdup(&t->arena, name);
    t->prefix = prefix != NULL ? arena_strdup(&t->arena, prefix) : t->name;
    t->full = !command_has(c, "no-full");
    t->desired = command_has(c, "no-start") ? TASK_STOPPED : TASK_RUNNING;
    return take_selection(c, t, e) && take_choices(c, t, e) && take_params(c, t, e) &&
           take_sink(c, t, e) && take_source(c, t, e) && task_check(t, e);
}

bool
create_build(const struct command *c, struct task **out, struct err *e)
{
    struct task *t = task_new();
    if (!fill(c, t, e)) {
        task_unref(t);
        return false;
    }
    *out = t;
    return true;
}
