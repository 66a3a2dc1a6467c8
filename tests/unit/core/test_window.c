#include "core.h"

#include "capture/window.h"

static struct position
at(uint64_t pos)
{
    struct position p;
    position_init(&p, POSITION_MYSQL);
    memcpy(p.file, "b.000001", 9);
    p.pos = pos;
    return p;
}

static struct bytes
key(const char *s)
{
    return bytes_str(s);
}

/* Opened at 100, read between marks 100 and 200. */
static struct window *
read_window(struct window_table *t, uint32_t range)
{
    struct position p0 = at(100), high = at(200);
    struct window *w = window_open(t, range, &p0);
    assert_true(window_may_read(w, &p0));
    assert_true(window_read(w, &high));
    return w;
}

static void
a_chunk_is_read_only_once_a_mark_covers_p0(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct position p0 = at(100), before = at(99);
    struct window *w = window_open(t, 0, &p0);
    assert_false(window_may_read(w, &before));
    assert_int_equal(window_state(w), WINDOW_TRACKING);
    assert_false(window_read(w, &p0));
    assert_true(window_may_read(w, &p0));
    assert_int_equal(window_state(w), WINDOW_READING);
    window_close(w);
    window_table_free(t);
}

static void
rows_are_emitted_only_once_the_stream_covers_the_high_mark(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct position stream = at(199);
    struct window *w = read_window(t, 0);
    assert_false(window_may_emit(w, &stream));
    stream.pos = 200;
    assert_true(window_may_emit(w, &stream));
    window_close(w);
    window_table_free(t);
}

static void
a_key_changed_since_p0_is_not_emitted_and_one_changed_before_is(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct position p0 = at(100);
    struct window *first = read_window(t, 0);
    window_touch(t, key("a"));
    struct window *second = window_open(t, 1, &p0);
    window_touch(t, key("b"));
    assert_false(window_emits(first, key("a")));
    assert_false(window_emits(first, key("b")));
    assert_true(window_emits(second, key("a")));
    assert_false(window_emits(second, key("b")));
    assert_true(window_emits(second, key("c")));
    window_touch(t, key("a"));
    assert_false(window_emits(second, key("a")));
    window_close(first);
    window_close(second);
    window_table_free(t);
}

static void
an_empty_key_is_a_key(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct window *w = read_window(t, 0);
    assert_true(window_emits(w, key("")));
    window_touch(t, key(""));
    assert_false(window_emits(w, key("")));
    window_close(w);
    window_table_free(t);
}

static void
windows_of_a_range_emit_in_the_order_they_were_opened(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct position stream = at(300);
    struct window *first = read_window(t, 4), *second = read_window(t, 4),
                  *other = read_window(t, 5);
    assert_false(window_may_emit(second, &stream));
    assert_true(window_may_emit(other, &stream));
    window_close(first);
    assert_true(window_may_emit(second, &stream));
    window_close(second);
    window_close(other);
    window_table_free(t);
}

static void
a_truncation_or_failover_ends_every_window(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){0});
    struct position stream = at(300), p0 = at(100);
    struct window *w = read_window(t, 0), *reading = window_open(t, 1, &p0);
    assert_true(window_may_read(reading, &p0));
    window_table_discard(t);
    assert_int_equal(window_state(w), WINDOW_DISCARDED);
    assert_false(window_may_emit(w, &stream));
    assert_false(window_read(reading, &stream));
    assert_int_equal(window_table_open(t), 0);
    window_close(w);
    window_close(reading);
    window_table_free(t);
}

static void
too_many_touched_keys_discard_the_windows_and_ask_for_smaller_ones(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){.touched_max = 100});
    struct window *w = read_window(t, 0);
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        window_touch(t, key(text));
    }
    assert_int_equal(window_state(w), WINDOW_DISCARDED);
    assert_int_equal(window_table_shrink(t), 2);
    window_close(w);
    w = read_window(t, 0);
    window_close(w);
    assert_int_equal(window_table_shrink(t), 1);
    window_table_free(t);
}

static void
touches_that_no_open_window_can_ask_for_are_forgotten_first(void **state)
{
    struct window_table *t = window_table_new(&(struct window_conf){.touched_max = 100});
    struct window *old = read_window(t, 0), *w = NULL;
    for (int i = 0; i < 300; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        if (i % 30 == 0) {
            w = read_window(t, 1);
            window_close(old);
            old = w;
        }
        window_touch(t, key(text));
    }
    assert_int_equal(window_state(w), WINDOW_READ);
    assert_false(window_emits(w, key("299")));
    assert_false(window_emits(w, key("270")));
    assert_true(window_emits(w, key("269")));
    window_close(w);
    window_table_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_is_read_only_once_a_mark_covers_p0),
        cmocka_unit_test(rows_are_emitted_only_once_the_stream_covers_the_high_mark),
        cmocka_unit_test(a_key_changed_since_p0_is_not_emitted_and_one_changed_before_is),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(windows_of_a_range_emit_in_the_order_they_were_opened),
        cmocka_unit_test(a_truncation_or_failover_ends_every_window),
        cmocka_unit_test(too_many_touched_keys_discard_the_windows_and_ask_for_smaller_ones),
        cmocka_unit_test(touches_that_no_open_window_can_ask_for_are_forgotten_first),
    };
    return RUN_TESTS(tests);
}
