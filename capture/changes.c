#include "capture/changes.h"

#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "schema/target_ddl_mysql.h"

#define LIST_MAX 256

struct change_entry {
    char *name;  /* as the newest version has it; of added: as the next one has it */
    char *other; /* renamed: the new name. Added: the default's text, NULL: none known */
    bool has_default;
};

struct change_list {
    struct change_entry v[LIST_MAX];
    size_t n;
};

struct changes {
    struct change_list renamed, dropped, added;
    struct change_list redefined; /* by a statement, whether it converted values or not */
    bool all_redefined, unclear;
};

static void
entry_free(struct change_entry *x)
{
    free(x->name);
    free(x->other);
}

static void
list_remove(struct change_list *l, size_t at)
{
    entry_free(&l->v[at]);
    l->v[at] = l->v[--l->n];
}

void
changes_free(struct changes *c)
{
    if (!c)
        return;
    struct change_list *const lists[] = {&c->renamed, &c->dropped, &c->added, &c->redefined};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        while (lists[i]->n)
            list_remove(lists[i], lists[i]->n - 1);
    free(c);
}

static bool
same_name(const char *a, struct bytes b)
{
    return strlen(a) == b.n && strncasecmp(a, (const char *)b.p, b.n) == 0;
}

/* Index of the entry, by name or by its other name; -1: none. */
static int
list_find(const struct change_list *l, struct bytes name, bool by_other)
{
    for (size_t i = 0; i < l->n; i++)
        if (same_name(by_other ? l->v[i].other : l->v[i].name, name))
            return (int)i;
    return -1;
}

static void
list_add(struct changes *c, struct change_list *l, struct bytes name, struct bytes other)
{
    if (l->n == LIST_MAX) {
        c->unclear = true;
        return;
    }
    l->v[l->n++] = (struct change_entry){.name = mem_strn(name),
                                         .other = other.p ? mem_strn(other) : NULL};
}

static const char *
column_name(const struct table *t, struct bytes name)
{
    for (unsigned i = 0; t && i < t->column_count; i++)
        if (same_name(t->columns[i].name, name))
            return t->columns[i].name;
    return NULL;
}

/* A name that the newest version has already says nothing any more about what it stands for. */
static void
note_new_name(struct changes *c, const struct table *newest, struct bytes name)
{
    c->unclear =
        c->unclear || column_name(newest, name) || list_find(&c->dropped, name, false) >= 0;
}

static void
note_rename(struct changes *c, const struct table *newest, const struct source_rename *r)
{
    if (r->from.n == r->to.n &&
        strncasecmp((const char *)r->from.p, (const char *)r->to.p, r->to.n) == 0) {
        c->unclear = c->unclear || !bytes_eq(r->from, r->to);
        return;
    }
    note_new_name(c, newest, r->to);
    int added = list_find(&c->added, r->from, false),
        again = list_find(&c->renamed, r->from, true);
    if (added >= 0) {
        free(c->added.v[added].name);
        c->added.v[added].name = mem_strn(r->to);
    } else if (again >= 0) {
        free(c->renamed.v[again].other);
        c->renamed.v[again].other = mem_strn(r->to);
    } else {
        const char *name = column_name(newest, r->from);
        list_add(c, &c->renamed, name ? bytes_str(name) : r->from, r->to);
    }
}

static void
note_drop(struct changes *c, struct bytes name)
{
    int added = list_find(&c->added, name, false), renamed = list_find(&c->renamed, name, true);
    if (added >= 0) {
        list_remove(&c->added, (size_t)added);
        return;
    }
    if (renamed < 0) {
        list_add(c, &c->dropped, name, (struct bytes){0});
        return;
    }
    list_add(c, &c->dropped, bytes_str(c->renamed.v[renamed].name), (struct bytes){0});
    list_remove(&c->renamed, (size_t)renamed);
}

static void
note_add(struct changes *c, const struct table *newest, const struct source_added *x)
{
    size_t n = c->added.n;
    note_new_name(c, newest, x->name);
    list_add(c, &c->added, x->name, x->value);
    if (c->added.n > n)
        c->added.v[n].has_default = x->has_default;
}

/* What a column was between two redefinitions is not known: it may have held less. */
static void
note_redefined(struct changes *c, struct bytes name)
{
    int renamed = list_find(&c->renamed, name, true);
    struct bytes old = renamed >= 0 ? bytes_str(c->renamed.v[renamed].name) : name;
    c->unclear = c->unclear || c->all_redefined || list_find(&c->added, name, false) >= 0 ||
                 list_find(&c->redefined, old, false) >= 0;
    list_add(c, &c->redefined, old, (struct bytes){0});
}

static void
note_all_redefined(struct changes *c)
{
    c->unclear = c->unclear || c->all_redefined || c->redefined.n > 0 || c->added.n > 0;
}

void
changes_note(struct changes **at, const struct table *newest, const struct source_ddl *d)
{
    if (!*at)
        *at = mem_zalloc(sizeof(**at));
    struct changes *c = *at;
    if (d->converts_all)
        note_all_redefined(c);
    for (size_t i = 0; i < d->redefined_count; i++)
        note_redefined(c, d->redefined[i]);
    c->all_redefined = c->all_redefined || d->converts_all;
    for (size_t i = 0; i < d->dropped_count; i++)
        note_drop(c, d->dropped[i]);
    for (size_t i = 0; i < d->column_count; i++)
        note_rename(c, newest, &d->columns[i]);
    for (size_t i = 0; i < d->added_count; i++)
        note_add(c, newest, &d->added[i]);
    c->unclear = c->unclear || d->kind == SOURCE_DDL_UNCLEAR || !d->rows_kept;
}

void
changes_lose(struct changes **at)
{
    if (!*at)
        *at = mem_zalloc(sizeof(**at));
    (*at)->unclear = true;
}

/* ---- judgement ---- */

/* 'text' without its quotes, other text as it is; in buf. */
static const char *
literal_text(const char *sql, struct buf *out)
{
    size_t n = strlen(sql);
    bool quoted = n >= 2 && sql[0] == '\'' && sql[n - 1] == '\'';
    for (size_t i = quoted; i < n - quoted; i++) {
        bool pair =
            quoted && i + 2 < n && (sql[i] == '\\' || (sql[i] == '\'' && sql[i + 1] == '\''));
        i += pair;
        buf_add_byte(out,
                     (uint8_t)(pair && sql[i] == 'n' && sql[i - 1] == '\\' ? '\n' : sql[i]));
    }
    return buf_cstr(out);
}

static bool
is_number(const char *s, double *out)
{
    char *end;
    *out = strtod(s, &end);
    return *s && !*end;
}

/* Do the literal of the statement and the definition's default mean the same value? */
static bool
same_literal(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    double p, q;
    const char *s = literal_text(a, &x), *t = literal_text(b, &y);
    bool same =
        strcmp(s, t) == 0 || (is_number(s, &p) && is_number(t, &q) && !(p < q) && !(p > q));
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* The rows that were there got what an ALTER at a target gives them. */
static bool
fill_known(const struct changes *c, const struct column *new)
{
    int at = list_find(&c->added, bytes_str(new->name), false);
    if (at < 0)
        return false;
    if (new->generated)
        return true;
    const struct change_entry *x = &c->added.v[at];
    bool null = x->other && strcasecmp(x->other, "NULL") == 0;
    if (!ddl_fills_alike(new))
        return false;
    if (!x->has_default || null)
        return !new->default_sql;
    return x->other && new->default_sql &&same_literal(x->other, new->default_sql);
}

static const struct column *
column_before(const struct changes *c, const struct table *from, const char *name)
{
    int renamed = c ? list_find(&c->renamed, bytes_str(name), true) : -1;
    struct bytes old = bytes_str(renamed >= 0 ? c->renamed.v[renamed].name : name);
    for (unsigned i = 0; i < from->column_count; i++)
        if (same_name(from->columns[i].name, old))
            return &from->columns[i];
    return NULL;
}

/* Without strict mode NULLs become something else when a column is made NOT NULL. */
static bool
column_follows(const struct column *old, const struct column *new)
{
    if (old->generated != new->generated || (old->nullable && !new->nullable))
        return false;
    return new->generated || ddl_column_fits(old, new);
}

static bool
all_dropped(const struct changes *c, const struct table *from, size_t kept)
{
    size_t dropped = 0;
    for (unsigned i = 0; c && i < from->column_count; i++)
        dropped += list_find(&c->dropped, bytes_str(from->columns[i].name), false) >= 0;
    return kept + dropped == from->column_count;
}

/* The row's key is found again under its new names. */
static bool
key_follows(const struct changes *c, const struct table *from, const struct table *to)
{
    if (from->key_count != to->key_count)
        return false;
    for (unsigned i = 0; i < to->key_count; i++) {
        const struct column *new = &to->columns[to->key[i]],
                            *old = &from->columns[from->key[i]];
        if (column_before(c, from, new->name) != old || old->type != new->type ||
            (old->collation && new->collation &&strcmp(old->collation, new->collation) != 0) ||
            strcmp(old->source_type, new->source_type) != 0)
            return false;
    }
    return true;
}

bool
changes_follow(const struct changes *c, const struct table *from, const struct table *to)
{
    size_t kept = 0;
    if ((c && c->unclear) || !key_follows(c, from, to))
        return false;
    for (unsigned i = 0; i < to->column_count; i++) {
        const struct column *new = &to->columns[i], *old = column_before(c, from, new->name);
        kept += old != NULL;
        if (old ? !column_follows(old, new) : !c || !fill_known(c, new))
            return false;
    }
    return all_dropped(c, from, kept);
}

struct json *
changes_renames(const struct changes *c)
{
    struct json *list = json_array_new();
    for (size_t i = 0; c && i < c->renamed.n; i++) {
        struct json *pair = json_array_new();
        json_push(pair, json_str(c->renamed.v[i].name));
        json_push(pair, json_str(c->renamed.v[i].other));
        json_push(list, pair);
    }
    return list;
}
