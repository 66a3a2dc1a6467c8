/* Fuzz: any bytes as a task record: refused, or written again and then the same. A first byte
 * of 0: as a list of objects, 1: as an exclude pattern. */
#include <stdlib.h>

#include "base/mem.h"
#include "task/task.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_record(struct bytes text)
{
    struct task *t, *again;
    struct buf first = {0}, second = {0};
    struct err e;
    if (!task_from_json(text, &t, &e))
        return;
    task_to_json(t, &first);
    if (!task_from_json(buf_bytes(&first), &again, &e))
        abort();
    task_to_json(again, &second);
    if (!bytes_eq(buf_bytes(&first), buf_bytes(&second)))
        abort();
    struct task_target to;
    if (task_check(t, &e))
        (void)task_selects(t, "db", "t", &to);
    buf_free(&first);
    buf_free(&second);
    task_unref(t);
    task_unref(again);
}

static void
fuzz_flag(bool exclude, struct bytes text)
{
    struct task *t = task_new();
    struct err e;
    char *s = mem_strn(text);
    t->level = exclude ? TASK_ACCOUNT : TASK_TABLE;
    bool ok = exclude ? task_set_exclude(t, s, &e) : task_parse_objects(t, "--tables", s, &e);
    struct task_target to;
    if (ok)
        (void)task_selects(t, "db", "t", &to);
    free(s);
    task_unref(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes all = bytes_of(data, size);
    if (size > 0 && data[0] < 2)
        fuzz_flag(data[0], bytes_of(data + 1, size - 1));
    else
        fuzz_record(all);
    return 0;
}
