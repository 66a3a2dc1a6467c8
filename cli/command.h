/* The command's frame: what every verb gets, and the tables of verbs and flags.
 *
 * A verb gives back true (exit 0) or false with *e (exit 1, 2 for ERR_USAGE). Output for
 * programs goes to stdout, for humans to stderr. Owner and thread: main.
 */
#ifndef MILLRACE_CLI_COMMAND_H
#define MILLRACE_CLI_COMMAND_H

#include "base/cli.h"
#include "base/config.h"
#include "base/json.h"

struct command {
    const char *program; /* millrace or mo_cdc */
    const struct cli_spec *spec;
    const struct cli_args *args;
    struct json *file; /* -f: flags from a file, or NULL */
    struct config *config;
};

typedef bool
command_fn(struct command *c, struct err *e);

struct verb {
    const char *path; /* "task create" */
    const char *brief;
    const struct cli_spec *spec; /* NULL: a group of verbs */
    command_fn *run;
    bool plain; /* needs neither configuration nor Kafka */
};

/* In the order of help. */
extern const struct verb verbs[];
extern const size_t verbs_len;

const struct verb *
verb_find(const char *path);

/* The flag's value: of the command line, else of the -f file; NULL when not given. Borrowed. */
const char *
command_flag(const struct command *c, const char *name);
bool
command_has(const struct command *c, const char *name);

/* The help of a verb or a group; path "" = all. */
void
help_print(const char *program, const char *path);

extern const struct cli_spec create_spec, show_spec, pause_spec, resume_spec, restart_spec,
    drop_spec, help_spec, completion_spec, version_spec, iceberg_show_spec, iceberg_files_spec,
    iceberg_history_spec;
command_fn create_run, show_run, pause_run, resume_run, restart_run, drop_run, help_run,
    completion_run, version_run, iceberg_show_run, iceberg_files_run, iceberg_history_run;

#define GLOBAL_OPTIONS                                                             \
    {"kafka", 0, false, "HOST:PORT[,...]", "Kafka brokers (also MILLRACE_KAFKA)"}, \
        {"config", 0, false, "FILE", "YAML file of settings"},                     \
        {"set", 0, true, "K=V", "one setting; may be repeated"}

#endif
