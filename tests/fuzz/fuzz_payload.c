/* Fuzz: what is compressed in the log. First byte: 0 the rest is the body of a
 * TRANSACTION_PAYLOAD event; 1 it is a payload's content, (type 1, body length 2 little-endian,
 * body)*, compressed here; else it is the rows of MariaDB's compressed event, compressed here,
 * or with an even byte as they are. */
#include "base/compress.h"
#include "base/mem.h"
#include "support/decoder_world.h"

static void
put_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_add_byte(b, (uint8_t)(v >> (8 * i)));
}

/* Events with headers, as they stand in a payload. */
static void
events_of(struct bytes in, struct buf *out)
{
    struct reader r = reader_of(in);
    while (reader_left(&r) && !r.failed) {
        uint8_t type = reader_u8(&r);
        struct bytes body = reader_take(&r, reader_le(&r, 2));
        put_le(out, 0, 4);
        buf_add_byte(out, type);
        put_le(out, 1, 4);
        put_le(out, BINLOG_HEADER + body.n, 4);
        put_le(out, 0, 6);
        buf_add_bytes(out, body);
    }
}

static void
payload_of(struct bytes in, struct buf *out)
{
    struct buf raw = {0}, packed = {0};
    struct err e;
    events_of(in, &raw);
    if (!compress_zstd(buf_bytes(&raw), 1, &packed, &e))
        mem_die("%s", e.text);
    static const uint8_t zstd[] = {2, 1, 0, 3, 9, 0xfe}, stored[] = {1, 9, 0xfe};
    buf_add(out, zstd, sizeof(zstd));
    put_le(out, raw.n, 8);
    buf_add(out, stored, sizeof(stored));
    put_le(out, packed.n, 8);
    buf_add_byte(out, 0);
    buf_add_bytes(out, buf_bytes(&packed));
    buf_free(&raw);
    buf_free(&packed);
}

/* WRITE_ROWS of table 42 with one column, rows behind a length and deflated. */
static void
rows_of(struct bytes in, bool pack, struct buf *out)
{
    static const uint8_t head[] = {42, 0, 0, 0, 0, 0, 1, 0, 1, 0xff};
    struct buf packed = {0};
    struct err e;
    buf_add(out, head, sizeof(head));
    if (!pack) {
        buf_add_bytes(out, in);
        return;
    }
    if (!compress_zlib(in, 1, &packed, &e))
        mem_die("%s", e.text);
    buf_add_byte(out, 0x84);
    for (unsigned i = 4; i-- > 0;)
        buf_add_byte(out, (uint8_t)(in.n >> (8 * i)));
    buf_add_bytes(out, buf_bytes(&packed));
    buf_free(&packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    struct buf begin = {0}, body = {0};
    struct err e;
    if (size == 0)
        return 0;
    struct bytes rest = bytes_of(data + 1, size - 1);
    bool payload = data[0] < 2;
    world_open(&w, payload ? FLAVOR_MYSQL : FLAVOR_MARIADB, "b.000001", 4);
    w.tolerant = true;
    world_must_feed(&w, BINLOG_QUERY, 0, world_query(&begin, "BEGIN"));
    world_must_feed(&w, BINLOG_TABLE_MAP, 0, bytes_of(world_table_map, WORLD_TABLE_MAP));
    if (data[0] == 0)
        buf_add_bytes(&body, rest);
    else if (data[0] == 1)
        payload_of(rest, &body);
    else
        rows_of(rest, data[0] & 1, &body);
    uint8_t type = payload ? BINLOG_TRANSACTION_PAYLOAD : BINLOG_MARIA_WRITE_ROWS_COMPRESSED;
    if (!world_feed(&w, type, 0, 0, buf_bytes(&body), &e))
        arena_reset(&w.arena);
    buf_free(&begin);
    buf_free(&body);
    world_close(&w);
    return 0;
}
