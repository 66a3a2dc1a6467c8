/* pause, resume, restart, drop: each an edit of the task's record that the workers carry out.
 *
 * The wish is durable when task_store_put returns; dying after it loses only the waiting.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/create.h"
#include "cli/session.h"

#define TIMEOUT_DEFAULT "60s"
#define TIMEOUT_OPTION \
    {"timeout", 0, false, "TIME", "how long to wait for the workers (" TIMEOUT_DEFAULT ")"}
#define YES_OPTION {"yes", 'y', false, NULL, "do not ask"}
#define ALL_OPTION {"all", 0, false, NULL, "every task"}

static const struct cli_option pause_options[] = {CHOICE_OPTIONS, ALL_OPTION, TIMEOUT_OPTION,
                                                  GLOBAL_OPTIONS};
const struct cli_spec pause_spec = {
    "millrace task pause --task-name NAME | --all [--source-uri URI] [flags]",
    "Stops tasks; the position is saved, `resume` goes on exactly there.", pause_options,
    ARRAY_LEN(pause_options), NULL};

static const struct cli_option resume_options[] = {
    CHOICE_OPTIONS,
    ALL_OPTION,
    {"on-gap", 0, false, "stop|resync",
     "when the source purged log that was not read: refuse, or load every table again"},
    GLOBAL_OPTIONS};
const struct cli_spec resume_spec = {
    "millrace task resume --task-name NAME | --all [--source-uri URI] [flags]",
    "Continues stopped tasks where they were.", resume_options, ARRAY_LEN(resume_options),
    NULL};

static const struct cli_option restart_options[] = {CHOICE_OPTIONS, YES_OPTION, GLOBAL_OPTIONS};
const struct cli_spec restart_spec = {
    "millrace task restart --task-name NAME [--source-uri URI] [-y] [flags]",
    "Forgets a task's progress and begins again: every table is loaded again over what the "
    "target holds.",
    restart_options, ARRAY_LEN(restart_options), NULL};

static const struct cli_option drop_options[] = {CHOICE_OPTIONS, ALL_OPTION, YES_OPTION,
                                                 TIMEOUT_OPTION, GLOBAL_OPTIONS};
const struct cli_spec drop_spec = {
    "millrace task drop --task-name NAME | --all [--source-uri URI] [-y] [flags]",
    "Deletes tasks and their positions. Target tables and Kafka topics stay.", drop_options,
    ARRAY_LEN(drop_options), NULL};

/* The record as it will be: generation + 1. */
static struct task *
edit(const struct task *t)
{
    struct task *n = task_copy(t);
    n->generation++;
    return n;
}

static bool
deadline(const struct command *c, uint64_t *out, struct err *e)
{
    const char *text = command_flag(c, "timeout");
    int64_t ms = 0;
    if (!text_duration_ms(text != NULL ? text : TIMEOUT_DEFAULT, 1000, &ms) || ms < 0)
        return err_set(e, MR_USAGE, "--timeout is a duration such as 30s, not '%s'", text);
    *out = clock_mono_ms() + (uint64_t)ms;
    return true;
}

static bool
open_and_choose(struct command *c, struct session *s, bool all, struct choice *tasks,
                struct err *e)
{
    return session_open(c, s, e) && choose_tasks(c, s, all, false, tasks, e);
}

/* Pause */

static bool
pause_wish(struct session *s, struct task **t, struct err *e)
{
    printf("task_id: %s\n", (*t)->id);
    if ((*t)->desired == TASK_STOPPED)
        return true;
    struct task *n = edit(*t);
    n->desired = TASK_STOPPED;
    if (!task_store_put(s->store, n, e)) {
        task_unref(n);
        return false;
    }
    task_unref(*t);
    *t = n;
    return true;
}

bool
pause_run(struct command *c, struct err *e)
{
    struct session s = {NULL, NULL};
    struct choice tasks = {NULL, 0};
    uint64_t until = 0;
    bool ok = deadline(c, &until, e) && open_and_choose(c, &s, true, &tasks, e);
    for (size_t i = 0; ok && i < tasks.len; i++)
        ok = pause_wish(&s, &tasks.tasks[i], e);
    for (size_t i = 0; ok && i < tasks.len; i++) {
        ok = session_wait(&s, tasks.tasks[i], until, e);
        if (ok)
            printf("task '%s' is stopped, its position is saved\n", tasks.tasks[i]->name);
    }
    choice_free(&tasks);
    session_close(&s);
    return ok;
}

/* Resume */

static bool
take_gap(const struct command *c, struct task *n, bool *resync, struct err *e)
{
    const char *gap = command_flag(c, "on-gap");
    *resync = gap != NULL ? strcmp(gap, "resync") == 0 : n->on_gap == TASK_GAP_RESYNC;
    if (gap == NULL)
        return true;
    if (!*resync && strcmp(gap, "stop") != 0)
        return err_set(e, MR_USAGE, "--on-gap is stop or resync, not '%s'", gap);
    n->on_gap = *resync ? TASK_GAP_RESYNC : TASK_GAP_STOP;
    return true;
}

/* Whether the source still has what comes after the kept position. A source that cannot be
 * asked now is asked by the worker. */
static bool
check_source(const struct command *c, const struct session *s, const struct task *t,
             struct err *e)
{
    char key[80];
    struct err why = {0};
    struct position p;
    struct mysql_conn *conn = NULL;
    snprintf(key, sizeof(key), "%s/capture/%u", t->id, t->sources[0].n);
    const struct json *status = status_map_get(status_reader_map(s->status), key);
    if (status_hex_value(status, "inc") != t->inc || !json_is_object(json_get(status, "pos")))
        return true;
    position_init(&p, POSITION_NONE);
    bool ok = true;
    if (position_from_json(json_get(status, "pos"), &p, &why) &&
        create_connect(c, t, &t->sources[0].at, MYSQL_SOURCE, &conn, &why) &&
        !discover_check_position(conn, &p, &why) && why.code == MR_SOURCE_PURGED) {
        *e = why;
        ok = err_wrap(e, "task '%s'", t->name);
    }
    mysql_conn_close(conn);
    position_free(&p);
    return ok;
}

/* A table that stopped alone, its task running, is resumed with the task. */
static bool
any_table_stopped(const struct summary *sum)
{
    for (size_t i = 0; i < sum->tables_len; i++) {
        if (sum->tables[i].s.state == STATUS_TABLE_STOPPED)
            return true;
    }
    return false;
}

/* *gap: it cannot go on where it was, *e says why. */
static bool
check_resume(const struct command *c, const struct session *s, const struct task *t, bool *gap,
             struct err *e)
{
    struct summary sum;
    session_summary(s, t, &sum);
    bool running = sum.running && !any_table_stopped(&sum);
    *gap = sum.code == MR_SOURCE_PURGED;
    if (*gap)
        err_set(e, MR_SOURCE_PURGED, "task '%s' cannot go on where it was", t->name);
    summary_free(&sum);
    if (running)
        return err_set(
            e, MR_TASK_STATE,
            "task '%s' is running: only a stopped task, or one with a stopped table, can "
            "be resumed",
            t->name);
    if (!*gap)
        *gap = !check_source(c, s, t, e);
    return true;
}

static void
begin_again(struct task *n)
{
    n->inc = random_u64();
}

static bool
resume_one(const struct command *c, struct session *s, const struct task *t, struct err *e)
{
    bool gap = false, resync = false;
    struct task *n = edit(t);
    struct err why = {0};
    bool ok = take_gap(c, n, &resync, e) && check_resume(c, s, t, &gap, &why);
    if (!ok || (gap && !resync)) {
        if (ok)
            err_wrap(&why, "--on-gap resync would load its tables again");
        if (e->code == MR_OK)
            *e = why;
        task_unref(n);
        return false;
    }
    n->desired = TASK_RUNNING;
    if (gap) {
        begin_again(n);
        json_free(n->position);
        n->position = NULL;
        n->full = true;
    }
    ok = ok && task_store_put(s->store, n, e);
    if (ok)
        printf("task_id: %s\ntask '%s' %s\n", n->id, n->name,
               gap ? "loads every table again: the source purged what it had not read"
                   : "continues where it was");
    task_unref(n);
    return ok;
}

bool
resume_run(struct command *c, struct err *e)
{
    struct session s = {NULL, NULL};
    struct choice tasks = {NULL, 0};
    bool ok = open_and_choose(c, &s, true, &tasks, e);
    for (size_t i = 0; ok && i < tasks.len; i++)
        ok = resume_one(c, &s, tasks.tasks[i], e);
    choice_free(&tasks);
    session_close(&s);
    return ok;
}

/* Restart */

static void
announce(const struct task *t)
{
    fprintf(stderr, "task '%s' forgets its progress.\n", t->name);
    if (t->full)
        fprintf(stderr, "Every table is loaded again over what the target holds: a row gone at "
                        "the source is gone at the target.\n");
    else
        fprintf(stderr, "It has no full load: changes are read again from its first position, "
                        "if the source still has them.\n");
    fprintf(stderr, "Target tables and topics stay and can be read meanwhile.\n");
}

bool
restart_run(struct command *c, struct err *e)
{
    struct session s = {NULL, NULL};
    struct choice tasks = {NULL, 0};
    bool ok = open_and_choose(c, &s, false, &tasks, e);
    if (ok) {
        struct task *n = edit(tasks.tasks[0]);
        begin_again(n);
        n->desired = TASK_RUNNING;
        announce(n);
        if (!confirm(c, "Restart?"))
            ok = err_set(e, MR_USAGE, "not confirmed");
        ok = ok && task_store_put(s.store, n, e);
        if (ok)
            printf("task_id: %s\ntask '%s' begins again\n", n->id, n->name);
        task_unref(n);
    }
    choice_free(&tasks);
    session_close(&s);
    return ok;
}

/* Drop */

static bool
drop_one(struct session *s, const struct task *t, uint64_t until, struct err *e)
{
    struct summary sum;
    struct task *n = edit(t);
    n->desired = TASK_DROPPED;
    printf("task_id: %s\n", n->id);
    bool ok = task_store_put(s->store, n, e) && session_wait(s, n, until, e);
    if (ok) {
        session_summary(s, n, &sum);
        printf("task '%s' is dropped; target tables and topics are kept\n", n->name);
        if (n->sink_type != TASK_SINK_KAFKA && !sum.apply_alive)
            fprintf(stderr, "warning: no apply worker is on line: the next one removes the "
                            "checkpoint from the target\n");
        if (sum.code != MR_OK)
            fprintf(stderr, "warning: %s\n", sum.err_msg);
        summary_free(&sum);
    }
    task_unref(n);
    return ok;
}

bool
drop_run(struct command *c, struct err *e)
{
    struct session s = {NULL, NULL};
    struct choice tasks = {NULL, 0};
    uint64_t until = 0;
    bool ok = deadline(c, &until, e) && open_and_choose(c, &s, true, &tasks, e);
    if (ok && tasks.len > 0 && !confirm(c, "Drop? Positions are deleted."))
        ok = err_set(e, MR_USAGE, "not confirmed");
    for (size_t i = 0; ok && i < tasks.len; i++)
        ok = drop_one(&s, tasks.tasks[i], until, e);
    choice_free(&tasks);
    session_close(&s);
    return ok;
}
