/* The event switch, transactions and positions: see decoder.h. */
#include "capture/mysql/decoder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compress.h"
#include "base/mem.h"
#include "capture/mysql/decoder_private.h"

#define PAYLOAD_SIZE_FIELD        1
#define PAYLOAD_COMPRESSION_FIELD 2
#define PAYLOAD_RAW_SIZE_FIELD    3
#define PAYLOAD_ZSTD              0
#define PAYLOAD_NONE              255
#define PAYLOAD_MAX               (BUF_MAX - 1)

/* The server was asked for what a GTID set lacks; else for what stands behind a place. */
static bool
by_set(const struct binlog_decoder *d)
{
    return d->conf.flavor == FLAVOR_MYSQL && d->conf.use_gtid;
}

struct binlog_decoder *
binlog_decoder_new(const struct binlog_decoder_conf *conf, const struct position *from,
                   struct source_sink *sink)
{
    struct binlog_decoder *d = mem_zalloc(sizeof(*d));
    d->conf = *conf;
    d->sink = sink;
    d->format = (struct binlog_format){.verify = conf->verify_checksum};
    position_init(&d->position, from->kind);
    position_copy(&d->position, from);
    d->position.partial_count = 0;
    if (!conf->use_gtid && conf->flavor == FLAVOR_MYSQL) {
        gtid_set_free(d->position.gtid);
        d->position.gtid = NULL;
    }
    snprintf(d->file, sizeof(d->file), "%s", from->file);
    d->pos = from->pos;
    d->resume = !by_set(d) || from->xa_file[0];
    d->prepared = xa_store_new(conf->scratch, 0);
    arena_init(&d->scratch, 0);
    return d;
}

void
binlog_decoder_free(struct binlog_decoder *d)
{
    if (!d)
        return;
    decoder_tables_clear(d);
    xa_store_free(d->prepared);
    map_free(&d->bindings);
    arena_free(&d->scratch);
    buf_free(&d->inflated);
    position_free(&d->position);
    free(d->open);
    free(d->before);
    free(d->after);
    free(d);
}

const struct position *
binlog_decoder_position(const struct binlog_decoder *d)
{
    return &d->position;
}

void
binlog_decoder_place(const struct binlog_decoder *d, struct log_place *out)
{
    memcpy(out->file, d->file, sizeof(out->file));
    out->pos = d->pos;
}

void
binlog_decoder_forget(struct binlog_decoder *d, const struct source_name *name)
{
    decoder_tables_forget(d, name);
}

/* ---- transactions ---- */

/* A stream that begins before the position, for the rows of prepared XA transactions or because
 * the place cannot be asked for, repeats transactions that the position contains. By place they
 * are those that begin before it, until the first that does not; by set, those in it. */
static bool
repeats(struct binlog_decoder *d)
{
    const struct position *p = &d->position;
    if (!d->resume)
        return false;
    if (by_set(d))
        return d->gtid.text[0] && gtid_set_has(p->gtid, bytes_str(d->gtid.text));
    d->resume = position_compare_file(d->file, d->event_pos, p->file, p->pos) < 0;
    return d->resume;
}

bool
decoder_txn_begin(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    if (ev->type == BINLOG_QUERY ||
        ev->type == BINLOG_MARIA_QUERY_COMPRESSED) /* a server without GTID events */
        d->gtid = (struct binlog_gtid){.commit_us = ev->timestamp * UINT64_C(1000000)};
    if (d->conf.use_gtid && d->gtid.text[0])
        memcpy(d->txn_id, d->gtid.text, sizeof(d->txn_id));
    else
        snprintf(d->txn_id, sizeof(d->txn_id), "%s:%" PRIu64, d->file, d->event_pos);
    d->in_txn = true;
    d->began = d->rows_seen = false;
    d->xa = d->ended = NULL;
    d->skip = repeats(d);
    d->begin_pos = d->event_pos;
    d->first_row_pos = 0;
    d->open_count = 0;
    d->txn = (struct source_txn){
        .id = bytes_str(d->txn_id),
        .file = d->file,
        .pos = d->event_pos,
        .commit_us = d->gtid.commit_us,
        .server_id = ev->server_id,
    };
    return d->skip || d->sink->txn_begin(d->sink->ctx, &d->txn, e);
}

bool
decoder_txn_end(struct binlog_decoder *d, struct err *e)
{
    d->in_txn = d->began = false;
    d->open_count = 0;
    decoder_xa_settle(d);
    if (d->skip) {
        d->skip = false;
        return true;
    }
    if (d->position.gtid && d->gtid.text[0] &&
        !gtid_set_add(d->position.gtid, bytes_str(d->gtid.text), e))
        return false;
    memcpy(d->position.file, d->file, sizeof(d->file));
    d->position.pos = d->pos;
    return d->sink->txn_end(d->sink->ctx, &d->txn, e);
}

MUST static bool
close_empty(struct binlog_decoder *d, struct err *e)
{
    if (!d->in_txn)
        return true;
    if (d->rows_seen)
        return err_set(e, MR_SOURCE_CORRUPT,
                       "transaction %s, which begins at %" PRIu64
                       ", has no end: the server died while it wrote it",
                       d->txn_id, d->begin_pos);
    return decoder_txn_end(d, e);
}

MUST static bool
on_gtid(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    if (!close_empty(d, e) || !binlog_gtid_parse(ev, &d->gtid, e) ||
        !decoder_txn_begin(d, ev, e))
        return false;
    d->began = ev->type == BINLOG_MARIA_GTID && !d->gtid.standalone;
    return !d->gtid.prepares.n || decoder_xa_start(d, &d->gtid.prepares, e);
}

/* ---- files ---- */

/* Between transactions. */
static void
moved(struct binlog_decoder *d)
{
    struct position *p = &d->position;
    if (d->resume && position_compare_file(d->file, d->pos, p->file, p->pos) < 0)
        return;
    memcpy(p->file, d->file, sizeof(p->file));
    p->pos = d->pos;
}

MUST static bool
on_rotate(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    struct reader r = reader_of(ev->body);
    uint64_t pos = reader_le(&r, 8);
    struct bytes file = reader_rest(&r);
    /* the first, artificial one may carry a checksum that no format description has announced
     * yet */
    if (r.failed || file.n == 0 || file.n >= sizeof(d->file))
        return err_set(e, MR_SOURCE_CORRUPT, "a ROTATE event cannot be read");
    if (!close_empty(d, e))
        return false;
    memcpy(d->file, file.p, file.n);
    d->file[file.n] = 0;
    d->pos = pos;
    return true;
}

MUST static bool
on_format(struct binlog_decoder *d, struct err *e)
{
    d->open_count = 0;
    return close_empty(d, e);
}

/* ---- payloads ---- */

struct payload {
    uint64_t compression;
    uint64_t raw_size;
    struct bytes data;
};

/* (field, length, value) until field 0, then the data. */
MUST static bool
payload_parse(struct bytes body, struct payload *out, struct err *e)
{
    struct reader r = reader_of(body);
    uint64_t size = 0, field;
    *out = (struct payload){.compression = PAYLOAD_NONE};
    while ((field = reader_lenenc(&r)) != 0 && !r.failed) {
        struct reader v = reader_of(reader_take(&r, reader_lenenc(&r)));
        if (field == PAYLOAD_SIZE_FIELD)
            size = reader_lenenc(&v);
        else if (field == PAYLOAD_COMPRESSION_FIELD)
            out->compression = reader_lenenc(&v);
        else if (field == PAYLOAD_RAW_SIZE_FIELD)
            out->raw_size = reader_lenenc(&v);
        r.failed = r.failed || v.failed;
    }
    out->data = reader_take(&r, size);
    return !r.failed ||
           err_set(e, MR_SOURCE_CORRUPT, "a TRANSACTION_PAYLOAD event is cut short");
}

/* The place the server waits at, when it has sent (or left out, by GTID) all before it.
 * v1: the header's position and the file's name as the body; v2: fields of type, length,
 * value: 1 file, 2 position (libbinlogevents, Heartbeat_event_v2). */
static uint64_t
heartbeat_pos(const struct binlog_decoder *d, const struct binlog_event *ev)
{
    struct bytes file = ev->body;
    uint64_t pos = (d->pos & ~(uint64_t)UINT32_MAX) | ev->next_pos;
    struct reader r = reader_of(ev->body);
    while (ev->type == BINLOG_HEARTBEAT_V2 && reader_left(&r) > 0 && !r.failed) {
        uint8_t field = reader_u8(&r);
        if (field == 0)
            break;
        struct bytes value = reader_lenenc_bytes(&r);
        struct reader v = reader_of(value);
        if (field == 1)
            file = value;
        else if (field == 2)
            pos = reader_lenenc(&v);
    }
    return !r.failed && bytes_eq(file, bytes_str(d->file)) ? pos : 0;
}

static bool
on_heartbeat(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    if (d->in_txn)
        return true;
    uint64_t pos = heartbeat_pos(d, ev);
    if (pos > d->pos)
        d->pos = pos;
    moved(d);
    return d->sink->heartbeat(d->sink->ctx, e);
}

static bool
dispatch(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);

MUST static bool
inner_events(struct binlog_decoder *d, struct bytes data, struct err *e)
{
    struct reader r = reader_of(data);
    while (reader_left(&r)) {
        struct reader head = r;
        struct binlog_event ev;
        reader_take(&head, 9);
        struct bytes event = reader_take(&r, reader_le(&head, 4));
        if (head.failed || r.failed)
            return err_set(e, MR_SOURCE_CORRUPT, "a transaction payload is cut short");
        if (!binlog_event_parse(event, true, &d->format, &ev, e) || !dispatch(d, &ev, e))
            return false;
    }
    return true;
}

MUST static bool
on_payload(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    struct payload p;
    struct buf raw = {0};
    if (d->depth)
        return err_set(e, MR_SOURCE_CORRUPT, "a payload inside a payload");
    if (!payload_parse(ev->body, &p, e))
        return false;
    if (p.compression != PAYLOAD_ZSTD && p.compression != PAYLOAD_NONE)
        return err_set(e, MR_SOURCE_EVENT, "transaction compression %" PRIu64 " is not known",
                       p.compression);
    bool ok = true;
    if (p.compression == PAYLOAD_ZSTD) {
        size_t max = p.raw_size < PAYLOAD_MAX ? (size_t)p.raw_size : PAYLOAD_MAX;
        ok = decompress_zstd(p.data, max, &raw, e) ||
             err_set(e, MR_SOURCE_CORRUPT, "a transaction payload cannot be decompressed");
        p.data = buf_bytes(&raw);
    }
    d->depth = 1;
    ok = ok && inner_events(d, p.data, e);
    d->depth = 0;
    buf_free(&raw);
    return ok;
}

/* ---- the switch ---- */

MUST static bool
on_other(const struct binlog_event *ev, struct err *e)
{
    switch (ev->type) {
    case BINLOG_STOP:
    case BINLOG_INTVAR:
    case BINLOG_RAND:
    case BINLOG_USER_VAR:
    case BINLOG_BEGIN_LOAD_QUERY:
    case BINLOG_APPEND_BLOCK:
    case BINLOG_DELETE_FILE:
    case BINLOG_IGNORABLE_EVENT:
    case BINLOG_ROWS_QUERY:
    case BINLOG_PREVIOUS_GTIDS:
    case BINLOG_TRANSACTION_CONTEXT:
    case BINLOG_VIEW_CHANGE:
    case BINLOG_MARIA_ANNOTATE:
    case BINLOG_MARIA_CHECKPOINT:
    case BINLOG_MARIA_GTID_LIST:
    case BINLOG_MARIA_START_ENCRYPTION:
        return true;
    case BINLOG_LOAD_OLD:
    case BINLOG_CREATE_FILE:
    case BINLOG_EXEC_LOAD:
    case BINLOG_NEW_LOAD:
    case BINLOG_EXECUTE_LOAD_QUERY:
        return err_set(e, MR_SOURCE_STATEMENT, "LOAD DATA was logged as a statement");
    case BINLOG_INCIDENT:
        return err_set(e, MR_SOURCE_EVENT,
                       "INCIDENT: the server lost changes before it could log them");
    default:
        if (ev->flags & BINLOG_IGNORABLE)
            return true;
        return err_set(e, MR_SOURCE_EVENT, "event type %u is not known", ev->type);
    }
}

static bool
dispatch(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    switch (ev->type) {
    case BINLOG_TABLE_MAP:
        return d->xa     ? decoder_xa_hold(d, ev, e)
               : d->skip ? true
                         : decoder_table_map(d, ev->body, e);
    case BINLOG_WRITE_ROWS:
    case BINLOG_UPDATE_ROWS:
    case BINLOG_DELETE_ROWS:
    case BINLOG_PARTIAL_UPDATE_ROWS:
    case BINLOG_WRITE_ROWS_V1:
    case BINLOG_UPDATE_ROWS_V1:
    case BINLOG_DELETE_ROWS_V1:
    case BINLOG_MARIA_WRITE_ROWS_COMPRESSED:
    case BINLOG_MARIA_UPDATE_ROWS_COMPRESSED:
    case BINLOG_MARIA_DELETE_ROWS_COMPRESSED:
        return d->xa ? decoder_xa_hold(d, ev, e) : d->skip ? true : decoder_rows(d, ev, e);
    case BINLOG_QUERY:
    case BINLOG_MARIA_QUERY_COMPRESSED:
        return decoder_query(d, ev, e);
    case BINLOG_XID:
        return !d->in_txn || decoder_txn_end(d, e);
    case BINLOG_XA_PREPARE:
        return decoder_xa_prepare(d, ev, e);
    case BINLOG_GTID:
    case BINLOG_ANONYMOUS_GTID:
    case BINLOG_GTID_TAGGED:
    case BINLOG_MARIA_GTID:
        return on_gtid(d, ev, e);
    case BINLOG_ROTATE:
        return on_rotate(d, ev, e);
    case BINLOG_FORMAT:
        return on_format(d, e);
    case BINLOG_TRANSACTION_PAYLOAD:
        return on_payload(d, ev, e);
    case BINLOG_HEARTBEAT:
    case BINLOG_HEARTBEAT_V2:
        return on_heartbeat(d, ev, e);
    default:
        return on_other(ev, e);
    }
}

/* What is made for this reader alone has no place in the file. */
static bool
in_file(const struct binlog_decoder *d, const struct binlog_event *ev)
{
    if (ev->flags & BINLOG_ARTIFICIAL || ev->type == BINLOG_HEARTBEAT ||
        ev->type == BINLOG_HEARTBEAT_V2)
        return false;
    return ev->type != BINLOG_FORMAT || (d->pos <= BINLOG_FIRST_POS && ev->next_pos);
}

/* The header knows the low 32 bits of the next position (0: nothing): the value nearest to our
 * sum is meant. */
static void
advance(struct binlog_decoder *d, const struct binlog_event *ev)
{
    const uint64_t wrap = UINT64_C(1) << 32;
    uint64_t end = d->pos + ev->length;
    if (ev->next_pos) {
        uint64_t said = (end & ~(wrap - 1)) | ev->next_pos;
        if (said + wrap / 2 < end)
            said += wrap;
        else if (said > end + wrap / 2 && said >= wrap)
            said -= wrap;
        end = said;
    }
    d->event_pos = end >= ev->length ? end - ev->length : 0;
    d->pos = end;
}

/* The first ROTATE follows the negotiated checksum only if the server has one: tell by the file
 * name's end. */
bool
binlog_decoder_feed(struct binlog_decoder *d, struct bytes event, struct err *e)
{
    struct binlog_event ev;
    arena_reset(&d->scratch);
    if (!binlog_event_parse(event, false, &d->format, &ev, e))
        return err_wrap(e, "%s:%" PRIu64, d->file, d->pos);
    if (in_file(d, &ev))
        advance(d, &ev);
    if (!dispatch(d, &ev, e))
        return err_wrap(e, "%s:%" PRIu64, d->file, d->event_pos);
    if (!d->in_txn)
        moved(d);
    return true;
}
