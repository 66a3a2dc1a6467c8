/* millrace-capture: load and change stream of each task's sources into one Kafka topic per
 * table. */
#include "capture/unit.h"

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
    return worker_main(&program, argc, argv);
}
