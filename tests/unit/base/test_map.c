#include "unit/base/unit.h"

#include "base/map.h"

enum { KEYS = 400 };

/* The obvious implementation, to compare with. */
struct model {
    bool present[KEYS];
    uint64_t value[KEYS];
    char name[KEYS][8];
};

static void
check_model(const struct map *m, const struct model *model)
{
    size_t len = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct map_slot *s = map_get(m, bytes_str(model->name[i]));
        assert_int_equal(s != NULL, model->present[i]);
        if (s)
            assert_true(s->v.u == model->value[i]);
        len += model->present[i];
    }
    assert_int_equal(m->len, len);
    size_t seen = 0;
    for (struct map_slot *s = NULL; (s = map_next(m, s)) != NULL;)
        seen++;
    assert_int_equal(seen, len);
}

static void
random_puts_and_deletes_agree_with_the_obvious_map(void **state)
{
    struct prng r = prng_begin(__func__);
    static struct model model;
    struct map m = {0};
    for (size_t i = 0; i < KEYS; i++)
        snprintf(model.name[i], sizeof(model.name[i]), "%zu", i);
    for (int step = 0; step < 40000; step++) {
        size_t i = prng_below(&r, KEYS);
        struct bytes key = bytes_str(model.name[i]);
        if (prng_below(&r, 100) < 50) {
            bool fresh;
            struct map_slot *s = map_put(&m, key, &fresh);
            assert_int_equal(fresh, !model.present[i]);
            if (fresh)
                assert_true(s->v.u == 0);
            s->v.u = model.value[i] = prng_next(&r);
            model.present[i] = true;
        } else {
            assert_int_equal(map_del(&m, key), model.present[i]);
            model.present[i] = false;
        }
        if (step % 500 == 0)
            check_model(&m, &model);
    }
    check_model(&m, &model);
    map_clear(&m);
    memset(model.present, 0, sizeof(model.present));
    check_model(&m, &model);
    map_free(&m);
}

static void
an_empty_key_is_a_key(void **state)
{
    struct map m = {0};
    bool fresh;
    map_put(&m, (struct bytes){NULL, 0}, &fresh)->v.u = 7;
    assert_true(fresh);
    assert_int_equal(map_get(&m, BYTES_LIT(""))->v.u, 7);
    map_put(&m, BYTES_LIT(""), &fresh);
    assert_false(fresh);
    assert_true(map_del(&m, BYTES_LIT("")));
    assert_null(map_get(&m, (struct bytes){NULL, 0}));
    map_free(&m);
}

static void
a_map_never_used_answers(void **state)
{
    struct map m = {0};
    assert_null(map_get(&m, BYTES_LIT("x")));
    assert_false(map_del(&m, BYTES_LIT("x")));
    assert_null(map_next(&m, NULL));
    map_clear(&m);
    map_free(&m);
}

static void
keys_with_the_same_beginning_or_zero_bytes_differ(void **state)
{
    struct map m = {0};
    bool fresh;
    const struct bytes keys[] = {BYTES_LIT("a"),
                                 BYTES_LIT("a\0"),
                                 BYTES_LIT("a\0\0"),
                                 BYTES_LIT("\0a"),
                                 BYTES_LIT("aaaaaaaaaaaaaaaa"),
                                 BYTES_LIT("aaaaaaaaaaaaaaaaa")};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        map_put(&m, keys[i], &fresh)->v.u = i;
        assert_true(fresh);
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(map_get(&m, keys[i])->v.u, i);
    map_free(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_puts_and_deletes_agree_with_the_obvious_map),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(a_map_never_used_answers),
        cmocka_unit_test(keys_with_the_same_beginning_or_zero_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
