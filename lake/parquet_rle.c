/* Run lengths and bit packing. */
#include "lake/parquet_rle.h"

#include "lake/thrift.h"

#define RUN_MIN 8 /* shorter runs are packed */

static size_t
run_of(const uint32_t *v, size_t n)
{
    size_t r = 1;
    while (r < n && v[r] == v[0])
        r++;
    return r;
}

static void
put_run(uint32_t v, size_t n, unsigned width, struct buf *out)
{
    thrift_varint(out, (uint64_t)n << 1);
    for (unsigned i = 0; i < (width + 7) / 8; i++)
        buf_add_byte(out, (uint8_t)(v >> (8 * i)));
}

/* n values, zeros after them up to whole groups of eight. */
static void
put_packed(const uint32_t *v, size_t n, unsigned width, struct buf *out)
{
    size_t groups = (n + 7) / 8;
    thrift_varint(out, (uint64_t)groups << 1 | 1);
    uint8_t *p = buf_reserve(out, groups * width + 8);
    uint64_t acc = 0;
    unsigned bits = 0;
    if (!p)
        return;
    for (size_t i = 0; i < groups * 8; i++) {
        acc |= (uint64_t)(i < n ? v[i] : 0) << bits;
        bits += width;
        if (bits >= 32) {
            uint32_t low = (uint32_t)acc;
            memcpy(p, &low, 4);
            p += 4;
            acc >>= 32;
            bits -= 32;
        }
    }
    memcpy(p, &acc, 8);
    out->n += groups * width;
}

/* Values that belong into one packed run: up to a run that begins at a group's border. */
static size_t
packed_length(const uint32_t *v, size_t n)
{
    size_t at = 8;
    while (at < n &&
           (v[at] != v[at + 1 < n ? at + 1 : at] || run_of(v + at, n - at) < 2 * RUN_MIN))
        at += 8;
    return at < n ? at : n;
}

void
parquet_rle_put(const uint32_t *v, size_t n, unsigned width, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        size_t run = run_of(v + i, n - i);
        if (run >= RUN_MIN || run == n - i) {
            put_run(v[i], run, width, out);
        } else {
            run = packed_length(v + i, n - i);
            put_packed(v + i, run, width, out);
        }
        i += run;
    }
}

void
parquet_rle_put_bits(const uint8_t *bits, size_t n, size_t ones, struct buf *out)
{
    if (ones == 0 || ones == n) {
        put_run(ones != 0, n, 1, out);
        return;
    }
    thrift_varint(out, (uint64_t)((n + 7) / 8) << 1 | 1);
    buf_add(out, bits, (n + 7) / 8);
}

static bool
get_packed(struct reader *r, size_t values, unsigned width, uint32_t *out, size_t n)
{
    struct bytes b = reader_take(r, values / 8 * width);
    uint64_t acc = 0, mask = ((uint64_t)1 << width) - 1;
    unsigned bits = 0;
    size_t at = 0;
    if (r->failed)
        return false;
    for (size_t i = 0; i < n; i++) {
        while (bits < width) {
            acc |= (uint64_t)b.p[at++] << bits;
            bits += 8;
        }
        out[i] = (uint32_t)(acc & mask);
        acc >>= width;
        bits -= width;
    }
    return true;
}

static uint64_t
get_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t c = reader_u8(r);
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return v;
    }
    r->failed = true;
    return 0;
}

static bool
get_run(struct reader *r, unsigned width, uint32_t *out, size_t n)
{
    unsigned bytes = (width + 7) / 8;
    uint32_t v = bytes ? (uint32_t)reader_le(r, bytes) : 0;
    if (r->failed)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = v;
    return true;
}

bool
parquet_rle_get(struct reader *r, unsigned width, uint64_t limit, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint64_t head = get_varint(r);
        uint64_t run = head & 1 ? (head >> 1) * 8 : head >> 1;
        size_t take = run < n - i ? (size_t)run : n - i;
        if (r->failed || run == 0 || width > 32)
            return false;
        if (!(head & 1 ? get_packed(r, (size_t)run, width, out + i, take)
                       : get_run(r, width, out + i, take)))
            return false;
        i += take;
    }
    for (size_t i = 0; i < n; i++)
        if (out[i] >= limit)
            return false;
    return true;
}
