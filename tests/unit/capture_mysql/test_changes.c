/* Which changes of columns a target can follow in place, by what the ALTERs said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "capture/changes.h"
#include "capture/mysql/ddl.h"

/* "name type-letter [null] [default]": i int, b bigint, s varchar(9). The first is the key. */
static struct table *
table_of(const char *text)
{
    struct table *t = table_new("d", "t");
    t->columns = arena_zalloc(&t->arena, 16 * sizeof *t->columns);
    char *copy = arena_strdup(&t->arena, text), *save = NULL;
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        struct column *c = &t->columns[t->column_count++];
        char *part = NULL;
        c->name = strtok_r(w, " ", &part);
        char letter = strtok_r(NULL, " ", &part)[0];
        c->type = letter == 'i' ? COL_INT : letter == 'b' ? COL_BIGINT : COL_VARCHAR;
        c->length = letter == 's' ? 9 : 0;
        c->source_type = letter == 'i' ? "int" : letter == 'b' ? "bigint" : "varchar(9)";
        for (char *x; (x = strtok_r(NULL, " ", &part));) {
            c->nullable = c->nullable || strcmp(x, "null") == 0;
            c->default_sql = strcmp(x, "null") == 0 ? c->default_sql : x;
        }
    }
    uint16_t *key = arena_zalloc(&t->arena, sizeof *key);
    t->uniques = arena_zalloc(&t->arena, sizeof *t->uniques);
    t->uniques[0] =
        (struct unique_key){"PRIMARY", key, arena_zalloc(&t->arena, sizeof(uint32_t)), 1};
    t->unique_count = 1;
    table_seal(t);
    return t;
}

static const struct {
    const char *from, *to, *statements[4];
    bool follows;
    const char *renames;
} cases[] = {
    {"k i,a i null", "k i,a i null", {0}, true, "[]"},
    {"k i,a i null",
     "k i,a i null,x i null",
     {0},
     false,
     NULL}, /* nobody said where x comes from */
    {"k i,a i null", "k i,a i null,x i null", {"ALTER TABLE t ADD x INT"}, true, "[]"},
    {"k i,a i null",
     "k i,a i null,x i null '5'",
     {"ALTER TABLE t ADD x INT DEFAULT 5"},
     true,
     "[]"},
    {"k i,a i null",
     "k i,a i null,x i null '6'",
     {"ALTER TABLE t ADD x INT DEFAULT 5"},
     false,
     NULL},
    {"k i,a i null", "k i,a i null,x i null '5'", {"ALTER TABLE t ADD x INT"}, false, NULL},
    {"k i,a i null",
     "k i,x i null",
     {"ALTER TABLE t ADD x INT", "ALTER TABLE t DROP a"},
     true,
     "[]"},
    {"k i,a i null", "k i,x i null", {"ALTER TABLE t CHANGE a x INT"}, true, "[[\"a\",\"x\"]]"},
    {"k i,a i null",
     "k i,y i null",
     {"ALTER TABLE t CHANGE a x INT", "ALTER TABLE t RENAME COLUMN x TO y"},
     true,
     "[[\"a\",\"y\"]]"},
    {"k i,a i null",
     "k i",
     {"ALTER TABLE t CHANGE a x INT", "ALTER TABLE t DROP x"},
     true,
     "[]"},
    {"k i,a i null",
     "k i,a i null",
     {"ALTER TABLE t DROP a", "ALTER TABLE t ADD a INT"},
     false,
     NULL},
    {"k i,a i null", "k i,a i null", {"ALTER TABLE t DROP a, ADD a INT"}, false, NULL},
    {"k i,a i null,b i null",
     "k i,b i null,a i null",
     {"ALTER TABLE t CHANGE a b INT, CHANGE b a INT"},
     false,
     NULL},
    {"k i,a i null", "k i,a b null", {"ALTER TABLE t MODIFY a BIGINT"}, true, "[]"},
    {"k i,a b null", "k i,a i null", {"ALTER TABLE t MODIFY a INT"}, false, NULL},
    {"k i,a i null", "k i,a i", {"ALTER TABLE t MODIFY a INT NOT NULL"}, false, NULL},
    {"k i,a i", "k i,a i null", {"ALTER TABLE t MODIFY a INT"}, true, "[]"},
    {"k i,a i", "k b,a i", {"ALTER TABLE t MODIFY k BIGINT"}, false, NULL},
    {"k i,a i", "kk i,a i", {"ALTER TABLE t RENAME COLUMN K TO kk"}, true, "[[\"k\",\"kk\"]]"},
    {"k i,a i", "k i,a i", {"ALTER TABLE t DROP PARTITION p"}, false, NULL},
    /* what it held between two redefinitions is not known */
    {"k i,a b null",
     "k i,a b null",
     {"ALTER TABLE t MODIFY COLUMN IF EXISTS A TINYINT", "ALTER TABLE t MODIFY `a` BIGINT"},
     false,
     NULL},
    {"k i,a b null",
     "k i,y b null",
     {"ALTER TABLE t CHANGE a x TINYINT", "ALTER TABLE t RENAME COLUMN x TO y",
      "ALTER TABLE t MODIFY y BIGINT"},
     false,
     NULL},
    {"k i,a i null,b i null",
     "k i,a b null,b b null",
     {"ALTER TABLE t MODIFY a BIGINT", "ALTER TABLE t MODIFY b BIGINT"},
     true,
     "[]"},
    {"k i,a s null",
     "k i,a s null",
     {"ALTER TABLE t CONVERT TO CHARACTER SET latin1", "ALTER TABLE t MODIFY a VARCHAR(9)"},
     false,
     NULL},
    {"k i,a s null",
     "k i,a s null",
     {"ALTER TABLE t MODIFY a VARCHAR(2)", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"},
     false,
     NULL},
    {"k i,a s null",
     "k i,a s null",
     {"ALTER TABLE t MODIFY a VARCHAR(9), CONVERT TO CHARACTER SET utf8mb4"},
     true,
     "[]"},
    {"k i",
     "k i,a i null",
     {"ALTER TABLE t ADD a VARCHAR(9)", "ALTER TABLE t MODIFY a INT"},
     false,
     NULL},
};

static void
check(size_t k)
{
    struct changes *c = NULL;
    struct table *from = table_of(cases[k].from), *to = table_of(cases[k].to);
    for (size_t i = 0; i < 4 && cases[k].statements[i]; i++) {
        struct arena a;
        struct ddl q;
        arena_init(&a, 0);
        ddl_classify(bytes_str(cases[k].statements[i]), BYTES_LIT("d"), &a, &q);
        changes_note(&c, from, &q.ddl);
        arena_free(&a);
    }
    if (changes_follow(c, from, to) != cases[k].follows)
        fail_msg("case %zu: %s", k, cases[k].to);
    struct buf text = {0};
    struct json *renames = changes_renames(c);
    json_dump(renames, &text);
    if (cases[k].renames)
        assert_string_equal(buf_cstr(&text), cases[k].renames);
    buf_free(&text);
    json_free(renames);
    changes_lose(&c);
    assert_false(changes_follow(c, from, from));
    changes_free(c);
    table_unref(from);
    table_unref(to);
}

static void
each_case_follows_or_not_as_listed(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++)
        check(k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_follows_or_not_as_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
