/* Fuzz: any bytes as a stream of events. Input: (type 1, body length 2 little-endian, body)*;
 * headers are made here, so that the fuzzer need not learn lengths and checksums. */
#include <stdlib.h>

#include "capture/mysql/binlog_event.h"
#include "capture/mysql/decoder.h"
#include "support/binlog_support.h"

static struct collations collations;
static struct arena arena;

struct tables {
    struct table *last;
};

static bool
on_txn(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)ctx;
    (void)txn;
    (void)e;
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)name;
    (void)e;
    struct tables *t = ctx;
    *out = (struct source_known){.wanted = true, .table = t->last};
    return true;
}

static bool
on_version(void *ctx, struct table *version, void **user, struct err *e)
{
    (void)user;
    (void)e;
    struct tables *t = ctx;
    table_unref(t->last);
    t->last = version;
    return true;
}

/* Reads every byte a cell shows. */
static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)ctx;
    (void)e;
    size_t n = rows->table->column_count;
    for (uint32_t i = 0; i < rows->count && i < 4; i++) {
        json_free(support_row(rows->table, rows->before ? rows->before + i * n : NULL));
        json_free(support_row(rows->table, rows->after ? rows->after + i * n : NULL));
    }
    return true;
}

static bool
on_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)sql;
    (void)e;
    return true;
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)ctx;
    (void)ddl;
    (void)e;
    return true;
}

static bool
on_heartbeat(void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    return true;
}

static bool
on_missed(void *ctx, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)sql;
    (void)e;
    return true;
}

static bool
on_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
               struct err *e)
{
    (void)ctx;
    (void)name;
    (void)user;
    (void)why;
    (void)e;
    return true;
}

static bool
no_definition(void *ctx, const struct source_name *name, enum definition_kind *kind,
              struct table **out, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)e;
    *kind = DEFINITION_NONE;
    *out = NULL;
    return true;
}

/* Feeds one event; false at the end of the input or at an error. */
static bool
feed_one(struct binlog_decoder *d, struct reader *r)
{
    struct err e;
    struct buf event = {0};
    uint8_t type = reader_u8(r);
    struct bytes body = reader_take(r, reader_le(r, 2));
    if (r->failed)
        return false;
    uint32_t n = (uint32_t)(BINLOG_HEADER + body.n);
    uint8_t header[BINLOG_HEADER] = {
        0, 0, 0, 0, type, 1, 0, 0, 0, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)};
    buf_add(&event, header, sizeof(header));
    buf_add_bytes(&event, body);
    bool ok = binlog_decoder_feed(d, buf_bytes(&event), &e);
    arena_reset(&arena);
    buf_free(&event);
    return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tables tables = {0};
    struct position from;
    struct source_sink sink = {&tables,    &arena,       on_txn,         on_table,
                               on_version, on_rows,      on_truncate,    on_ddl,
                               on_txn,     on_heartbeat, on_table_error, on_missed};
    if (!collations.by_id)
        support_collations(&collations);
    struct binlog_decoder_conf conf = {
        .flavor = size & 1 ? FLAVOR_MARIADB : FLAVOR_MYSQL,
        .collations = &collations,
        .use_gtid = true,
        .scratch = "/tmp",
        .lookup = no_definition,
    };
    position_init(&from, conf.flavor == FLAVOR_MYSQL ? POSITION_MYSQL : POSITION_MARIADB);
    from.gtid = gtid_set_new(conf.flavor == FLAVOR_MYSQL ? GTID_MYSQL : GTID_MARIADB);
    struct binlog_decoder *d = binlog_decoder_new(&conf, &from, &sink);
    struct reader r = reader_of(bytes_of(data, size));
    while (feed_one(d, &r))
        ;
    binlog_decoder_free(d);
    position_free(&from);
    table_unref(tables.last);
    return 0;
}
