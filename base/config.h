/* Configuration: one table of options (base/config.c), filled from --set K=V, the environment
 * and a YAML file.
 *
 * Precedence: task params > flag > environment > file > default, whatever the order of the
 * calls. Environment: MILLRACE_<NAME>, upper case, dots and dashes as '_'; MILLRACE_KAFKA is
 * short for kafka.bootstrap. YAML: nested keys are the dotted names; a list is joined with ','.
 * An unknown key is MR_CONFIG naming the nearest one; a variable MILLRACE_* that is near a
 * known one is only logged, because other programs own such names too.
 *
 * To add an option add one line to the table in base/config.c: it then has its checks, --help
 * and reference page. Owner: the program; a task works on its own config_copy. Thread:
 * immutable once threads run.
 */
#ifndef MILLRACE_BASE_CONFIG_H
#define MILLRACE_BASE_CONFIG_H

#include "base/bytes.h"

struct config;

enum config_type {
    CONFIG_TEXT,
    CONFIG_CHOICE,  /* one of `choices` */
    CONFIG_CHOICES, /* one of `choices`, by table: base/config_choices.h */
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_SIZE, /* bytes; takes 16MiB */
    CONFIG_MS,   /* milliseconds; takes 5s, 10m */
    CONFIG_S,    /* seconds; takes 10m */
};

enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENV,
    CONFIG_FROM_FLAG,
    CONFIG_FROM_TASK, /* only options with CONFIG_PER_TASK */
};

enum config_flags {
    CONFIG_PER_TASK = 1, /* a task's params may set it */
    CONFIG_LIVE = 2,     /* a change reaches a running task */
    CONFIG_SECRET = 4,   /* shown as ****** */
};

struct config_option {
    const char *name;
    enum config_type type;
    const char *choices; /* "a|b|c" for CONFIG_CHOICE and _CHOICES, else NULL */
    int64_t min;
    int64_t max;
    const char *dflt;
    unsigned flags;
    const char *help;
};

/* The table, in the order of the reference page. */
const struct config_option *
config_options(size_t *n);
const struct config_option *
config_option_find(const char *name);
/* "ms", "bytes", ... or "". */
const char *
config_unit(const struct config_option *o);

struct config *
config_new(void);
struct config *
config_copy(const struct config *c);
void
config_free(struct config *c);

MUST bool
config_set(struct config *c, const char *name, const char *value, enum config_source from,
           struct err *e);
/* "name=value", as --set gives it. */
MUST bool
config_set_pair(struct config *c, const char *pair, enum config_source from, struct err *e);
MUST bool
config_load_env(struct config *c, const char *const *environment, struct err *e);
MUST bool
config_load_file(struct config *c, const char *path, struct err *e);
MUST bool
config_load_yaml(struct config *c, struct bytes text, const char *path, struct err *e);

/* Getters: a name that is not in the table, or of another type, is a bug of ours and aborts. */
const char *
config_text(const struct config *c, const char *name); /* TEXT, CHOICE(S); never NULL */
/* CHOICES: the number, from 0, of a source table's value; db NULL: of tables not named. */
int
config_table_choice(const struct config *c, const char *name, const char *db,
                    const char *table);
bool
config_bool(const struct config *c, const char *name);
int64_t
config_int(const struct config *c,
           const char *name); /* INT, SIZE, MS, S: in the option's unit */
enum config_source
config_from(const struct config *c, const char *name);

/* Kafka pass-through: kafka.librdkafka.<property>, allow-listed. In the order they were first
 * set: for (size_t i = 0; config_kafka(c, i, &property, &value); i++) */
bool
config_kafka(const struct config *c, size_t i, const char **property, const char **value);
/* Every option with its value, one "name = value  (from)" per line, secrets masked. */
void
config_print(const struct config *c, struct buf *out);

#endif
