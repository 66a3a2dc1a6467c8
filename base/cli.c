/* Command lines. */
#include "base/cli.h"

#include "base/mem.h"
#include "base/text.h"

#define CLI_OPTIONS_MAX 128
#define CLI_HELP_COLUMN 34

struct cli_scan {
    const struct cli_spec *spec;
    int argc;
    char **argv;
    int at; /* next word */
    struct cli_args *out;
};

static const struct cli_option *
cli_find(const struct cli_spec *s, const char *name, size_t n)
{
    for (size_t i = 0; i < s->options_len; i++) {
        if (strlen(s->options[i].name) == n && memcmp(s->options[i].name, name, n) == 0)
            return &s->options[i];
    }
    return NULL;
}

static const struct cli_option *
cli_find_letter(const struct cli_spec *s, char letter)
{
    for (size_t i = 0; i < s->options_len; i++) {
        if (s->options[i].letter == letter)
            return &s->options[i];
    }
    return NULL;
}

static bool
cli_unknown(const struct cli_spec *s, const char *name, struct err *e)
{
    const char *names[CLI_OPTIONS_MAX + 1];
    size_t n = 0;
    for (; n < s->options_len && n < CLI_OPTIONS_MAX; n++)
        names[n] = s->options[n].name;
    names[n++] = "help";
    const char *near = text_nearest(name, names, n);
    return err_set(e, MR_USAGE, "unknown flag --%s%s%s", name, near ? "; did you mean --" : "",
                   near ? near : "");
}

static bool
cli_add(struct cli_scan *c, const struct cli_option *o, const char *text, struct err *e)
{
    struct cli_args *a = c->out;
    if (o && !o->repeat && cli_has(c->spec, a, o->name))
        return err_set(e, MR_USAGE, "--%s is given twice", o->name);
    if (a->values_len == CLI_VALUES_MAX)
        return err_set(e, MR_USAGE, "more than %d arguments", CLI_VALUES_MAX);
    a->values[a->values_len++] = (struct cli_value){o, text};
    return true;
}

/* value: what stood in the same word, or NULL. */
static bool
cli_add_option(struct cli_scan *c, const struct cli_option *o, const char *value, struct err *e)
{
    if (!o->value && value)
        return err_set(e, MR_USAGE, "--%s takes no value", o->name);
    if (o->value && !value) {
        if (c->at >= c->argc)
            return err_set(e, MR_USAGE, "--%s needs a value: --%s %s", o->name, o->name,
                           o->value);
        value = c->argv[c->at++];
    }
    return cli_add(c, o, value ? value : "", e);
}

static bool
cli_long(struct cli_scan *c, const char *word, struct err *e)
{
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct cli_option *o = cli_find(c->spec, word, n);
    if (o)
        return cli_add_option(c, o, equals ? equals + 1 : NULL, e);
    if (strcmp(word, "help") == 0) {
        c->out->help = true;
        return true;
    }
    char name[64];
    size_t shown = n < sizeof(name) ? n : sizeof(name) - 1;
    memcpy(name, word, shown);
    name[shown] = '\0';
    return cli_unknown(c->spec, name, e);
}

static bool
cli_short(struct cli_scan *c, const char *word, struct err *e)
{
    for (; *word; word++) {
        const struct cli_option *o = cli_find_letter(c->spec, *word);
        if (o && o->value)
            return cli_add_option(c, o, word[1] ? word + 1 : NULL, e);
        if (!o && *word != 'h')
            return err_set(e, MR_USAGE, "unknown flag -%c", *word);
        if (!o)
            c->out->help = true;
        else if (!cli_add_option(c, o, NULL, e))
            return false;
    }
    return true;
}

bool
cli_parse(const struct cli_spec *s, int argc, char **argv, struct cli_args *out, struct err *e)
{
    struct cli_scan c = {.spec = s, .argc = argc, .argv = argv, .at = 1, .out = out};
    bool operands_only = false;
    bool ok = true;
    out->help = false;
    out->values_len = 0;
    while (ok && !out->help && c.at < argc) {
        const char *word = argv[c.at++];
        if (operands_only || word[0] != '-' || !word[1])
            ok = cli_add(&c, NULL, word, e);
        else if (strcmp(word, "--") == 0)
            operands_only = true;
        else
            ok = word[1] == '-' ? cli_long(&c, word + 2, e) : cli_short(&c, word + 1, e);
    }
    return ok;
}

const char *
cli_get_at(const struct cli_spec *s, const struct cli_args *a, const char *name, size_t i)
{
    const struct cli_option *o = cli_find(s, name, strlen(name));
    if (!o)
        mem_die("there is no flag --%s", name);
    for (size_t j = 0; j < a->values_len; j++) {
        if (a->values[j].option == o && i-- == 0)
            return a->values[j].text;
    }
    return NULL;
}

const char *
cli_get(const struct cli_spec *s, const struct cli_args *a, const char *name)
{
    return cli_get_at(s, a, name, 0);
}

bool
cli_has(const struct cli_spec *s, const struct cli_args *a, const char *name)
{
    return cli_get(s, a, name) != NULL;
}

const char *
cli_operand(const struct cli_args *a, size_t i)
{
    for (size_t j = 0; j < a->values_len; j++) {
        if (!a->values[j].option && i-- == 0)
            return a->values[j].text;
    }
    return NULL;
}

static void
cli_help_option(const struct cli_option *o, struct buf *out)
{
    size_t begin = out->n;
    if (o->letter)
        buf_addf(out, "  -%c, --%s", o->letter, o->name);
    else
        buf_addf(out, "      --%s", o->name);
    if (o->value)
        buf_addf(out, " %s", o->value);
    if (out->n - begin >= CLI_HELP_COLUMN - 1) {
        buf_add_byte(out, '\n');
        begin = out->n;
    }
    for (size_t n = out->n - begin; n < CLI_HELP_COLUMN; n++)
        buf_add_byte(out, ' ');
    buf_addf(out, "%s\n", o->help);
}

void
cli_help(const struct cli_spec *s, struct buf *out)
{
    static const struct cli_option help = {.name = "help", .letter = 'h', .help = "this text"};
    buf_addf(out, "%s\n\nUsage:\n  %s\n\nFlags:\n", s->about, s->usage);
    for (size_t i = 0; i < s->options_len; i++)
        cli_help_option(&s->options[i], out);
    cli_help_option(&help, out);
    if (s->more)
        buf_addf(out, "\n%s\n", s->more);
}
