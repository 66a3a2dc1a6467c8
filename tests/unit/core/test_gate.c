#include "core.h"

#include "apply/gate.h"
#include "apply/gate_core.h"

/* One table with two partitions, or more of them; progress offsets count up by themselves. */
struct bench {
    struct gate *g;
    uint32_t table, part[2];
    int64_t offset;
    int64_t next[2];
};

static const struct gate_last none = {-1, 0, 0};

static struct bench
bench_with(struct gate_conf conf, struct cut_id base, struct gate_last last0)
{
    struct bench b = {0};
    struct err e;
    int64_t from;
    conf.inc = INC;
    b.g = gate_new(&conf);
    b.table = gate_table_add(b.g, "t", base);
    b.part[0] = gate_part_add(b.g, b.table, 0, last0);
    b.part[1] = gate_part_add(b.g, b.table, 1, none);
    for (int i = 0; i < 2; i++)
        assert_true(gate_part_start(b.g, b.part[i], 0, 1000, &from, &e));
    b.next[0] = last0.offset + 1;
    return b;
}

static struct bench
bench_new(void)
{
    return bench_with((struct gate_conf){0}, (struct cut_id){0, 0}, none);
}

static enum err_code
progress_code(struct bench *b, struct progress_record r, bool compactable)
{
    enum progress_verdict v;
    struct err e = {0};
    return gate_progress(b->g, &r, (struct progress_at){b->offset++, compactable}, &v, &e)
               ? MR_OK
               : e.code;
}

static void
progress(struct bench *b, struct progress_record r)
{
    assert_int_equal(progress_code(b, r, false), MR_OK);
}

/* A cut of epoch n that counts rows0, rows1 rows, the last of them last0, last1. */
static struct progress_record
touching(uint64_t n, uint64_t prev, uint64_t seq, uint64_t rows0, uint64_t last0,
         uint64_t rows1, uint64_t last1)
{
    static struct progress_touched lists[64][2];
    static unsigned at;
    struct progress_touched *t = lists[at++ % 64];
    struct progress_record r = cut_of(n, prev, seq);
    r.touched = t;
    if (rows0)
        t[r.touched_count++] = (struct progress_touched){"t", 0, rows0, last0};
    if (rows1)
        t[r.touched_count++] = (struct progress_touched){"t", 1, rows1, last1};
    return r;
}

static bool
row(struct bench *b, int part, uint64_t epoch, uint64_t seq)
{
    enum gate_keep keep;
    struct err e;
    struct identity id = {INC, epoch, seq};
    if (!gate_row(b->g, b->part[part], b->next[part]++, &id, 10, &keep, &e))
        fail_msg("%s", e.text);
    gate_position(b->g, b->part[part], b->next[part]);
    return keep == GATE_KEEP;
}

static struct gate_decision
decide(struct bench *b)
{
    struct gate_decision d;
    struct err e;
    if (!gate_decide(b->g, b->table, false, &d, &e))
        fail_msg("%s", e.text);
    return d;
}

static enum err_code
decide_code(struct bench *b)
{
    struct gate_decision d;
    struct err e = {0};
    return gate_decide(b->g, b->table, false, &d, &e) ? MR_OK : e.code;
}

static void
take(struct bench *b, const struct gate_decision *d)
{
    gate_take(b->g, b->table, d);
    gate_done(b->g, b->table, d->cut);
}

static void
no_row_above_the_newest_cut_is_applied(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    assert_true(row(&b, 0, 1, 1));
    assert_false(decide(&b).ready);
    progress(&b, touching(1, 0, 1, 1, 1, 0, 0));
    assert_true(row(&b, 0, 1, 2));
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_int_equal(d.rows, 1);
    assert_int_equal(d.cut.seq, 1);
    assert_int_equal(gate_part_take(b.g, b.part[0]), 1);
    assert_int_equal(gate_part_last(b.g, b.part[0]).seq, 1);
    take(&b, &d);
    assert_false(decide(&b).ready);
    gate_free(b.g);
}

static void
a_table_is_complete_when_each_partition_showed_what_the_cuts_count(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 3, 2, 3, 1, 2));
    row(&b, 0, 1, 1);
    row(&b, 1, 1, 2);
    assert_false(decide(&b).ready);
    row(&b, 0, 1, 3);
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_int_equal(d.rows, 3);
    gate_free(b.g);
}

static void
void_rows_are_neither_applied_nor_counted(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    row(&b, 0, 1, 1); /* of a unit that never had its cut */
    row(&b, 0, 1, 2);
    progress(&b, epoch_of(2, 0));
    row(&b, 0, 2, 1);
    progress(&b, touching(2, 0, 1, 1, 1, 0, 0));
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_int_equal(d.rows, 1);
    assert_int_equal(gate_part_take(b.g, b.part[0]), 3);
    assert_true(gate_row_void(b.g, b.part[0], 0));
    assert_true(gate_row_void(b.g, b.part[0], 1));
    assert_false(gate_row_void(b.g, b.part[0], 2));
    assert_false(row(&b, 0, 1, 3)); /* a zombie's, known to be void: not even kept */
    gate_free(b.g);
}

static void
fewer_rows_than_counted_is_loss(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 3, 3, 3, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 3);
    assert_int_equal(decide_code(&b), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
a_row_behind_everything_counted_shows_that_the_rest_is_lost(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 3, 3, 3, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 9);
    assert_int_equal(decide_code(&b), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
the_end_passed_without_the_last_row_is_loss(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    uint64_t before = gate_end_token(b.g);
    progress(&b, touching(1, 0, 2, 2, 2, 0, 0));
    row(&b, 0, 1, 1);
    assert_true(decide(&b).wants_end);
    gate_end(b.g, b.part[0], before, 1); /* taken before the cut was read: says nothing */
    assert_int_equal(decide_code(&b), MR_OK);
    gate_end(b.g, b.part[0], gate_end_token(b.g), 1);
    assert_int_equal(decide_code(&b), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
an_end_not_yet_passed_is_waited_for(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 2, 2, 2, 0, 0));
    row(&b, 0, 1, 1);
    gate_end(b.g, b.part[0], gate_end_token(b.g), 2); /* an open transaction lies there */
    assert_int_equal(decide_code(&b), MR_OK);
    row(&b, 0, 1, 2);
    assert_true(decide(&b).ready);
    gate_free(b.g);
}

static void
a_repeated_or_reordered_row_is_loud(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 2, 2, 2, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 1);
    assert_int_equal(decide_code(&b), MR_KAFKA_LOST);
    gate_free(b.g);
    b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 3, 3, 3, 0, 0));
    row(&b, 0, 1, 2);
    row(&b, 0, 1, 1);
    assert_int_equal(decide_code(&b), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
an_epoch_that_begins_below_what_was_applied_is_loss(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 2, 2, 2, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 2);
    struct gate_decision d = decide(&b);
    take(&b, &d);
    assert_int_equal(progress_code(&b, epoch_of(2, 1), false), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
a_cut_that_was_read_but_not_applied_falls_with_a_lower_epoch(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 1, 1, 1, 0, 0));
    progress(&b, touching(1, 1, 2, 1, 2, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 2);
    assert_int_equal(decide(&b).cut.seq, 2);
    progress(&b, epoch_of(2, 1));
    struct gate_decision d = decide(&b);
    assert_int_equal(d.cut.seq, 1);
    assert_int_equal(d.rows, 1);
    gate_free(b.g);
}

static void
where_cuts_were_not_read_the_end_offset_decides(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    assert_int_equal(progress_code(&b, touching(1, 3, 4, 1, 4, 0, 0), true),
                     MR_OK); /* compaction took cut 3 */
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 4);
    struct gate_decision d = decide(&b);
    assert_false(d.ready); /* partition 1 may hold rows of the cut that was not read */
    assert_true(d.wants_end);
    uint64_t token = gate_end_token(b.g);
    gate_end(b.g, b.part[0], token, 2);
    gate_end(b.g, b.part[1], token, 1);
    assert_false(decide(&b).ready);
    row(&b, 1, 1, 2);
    d = decide(&b);
    assert_true(d.ready);
    assert_int_equal(d.rows, 3);
    gate_free(b.g);
}

static void
a_valid_row_above_the_cut_stands_for_the_end_offset(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    assert_int_equal(progress_code(&b, touching(1, 3, 4, 1, 4, 0, 0), true), MR_OK);
    row(&b, 0, 1, 4);
    row(&b, 0, 1, 5);
    assert_false(decide(&b).ready);
    row(&b, 1, 1, 6);
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_int_equal(d.rows, 1);
    gate_free(b.g);
}

static void
a_lost_cut_is_loud_where_compaction_cannot_explain_it(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    assert_int_equal(progress_code(&b, touching(1, 3, 4, 1, 4, 0, 0), false), MR_KAFKA_LOST);
    gate_free(b.g);
}

static void
an_event_is_executed_at_completeness_and_rows_stop_at_it(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, event_of(1, 3, EVENT_TRUNCATE, 0));
    progress(&b, touching(1, 0, 3, 1, 1, 1, 2));
    progress(&b, touching(1, 3, 4, 1, 4, 0, 0));
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 4);
    assert_false(decide(&b).ready); /* row 2 of partition 1 is before the event */
    row(&b, 1, 1, 2);
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_non_null(d.event);
    assert_int_equal(d.event->kind, EVENT_TRUNCATE);
    assert_int_equal(d.rows, 2);
    assert_int_equal(d.cut.seq, 3);
    take(&b, &d);
    d = decide(&b);
    assert_null(d.event);
    assert_int_equal(d.rows, 1);
    gate_free(b.g);
}

static void
a_cut_whose_event_was_not_read_is_loss(void **state)
{
    struct bench b = bench_new();
    struct progress_record cut = cut_of(1, 0, 1);
    cut.events = 1;
    progress(&b, epoch_of(1, 0));
    assert_int_equal(progress_code(&b, cut, true), MR_KAFKA_LOST);
    gate_free(b.g);
    b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, event_of(1, 1, EVENT_TRUNCATE, 0));
    progress(&b, cut);
    gate_free(b.g);
}

static void
an_event_whose_cut_compaction_took_still_stops_the_rows(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, event_of(1, 2, EVENT_TRUNCATE, 0));
    assert_int_equal(progress_code(&b, touching(1, 2, 3, 1, 3, 0, 0), true), MR_OK);
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 3);
    for (int i = 0; i < 2; i++)
        gate_end(b.g, b.part[i], gate_end_token(b.g), b.next[i]);
    struct gate_decision d = decide(&b);
    assert_non_null(d.event);
    assert_int_equal(d.rows, 1);
    assert_int_equal(d.cut.seq, 2);
    take(&b, &d);
    assert_int_equal(decide(&b).rows, 1);
    gate_free(b.g);
}

static void
a_void_event_is_never_executed(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    progress(&b, event_of(1, 1, EVENT_TRUNCATE, 0));
    progress(&b, epoch_of(2, 0));
    progress(&b, touching(2, 0, 1, 1, 1, 0, 0));
    row(&b, 0, 2, 1);
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    assert_null(d.event);
    gate_free(b.g);
}

static void
the_last_applied_record_must_still_be_there(void **state)
{
    struct gate_last last = {4, 1, 7};
    struct bench b = bench_with((struct gate_conf){0}, (struct cut_id){1, 7}, last);
    struct identity right = {INC, 1, 7}, wrong = {INC, 1, 8};
    enum gate_keep keep;
    struct err e;
    int64_t from;
    assert_true(gate_part_start(b.g, b.part[0], 0, 10, &from, &e));
    assert_int_equal(from, 4);
    assert_true(gate_row(b.g, b.part[0], 4, &right, 10, &keep, &e));
    assert_int_equal(keep, GATE_DROP);
    assert_true(gate_part_start(b.g, b.part[0], 0, 10, &from, &e));
    assert_false(gate_row(b.g, b.part[0], 4, &wrong, 10, &keep, &e));
    assert_int_equal(e.code, MR_KAFKA_TOPIC_CHANGED);
    assert_false(
        gate_part_start(b.g, b.part[0], 0, 4, &from, &e)); /* the topic is shorter now */
    assert_int_equal(e.code, MR_KAFKA_TOPIC_CHANGED);
    gate_free(b.g);
}

static void
purged_rows_that_were_counted_are_named_as_purged(void **state)
{
    struct gate_last last = {4, 1, 7};
    struct bench b = bench_with((struct gate_conf){0}, (struct cut_id){1, 7}, last);
    struct err e;
    int64_t from;
    assert_true(gate_part_start(b.g, b.part[0], 8, 10, &from, &e));
    assert_int_equal(from, 8);
    gate_assume(b.g, (struct cut_id){1, 7});
    progress(&b, touching(1, 7, 9, 2, 9, 0, 0));
    b.next[0] = 8;
    row(&b, 0, 1, 9);
    assert_int_equal(decide_code(&b), MR_KAFKA_PURGED);
    gate_free(b.g);
}

static void
rows_of_another_incarnation_are_void(void **state)
{
    struct bench b = bench_new();
    struct identity id = {INC + 1, 1, 1};
    enum gate_keep keep;
    struct err e;
    assert_true(gate_row(b.g, b.part[0], 0, &id, 10, &keep, &e));
    assert_int_equal(keep, GATE_DROP);
    gate_free(b.g);
}

static void
rows_of_epochs_before_the_checkpoints_are_dropped(void **state)
{
    struct bench b = bench_with((struct gate_conf){0}, (struct cut_id){5, 20}, none);
    assert_false(
        row(&b, 1, 4, 9)); /* epoch 5's record, which voids it, lies before our start */
    assert_true(row(&b, 1, 5, 21));
    gate_free(b.g);
}

static void
task_consistency_ends_at_boundaries_only(void **state)
{
    struct bench b =
        bench_with((struct gate_conf){.task_consistency = true}, (struct cut_id){0, 0}, none);
    struct progress_record inside = touching(1, 1, 2, 1, 2, 0, 0);
    struct gate_decision d;
    struct err e;
    inside.boundary = false;
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 1, 1, 1, 0, 0));
    progress(&b, inside);
    row(&b, 0, 1, 1);
    row(&b, 0, 1, 2);
    assert_true(gate_decide(b.g, GATE_ALL, false, &d, &e));
    assert_int_equal(d.cut.seq, 1);
    assert_true(gate_decide(b.g, GATE_ALL, true, &d, &e));
    assert_int_equal(d.cut.seq, 2);
    gate_free(b.g);
}

static struct gate_decision
decide_all(struct bench *b)
{
    struct gate_decision d;
    struct err e;
    assert_true(gate_decide(b->g, GATE_ALL, false, &d, &e));
    return d;
}

static void
take_all(struct bench *b)
{
    struct gate_decision d = decide_all(b);
    assert_true(d.ready);
    gate_take(b->g, GATE_ALL, &d);
    gate_done(b->g, GATE_ALL, d.cut);
}

static void
a_decision_for_all_tables_looks_at_those_that_have_work(void **state)
{
    struct bench b =
        bench_with((struct gate_conf){.task_consistency = true}, (struct cut_id){0, 0}, none);
    for (int i = 0; i < 2000; i++) {
        char topic[24];
        snprintf(topic, sizeof topic, "quiet%d", i);
        uint32_t table = gate_table_add(b.g, topic, (struct cut_id){0, 0});
        (void)gate_part_add(b.g, table, 0, none);
    }
    progress(&b, epoch_of(1, 0));
    progress(&b, touching(1, 0, 1, 1, 1, 0, 0));
    row(&b, 0, 1, 1);
    take_all(&b);
    assert_int_equal(b.g->awake_count, 0);
    assert_int_equal(b.g->asleep, 2001);
    progress(&b, touching(1, 1, 2, 1, 2, 0, 0));
    assert_int_equal(b.g->awake_count, 1);
    assert_false(decide_all(&b).ready);
    row(&b, 0, 1, 2);
    take_all(&b);
    assert_int_equal(b.g->awake_count, 0);
    gate_free(b.g);
}

static void
a_table_that_slept_has_the_base_of_the_last_decision_for_all(void **state)
{
    struct bench b =
        bench_with((struct gate_conf){.task_consistency = true}, (struct cut_id){0, 0}, none);
    uint32_t quiet = gate_table_add(b.g, "quiet", (struct cut_id){0, 0});
    uint32_t part = gate_part_add(b.g, quiet, 0, none);
    progress(&b, epoch_of(1, 0));
    for (uint64_t seq = 1; seq <= 3; seq++) {
        progress(&b, touching(1, seq - 1, seq, 1, seq, 0, 0));
        row(&b, 0, 1, seq);
        take_all(&b);
    }
    gate_wake(b.g, quiet);
    assert_int_equal(b.g->tables[quiet].base.seq, 3);
    assert_int_equal(b.g->tables[quiet].floor.seq, 3);
    gate_part_rebase(b.g, part, none);
    assert_false(gate_rebase(b.g, quiet, (struct cut_id){1, 2})); /* below what was committed */
    assert_true(gate_rebase(b.g, quiet, (struct cut_id){1, 3}));
    gate_free(b.g);
}

static void
a_batch_takes_the_newest_complete_cut_that_fits(void **state)
{
    struct bench b =
        bench_with((struct gate_conf){.batch_bytes = 25}, (struct cut_id){0, 0}, none);
    progress(&b, epoch_of(1, 0));
    for (uint64_t s = 1; s <= 6; s++) {
        progress(&b, touching(1, s - 1, s, 1, s, 0, 0));
        row(&b, 0, 1, s);
    }
    progress(&b, touching(1, 6, 10, 4, 10, 0, 0));
    for (uint64_t s = 7; s <= 10; s++)
        row(&b, 0, 1, s);
    static const uint64_t want[] = {2, 4, 6, 10};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct gate_decision d = decide(&b);
        assert_int_equal(d.cut.seq, want[i]);
        take(&b, &d);
    }
    assert_false(decide(&b).ready);
    gate_free(b.g);
}

static void
what_was_taken_comes_back_when_the_commit_did_not_happen(void **state)
{
    struct bench b = bench_new();
    struct err e;
    int64_t from;
    progress(&b, epoch_of(1, 0));
    progress(&b, event_of(1, 2, EVENT_TRUNCATE, 0));
    progress(&b, touching(1, 0, 2, 1, 1, 0, 0));
    row(&b, 0, 1, 1);
    struct gate_decision d = decide(&b);
    assert_non_null(d.event);
    gate_take(b.g, b.table, &d);
    assert_false(decide(&b).ready);
    gate_part_rebase(b.g, b.part[0], none);
    gate_part_rebase(b.g, b.part[1], none);
    assert_true(gate_rebase(b.g, b.table, (struct cut_id){0, 0}));
    assert_true(gate_part_start(b.g, b.part[0], 0, 10, &from, &e));
    b.next[0] = 0;
    assert_false(decide(&b).ready);
    row(&b, 0, 1, 1);
    d = decide(&b);
    assert_non_null(d.event);
    assert_int_equal(d.rows, 1);
    take(&b, &d);
    assert_false(gate_rebase(b.g, b.table,
                             (struct cut_id){0, 0})); /* older than committed: build anew */
    gate_free(b.g);
}

static void
many_cuts_are_added_up_and_no_row_is_lost_by_it(void **state)
{
    struct bench b =
        bench_with((struct gate_conf){.cuts_max = 16}, (struct cut_id){0, 0}, none);
    struct gate_status st;
    progress(&b, epoch_of(1, 0));
    for (uint64_t s = 1; s <= 5000; s++)
        progress(&b, touching(1, s - 1, s, s % 2, s, 1 - s % 2, s));
    gate_status(b.g, &st);
    assert_true(st.cuts <= 17);
    uint64_t applied = 0;
    for (uint64_t s = 1; s <= 5000; s++) {
        row(&b, s % 2 ? 0 : 1, 1, s);
        struct gate_decision d = decide(&b);
        applied += d.ready ? d.rows : 0;
        if (d.ready)
            take(&b, &d);
    }
    assert_int_equal(applied, 5000);
    gate_free(b.g);
}

static void
a_base_inside_added_up_cuts_asks_for_a_new_gate(void **state)
{
    struct bench b = bench_with((struct gate_conf){.cuts_max = 4}, (struct cut_id){0, 0}, none);
    progress(&b, epoch_of(1, 0));
    for (uint64_t s = 1; s <= 100; s++)
        progress(&b, touching(1, s - 1, s, 1, s, 0, 0));
    gate_part_rebase(b.g, b.part[0], (struct gate_last){49, 1, 50});
    gate_part_rebase(b.g, b.part[1], none);
    assert_false(gate_rebase(b.g, b.table, (struct cut_id){1, 50}));
    gate_free(b.g);
}

static void
an_idle_table_may_move_its_checkpoint_up(void **state)
{
    struct bench b = bench_new();
    struct gate_decision d;
    progress(&b, epoch_of(1, 0));
    progress(&b, cut_of(1, 0, 7));
    assert_true(gate_idle(b.g, b.table, &d));
    assert_int_equal(d.cut.seq, 7);
    take(&b, &d);
    progress(&b, touching(1, 7, 8, 1, 8, 0, 0));
    assert_true(gate_idle(b.g, b.table, &d));
    assert_int_equal(d.cut.seq, 7); /* not above a row it still waits for */
    row(&b, 0, 1, 8);
    assert_false(gate_idle(b.g, b.table, &d));
    gate_free(b.g);
}

static void
events_of_a_table_that_was_dropped_are_not_kept(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    gate_table_drop(b.g, b.table);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct progress_record cut = cut_of(1, seq - 1, seq);
        cut.events = 1;
        progress(&b, event_of(1, seq, EVENT_TRUNCATE, 1));
        progress(&b, cut);
    }
    assert_int_equal(b.g->event_count, 0);
    gate_free(b.g);
}

static void
memory_of_a_large_unit_is_given_back(void **state)
{
    struct bench b = bench_new();
    progress(&b, epoch_of(1, 0));
    for (uint64_t seq = 1; seq <= 100000; seq++)
        row(&b, 0, 1, seq);
    progress(&b, touching(1, 0, 100000, 100000, 100000, 0, 0));
    struct gate_decision d = decide(&b);
    assert_true(d.ready);
    for (uint64_t seq = 100002; seq <= 101500; seq++) /* of the next unit */
        row(&b, 0, 1, seq);
    take(&b, &d);
    assert_true(b.g->parts[b.part[0]].row_cap <= 3000);
    progress(&b, touching(1, 100000, 101500, 1499, 101500, 0, 0));
    d = decide(&b);
    assert_int_equal(d.rows, 1499);
    take(&b, &d);
    assert_true(b.g->parts[b.part[0]].row_cap <= 1024);
    row(&b, 0, 1, 101501);
    progress(&b, touching(1, 101500, 101501, 1, 101501, 0, 0));
    assert_true(decide(&b).ready);
    gate_free(b.g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_above_the_newest_cut_is_applied),
        cmocka_unit_test(a_table_is_complete_when_each_partition_showed_what_the_cuts_count),
        cmocka_unit_test(void_rows_are_neither_applied_nor_counted),
        cmocka_unit_test(fewer_rows_than_counted_is_loss),
        cmocka_unit_test(a_row_behind_everything_counted_shows_that_the_rest_is_lost),
        cmocka_unit_test(the_end_passed_without_the_last_row_is_loss),
        cmocka_unit_test(an_end_not_yet_passed_is_waited_for),
        cmocka_unit_test(a_repeated_or_reordered_row_is_loud),
        cmocka_unit_test(an_epoch_that_begins_below_what_was_applied_is_loss),
        cmocka_unit_test(a_cut_that_was_read_but_not_applied_falls_with_a_lower_epoch),
        cmocka_unit_test(where_cuts_were_not_read_the_end_offset_decides),
        cmocka_unit_test(a_valid_row_above_the_cut_stands_for_the_end_offset),
        cmocka_unit_test(a_lost_cut_is_loud_where_compaction_cannot_explain_it),
        cmocka_unit_test(an_event_is_executed_at_completeness_and_rows_stop_at_it),
        cmocka_unit_test(a_cut_whose_event_was_not_read_is_loss),
        cmocka_unit_test(an_event_whose_cut_compaction_took_still_stops_the_rows),
        cmocka_unit_test(a_void_event_is_never_executed),
        cmocka_unit_test(the_last_applied_record_must_still_be_there),
        cmocka_unit_test(purged_rows_that_were_counted_are_named_as_purged),
        cmocka_unit_test(rows_of_another_incarnation_are_void),
        cmocka_unit_test(rows_of_epochs_before_the_checkpoints_are_dropped),
        cmocka_unit_test(task_consistency_ends_at_boundaries_only),
        cmocka_unit_test(a_decision_for_all_tables_looks_at_those_that_have_work),
        cmocka_unit_test(a_table_that_slept_has_the_base_of_the_last_decision_for_all),
        cmocka_unit_test(a_batch_takes_the_newest_complete_cut_that_fits),
        cmocka_unit_test(what_was_taken_comes_back_when_the_commit_did_not_happen),
        cmocka_unit_test(many_cuts_are_added_up_and_no_row_is_lost_by_it),
        cmocka_unit_test(a_base_inside_added_up_cuts_asks_for_a_new_gate),
        cmocka_unit_test(an_idle_table_may_move_its_checkpoint_up),
        cmocka_unit_test(events_of_a_table_that_was_dropped_are_not_kept),
        cmocka_unit_test(memory_of_a_large_unit_is_given_back),
    };
    return RUN_TESTS(tests);
}
