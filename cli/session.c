#include "cli/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/uri.h"
#include "task/topics.h"

#define KAFKA_MS 10000
#define TURN_MS  200

bool
session_open(struct command *c, struct session *s, struct err *e)
{
    *s = (struct session){NULL, NULL};
    return topics_make(c->config, KAFKA_MS, e) &&
           task_store_open(c->config, NULL, &s->store, e) &&
           status_reader_open(c->config, &s->status, e);
}

void
session_close(struct session *s)
{
    task_store_close(s->store);
    status_reader_close(s->status);
}

static bool
same_place(const struct task *t, const struct uri *u)
{
    struct err ignored = {0};
    for (size_t i = 0; i < t->sources_len; i++) {
        struct uri s;
        if (!uri_parse(t->sources[i].at.uri, &s, &ignored))
            continue;
        bool same = strcmp(s.scheme, u->scheme) == 0 && strcmp(s.hosts, u->hosts) == 0 &&
                    strcmp(s.user != NULL ? s.user : "", u->user != NULL ? u->user : "") == 0;
        uri_free(&s);
        if (same)
            return true;
    }
    return false;
}

static void
take_matching(const struct session *s, const char *name, const struct uri *u,
              struct choice *out)
{
    size_t n = task_store_len(s->store);
    out->tasks = mem_array(n + 1, sizeof(struct task *));
    for (size_t i = 0; i < n; i++) {
        struct task *t = task_store_at(s->store, i);
        if (t->desired == TASK_DROPPED || (name != NULL && strcmp(t->name, name) != 0) ||
            (u != NULL && !same_place(t, u)))
            continue;
        out->tasks[out->len++] = task_ref(t);
    }
}

static bool
check_choice(const char *name, const struct choice *out, struct err *e)
{
    if (name != NULL && out->len == 0)
        return err_set(e, MR_TASK_UNKNOWN, "task '%s'", name);
    if (name != NULL && out->len > 1)
        return err_set(e, MR_USAGE, "%zu owners have a task '%s': say which by --source-uri",
                       out->len, name);
    return true;
}

bool
choose_tasks(const struct command *c, const struct session *s, bool all_flag, bool none_is_all,
             struct choice *out, struct err *e)
{
    const char *name = command_flag(c, "task-name"), *uri = command_flag(c, "source-uri");
    bool all = all_flag && command_has(c, "all");
    struct uri u;
    *out = (struct choice){NULL, 0};
    if (name != NULL && all)
        return err_set(e, MR_USAGE, "--all and --task-name exclude each other");
    if (name == NULL && !all && !none_is_all)
        return err_set(e, MR_USAGE, "%s is needed",
                       all_flag ? "--task-name or --all" : "--task-name");
    if (uri != NULL && !uri_parse(uri, &u, e))
        return err_wrap(e, "--source-uri");
    take_matching(s, name, uri != NULL ? &u : NULL, out);
    if (uri != NULL)
        uri_free(&u);
    if (check_choice(name, out, e))
        return true;
    choice_free(out);
    return false;
}

void
choice_free(struct choice *c)
{
    for (size_t i = 0; i < c->len; i++)
        task_unref(c->tasks[i]);
    free(c->tasks);
    *c = (struct choice){NULL, 0};
}

void
session_summary(const struct session *s, const struct task *t, struct summary *out)
{
    summary_make(t, status_reader_map(s->status), clock_wall_ms(), out);
}

bool
session_wait(struct session *s, const struct task *t, uint64_t deadline_ms, struct err *e)
{
    for (;;) {
        struct summary sum;
        session_summary(s, t, &sum);
        bool settled = sum.settled;
        summary_free(&sum);
        if (settled)
            return true;
        if (clock_mono_ms() >= deadline_ms)
            return err_set(e, MR_WAIT_TIMEOUT, "task '%s'", t->name);
        if (!status_reader_poll(s->status, TURN_MS, e))
            return false;
    }
}

bool
confirm(const struct command *c, const char *question)
{
    char answer[16] = "";
    if (command_has(c, "yes") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return true;
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

const char *
time_text(uint64_t us, char *out, size_t out_size)
{
    struct tm tm;
    time_t s = (time_t)(us / 1000000);
    char day[40], zone[40];
    localtime_r(&s, &tm);
    strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
    strftime(zone, sizeof(zone), "%z %Z", &tm);
    snprintf(out, out_size, "%s.%06" PRIu64 " %s", day, us % 1000000, zone);
    return out;
}
