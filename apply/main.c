/* millrace-apply: each task's Kafka topics into its target's tables, exactly once. */
#include "apply/run.h"

int
main(int argc, char **argv)
{
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
