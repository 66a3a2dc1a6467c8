#include "unit/base/unit.h"

static void
compare_is_by_bytes_then_by_length(void **state)
{
    assert_true(bytes_cmp(BYTES_LIT("a"), BYTES_LIT("b")) < 0);
    assert_true(bytes_cmp(BYTES_LIT("a"), BYTES_LIT("ab")) < 0);
    assert_true(bytes_cmp(BYTES_LIT("b"), BYTES_LIT("ab")) > 0);
    assert_true(bytes_cmp(BYTES_LIT("\xff"), BYTES_LIT("\x01")) > 0);
    assert_int_equal(bytes_cmp((struct bytes){NULL, 0}, BYTES_LIT("")), 0);
    assert_true(bytes_eq((struct bytes){NULL, 0}, BYTES_LIT("")));
    assert_false(bytes_eq(BYTES_LIT("ab"), BYTES_LIT("aB")));
}

static void
an_empty_buffer_is_usable_and_reads_as_empty_text(void **state)
{
    struct buf b = {0};
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(b.n, 0);
    buf_add(&b, NULL, 0);
    assert_false(b.failed);
    buf_free(&b);
}

static void
appends_keep_order_over_many_growths(void **state)
{
    struct buf b = {0};
    for (unsigned i = 0; i < 10000; i++)
        buf_add_byte(&b, (uint8_t)(i * 7));
    assert_int_equal(b.n, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(b.p[i], (uint8_t)(i * 7));
    buf_reset(&b);
    assert_int_equal(b.n, 0);
    assert_true(b.cap >= 10000);
    buf_free(&b);
}

static void
a_buffer_takes_exactly_its_maximum(void **state)
{
    struct buf b = {.max = 100};
    for (int i = 0; i < 100; i++)
        buf_add_byte(&b, 'x');
    assert_false(b.failed);
    assert_int_equal(b.n, 100);
    buf_add_byte(&b, 'x');
    assert_true(b.failed);
    assert_int_equal(b.n, 100);
    buf_add(&b, NULL, 0);
    assert_true(b.failed);
    assert_null(buf_reserve(&b, 0));
    assert_string_equal(buf_cstr(&b), "");
    buf_reset(&b);
    assert_false(b.failed);
    buf_free(&b);
    assert_int_equal(b.max, 100);
}

static void
a_huge_request_fails_instead_of_wrapping_around(void **state)
{
    struct buf b = {0};
    buf_add_byte(&b, 1);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_free(&b);
}

static void
numbers_are_written_as_decimal_text(void **state)
{
    struct buf b = {0};
    buf_add_u64_text(&b, 0);
    buf_add_byte(&b, ' ');
    buf_add_u64_text(&b, UINT64_MAX);
    buf_add_byte(&b, ' ');
    buf_add_i64_text(&b, INT64_MIN);
    buf_add_byte(&b, ' ');
    buf_add_i64_text(&b, INT64_MAX);
    assert_text(&b, "0 18446744073709551615 -9223372036854775808 9223372036854775807");
    buf_free(&b);
}

static void
formatted_text_of_any_length_is_appended_whole(void **state)
{
    struct buf b = {0};
    for (int n = 0; n < 200; n++) {
        buf_reset(&b);
        buf_addf(&b, "%*s|", n, "");
        assert_int_equal(b.n, n + 1);
        assert_int_equal(b.p[n], '|');
    }
    buf_free(&b);
}

static void
a_short_read_is_zero_and_marks_the_reader_for_ever(void **state)
{
    struct reader r = reader_of(BYTES_LIT("abc"));
    assert_int_equal(reader_left(&r), 3);
    assert_int_equal(reader_le(&r, 4), 0);
    assert_true(r.failed);
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_take(&r, 1).p);
    assert_null(reader_rest(&r).p);
}

static void
a_reader_gives_every_byte_and_then_fails(void **state)
{
    struct reader r = reader_of(BYTES_LIT("ab"));
    assert_int_equal(reader_u8(&r), 'a');
    assert_int_equal(reader_u8(&r), 'b');
    assert_int_equal(reader_rest(&r).n, 0);
    assert_false(r.failed);
    reader_u8(&r);
    assert_true(r.failed);
    struct reader empty = reader_of((struct bytes){NULL, 0});
    assert_int_equal(reader_rest(&empty).n, 0);
    assert_false(empty.failed);
}

static void
integers_are_read_in_both_byte_orders(void **state)
{
    static const uint8_t raw[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
    struct reader r = reader_of(bytes_of(raw, 8));
    assert_true(reader_le(&r, 8) == 0x8807060504030201);
    r = reader_of(bytes_of(raw, 8));
    assert_true(reader_be(&r, 8) == 0x0102030405060788);
    r = reader_of(bytes_of(raw, 8));
    assert_int_equal(reader_le(&r, 3), 0x030201);
    assert_int_equal(reader_be(&r, 1), 4);
    assert_int_equal(reader_left(&r), 4);
}

static void
length_encoded_integers_are_those_of_the_protocol(void **state)
{
    static const struct {
        const char *raw;
        size_t n;
        uint64_t want;
        bool fails;
    } cases[] = {
        {"\xfa", 1, 250, false},
        {"\xfb", 1, 0, true},
        {"\xff", 1, 0, true},
        {"\xfc\x01\x02", 3, 0x0201, false},
        {"\xfc\x01", 2, 0, true},
        {"\xfd\x01\x02\x03", 4, 0x030201, false},
        {"\xfe\x01\x02\x03\x04\x05\x06\x07\x08", 9, 0x0807060504030201, false},
        {"\xfe\x01\x02\x03\x04\x05\x06\x07", 8, 0, true},
        {"", 0, 0, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reader r = reader_of(bytes_of(cases[i].raw, cases[i].n));
        assert_true(reader_lenenc(&r) == cases[i].want);
        assert_int_equal(r.failed, cases[i].fails);
    }
}

static void
length_encoded_bytes_never_reach_behind_the_end(void **state)
{
    struct reader r = reader_of(BYTES_LIT("\x02xyz"));
    assert_true(bytes_eq(reader_lenenc_bytes(&r), BYTES_LIT("xy")));
    assert_int_equal(reader_left(&r), 1);
    r = reader_of(BYTES_LIT("\x04xyz"));
    assert_null(reader_lenenc_bytes(&r).p);
    assert_true(r.failed);
    r = reader_of(BYTES_LIT("\xfe\xff\xff\xff\xff\xff\xff\xff\xffx"));
    assert_null(reader_lenenc_bytes(&r).p);
    assert_true(r.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_is_by_bytes_then_by_length),
        cmocka_unit_test(an_empty_buffer_is_usable_and_reads_as_empty_text),
        cmocka_unit_test(appends_keep_order_over_many_growths),
        cmocka_unit_test(a_buffer_takes_exactly_its_maximum),
        cmocka_unit_test(a_huge_request_fails_instead_of_wrapping_around),
        cmocka_unit_test(numbers_are_written_as_decimal_text),
        cmocka_unit_test(formatted_text_of_any_length_is_appended_whole),
        cmocka_unit_test(a_short_read_is_zero_and_marks_the_reader_for_ever),
        cmocka_unit_test(a_reader_gives_every_byte_and_then_fails),
        cmocka_unit_test(integers_are_read_in_both_byte_orders),
        cmocka_unit_test(length_encoded_integers_are_those_of_the_protocol),
        cmocka_unit_test(length_encoded_bytes_never_reach_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
