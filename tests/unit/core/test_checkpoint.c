#include "core.h"

#include "task/checkpoint.h"

static struct checkpoint
sample(void)
{
    struct checkpoint c;
    checkpoint_init(&c, INC);
    struct checkpoint_source *s = checkpoint_source(&c, 1);
    s->cut = (struct cut_id){1700000000000, 42};
    s->progress_offset = 17;
    c.commit_us = 99;
    *checkpoint_part(&c, "t.b", 1) = (struct checkpoint_part){1, 10, 1700000000000, 41};
    *checkpoint_part(&c, "t.b", 0) = (struct checkpoint_part){0, 9, 1700000000000, 42};
    checkpoint_topic(&c, "t.a")->version = 3;
    checkpoint_set_intent(&c, "ddl", (struct cut_id){5, 6}, "ALTER TABLE x", "column y exists");
    c.loads = json_object_new();
    json_set(c.loads, "x", json_i64(1));
    c.owner = 4;
    c.instance = 5;
    c.commits = 6;
    return c;
}

static void
the_state_survives_its_json(void **state)
{
    struct checkpoint c = sample(), d;
    struct buf a = {0}, b = {0};
    struct err e = {0};
    checkpoint_init(&d, 0);
    checkpoint_encode(&c, &a);
    if (!checkpoint_decode(buf_bytes(&a), &d, &e))
        fail_msg("%s", e.text);
    checkpoint_encode(&d, &b);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_int_equal(checkpoint_part(&d, "t.b", 1)->seq, 41);
    assert_string_equal(d.intent->statement, "ALTER TABLE x");
    checkpoint_free(&c);
    checkpoint_free(&d);
    buf_free(&a);
    buf_free(&b);
}

static void
looking_for_a_partition_that_was_never_applied_changes_nothing(void **state)
{
    struct checkpoint c = sample(), d;
    checkpoint_init(&d, 0);
    checkpoint_copy(&d, &c);
    assert_int_equal(checkpoint_part(&d, "t.c", 5)->offset, -1);
    assert_true(checkpoint_is_base(&c, &d));
    checkpoint_free(&c);
    checkpoint_free(&d);
}

static void
any_difference_is_another_base(void **state)
{
    struct checkpoint c = sample(), d;
    checkpoint_init(&d, 0);
    for (int i = 0; i < 9; i++) {
        checkpoint_copy(&d, &c);
        assert_true(checkpoint_is_base(&c, &d));
        switch (i) {
        case 0:
            d.inc++;
            break;
        case 1:
            checkpoint_source(&d, 1)->cut.seq++;
            break;
        case 2:
            checkpoint_part(&d, "t.b", 0)->offset++;
            break;
        case 3:
            checkpoint_topic(&d, "t.a")->version++;
            break;
        case 4:
            checkpoint_set_intent(&d, NULL, (struct cut_id){0}, NULL, NULL);
            break;
        case 5:
            d.owner++;
            break;
        case 6:
            d.instance++;
            break;
        case 7:
            d.commits++;
            break;
        default:
            checkpoint_part(&d, "t.b", 2)->offset = 0;
        }
        assert_false(checkpoint_is_base(&c, &d));
    }
    checkpoint_free(&c);
    checkpoint_free(&d);
}

static void
an_unknown_outcome_is_read_from_what_is_stored(void **state)
{
    struct checkpoint base = sample(), written, other;
    checkpoint_init(&written, 0);
    checkpoint_init(&other, 0);
    checkpoint_copy(&written, &base);
    checkpoint_source(&written, 1)->cut.seq += 10;
    written.commits++;
    checkpoint_copy(&other, &base);
    other.owner++;
    other.commits++;
    assert_int_equal(checkpoint_after_unknown(&base, &base, &written),
                     CHECKPOINT_NOT_COMMITTED);
    assert_int_equal(checkpoint_after_unknown(&written, &base, &written), CHECKPOINT_COMMITTED);
    assert_int_equal(checkpoint_after_unknown(&other, &base, &written), CHECKPOINT_TAKEN);
    checkpoint_free(&base);
    checkpoint_free(&written);
    checkpoint_free(&other);
}

static void
a_checkpoint_that_is_not_understood_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"v\":2}",
        "{\"v\":1,\"inc\":\"zz\"}",
        "[1]",
        "{\"v\":1,\"inc\":\"0000000000000001\",\"cut\":{\"1\":[1]},\"progress_offset\":{},"
        "\"parts\":{},\"versions\":{}}",
        "{\"v\":1,\"inc\":\"0000000000000001\",\"cut\":{},\"progress_offset\":{},\"parts\":{"
        "\"t\":{\"x\":[1,2,3]}},"
        "\"versions\":{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct checkpoint c;
        struct err e = {0};
        checkpoint_init(&c, 0);
        assert_false(checkpoint_decode(bytes_str(bad[i]), &c, &e));
        assert_int_equal(e.code, MR_TARGET_CHECKPOINT);
        checkpoint_free(&c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_survives_its_json),
        cmocka_unit_test(looking_for_a_partition_that_was_never_applied_changes_nothing),
        cmocka_unit_test(any_difference_is_another_base),
        cmocka_unit_test(an_unknown_outcome_is_read_from_what_is_stored),
        cmocka_unit_test(a_checkpoint_that_is_not_understood_is_refused),
    };
    return RUN_TESTS(tests);
}
