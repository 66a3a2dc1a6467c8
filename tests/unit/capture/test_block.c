/* Blocks and their pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/block.h"

static void
fill(struct block *b)
{
    struct block_record r = {.slot = 3, .key_len = 1, .value_len = 3};
    block_add(b, &r, BYTES_LIT("kval"));
}

static void
a_block_that_comes_back_is_taken_again_empty(void **state)
{
    (void)state;
    struct block_pool *p = block_pool_new(1, 1000);
    struct block *b = block_pool_take(p, 0);
    fill(b);
    assert_null(block_pool_take(p, 0));
    block_return(b);
    assert_ptr_equal(block_pool_take(p, 0), b);
    assert_int_equal(b->count, 0);
    block_pool_free(p);
}

/* On an overloaded machine a producer is destroyed before its threads have reported what they
 * dropped; the session that ends with it must not die of that, nor lose the memory (asan). */
static void
a_pool_is_freed_with_blocks_whose_reports_never_came(void **state)
{
    (void)state;
    struct block_pool *p = block_pool_new(4, 1000);
    fill(block_pool_take(p, 0));
    fill(block_pool_take(p, 0));
    block_pool_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_comes_back_is_taken_again_empty),
        cmocka_unit_test(a_pool_is_freed_with_blocks_whose_reports_never_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
