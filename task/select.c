#include "task/select.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define OBJECTS_MAX  100000
#define NAME_LEN_MAX 256 /* bytes: 64 characters of UTF-8 */

static int
object_compare(const void *a, const void *b)
{
    const struct task_object *x = a, *y = b;
    int c = strcmp(x->db, y->db);
    if (c != 0 || x->table == NULL || y->table == NULL)
        return c;
    return strcmp(x->table, y->table);
}

static int
target_compare(const void *a, const void *b)
{
    const struct task_object *x = a, *y = b;
    int c = strcmp(x->to_db, y->to_db);
    if (c != 0 || x->to_table == NULL || y->to_table == NULL)
        return c;
    return strcmp(x->to_table, y->to_table);
}

void
select_sort(struct task *t)
{
    if (t->objects_len > 1)
        qsort(t->objects, t->objects_len, sizeof(*t->objects), object_compare);
}

/* A list of names, read left to right. */
struct scan {
    struct arena *mem;
    const char *flag;
    const char *p;
    struct err *e;
};

static void
skip_space(struct scan *s)
{
    while (*s->p == ' ' || *s->p == '\t' || *s->p == '\n')
        s->p++;
}

static bool
scan_quoted(struct scan *s, char *out, size_t *n)
{
    for (s->p++; *s->p != '\0' && *n < NAME_LEN_MAX; s->p++) {
        if (*s->p == '`' && s->p[1] != '`') {
            s->p++;
            return true;
        }
        if (*s->p == '`')
            s->p++;
        out[(*n)++] = *s->p;
    }
    return err_set(s->e, MR_USAGE, "%s: a backquote is not closed", s->flag);
}

/* A name, plain or in backquotes. */
static bool
scan_name(struct scan *s, const char **out)
{
    char name[NAME_LEN_MAX + 2];
    size_t n = 0;
    skip_space(s);
    if (*s->p == '`') {
        if (!scan_quoted(s, name, &n))
            return false;
    } else {
        while (*s->p != '\0' && strchr(",.:` \t\n", *s->p) == NULL && n < NAME_LEN_MAX)
            name[n++] = *s->p++;
    }
    skip_space(s);
    if (n == 0)
        return err_set(s->e, MR_USAGE, "%s: a name is missing before '%.40s'", s->flag,
                       *s->p != '\0' ? s->p : "the end");
    *out = arena_strn(s->mem, bytes_of(name, n));
    return true;
}

/* "db" or "db.table". */
static bool
scan_side(struct scan *s, bool tables, const char **db, const char **table)
{
    if (!scan_name(s, db))
        return false;
    if (!tables)
        return true;
    if (*s->p != '.')
        return err_set(s->e, MR_USAGE, "%s: '%s' is not database.table", s->flag, *db);
    s->p++;
    return scan_name(s, table);
}

static bool
scan_object(struct scan *s, bool tables, struct task_object *o)
{
    if (!scan_side(s, tables, &o->db, &o->table))
        return false;
    o->to_db = o->db;
    o->to_table = o->table;
    if (*s->p == ':') {
        s->p++;
        if (!scan_side(s, tables, &o->to_db, &o->to_table))
            return false;
    }
    if (*s->p != ',' && *s->p != '\0')
        return err_set(s->e, MR_USAGE,
                       "%s: unexpected '%.40s' (names with comma, dot, colon or backquote "
                       "stand in backquotes)",
                       s->flag, s->p);
    return true;
}

static size_t
count_commas(const char *text)
{
    size_t n = 1;
    for (const char *p = text; *p != '\0'; p++)
        n += *p == ',';
    return n;
}

static bool
check_objects(struct task *t, const char *flag, struct err *e)
{
    for (size_t i = 0; i < t->objects_len; i++) {
        const struct task_object *o = &t->objects[i];
        if (task_is_system_schema(o->db) || task_is_system_schema(o->to_db))
            return err_set(e, MR_USAGE, "%s: '%s' is a system schema", flag,
                           task_is_system_schema(o->db) ? o->db : o->to_db);
        if (i > 0 && object_compare(o - 1, o) == 0)
            return err_set(e, MR_USAGE, "%s: '%s%s%s' is listed twice", flag, o->db,
                           o->table != NULL ? "." : "", o->table != NULL ? o->table : "");
    }
    return true;
}

/* Two sources on one target would overwrite each other. */
static bool
check_targets(const struct task *t, const char *flag, struct err *e)
{
    size_t n = t->objects_len;
    struct arena mem;
    arena_init(&mem, 0);
    struct task_object *by_target = arena_alloc(&mem, (n + 1) * sizeof(*by_target));
    memcpy(by_target, t->objects, n * sizeof(*by_target));
    qsort(by_target, n, sizeof(*by_target), target_compare);
    bool ok = true;
    for (size_t i = 1; i < n && ok; i++) {
        const struct task_object *a = &by_target[i - 1], *b = &by_target[i];
        if (target_compare(a, b) != 0)
            continue;
        const char *dot = a->table != NULL ? "." : "";
        ok = err_set(e, MR_USAGE, "%s: '%s%s%s' and '%s%s%s' go to one target", flag, a->db,
                     dot, a->table != NULL ? a->table : "", b->db, dot,
                     b->table != NULL ? b->table : "");
    }
    arena_free(&mem);
    return ok;
}

bool
task_parse_objects(struct task *t, const char *flag, const char *text, struct err *e)
{
    bool tables = t->level == TASK_TABLE;
    size_t max = count_commas(text);
    if (max > OBJECTS_MAX)
        return err_set(e, MR_USAGE, "%s: more than %d names", flag, OBJECTS_MAX);
    struct scan s = {&t->arena, flag, text, e};
    t->objects = arena_zalloc(&t->arena, max * sizeof(*t->objects));
    t->objects_len = 0;
    for (;;) {
        if (!scan_object(&s, tables, &t->objects[t->objects_len++]))
            return false;
        if (*s.p == '\0')
            break;
        s.p++;
    }
    select_sort(t);
    return check_objects(t, flag, e) && check_targets(t, flag, e);
}

bool
task_set_exclude(struct task *t, const char *pattern, struct err *e)
{
    struct regex *r = NULL;
    if (!regex_compile(pattern, &r, e))
        return err_wrap(e, "--exclude");
    regex_free(t->exclude_regex);
    t->exclude_regex = r;
    t->exclude = arena_strdup(&t->arena, pattern);
    return true;
}

/* Of MySQL, MariaDB and MatrixOne; and our own checkpoints, which must never be copied over. */
bool
task_is_system_schema(const char *db)
{
    static const char *const names[] = {"mysql", "sys", "information_schema",
                                        "performance_schema", "millrace"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (text_same(db, names[i]))
            return true;
    }
    return strncmp(db, "mo_", 3) == 0 || strncmp(db, "system", 6) == 0;
}

static const struct task_object *
find_object(const struct task *t, const char *db, const char *table)
{
    struct task_object key = {.db = db, .table = t->level == TASK_TABLE ? table : NULL};
    if (t->objects_len == 0)
        return NULL;
    return bsearch(&key, t->objects, t->objects_len, sizeof(key), object_compare);
}

/* A pattern that gives up on a name (too many steps) does not hide it: a table too many is
 * seen, one too few is not. */
static bool
is_excluded(const struct task *t, const char *db, const char *table)
{
    if (t->exclude_regex == NULL)
        return false;
    char subject[2 * NAME_LEN_MAX + 2];
    size_t db_len = strnlen(db, NAME_LEN_MAX), table_len = strnlen(table, NAME_LEN_MAX);
    memcpy(subject, db, db_len);
    subject[db_len] = '.';
    memcpy(subject + db_len + 1, table, table_len);
    struct err ignored = {0};
    bool found = false;
    struct bytes b = bytes_of(subject, db_len + 1 + table_len);
    return regex_search(t->exclude_regex, b, &found, &ignored) && found;
}

bool
task_selects(const struct task *t, const char *db, const char *table, struct task_target *out)
{
    struct task_target to = {db, table};
    if (t->level == TASK_ACCOUNT) {
        if (task_is_system_schema(db))
            return false;
    } else {
        const struct task_object *o = find_object(t, db, table);
        if (o == NULL)
            return false;
        to.db = o->to_db;
        if (o->to_table != NULL)
            to.table = o->to_table;
    }
    if (is_excluded(t, db, table))
        return false;
    *out = to;
    return true;
}

bool
task_selects_database(const struct task *t, const char *db)
{
    if (t->level == TASK_ACCOUNT)
        return !task_is_system_schema(db);
    if (t->level == TASK_DATABASE)
        return find_object(t, db, NULL) != NULL;
    for (size_t i = 0; i < t->objects_len; i++) {
        if (strcmp(t->objects[i].db, db) == 0)
            return true;
    }
    return false;
}
