#include "support/driver.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/bytes.h"

void
driver_reply(struct json *o)
{
    struct buf b = {0};
    json_dump(o, &b);
    printf("%s\n", buf_cstr(&b));
    fflush(stdout);
    buf_free(&b);
    json_free(o);
}

void
driver_reply_error(const struct err *e)
{
    struct json *o = json_object_new();
    json_set(o, "ok", json_bool_new(false));
    json_set(o, "code", json_i64(e->code));
    json_set(o, "class", json_i64(e->class));
    json_set(o, "text", json_str(e->text));
    driver_reply(o);
}

double
driver_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
