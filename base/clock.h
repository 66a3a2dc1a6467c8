/* Time. Wall clock only for what a human or another machine reads; durations are monotonic. */
#ifndef MILLRACE_BASE_CLOCK_H
#define MILLRACE_BASE_CLOCK_H

#include <stdint.h>

uint64_t
clock_mono_us(void);
uint64_t
clock_mono_ms(void);
uint64_t
clock_wall_us(void);
uint64_t
clock_wall_ms(void);
void
clock_sleep_ms(unsigned ms);

#endif
