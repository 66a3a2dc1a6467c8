/* Failpoints: read from the environment once, then one atomic decrement a pass. */
#include "base/fault.h"

#include <pthread.h>

#if defined(MILLRACE_FAULTS) && MILLRACE_FAULTS

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define FAULTS_MAX 32

struct fault_point {
    char name[64];
    _Atomic long left; /* passes until it acts */
    unsigned sleep_ms; /* 0: SIGKILL */
};

static struct fault_point points[FAULTS_MAX];
static size_t points_len;
static pthread_once_t points_once = PTHREAD_ONCE_INIT;

/* "NAME", "NAME:N" or "NAME:N:sleep:MS". */
static void
fault_parse(const char *text)
{
    struct fault_point *p = &points[points_len];
    long nth = 1;
    int end = 0;
    int got = sscanf(text, "%63[^:]%n:%ld%n:sleep:%u%n", p->name, &end, &nth, &end,
                     &p->sleep_ms, &end);
    if (got < 1 || nth < 1 || text[end] || points_len == FAULTS_MAX - 1)
        mem_die("MILLRACE_FAULT is not valid at \"%s\"", text);
    atomic_store(&p->left, nth);
    points_len++;
}

static void
fault_read(void)
{
    const char *env = getenv("MILLRACE_FAULT");
    if (!env || !*env)
        return;
    char *copy = mem_strdup(env);
    char *rest = copy;
    for (char *item; (item = strsep(&rest, ",")) != NULL;)
        fault_parse(item);
    free(copy);
}

void
fault_pass(const char *name)
{
    pthread_once(&points_once, fault_read);
    for (size_t i = 0; i < points_len; i++) {
        if (strcmp(points[i].name, name) != 0 || atomic_fetch_sub(&points[i].left, 1) != 1)
            continue;
        log_warn("fault", F_STR("name", name), F_U64("sleep_ms", points[i].sleep_ms));
        if (points[i].sleep_ms)
            clock_sleep_ms(points[i].sleep_ms);
        else
            raise(SIGKILL);
    }
}

#endif
