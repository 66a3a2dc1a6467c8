#include "support/sink_rig.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

static struct table *
make_version(void)
{
    static const struct column columns[] = {
        {.name = "id", .type = COL_BIGINT, .source_type = "bigint"},
        {.name = "v",
         .type = COL_VARCHAR,
         .length = 60,
         .charset = "utf8mb4",
         .collation = "utf8mb4_bin",
         .source_type = "varchar(60)",
         .nullable = true},
        {.name = "n", .type = COL_BIGINT, .source_type = "bigint", .nullable = true}};
    struct table *t = table_new("shop", "t");
    t->columns = arena_alloc(&t->arena, sizeof columns);
    memcpy(t->columns, columns, sizeof columns);
    t->column_count = ARRAY_LEN(columns);
    t->uniques = arena_zalloc(&t->arena, sizeof *t->uniques);
    t->uniques->name = "PRIMARY";
    t->uniques->columns = arena_zalloc(&t->arena, sizeof(uint16_t));
    t->uniques->prefixes = arena_zalloc(&t->arena, sizeof(uint32_t));
    t->uniques->column_count = 1;
    t->unique_count = 1;
    table_seal(t);
    return t;
}

static void
take_point(struct sink_rig *r, const struct sink_point *p)
{
    struct sink_point copy = *p;
    struct arena old = r->mem;
    arena_init(&r->mem, 0);
    copy.target = arena_strdup(&r->mem, p->target);
    copy.state = arena_copy(&r->mem, p->state);
    r->point = copy;
    arena_free(&old);
}

MUST static bool
start(struct sink_rig *r, const char *task, uint64_t instance, struct err *e)
{
    const struct sink_conf conf = {.task_id = task,
                                   .task = "rig",
                                   .uri = &r->uri,
                                   .config = r->config,
                                   .instance = instance};
    const struct sink_name name = {"shop.t", "shop", "t"};
    struct sink_point *points, point;
    struct arena a;
    arena_init(&a, 0);
    bool ok = r->ops->open(&conf, &r->sink, e) &&
              r->ops->claim(r->sink, &a, &points, &r->claimed, e) &&
              r->ops->lane_open(r->sink, 0, &r->lane, e) &&
              r->ops->adopt(r->lane, &name, bytes_str("{}"), &a, &point, e);
    if (ok)
        take_point(r, &point);
    arena_free(&a);
    return ok;
}

bool
sink_rig_open(struct sink_rig *r, const char *uri, const char *const *settings,
              const char *task, uint64_t instance, struct err *e)
{
    *r = (struct sink_rig){.config = config_new(), .version = make_version(), .table = "t"};
    arena_init(&r->mem, 0);
    arena_init(&r->unit, 0);
    bool ok = uri_parse(uri, &r->uri, e);
    for (size_t i = 0; ok && settings[i]; i++)
        ok = config_set_pair(r->config, settings[i], CONFIG_FROM_FLAG, e);
    if (!ok)
        return false;
    r->ops = sink_find(r->uri.scheme);
    return start(r, task, instance, e);
}

void
sink_rig_close(struct sink_rig *r)
{
    if (r->lane)
        r->ops->lane_close(r->lane);
    if (r->sink)
        r->ops->close(r->sink);
    table_unref(r->version);
    config_free(r->config);
    uri_free(&r->uri);
    arena_free(&r->mem);
    arena_free(&r->unit);
    *r = (struct sink_rig){0};
}

bool
sink_rig_create(struct sink_rig *r, struct err *e)
{
    return sink_rig_step(r, SINK_CREATE, NULL, e);
}

bool
sink_rig_step(struct sink_rig *r, enum sink_ddl what, const char *other, struct err *e)
{
    const struct sink_step step = {
        .what = what, .db = "shop", .table = "t", .other = other, .to = r->version};
    return r->ops->ddl(r->lane, &step, e);
}

bool
sink_rig_begin(struct sink_rig *r, enum sink_begin *outcome, struct err *e)
{
    struct sink_point found;
    struct arena a;
    arena_init(&a, 0);
    bool ok = r->ops->begin(r->lane, &r->point, 1, &a, &found, outcome, e);
    if (ok && *outcome == SINK_OTHER)
        take_point(r, &found);
    arena_free(&a);
    return ok;
}

static const struct cell *
cells_of(struct sink_rig *r, const struct sink_rig_row *row)
{
    struct cell *c = arena_zalloc(&r->unit, 3 * sizeof *c);
    char *text = arena_printf(&r->unit, "row %" PRId64 "/%" PRId64, row->id, row->n);
    c[0] = (struct cell){.kind = CELL_INT, .v.i = row->id};
    c[1] = (struct cell){.kind = CELL_TEXT, .len = (uint32_t)strlen(text)};
    c[1].v.p = (const uint8_t *)text;
    c[2] = (struct cell){.kind = CELL_INT, .v.i = row->n};
    return c;
}

bool
sink_rig_write(struct sink_rig *r, enum sink_op op, const struct sink_rig_row *rows, size_t n,
               struct err *e)
{
    const struct cell **cells = mem_array(n + 1, sizeof *cells);
    struct sink_change *changes = mem_array(n + 1, sizeof *changes);
    for (size_t i = 0; i < n; i++) {
        cells[i] = cells_of(r, rows + i);
        changes[i] = (struct sink_change){op == SINK_DELETE ? 'D' : 'U', (uint64_t)rows[i].n,
                                          (uint64_t)rows[i].n * 1000};
    }
    const struct sink_part part = {.db = "shop",
                                   .table = r->table,
                                   .version = r->version,
                                   .op = op,
                                   .rows = cells,
                                   .changes = changes,
                                   .n = n};
    bool ok = r->ops->write(r->lane, &part, e);
    arena_reset(&r->unit);
    free(cells);
    free(changes);
    return ok;
}

bool
sink_rig_commit(struct sink_rig *r, const char *state, struct err *e)
{
    struct sink_point next = r->point;
    next.commits++;
    next.state = bytes_str(state);
    if (!r->ops->commit(r->lane, &next, 1, e)) {
        r->ops->rollback(r->lane);
        return false;
    }
    take_point(r, &next);
    return true;
}
