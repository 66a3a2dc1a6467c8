#include "base/config_choices.h"

#include <string.h>

#define NAME_MAX_LEN 256

struct item {
    char db[NAME_MAX_LEN]; /* "": of every other table */
    char table[NAME_MAX_LEN];
    int choice; /* -1: none of them */
};

/* A name, plain or in backquotes; *p behind it. False: there is none, or it is too long. */
static bool
take_name(const char **p, char out[NAME_MAX_LEN])
{
    size_t n = 0;
    bool quoted = **p == '`';
    *p += quoted;
    for (; **p != '\0' && n + 1 < NAME_MAX_LEN; (*p)++) {
        if (quoted && **p == '`' && (*p)[1] != '`')
            break;
        if (!quoted && strchr(",.:` ", **p) != NULL)
            break;
        *p += quoted && **p == '`';
        out[n++] = **p;
    }
    out[n] = '\0';
    bool closed = !quoted || **p == '`';
    *p += quoted && closed;
    return n > 0 && closed;
}

static int
choice_number(const char *choices, const char *text)
{
    size_t n = strlen(text);
    int number = 0;
    for (const char *at = choices; at != NULL; number++) {
        const char *end = strchr(at, '|');
        size_t len = end != NULL ? (size_t)(end - at) : strlen(at);
        if (len == n && memcmp(at, text, n) == 0)
            return number;
        at = end != NULL ? end + 1 : NULL;
    }
    return -1;
}

static bool
take_item(const struct config_option *o, const char **p, struct item *out)
{
    char value[NAME_MAX_LEN];
    *out = (struct item){.choice = -1};
    if (!take_name(p, value))
        return false;
    if (**p == '.') {
        memcpy(out->db, value, sizeof(value));
        (*p)++;
        if (!take_name(p, out->table) || *(*p)++ != ':' || !take_name(p, value))
            return false;
    }
    out->choice = choice_number(o->choices, value);
    return out->choice >= 0 && (**p == '\0' || **p == ',');
}

static bool
next_item(const struct config_option *o, const char **p, struct item *out)
{
    if (!take_item(o, p, out))
        return false;
    *p += **p == ',';
    return true;
}

/* An item before this one has the same name. */
static bool
named_before(const struct config_option *o, const char *text, const char *until,
             const struct item *x)
{
    struct item before;
    for (const char *p = text; p < until && next_item(o, &p, &before);)
        if (p <= until && strcmp(before.db, x->db) == 0 && strcmp(before.table, x->table) == 0)
            return true;
    return false;
}

bool
config_choices_check(const struct config_option *o, const char *text, struct err *e)
{
    for (const char *p = text;;) {
        const char *begin = p;
        struct item x;
        if (!take_item(o, &p, &x))
            return err_set(e, MR_CONFIG, "%s: \"%s\" is not %s, or DB.TABLE: and one of them",
                           o->name, begin, o->choices);
        if (named_before(o, text, begin, &x))
            return err_set(e, MR_CONFIG, "%s: \"%s\" says a second time what holds", o->name,
                           begin);
        if (*p++ == '\0')
            return true;
    }
}

int
config_choices_find(const struct config_option *o, const char *text, const char *db,
                    const char *table)
{
    struct item x;
    int others = choice_number(o->choices, o->dflt);
    for (const char *p = text; *p != '\0' && next_item(o, &p, &x);) {
        if (x.db[0] == '\0')
            others = x.choice;
        else if (db != NULL && strcmp(x.db, db) == 0 && strcmp(x.table, table) == 0)
            return x.choice;
    }
    return others;
}
