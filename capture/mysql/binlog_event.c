/* Event headers and checksums: see binlog_event.h. */
#include "capture/mysql/binlog_event.h"

#include "base/hash.h"

#define CHECKSUM_OFF   0
#define CHECKSUM_CRC32 1

static bool
crc_matches(struct bytes event)
{
    if (event.n < BINLOG_HEADER + BINLOG_CHECKSUM)
        return false;
    struct bytes said = bytes_of(event.p + event.n - BINLOG_CHECKSUM, BINLOG_CHECKSUM);
    struct reader r = reader_of(said);
    return hash_crc32(0, bytes_of(event.p, event.n - BINLOG_CHECKSUM)) ==
           (uint32_t)reader_le(&r, 4);
}

MUST static bool
check_crc(struct bytes event, uint8_t type, struct err *e)
{
    return crc_matches(event) ||
           err_set(e, MR_SOURCE_CORRUPT, "checksum of an event of type %u does not match",
                   type);
}

/* The format description ends with the algorithm and, always, 4 checksum bytes (MySQL 5.6.1,
 * MariaDB 5.3 and later). */
MUST static bool
learn_format(struct binlog_event *ev, struct binlog_format *f, struct err *e)
{
    if (ev->body.n < 2 + 50 + 4 + 1 + 1 + BINLOG_CHECKSUM)
        return err_set(e, MR_SOURCE_CORRUPT, "a format description of %zu bytes", ev->body.n);
    uint8_t algorithm = ev->body.p[ev->body.n - BINLOG_CHECKSUM - 1];
    if (algorithm != CHECKSUM_OFF && algorithm != CHECKSUM_CRC32)
        return err_set(e, MR_SOURCE_EVENT, "checksum algorithm %u is not known", algorithm);
    f->checksum = algorithm == CHECKSUM_CRC32;
    f->known = true;
    ev->body.n -= BINLOG_CHECKSUM;
    return true;
}

bool
binlog_event_parse(struct bytes event, bool inner, struct binlog_format *f,
                   struct binlog_event *out, struct err *e)
{
    struct reader r = reader_of(event);
    out->timestamp = (uint32_t)reader_le(&r, 4);
    out->type = reader_u8(&r);
    out->server_id = (uint32_t)reader_le(&r, 4);
    out->length = (uint32_t)reader_le(&r, 4);
    out->next_pos = (uint32_t)reader_le(&r, 4);
    out->flags = (uint16_t)reader_le(&r, 2);
    if (r.failed || out->length != event.n || event.n > BINLOG_EVENT_MAX)
        return err_set(e, MR_SOURCE_CORRUPT, "an event of %zu bytes says it has %u", event.n,
                       out->length);
    out->body = reader_rest(&r);
    if (out->type == BINLOG_FORMAT)
        return learn_format(out, f, e) &&
               (!f->checksum || !f->verify || check_crc(event, out->type, e));
    if (inner || (f->known && !f->checksum) || (!f->known && !crc_matches(event)))
        return true;
    if (out->body.n < BINLOG_CHECKSUM)
        return err_set(e, MR_SOURCE_CORRUPT,
                       "an event of type %u without room for its checksum", out->type);
    out->body.n -= BINLOG_CHECKSUM;
    return !f->verify || check_crc(event, out->type, e);
}
