/* Stop tokens: ask once, seen by every thread, waited for with poll. A token may have a parent
 * (program > task > unit): asked is asked when any ancestor is. Never taken back. Owner: who
 * initialised it; must outlive its children and its users. Thread: any.
 */
#ifndef MILLRACE_BASE_STOP_H
#define MILLRACE_BASE_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

#define STOP_DEPTH_MAX 4

struct stop {
    atomic_bool asked;
    int fd; /* eventfd, readable for ever once asked; for poll together with sockets (ancestors
               have their own) */
    struct stop *parent; /* NULL: none */
};

void
stop_init(struct stop *s, struct stop *parent); /* aborts when the system gives no eventfd */
void
stop_free(struct stop *s);
void
stop_ask(struct stop *s); /* async-signal-safe */
bool
stop_asked(const struct stop *s);
/* Waits at most timeout_ms (-1: for ever); true when asked. */
bool
stop_wait(const struct stop *s, int timeout_ms);
/* Waits until fd has one of the poll `events` (then true), or the stop is asked, or the time is
 * over. */
bool
stop_poll(const struct stop *s, int fd, short events, int timeout_ms);
/* SIGTERM and SIGINT ask s, a second one ends the process at once; SIGPIPE is ignored. Call
 * before threads start. */
void
stop_on_signals(struct stop *s);

#endif
