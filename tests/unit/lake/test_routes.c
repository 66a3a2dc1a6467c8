/* Storages by prefix, over local folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "lake/storage_routes.h"

static void
a_file_is_reached_by_the_prefix_that_covers_it_and_by_no_other(void **state)
{
    (void)state;
    char folder[] = "/tmp/millrace-routes-XXXXXX";
    struct err e;
    struct buf out = {0};
    assert_non_null(mkdtemp(folder));
    struct storage *s = storage_routes_new();
    char *a = mem_printf("file://%s/a", folder), *file = mem_printf("%s/x", a);
    char *other = mem_printf("file://%s/b/x", folder);
    assert_false(storage_routes_cover(s, file));
    assert_false(storage_put(s, file, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_STORAGE_REFUSED);
    assert_true(storage_routes_put(s, a, NULL, &e));
    assert_true(storage_put(s, file, BYTES_LIT("x"), &e));
    assert_true(storage_read_all(s, file, 10, &out, &e));
    assert_string_equal(buf_cstr(&out), "x");
    assert_false(storage_put(s, other, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_STORAGE_REFUSED);
    assert_true(storage_remove(s, file, &e));
    buf_free(&out);
    storage_close(s);
    free(a);
    free(file);
    free(other);
}

static void
a_location_that_no_storage_knows_is_told_when_it_is_put(void **state)
{
    (void)state;
    struct err e;
    struct storage *s = storage_routes_new();
    assert_false(storage_routes_put(s, "gs://bucket/x", NULL, &e));
    assert_int_equal(e.code, MR_LAKE_UNSUPPORTED);
    assert_false(storage_routes_cover(s, "gs://bucket/x"));
    storage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_reached_by_the_prefix_that_covers_it_and_by_no_other),
        cmocka_unit_test(a_location_that_no_storage_knows_is_told_when_it_is_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
