/* Stop tokens over eventfd: written once and never read, so that the descriptor stays readable.
 */
#include "base/stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* The token of the signals; set before the handler is installed. */
static struct stop *_Atomic stop_of_signals;

void
stop_init(struct stop *s, struct stop *parent)
{
    atomic_init(&s->asked, false);
    s->parent = parent;
    size_t depth = 1;
    for (const struct stop *p = parent; p; p = p->parent)
        depth++;
    if (depth > STOP_DEPTH_MAX)
        mem_die("stop tokens are nested deeper than %d", STOP_DEPTH_MAX);
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0)
        mem_die("eventfd: %s", strerrordesc_np(errno));
}

void
stop_free(struct stop *s)
{
    struct stop *self = s;
    atomic_compare_exchange_strong(&stop_of_signals, &self, NULL);
    close(s->fd);
    s->fd = -1;
}

void
stop_ask(struct stop *s)
{
    int saved_errno = errno;
    if (!atomic_exchange(&s->asked, true))
        eventfd_write(s->fd, 1);
    errno = saved_errno;
}

bool
stop_asked(const struct stop *s)
{
    for (; s; s = s->parent) {
        if (atomic_load(&s->asked))
            return true;
    }
    return false;
}

/* Milliseconds left, rounded up; -1 stays. */
static int
stop_left_ms(int timeout_ms, uint64_t begin_us)
{
    if (timeout_ms < 0)
        return -1;
    uint64_t gone_us = clock_mono_us() - begin_us;
    uint64_t all_us = (uint64_t)timeout_ms * 1000;
    return gone_us >= all_us ? 0 : (int)((all_us - gone_us + 999) / 1000);
}

bool
stop_poll(const struct stop *s, int fd, short events, int timeout_ms)
{
    struct pollfd fds[STOP_DEPTH_MAX + 1] = {{.fd = fd, .events = events}};
    nfds_t n = 1;
    for (const struct stop *p = s; p; p = p->parent)
        fds[n++] = (struct pollfd){.fd = p->fd, .events = POLLIN};
    uint64_t begin_us = clock_mono_us();
    for (;;) {
        int left_ms = stop_left_ms(timeout_ms, begin_us);
        int ready = poll(fds, n, left_ms);
        if (ready < 0 && errno != EINTR)
            mem_die("poll: %s", strerrordesc_np(errno));
        if (ready > 0)
            return fds[0].revents != 0;
        if (left_ms == 0)
            return false;
    }
}

bool
stop_wait(const struct stop *s, int timeout_ms)
{
    if (!stop_asked(s))
        stop_poll(s, -1, 0, timeout_ms);
    return stop_asked(s);
}

static void
stop_handle(int signal_number)
{
    struct stop *s = atomic_load(&stop_of_signals);
    if (!s || atomic_load(&s->asked))
        _exit(128 + signal_number);
    stop_ask(s);
}

void
stop_on_signals(struct stop *s)
{
    atomic_store(&stop_of_signals, s);
    struct sigaction action = {.sa_handler = stop_handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}
