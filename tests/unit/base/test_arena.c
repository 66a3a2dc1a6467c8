#include "unit/base/unit.h"

#include "base/arena.h"

static void
allocations_of_random_sizes_never_overlap(void **state)
{
    enum { N = 2000 };
    struct prng r = prng_begin(__func__);
    static uint8_t *p[N];
    static size_t n[N];
    struct arena a;
    arena_init(&a, 1024);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) {
            n[i] = prng_below(&r, i % 50 == 0 ? 5000 : 100);
            p[i] = arena_alloc(&a, n[i]);
            assert_int_equal((uintptr_t)p[i] % 16, 0);
            memset(p[i], (int)(i & 0xff), n[i]);
        }
        for (size_t i = 0; i < N; i++) {
            for (size_t j = 0; j < n[i]; j++)
                assert_int_equal(p[i][j], i & 0xff);
        }
        assert_true(a.used > 0);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_free(&a);
}

static void
a_request_as_large_as_a_block_fits(void **state)
{
    struct arena a;
    arena_init(&a, 256);
    for (size_t n = 240; n <= 272; n++)
        memset(arena_alloc(&a, n), 0xab, n);
    arena_free(&a);
}

static void
zero_bytes_give_a_pointer(void **state)
{
    struct arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 0));
    assert_non_null(arena_copy(&a, (struct bytes){NULL, 0}).p);
    arena_free(&a);
}

static void
zalloc_is_zero_in_memory_used_before(void **state)
{
    struct arena a;
    arena_init(&a, 1024);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_reset(&a);
    const uint8_t *p = arena_zalloc(&a, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    arena_free(&a);
}

static void
copies_and_texts_are_equal_and_their_own(void **state)
{
    struct arena a;
    char text[] = "millrace";
    arena_init(&a, 0);
    char *copy = arena_strdup(&a, text);
    char *part = arena_strn(&a, bytes_of(text, 4));
    struct bytes bytes = arena_copy(&a, bytes_str(text));
    char *formatted = arena_printf(&a, "%s-%d", text, 42);
    text[0] = 'x';
    assert_string_equal(copy, "millrace");
    assert_string_equal(part, "mill");
    assert_true(bytes_eq(bytes, BYTES_LIT("millrace")));
    assert_string_equal(formatted, "millrace-42");
    arena_free(&a);
}

static void
a_reset_arena_asks_the_system_for_no_second_block(void **state)
{
    struct arena a;
    arena_init(&a, 4096);
    for (int i = 0; i < 100; i++) {
        void *first = arena_alloc(&a, 1000);
        arena_alloc(&a, 1000);
        arena_reset(&a);
        assert_ptr_equal(arena_alloc(&a, 8), first);
        arena_reset(&a);
    }
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_of_random_sizes_never_overlap),
        cmocka_unit_test(a_request_as_large_as_a_block_fits),
        cmocka_unit_test(zero_bytes_give_a_pointer),
        cmocka_unit_test(zalloc_is_zero_in_memory_used_before),
        cmocka_unit_test(copies_and_texts_are_equal_and_their_own),
        cmocka_unit_test(a_reset_arena_asks_the_system_for_no_second_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
