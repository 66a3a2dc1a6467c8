#include "core.h"

struct reading {
    struct progress_view *v;
    int64_t offset;
};

static struct reading
begin(bool strict)
{
    return (struct reading){progress_view_new(&(struct progress_view_conf){INC, strict}), 0};
}

static struct progress_fed
feed(struct reading *r, struct progress_record rec)
{
    struct progress_fed fed;
    struct err e;
    if (!progress_view_feed(r->v, &rec, (struct progress_at){r->offset++, false}, &fed, &e))
        fail_msg("%s", e.text);
    return fed;
}

static enum err_code
refused(struct reading *r, struct progress_record rec)
{
    struct progress_fed fed;
    struct err e = {0};
    assert_false(
        progress_view_feed(r->v, &rec, (struct progress_at){r->offset++, false}, &fed, &e));
    return e.code;
}

static void
a_claim_not_above_every_earlier_one_is_none(void **state)
{
    struct reading r = begin(false);
    assert_int_equal(feed(&r, claim_of(7, 1)).verdict, PROGRESS_IS_CLAIM);
    assert_int_equal(feed(&r, claim_of(7, 2)).verdict, PROGRESS_IS_DEAD_CLAIM);
    assert_int_equal(feed(&r, claim_of(6, 3)).verdict, PROGRESS_IS_DEAD_CLAIM);
    assert_int_equal(feed(&r, claim_of(8, 4)).verdict, PROGRESS_IS_CLAIM);
    progress_view_free(r.v);
}

static void
the_next_epoch_is_above_all_and_never_below_the_clock(void **state)
{
    struct reading r = begin(false);
    assert_int_equal(progress_view_next_epoch(r.v, 500), 500);
    feed(&r, claim_of(600, 1));
    assert_int_equal(progress_view_next_epoch(r.v, 500), 601);
    assert_int_equal(progress_view_next_epoch(r.v, 900), 900);
    progress_view_free(r.v);
}

static void
progress_and_epochs_of_a_lower_epoch_behind_a_claim_are_void(void **state)
{
    struct reading r = begin(true);
    feed(&r, claim_of(1, 1));
    feed(&r, epoch_of(1, 0));
    assert_int_equal(feed(&r, cut_of(1, 0, 5)).verdict, PROGRESS_IS_CUT);
    feed(&r, claim_of(2, 2));
    assert_int_equal(feed(&r, cut_of(1, 5, 9)).verdict, PROGRESS_IS_VOID);
    assert_int_equal(feed(&r, epoch_of(1, 5)).verdict, PROGRESS_IS_VOID);
    assert_int_equal(feed(&r, epoch_of(2, 5)).verdict, PROGRESS_IS_EPOCH);
    progress_view_free(r.v);
}

static void
an_impostor_of_the_same_number_is_void(void **state)
{
    struct reading r = begin(true);
    struct progress_record ours = epoch_of(3, 0), theirs = epoch_of(3, 0),
                           cut = cut_of(3, 0, 4);
    ours.claim = 1;
    theirs.claim = cut.claim = 2;
    feed(&r, claim_of(3, 1));
    assert_int_equal(feed(&r, theirs).verdict, PROGRESS_IS_VOID);
    assert_int_equal(feed(&r, ours).verdict, PROGRESS_IS_EPOCH);
    assert_int_equal(feed(&r, cut).verdict, PROGRESS_IS_VOID);
    progress_view_free(r.v);
}

static void
a_row_above_where_a_later_epoch_began_is_void(void **state)
{
    struct reading r = begin(true);
    feed(&r, epoch_of(1, 0));
    feed(&r, cut_of(1, 0, 10));
    assert_false(progress_view_void(r.v, 1, 11));
    feed(&r, epoch_of(4, 10));
    assert_false(progress_view_void(r.v, 1, 10));
    assert_true(progress_view_void(r.v, 1, 11));
    assert_true(progress_view_void(r.v, 3, 11));
    assert_false(progress_view_void(r.v, 4, 11));
    assert_int_equal(progress_view_valid_to(r.v, 1), 10);
    progress_view_free(r.v);
}

static void
earlier_epochs_are_learned_from_a_later_one(void **state)
{
    struct reading r = begin(true);
    struct cut_id history[] = {{1, 0}, {2, 30}};
    r.offset = 10;
    struct progress_record e = epoch_of(5, 70);
    e.history = history;
    e.history_count = 2;
    feed(&r, e);
    assert_true(progress_view_void(r.v, 1, 31));
    assert_false(progress_view_void(r.v, 1, 30));
    progress_view_free(r.v);
}

static void
a_cut_that_does_not_follow_the_newest_one_is_loss(void **state)
{
    struct reading r = begin(true);
    feed(&r, epoch_of(1, 0));
    feed(&r, cut_of(1, 0, 5));
    assert_int_equal(refused(&r, cut_of(1, 7, 9)), MR_KAFKA_LOST);
    progress_view_free(r.v);
}

static void
compaction_explains_a_missing_cut_and_breaks_the_link(void **state)
{
    struct reading r = begin(true);
    struct progress_fed fed;
    struct err e;
    feed(&r, epoch_of(1, 0));
    struct progress_record cut = cut_of(1, 7, 9);
    assert_true(progress_view_feed(r.v, &cut, (struct progress_at){5, true}, &fed, &e));
    assert_int_equal(fed.verdict, PROGRESS_IS_CUT);
    assert_false(fed.linked);
    assert_true(feed(&r, cut_of(1, 9, 12)).linked);
    progress_view_free(r.v);
}

static void
a_cut_of_an_epoch_without_its_record_is_loss(void **state)
{
    struct reading r = begin(true);
    assert_int_equal(refused(&r, cut_of(1, 0, 5)), MR_KAFKA_LOST);
    progress_view_free(r.v);
    r = begin(true);
    progress_view_applied(r.v, 5);
    assert_int_equal(feed(&r, cut_of(1, 0, 5)).verdict, PROGRESS_IS_VOID);
    assert_int_equal(refused(&r, cut_of(1, 5, 6)), MR_KAFKA_LOST);
    progress_view_free(r.v);
}

static void
an_epoch_that_begins_above_what_was_read_is_loss(void **state)
{
    struct reading r = begin(true);
    feed(&r, epoch_of(1, 0));
    feed(&r, cut_of(1, 0, 5));
    assert_int_equal(refused(&r, epoch_of(2, 9)), MR_KAFKA_LOST);
    progress_view_free(r.v);
    r = begin(true);
    feed(&r, claim_of(1, 1)); /* the topic's first record: nothing came before it */
    assert_int_equal(refused(&r, epoch_of(2, 9)), MR_KAFKA_LOST);
    progress_view_free(r.v);
    r = begin(true);
    r.offset = 10;
    assert_false(feed(&r, epoch_of(2, 9)).linked);
    progress_view_free(r.v);
}

static void
the_truth_is_the_later_of_cut_and_epoch(void **state)
{
    struct reading r = begin(false);
    struct progress_truth t;
    struct err e;
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_false(t.found);
    progress_truth_free(&t);
    feed(&r, epoch_of(1, 0));
    feed(&r, cut_of(1, 0, 8));
    feed(&r, epoch_of(2, 5));
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.seq, 5);
    assert_int_equal(t.history_count, 2);
    progress_truth_free(&t);
    feed(&r, cut_of(2, 5, 6));
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.seq, 6);
    progress_truth_free(&t);
    progress_view_free(r.v);
}

static void
another_incarnation_gives_its_seq_and_nothing_else(void **state)
{
    struct reading r = begin(false);
    struct progress_record cut = cut_of(1, 0, 8);
    struct progress_range range = {.table = "t", .load = 1, .rows = 4};
    struct progress_truth t;
    struct err e;
    cut.inc = INC + 1;
    cut.ranges = &range;
    cut.range_count = 1;
    feed(&r, epoch_of(1, 0));
    assert_int_equal(feed(&r, cut).verdict, PROGRESS_IS_FOREIGN);
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_true(t.found);
    assert_false(t.same_inc);
    assert_int_equal(t.seq, 8);
    assert_int_equal(t.range_count, 0);
    progress_truth_free(&t);
    progress_view_free(r.v);
}

static void
per_range_the_larger_of_truth_and_load_record_wins(void **state)
{
    struct reading r = begin(false);
    struct progress_range in_cut[2] = {{"t", 1, 0, {0}, {0}, {0}, 10, false},
                                       {"t", 1, 1, {0}, {0}, {0}, 3, false}};
    struct progress_range in_load[2] = {{"t", 1, 0, {0}, {0}, {0}, 6, false},
                                        {"t", 1, 1, {0}, {0}, {0}, 3, true}};
    struct progress_record cut = cut_of(1, 0, 8);
    struct progress_record load = {.kind = PROGRESS_LOAD,
                                   .inc = INC,
                                   .epoch = 1,
                                   .table = "t",
                                   .load = 1,
                                   .ranges = in_load,
                                   .range_count = 2};
    struct progress_truth t;
    struct err e;
    cut.ranges = in_cut;
    cut.range_count = 2;
    feed(&r, epoch_of(1, 0));
    feed(&r, load);
    feed(&r, cut);
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.range_count, 2);
    assert_int_equal(t.ranges[0].rows, 10);
    assert_false(t.recorded[0]);
    assert_true(t.ranges[1].done);
    assert_true(t.recorded[1]);
    progress_truth_free(&t);
    progress_view_free(r.v);
}

static void
a_load_record_above_the_truth_repeats_a_lost_cut_and_is_void(void **state)
{
    struct reading r = begin(false);
    struct progress_range range = {.table = "t", .load = 1, .rows = 9};
    struct progress_record load = {.kind = PROGRESS_LOAD,
                                   .inc = INC,
                                   .epoch = 1,
                                   .seq = 7,
                                   .table = "t",
                                   .load = 1,
                                   .ranges = &range,
                                   .range_count = 1};
    struct progress_truth t;
    struct err e;
    feed(&r, epoch_of(1, 0));
    feed(&r, load);
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.range_count, 0);
    progress_truth_free(&t);
    feed(&r, cut_of(1, 0, 7));
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.range_count, 1);
    progress_truth_free(&t);
    progress_view_free(r.v);
}

static size_t
live_count(const struct progress_view *v, uint32_t *version)
{
    size_t n = 0;
    uint64_t at = 0;
    for (;; n++) {
        struct buf key = {0}, value = {0};
        struct arena a;
        struct progress_record rec;
        struct err e;
        bool more = progress_view_live(v, &at, &key, &value);
        arena_init(&a, 0);
        if (more) {
            assert_true(progress_decode(buf_bytes(&key), buf_bytes(&value), &a, &rec, &e));
            *version = rec.version;
            progress_record_free(&rec);
        }
        arena_free(&a);
        buf_free(&key);
        buf_free(&value);
        if (!more)
            return n;
    }
}

static void
only_a_confirmed_version_is_live(void **state)
{
    struct reading r = begin(false);
    uint32_t version = 0;
    feed(&r, epoch_of(1, 0));
    feed(&r, event_of(1, 3, EVENT_VERSION, 1));
    assert_int_equal(live_count(r.v, &version), 0);
    feed(&r, cut_of(1, 0, 3));
    assert_int_equal(live_count(r.v, &version), 1);
    feed(&r, event_of(1, 5, EVENT_VERSION, 2));
    assert_int_equal(live_count(r.v, &version), 1);
    assert_int_equal(version, 1);
    feed(&r, epoch_of(2, 3));
    feed(&r, cut_of(2, 3, 9));
    assert_int_equal(live_count(r.v, &version), 1);
    assert_int_equal(version, 1);
    progress_view_free(r.v);
}

static void
a_copied_version_moves_the_anchor_up(void **state)
{
    struct reading r = begin(false);
    struct progress_record copy = event_of(1, 3, EVENT_VERSION, 1);
    copy.copy = true;
    feed(&r, epoch_of(1, 0));
    feed(&r, event_of(1, 3, EVENT_VERSION, 1));
    feed(&r, cut_of(1, 0, 3));
    feed(&r, epoch_of(2, 3));
    assert_int_equal(progress_view_anchor(r.v), 0); /* the epoch record before it */
    assert_int_equal(feed(&r, copy).verdict, PROGRESS_IS_REPEAT);
    assert_int_equal(progress_view_anchor(r.v), 3);
    progress_view_free(r.v);
}

static struct progress_record
version_of(uint64_t seq, struct json *schema, uint64_t load)
{
    struct progress_record r = event_of(1, seq, EVENT_VERSION, 1);
    json_set(schema, "load", json_u64(load));
    r.schema = schema;
    return r;
}

static void
a_load_that_the_newest_version_does_not_name_is_over(void **state)
{
    struct reading r = begin(false);
    struct progress_range range = {.table = "t", .load = 4, .rows = 9};
    struct progress_record load = {.kind = PROGRESS_LOAD,
                                   .inc = INC,
                                   .epoch = 1,
                                   .seq = 3,
                                   .table = "t",
                                   .load = 4,
                                   .ranges = &range,
                                   .range_count = 1};
    struct progress_truth t;
    struct err e;
    uint32_t version;
    struct json *first = json_object_new(), *second = json_object_new();
    feed(&r, epoch_of(1, 0));
    feed(&r, version_of(2, first, 4));
    feed(&r, cut_of(1, 0, 3));
    feed(&r, load);
    feed(&r, cut_of(1, 3, 4));
    assert_int_equal(live_count(r.v, &version), 2);
    feed(&r, version_of(5, second, 0)); /* loaded, or stopped, or another load */
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.range_count, 1); /* no cut confirms it yet */
    progress_truth_free(&t);
    feed(&r, cut_of(1, 4, 5));
    assert_true(progress_view_truth(r.v, &t, &e));
    assert_int_equal(t.range_count, 0);
    assert_int_equal(live_count(r.v, &version), 1);
    progress_truth_free(&t);
    progress_view_free(r.v);
    json_free(first);
    json_free(second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_claim_not_above_every_earlier_one_is_none),
        cmocka_unit_test(the_next_epoch_is_above_all_and_never_below_the_clock),
        cmocka_unit_test(progress_and_epochs_of_a_lower_epoch_behind_a_claim_are_void),
        cmocka_unit_test(an_impostor_of_the_same_number_is_void),
        cmocka_unit_test(a_row_above_where_a_later_epoch_began_is_void),
        cmocka_unit_test(earlier_epochs_are_learned_from_a_later_one),
        cmocka_unit_test(a_cut_that_does_not_follow_the_newest_one_is_loss),
        cmocka_unit_test(compaction_explains_a_missing_cut_and_breaks_the_link),
        cmocka_unit_test(a_cut_of_an_epoch_without_its_record_is_loss),
        cmocka_unit_test(an_epoch_that_begins_above_what_was_read_is_loss),
        cmocka_unit_test(the_truth_is_the_later_of_cut_and_epoch),
        cmocka_unit_test(another_incarnation_gives_its_seq_and_nothing_else),
        cmocka_unit_test(per_range_the_larger_of_truth_and_load_record_wins),
        cmocka_unit_test(a_load_record_above_the_truth_repeats_a_lost_cut_and_is_void),
        cmocka_unit_test(only_a_confirmed_version_is_live),
        cmocka_unit_test(a_copied_version_moves_the_anchor_up),
        cmocka_unit_test(a_load_that_the_newest_version_does_not_name_is_over),
    };
    return RUN_TESTS(tests);
}
