/* The decoder's positions, brackets and refusals, on events made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "capture/mysql/binlog_event.h"
#include "capture/mysql/decoder.h"
#include "support/binlog_support.h"

struct world {
    struct collations collations;
    struct arena arena;
    struct source_sink sink;
    struct binlog_decoder *decoder;
    unsigned begins, ends, rows, heartbeats, ddls;
    char last_id[TXN_ID_MAX];
    struct table *table;
    bool unwanted;
};

static bool
on_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)e;
    struct world *w = ctx;
    w->begins++;
    snprintf(w->last_id, sizeof(w->last_id), "%.*s", (int)txn->id.n, (const char *)txn->id.p);
    return true;
}

static bool
on_end(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)txn;
    (void)e;
    ((struct world *)ctx)->ends++;
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)name;
    (void)e;
    struct world *w = ctx;
    *out = (struct source_known){.wanted = !w->unwanted, .table = w->table};
    return true;
}

static bool
on_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)user;
    (void)e;
    struct world *w = ctx;
    table_unref(w->table);
    w->table = t;
    return true;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)e;
    ((struct world *)ctx)->rows += rows->count;
    return true;
}

static bool
on_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)sql;
    (void)e;
    return true;
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)ddl;
    (void)e;
    ((struct world *)ctx)->ddls++;
    return true;
}

static bool
on_heartbeat(void *ctx, struct err *e)
{
    (void)e;
    ((struct world *)ctx)->heartbeats++;
    return true;
}

static bool
on_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
               struct err *e)
{
    (void)ctx;
    (void)name;
    (void)user;
    *e = *why;
    return false;
}

static bool
no_definition(void *ctx, const struct source_name *name, enum definition_kind *kind,
              struct table **out, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)e;
    *kind = DEFINITION_NONE;
    *out = NULL;
    return true;
}

static void
open_world(struct world *w, enum source_flavor flavor, const char *file, uint64_t pos)
{
    *w = (struct world){0};
    support_collations(&w->collations);
    arena_init(&w->arena, 0);
    w->sink = (struct source_sink){w,          &w->arena,    on_begin,      on_table,
                                   on_version, on_rows,      on_truncate,   on_ddl,
                                   on_end,     on_heartbeat, on_table_error};
    struct binlog_decoder_conf conf = {flavor, &w->collations, true,
                                       false,  no_definition,  NULL};
    struct position from;
    position_init(&from, flavor == FLAVOR_MYSQL ? POSITION_MYSQL : POSITION_MARIADB);
    snprintf(from.file, sizeof(from.file), "%s", file);
    from.pos = pos;
    w->decoder = binlog_decoder_new(&conf, &from, &w->sink);
    position_free(&from);
}

static void
close_world(struct world *w)
{
    binlog_decoder_free(w->decoder);
    table_unref(w->table);
    collations_free(&w->collations);
    arena_free(&w->arena);
}

static void
add_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_add_byte(b, (uint8_t)(v >> (8 * i)));
}

static bool
feed(struct world *w, uint8_t type, uint16_t flags, uint32_t next_pos, struct bytes body,
     struct err *e)
{
    struct buf b = {0};
    add_le(&b, 1700000000, 4);
    buf_add_byte(&b, type);
    add_le(&b, 7, 4);
    add_le(&b, BINLOG_HEADER + body.n, 4);
    add_le(&b, next_pos, 4);
    add_le(&b, flags, 2);
    buf_add_bytes(&b, body);
    bool ok = binlog_decoder_feed(w->decoder, buf_bytes(&b), e);
    buf_free(&b);
    return ok;
}

static void
must_feed(struct world *w, uint8_t type, uint32_t next_pos, struct bytes body)
{
    struct err e;
    if (!feed(w, type, 0, next_pos, body, &e))
        fail_msg("%s", e.text);
}

static void
rotate(struct world *w, uint16_t flags, const char *file, uint64_t pos)
{
    struct buf b = {0};
    struct err e;
    add_le(&b, pos, 8);
    buf_add_str(&b, file);
    assert_true(feed(w, BINLOG_ROTATE, flags, 0, buf_bytes(&b), &e));
    buf_free(&b);
}

static struct bytes
query(struct buf *b, const char *sql)
{
    buf_reset(b);
    add_le(b, 99, 4);
    add_le(b, 0, 4);
    buf_add_byte(b, 1);
    add_le(b, 0, 2);
    add_le(b, 0, 2);
    buf_add(b, "d", 2);
    buf_add_str(b, sql);
    return buf_bytes(b);
}

/* Table d.t (id INT NOT NULL primary key), full metadata. */
static const uint8_t table_map[] = {42, 0, 0, 0, 0, 0, 1, 0, 1, 'd', 0,   1, 't', 0, 1,
                                    3,  0, 0, 1, 1, 0, 4, 3, 2, 'i', 'd', 8, 1,   0};
static const uint8_t write_rows[] = {42, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xff, 0, 5, 0, 0, 0};

static void
lengths_are_summed_where_headers_say_nothing(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    open_world(&w, FLAVOR_MARIADB, "b.000001", 1000);
    rotate(&w, BINLOG_ARTIFICIAL, "b.000001", 1000);
    struct bytes begin = query(&b, "BEGIN");
    must_feed(&w, BINLOG_QUERY, 0, begin);
    assert_string_equal(w.last_id, "b.000001:1000");
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 1000);
    must_feed(&w, BINLOG_TABLE_MAP, 0, bytes_of(table_map, sizeof(table_map)));
    must_feed(&w, BINLOG_WRITE_ROWS, 0, bytes_of(write_rows, sizeof(write_rows)));
    must_feed(&w, BINLOG_XID, 0, BYTES_LIT("12345678"));
    uint64_t sum =
        1000 + 4 * BINLOG_HEADER + begin.n + sizeof(table_map) + sizeof(write_rows) + 8;
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, sum);
    assert_int_equal(w.rows, 1);
    assert_int_equal(w.ends, 1);
    buf_free(&b);
    close_world(&w);
}

static void
positions_go_on_above_four_gigabytes(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    const uint64_t start = 0xfffffff0u;
    open_world(&w, FLAVOR_MYSQL, "b.000001", start);
    struct bytes begin = query(&b, "BEGIN");
    uint64_t end = start + BINLOG_HEADER + begin.n;
    must_feed(&w, BINLOG_QUERY, (uint32_t)end, begin);
    end += BINLOG_HEADER + 8;
    must_feed(&w, BINLOG_XID, (uint32_t)end, BYTES_LIT("12345678"));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, end);
    assert_true(end > UINT32_MAX);
    buf_free(&b);
    close_world(&w);
}

static void
rotations_and_heartbeats_move_the_position_of_an_idle_stream(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    open_world(&w, FLAVOR_MYSQL, "b.000001", 500);
    rotate(&w, 0, "b.000002", 4);
    assert_string_equal(binlog_decoder_position(w.decoder)->file, "b.000002");
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 4);
    must_feed(&w, BINLOG_PREVIOUS_GTIDS, 4 + BINLOG_HEADER + 8, BYTES_LIT("12345678"));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 4 + BINLOG_HEADER + 8);
    assert_true(feed(&w, BINLOG_HEARTBEAT, 0, 999, BYTES_LIT("b.000002"), &e));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 999);
    assert_true(feed(&w, BINLOG_HEARTBEAT, 0, 5000, BYTES_LIT("b.000001"), &e));
    assert_int_equal(binlog_decoder_position(w.decoder)->pos, 999);
    assert_int_equal(w.heartbeats, 2);
    close_world(&w);
}

static void
unknown_events_stop_unless_they_are_ignorable(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
    assert_true(feed(&w, 99, BINLOG_IGNORABLE, 0, BYTES_LIT("x"), &e));
    assert_false(feed(&w, 99, 0, 0, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    assert_false(feed(&w, BINLOG_INCIDENT, 0, 0, BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    close_world(&w);
}

static void
rows_need_their_table_map_and_a_transaction(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
    assert_false(
        feed(&w, BINLOG_WRITE_ROWS, 0, 0, bytes_of(write_rows, sizeof(write_rows)), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    must_feed(&w, BINLOG_QUERY, 0, query(&b, "BEGIN"));
    assert_false(
        feed(&w, BINLOG_WRITE_ROWS, 0, 0, bytes_of(write_rows, sizeof(write_rows)), &e));
    assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    buf_free(&b);
    close_world(&w);
}

static void
statements_that_change_rows_stop_only_for_wanted_tables(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
    w.unwanted = true;
    must_feed(&w, BINLOG_QUERY, 0, query(&b, "INSERT INTO t VALUES (1)"));
    assert_int_equal(w.ends, 1);
    w.unwanted = false;
    assert_false(feed(&w, BINLOG_QUERY, 0, 0, query(&b, "INSERT INTO t VALUES (1)"), &e));
    assert_int_equal(e.code, MR_SOURCE_STATEMENT);
    buf_free(&b);
    close_world(&w);
}

static void
rows_of_xa_transactions_are_refused_before_they_are_handed_over(void **state)
{
    (void)state;
    struct world w;
    struct err e;
    struct buf b = {0};
    open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
    must_feed(&w, BINLOG_QUERY, 0, query(&b, "XA START X'31',X'',1"));
    must_feed(&w, BINLOG_TABLE_MAP, 0, bytes_of(table_map, sizeof(table_map)));
    assert_false(
        feed(&w, BINLOG_WRITE_ROWS, 0, 0, bytes_of(write_rows, sizeof(write_rows)), &e));
    assert_int_equal(e.code, MR_SOURCE_EVENT);
    assert_int_equal(w.rows, 0);
    buf_free(&b);
    close_world(&w);
}

static void
a_statement_without_begin_is_a_transaction(void **state)
{
    (void)state;
    struct world w;
    struct buf b = {0};
    open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
    must_feed(&w, BINLOG_QUERY, 0, query(&b, "ALTER TABLE t ADD c int"));
    assert_int_equal(w.begins, 1);
    assert_int_equal(w.ddls, 1);
    assert_int_equal(w.ends, 1);
    must_feed(&w, BINLOG_QUERY, 0, query(&b, "GRANT ALL ON *.* TO x"));
    assert_int_equal(w.ends, 2);
    buf_free(&b);
    close_world(&w);
}

static void
every_cut_of_an_event_is_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t n = 0; n < sizeof(write_rows); n++) {
        struct world w;
        struct err e;
        open_world(&w, FLAVOR_MYSQL, "b.000001", 4);
        must_feed(&w, BINLOG_QUERY, 0, query(&b, "BEGIN"));
        must_feed(&w, BINLOG_TABLE_MAP, 0, bytes_of(table_map, sizeof(table_map)));
        bool ok = feed(&w, BINLOG_WRITE_ROWS, 0, 0, bytes_of(write_rows, n), &e);
        assert_true(!ok || (n == 12 && w.rows == 0)); /* 12: no rows at all */
        close_world(&w);
    }
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_summed_where_headers_say_nothing),
        cmocka_unit_test(positions_go_on_above_four_gigabytes),
        cmocka_unit_test(rotations_and_heartbeats_move_the_position_of_an_idle_stream),
        cmocka_unit_test(unknown_events_stop_unless_they_are_ignorable),
        cmocka_unit_test(rows_need_their_table_map_and_a_transaction),
        cmocka_unit_test(statements_that_change_rows_stop_only_for_wanted_tables),
        cmocka_unit_test(rows_of_xa_transactions_are_refused_before_they_are_handed_over),
        cmocka_unit_test(a_statement_without_begin_is_a_transaction),
        cmocka_unit_test(every_cut_of_an_event_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
