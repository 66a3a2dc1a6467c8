#include "unit/base/unit.h"

#include "base/compress.h"

typedef bool
pack_fn(struct bytes in, struct buf *out, struct err *e);
typedef bool
unpack_fn(struct bytes in, size_t size_max, struct buf *out, struct err *e);

static bool
pack_zstd(struct bytes in, struct buf *out, struct err *e)
{
    return compress_zstd(in, 3, out, e);
}

static bool
pack_zlib(struct bytes in, struct buf *out, struct err *e)
{
    return compress_zlib(in, 6, out, e);
}

static bool
pack_gzip(struct bytes in, struct buf *out, struct err *e)
{
    return compress_gzip(in, 6, out, e);
}

static const struct codec {
    const char *name;
    pack_fn *pack;
    unpack_fn *unpack;
    const char *command; /* of the system, which writes the same format */
} codecs[] = {
    {"zstd", pack_zstd, decompress_zstd, "zstd -qc"},
    {"lz4", compress_lz4, decompress_lz4, "lz4 -qc"},
    {"gzip", pack_gzip, decompress_gzip, "gzip -c"},
    {"zlib", pack_zlib, decompress_zlib, NULL},
};

/* n bytes, half of them predictable. */
static struct bytes
sample(struct prng *r, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = i % 64 < 32 ? (uint8_t)(i / 64) : (uint8_t)prng_next(r);
    return bytes_of(out, n);
}

static void
every_size_comes_back_and_one_byte_less_room_is_refused(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 131072, 1000000};
    static uint8_t raw[1000000];
    struct prng r = prng_begin(__func__);
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct bytes in = sample(&r, raw, sizes[i]);
            struct buf packed = {0};
            struct buf back = {0};
            struct err e;
            buf_add_str(&back, "kept");
            assert_true(codecs[c].pack(in, &packed, &e));
            if (!codecs[c].unpack(buf_bytes(&packed), in.n, &back, &e))
                fail_msg("%s of %zu: %s", codecs[c].name, in.n, e.text);
            assert_int_equal(back.n, in.n + 4);
            assert_memory_equal(back.p, "kept", 4);
            assert_true(in.n == 0 || memcmp(back.p + 4, in.p, in.n) == 0);
            back.n = 4;
            assert_true(codecs[c].unpack(buf_bytes(&packed), in.n + 1, &back, &e));
            back.n = 4;
            if (in.n) {
                assert_false(codecs[c].unpack(buf_bytes(&packed), in.n - 1, &back, &e));
                assert_int_equal(e.code, MR_IO);
                assert_int_equal(back.n, 4);
            }
            buf_free(&packed);
            buf_free(&back);
        }
    }
}

static void
cut_short_data_is_refused_at_every_length(void **state)
{
    uint8_t raw[300];
    struct prng r = prng_begin(__func__);
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        struct buf packed = {0};
        struct err e;
        assert_true(codecs[c].pack(sample(&r, raw, sizeof(raw)), &packed, &e));
        for (size_t n = 0; n < packed.n; n++) {
            struct buf back = {0};
            if (codecs[c].unpack(bytes_of(packed.p, n), sizeof(raw), &back, &e))
                fail_msg("%s took %zu of %zu bytes", codecs[c].name, n, packed.n);
            assert_int_equal(back.n, 0);
            buf_free(&back);
        }
        buf_free(&packed);
    }
}

static void
damaged_data_never_reads_or_writes_out_of_bounds(void **state)
{
    uint8_t raw[2000];
    struct prng r = prng_begin(__func__);
    for (int round = 0; round < 2000; round++) {
        const struct codec *c = &codecs[prng_below(&r, ARRAY_LEN(codecs))];
        struct buf packed = {0};
        struct buf back = {0};
        struct err e;
        assert_true(c->pack(sample(&r, raw, prng_below(&r, sizeof(raw))), &packed, &e));
        packed.p[prng_below(&r, packed.n)] ^= (uint8_t)(1 + prng_below(&r, 255));
        if (c->unpack(buf_bytes(&packed), sizeof(raw), &back, &e))
            assert_true(back.n <= sizeof(raw));
        else
            assert_int_equal(back.n, 0);
        buf_free(&packed);
        buf_free(&back);
    }
}

static void
what_the_system_s_tools_write_is_read(void **state)
{
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        char command[128];
        if (!codecs[c].command)
            continue;
        snprintf(command, sizeof(command), "seq 1 20000 | %s 2>/dev/null", codecs[c].command);
        FILE *f = popen(command, "re");
        assert_non_null(f);
        struct buf packed = {0};
        struct buf back = {0};
        struct err e;
        packed.n = fread(buf_reserve(&packed, 1 << 20), 1, 1 << 20, f);
        if (pclose(f) != 0 || packed.n == 0) {
            printf("no %s here\n", codecs[c].name);
            buf_free(&packed);
            continue;
        }
        if (!codecs[c].unpack(buf_bytes(&packed), 1 << 20, &back, &e))
            fail_msg("%s: %s", codecs[c].name, e.text);
        assert_int_equal(back.n, 108894);
        assert_memory_equal(back.p + back.n - 6, "20000\n", 6);
        buf_free(&packed);
        buf_free(&back);
    }
}

static void
a_small_input_that_would_grow_without_end_stops_at_its_limit(void **state)
{
    static uint8_t zeros[8 << 20];
    for (size_t c = 0; c < ARRAY_LEN(codecs); c++) {
        struct buf packed = {0};
        struct buf back = {0};
        struct err e;
        assert_true(codecs[c].pack(bytes_of(zeros, sizeof(zeros)), &packed, &e));
        assert_true(packed.n < sizeof(zeros) / 100);
        assert_false(codecs[c].unpack(buf_bytes(&packed), 100000, &back, &e));
        assert_true(back.cap < 1000000);
        buf_free(&packed);
        buf_free(&back);
    }
}

static void
bytes_behind_a_zlib_stream_are_refused(void **state)
{
    struct buf packed = {0};
    struct buf back = {0};
    struct err e;
    assert_true(compress_zlib(BYTES_LIT("abc"), 6, &packed, &e));
    buf_add_byte(&packed, 0);
    assert_false(decompress_zlib(buf_bytes(&packed), 100, &back, &e));
    assert_non_null(strstr(e.text, "behind the end"));
    buf_free(&packed);
    buf_free(&back);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_comes_back_and_one_byte_less_room_is_refused),
        cmocka_unit_test(cut_short_data_is_refused_at_every_length),
        cmocka_unit_test(damaged_data_never_reads_or_writes_out_of_bounds),
        cmocka_unit_test(what_the_system_s_tools_write_is_read),
        cmocka_unit_test(a_small_input_that_would_grow_without_end_stops_at_its_limit),
        cmocka_unit_test(bytes_behind_a_zlib_stream_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
