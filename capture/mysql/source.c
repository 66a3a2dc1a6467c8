/* The MySQL family as a source: the table of functions, and the decoder's place in it. */
#include "capture/source.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "capture/mysql/fence.h"
#include "capture/mysql/source_private.h"

struct source_decoder {
    struct binlog_decoder *binlog;
    struct fence *fence;
    bool ahead; /* the fence may hold a connection */
};

static const struct source_info *
source_mysql_info(const struct source *s)
{
    return &s->info;
}

static bool
look_up(void *ctx, const struct source_name *name, bool prove, struct definition *out,
        struct err *e)
{
    struct source_decoder *d = ctx;
    struct fence_place at;
    const struct position *whole = binlog_decoder_position(d->binlog);
    memcpy(at.boundary.file, whole->file, sizeof(at.boundary.file));
    at.boundary.pos = whole->pos;
    binlog_decoder_place(d->binlog, &at.at);
    d->ahead = d->ahead || prove;
    return fence_define(d->fence, name, prove ? &at : NULL, out, e);
}

MUST static bool
define(struct source *s, struct source_decoder *d, const struct source_name *name,
       struct definition *out, struct err *e)
{
    if (d)
        return look_up(d, name, true, out, e);
    struct fence *f = fence_new(s);
    bool ok = fence_define(f, name, NULL, out, e);
    fence_free(f);
    return ok;
}

static bool
source_mysql_describe(struct source *s, struct source_decoder *d,
                      const struct source_name *name, struct source_definition *out,
                      struct err *e)
{
    struct definition now;
    *out = (struct source_definition){0};
    if (!define(s, d, name, &now, e))
        return false;
    out->table = now.table;
    out->proved = now.proved;
    memcpy(out->why, now.why, sizeof(out->why));
    return true;
}

/* The decoder and the stream must take the same way: by GTID set or by file. */
static bool
source_mysql_decoder_new(struct source *s, const struct position *from,
                         struct source_sink *sink, struct source_decoder **out, struct err *e)
{
    bool maria = s->info.flavor == FLAVOR_MARIADB;
    if (from->kind != s->info.kind)
        return err_set(e, MR_SOURCE_IDENTITY, "the kept position is of another kind of server");
    struct binlog_decoder_conf conf = {
        .flavor = s->info.flavor,
        .collations = &s->collations,
        .verify_checksum = s->conf.verify_checksum,
        .use_gtid = from->gtid && s->info.gtid,
        .fold_names = s->fold_names,
        .scratch = s->conf.scratch,
        .lookup = look_up,
    };
    if (!maria)
        atomic_store(&s->use_gtid, conf.use_gtid);
    struct source_decoder *d = mem_zalloc(sizeof(*d));
    conf.lookup_ctx = d;
    d->fence = fence_new(s);
    d->binlog = binlog_decoder_new(&conf, from, sink);
    *out = d;
    return true;
}

static void
source_mysql_decoder_free(struct source_decoder *d)
{
    if (!d)
        return;
    binlog_decoder_free(d->binlog);
    fence_free(d->fence);
    free(d);
}

static bool
source_mysql_decode(struct source_decoder *d, struct bytes packet, struct err *e)
{
    if (d->ahead)
        fence_rest(d->fence);
    d->ahead = false;
    return binlog_decoder_feed(d->binlog, packet, e);
}

static const struct position *
source_mysql_position(const struct source_decoder *d)
{
    return binlog_decoder_position(d->binlog);
}

static void
source_mysql_forget(struct source_decoder *d, const struct source_name *name)
{
    binlog_decoder_forget(d->binlog, name);
}

/* "file:pos" is where a transaction begins, a mark lies between transactions: it covers what
 * begins before it. MariaDB's marks have no GTIDs: use the place of the transaction's begin
 * instead. */
static bool
source_mysql_covers(const struct position *mark, struct bytes txn_id)
{
    char id[TXN_ID_MAX];
    uint64_t pos;
    if (txn_id.n >= sizeof(id))
        return false;
    memcpy(id, txn_id.p, txn_id.n);
    id[txn_id.n] = 0;
    if (mark->gtid && gtid_set_has(mark->gtid, txn_id))
        return true;
    char *colon = strrchr(id, ':');
    if (!colon || !mark->file[0] || !text_u64(colon + 1, &pos))
        return false;
    *colon = 0;
    return position_compare_file(id, pos, mark->file, mark->pos) < 0;
}

const struct source_ops source_mysql = {
    .schemes = "mysql mariadb",
    .open = server_open,
    .close = server_close,
    .info = source_mysql_info,
    .position_now = place_now,
    .list_tables = server_list_tables,
    .describe = source_mysql_describe,
    .stream_open = stream_open,
    .stream_read = stream_read,
    .stream_stop = stream_stop,
    .stream_close = stream_close,
    .decoder_new = source_mysql_decoder_new,
    .decoder_free = source_mysql_decoder_free,
    .decode = source_mysql_decode,
    .decoder_position = source_mysql_position,
    .decoder_forget = source_mysql_forget,
    .loader_open = loader_open,
    .loader_stop = loader_stop,
    .loader_close = loader_close,
    .mark = loader_mark,
    .chunk = chunk_read,
    .snapshot = snapshot_open,
    .snapshot_end = snapshot_close,
    .estimate = loader_estimate,
    .mark_covers_txn = source_mysql_covers,
};
