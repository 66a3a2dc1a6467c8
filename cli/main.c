/* millrace: the operator's command. Answers to the name mo_cdc too. */
#include <libgen.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml.h"
#include "cli/command.h"

extern char **environ;

const struct verb verbs[] = {
    {"completion", "write the autocompletion script for a shell", &completion_spec,
     completion_run, true},
    {"help", "help about any command", &help_spec, help_run, true},
    {"iceberg", "look into the tables of a lake", NULL, NULL, true},
    {"iceberg files", "list a table's data files and their deletes", &iceberg_files_spec,
     iceberg_files_run, true},
    {"iceberg history", "list a table's snapshots and what each applied", &iceberg_history_spec,
     iceberg_history_run, true},
    {"iceberg show", "show a table's state", &iceberg_show_spec, iceberg_show_run, true},
    {"task", "create, show and control tasks", NULL, NULL, true},
    {"task create", "create a task and start it", &create_spec, create_run, false},
    {"task show", "show tasks", &show_spec, show_run, false},
    {"task pause", "stop a task, its position saved", &pause_spec, pause_run, false},
    {"task resume", "continue a stopped task where it was", &resume_spec, resume_run, false},
    {"task restart", "forget a task's progress and begin again", &restart_spec, restart_run,
     false},
    {"task drop", "delete a task", &drop_spec, drop_run, false},
    {"version", "print the version", &version_spec, version_run, true},
};
const size_t verbs_len = ARRAY_LEN(verbs);

const struct verb *
verb_find(const char *path)
{
    for (size_t i = 0; i < verbs_len; i++) {
        if (strcmp(verbs[i].path, path) == 0)
            return &verbs[i];
    }
    return NULL;
}

const char *
command_flag(const struct command *c, const char *name)
{
    const char *given = cli_get(c->spec, c->args, name);
    if (given != NULL || c->file == NULL)
        return given;
    return json_get_str(c->file, name, NULL);
}

bool
command_has(const struct command *c, const char *name)
{
    if (cli_has(c->spec, c->args, name))
        return true;
    const char *value = c->file != NULL ? json_get_str(c->file, name, NULL) : NULL;
    bool on = false;
    return value != NULL && (!text_bool(value, &on) || on);
}

bool
version_run(struct command *c, struct err *e)
{
    (void)e;
    printf("%s %s\n", c->program, MILLRACE_VERSION);
    return true;
}

/* Connection strings of the command line must not be read in /proc. */
static void
hide_secrets(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *p = strstr(argv[i], "://");
        for (p = p != NULL ? p + 3 : NULL; p != NULL && *p != '\0'; p++)
            *p = '*';
    }
}

/* Whether the word is a flag whose value is the next word, of whatever verb. */
static bool
takes_next(const char *word)
{
    for (size_t i = 0; i < verbs_len; i++) {
        const struct cli_spec *s = verbs[i].spec;
        for (size_t j = 0; s != NULL && j < s->options_len; j++) {
            const struct cli_option *o = &s->options[j];
            bool is_long = word[1] == '-' && strcmp(word + 2, o->name) == 0;
            bool is_short = o->letter != 0 && word[1] == o->letter && word[2] == '\0';
            if (o->value != NULL && (is_long || is_short))
                return true;
        }
    }
    return false;
}

struct parsed {
    const struct verb *verb; /* NULL: none */
    char path[64];
    int argc; /* without the verb's words */
    char **argv;
    bool help; /* -h or --help among the words before a verb was complete */
};

static bool
unknown_word(const struct parsed *p, const char *word, struct err *e)
{
    const char *names[16];
    size_t n = 0, prefix = strlen(p->path);
    for (size_t i = 0; i < verbs_len && n < ARRAY_LEN(names); i++) {
        if (strncmp(verbs[i].path, p->path, prefix) == 0 && strlen(verbs[i].path) > prefix)
            names[n++] = verbs[i].path + prefix + (prefix > 0);
    }
    const char *near = text_nearest(word, names, n);
    return err_set(e, MR_USAGE, "unknown command '%.40s'%s%s",
                   strstr(word, "://") != NULL ? "(a connection string)" : word,
                   near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

static bool
take_word(struct parsed *p, const char *word, struct err *e)
{
    char path[2 * sizeof(p->path)];
    snprintf(path, sizeof(path), "%s%s%.60s", p->path, p->path[0] != '\0' ? " " : "", word);
    const struct verb *v = verb_find(path);
    if (v == NULL)
        return unknown_word(p, word, e);
    snprintf(p->path, sizeof(p->path), "%s", v->path);
    p->verb = v;
    return true;
}

/* Splits the words of the verb from its flags and operands. */
static bool
split(int argc, char **argv, struct parsed *p, struct err *e)
{
    p->argv[p->argc++] = argv[0];
    for (int i = 1; i < argc; i++) {
        bool complete = p->verb != NULL && p->verb->spec != NULL;
        if (complete || argv[i][0] != '-' || argv[i][1] == '\0') {
            if (complete)
                p->argv[p->argc++] = argv[i];
            else if (!take_word(p, argv[i], e))
                return false;
            continue;
        }
        p->help = p->help || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        if (strcmp(argv[i], "--version") == 0 && p->verb == NULL)
            return take_word(p, "version", e);
        p->argv[p->argc++] = argv[i];
        if (takes_next(argv[i]) && i + 1 < argc)
            p->argv[p->argc++] = argv[++i];
    }
    return true;
}

static bool
load_config(struct command *c, struct err *e)
{
    const char *file = cli_get(c->spec, c->args, "config");
    const char *kafka = cli_get(c->spec, c->args, "kafka");
    const char *pair = NULL;
    enum log_level level = LOG_WARN;
    if (file != NULL && !config_load_file(c->config, file, e))
        return false;
    if (!config_load_env(c->config, (const char *const *)environ, e))
        return false;
    for (size_t i = 0; (pair = cli_get_at(c->spec, c->args, "set", i)) != NULL; i++) {
        if (!config_set_pair(c->config, pair, CONFIG_FROM_FLAG, e))
            return err_wrap(e, "--set");
    }
    if (kafka != NULL && !config_set(c->config, "kafka.bootstrap", kafka, CONFIG_FROM_FLAG, e))
        return false;
    if (config_text(c->config, "kafka.bootstrap")[0] == '\0')
        return err_set(e, MR_USAGE, "no Kafka brokers: give --kafka or set MILLRACE_KAFKA");
    if (config_from(c->config, "log.level") != CONFIG_FROM_DEFAULT &&
        !log_parse_level(config_text(c->config, "log.level"), &level))
        level = LOG_WARN;
    log_set_level(level);
    return true;
}

static bool
execute(const struct parsed *p, struct command *c, struct cli_args *args, struct err *e)
{
    const struct verb *v = p->verb;
    c->spec = v->spec;
    c->args = args;
    if (!cli_parse(v->spec, p->argc, p->argv, args, e))
        return err_wrap(e, "%s", p->path);
    if (args->help) {
        help_print(c->program, p->path);
        return true;
    }
    if (!v->plain && cli_operand(args, 0) != NULL)
        return err_set(e, MR_USAGE, "%s takes flags only, there is a word without a flag",
                       p->path);
    return (v->plain || load_config(c, e)) && v->run(c, e);
}

static bool
dispatch(int argc, char **argv, struct command *c, struct err *e)
{
    struct parsed p = {.argv = mem_array((size_t)argc + 1, sizeof(char *))};
    struct cli_args *args = mem_zalloc(sizeof(*args));
    bool ok = split(argc, argv, &p, e);
    if (ok && (p.verb == NULL || p.verb->spec == NULL)) {
        if (p.argc > 1 && !p.help)
            ok = err_set(e, MR_USAGE, "a command is missing");
        else
            help_print(c->program, p.path);
    } else if (ok) {
        ok = execute(&p, c, args, e);
    }
    free(args);
    free(p.argv);
    return ok;
}

int
main(int argc, char **argv)
{
    struct err e = {0};
    char text[ERR_TEXT_MAX + 1024];
    char **words = mem_array((size_t)argc + 1, sizeof(char *));
    for (int i = 0; i < argc; i++)
        words[i] = mem_strdup(argv[i]);
    hide_secrets(argc, argv);
    setlocale(LC_TIME, "C");
    char *name = mem_strdup(argc > 0 ? argv[0] : "millrace");
    struct command c = {.program = basename(name), .config = config_new()};
    bool ok = dispatch(argc, words, &c, &e);
    if (!ok)
        fprintf(stderr, "%s: %s\n", c.program, err_format(&e, text, sizeof(text)));
    json_free(c.file);
    config_free(c.config);
    for (int i = 0; i < argc; i++)
        free(words[i]);
    free(words);
    free(name);
    if (ok)
        return fflush(stdout) == 0 ? 0 : 1;
    return e.class == ERR_USAGE ? 2 : 1;
}
