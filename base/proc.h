/* What this process uses, from /proc and the kernel. Thread: any. A figure that cannot be read
 * is 0. */
#ifndef MILLRACE_BASE_PROC_H
#define MILLRACE_BASE_PROC_H

#include <stdint.h>

struct proc_usage {
    uint64_t rss_bytes;
    uint64_t rss_peak_bytes; /* VmHWM */
    uint64_t cpu_user_us;
    uint64_t cpu_system_us;
    uint64_t threads;
    uint64_t open_files;
    uint64_t start_wall_ms; /* when the first call of this module was made */
};

void
proc_usage(struct proc_usage *out);
/* CPU time of the calling thread. */
uint64_t
proc_thread_cpu_us(void);

#endif
