/* Values of the log: decimals against an encoder written from the format's description, times
 * by example, text against iconv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <iconv.h>

#include "base/hash.h"
#include "capture/mysql/binlog_map.h"
#include "capture/mysql/charset.h"
#include "capture/mysql/value.h"

static unsigned
seed(void)
{
    const char *text = getenv("SEED");
    unsigned s = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)random_u64();
    print_message("SEED=%u\n", s);
    srand(s);
    return s;
}

/* ---- decimals ---- */

/* `digits` (precision of them, ASCII) cut in groups of nine from the point outwards;
 * big-endian; sign bit flipped, negative numbers inverted. */
static size_t
encode_decimal(const char *digits, unsigned precision, unsigned scale, bool negative,
               uint8_t *out)
{
    static const unsigned sizes[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned whole = precision - scale, at = 0;
    size_t n = 0;
    while (at < precision) {
        unsigned left = at < whole ? whole - at : precision - at;
        unsigned take = at < whole ? (left % 9 ? left % 9 : 9) : (left < 9 ? left : 9);
        uint32_t v = 0;
        for (unsigned i = 0; i < take; i++)
            v = v * 10 + (uint32_t)(digits[at++] - '0');
        for (unsigned i = sizes[take]; i-- > 0;)
            out[n++] = (uint8_t)(v >> (8 * i));
    }
    for (size_t i = 0; negative && i < n; i++)
        out[i] = (uint8_t)~out[i];
    out[0] ^= 0x80;
    return n;
}

static void
any_decimal_reads_as_its_digits(void **state)
{
    (void)state;
    seed();
    for (int turn = 0; turn < 20000; turn++) {
        unsigned precision = 1 + (unsigned)rand() % 65,
                 scale = (unsigned)rand() % (precision < 38 ? precision + 1 : 39);
        char digits[66] = {0}, expected[80], text[VALUE_DECIMAL_MAX];
        uint8_t bytes[64];
        bool negative = rand() % 2, zero = true;
        for (unsigned i = 0; i < precision; i++) {
            digits[i] = (char)('0' + (rand() % 3 ? rand() % 10 : 0));
            zero = zero && digits[i] == '0';
        }
        negative = negative && !zero;
        size_t size = encode_decimal(digits, precision, scale, negative, bytes);
        assert_int_equal(size, binlog_decimal_size(precision, scale));
        unsigned whole = precision - scale, first = 0;
        while (first < whole && digits[first] == '0')
            first++;
        snprintf(expected, sizeof(expected), "%s%.*s%s%s%s", negative ? "-" : "",
                 (int)(whole - first), digits + first, first == whole ? "0" : "",
                 scale ? "." : "", digits + whole);
        size_t n = value_decimal(bytes, precision, scale, text);
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(text, expected, n);
    }
}

/* ---- times ---- */

static void
negative_times_share_their_sign_with_the_fraction(void **state)
{
    (void)state;
    struct cell c;
    /* -00:00:01.5 in TIME(3): 0x800000 00 00 - (1 << 16 | 5000) */
    value_time2(((uint64_t)0x800000 << 16) - ((uint64_t)1 << 16 | 5000), 3, &c);
    assert_int_equal(c.kind, CELL_TIME);
    assert_int_equal(c.v.i, -1500000);
    value_time2(0x800000 | 838 << 12 | 59 << 6 | 59, 0, &c);
    assert_int_equal(c.v.i, (INT64_C(838) * 3600 + 59 * 60 + 59) * 1000000);
}

static void
the_zero_timestamp_is_the_zero_datetime(void **state)
{
    (void)state;
    struct cell c;
    value_timestamp(0, 0, 6, &c);
    assert_int_equal(c.kind, CELL_DATETIME);
    assert_int_equal(c.v.u, 0);
    value_timestamp(4294967295u, 999999, 6, &c);
    assert_int_equal(c.kind, CELL_TIMESTAMP);
    assert_int_equal(c.v.i, INT64_C(4294967295999999));
}

/* ---- JSON ---- */

static void
damaged_json_is_refused_and_bounded(void **state)
{
    (void)state;
    seed();
    /* {"a": 1, "b": [true, "x"]} made by hand */
    static const uint8_t document[] = {0, 2, 0, 0x21, 0,  0x12, 0, 1,   0,   0x13, 0, 1,
                                       0, 5, 1, 0,    2,  0x14, 0, 'a', 'b', 2,    0, 0x0c,
                                       0, 4, 1, 0,    12, 0x0a, 0, 1,   'x', 0};
    struct buf out = {0};
    assert_true(value_json(bytes_of(document, sizeof(document)), &out));
    assert_string_equal(buf_cstr(&out), "{\"a\": 1, \"b\": [true, \"x\"]}");
    for (int turn = 0; turn < 200000; turn++) {
        uint8_t copy[sizeof(document)];
        memcpy(copy, document, sizeof(copy));
        for (int i = 0; i < 1 + turn % 4; i++)
            copy[(unsigned)rand() % sizeof(copy)] = (uint8_t)rand();
        buf_reset(&out);
        value_json(bytes_of(copy, 1 + (unsigned)rand() % sizeof(copy)), &out);
        assert_true(out.n <= 16 * sizeof(copy) + 1024);
    }
    buf_free(&out);
}

/* ---- text ---- */

static bool
iconv_accepts(struct bytes b)
{
    char out[256], *from = (char *)(uintptr_t)b.p, *to = out;
    size_t left = b.n, room = sizeof(out);
    iconv_t cd = iconv_open("UTF-32LE", "UTF-8");
    bool ok = iconv(cd, &from, &left, &to, &room) != (size_t)-1;
    iconv_close(cd);
    return ok;
}

static void
utf8_is_valid_exactly_when_iconv_takes_it(void **state)
{
    (void)state;
    seed();
    static const uint8_t likely[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                     0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                     0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    for (int turn = 0; turn < 100000; turn++) {
        uint8_t text[12];
        size_t n = (unsigned)rand() % sizeof(text);
        for (size_t i = 0; i < n; i++)
            text[i] = likely[(unsigned)rand() % sizeof(likely)];
        assert_int_equal(utf8_valid(bytes_of(text, n)), iconv_accepts(bytes_of(text, n)));
    }
}

static void
latin1_is_cp1252_with_five_bytes_more(void **state)
{
    (void)state;
    struct charset *latin1, *cp1252;
    struct arena a;
    struct err e;
    arena_init(&a, 0);
    assert_true(charset_open("latin1", &latin1, &e));
    iconv_t cd = iconv_open("UTF-8", "CP1252");
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        struct bytes mine;
        char out[8], *from = (char *)&byte, *to = out;
        size_t left = 1, room = sizeof(out);
        assert_true(charset_to_utf8(latin1, bytes_of(&byte, 1), &a, &mine));
        assert_true(utf8_valid(mine));
        if (iconv(cd, &from, &left, &to, &room) == (size_t)-1)
            assert_true(mine.n == 2 && mine.p[0] == 0xc2 && mine.p[1] == i);
        else
            assert_true(bytes_eq(mine, bytes_of(out, sizeof(out) - room)));
    }
    iconv_close(cd);
    charset_close(latin1);
    assert_true(charset_open("koi8r", &cp1252, &e));
    charset_close(cp1252);
    assert_false(charset_open("klingon", &cp1252, &e));
    assert_int_equal(e.code, MR_SOURCE_TYPE);
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_decimal_reads_as_its_digits),
        cmocka_unit_test(negative_times_share_their_sign_with_the_fraction),
        cmocka_unit_test(the_zero_timestamp_is_the_zero_datetime),
        cmocka_unit_test(damaged_json_is_refused_and_bounded),
        cmocka_unit_test(utf8_is_valid_exactly_when_iconv_takes_it),
        cmocka_unit_test(latin1_is_cp1252_with_five_bytes_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
