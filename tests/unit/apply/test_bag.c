/* Rows of a lake's unit known by their content: which go first, and how many are left to look
 * up. */
#include "unit/base/unit.h"

#include "apply/iceberg/bag.h"

static void
rows_of_the_unit_go_before_rows_of_the_table(void **state)
{
    struct bag b = {0};
    uint64_t at;
    size_t content = 0;
    bag_add(&b, 0, 10);
    bag_add(&b, 3, 11);
    bag_add(&b, 3, 12);
    for (int i = 0; i < 3; i++)
        bag_remove(&b, 3);
    bag_remove(&b, 1000);
    assert_int_equal(bag_wants(&b), 4);
    assert_true(bag_cancel(&b, &content, &at));
    assert_int_equal(at, 12);
    assert_true(bag_cancel(&b, &content, &at));
    assert_int_equal(at, 11);
    assert_false(bag_cancel(&b, &content, &at));
    assert_int_equal(b.wanted[3], 1);
    assert_int_equal(b.wanted[1000], 1);
    assert_int_equal(bag_wants(&b), 2);
    bag_free(&b);
}

static void
a_row_that_is_not_to_go_stays(void **state)
{
    struct bag b = {0};
    uint64_t at;
    size_t content = 0;
    for (uint64_t i = 0; i < 1000; i++)
        bag_add(&b, (size_t)(i % 300), i);
    assert_false(bag_cancel(&b, &content, &at));
    assert_int_equal(bag_wants(&b), 0);
    bag_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_unit_go_before_rows_of_the_table),
        cmocka_unit_test(a_row_that_is_not_to_go_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
