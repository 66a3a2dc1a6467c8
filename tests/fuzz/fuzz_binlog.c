/* Fuzz: any bytes as a stream of events. Input: (type 1, body length 2 little-endian, body)*;
 * headers are made here, so that the fuzzer need not learn lengths and checksums. */
#include "support/decoder_world.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    struct position from;
    struct err e;
    bool maria = size & 1, ok = true;
    position_init(&from, maria ? POSITION_MARIADB : POSITION_MYSQL);
    from.gtid = gtid_set_new(maria ? GTID_MARIADB : GTID_MYSQL);
    world_open_at(&w, maria ? FLAVOR_MARIADB : FLAVOR_MYSQL, &from);
    w.tolerant = true;
    struct reader r = reader_of(bytes_of(data, size));
    while (ok && reader_left(&r)) {
        uint8_t type = reader_u8(&r);
        struct bytes body = reader_take(&r, reader_le(&r, 2));
        ok = !r.failed && world_feed(&w, type, 0, 0, body, &e);
        arena_reset(&w.arena);
    }
    world_close(&w);
    position_free(&from);
    return 0;
}
