/* Quoting, and the classes of error numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "db/mysql_private.h"
#include "db/mysql_sql.h"
#include "db/pg.h"

static void
check(void (*quote)(struct bytes, struct buf *), struct bytes in, const char *expected)
{
    struct buf b = {0};
    quote(in, &b);
    assert_string_equal(buf_cstr(&b), expected);
    buf_free(&b);
}

static void
names_and_literals_cannot_break_out(void **state)
{
    (void)state;
    check(mysql_quote_name, BYTES_LIT("a`; DROP TABLE b; -- "), "`a``; DROP TABLE b; -- `");
    check(mysql_quote_name, BYTES_LIT(""), "``");
    check(mysql_quote_text, BYTES_LIT("it's \\ \0\n\r\x1a \"é"),
          "'it\\'s \\\\ \\0\\n\\r\\Z \"é'");
    check(mysql_quote_hex, BYTES_LIT("\0\xff'"), "x'00ff27'");
}

static void
error_numbers_have_the_class_of_their_side(void **state)
{
    (void)state;
    assert_int_equal(mysql_error_code(MYSQL_SOURCE, 1045), MR_SOURCE_LOGIN);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1045), MR_TARGET_LOGIN);
    assert_int_equal(mysql_error_code(MYSQL_SOURCE, 2013), MR_SOURCE_LOST);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1213), MR_TARGET_BUSY);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1062), MR_TARGET_DUPLICATE);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1406), MR_TARGET_ROW);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1064), MR_TARGET_QUERY);
    assert_int_equal(mysql_error_code(MYSQL_TARGET, 1146), MR_TARGET_SHAPE);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 1146), MR_CATALOG_MISSING);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 1049), MR_CATALOG_ADDRESS);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 1054), MR_CATALOG_INVALID);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 1062), MR_CATALOG_EXISTS);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 1045), MR_CATALOG_REFUSED);
    assert_int_equal(mysql_error_code(MYSQL_CATALOG, 2013), MR_CATALOG_UNREACHABLE);
}

static void
sqlstates_have_codes_the_longer_one_first(void **state)
{
    (void)state;
    assert_int_equal(pg_error_code("42P01"), MR_CATALOG_MISSING);
    assert_int_equal(pg_error_code("42703"), MR_CATALOG_INVALID);
    assert_int_equal(pg_error_code("42501"), MR_CATALOG_REFUSED);
    assert_int_equal(pg_error_code("23505"), MR_CATALOG_EXISTS);
    assert_int_equal(pg_error_code("57P01"), MR_CATALOG_UNREACHABLE);
    assert_int_equal(pg_error_code("40P01"), MR_CATALOG_ERROR);
    assert_int_equal(pg_error_code(NULL), MR_CATALOG_ERROR);
}

static void
values_of_a_statement_are_literals_wherever_they_stand(void **state)
{
    static const char *const values[] = {"a", NULL, "it's ?1 \\"};
    struct buf b = {0};
    (void)state;
    mysql_sql_text("f(?3, ?1, ?2, ?1, ?9, '?')", values, ARRAY_LEN(values), &b);
    assert_string_equal(buf_cstr(&b), "f('it\\'s ?1 \\\\', 'a', NULL, 'a', ?9, '?')");
    buf_free(&b);
}

static void
a_connection_lost_in_commit_has_an_unknown_outcome(void **state)
{
    (void)state;
    struct err e;
    struct mysql_conn c = {.side = MYSQL_TARGET, .committing = true, .where = "h:1"};
    assert_false(mysql_fail(&c, 2013, "lost", &e));
    assert_int_equal(e.class, ERR_UNKNOWN);
    assert_int_equal(e.code, MR_TARGET_UNKNOWN_OUTCOME);
    assert_false(mysql_fail(&c, 1213, "deadlock", &e));
    assert_int_equal(e.class, ERR_RETRY);
    c.committing = false;
    assert_false(mysql_fail(&c, 2013, "lost", &e));
    assert_int_equal(e.class, ERR_RETRY);
    c = (struct mysql_conn){.side = MYSQL_CATALOG, .committing = true, .where = "h:1"};
    assert_false(mysql_fail(&c, 2013, "lost", &e));
    assert_int_equal(e.code, MR_CATALOG_UNKNOWN_OUTCOME);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_literals_cannot_break_out),
        cmocka_unit_test(error_numbers_have_the_class_of_their_side),
        cmocka_unit_test(sqlstates_have_codes_the_longer_one_first),
        cmocka_unit_test(values_of_a_statement_are_literals_wherever_they_stand),
        cmocka_unit_test(a_connection_lost_in_commit_has_an_unknown_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
