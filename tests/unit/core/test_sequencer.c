#include "core.h"

#include <stdio.h>

#include "capture/sequencer.h"

static struct sequencer *
sequencer_at(uint64_t seq)
{
    struct progress_truth t = {.found = true, .same_inc = true, .seq = seq};
    struct position start;
    struct err e;
    position_init(&start, POSITION_MYSQL);
    snprintf(start.file, sizeof start.file, "b.000001");
    start.pos = 4;
    start.gtid = gtid_set_new(GTID_MYSQL);
    assert_true(
        gtid_set_add(start.gtid, BYTES_LIT("aaaaaaaa-0000-0000-0000-000000000001:1"), &e));
    struct sequencer_conf c = {.inc = INC, .epoch = 9, .bytes_max = 1000};
    struct sequencer *s = sequencer_new(&c, &t, &start);
    position_free(&start);
    return s;
}

static struct bytes
gtid(unsigned n)
{
    static char text[8][64];
    snprintf(text[n % 8], sizeof text[0], "aaaaaaaa-0000-0000-0000-000000000001:%u", n);
    return bytes_str(text[n % 8]);
}

static void
begin(struct sequencer *s, unsigned n)
{
    struct err e;
    if (!sequencer_begin(s, gtid(n), "b.000001", 100 * n, &e))
        fail_msg("%s", e.text);
}

static void
end(struct sequencer *s, unsigned n)
{
    struct err e;
    struct sequencer_end x = {gtid(n), "b.000001", 100 * n + 100, n};
    if (!sequencer_end(s, &x, &e))
        fail_msg("%s", e.text);
}

static uint64_t
row(struct sequencer *s, uint32_t part)
{
    uint64_t seq = 0;
    return sequencer_row(s, part, 10, &seq) ? seq : 0;
}

static void
seqs_are_dense_over_stream_load_and_events(void **state)
{
    struct sequencer *s = sequencer_at(41);
    uint32_t p = sequencer_part(s, "t", 0);
    uint64_t seq;
    begin(s, 2);
    assert_int_equal(row(s, p), 42);
    assert_int_equal(sequencer_load_row(s, p, 10), 43);
    assert_true(sequencer_event(s, &seq));
    assert_int_equal(seq, 44);
    sequencer_free(s);
}

static void
a_cut_says_what_its_unit_touched_and_names_the_cut_before(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    uint32_t a = sequencer_part(s, "a", 0), b = sequencer_part(s, "b", 3);
    assert_int_equal(sequencer_part(s, "a", 0), a);
    begin(s, 2);
    row(s, a);
    row(s, b);
    row(s, a);
    end(s, 2);
    sequencer_close(s, 1, &r);
    assert_int_equal(r.seq, 3);
    assert_int_equal(r.first_seq, 1);
    assert_int_equal(r.prev.epoch, 9);
    assert_int_equal(r.prev.seq, 0);
    assert_true(r.boundary);
    assert_int_equal(r.touched_count, 2);
    assert_string_equal(r.touched[0].topic, "a");
    assert_int_equal(r.touched[0].rows, 2);
    assert_int_equal(r.touched[0].last_seq, 3);
    assert_int_equal(r.touched[1].partition, 3);
    assert_true(gtid_set_has(r.position->gtid, gtid(2)));
    sequencer_close(s, 2, &r);
    assert_int_equal(r.prev.seq, 3);
    assert_int_equal(r.first_seq, 4);
    assert_int_equal(r.seq, 3);
    assert_int_equal(r.touched_count, 0);
    sequencer_free(s);
}

static void
a_cut_inside_a_transaction_counts_its_rows_and_is_no_boundary(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    uint32_t p = sequencer_part(s, "t", 0);
    begin(s, 2);
    row(s, p);
    row(s, p);
    sequencer_close(s, 1, &r);
    assert_false(r.boundary);
    assert_int_equal(r.position->partial_count, 1);
    assert_int_equal(r.position->partial[0].rows, 2);
    assert_false(gtid_set_has(r.position->gtid, gtid(2)));
    row(s, p);
    end(s, 2);
    sequencer_close(s, 2, &r);
    assert_true(r.boundary);
    assert_int_equal(r.position->partial_count, 0);
    sequencer_free(s);
}

static void
rows_already_published_are_skipped_after_a_reconnect(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct err e;
    uint32_t p = sequencer_part(s, "t", 0);
    begin(s, 2);
    row(s, p);
    row(s, p);
    assert_true(sequencer_reconnect(s, &e));
    begin(s, 2);
    assert_int_equal(row(s, p), 0);
    assert_true(sequencer_reconnect(s, &e)); /* lost again before it got further */
    begin(s, 2);
    assert_int_equal(row(s, p), 0);
    assert_int_equal(row(s, p), 0);
    assert_int_equal(row(s, p), 3);
    end(s, 2);
    assert_int_equal(sequencer_position(s)->partial_count, 0);
    sequencer_free(s);
}

static void
after_a_failover_several_transactions_may_be_partly_published(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    struct err e;
    uint32_t p = sequencer_part(s, "t", 0);
    begin(s, 2);
    row(s, p);
    assert_true(sequencer_reconnect(s, &e));
    sequencer_server(s, "other", "b.000007", 4);
    begin(s, 3);
    row(s, p);
    sequencer_close(s, 1, &r);
    assert_int_equal(r.position->partial_count, 2);
    assert_string_equal(r.position->server, "other");
    row(s, p);
    end(s, 3);
    sequencer_close(s, 2, &r);
    assert_false(r.boundary); /* 2 is still torn */
    assert_int_equal(r.position->partial_count, 1);
    begin(s, 2);
    assert_int_equal(row(s, p), 0);
    assert_int_equal(row(s, p), 4);
    end(s, 2);
    sequencer_close(s, 3, &r);
    assert_true(r.boundary);
    sequencer_free(s);
}

/* What a next session knows of the cut. */
static struct sequencer *
sequencer_behind(const struct progress_record *cut)
{
    struct progress_truth t = {.found = true, .same_inc = true, .seq = cut->seq};
    position_init(&t.pos, POSITION_NONE);
    position_copy(&t.pos, cut->position);
    struct sequencer_conf c = {.inc = INC, .epoch = 10};
    struct sequencer *s = sequencer_new(&c, &t, cut->position);
    position_free(&t.pos);
    return s;
}

static void
rows_of_a_table_that_stops_are_not_counted_where_they_are_not_met_again(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    uint32_t goes_on = sequencer_part(s, "a", 0), stops = sequencer_part(s, "b", 0);
    begin(s, 2);
    row(s, goes_on);
    row(s, stops);
    row(s, stops);
    sequencer_uncount(s, 2); /* its third row cannot be published */
    sequencer_close(s, 1, &r);
    struct sequencer *next = sequencer_behind(&r);
    uint32_t part = sequencer_part(next, "a", 0);
    begin(next, 2);
    assert_true(sequencer_replays(next));
    assert_int_equal(row(next, part), 0); /* published */
    assert_false(sequencer_replays(next));
    assert_int_equal(row(next, part), r.seq + 1);
    row(s, goes_on);
    sequencer_close(s, 2, &r);
    assert_int_equal(r.position->partial[0].rows, 2);
    sequencer_free(next);
    sequencer_free(s);
}

static void
no_table_stops_before_what_was_published_came_again(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    uint32_t p = sequencer_part(s, "a", 0);
    assert_true(sequencer_settled(s));
    begin(s, 2);
    row(s, p);
    row(s, p);
    assert_true(sequencer_settled(s));
    sequencer_close(s, 1, &r);
    assert_true(sequencer_settled(s));
    struct sequencer *next = sequencer_behind(&r);
    p = sequencer_part(next, "a", 0);
    assert_false(sequencer_settled(next)); /* a load that fails now stops its table later */
    begin(next, 2);
    row(next, p);
    assert_false(sequencer_settled(next));
    row(next, p);
    assert_true(sequencer_settled(next));
    sequencer_uncount(next, 1);
    row(next, p);
    end(next, 2);
    assert_true(sequencer_settled(next));
    sequencer_free(next);
    sequencer_free(s);
}

static void
a_transaction_that_comes_again_with_fewer_rows_is_an_error(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    struct err e;
    uint32_t p = sequencer_part(s, "a", 0);
    begin(s, 2);
    row(s, p);
    row(s, p);
    sequencer_close(s, 1, &r);
    struct sequencer *next = sequencer_behind(&r);
    struct sequencer_end x = {gtid(2), "b.000001", 300, 2};
    begin(next, 2);
    row(next, sequencer_part(next, "a", 0));
    assert_false(sequencer_end(next, &x, &e));
    assert_int_equal(e.code, MR_TXN_RECOUNT);
    sequencer_free(next);
    sequencer_free(s);
}

/* A sequencer that continues behind a cut in which b.000001:200, `id`, is partly published. */
static struct sequencer *
torn(const char *id, struct sequencer **before)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    struct err e;
    assert_true(sequencer_begin(s, bytes_str(id), "b.000001", 200, &e));
    row(s, sequencer_part(s, "t", 0));
    sequencer_close(s, 1, &r);
    *before = s;
    return sequencer_behind(&r);
}

static void
a_partly_published_transaction_whose_id_another_one_has_now_is_an_error(void **state)
{
    struct err e;
    struct sequencer *old, *s = torn("0-1-7", &old);
    assert_false(sequencer_begin(s, BYTES_LIT("0-1-7"), "b.000002", 200, &e));
    assert_int_equal(e.code, MR_SOURCE_REWOUND);
    assert_non_null(strstr(e.text, "0-1-7 at b.000001:200, of which 1 rows"));
    sequencer_free(s);
    sequencer_free(old);
}

static void
a_log_that_goes_on_behind_a_partly_published_transaction_is_an_error(void **state)
{
    struct err e;
    struct sequencer *old, *s = torn("b.000001:200", &old);
    struct sequencer_end here = {{0}, "b.000001", 200, 0}, beyond = {{0}, "b.000002", 4, 0};
    assert_true(sequencer_skip(s, &here, &e));
    assert_false(sequencer_begin(s, BYTES_LIT("b.000002:150"), "b.000002", 150, &e));
    assert_int_equal(e.code, MR_SOURCE_REWOUND);
    assert_false(sequencer_skip(s, &beyond, &e));
    assert_int_equal(e.code, MR_SOURCE_REWOUND);
    assert_true(sequencer_begin(s, BYTES_LIT("b.000001:200"), "b.000001", 200, &e));
    assert_int_equal(row(s, sequencer_part(s, "t", 0)), 0);
    assert_true(sequencer_end(s, &beyond, &e));
    sequencer_free(s);
    sequencer_free(old);
}

static void
more_partial_transactions_than_a_position_holds_are_refused(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct err e;
    uint32_t p = sequencer_part(s, "t", 0);
    for (unsigned i = 0; i < POSITION_PARTIALS; i++) {
        begin(s, 10 + i);
        row(s, p);
        assert_true(sequencer_reconnect(s, &e));
        sequencer_server(s, i % 2 ? "other" : "one", "b.000001", 4);
    }
    assert_false(sequencer_begin(s, gtid(99), "b.000001", 4, &e));
    assert_int_equal(e.code, MR_INTERNAL);
    begin(s, 10);
    sequencer_free(s);
}

static void
an_event_is_the_last_thing_of_its_unit(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    uint64_t seq;
    begin(s, 2);
    assert_true(sequencer_event(s, &seq));
    end(s, 2);
    assert_true(sequencer_must_close(s));
    sequencer_close(s, 1, &r);
    assert_int_equal(r.seq, seq);
    assert_true(r.boundary);
    assert_false(sequencer_must_close(s));
    sequencer_free(s);
}

static void
a_mark_covers_p0_only_with_every_transaction_of_which_a_row_was_streamed(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct position p0, mark;
    struct err e;
    uint32_t p = sequencer_part(s, "t", 0);
    begin(s, 2);
    row(s, p);
    assert_true(sequencer_reconnect(s, &e));
    sequencer_server(s, "other", "b.000001", 4);
    begin(s, 3);
    row(s, p);
    position_init(&p0, POSITION_NONE);
    position_init(&mark, POSITION_NONE);
    assert_true(sequencer_p0(s, &p0, &e));
    position_copy(&mark, sequencer_position(s));
    assert_false(position_covers(&mark, &p0));
    assert_true(gtid_set_add(mark.gtid, gtid(2), &e));
    assert_false(position_covers(&mark, &p0));
    assert_true(gtid_set_add(mark.gtid, gtid(3), &e));
    assert_true(position_covers(&mark, &p0));
    position_free(&p0);
    position_free(&mark);
    sequencer_free(s);
}

static void
without_gtids_p0_lies_inside_the_open_transaction(void **state)
{
    struct progress_truth t = {0};
    struct position start, p0;
    struct err e;
    position_init(&start, POSITION_MYSQL);
    position_init(&p0, POSITION_NONE);
    snprintf(start.file, sizeof start.file, "b.000001");
    start.pos = 4;
    struct sequencer *s =
        sequencer_new(&(struct sequencer_conf){.inc = INC, .epoch = 1}, &t, &start);
    uint32_t p = sequencer_part(s, "t", 0);
    assert_true(sequencer_begin(s, BYTES_LIT("b.000001:900"), "b.000001", 900, &e));
    row(s, p);
    assert_true(sequencer_p0(s, &p0, &e));
    assert_int_equal(p0.pos, 901);
    assert_true(sequencer_reconnect(s, &e));
    assert_true(sequencer_p0(s, &p0, &e));
    assert_int_equal(p0.pos, 901); /* the same, from the partial transaction's id */
    position_free(&p0);
    position_free(&start);
    sequencer_free(s);
}

static struct progress_range
range(uint64_t rows, bool done)
{
    return (struct progress_range){.table = "t", .load = 5, .rows = rows, .done = done};
}

static void
a_load_record_repeats_only_what_a_confirmed_cut_said(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record cut, load;
    struct progress_range r = range(10, false);
    sequencer_range(s, &r);
    assert_false(sequencer_load_record(s, &load));
    sequencer_close(s, 1, &cut);
    assert_int_equal(cut.range_count, 1);
    assert_false(sequencer_load_record(s, &load)); /* closed is not confirmed */
    r = range(20, false);
    sequencer_range(s, &r);
    sequencer_confirm(s);
    assert_true(sequencer_load_record(s, &load));
    assert_int_equal(load.ranges[0].rows, 10);
    assert_false(sequencer_load_record(s, &load));
    sequencer_close(s, 2, &cut);
    assert_int_equal(cut.range_count, 1);
    assert_int_equal(cut.ranges[0].rows, 20);
    sequencer_free(s);
}

static void
a_range_leaves_the_cuts_once_its_load_record_is_confirmed(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record cut, load;
    struct progress_range r = range(10, true);
    sequencer_range(s, &r);
    sequencer_close(s, 1, &cut);
    sequencer_confirm(s);
    assert_true(sequencer_load_record(s, &load));
    sequencer_close(s, 2, &cut);
    assert_int_equal(cut.range_count, 1); /* the load record may still be lost with this unit */
    sequencer_confirm(s);
    sequencer_close(s, 3, &cut);
    assert_int_equal(cut.range_count, 0);
    sequencer_free(s);
}

static void
the_source_is_told_only_confirmed_positions(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    begin(s, 2);
    row(s, sequencer_part(s, "t", 0));
    end(s, 2);
    sequencer_close(s, 1, &r);
    assert_false(gtid_set_has(sequencer_confirmed(s)->gtid, gtid(2)));
    assert_int_equal(sequencer_confirm(s), 1);
    assert_true(gtid_set_has(sequencer_confirmed(s)->gtid, gtid(2)));
    sequencer_free(s);
}

static bool
should(struct sequencer *s, uint64_t now_us, bool ring_empty, bool far_behind)
{
    return sequencer_should_close(s,
                                  &(struct sequencer_moment){now_us, ring_empty, far_behind});
}

static void
a_unit_closes_at_a_boundary_sooner_when_nothing_waits(void **state)
{
    struct sequencer *s = sequencer_at(0);
    uint32_t p = sequencer_part(s, "t", 0);
    assert_false(should(s, 1000, true, false));
    begin(s, 2);
    row(s, p);
    assert_false(should(s, 1000, true, false));
    end(s, 2);
    assert_false(should(s, 1000, true, false));
    assert_false(should(s, 5900, true, false));
    assert_true(should(s, 6000, true, false));
    assert_false(should(s, 6000, false, false));
    assert_true(should(s, 21000, false, false));
    assert_false(should(s, 21000, true, true));
    assert_true(should(s, 201000, false, true));
    begin(s, 3);
    assert_false(should(s, 900000, true, false)); /* never inside a transaction ... */
    for (int i = 0; i < 100; i++)
        row(s, p);
    assert_true(should(s, 900000, true, false)); /* ... that is not too large */
    sequencer_free(s);
}

static void
an_idle_source_writes_a_cut_each_second(void **state)
{
    struct sequencer *s = sequencer_at(0);
    struct progress_record r;
    assert_false(should(s, 5000, true, false));
    assert_false(should(s, 1004000, true, false));
    assert_true(should(s, 1005000, true, false));
    sequencer_close(s, 1005000, &r);
    assert_false(should(s, 1006000, true, false));
    sequencer_free(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seqs_are_dense_over_stream_load_and_events),
        cmocka_unit_test(a_cut_says_what_its_unit_touched_and_names_the_cut_before),
        cmocka_unit_test(a_cut_inside_a_transaction_counts_its_rows_and_is_no_boundary),
        cmocka_unit_test(rows_already_published_are_skipped_after_a_reconnect),
        cmocka_unit_test(after_a_failover_several_transactions_may_be_partly_published),
        cmocka_unit_test(
            rows_of_a_table_that_stops_are_not_counted_where_they_are_not_met_again),
        cmocka_unit_test(no_table_stops_before_what_was_published_came_again),
        cmocka_unit_test(a_transaction_that_comes_again_with_fewer_rows_is_an_error),
        cmocka_unit_test(
            a_partly_published_transaction_whose_id_another_one_has_now_is_an_error),
        cmocka_unit_test(a_log_that_goes_on_behind_a_partly_published_transaction_is_an_error),
        cmocka_unit_test(more_partial_transactions_than_a_position_holds_are_refused),
        cmocka_unit_test(an_event_is_the_last_thing_of_its_unit),
        cmocka_unit_test(
            a_mark_covers_p0_only_with_every_transaction_of_which_a_row_was_streamed),
        cmocka_unit_test(without_gtids_p0_lies_inside_the_open_transaction),
        cmocka_unit_test(a_load_record_repeats_only_what_a_confirmed_cut_said),
        cmocka_unit_test(a_range_leaves_the_cuts_once_its_load_record_is_confirmed),
        cmocka_unit_test(the_source_is_told_only_confirmed_positions),
        cmocka_unit_test(a_unit_closes_at_a_boundary_sooner_when_nothing_waits),
        cmocka_unit_test(an_idle_source_writes_a_cut_each_second),
    };
    return RUN_TESTS(tests);
}
