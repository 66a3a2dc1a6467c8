/* Fuzz: DECIMAL values. First byte 0..127: bytes of the log as DECIMAL(precision, scale), whose
 * text must survive the way through Connect's form; 128..191: any bytes as Connect's form,
 * which must survive the way through text; else: any text. */
#include <stdlib.h>

#include "capture/mysql/binlog_map.h"
#include "capture/mysql/value.h"
#include "schema/decimal.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shortest form of the same number: what decimal_to_bytes writes. */
static void
there_and_back(struct bytes text, unsigned scale)
{
    uint8_t b[DECIMAL_BYTES_MAX], again[DECIMAL_BYTES_MAX];
    char out[DECIMAL_TEXT_MAX];
    size_t n = decimal_to_bytes(text, scale, b);
    if (n == 0)
        return;
    if (n > sizeof(b))
        abort();
    size_t len = scale <= 38 ? decimal_to_text(bytes_of(b, n), scale, out) : 0;
    if (scale > 38)
        return;
    if (len == 0 || len > sizeof(out))
        abort();
    if (decimal_to_bytes(bytes_of(out, len), scale, again) != n || memcmp(b, again, n) != 0)
        abort();
}

/* What the server writes: groups of at most 999,999,999. */
static void
fuzz_log(struct reader *r)
{
    unsigned precision = 1u + reader_u8(r) % 65u, scale = reader_u8(r) % 31u;
    scale = scale > precision ? precision : scale;
    struct bytes b = reader_take(r, binlog_decimal_size(precision, scale));
    char text[VALUE_DECIMAL_MAX];
    if (r->failed)
        return;
    size_t n = value_decimal(b.p, precision, scale, text);
    if (n == 0 || n > sizeof(text))
        abort();
    there_and_back(bytes_of(text, n), scale);
}

static void
fuzz_form(struct reader *r)
{
    unsigned scale = reader_u8(r) % 39u;
    char text[DECIMAL_TEXT_MAX];
    uint64_t number;
    struct bytes b = reader_rest(r);
    size_t n = decimal_to_text(b, scale, text);
    if (n > sizeof(text))
        abort();
    if (n > 0)
        there_and_back(bytes_of(text, n), scale);
    if (decimal_to_u64(b, &number)) {
        uint8_t again[DECIMAL_BYTES_MAX];
        uint64_t same;
        size_t len = decimal_of_u64(number, again);
        if (!decimal_to_u64(bytes_of(again, len), &same) || same != number)
            abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(bytes_of(data, size));
    uint8_t kind = reader_u8(&r);
    if (kind < 128) {
        fuzz_log(&r);
    } else if (kind < 192) {
        fuzz_form(&r);
    } else {
        unsigned scale = reader_u8(&r) % 77u;
        there_and_back(reader_rest(&r), scale);
    }
    return 0;
}
