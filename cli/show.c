/* task show: a JSON array, or a table on a terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/uri.h"
#include "cli/session.h"

static const struct cli_option options[] = {
    CHOICE_OPTIONS,
    {"all", 0, false, NULL, "every task (the default)"},
    {"output", 'o', false, "json|table", "default: a table on a terminal, else JSON"},
    GLOBAL_OPTIONS,
};

const struct cli_spec show_spec = {
    "millrace task show [--task-name NAME | --all] [--source-uri URI] [flags]",
    "Shows tasks: state, errors, and the source time up to which each target table is "
    "complete.",
    options, ARRAY_LEN(options), NULL};

static struct json *
masked(const char *uri)
{
    struct buf text = {0};
    if (uri == NULL)
        return json_str("");
    uri_masked_text(uri, &text);
    struct json *j = json_str(buf_cstr(&text));
    buf_free(&text);
    return j;
}

/* The stored URI has no password; one stood there when it is sealed. */
static struct json *
masked_endpoint(const struct task_endpoint *at)
{
    struct err ignored = {0};
    struct uri u;
    if (at->uri == NULL || at->secret.alg == NULL || !uri_parse(at->uri, &u, &ignored))
        return masked(at->uri);
    struct buf text = {0};
    u.password = "sealed";
    uri_masked(&u, &text);
    struct json *j = json_str(buf_cstr(&text));
    buf_free(&text);
    uri_free(&u);
    return j;
}

static void
add_name(struct buf *out, const struct summary_table *t)
{
    for (const char *p = t->s.db; *p != '\0'; p++)
        buf_addf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    buf_add_byte(out, '.');
    for (const char *p = t->s.table; *p != '\0'; p++)
        buf_addf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
}

static struct json *
checkpoint_text(const struct summary *s)
{
    struct buf text = {0};
    char time[80];
    buf_add_str(&text, "{\n");
    for (size_t i = 0; i < s->tables_len; i++) {
        const struct summary_table *t = &s->tables[i];
        if (t->s.state == STATUS_TABLE_DROPPED)
            continue;
        buf_add_str(&text, "  \"");
        add_name(&text, t);
        buf_addf(&text, "\": %s,\n",
                 t->source_us != 0 ? time_text(t->source_us, time, sizeof(time)) : "null");
    }
    buf_add_str(&text, "}");
    struct json *j = json_str(buf_cstr(&text));
    buf_free(&text);
    return j;
}

static struct json *
checkpoint_object(const struct summary *s)
{
    struct json *o = json_object_new();
    char time[80], name[600];
    for (size_t i = 0; i < s->tables_len; i++) {
        const struct summary_table *t = &s->tables[i];
        if (t->s.state == STATUS_TABLE_DROPPED)
            continue;
        snprintf(name, sizeof(name), "%s.%s", t->s.db, t->s.table);
        json_set(o, name,
                 t->source_us != 0 ? json_str(time_text(t->source_us, time, sizeof(time)))
                                   : json_null_new());
    }
    return o;
}

static struct json *
table_list(const struct summary *s)
{
    struct json *list = json_array_new();
    char text[ERR_TEXT_MAX + 512];
    for (size_t i = 0; i < s->tables_len; i++) {
        const struct summary_table *t = &s->tables[i];
        struct json *o = json_object_new();
        json_set(o, "database", json_str(t->s.db));
        json_set(o, "table", json_str(t->s.table));
        json_set(o, "state", json_str(status_table_state_text(t->s.state)));
        json_set(o, "rows", json_u64(t->s.rows));
        json_set(o, "load-rows", json_u64(t->load_rows));
        json_set(o, "load-total", json_u64(t->load_total));
        json_set(
            o, "err-msg",
            json_str(t->s.err.code != MR_OK ? err_format(&t->s.err, text, sizeof(text)) : ""));
        json_push(list, o);
    }
    return list;
}

static int64_t
lag_ms(const struct summary *s, uint64_t now_us)
{
    if (s->source_us == 0)
        return -1;
    return s->source_us < now_us ? (int64_t)(now_us - s->source_us) / 1000 : 0;
}

static struct json *
task_json(const struct task *t, const struct summary *s)
{
    struct json *o = json_object_new();
    char time[80];
    uint64_t now_us = clock_wall_us();
    json_set(o, "task-id", json_str(t->id));
    json_set(o, "task-name", json_str(t->name));
    json_set(o, "source-uri", masked_endpoint(&t->sources[0].at));
    json_set(o, "sink-uri", masked_endpoint(&t->sink));
    json_set(o, "state", json_str(s->running ? "running" : "stopped"));
    json_set(o, "err-msg", json_str(s->err_msg));
    json_set(o, "checkpoint", checkpoint_text(s));
    json_set(o, "timestamp", json_str(time_text(now_us, time, sizeof(time))));
    json_set(o, "phase", json_str(status_phase_text(s->phase)));
    json_set(o, "reason", json_str(summary_reason_text(s->reason)));
    json_set(o, "checkpoints", checkpoint_object(s));
    json_set(o, "lag-ms", json_i64(lag_ms(s, now_us)));
    json_set(o, "rows", json_u64(s->rows));
    json_set(o, "failovers", json_u64(s->failovers));
    json_set(o, "tables", table_list(s));
    return o;
}

static void
print_json(const struct session *s, const struct choice *tasks)
{
    struct json *list = json_array_new();
    struct buf text = {0};
    for (size_t i = 0; i < tasks->len; i++) {
        struct summary sum;
        session_summary(s, tasks->tasks[i], &sum);
        json_push(list, task_json(tasks->tasks[i], &sum));
        summary_free(&sum);
    }
    json_dump_pretty(list, &text);
    printf("%s\n", buf_cstr(&text));
    buf_free(&text);
    json_free(list);
}

static void
print_table(const struct session *s, const struct choice *tasks)
{
    printf("%-24s %-8s %-17s %10s %12s %s\n", "TASK", "STATE", "PHASE", "LAG", "ROWS", "ERROR");
    for (size_t i = 0; i < tasks->len; i++) {
        struct summary sum;
        char lag[32] = "-";
        session_summary(s, tasks->tasks[i], &sum);
        int64_t ms = lag_ms(&sum, clock_wall_us());
        if (ms >= 0)
            snprintf(lag, sizeof(lag), "%lld ms", (long long)ms);
        printf("%-24s %-8s %-17s %10s %12llu %s\n", tasks->tasks[i]->name,
               sum.running ? "running" : "stopped", status_phase_text(sum.phase), lag,
               (unsigned long long)sum.rows, sum.err_msg);
        summary_free(&sum);
    }
}

static bool
choose_output(const struct command *c, bool *json, struct err *e)
{
    const char *o = command_flag(c, "output");
    *json = o != NULL ? strcmp(o, "json") == 0 : !isatty(STDOUT_FILENO);
    if (o != NULL && !*json && strcmp(o, "table") != 0)
        return err_set(e, MR_USAGE, "--output is json or table, not '%s'", o);
    return true;
}

bool
show_run(struct command *c, struct err *e)
{
    struct session s;
    struct choice tasks = {NULL, 0};
    bool json = true;
    if (!choose_output(c, &json, e))
        return false;
    bool ok = session_open(c, &s, e) && choose_tasks(c, &s, true, true, &tasks, e);
    if (ok && json)
        print_json(&s, &tasks);
    else if (ok)
        print_table(&s, &tasks);
    choice_free(&tasks);
    session_close(&s);
    return ok;
}
