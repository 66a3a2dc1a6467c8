/* Named threads, locks and conditions. */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct thread_begin {
    thread_fn *fn;
    void *arg;
    char name[16];
};

static void
thread_check(int rc, const char *what)
{
    if (rc)
        mem_die("%s: %s", what, strerrordesc_np(rc));
}

static void *
thread_main(void *p)
{
    struct thread_begin begin = *(struct thread_begin *)p;
    free(p);
    pthread_setname_np(pthread_self(), begin.name);
    begin.fn(begin.arg);
    return NULL;
}

void
thread_start(struct thread *t, const char *name, thread_fn *fn, void *arg)
{
    struct thread_begin *begin = mem_alloc(sizeof(*begin));
    begin->fn = fn;
    begin->arg = arg;
    snprintf(begin->name, sizeof(begin->name), "%.15s", name);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    thread_check(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask");
    thread_check(pthread_create(&t->id, NULL, thread_main, begin), "pthread_create");
    thread_check(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
    t->running = true;
}

void
thread_join(struct thread *t)
{
    if (!t->running)
        return;
    thread_check(pthread_join(t->id, NULL), "pthread_join");
    t->running = false;
}

void
thread_lock_init(pthread_mutex_t *m)
{
    thread_check(pthread_mutex_init(m, NULL), "pthread_mutex_init");
}

void
thread_lock(pthread_mutex_t *m)
{
    thread_check(pthread_mutex_lock(m), "pthread_mutex_lock");
}

void
thread_unlock(pthread_mutex_t *m)
{
    thread_check(pthread_mutex_unlock(m), "pthread_mutex_unlock");
}

void
thread_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    thread_check(pthread_condattr_init(&attr), "pthread_condattr_init");
    thread_check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC),
                 "pthread_condattr_setclock");
    thread_check(pthread_cond_init(c, &attr), "pthread_cond_init");
    pthread_condattr_destroy(&attr);
}

void
thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    thread_check(pthread_cond_wait(c, m), "pthread_cond_wait");
}

bool
thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_us)
{
    struct timespec t = {.tv_sec = (time_t)(deadline_us / 1000000),
                         .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    int rc = pthread_cond_timedwait(c, m, &t);
    if (rc == ETIMEDOUT)
        return false;
    thread_check(rc, "pthread_cond_timedwait");
    return true;
}
