/* A task record to test with. */
#ifndef MILLRACE_TESTS_UNIT_TASK_UNIT_TASK_H
#define MILLRACE_TESTS_UNIT_TASK_UNIT_TASK_H

#include "unit/base/unit.h"

#include "task/task.h"

static inline struct task *
sample_task(enum task_level level, const char *objects)
{
    struct err e = {0};
    struct task *t = task_new();
    t->name = "shop";
    t->prefix = "shop";
    t->owner = "repl";
    t->level = level;
    t->sources = arena_zalloc(&t->arena, sizeof(*t->sources));
    t->sources_len = 1;
    t->sources[0].name = "127.0.0.1:3306";
    t->sources[0].at.uri = "mysql://repl@127.0.0.1:3306";
    t->sink.uri = "mysql://app@127.0.0.1:3307";
    if (objects != NULL && !task_parse_objects(t, "--tables", objects, &e))
        fail_msg("%s: %s", objects, e.text);
    return t;
}

#endif
