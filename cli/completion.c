/* Autocompletion scripts, made from the tables of verbs and flags. */
#include <stdio.h>

#include "cli/command.h"

static void
print_words(const char *group)
{
    size_t n = strlen(group);
    for (size_t i = 0; i < verbs_len; i++) {
        const char *p = verbs[i].path;
        if (n == 0 && strchr(p, ' ') == NULL)
            printf("%s ", p);
        else if (n > 0 && strncmp(p, group, n) == 0 && p[n] == ' ')
            printf("%s ", p + n + 1);
    }
}

static void
print_flags(const struct verb *v)
{
    for (size_t i = 0; v->spec != NULL && i < v->spec->options_len; i++)
        printf("--%s ", v->spec->options[i].name);
    printf("--help");
}

static void
print_bash(const char *program)
{
    printf("_%s() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words\n"
           "    case \"${COMP_WORDS[*]:1:COMP_CWORD-1} \" in\n",
           program);
    for (size_t i = verbs_len; i-- > 0;) {
        if (verbs[i].spec == NULL || strchr(verbs[i].path, ' ') == NULL)
            continue;
        printf("    \"%s \"*) words=\"", verbs[i].path);
        print_flags(&verbs[i]);
        printf("\" ;;\n");
    }
    printf("    \"task \") words=\"");
    print_words("task");
    printf(
        "\" ;;\n    \"completion \") words=\"bash zsh fish\" ;;\n    \" \" | \"\") words=\"");
    print_words("");
    printf("\" ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
           "complete -o default -F _%s %s\n",
           program, program);
}

static void
print_zsh(const char *program)
{
    printf("#compdef %s\nautoload -U +X bashcompinit && bashcompinit\n", program);
    print_bash(program);
}

static void
print_fish(const char *program)
{
    for (size_t i = 0; i < verbs_len; i++) {
        const char *space = strchr(verbs[i].path, ' ');
        if (space == NULL)
            printf("complete -c %s -f -n __fish_use_subcommand -a %s -d '%s'\n", program,
                   verbs[i].path, verbs[i].brief);
        else
            printf("complete -c %s -f -n '__fish_seen_subcommand_from %.*s' -a %s -d '%s'\n",
                   program, (int)(space - verbs[i].path), verbs[i].path, space + 1,
                   verbs[i].brief);
        const struct cli_spec *s = verbs[i].spec;
        for (size_t j = 0; s != NULL && j < s->options_len; j++)
            printf("complete -c %s -n '__fish_seen_subcommand_from %s' -l %s -d '%s'\n",
                   program, space != NULL ? space + 1 : verbs[i].path, s->options[j].name,
                   s->options[j].help);
    }
}

bool
completion_run(struct command *c, struct err *e)
{
    const char *shell = cli_operand(c->args, 0);
    if (shell == NULL)
        return err_set(e, MR_USAGE, "completion needs a shell: bash, zsh or fish");
    if (strcmp(shell, "bash") == 0)
        print_bash(c->program);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(c->program);
    else if (strcmp(shell, "fish") == 0)
        print_fish(c->program);
    else
        return err_set(e, MR_USAGE, "completion knows bash, zsh and fish, not '%s'", shell);
    return true;
}
