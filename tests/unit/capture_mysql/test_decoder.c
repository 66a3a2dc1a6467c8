/* The decoder's positions, brackets and refusals, on events made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/decoder_world.h"

/* The same without metadata. */
static const uint8_t bare_map[] = {42, 0, 0, 0, 0, 0, 1, 0, 1, 'd', 0, 1, 't', 0, 1, 3, 0, 0};

static void
lengths_are_summed_where_headers_say_nothing(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    world_open(&w, FLAVOR_MARIADB, "b.000001", 1000);
    world_rotate(&w, BINLOG_ARTIFICIAL, "b.000001", 1000);
    struct bytes begin = world_query(&b, "BEGIN");
    world_must_feed(&w, BINLOG_QUERY, 0, begin);
    assert_string_equal(w.last_id, "b.000001:1000");
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 1000);
    world_must_feed(&w, BINLOG_TABLE_MAP, 0,
                    bytes_of(world_table_map, sizeof(world_table_map)));
    world_must_feed(&w, BINLOG_WRITE_ROWS, 0,
                    bytes_of(world_write_rows, sizeof(world_write_rows)));
    world_must_feed(&w, BINLOG_XID, 0, BYTES_LIT("12345678"));
    uint64_t sum = 1000 + 4 * BINLOG_HEADER + begin.n + sizeof(world_table_map) +
                   sizeof(world_write_rows) + 8;
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, sum);
    assert_int_equal(w.rows, 1);
    assert_int_equal(w.ends, 1);
    buf_free(&b);
    world_close(&w);
}

static void
positions_go_on_above_four_gigabytes(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    const uint64_t start = 0xfffffff0u;
    world_open(&w, FLAVOR_MYSQL, "b.000001", start);
    struct bytes begin = world_query(&b, "BEGIN");
    uint64_t end = start + BINLOG_HEADER + begin.n;
    world_must_feed(&w, BINLOG_QUERY, (uint32_t)end, begin);
    end += BINLOG_HEADER + 8;
    world_must_feed(&w, BINLOG_XID, (uint32_t)end, BYTES_LIT("12345678"));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, end);
    assert_true(end > UINT32_MAX);
    buf_free(&b);
    world_close(&w);
}

static void
rotations_and_heartbeats_move_the_position_of_an_idle_stream(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 500);
    world_rotate(&w, 0, "b.000002", 4);
    assert_string_equal(binlog_decoder_position(w.decoder)->file, "b.000002");
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 4);
    world_must_feed(&w, BINLOG_PREVIOUS_GTIDS, 4 + BINLOG_HEADER + 8, BYTES_LIT("12345678"));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 4 + BINLOG_HEADER + 8);
    assert_true(world_feed(&w, BINLOG_HEARTBEAT, 0, 999, BYTES_LIT("b.000002"), &e));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 999);
    assert_true(world_feed(&w, BINLOG_HEARTBEAT, 0, 5000, BYTES_LIT("b.000001"), &e));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 999);
    assert_int_equal(w.heartbeats, 2);
    world_close(&w);
}

static void
unknown_events_stop_unless_they_are_ignorable(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    assert_true(world_feed(&w, 99, BINLOG_IGNORABLE, 0, BYTES_LIT("x"), &e));
    assert_false(world_feed(&w, 99, 0, 0, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    assert_false(world_feed(&w, BINLOG_INCIDENT, 0, 0, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    world_close(&w);
}

static void
rows_need_their_table_map_and_a_transaction(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    assert_false(world_feed(&w, BINLOG_WRITE_ROWS, 0, 0,
                            bytes_of(world_write_rows, sizeof(world_write_rows)), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
    assert_false(world_feed(&w, BINLOG_WRITE_ROWS, 0, 0,
                            bytes_of(world_write_rows, sizeof(world_write_rows)), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    buf_free(&b);
    world_close(&w);
}

static void
statements_that_change_rows_stop_only_for_wanted_tables(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    w.unwanted = true;
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "INSERT INTO t VALUES (1)"));
    assert_int_equal(w.ends, 1);
    w.unwanted = false;
    assert_false(
        world_feed(&w, BINLOG_QUERY, 0, 0, world_query(&b, "INSERT INTO t VALUES (1)"), &e));
    assert_int_equal(e.code, MR_SOURCE_STATEMENT);
    buf_free(&b);
    world_close(&w);
}

static void
a_statement_without_begin_is_a_transaction(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "ALTER TABLE t ADD c int"));
    assert_int_equal(w.begins, 1);
    assert_int_equal(w.ddls, 1);
    assert_int_equal(w.ends, 1);
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "GRANT ALL ON *.* TO x"));
    assert_int_equal(w.ends, 2);
    buf_free(&b);
    world_close(&w);
}

static void
every_cut_of_an_event_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t n = 0; n < sizeof(world_write_rows); n++) {
        struct world w;
        struct err e;
        world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
        world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
        world_must_feed(&w, BINLOG_TABLE_MAP, 0,
                        bytes_of(world_table_map, sizeof(world_table_map)));
        bool ok = world_feed(&w, BINLOG_WRITE_ROWS, 0, 0, bytes_of(world_write_rows, n), &e);
        assert_true(!ok || (n == 12 && w.rows == 0)); /* 12: no rows at all */
        world_close(&w);
    }
    buf_free(&b);
}

static void
one_row(struct world *w, const uint8_t *map, size_t n)
{
    struct buf b = {0};
    world_must_feed(w, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
    world_must_feed(w, BINLOG_TABLE_MAP, 0, bytes_of(map, n));
    world_must_feed(w, BINLOG_WRITE_ROWS, 0, bytes_of(world_write_rows, WORLD_WRITE_ROWS));
    world_must_feed(w, BINLOG_XID, 0, BYTES_LIT("12345678"));
    buf_free(&b);
}

static void
must_refuse_row(struct world *w, const uint8_t *map, size_t n, enum err_code code)
{
    struct buf b = {0};
    struct err e;
    world_must_feed(w, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
    world_must_feed(w, BINLOG_TABLE_MAP, 0, bytes_of(map, n));
    assert_false(world_feed(w, BINLOG_WRITE_ROWS, 0, 0,
                            bytes_of(world_write_rows, WORLD_WRITE_ROWS), &e));
    assert_int_equal(e.code, code);
    buf_free(&b);
}

static void
rows_without_names_need_a_definition_that_is_proved(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    w.defines = w.proof = true;
    one_row(&w, bare_map, sizeof(bare_map));
    one_row(&w, bare_map, sizeof(bare_map));
    assert_int_equal(w.rows, 2);
    assert_int_equal(w.lookups, 1);
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "ALTER TABLE t ADD x INT"));
    assert_int_equal(w.ddls, 1);
    w.unproved = true; /* what a core says that got no proof */
    one_row(&w, bare_map, sizeof(bare_map));
    one_row(&w, bare_map, sizeof(bare_map));
    assert_int_equal(w.rows, 2);
    assert_int_equal(w.gaps, 2); /* asked again each time */
    assert_int_equal(w.lookups, 1);
    w.unproved = false;
    one_row(&w, bare_map, sizeof(bare_map));
    assert_int_equal(w.rows, 3);
    table_unref(w.table);
    w.table = NULL;
    w.proof = false;
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "ALTER TABLE t ADD x INT"));
    must_refuse_row(&w, bare_map, sizeof(bare_map), MR_SOURCE_UNPROVED);
    buf_free(&b);
    world_close(&w);
}

static void
names_in_the_log_are_a_proof(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    w.unproved = true;
    one_row(&w, bare_map, sizeof(bare_map));
    assert_int_equal(w.gaps, 1);
    one_row(&w, world_table_map, WORLD_TABLE_MAP);
    assert_false(w.unproved);
    one_row(&w, bare_map, sizeof(bare_map));
    assert_int_equal(w.rows, 2);
    world_close(&w);
}

static void
a_definition_that_the_log_contradicts_is_not_used(void **state)
{
    (void)state;
    struct world w;
    static const uint8_t nullable[] = {42,  0, 0, 0,   0, 0, 1, 0, 1,
                                       'd', 0, 1, 't', 0, 1, 3, 0, 1};
    world_open(&w, FLAVOR_MARIADB, "b.000001", 4);
    w.defines = w.proof = true;
    one_row(&w, bare_map, sizeof(bare_map));
    must_refuse_row(&w, nullable, sizeof(nullable), MR_SOURCE_TABLE_SCHEMA);
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_without_names_need_a_definition_that_is_proved),
        cmocka_unit_test(names_in_the_log_are_a_proof),
        cmocka_unit_test(a_definition_that_the_log_contradicts_is_not_used),
        cmocka_unit_test(lengths_are_summed_where_headers_say_nothing),
        cmocka_unit_test(positions_go_on_above_four_gigabytes),
        cmocka_unit_test(rotations_and_heartbeats_move_the_position_of_an_idle_stream),
        cmocka_unit_test(unknown_events_stop_unless_they_are_ignorable),
        cmocka_unit_test(rows_need_their_table_map_and_a_transaction),
        cmocka_unit_test(statements_that_change_rows_stop_only_for_wanted_tables),
        cmocka_unit_test(a_statement_without_begin_is_a_transaction),
        cmocka_unit_test(every_cut_of_an_event_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
