/* Usage of this process. */
#include "base/proc.h"

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"

static uint64_t start_wall_ms;
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static void
proc_note_start(void)
{
    start_wall_ms = clock_wall_ms();
}

static uint64_t
timeval_us(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* The number behind "Name:\t" of a line of /proc/self/status. */
static bool
proc_line(const char *line, const char *name, uint64_t *out)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0)
        return false;
    *out = strtoull(line + n, NULL, 10);
    return true;
}

static void
proc_read_status(struct proc_usage *out)
{
    char line[256];
    uint64_t kib;
    FILE *f = fopen("/proc/self/status", "re");
    if (!f)
        return;
    while (fgets(line, sizeof(line), f)) {
        if (proc_line(line, "VmRSS:", &kib))
            out->rss_bytes = kib * 1024;
        else if (proc_line(line, "VmHWM:", &kib))
            out->rss_peak_bytes = kib * 1024;
        else
            proc_line(line, "Threads:", &out->threads);
    }
    fclose(f);
}

static uint64_t
proc_count_files(void)
{
    uint64_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n ? n - 1 : 0; /* without the folder's own */
}

void
proc_usage(struct proc_usage *out)
{
    struct rusage r;
    pthread_once(&start_once, proc_note_start);
    *out = (struct proc_usage){.start_wall_ms = start_wall_ms};
    if (getrusage(RUSAGE_SELF, &r) == 0) {
        out->cpu_user_us = timeval_us(r.ru_utime);
        out->cpu_system_us = timeval_us(r.ru_stime);
    }
    proc_read_status(out);
    out->open_files = proc_count_files();
}

uint64_t
proc_thread_cpu_us(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
