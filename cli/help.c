#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/command.h"

static const char purpose[] =
    "Millrace copies every committed change of a database, within milliseconds, through "
    "Kafka.";

const struct cli_spec help_spec = {"millrace help [command]", "Help about any command.", NULL,
                                   0, NULL};
const struct cli_spec version_spec = {"millrace version", "Prints the version.", NULL, 0, NULL};
const struct cli_spec completion_spec = {
    "millrace completion bash|zsh|fish", "Writes the autocompletion script for a shell.", NULL,
    0,
    "bash: source <(millrace completion bash)\n"
    "zsh:  millrace completion zsh > \"${fpath[1]}/_millrace\"\n"
    "fish: millrace completion fish > ~/.config/fish/completions/millrace.fish"};

/* The verb is one word below the group. */
static const char *
below(const struct verb *v, const char *path)
{
    size_t n = strlen(path);
    const char *rest = v->path;
    if (n > 0) {
        if (strncmp(v->path, path, n) != 0 || v->path[n] != ' ')
            return NULL;
        rest = v->path + n + 1;
    }
    return strchr(rest, ' ') == NULL ? rest : NULL;
}

static void
print_group(const char *program, const char *path)
{
    const struct verb *group = verb_find(path);
    const char *space = path[0] != '\0' ? " " : "";
    printf("%s\n\nUsage:\n  %s%s%s [command] [flags]\n\nAvailable Commands:\n",
           group != NULL ? group->brief : purpose, program, space, path);
    for (size_t i = 0; i < verbs_len; i++) {
        const char *word = below(&verbs[i], path);
        if (word != NULL)
            printf("  %-12s %s\n", word, verbs[i].brief);
    }
    printf("\nFlags:\n  -h, --help   this text\n\n"
           "Use \"%s%s%s [command] --help\" for more information about a command.\n",
           program, space, path);
}

/* The spec's text names millrace; the program may be called otherwise. */
static void
print_verb(const char *program, const struct verb *v)
{
    struct buf text = {0};
    struct cli_spec s = *v->spec;
    char *usage = mem_printf("%s%s", program, v->spec->usage + strlen("millrace"));
    s.usage = usage;
    cli_help(&s, &text);
    fputs(buf_cstr(&text), stdout);
    buf_free(&text);
    free(usage);
}

void
help_print(const char *program, const char *path)
{
    const struct verb *v = verb_find(path);
    if (v != NULL && v->spec != NULL)
        print_verb(program, v);
    else
        print_group(program, path);
}

bool
help_run(struct command *c, struct err *e)
{
    char path[64] = "";
    const char *word = NULL;
    for (size_t i = 0; (word = cli_operand(c->args, i)) != NULL; i++) {
        size_t n = strlen(path);
        snprintf(path + n, sizeof(path) - n, "%s%s", n > 0 ? " " : "", word);
    }
    if (path[0] != '\0' && verb_find(path) == NULL)
        return err_set(e, MR_USAGE, "unknown command '%s'", path);
    help_print(c->program, path);
    return true;
}
