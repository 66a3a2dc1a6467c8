/* millrace-capture: load and change stream of each task's sources into one Kafka topic per
 * table. */
#include <malloc.h>

#include "capture/unit.h"

/* A batch of rows costs librdkafka buffers of a few MiB for some milliseconds. By default
 * malloc gives such memory back to the kernel each time and takes it again page by page, which
 * is a twentieth of the CPU of a row. */
static void
keep_batches(void)
{
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

int
main(int argc, char **argv)
{
    static const struct worker_program program = {
        .name = "millrace-capture",
        .about = "Streams the tables of each task's sources into Kafka, one topic per table.",
        .half = "capture",
        .per_source = true,
        .run = capture_run,
    };
    keep_batches();
    return worker_main(&program, argc, argv);
}
