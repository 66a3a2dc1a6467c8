#include "unit/base/unit.h"

#include "apply/fold.h"

static int rows[1000];

static void
the_last_change_of_a_key_wins(void **state)
{
    struct fold f;
    uint32_t at = 0;
    fold_init(&f, false);
    fold_add(&f, BYTES_LIT("a"), OP_CREATE, &rows[0]);
    fold_add(&f, BYTES_LIT("b"), OP_UPDATE, &rows[1]);
    fold_add(&f, BYTES_LIT("a"), OP_UPDATE, &rows[2]);
    fold_add(&f, BYTES_LIT("b"), OP_DELETE, &rows[3]);
    fold_add(&f, BYTES_LIT(""), OP_READ, &rows[4]);
    assert_int_equal(f.len, 3);
    assert_int_equal(f.deletes, 1);
    const struct fold_entry *x = fold_next_delete(&f, &at);
    assert_ptr_equal(x->row, &rows[3]);
    assert_null(fold_next_delete(&f, &at));
    at = 0;
    x = fold_next_upsert(&f, &at);
    assert_ptr_equal(x->row, &rows[2]);
    assert_int_equal(x->changes, 2);
    assert_ptr_equal(fold_next_upsert(&f, &at)->row, &rows[4]);
    assert_null(fold_next_upsert(&f, &at));
    fold_free(&f);
}

static void
what_a_content_has_more_or_less_is_counted(void **state)
{
    struct fold f;
    static const enum change_op ops[] = {OP_CREATE, OP_READ, OP_DELETE, OP_UPDATE, OP_CREATE};
    fold_init(&f, true);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        fold_add(&f, BYTES_LIT("a"), ops[i], NULL);
    fold_add(&f, BYTES_LIT("b"), OP_DELETE, NULL);
    fold_add(&f, BYTES_LIT("b"), OP_DELETE, NULL);
    fold_add(&f, BYTES_LIT("b"), OP_CREATE, NULL);
    assert_int_equal(f.entries[0].net, 2);
    assert_int_equal(f.entries[1].net, -1);
    fold_free(&f);
}

static void
a_key_created_and_deleted_in_the_batch_is_transient(void **state)
{
    struct fold f;
    uint32_t at = 0;
    fold_init(&f, true);
    fold_add(&f, BYTES_LIT("a"), OP_CREATE, NULL);
    fold_add(&f, BYTES_LIT("a"), OP_DELETE, NULL);
    fold_add(&f, BYTES_LIT("b"), OP_DELETE, NULL);
    fold_add(&f, BYTES_LIT("b"), OP_CREATE, NULL);
    fold_add(&f, BYTES_LIT("b"), OP_DELETE, NULL);
    assert_true(fold_is_transient(fold_next_delete(&f, &at)));
    assert_false(fold_is_transient(fold_next_delete(&f, &at)));
    fold_free(&f);
}

/* Against a plain array of the last op per key; the fold is used again after each round. */
static void
random_changes_fold_to_the_same_state_as_applying_them_one_by_one(void **state)
{
    enum { KEYS = 700 };
    struct prng r = prng_begin(__func__);
    struct fold f;
    fold_init(&f, true);
    for (int round = 0; round < 50; round++) {
        int last[KEYS];
        memset(last, -1, sizeof last);
        fold_reset(&f);
        size_t n = prng_below(&r, round % 2 ? 30 : 3000);
        for (size_t i = 0; i < n; i++) {
            char key[16];
            size_t k = prng_below(&r, KEYS);
            bool del = prng_below(&r, 3) == 0;
            snprintf(key, sizeof key, "key%zu", k);
            last[k] = del;
            fold_add(&f, bytes_str(key), del ? OP_DELETE : OP_UPDATE, &rows[k]);
        }
        uint32_t at = 0, deletes = 0, upserts = 0;
        const struct fold_entry *x;
        while ((x = fold_next_delete(&f, &at)) != NULL) {
            assert_int_equal(last[(int *)x->row - rows], 1);
            deletes++;
        }
        at = 0;
        while ((x = fold_next_upsert(&f, &at)) != NULL) {
            assert_int_equal(last[(int *)x->row - rows], 0);
            upserts++;
        }
        for (int k = 0; k < KEYS; k++) {
            deletes -= last[k] == 1;
            upserts -= last[k] == 0;
        }
        assert_int_equal(deletes, 0);
        assert_int_equal(upserts, 0);
    }
    fold_free(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_change_of_a_key_wins),
        cmocka_unit_test(what_a_content_has_more_or_less_is_counted),
        cmocka_unit_test(a_key_created_and_deleted_in_the_batch_is_transient),
        cmocka_unit_test(random_changes_fold_to_the_same_state_as_applying_them_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
