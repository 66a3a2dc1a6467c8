/* The change stream of a MySQL-family server: handshake, dump command, raw events.
 *
 * Handshake: checksums are announced, heartbeats every second, a reader uuid and id of our own;
 * semi-synchronous acknowledgement is never asked for, because ours would count as durable.
 * MySQL with GTIDs asks by set (COM_BINLOG_DUMP_GTID), everything else by file and position; a
 * position that holds a prepared XA transaction asks for the place where that begins.
 * Thread: the reader's; stream_stop from any. Durable: nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/mysql/source_private.h"
#include "db/mysql_raw.h"

#define READER_ID_FIRST      5400
#define READER_ID_COUNT      1001
#define READ_TIMEOUT_S       30 /* heartbeats come every second */
#define DUMP_THROUGH_GTID    4
#define ERROR_DUMP           1236
#define ERROR_MARIA_SAME_ID  4052
#define FIRST_EVENT_POSITION 4

struct source_stream {
    struct source *source;
    bool ahead; /* the second one of this source */
    struct mysql_conn *conn;
};

/* ---- who we are ---- */

/* Two streams of one id would end each other. */
static uint32_t
reader_id(const struct source_stream *st)
{
    char text[256];
    const struct source *s = st->source;
    if (s->conf.server_id)
        return s->conf.server_id + st->ahead;
    int n = snprintf(text, sizeof(text), "%s/%u", s->conf.task, s->conf.number);
    uint32_t hash = hash_crc32(0, bytes_of(text, n < 0 ? 0 : strlen(text)));
    uint32_t shift = atomic_load(&s->id_shift) * 7 + (st->ahead ? READER_ID_COUNT / 2 : 0);
    return READER_ID_FIRST + (hash + shift) % READER_ID_COUNT;
}

/* A uuid of task, source and id: the server ends an older stream with the same one, which can
 * only be ours. */
static void
reader_uuid(const struct source *s, uint32_t id, char out[37])
{
    char text[256], hex[65];
    uint8_t digest[32];
    snprintf(text, sizeof(text), "millrace/%s/%u/%" PRIu32, s->conf.task, s->conf.number, id);
    hash_sha256(bytes_str(text), digest);
    hex_encode(bytes_of(digest, sizeof(digest)), hex);
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* ---- opening ---- */

MUST static bool
handshake(struct source_stream *st, uint32_t id, struct err *e)
{
    char uuid[37];
    struct mysql_conn *c = st->conn;
    reader_uuid(st->source, id, uuid);
    if (!mysql_conn_execf(
            c, e,
            "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', "
            "@master_heartbeat_period = 1000000000, @source_heartbeat_period = 1000000000"))
        return false;
    if (st->source->info.flavor == FLAVOR_MARIADB)
        return mysql_conn_execf(c, e, "SET @mariadb_slave_capability = 4");
    return mysql_conn_execf(c, e, "SET @slave_uuid = '%s', @replica_uuid = '%s'", uuid, uuid);
}

static void
add_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_add_byte(b, (uint8_t)(v >> (8 * i)));
}

MUST static bool
ask(struct source_stream *st, const struct position *start, uint32_t id, struct err *e)
{
    struct buf b = {0}, set = {0};
    bool gtid = !st->ahead && atomic_load(&st->source->use_gtid) && !start->xa_file[0];
    if (gtid) {
        gtid_set_encode(start->gtid, &set);
        add_le(&b, DUMP_THROUGH_GTID, 2);
        add_le(&b, id, 4);
        add_le(&b, 0, 4); /* no file name */
        add_le(&b, FIRST_EVENT_POSITION, 8);
        add_le(&b, set.n, 4);
        buf_add_bytes(&b, buf_bytes(&set));
    } else {
        add_le(&b, start->pos, 4);
        add_le(&b, 0, 2);
        add_le(&b, id, 4);
        buf_add_str(&b, start->file);
    }
    bool ok = mysql_raw_send(
        st->conn, gtid ? MYSQL_COM_BINLOG_DUMP_GTID : MYSQL_COM_BINLOG_DUMP, buf_bytes(&b), e);
    buf_free(&b);
    buf_free(&set);
    return ok;
}

MUST static bool
begin(struct source_stream *st, const struct position *from, struct err *e)
{
    struct position start;
    uint32_t id = reader_id(st);
    position_init(&start, from->kind);
    bool ok = place_check(st->source, st->conn, from, &start, e) && handshake(st, id, e) &&
              ask(st, &start, id, e);
    if (ok)
        log_info("source_stream_open", F_STR("host", st->source->conf.uri->host),
                 F_U64("reader_id", id), F_STR("file", start.file), F_U64("pos", start.pos));
    position_free(&start);
    return ok;
}

MUST static bool
begin_ahead(struct source_stream *st, const struct position *from, struct err *e)
{
    uint32_t id = reader_id(st);
    if (from->pos > UINT32_MAX) /* the command has 32 bits */
        return err_set(e, MR_SOURCE_EVENT, "%s:%" PRIu64 " is above 4 GiB", from->file,
                       from->pos);
    return handshake(st, id, e) && ask(st, from, id, e);
}

bool
stream_open_ahead(struct source *s, const struct position *from, struct source_stream **out,
                  struct err *e)
{
    struct source_stream *st = mem_zalloc(sizeof(*st));
    st->source = s;
    st->ahead = true;
    if (!server_connect(s, READ_TIMEOUT_S, &st->conn, e) || !begin_ahead(st, from, e)) {
        stream_close(st);
        return false;
    }
    *out = st;
    return true;
}

bool
stream_open(struct source *s, const struct position *from, struct source_stream **out,
            struct err *e)
{
    struct source_stream *st = mem_zalloc(sizeof(*st));
    st->source = s;
    if (!server_connect(s, READ_TIMEOUT_S, &st->conn, e) || !begin(st, from, e)) {
        stream_close(st);
        return false;
    }
    *out = st;
    return true;
}

void
stream_stop(struct source_stream *st)
{
    mysql_conn_interrupt(st->conn);
}

void
stream_close(struct source_stream *st)
{
    if (!st)
        return;
    mysql_conn_close(st->conn);
    free(st);
}

/* ---- reading ---- */

/* One number, many causes: only the text tells (seen on MySQL 9.7, 8.0 and
 * MariaDB 10.11, 11.8). */
static const struct {
    const char *part;
    enum err_code code;
} dump_errors[] = {
    {"Could not find first log file", MR_SOURCE_PURGED},
    {"purged required binary logs", MR_SOURCE_PURGED},
    {"purged binary logs", MR_SOURCE_PURGED},
    {"Could not find GTID state", MR_SOURCE_PURGED},
    {"same server_uuid/server_id", MR_SOURCE_DUPLICATE_ID},
    {"same server_uuid", MR_SOURCE_DUPLICATE_ID},
    {"position > file size", MR_SOURCE_REWOUND},
    {"more GTIDs than", MR_SOURCE_REWOUND},
    {"not in the master's binlog", MR_SOURCE_REWOUND},
    {"bogus data in log event", MR_SOURCE_CORRUPT},
    {"exceeded max_allowed_packet", MR_SOURCE_CORRUPT},
    {"read error on log event", MR_SOURCE_CORRUPT},
    {"event read from binlog did not pass", MR_SOURCE_CORRUPT},
};

static bool
classify(struct source_stream *st, struct err *e)
{
    unsigned number = mysql_conn_errno(st->conn);
    enum err_code code = e->code;
    if (number == ERROR_MARIA_SAME_ID)
        code = MR_SOURCE_DUPLICATE_ID;
    for (size_t i = 0; number == ERROR_DUMP && i < ARRAY_LEN(dump_errors) && code == e->code;
         i++)
        if (strcasestr(e->text, dump_errors[i].part))
            code = dump_errors[i].code;
    if (code == MR_SOURCE_DUPLICATE_ID)
        atomic_fetch_add(&st->source->id_shift, 1);
    if (code == e->code)
        return false;
    struct err why = *e;
    return err_set(e, code, "%s", why.text);
}

bool
stream_read(struct source_stream *st, struct source_packet *out, struct err *e)
{
    struct bytes packet;
    if (!mysql_raw_read(st->conn, &packet, &out->more, e))
        return classify(st, e);
    if (packet.n == 0)
        return err_set(e, MR_SOURCE_LOST, "the server ended the stream");
    if (packet.n < 2 || packet.p[0] != 0)
        return err_set(e, MR_SOURCE_CORRUPT, "a packet of the stream begins with %u",
                       packet.p[0]);
    out->data = bytes_of(packet.p + 1, packet.n - 1);
    return true;
}
