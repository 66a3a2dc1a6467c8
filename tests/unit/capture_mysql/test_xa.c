/* XA transactions: ids, the store of what is prepared, and what the decoder tells when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/mysql/xa_store.h"
#include "support/decoder_world.h"

/* ---- ids ---- */

static void
ids_are_equal_wherever_the_log_has_them(void **state)
{
    (void)state;
    static const uint8_t prepare[] = {0, 7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 'a', 'b', 'q'};
    static const uint8_t gtid[] = {7, 0, 0, 0, 2, 1, 'a', 'b', 'q'};
    struct binlog_xid a, b, c;
    enum xa_verb verb;
    bool one_phase;
    struct err e;
    struct reader r = reader_of(bytes_of(gtid, sizeof(gtid)));
    assert_true(binlog_xa_statement(BYTES_LIT("XA COMMIT X'6162',X'71',7"), &verb, &a));
    assert_int_equal(verb, XA_COMMIT);
    assert_true(binlog_xa_prepare(bytes_of(prepare, sizeof(prepare)), &one_phase, &b, &e));
    assert_false(one_phase);
    assert_true(binlog_xid_read(&r, &c));
    assert_true(bytes_eq(binlog_xid_bytes(&a), binlog_xid_bytes(&b)));
    assert_true(bytes_eq(binlog_xid_bytes(&a), binlog_xid_bytes(&c)));
    assert_true(binlog_xa_statement(BYTES_LIT("XA START X'',X'',-2147483648"), &verb, &a));
    assert_int_equal(verb, XA_START);
}

static void
statements_that_no_server_writes_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"XA",
                                      "XA COMMIT",
                                      "XA COMMIT 'a'",
                                      "XA COMMIT X'6',X'',1",
                                      "XA RECOVER",
                                      "XA COMMIT X'61',1",
                                      "XA COMMIT X'61',X'',",
                                      "XA COMMIT X'61',X'',1x",
                                      "XA END X'61",
                                      "XA COMMIT X'',X'',99999999999"};
    struct binlog_xid x;
    enum xa_verb verb;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (binlog_xa_statement(bytes_str(bad[i]), &verb, &x))
            fail_msg("taken: %s", bad[i]);
}

/* ---- the store ---- */

struct sum {
    unsigned n;
    uint64_t bytes;
    uint8_t next; /* each event's first byte counts up */
};

static bool
add_up(void *ctx, const struct xa_event *ev, struct err *e)
{
    (void)e;
    struct sum *s = ctx;
    assert_int_equal(ev->body.p[0], s->next++);
    assert_int_equal(ev->body.p[ev->body.n - 1], ev->type);
    s->n++;
    s->bytes += ev->body.n;
    return true;
}

static struct xa_held *
hold(struct xa_store *s, const char *sql, uint64_t pos)
{
    struct binlog_xid x;
    enum xa_verb verb;
    assert_true(binlog_xa_statement(bytes_str(sql), &verb, &x));
    return xa_store_open(s, &x, "b.000001", pos);
}

static void
fill(struct xa_store *s, struct xa_held *h, unsigned n, size_t size, uint8_t type)
{
    struct err e;
    uint8_t *p = calloc(1, size);
    for (unsigned i = 0; i < n; i++) {
        p[0] = (uint8_t)i;
        p[size - 1] = type;
        struct xa_event ev = {type, bytes_of(p, size)};
        if (!xa_held_add(s, h, &ev, &e))
            fail_msg("%s", e.text);
    }
    free(p);
}

static void
transactions_above_the_memory_limit_come_back_whole_from_the_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/millrace-xa-XXXXXX";
    struct err e;
    assert_non_null(mkdtemp(folder));
    struct xa_store *s = xa_store_new(folder, 10000);
    struct xa_held *a = hold(s, "XA START X'61',X'',1", 100);
    struct xa_held *b = hold(s, "XA START X'62',X'',1", 200);
    struct xa_held *c = hold(s, "XA START X'63',X'',1", 300);
    for (unsigned turn = 0; turn < 3; turn++) { /* extents of all three take turns */
        fill(s, a, 1, 3000, 30);
        fill(s, b, 1, 50, 31);
    }
    fill(s, c, 200, 700, 32);
    struct sum sum = {0};
    assert_true(xa_held_each(s, c, add_up, &sum, &e));
    assert_int_equal(sum.n, 200);
    assert_int_equal(sum.bytes, 200 * 700);
    const char *file;
    uint64_t pos;
    assert_true(xa_store_oldest(s, &file, &pos));
    assert_int_equal(pos, 100);
    xa_store_drop(s, a);
    assert_true(xa_store_oldest(s, &file, &pos));
    assert_int_equal(pos, 200);
    xa_store_drop(s, c);
    xa_store_drop(s, b);
    assert_false(xa_store_oldest(s, &file, &pos));
    struct xa_held *d = hold(s, "XA START X'61',X'',1", 400);
    fill(s, d, 100, 1000, 33);
    sum = (struct sum){0};
    assert_true(xa_held_each(s, d, add_up, &sum, &e));
    assert_int_equal(sum.bytes, 100 * 1000);
    xa_store_free(s);
    assert_int_equal(rmdir(folder), 0); /* the file has no name */
}

static void
a_folder_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct xa_store *s = xa_store_new("/proc/no", 10);
    struct xa_held *h = hold(s, "XA START X'61',X'',1", 4);
    struct xa_event ev = {30, BYTES_LIT("twelve bytes")};
    assert_false(xa_held_add(s, h, &ev, &e));
    assert_int_equal(e.code, MR_IO);
    xa_store_free(s);
}

/* ---- the decoder ---- */

static void
xa(struct world *w, const char *sql)
{
    struct buf b = {0};
    struct err e;
    if (!world_feed(w, BINLOG_QUERY, 0, 0, world_query(&b, sql), &e))
        fail_msg("%s", e.text);
    buf_free(&b);
}

static void
row(struct world *w, uint8_t value)
{
    uint8_t rows[WORLD_WRITE_ROWS];
    memcpy(rows, world_write_rows, sizeof(rows));
    rows[13] = value;
    world_must_feed(w, BINLOG_TABLE_MAP, 0, bytes_of(world_table_map, WORLD_TABLE_MAP));
    world_must_feed(w, BINLOG_WRITE_ROWS, 0, bytes_of(rows, sizeof(rows)));
}

static void
prepare(struct world *w, char id, bool one_phase)
{
    uint8_t body[] = {one_phase, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, (uint8_t)id};
    world_must_feed(w, BINLOG_XA_PREPARE, 0, bytes_of(body, sizeof(body)));
}

static void
prepared(struct world *w, char id, uint8_t value)
{
    char sql[40];
    snprintf(sql, sizeof(sql), "XA START X'%02x',X'',1", (unsigned)id);
    xa(w, sql);
    row(w, value);
    snprintf(sql, sizeof(sql), "XA END X'%02x',X'',1", (unsigned)id);
    xa(w, sql);
    prepare(w, id, false);
}

static const struct position *
at(const struct world *w)
{
    return binlog_decoder_position(w->decoder);
}

static void
told(struct world *w, const char *want)
{
    assert_string_equal(buf_cstr(&w->told), want);
    buf_reset(&w->told);
}

static void
rows_come_with_the_commit_and_never_after_a_rollback(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    prepared(&w, 'a', 1);
    uint64_t second = at(&w)->pos;
    assert_int_equal(at(&w)->xa_pos, 4);
    assert_string_equal(at(&w)->xa_file, "b.000001");
    prepared(&w, 'b', 2);
    uint64_t third = at(&w)->pos;
    assert_int_equal(w.rows, 0);
    buf_reset(&w.told);
    xa(&w, "XA ROLLBACK X'61',X'',1");
    assert_int_equal(at(&w)->xa_pos, second);
    uint64_t commit = at(&w)->pos;
    prepared(&w, 'c', 3);
    char want[200];
    snprintf(want, sizeof(want), "begin b.000001:%d;end;begin b.000001:%d;end;", (int)third,
             (int)commit);
    told(&w, want);
    commit = at(&w)->pos;
    xa(&w, "XA COMMIT X'62',X'',1");
    snprintf(want, sizeof(want), "begin b.000001:%d;c 2;end;", (int)commit);
    told(&w, want);
    xa(&w, "XA COMMIT X'63',X'',1");
    assert_string_equal(at(&w)->xa_file, "");
    assert_int_equal(w.rows, 2);
    world_close(&w);
}

static void
a_one_phase_commit_is_a_transaction_like_any_other(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    xa(&w, "XA START X'61',X'',1");
    row(&w, 9);
    row(&w, 10);
    prepare(&w, 'a', true);
    told(&w, "begin b.000001:4;c 9;c 10;end;");
    assert_string_equal(at(&w)->xa_file, "");
    world_close(&w);
}

static void
a_restart_holds_again_what_is_prepared_and_tells_nothing_twice(void **state)
{
    (void)state;
    struct world w, again;
    struct buf b = {0};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    prepared(&w, 'a', 1);
    prepared(&w, 'b', 2);
    xa(&w, "XA COMMIT X'62',X'',1");
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
    row(&w, 7);
    world_must_feed(&w, BINLOG_XID, 0, BYTES_LIT("12345678"));
    assert_int_equal(at(&w)->xa_pos, 4);
    world_open_at(&again, FLAVOR_MYSQL, at(&w));
    world_rotate(&again, BINLOG_ARTIFICIAL, "b.000001", 4);
    assert_int_equal(at(&again)->pos, at(&w)->pos);
    prepared(&again, 'a', 1);
    prepared(&again, 'b', 2);
    xa(&again, "XA COMMIT X'62',X'',1");
    world_must_feed(&again, BINLOG_QUERY, 0, world_query(&b, "BEGIN"));
    row(&again, 7);
    world_must_feed(&again, BINLOG_XID, 0, BYTES_LIT("12345678"));
    told(&again, "");
    assert_int_equal(at(&again)->xa_pos, 4);
    char want[100];
    snprintf(want, sizeof(want), "begin b.000001:%d;c 1;end;", (int)at(&again)->pos);
    xa(&again, "XA COMMIT X'61',X'',1");
    told(&again, want);
    assert_string_equal(at(&again)->xa_file, "");
    buf_free(&b);
    world_close(&w);
    world_close(&again);
}

static void
gtid(struct world *w, uint8_t number)
{
    uint8_t body[25] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, number};
    world_must_feed(w, BINLOG_GTID, 0, bytes_of(body, sizeof(body)));
}

static void
by_gtid_what_is_in_the_set_is_skipped_wherever_it_stands(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct position from;
    position_init(&from, POSITION_MYSQL);
    snprintf(from.file, sizeof(from.file), "b.000009");
    from.pos = 4;
    snprintf(from.xa_file, sizeof(from.xa_file), "b.000008");
    from.xa_pos = 200;
    assert_true(gtid_set_parse(
        GTID_MYSQL, BYTES_LIT("01010101-0101-0101-0101-010101010101:1:3"), &from.gtid, &e));
    world_open_at(&w, FLAVOR_MYSQL, &from);
    world_rotate(&w, BINLOG_ARTIFICIAL, "b.000008", 200);
    gtid(&w, 1);
    prepared(&w, 'a', 1);
    gtid(&w, 2);
    prepared(&w, 'b', 2);
    told(&w, "begin 01010101-0101-0101-0101-010101010101:2;end;");
    assert_int_equal(at(&w)->xa_pos, 200);
    gtid(&w, 3);
    xa(&w, "XA ROLLBACK X'61',X'',1");
    told(&w, "");
    gtid(&w, 4);
    xa(&w, "XA COMMIT X'62',X'',1");
    told(&w, "begin 01010101-0101-0101-0101-010101010101:4;c 2;end;");
    assert_string_equal(at(&w)->xa_file, "");
    position_free(&from);
    world_close(&w);
}

static void
a_commit_of_rows_never_seen_is_told(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    xa(&w, "XA COMMIT X'61',X'',1");
    assert_int_equal(w.missed, 1);
    xa(&w, "XA ROLLBACK X'61',X'',1");
    assert_int_equal(w.missed, 1);
    world_close(&w);
}

static void
an_id_that_starts_anew_forgets_its_first_rows(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    prepared(&w, 'a', 1);
    prepared(&w, 'a', 2);
    xa(&w, "XA COMMIT X'61',X'',1");
    assert_int_equal(w.rows, 1);
    assert_non_null(strstr(buf_cstr(&w.told), "c 2;"));
    world_close(&w);
}

static void
brackets_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    static const uint8_t other[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'z'};
    world_open(&w, FLAVOR_MYSQL, "b.000001", 4);
    assert_false(world_feed(&w, BINLOG_XA_PREPARE, 0, 0, bytes_of(other, sizeof(other)), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    xa(&w, "XA START X'61',X'',1");
    row(&w, 1);
    assert_false(world_feed(&w, BINLOG_XA_PREPARE, 0, 0, bytes_of(other, sizeof(other)), &e));
    assert_false(
        world_feed(&w, BINLOG_QUERY, 0, 0, world_query(&b, "XA ROLLBACK X'61',X'',1"), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    assert_false(world_feed(&w, BINLOG_ANONYMOUS_GTID, 0, 0,
                            BYTES_LIT("0123456789012345678901234"), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    buf_free(&b);
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_equal_wherever_the_log_has_them),
        cmocka_unit_test(statements_that_no_server_writes_are_refused),
        cmocka_unit_test(transactions_above_the_memory_limit_come_back_whole_from_the_file),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_an_error),
        cmocka_unit_test(rows_come_with_the_commit_and_never_after_a_rollback),
        cmocka_unit_test(a_one_phase_commit_is_a_transaction_like_any_other),
        cmocka_unit_test(a_restart_holds_again_what_is_prepared_and_tells_nothing_twice),
        cmocka_unit_test(by_gtid_what_is_in_the_set_is_skipped_wherever_it_stands),
        cmocka_unit_test(a_commit_of_rows_never_seen_is_told),
        cmocka_unit_test(an_id_that_starts_anew_forgets_its_first_rows),
        cmocka_unit_test(brackets_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
