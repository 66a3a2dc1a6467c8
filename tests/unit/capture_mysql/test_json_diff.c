/* Differences of JSON documents: what fits changes the document, what does not is damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "capture/mysql/value.h"

/* {"a": 1, "b": [1, 2, 3]} as MySQL 9.7 stores it. */
static const uint8_t document[] = {0, 2, 0, 0x21, 0, 0x12, 0, 1,   0,   0x13, 0, 1,
                                   0, 5, 1, 0,    2, 0x14, 0, 'a', 'b', 3,    0, 0x0d,
                                   0, 5, 1, 0,    5, 2,    0, 5,   3,   0};

static void
add(struct buf *diffs, uint8_t operation, const char *path, const char *value, size_t n)
{
    buf_add_byte(diffs, operation);
    buf_add_byte(diffs, (uint8_t)strlen(path));
    buf_add_str(diffs, path);
    if (operation == 2)
        return;
    buf_add_byte(diffs, (uint8_t)n);
    buf_add(diffs, value, n);
}

#define REPLACE(b, path) add(b, 0, path, "\5\7\0", 3) /* by 7 */
#define INSERT(b, path)  add(b, 1, path, "\5\7\0", 3)
#define REMOVE(b, path)  add(b, 2, path, NULL, 0)

/* NULL: refused. Frees the differences. */
static void
gives(struct buf *diffs, const char *want)
{
    struct arena a;
    struct buf out = {0};
    arena_init(&a, 0);
    bool ok =
        value_json_apply(bytes_of(document, sizeof(document)), buf_bytes(diffs), &a, &out);
    if (ok != (want != NULL))
        fail_msg("%s", ok ? buf_cstr(&out) : "refused");
    if (want)
        assert_string_equal(buf_cstr(&out), want);
    arena_free(&a);
    buf_free(&out);
    buf_free(diffs);
}

static void
members_and_elements_are_replaced_inserted_and_removed(void **state)
{
    (void)state;
    struct buf b = {0};
    gives(&b, "{\"a\": 1, \"b\": [1, 2, 3]}");
    REPLACE(&b, "$.a");
    gives(&b, "{\"a\": 7, \"b\": [1, 2, 3]}");
    REPLACE(&b, "$.b[last-1]");
    gives(&b, "{\"a\": 1, \"b\": [1, 7, 3]}");
    REMOVE(&b, "$.b[0]");
    gives(&b, "{\"a\": 1, \"b\": [2, 3]}");
    REMOVE(&b, "$.a");
    gives(&b, "{\"b\": [1, 2, 3]}");
    INSERT(&b, "$.b[1]");
    gives(&b, "{\"a\": 1, \"b\": [1, 7, 2, 3]}");
    INSERT(&b, "$.b[99]");
    gives(&b, "{\"a\": 1, \"b\": [1, 2, 3, 7]}");
    REPLACE(&b, "$");
    gives(&b, "7");
}

static void
keys_stand_in_the_order_of_length_and_bytes(void **state)
{
    (void)state;
    struct buf b = {0};
    INSERT(&b, "$.\"aa\"");
    INSERT(&b, "$.\"\"");
    INSERT(&b, "$.c");
    INSERT(&b, "$.\"A\"");
    gives(&b, "{\"\": 7, \"A\": 7, \"a\": 1, \"b\": [1, 2, 3], \"c\": 7, \"aa\": 7}");
    INSERT(&b, "$.\"q\\\"\\n\\u00e9\\u0001\"");
    gives(&b, "{\"a\": 1, \"b\": [1, 2, 3], \"q\\\"\\né\\u0001\": 7}");
}

static void
each_difference_sees_what_those_before_it_did(void **state)
{
    (void)state;
    struct buf b = {0};
    add(&b, 0, "$.a", "\0\0\0\4\0", 5); /* an empty object */
    INSERT(&b, "$.a.x");
    REPLACE(&b, "$.a.x");
    REMOVE(&b, "$.b[2]");
    REMOVE(&b, "$.b[1]");
    gives(&b, "{\"a\": {\"x\": 7}, \"b\": [1]}");
}

static void
what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const places[] = {"$.c", "$.b[3]", "$.a.x", "$.a[0]", "$.b.x", "$.c.d"};
    static const char *const paths[] = {
        "$.", "$[",    "$[x]",      "$.*",           "$.\"a",         "$[1",
        "a",  "$**.a", "$.\"\\x\"", "$.\"\\u00g0\"", "$[99999999999]"};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        REPLACE(&b, places[i]);
        gives(&b, NULL);
        REMOVE(&b, places[i]);
        gives(&b, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        INSERT(&b, paths[i]);
        gives(&b, NULL);
    }
    INSERT(&b, "$.a");
    gives(&b, NULL);
    REMOVE(&b, "$");
    gives(&b, NULL);
    add(&b, 3, "$.a", "\5\7\0", 3);
    gives(&b, NULL);
}

static void
every_cut_of_the_differences_is_refused(void **state)
{
    (void)state;
    struct buf whole = {0};
    REPLACE(&whole, "$.b[1]");
    for (size_t n = 1; n < whole.n; n++) {
        struct buf b = {0};
        buf_add(&b, whole.p, n);
        gives(&b, NULL);
    }
    buf_free(&whole);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_elements_are_replaced_inserted_and_removed),
        cmocka_unit_test(keys_stand_in_the_order_of_length_and_bytes),
        cmocka_unit_test(each_difference_sees_what_those_before_it_did),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(every_cut_of_the_differences_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
