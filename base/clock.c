/* Time. */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

static uint64_t
clock_read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
clock_mono_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

uint64_t
clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

uint64_t
clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

void
clock_sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}
