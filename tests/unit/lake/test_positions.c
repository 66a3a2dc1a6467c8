/* Sets of positions, and the bytes of deletion vectors. */
#include "lake/deletes.h"
#include "unit/lake/lake_unit.h"

#define RANGE 400000

static void
assert_same(const struct positions *p, const uint8_t *want)
{
    uint64_t count = 0, next = 0;
    for (uint64_t i = 0; i < RANGE; i++) {
        assert_int_equal(positions_has(p, i), want[i]);
        if (i % 1777 == 0)
            assert_int_equal(positions_rank(p, i), count);
        if (!want[i])
            continue;
        assert_true(positions_next(p, next, &next));
        assert_int_equal(next++, i);
        count++;
    }
    assert_false(positions_next(p, next, &next));
    assert_int_equal(p->count, count);
}

/* Some chunks sparse, some dense, some full. */
static void
fill(struct prng *r, struct positions *p, uint8_t *want)
{
    for (uint64_t from = 0; from < RANGE; from += 30000) {
        size_t n = prng_below(r, 3) == 0 ? 30000 : prng_below(r, 3000);
        for (size_t i = 0; i < n; i++) {
            uint64_t pos = from + (n == 30000 ? i : prng_below(r, 30000));
            if (pos >= RANGE)
                continue;
            assert_int_equal(positions_add(p, pos), !want[pos]);
            want[pos] = 1;
        }
    }
}

static void
a_set_holds_what_was_added_and_nothing_else(void **state)
{
    struct prng r = prng_begin("positions");
    for (int round = 0; round < 5; round++) {
        struct positions p = {0};
        uint8_t *want = mem_zalloc(RANGE);
        fill(&r, &p, want);
        assert_same(&p, want);
        positions_free(&p);
        free(want);
    }
}

static void
a_set_written_and_read_is_the_same(void **state)
{
    struct prng r = prng_begin("positions written");
    struct positions p = {0}, again = {0};
    uint8_t *want = mem_zalloc(RANGE);
    struct buf blob = {0};
    fill(&r, &p, want);
    positions_add(&p, UINT64_C(5) << 32 | 77);
    deletes_put_blob(&p, &blob);
    MUST_PASS(deletes_take_blob(buf_bytes(&blob), &again, &must_e));
    assert_int_equal(again.count, p.count);
    assert_true(positions_has(&again, UINT64_C(5) << 32 | 77));
    for (uint64_t i = 0; positions_next(&p, i, &i); i++)
        assert_true(positions_has(&again, i));
    positions_free(&p);
    positions_free(&again);
    buf_free(&blob);
    free(want);
}

static void
runs_of_other_writers_are_read(void **state)
{
    /* One bitmap, two containers: a run 10..14 and 20..20, and the array {1, 3} of chunk 1. */
    static const uint8_t bytes[] = {1,    0,  0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0x3b,
                                    0x30, 1,  0, 1, 0, 0,  5, 0, 1, 0, 1, 0, 2,
                                    0,    10, 0, 4, 0, 20, 0, 0, 0, 1, 0, 3, 0};
    struct positions p = {0};
    MUST_PASS(positions_read(bytes_of(bytes, sizeof(bytes)), &p, &must_e));
    assert_int_equal(p.count, 8);
    assert_true(positions_has(&p, 10) && positions_has(&p, 14) && positions_has(&p, 20));
    assert_true(positions_has(&p, 65537) && positions_has(&p, 65539));
    positions_free(&p);
}

static void
a_changed_byte_of_a_vector_is_refused(void **state)
{
    struct positions p = {0}, again = {0};
    struct buf blob = {0};
    struct err e;
    for (uint64_t i = 0; i < 100; i++)
        positions_add(&p, i * 3);
    deletes_put_blob(&p, &blob);
    for (size_t i = 0; i < blob.n; i++) {
        blob.p[i] ^= 1;
        assert_false(deletes_take_blob(buf_bytes(&blob), &again, &e));
        assert_int_equal(e.code, MR_LAKE_METADATA);
        blob.p[i] ^= 1;
        assert_false(deletes_take_blob(bytes_of(blob.p, i), &again, &e));
    }
    assert_int_equal(again.count, 0);
    positions_free(&p);
    buf_free(&blob);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_holds_what_was_added_and_nothing_else),
        cmocka_unit_test(a_set_written_and_read_is_the_same),
        cmocka_unit_test(runs_of_other_writers_are_read),
        cmocka_unit_test(a_changed_byte_of_a_vector_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
