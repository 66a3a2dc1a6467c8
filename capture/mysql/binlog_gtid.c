/* Events that begin a transaction: see binlog_gtid.h. */
#include "capture/mysql/binlog_gtid.h"

#include "schema/number_text.h"

#define TAG_MAX           32
#define LOGICAL_CLOCK     2
#define COMMIT_TIME_BYTES 7
#define HAS_ORIGINAL_TIME ((uint64_t)1 << 55)
#define SECOND_US         UINT64_C(1000000)

enum tagged_field {
    TAGGED_FLAGS = 0,
    TAGGED_UUID = 1,
    TAGGED_NUMBER = 2,
    TAGGED_TAG = 3,
    TAGGED_LAST_COMMITTED = 4,
    TAGGED_SEQUENCE = 5,
    TAGGED_COMMIT_TIME = 6,
};

enum maria_flag {
    MARIA_STANDALONE = 1,
    MARIA_GROUP_COMMIT = 2,
    MARIA_PREPARED_XA = 64,
    MARIA_COMPLETED_XA = 128,
};

enum maria_extra_flag { MARIA_START_ALTER = 2, MARIA_ROLLBACK_ALTER = 8 };

/* uuid[:tag]:number; a tag has at most TAG_MAX bytes, so there is room for all of it. */
static void
put_text(struct binlog_gtid *out, const uint8_t uuid[16], struct bytes tag, uint64_t number)
{
    char *o = out->text;
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *o++ = '-';
        *o++ = "0123456789abcdef"[uuid[i] >> 4];
        *o++ = "0123456789abcdef"[uuid[i] & 15];
    }
    if (tag.n) {
        *o++ = ':';
        memcpy(o, tag.p, tag.n);
        o += tag.n;
    }
    *o++ = ':';
    *number_put_u64(o, number) = 0;
}

static void
parse_mysql(const struct binlog_event *ev, struct reader *r, struct binlog_gtid *out)
{
    reader_u8(r);
    struct bytes uuid = reader_take(r, 16);
    uint64_t number = reader_le(r, 8);
    if (r->failed || !uuid.p)
        return;
    if (ev->type == BINLOG_GTID)
        put_text(out, uuid.p, (struct bytes){0}, number);
    if (reader_left(r) < 1 || reader_u8(r) != LOGICAL_CLOCK)
        return;
    reader_take(r, 16);
    if (reader_left(r) >= COMMIT_TIME_BYTES)
        out->commit_us = reader_le(r, COMMIT_TIME_BYTES) & ~HAS_ORIGINAL_TIME;
}

static uint64_t
varint(struct reader *r)
{
    uint8_t first = reader_u8(r);
    unsigned extra = 0;
    while (extra < 8 && (first >> extra & 1))
        extra++;
    if (extra == 8)
        return reader_le(r, 8);
    uint64_t high = extra ? reader_le(r, extra) : 0;
    return (high << 8 | first) >> (extra + 1);
}

/* Signed numbers carry their sign in the lowest bit; none of ours is negative. */
static void
parse_tagged(struct reader *r, struct binlog_gtid *out)
{
    uint8_t uuid[16] = {0};
    struct bytes tag = {0};
    uint64_t number = 0;
    varint(r); /* version */
    varint(r); /* size */
    varint(r); /* last field that must be understood */
    while (reader_left(r) && !r->failed) {
        uint64_t field = varint(r);
        if (field > TAGGED_COMMIT_TIME)
            break;
        if (field == TAGGED_UUID)
            for (unsigned i = 0; i < sizeof(uuid); i++)
                uuid[i] = (uint8_t)varint(r);
        else if (field == TAGGED_TAG)
            tag = reader_take(r, varint(r));
        else if (field == TAGGED_NUMBER)
            number = varint(r) >> 1;
        else if (field == TAGGED_COMMIT_TIME)
            out->commit_us = varint(r);
        else
            varint(r);
    }
    if (tag.n > TAG_MAX || number == 0)
        r->failed = true;
    if (!r->failed)
        put_text(out, uuid, tag, number);
}

static void
parse_maria(const struct binlog_event *ev, struct reader *r, struct binlog_gtid *out)
{
    uint64_t number = reader_le(r, 8);
    uint32_t domain = (uint32_t)reader_le(r, 4);
    uint8_t flags = reader_u8(r);
    if (flags & MARIA_GROUP_COMMIT)
        reader_take(r, 8);
    if (flags & (MARIA_PREPARED_XA | MARIA_COMPLETED_XA)) {
        struct binlog_xid id;
        if (!binlog_xid_read(r, &id))
            return;
        if (flags & MARIA_PREPARED_XA)
            out->prepares = id;
    }
    uint8_t extra = reader_left(r) ? reader_u8(r) : 0;
    out->standalone = flags & MARIA_STANDALONE;
    out->repeats_ddl = extra & (MARIA_START_ALTER | MARIA_ROLLBACK_ALTER);
    char *o = number_put_u64(out->text, domain);
    *o++ = '-';
    o = number_put_u64(o, ev->server_id);
    *o++ = '-';
    *number_put_u64(o, number) = 0;
}

bool
binlog_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out, struct err *e)
{
    struct reader r = reader_of(ev->body);
    out->text[0] = 0;
    out->standalone = out->repeats_ddl = false;
    out->prepares.n = 0;
    out->commit_us = 0;
    if (ev->type == BINLOG_MARIA_GTID)
        parse_maria(ev, &r, out);
    else if (ev->type == BINLOG_GTID_TAGGED)
        parse_tagged(&r, out);
    else
        parse_mysql(ev, &r, out);
    if (r.failed)
        return err_set(e, MR_SOURCE_CORRUPT, "a GTID event (type %u) cannot be read", ev->type);
    if (!out->commit_us)
        out->commit_us = ev->timestamp * SECOND_US;
    return true;
}
