/* Command lines: a table of options gives --help, parsing and errors. Exact names only, no
 * abbreviations.
 *
 * Takes --name VALUE, --name=VALUE, -x VALUE, -xVALUE, flags in any place, "--" ends them. -h
 * and --help are always known. An unknown flag is MR_USAGE with the nearest name; an option
 * given twice is MR_USAGE unless `repeat`. Owner: the caller; values point into argv. Thread:
 * one.
 */
#ifndef MILLRACE_BASE_CLI_H
#define MILLRACE_BASE_CLI_H

#include "base/bytes.h"

#define CLI_VALUES_MAX 1024

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    bool repeat;
    const char *value; /* placeholder such as "HOST:PORT"; NULL: a flag without value */
    const char *help;
};

struct cli_spec {
    const char *usage; /* "millrace task create [flags]" */
    const char *about; /* one sentence, or more lines */
    const struct cli_option *options;
    size_t options_len;
    const char *more; /* text under the flags, or NULL */
};

struct cli_value {
    const struct cli_option *option; /* NULL: an operand */
    const char *text;                /* "" for a flag without value */
};

struct cli_args {
    bool help;
    struct cli_value values[CLI_VALUES_MAX];
    size_t values_len;
};

/* argv[0] is skipped. With -h or --help out->help is set and nothing else is promised. */
MUST bool
cli_parse(const struct cli_spec *s, int argc, char **argv, struct cli_args *out, struct err *e);
/* The option's value, "" for a given flag, NULL when not given. A name outside the table
 * aborts. */
const char *
cli_get(const struct cli_spec *s, const struct cli_args *a, const char *name);
bool
cli_has(const struct cli_spec *s, const struct cli_args *a, const char *name);
/* The i-th value of a repeated option, or NULL. */
const char *
cli_get_at(const struct cli_spec *s, const struct cli_args *a, const char *name, size_t i);
/* The i-th operand, or NULL. */
const char *
cli_operand(const struct cli_args *a, size_t i);
void
cli_help(const struct cli_spec *s, struct buf *out);

#endif
