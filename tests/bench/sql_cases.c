/* sql_cases SEED mysql|mariadb TABLES ROWS: random tables and rows as SQL text, one JSON line a
 * table, for tests/real/test_sql_text.py to try on a server.
 *
 * {names, kinds, create, columns: LOAD DATA's list, rows: [{values, field_line: hex, lenient,
 * meant: [text]}], after: {create, alter}}; `after` is a changed version of the same table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "schema/sql_literal.h"
#include "schema/target_ddl_mysql.h"
#include "schema/tsv.h"
#include "schema/types_mysql.h"
#include "support/schema_random.h"

static const uint16_t key[] = {0};
static const uint32_t prefix[] = {0};

static void
die(const char *what)
{
    fprintf(stderr, "sql_cases: %s\n", what);
    exit(1);
}

static struct table *
empty_table(enum source_flavor flavor)
{
    struct table *t = table_new("ty", "t");
    t->flavor = flavor;
    t->charset = "utf8mb4";
    t->collation = "utf8mb4_bin";
    t->columns = arena_zalloc(&t->arena, (COL_TYPES + 8) * sizeof *t->columns);
    t->uniques = arena_zalloc(&t->arena, sizeof *t->uniques);
    t->uniques[0] = (struct unique_key){"PRIMARY", key, prefix, 1};
    t->unique_count = 1;
    return t;
}

static bool
flavor_has(enum source_flavor flavor, enum column_type type)
{
    return flavor == FLAVOR_MYSQL || type != COL_VECTOR;
}

/* A column of every type. */
static struct table *
table_of_all(struct rng *g, enum source_flavor flavor)
{
    struct table *t = empty_table(flavor);
    char name[64];
    struct column *id = random_column(g, t, COL_INT, "id");
    id->nullable = id->is_unsigned = false;
    for (unsigned i = 0; i < COL_TYPES; i++) {
        snprintf(name, sizeof name, i % 3 ? "c%u" : "c`%u \xc3\xa9.x", i);
        if (flavor_has(flavor, (enum column_type)i))
            random_column(g, t, (enum column_type)i, name);
    }
    table_seal(t);
    return t;
}

/* Some columns gone, some of another kind of the same type, some new. */
static struct table *
changed(struct rng *g, const struct table *from)
{
    struct table *t = empty_table(from->flavor);
    char name[64];
    t->columns[t->column_count++] = from->columns[0];
    for (unsigned i = 1; i < from->column_count; i++) {
        unsigned what = rng_below(g, 6);
        if (what == 0)
            continue;
        if (what == 1)
            random_column(g, t, from->columns[i].type, from->columns[i].name);
        else
            t->columns[t->column_count++] = from->columns[i];
        if (what == 2 && t->column_count < COL_TYPES) {
            snprintf(name, sizeof name, "new%u", i);
            random_column(g, t, (enum column_type)rng_below(g, COL_JSON), name);
        }
    }
    table_seal(t);
    return t;
}

static struct json *
text_of(struct buf *b)
{
    if (b->failed)
        die("text failed");
    struct json *j = json_bytes(buf_bytes(b));
    buf_free(b);
    *b = (struct buf){0};
    return j;
}

static struct json *
hex_of(struct buf *b)
{
    char *hex = malloc(b->n * 2 + 1);
    if (!hex)
        die("memory");
    hex_encode(buf_bytes(b), hex);
    struct json *j = json_str(hex);
    free(hex);
    buf_free(b);
    return j;
}

static struct json *
create_text(const struct table *t)
{
    struct ddl_target to = {.flavor = t->flavor, .database = "ty", .table = "t"};
    struct buf sql = {0};
    struct err e;
    if (!ddl_create_table(t, &to, &sql, NULL, &e))
        die(e.text);
    return text_of(&sql);
}

static struct json *
after_text(const struct table *from, const struct table *into)
{
    struct ddl_target to = {.flavor = from->flavor, .database = "ty", .table = "t"};
    struct json *o = json_object_new();
    struct ddl_alter info;
    struct buf sql = {0};
    if (!ddl_alter_table(from, into, &to, NULL, 0, &info, &sql))
        buf_reset(&sql);
    json_set(o, "create", create_text(into));
    json_set(o, "alter", text_of(&sql));
    return o;
}

static struct json *
row_text(struct rng *g, const struct table *t, int id)
{
    struct json *o = json_object_new(), *meant = json_array_new();
    struct cell row[COL_TYPES + 8];
    struct buf values = {0}, line = {0}, text = {0};
    struct arena a;
    struct err e;
    bool lenient = false;
    arena_init(&a, 0);
    random_row(g, t, false, &a, row);
    row[0] = (struct cell){.kind = CELL_INT, .v.i = id};
    for (unsigned i = 0; i < t->column_count; i++) {
        if (i)
            buf_add_byte(&values, ',');
        sql_literal(&t->columns[i], &row[i], &values);
        lenient = lenient || sql_needs_lenient(&t->columns[i], &row[i]);
        cell_describe(&t->columns[i], &row[i], &text);
        json_push(meant, text_of(&text));
    }
    if (!tsv_row(t, row, &line, &e))
        die(e.text);
    json_set(o, "values", hex_of(&values));
    json_set(o, "field_line", hex_of(&line));
    json_set(o, "lenient", json_bool_new(lenient));
    json_set(o, "meant", meant);
    arena_free(&a);
    return o;
}

static void
print_case(struct rng *g, enum source_flavor flavor, int rows)
{
    struct table *t = table_of_all(g, flavor), *into = changed(g, t);
    struct json *o = json_object_new(), *names = json_array_new(), *kinds = json_array_new();
    struct json *all = json_array_new();
    struct buf text = {0};
    for (unsigned i = 0; i < t->column_count; i++) {
        sql_ident(t->columns[i].name, &text);
        json_push(names, text_of(&text));
        json_push(kinds, json_str(type_mysql(t->columns[i].type)->name));
    }
    for (int i = 0; i < rows; i++)
        json_push(all, row_text(g, t, i));
    tsv_columns(t, &text);
    json_set(o, "names", names);
    json_set(o, "kinds", kinds);
    json_set(o, "create", create_text(t));
    json_set(o, "columns", text_of(&text));
    json_set(o, "rows", all);
    json_set(o, "after", after_text(t, into));
    json_dump(o, &text);
    printf("%s\n", buf_cstr(&text));
    buf_free(&text);
    json_free(o);
    table_unref(t);
    table_unref(into);
}

int
main(int argc, char **argv)
{
    if (argc != 5)
        die("SEED mysql|mariadb TABLES ROWS");
    struct rng g = {strtoull(argv[1], NULL, 10)};
    enum source_flavor flavor = strcmp(argv[2], "mariadb") == 0 ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    for (int i = atoi(argv[3]); i > 0; i--)
        print_case(&g, flavor, atoi(argv[4]));
    return 0;
}
