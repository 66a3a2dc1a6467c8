/* Calendar against the C library, numbers against strtod, topic and Avro names by example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "schema/number_text.h"
#include "schema/temporal.h"
#include "schema/topic.h"

static uint64_t
random_bits(void)
{
    uint64_t v = 0;
    for (int i = 0; i < 5; i++)
        v = v << 15 ^ (uint64_t)rand();
    return v;
}

static void
days_agree_with_the_c_library(void **state)
{
    for (int64_t d = -700000; d < 2900000; d += 997) {
        time_t s = (time_t)d * 86400;
        struct tm tm;
        int y;
        unsigned m, dd;
        int64_t back;
        gmtime_r(&s, &tm);
        temporal_civil(d, &y, &m, &dd);
        assert_int_equal(y, tm.tm_year + 1900);
        assert_int_equal(m, tm.tm_mon + 1);
        assert_int_equal(dd, tm.tm_mday);
        assert_true(temporal_days((unsigned)y, m, dd, &back));
        assert_int_equal(back, d);
    }
}

static void
impossible_dates_have_no_day(void **state)
{
    int64_t d;
    assert_false(temporal_days(0, 1, 1, &d));
    assert_false(temporal_days(2026, 0, 1, &d));
    assert_false(temporal_days(2026, 2, 0, &d));
    assert_false(temporal_days(2026, 2, 29, &d));
    assert_false(temporal_days(1900, 2, 29, &d));
    assert_true(temporal_days(2000, 2, 29, &d));
    assert_false(temporal_days(2026, 13, 1, &d));
}

static void
zoned_text_round_trips(void **state)
{
    for (int i = 0; i < 20000; i++) {
        int64_t us = (int64_t)(random_bits() % 253402300799999999ull), back;
        char t[TEMPORAL_TEXT_MAX];
        char *end = temporal_put_zoned(t, us, 6);
        assert_true(temporal_parse_zoned(bytes_of(t, (size_t)(end - t)), &back));
        assert_int_equal(us, back);
        assert_int_equal(temporal_from_epoch_us(us) & 0xfffff, us % 1000000);
    }
    int64_t us;
    assert_false(temporal_parse_zoned(bytes_str("2026-02-30T00:00:00Z"), &us));
    assert_false(temporal_parse_zoned(bytes_str("2026-02-20T00:00:00"), &us));
    assert_false(temporal_parse_zoned(bytes_str("2026-02-20T00:00:00.Z"), &us));
    assert_false(temporal_parse_zoned(bytes_str("2026-02-20T00:00:00."), &us));
    assert_false(temporal_parse_zoned(bytes_str("2026-02-20T00:00:00.1234567Z"), &us));
    assert_false(temporal_parse_zoned(bytes_str("2026-02-20T24:00:00Z"), &us));
    assert_true(temporal_parse_zoned(bytes_str("1970-01-01T00:00:01.5Z"), &us));
    assert_int_equal(us, 1500000);
}

static void
times_print_as_the_server_prints_them(void **state)
{
    char t[TEMPORAL_TEXT_MAX];
    *temporal_put_time(t, -45296789000, 3) = 0;
    assert_string_equal(t, "-12:34:56.789");
    *temporal_put_time(t, 3020399000000, 0) = 0;
    assert_string_equal(t, "838:59:59");
    *temporal_put_time(t, -1, 6) = 0;
    assert_string_equal(t, "-00:00:00.000001");
    *temporal_put_date(t, 2026 << 9 | 2 << 5) = 0;
    assert_string_equal(t, "2026-02-00");
    *temporal_put_datetime(t, 0, 2, ' ') = 0;
    assert_string_equal(t, "0000-00-00 00:00:00.00");
}

static void
check_double(double d)
{
    char t[64];
    double back;
    *number_put_double(t, d, false) = 0;
    if (strtod(t, NULL) != d)
        fail_msg("%.17g -> %s", d, t);
    assert_true(number_parse_double(bytes_str(t), &back));
    assert_memory_equal(&back, &d, sizeof d);
    *number_put_double(t, d, true) = 0;
    assert_true(strtod(t, NULL) == d);
    assert_true(strlen(t) < NUMBER_TEXT_MAX);
}

static void
doubles_read_back_exactly(void **state)
{
    static const double fixed[] = {0,
                                   -0.0,
                                   1,
                                   -1,
                                   0.1,
                                   12.34,
                                   1e300,
                                   -1e-300,
                                   1e15,
                                   1e16,
                                   5e-324,
                                   1.7976931348623157e308,
                                   0.30000000000000004,
                                   123456789.125,
                                   9007199254740993.0,
                                   1e22,
                                   1e-5,
                                   1e-6,
                                   4.35,
                                   999999.999999};
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        check_double(fixed[i]);
    for (int i = 0; i < 50000; i++) {
        uint64_t bits = random_bits();
        double d;
        memcpy(&d, &bits, sizeof d);
        if (d == d && d - d == 0)
            check_double(d);
        check_double((double)(int64_t)(bits % 100000000) / 100.0);
    }
}

static void
floats_read_back_exactly(void **state)
{
    for (int i = 0; i < 50000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        float f;
        char t[64];
        memcpy(&f, &bits, sizeof f);
        if (i == 0)
            f = 3.4028234663852886e38f;
        if (i % 2 && i < 40000)
            f = (float)(bits % 100000) / 100.0f;
        if (!(f - f == 0))
            continue;
        *number_put_float(t, f, true) = 0;
        double d = strtod(t, NULL);
        assert_true((float)d == f);
        assert_true(d <= 3.4028234663852886e38 && d >= -3.4028234663852886e38);
    }
    char t[64];
    *number_put_float(t, 0.1f, false) = 0;
    assert_string_equal(t, "0.1");
}

static void
only_json_numbers_are_numbers(void **state)
{
    static const char *const bad[] = {"",    "-",   ".5",  "1.", "1e",
                                      "nan", "inf", "0x1", "1 ", "1e999"};
    double d;
    int64_t i;
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_false(number_parse_double(bytes_str(bad[k]), &d));
    assert_true(number_parse_i64(bytes_str("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(number_parse_i64(bytes_str("9223372036854775808"), &i));
    assert_false(number_parse_i64(bytes_str("-"), &i));
    assert_false(number_parse_i64(bytes_str("1.0"), &i));
}

static void
topic_names_are_reversible(void **state)
{
    char t[TOPIC_NAME_MAX + 1], long_name[300];
    topic_name("shop", "d.b", "order_0", t);
    assert_string_equal(t, "shop.d-2Eb.order_0");
    topic_name("p", "a-b", "\xc3\xa9", t);
    assert_string_equal(t, "p.a-2Db.-C3-A9");
    memset(long_name, 'x', 299);
    long_name[299] = 0;
    topic_name("p", "d", long_name, t);
    assert_int_equal(strlen(t), 218);
    assert_memory_equal(t + 200, "-H", 2);
}

static void
avro_names_are_adjusted(void **state)
{
    struct buf b = {0};
    topic_avro_name(bytes_str("1a-b$c"), &b);
    assert_string_equal(buf_cstr(&b), "_1a_b_c");
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_agree_with_the_c_library),
        cmocka_unit_test(impossible_dates_have_no_day),
        cmocka_unit_test(zoned_text_round_trips),
        cmocka_unit_test(times_print_as_the_server_prints_them),
        cmocka_unit_test(doubles_read_back_exactly),
        cmocka_unit_test(floats_read_back_exactly),
        cmocka_unit_test(only_json_numbers_are_numbers),
        cmocka_unit_test(topic_names_are_reversible),
        cmocka_unit_test(avro_names_are_adjusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
