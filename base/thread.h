/* Named threads, locks and conditions. What can only fail by a bug or for lack of resources
 * aborts. New threads block every signal, so that signals reach the main thread.
 */
#ifndef MILLRACE_BASE_THREAD_H
#define MILLRACE_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef void
thread_fn(void *arg);

/* Zero-initialised = not running. */
struct thread {
    pthread_t id;
    bool running; /* started and not yet joined */
};

/* name: up to 15 bytes are shown by ps and top; longer names are cut. */
void
thread_start(struct thread *t, const char *name, thread_fn *fn, void *arg);
/* Waits for its end; nothing when it is not running. */
void
thread_join(struct thread *t);

void
thread_lock_init(pthread_mutex_t *m);
void
thread_lock(pthread_mutex_t *m);
void
thread_unlock(pthread_mutex_t *m);
/* A condition on the monotonic clock. */
void
thread_cond_init(pthread_cond_t *c);
void
thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
/* Waits until clock_mono_us() is deadline_us; false: the time is over. May wake early. */
bool
thread_cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_us);

#endif
