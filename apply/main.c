/* millrace-apply: each task's Kafka topics into its target's tables, exactly once. */
#include <malloc.h>

#include "apply/run.h"

/* Blocks of rows go from thread to thread: one heap a thread would keep what another one needs.
 * Large ones go back to the system at once. */
static void
tame_malloc(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int
main(int argc, char **argv)
{
    tame_malloc();
    static const struct worker_program program = {
        .name = "millrace-apply",
        .about = "Applies the topics of each task to its target's tables, exactly once.",
        .half = "apply",
        .wants = apply_wants,
        .run = apply_run,
        .dropped = apply_dropped,
    };
    return worker_main(&program, argc, argv);
}
