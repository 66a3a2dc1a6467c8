#include "core.h"

/* Encodes, decodes, encodes again: both texts must be the same. */
static void
assert_round_trip(const struct progress_record *r, const char *key)
{
    struct buf k = {0}, v = {0}, k2 = {0}, v2 = {0};
    struct arena a;
    struct progress_record out;
    struct err e = {0};
    arena_init(&a, 0);
    progress_encode(r, &k, &v);
    assert_string_equal(buf_cstr(&k), key);
    if (!progress_decode(buf_bytes(&k), buf_bytes(&v), &a, &out, &e))
        fail_msg("%s", e.text);
    progress_encode(&out, &k2, &v2);
    assert_string_equal(buf_cstr(&k2), key);
    assert_string_equal(buf_cstr(&v2), buf_cstr(&v));
    progress_record_free(&out);
    arena_free(&a);
    buf_free(&k);
    buf_free(&v);
    buf_free(&k2);
    buf_free(&v2);
}

static void
every_kind_of_record_survives_its_json(void **state)
{
    struct progress_range ranges[2] = {
        {"t.db.a", 7, 0, {NULL, 0}, BYTES_LIT("\x00\xff"), BYTES_LIT("zz"), 12, false},
        {"t.db.a", 7, 1, BYTES_LIT(""), BYTES_LIT("q"), {NULL, 0}, 3, true},
    };
    struct progress_touched touched[1] = {{"t.db.a", 3, 17, UINT64_MAX / 2 + 9}};
    struct cut_id history[1] = {{1700000000000, 44}};
    struct progress_record claim = claim_of(1700000000001, 0xabc);
    struct progress_record epoch = epoch_of(1700000000001, 99);
    struct progress_record cut = cut_of(5, 10, UINT64_MAX / 2 + 9);
    struct progress_record load = {
        .kind = PROGRESS_LOAD, .inc = INC, .epoch = 5, .table = "t.db.a", .load = 7};
    struct progress_record event = event_of(5, 12, EVENT_DDL, 3);
    epoch.history = history;
    epoch.history_count = 1;
    epoch.ranges = cut.ranges = load.ranges = ranges;
    epoch.range_count = cut.range_count = load.range_count = 2;
    cut.touched = touched;
    cut.touched_count = 1;
    event.sql = "ALTER TABLE `\xc3\xa4`";
    assert_round_trip(&claim, "claim/1700000000001/0000000000000abc");
    assert_round_trip(&epoch, "epoch/1700000000001");
    assert_round_trip(&cut, "progress/5");
    assert_round_trip(&load, "load/t.db.a/7/5");
    assert_round_trip(&event, "event/5/12");
    event.copy = true;
    assert_round_trip(&event, "version/t");
}

static bool
decode(const char *key, const char *value, struct progress_record *out, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    bool ok = progress_decode(bytes_str(key), bytes_str(value), &a, out, e);
    progress_record_free(out);
    arena_free(&a);
    return ok;
}

static void
a_null_key_is_not_an_empty_key(void **state)
{
    struct arena a;
    struct progress_record out;
    struct err e;
    const char *value =
        "{\"v\":1,\"inc\":\"0000000000000001\",\"ranges\":[{\"range\":0,\"begin\":null,"
        "\"next\":\"\",\"end\":null,\"rows\":0,\"state\":\"open\"}]}";
    arena_init(&a, 0);
    assert_true(progress_decode(bytes_str("load/t/1/2"), bytes_str(value), &a, &out, &e));
    assert_null(out.ranges[0].begin.p);
    assert_non_null(out.ranges[0].next.p);
    assert_int_equal(out.ranges[0].next.n, 0);
    progress_record_free(&out);
    arena_free(&a);
}

static void
an_unknown_version_stops_the_reader_whatever_the_key_is(void **state)
{
    struct progress_record out;
    struct err e;
    assert_false(decode("never/seen", "{\"v\":2}", &out, &e));
    assert_int_equal(e.code, MR_KAFKA_VERSION);
    assert_false(decode("progress/1", "{\"v\":2,\"inc\":7}", &out, &e));
    assert_int_equal(e.code, MR_KAFKA_VERSION);
}

static void
a_bad_record_is_an_error_and_never_half_a_record(void **state)
{
    static const char *const bad[][2] = {
        {"progress/1", ""},
        {"progress/1", "[]"},
        {"progress/1", "{}"},
        {"progress/x", "{\"v\":1,\"inc\":\"0000000000000001\",\"epoch\":1}"},
        {"progress/1", "{\"v\":1,\"inc\":\"0000000000000001\",\"epoch\":2}"},
        {"progress/1", "{\"v\":1,\"inc\":\"1\",\"epoch\":1}"},
        {"epoch/1",
         "{\"v\":1,\"inc\":\"0000000000000001\",\"epoch\":1,\"from_seq\":-1,\"ranges\":[]}"},
        {"claim/1", "{\"v\":1,\"inc\":\"0000000000000001\",\"epoch\":1}"},
        {"claim/1/12", "{\"v\":1,\"inc\":\"0000000000000001\",\"epoch\":1}"},
        {"event/1/2",
         "{\"v\":1,\"inc\":\"0000000000000001\",\"kind\":\"nonsense\",\"table\":\"t\"}"},
        {"", "{\"v\":1}"},
        {"load/", "{\"v\":1,\"inc\":\"0000000000000001\",\"ranges\":[]}"},
        {"what/1", "{\"v\":1}"},
        {"version/t", "{\"v\":1,\"inc\":\"0123456789abcdef\",\"epoch\":3,\"seq\":0,"
                      "\"kind\":\"version\",\"table\":\"other\",\"pos\":null}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct progress_record out;
        struct err e = {0};
        assert_false(decode(bad[i][0], bad[i][1], &out, &e));
        assert_int_equal(e.code, MR_KAFKA_BAD_RECORD);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_record_survives_its_json),
        cmocka_unit_test(a_null_key_is_not_an_empty_key),
        cmocka_unit_test(an_unknown_version_stops_the_reader_whatever_the_key_is),
        cmocka_unit_test(a_bad_record_is_an_error_and_never_half_a_record),
    };
    return RUN_TESTS(tests);
}
