#include "unit/base/unit.h"

#include "base/clock.h"

static void
murmur2_is_the_one_of_the_java_client(void **state)
{
    /* org.apache.kafka.common.utils.UtilsTest.testMurmur2 */
    static const struct {
        const char *text;
        int32_t want;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal((int32_t)hash_murmur2(bytes_str(cases[i].text)), cases[i].want);
    assert_int_equal(hash_partition(BYTES_LIT("21"), 1000), (-973932308 & 0x7fffffff) % 1000);
    assert_int_equal(hash_partition(BYTES_LIT("anything"), 1), 0);
}

static void
hash_u64_reads_every_byte_and_the_length(void **state)
{
    uint8_t b[40] = {0};
    for (size_t n = 0; n <= sizeof(b); n++) {
        uint64_t h = hash_u64(bytes_of(b, n));
        for (size_t i = 0; i < n; i++) {
            b[i] ^= 0x10;
            assert_true(hash_u64(bytes_of(b, n)) != h);
            b[i] ^= 0x10;
        }
        if (n)
            assert_true(hash_u64(bytes_of(b, n - 1)) != h);
        assert_true(hash_u64(bytes_of(b, n)) == h);
    }
}

static void
hash_u64_spreads_counters_over_the_low_bits(void **state)
{
    unsigned counts[64] = {0};
    for (uint32_t i = 0; i < 64000; i++)
        counts[hash_u64(bytes_of(&i, sizeof(i))) & 63]++;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        assert_in_range(counts[i], 800, 1200);
}

static void
crc32_sha256_and_hmac_match_published_vectors(void **state)
{
    uint8_t out[32];
    char hex[65];
    assert_int_equal(hash_crc32(0, BYTES_LIT("123456789")), 0xcbf43926);
    assert_int_equal(hash_crc32(hash_crc32(0, BYTES_LIT("1234")), BYTES_LIT("56789")),
                     0xcbf43926);
    assert_int_equal(hash_crc32(5, (struct bytes){NULL, 0}), 5);
    hash_sha256(BYTES_LIT("abc"), out);
    hex_encode(bytes_of(out, 32), hex);
    assert_string_equal(hex,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256((struct bytes){NULL, 0}, out);
    hex_encode(bytes_of(out, 32), hex);
    assert_string_equal(hex,
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_hmac_sha256(BYTES_LIT("Jefe"), BYTES_LIT("what do ya want for nothing?"), out);
    hex_encode(bytes_of(out, 32), hex);
    assert_string_equal(hex,
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void
hex_takes_exactly_the_digits_asked_for(void **state)
{
    uint8_t out[2] = {0};
    assert_true(hex_decode("0aF9", out, 2));
    assert_int_equal(out[0], 0x0a);
    assert_int_equal(out[1], 0xf9);
    assert_false(hex_decode("0aF", out, 2));
    assert_false(hex_decode("0aF9b", out, 2));
    assert_false(hex_decode("0aFg", out, 2));
    assert_false(hex_decode("", out, 2));
    assert_true(hex_decode("", out, 0));
}

static void
base64_matches_the_vectors_of_rfc_4648(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff", "+/8="},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = {0};
        struct buf back = {0};
        base64_encode(bytes_str(cases[i][0]), &text);
        assert_text(&text, cases[i][1]);
        assert_true(base64_decode(buf_bytes(&text), &back));
        assert_text(&back, cases[i][0]);
        buf_free(&text);
        buf_free(&back);
    }
}

static void
base64_refuses_what_no_encoder_writes(void **state)
{
    static const char *const bad[] = {"Zg=",  "Zg",       "Z===",  "====", "Zh==",
                                      "Zm9=", "Zg==Zg==", "Zm 9",  "Zm9-", "=Zm9",
                                      "Z=g=", "Zm9vY",    "Zm9v\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf back = {0};
        if (base64_decode(bytes_str(bad[i]), &back))
            fail_msg("\"%s\" was taken", bad[i]);
        buf_free(&back);
    }
}

static void
base64_gives_random_bytes_back(void **state)
{
    struct prng r = prng_begin(__func__);
    for (int round = 0; round < 300; round++) {
        uint8_t raw[200];
        size_t n = prng_below(&r, sizeof(raw));
        for (size_t i = 0; i < n; i++)
            raw[i] = (uint8_t)prng_next(&r);
        struct buf text = {0};
        struct buf back = {0};
        base64_encode(bytes_of(raw, n), &text);
        assert_int_equal(text.n, (n + 2) / 3 * 4);
        assert_true(base64_decode(buf_bytes(&text), &back));
        assert_true(bytes_eq(buf_bytes(&back), bytes_of(raw, n)));
        buf_free(&text);
        buf_free(&back);
    }
}

static void
a_uuid_is_of_version_7_carries_the_time_and_parses_back(void **state)
{
    char text[37];
    uint8_t b[16];
    uint64_t before_ms = clock_wall_ms();
    uuid_v7(text);
    uint64_t after_ms = clock_wall_ms();
    assert_int_equal(strlen(text), 36);
    assert_true(uuid_parse(text, b));
    uint64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | b[i];
    assert_true(ms >= before_ms && ms <= after_ms);
    assert_int_equal(b[6] >> 4, 7);
    assert_int_equal(b[8] >> 6, 2);
    assert_int_equal(text[14], '7');
}

static void
uuid_parse_takes_the_one_text_form(void **state)
{
    uint8_t b[16];
    assert_true(uuid_parse("00112233-4455-6677-8899-aabbccddeeff", b));
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(b[i], 0x11 * i);
    assert_false(uuid_parse("00112233-4455-6677-8899-aabbccddeef", b));
    assert_false(uuid_parse("00112233-4455-6677-8899-aabbccddeeff0", b));
    assert_false(uuid_parse("001122334-455-6677-8899-aabbccddeeff", b));
    assert_false(uuid_parse("00112233-4455-6677-8899-aabbccddeefg", b));
}

static void
random_numbers_do_not_repeat(void **state)
{
    uint64_t a = random_u64();
    assert_true(a != random_u64());
    char one[37];
    char two[37];
    uuid_v7(one);
    uuid_v7(two);
    assert_string_not_equal(one, two);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(murmur2_is_the_one_of_the_java_client),
        cmocka_unit_test(hash_u64_reads_every_byte_and_the_length),
        cmocka_unit_test(hash_u64_spreads_counters_over_the_low_bits),
        cmocka_unit_test(crc32_sha256_and_hmac_match_published_vectors),
        cmocka_unit_test(hex_takes_exactly_the_digits_asked_for),
        cmocka_unit_test(base64_matches_the_vectors_of_rfc_4648),
        cmocka_unit_test(base64_refuses_what_no_encoder_writes),
        cmocka_unit_test(base64_gives_random_bytes_back),
        cmocka_unit_test(a_uuid_is_of_version_7_carries_the_time_and_parses_back),
        cmocka_unit_test(uuid_parse_takes_the_one_text_form),
        cmocka_unit_test(random_numbers_do_not_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
