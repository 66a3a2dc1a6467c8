/* GTID sets against a naive model (a bit per transaction), their wire form against the layout
 * of sql/rpl_gtid_set.cc, and the one comparison of positions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "schema/position.h"

#define U1 "3e11fa47-71ca-11e1-9e33-c80aa9429562"
#define U2 "24da167a-0c0c-11e8-8442-00059a3c7b00"

static struct gtid_set *
set_of(enum gtid_flavor flavor, const char *text)
{
    struct gtid_set *s = NULL;
    struct err e = {0};
    if (!gtid_set_parse(flavor, bytes_str(text), &s, &e))
        fail_msg("%s: %s", text, e.text);
    return s;
}

static void
expect_text(const struct gtid_set *s, const char *want)
{
    struct buf b = {0};
    gtid_set_text(s, &b);
    assert_string_equal(buf_cstr(&b), want);
    buf_free(&b);
}

static void
round_trip(enum gtid_flavor flavor, const char *text, const char *want)
{
    struct gtid_set *s = set_of(flavor, text);
    expect_text(s, want);
    gtid_set_free(s);
}

static void
text_becomes_canonical(void **state)
{
    round_trip(GTID_MYSQL, "", "");
    round_trip(GTID_MYSQL, U1 ":1-5:7", U1 ":1-5:7");
    round_trip(GTID_MYSQL, U1 ":7:1-5:6", U1 ":1-7");
    round_trip(GTID_MYSQL, " " U1 " : 3 , \n" U2 ":1 ", U2 ":1," U1 ":3");
    round_trip(GTID_MYSQL, "3E11FA47-71CA-11E1-9E33-C80AA9429562:1", U1 ":1");
    round_trip(GTID_MYSQL, U1 ":Tag_A:1-3:5," U1 ":9", U1 ":9:tag_a:1-3:5");
    round_trip(GTID_MYSQL, U1 ":9:b:1:a:2", U1 ":9:a:2:b:1");
    round_trip(GTID_MARIADB, "1-2-7, 0-1-100", "0-1-100,1-2-7");
}

static void
bad_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "x",
        U1 ":0",
        U1 ":5-3",
        U1 ":1,,",
        U1 ":1-9223372036854775808",
        U1 "1",
        U1 ":-1",
        U1 ":a-b",
        U1 ":1 2",
        U1 ":1x",
        "3e11fa4771ca11e19e33c80aa9429562:1",
        U1 ":1;",
        "0-1-2",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct gtid_set *s = NULL;
        struct err e = {0};
        assert_false(gtid_set_parse(GTID_MYSQL, bytes_str(bad[i]), &s, &e));
        assert_int_equal(e.code, MR_SOURCE_CORRUPT);
    }
}

static void
tagged_sets_have_the_servers_layout(void **state)
{
    static const uint8_t want[] = {
        0x01, 0x02, 0,    0,    0,    0,    0,    0x01, /* format, 2 entries */
        0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42,
        0x95, 0x62, 0x00, 1,    0,    0,    0,    0,    0,    0,    0,    1,    0,    0,
        0,    0,    0,    0,    0,    6,    0,    0,    0,    0,    0,    0,    0,    0x3e,
        0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42, 0x95,
        0x62, 0x04, 'a',  'b',  1,    0,    0,    0,    0,    0,    0,    0,    7,    0,
        0,    0,    0,    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,    0,
    };
    struct gtid_set *s = set_of(GTID_MYSQL, U1 ":1-5:ab:7");
    struct buf b = {0};
    gtid_set_encode(s, &b);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    buf_free(&b);
    gtid_set_free(s);
}

static void
untagged_sets_have_the_servers_layout(void **state)
{
    struct gtid_set *s = set_of(GTID_MYSQL, U1 ":1-5:7-8");
    struct buf b = {0};
    gtid_set_encode(s, &b);
    struct reader r = reader_of(buf_bytes(&b));
    assert_int_equal(reader_le(&r, 8), 1);
    assert_int_equal(reader_take(&r, 16).p[0], 0x3e);
    assert_int_equal(reader_le(&r, 8), 2);
    assert_int_equal(reader_le(&r, 8), 1);
    assert_int_equal(reader_le(&r, 8), 6);
    assert_int_equal(reader_le(&r, 8), 7);
    assert_int_equal(reader_le(&r, 8), 9);
    assert_int_equal(reader_left(&r), 0);
    assert_false(r.failed);
    buf_free(&b);
    gtid_set_free(s);
}

/* ---- the naive model: 3 members of 60 transactions ---- */

#define MEMBERS 3
#define GNOS    60

struct model {
    bool in[MEMBERS][GNOS + 1];
};

static const char *const PREFIX[MEMBERS] = {U1 ":", U1 ":tag:", U2 ":"};

static struct bytes
gtid_text(int m, int n, char out[100])
{
    snprintf(out, 100, "%s%d", PREFIX[m], n);
    return bytes_str(out);
}

static void
random_set(struct gtid_set *s, struct model *m)
{
    char t[100];
    struct err e = {0};
    memset(m, 0, sizeof *m);
    for (int i = rand() % 80; i > 0; i--) {
        int k = rand() % MEMBERS, n = 1 + rand() % GNOS;
        for (int run = rand() % 6; run >= 0 && n <= GNOS; run--, n++) {
            m->in[k][n] = true;
            assert_true(gtid_set_add(s, gtid_text(k, n, t), &e));
        }
    }
}

static void
expect_model(const struct gtid_set *s, const struct model *m)
{
    char t[100];
    for (int k = 0; k < MEMBERS; k++)
        for (int n = 1; n <= GNOS; n++)
            assert_int_equal(gtid_set_has(s, gtid_text(k, n, t)), m->in[k][n]);
    struct buf b = {0};
    gtid_set_text(s, &b);
    struct gtid_set *again = set_of(GTID_MYSQL, buf_cstr(&b));
    expect_text(again, buf_cstr(&b));
    assert_true(gtid_set_covers(again, s) && gtid_set_covers(s, again));
    gtid_set_free(again);
    buf_free(&b);
}

static void
compare_with_model(void)
{
    struct gtid_set *a = gtid_set_new(GTID_MYSQL), *b = gtid_set_new(GTID_MYSQL);
    struct model ma, mb, all, rest;
    bool covers = true;
    random_set(a, &ma);
    random_set(b, &mb);
    if (rand() % 3 == 0)
        gtid_set_union(a, b);
    for (int k = 0; k < MEMBERS; k++) {
        char t[100];
        for (int n = 1; n <= GNOS; n++) {
            ma.in[k][n] = gtid_set_has(a, gtid_text(k, n, t));
            covers = covers && (ma.in[k][n] || !mb.in[k][n]);
            all.in[k][n] = ma.in[k][n] || mb.in[k][n];
            rest.in[k][n] = ma.in[k][n] && !mb.in[k][n];
        }
    }
    expect_model(b, &mb);
    assert_int_equal(gtid_set_covers(a, b), covers);
    struct gtid_set *u = gtid_set_copy(a), *d = gtid_set_copy(a);
    gtid_set_union(u, b);
    gtid_set_subtract(d, b);
    expect_model(u, &all);
    expect_model(d, &rest);
    gtid_set_union(d, b);
    assert_true(gtid_set_covers(d, u) && gtid_set_covers(u, d));
    gtid_set_free(a);
    gtid_set_free(b);
    gtid_set_free(u);
    gtid_set_free(d);
}

static void
random_sets_behave_as_sets_of_transactions(void **state)
{
    const char *seed_text = getenv("SEED");
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 400; i++)
        compare_with_model();
}

static void
consecutive_transactions_keep_one_interval(void **state)
{
    struct gtid_set *s = gtid_set_new(GTID_MYSQL);
    char t[100];
    struct err e = {0};
    for (int n = 1; n <= 200000; n++)
        assert_true(gtid_set_add(s, gtid_text(0, n, t), &e));
    expect_text(s, U1 ":1-200000");
    gtid_set_free(s);
}

static void
mariadb_state_is_the_last_of_each_domain(void **state)
{
    struct gtid_set *s = set_of(GTID_MARIADB, "0-1-10,5-1-3");
    struct gtid_set *b = set_of(GTID_MARIADB, "0-2-11");
    struct err e = {0};
    assert_true(gtid_set_has(s, bytes_str("0-9-10")));
    assert_false(gtid_set_has(s, bytes_str("0-1-11")));
    assert_false(gtid_set_has(s, bytes_str("1-1-1")));
    assert_false(gtid_set_covers(s, b));
    gtid_set_union(s, b);
    assert_true(gtid_set_covers(s, b));
    assert_true(gtid_set_add(s, bytes_str("7-1-1"), &e));
    expect_text(s, "0-2-11,5-1-3,7-1-1");
    gtid_set_free(s);
    gtid_set_free(b);
}

/* ---- positions ---- */

static struct position
position_of(enum position_kind kind, const char *server, const char *gtid, const char *file,
            uint64_t pos)
{
    struct position p;
    position_init(&p, kind);
    snprintf(p.server, sizeof p.server, "%s", server);
    snprintf(p.file, sizeof p.file, "%s", file);
    p.pos = pos;
    if (gtid)
        p.gtid = set_of(kind == POSITION_MYSQL ? GTID_MYSQL : GTID_MARIADB, gtid);
    return p;
}

static void
expect_covers(struct position a, struct position b, bool want)
{
    assert_int_equal(position_covers(&a, &b), want);
    position_free(&a);
    position_free(&b);
}

static void
positions_compare_by_set_else_by_file(void **state)
{
    enum position_kind my = POSITION_MYSQL, ma = POSITION_MARIADB;
    expect_covers(position_of(my, "a", U1 ":1-9", "x.000001", 4),
                  position_of(my, "b", U1 ":1-8", "x.000009", 4), true);
    expect_covers(position_of(my, "a", U1 ":1-7", "x.000009", 4),
                  position_of(my, "a", U1 ":1-8", "x.000001", 4), false);
    expect_covers(position_of(my, "a", NULL, "x.000009", 5),
                  position_of(my, "a", NULL, "x.000009", 5), true);
    expect_covers(position_of(my, "a", NULL, "x.999999", 5),
                  position_of(my, "a", NULL, "x.1000000", 4), false);
    expect_covers(position_of(my, "a", NULL, "x.2", 5), position_of(my, "b", NULL, "x.1", 5),
                  false);
    expect_covers(position_of(ma, "1", "0-1-5", "x.000002", 5),
                  position_of(ma, "1", "0-1-9", "x.000001", 5), true);
    expect_covers(position_of(ma, "1", "0-1-9", "x.000001", 5),
                  position_of(ma, "2", "0-1-5", "x.000002", 5), true);
    expect_covers(position_of(ma, "1", "0-1-9", "x.1", 5),
                  position_of(my, "1", U1 ":1", "x.1", 5), false);
    expect_covers(position_of(ma, "1", NULL, "x.1", 5), (struct position){0}, true);
    expect_covers((struct position){0}, position_of(ma, "1", NULL, "x.1", 5), false);
}

static void
a_position_survives_json(void **state)
{
    struct position p =
        position_of(POSITION_MYSQL, U2, U1 ":1-9:t:1", "binlog.000003", 1ull << 40);
    struct position q = {0}, r = {0};
    struct err e = {0};
    struct buf a = {0}, b = {0};
    snprintf(p.partial[0].id, TXN_ID_MAX, "%s", U1 ":10");
    p.partial[0].rows = 77;
    snprintf(p.partial[1].id, TXN_ID_MAX, "%s", U1 ":11");
    snprintf(p.partial[1].file, sizeof p.partial[1].file, "binlog.000002");
    p.partial[1].pos = 157;
    p.partial_count = 2;
    snprintf(p.xa_file, sizeof p.xa_file, "binlog.000002");
    p.xa_pos = 4;
    struct json *j = position_to_json(&p);
    json_dump(j, &a);
    assert_true(position_from_json(j, &q, &e));
    json_free(j);
    position_init(&r, POSITION_NONE);
    position_copy(&r, &q);
    j = position_to_json(&r);
    json_dump(j, &b);
    json_free(j);
    assert_string_equal(buf_cstr(&a), buf_cstr(&b));
    assert_int_equal(r.partial[0].rows, 77);
    assert_string_equal(r.partial[0].file, "");
    assert_string_equal(r.partial[1].file, "binlog.000002");
    assert_int_equal(r.partial[1].pos, 157);
    position_free(&p);
    position_free(&q);
    position_free(&r);
    buf_free(&a);
    buf_free(&b);
}

static void
a_damaged_position_is_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"k\":\"oracle\"}",
        "{\"k\":\"mysql\",\"gtid\":null,\"file\":\"a.1\",\"pos\":4}",
        "{\"k\":\"mysql\",\"uuid\":\"x\",\"gtid\":\"zz\",\"file\":\"a.1\",\"pos\":4}",
        "{\"k\":\"mysql\",\"uuid\":\"x\",\"gtid\":null,\"file\":\"a.1\",\"partial\":[[1]]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json *j = NULL;
        struct position p;
        struct err e = {0};
        assert_true(json_parse(bytes_str(bad[i]), &j, &e));
        assert_false(position_from_json(j, &p, &e));
        assert_int_equal(e.class, ERR_TASK);
        json_free(j);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_canonical),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(tagged_sets_have_the_servers_layout),
        cmocka_unit_test(untagged_sets_have_the_servers_layout),
        cmocka_unit_test(random_sets_behave_as_sets_of_transactions),
        cmocka_unit_test(consecutive_transactions_keep_one_interval),
        cmocka_unit_test(mariadb_state_is_the_last_of_each_domain),
        cmocka_unit_test(positions_compare_by_set_else_by_file),
        cmocka_unit_test(a_position_survives_json),
        cmocka_unit_test(a_damaged_position_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
