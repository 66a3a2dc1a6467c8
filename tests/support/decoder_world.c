/* See decoder_world.h. */
#include "support/decoder_world.h"

#include <stdio.h>

#include "base/mem.h"
#include "support/binlog_support.h"

#define ROWS_READ 4 /* of a group, every byte of their cells */

static bool
on_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)e;
    struct world *w = ctx;
    w->begins++;
    buf_addf(&w->told, "begin %.*s;", (int)txn->id.n, (const char *)txn->id.p);
    snprintf(w->last_id, sizeof(w->last_id), "%.*s", (int)txn->id.n, (const char *)txn->id.p);
    return true;
}

static bool
on_end(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)txn;
    (void)e;
    struct world *w = ctx;
    w->ends++;
    buf_add_str(&w->told, "end;");
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)name;
    (void)e;
    struct world *w = ctx;
    *out = (struct source_known){
        .wanted = !w->unwanted, .table = w->table, .unproved = w->unproved};
    return true;
}

static bool
on_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)user;
    (void)e;
    struct world *w = ctx;
    table_unref(w->table);
    w->table = t;
    w->unproved = false;
    return true;
}

static bool
on_gap(void *ctx, const struct source_name *name, void *user, struct err *e)
{
    (void)name;
    (void)user;
    (void)e;
    ((struct world *)ctx)->gaps++;
    return true;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)e;
    struct world *w = ctx;
    w->rows += rows->count;
    size_t n = rows->table->column_count;
    for (uint32_t i = 0; i < rows->count && i < ROWS_READ; i++) {
        json_free(support_row(rows->table, rows->before ? rows->before + i * n : NULL));
        json_free(support_row(rows->table, rows->after ? rows->after + i * n : NULL));
    }
    for (uint32_t i = 0; i < rows->count && rows->after; i++)
        buf_addf(&w->told, "%c %d;", (char)rows->op, (int)rows->after[(size_t)i * n].v.i);
    return true;
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)ddl;
    (void)e;
    ((struct world *)ctx)->ddls++;
    return true;
}

static bool
on_heartbeat(void *ctx, struct err *e)
{
    (void)e;
    ((struct world *)ctx)->heartbeats++;
    return true;
}

static bool
on_missed(void *ctx, struct bytes sql, struct err *e)
{
    (void)sql;
    (void)e;
    ((struct world *)ctx)->missed++;
    return true;
}

static bool
on_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
               struct err *e)
{
    (void)name;
    (void)user;
    *e = *why;
    return ((struct world *)ctx)->tolerant;
}

/* Nothing unless the world defines d.t (id INT NOT NULL primary key), proved if it says so. */
static bool
one_definition(void *ctx, const struct source_name *name, bool prove, struct definition *out,
               struct err *e)
{
    (void)name;
    (void)e;
    struct world *w = ctx;
    w->lookups++;
    *out = (struct definition){.kind = DEFINITION_NONE};
    if (!w->defines)
        return true;
    struct table *t = table_new("d", "t");
    t->columns = arena_zalloc(&t->arena, sizeof(*t->columns));
    t->columns[0] = (struct column){.name = "id", .type = COL_INT, .source_type = "int"};
    t->column_count = 1;
    t->uniques = arena_zalloc(&t->arena, sizeof(*t->uniques));
    uint16_t *columns = arena_zalloc(&t->arena, sizeof(*columns));
    uint32_t *prefixes = arena_zalloc(&t->arena, sizeof(*prefixes));
    t->uniques[t->unique_count++] = (struct unique_key){"PRIMARY", columns, prefixes, 1};
    table_seal(t);
    *out =
        (struct definition){.kind = DEFINITION_TABLE, .table = t, .proved = prove && w->proof};
    return true;
}

void
world_open_at(struct world *w, enum source_flavor flavor, const struct position *from)
{
    *w = (struct world){0};
    static struct collations collations;
    if (!collations.by_id)
        support_collations(&collations);
    arena_init(&w->arena, 0);
    source_sink_quiet(&w->sink, w, &w->arena);
    w->sink.txn_begin = on_begin;
    w->sink.table = on_table;
    w->sink.table_version = on_version;
    w->sink.gap = on_gap;
    w->sink.rows = on_rows;
    w->sink.ddl = on_ddl;
    w->sink.txn_end = on_end;
    w->sink.heartbeat = on_heartbeat;
    w->sink.table_error = on_table_error;
    w->sink.rows_missed = on_missed;
    struct binlog_decoder_conf conf = {.flavor = flavor,
                                       .collations = &collations,
                                       .verify_checksum = true,
                                       .scratch = "/tmp",
                                       .use_gtid = from->gtid != NULL,
                                       .lookup = one_definition,
                                       .lookup_ctx = w};
    w->decoder = binlog_decoder_new(&conf, from, &w->sink);
}

void
world_open(struct world *w, enum source_flavor flavor, const char *file, uint64_t pos)
{
    struct position from;
    position_init(&from, flavor == FLAVOR_MYSQL ? POSITION_MYSQL : POSITION_MARIADB);
    snprintf(from.file, sizeof(from.file), "%s", file);
    from.pos = pos;
    world_open_at(w, flavor, &from);
    position_free(&from);
}

void
world_close(struct world *w)
{
    binlog_decoder_free(w->decoder);
    table_unref(w->table);
    buf_free(&w->told);
    arena_free(&w->arena);
}

void
world_add_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_add_byte(b, (uint8_t)(v >> (8 * i)));
}

bool
world_feed(struct world *w, uint8_t type, uint16_t flags, uint32_t next_pos, struct bytes body,
           struct err *e)
{
    struct buf b = {0};
    world_add_le(&b, 1700000000, 4);
    buf_add_byte(&b, type);
    world_add_le(&b, 7, 4);
    world_add_le(&b, BINLOG_HEADER + body.n, 4);
    world_add_le(&b, next_pos, 4);
    world_add_le(&b, flags, 2);
    buf_add_bytes(&b, body);
    bool ok = binlog_decoder_feed(w->decoder, buf_bytes(&b), e);
    buf_free(&b);
    return ok;
}

void
world_must_feed(struct world *w, uint8_t type, uint32_t next_pos, struct bytes body)
{
    struct err e;
    if (!world_feed(w, type, 0, next_pos, body, &e))
        mem_die("%s", e.text);
}

void
world_rotate(struct world *w, uint16_t flags, const char *file, uint64_t pos)
{
    struct buf b = {0};
    struct err e;
    world_add_le(&b, pos, 8);
    buf_add_str(&b, file);
    if (!world_feed(w, BINLOG_ROTATE, flags, 0, buf_bytes(&b), &e))
        mem_die("%s", e.text);
    buf_free(&b);
}

struct bytes
world_query(struct buf *b, const char *sql)
{
    buf_reset(b);
    world_add_le(b, 99, 4);
    world_add_le(b, 0, 4);
    buf_add_byte(b, 1);
    world_add_le(b, 0, 2);
    world_add_le(b, 0, 2);
    buf_add(b, "d", 2);
    buf_add_str(b, sql);
    return buf_bytes(b);
}

/* Table d.t (id INT NOT NULL primary key), full metadata. */
const uint8_t world_table_map[WORLD_TABLE_MAP] = {42, 0, 0,   0, 0,   0,   1, 0, 1, 'd',
                                                  0,  1, 't', 0, 1,   3,   0, 0, 1, 1,
                                                  0,  4, 3,   2, 'i', 'd', 8, 1, 0};
const uint8_t world_write_rows[WORLD_WRITE_ROWS] = {42, 0, 0,    0, 0, 0, 1, 0, 2,
                                                    0,  1, 0xff, 0, 5, 0, 0, 0};
