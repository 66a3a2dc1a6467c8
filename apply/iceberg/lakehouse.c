/* The Iceberg sink: its table of functions, its lanes, and the unit of work.
 *
 * A lane has a catalog handle of its own and the places of its targets (place.c). A unit has
 * one target (consistency: table). begin reads the table anew and compares its checkpoint with
 * the base; write fills data files (fill.c); commit is one swap at the catalog; rollback
 * removes what no snapshot can name. DDL is alter.c's, ownership owner.c's.
 *
 * Failpoints: apply.begin.before, apply.begin.after. Thread: the sink's one; a lane's;
 * interrupt any.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/maintain.h"
#include "base/fault.h"
#include "base/mem.h"

enum iceberg_mode
lakehouse_mode(const struct sink *s, const struct table *version)
{
    if (version->rows == TABLE_APPEND)
        return ICEBERG_HISTORY;
    return (enum iceberg_mode)config_table_choice(s->conf.config, "iceberg.mode",
                                                  version->database, version->name);
}

static bool
lakehouse_every_change(const struct sink *s, const struct table *version)
{
    return lakehouse_mode(s, version) == ICEBERG_HISTORY;
}

static void
lakehouse_close(struct sink *s)
{
    if (!s)
        return;
    catalog_close(s->catalog);
    arena_free(&s->mem);
    free(s);
}

/* The task's id without its hyphens names the control table. */
static void
name_things(struct sink *s)
{
    size_t n = (size_t)snprintf(s->control, sizeof s->control, "task_");
    for (const char *c = s->conf.task_id; *c && n + 1 < sizeof s->control; c++)
        if (*c != '-')
            s->control[n++] = *c;
    s->control[n] = 0;
    snprintf(s->key, sizeof s->key, CHECKPOINT_LAKE_STATE "%s", s->conf.task_id);
}

static void
choose_codec(struct sink *s)
{
    static const struct {
        const char *setting, *property;
        enum parquet_codec codec;
    } codecs[] = {{"zstd", "zstd", PARQUET_ZSTD},
                  {"lz4", "lz4_raw", PARQUET_LZ4},
                  {"snappy", "snappy", PARQUET_SNAPPY},
                  {"none", "uncompressed", PARQUET_PLAIN}};
    const char *asked = config_text(s->conf.config, "iceberg.compression");
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(codecs) && strcmp(codecs[i].setting, asked) != 0)
        i++;
    s->codec = codecs[i].codec;
    s->codec_name = codecs[i].property;
}

MUST static bool
lakehouse_open(const struct sink_conf *c, struct sink **out, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    s->conf = *c;
    arena_init(&s->mem, 0);
    name_things(s);
    const char *space = uri_param(c->uri, "namespace", "");
    s->space = *space ? arena_strdup(&s->mem, space) : NULL;
    s->checkpoint_space = arena_strdup(&s->mem, config_text(c->config, "checkpoint.schema"));
    s->version = (int)config_int(c->config, "iceberg.format.version");
    s->file_bytes = (uint64_t)config_int(c->config, "load.file.max.size");
    s->map.time_text = !strcmp(config_text(c->config, "iceberg.time"), "string");
    s->map.tinyint1_boolean = !strcmp(config_text(c->config, "iceberg.tinyint1"), "boolean");
    choose_codec(s);
    if (!catalog_open(c->uri, &s->catalog, e)) {
        lakehouse_close(s);
        return false;
    }
    *out = s;
    return true;
}

static uint64_t
lakehouse_owner(const struct sink *s)
{
    return s->owner;
}

static bool
lakehouse_can_load(const struct sink *s)
{
    (void)s;
    return false; /* upserts look first, which is all that a load needs */
}

static void
lakehouse_manner(const struct sink *s, struct sink_manner *out)
{
    const struct config *c = s->conf.config;
    *out =
        (struct sink_manner){.gather_us = (uint64_t)config_int(c, "iceberg.commit.ms") * 1000,
                             .gather_bytes = (uint64_t)config_int(c, "iceberg.commit.bytes"),
                             .gather_rows = (uint64_t)config_int(c, "iceberg.commit.rows"),
                             .idle_us = (uint64_t)config_int(c, "iceberg.idle.ms") * 1000,
                             .memory_bytes = (uint64_t)config_int(c, "iceberg.memory.bytes"),
                             .tells = strcmp(config_text(c, "iceberg.mode"), "mirror") != 0};
}

/* ---- lanes ---- */

static void
lane_end(struct sink_lane *l)
{
    if (!l)
        return;
    fill_drop(l);
    maintain_free(l->maintain);
    for (size_t i = 0; i < l->len; i++)
        place_free(l->places[i]);
    free(l->places);
    catalog_close(l->catalog);
    free(l);
}

MUST static bool
lane_begin(struct sink *s, unsigned index, struct sink_lane **out, struct err *e)
{
    struct sink_lane *l = mem_zalloc(sizeof *l);
    l->sink = s;
    l->index = index;
    if (!catalog_open(s->conf.uri, &l->catalog, e)) {
        lane_end(l);
        return false;
    }
    l->maintain = maintain_new(s);
    *out = l;
    return true;
}

static int
lane_tend(struct sink_lane *l)
{
    return l->maintain ? maintain_tend(l->maintain, l) : -1;
}

static void
lane_interrupt(struct sink_lane *l)
{
    atomic_store(&l->interrupted, true);
}

/* The target's table is another task's. */
MUST static bool
check_task(const struct place *p, struct err *e)
{
    const char *task =
        p->main ? metadata_property(p->main->state.metadata, CHECKPOINT_LAKE_TASK) : NULL;
    if (!task || !strcmp(task, p->sink->conf.task_id))
        return true;
    return err_set(e, MR_LAKE_FOREIGN, "%s.%s belongs to task %s", p->space, p->table, task);
}

MUST static bool
adopt_place(struct sink_lane *l, struct place *p, const struct sink_name *name,
            struct bytes state, struct err *e)
{
    if (!place_read(p, e) || !check_task(p, e) ||
        !owner_register(l->sink, l->catalog, name, e) || !place_claim(p, e))
        return false;
    if (p->stored)
        return true;
    const struct stamp first = {l->sink->owner, l->sink->conf.instance, 1};
    char *text = mem_strn(state);
    place_stored(p, &first, text);
    free(text);
    return true;
}

MUST static bool
lane_adopt(struct sink_lane *l, const struct sink_name *name, struct bytes state,
           struct arena *a, struct sink_point *out, struct err *e)
{
    struct place *p = place_new(l->sink, l->catalog, name);
    if (!adopt_place(l, p, name, state, e)) {
        place_free(p);
        return err_wrap(e, "checkpoint of %s", name->target);
    }
    l->places = mem_realloc(l->places, (l->len + 1) * sizeof(struct place *));
    l->places[l->len++] = p;
    *out = place_point(p, a);
    return true;
}

/* ---- the unit of work ---- */

static void
unit_rollback(struct sink_lane *l)
{
    fill_drop(l);
    l->open = NULL;
}

static struct place *
place_of_target(const struct sink_lane *l, const char *target)
{
    for (size_t i = 0; i < l->len; i++)
        if (!strcmp(l->places[i]->target, target))
            return l->places[i];
    return NULL;
}

MUST static bool
compare(struct sink_lane *l, const struct place *p, const struct sink_point *base,
        enum sink_begin *outcome, struct err *e)
{
    const struct stamp *now = &p->stamp;
    if (now->owner != l->sink->owner || now->instance != l->sink->conf.instance)
        return err_set(e, MR_TARGET_TAKEN, "owner %" PRIu64 " has %s, we are %" PRIu64,
                       now->owner, p->target, l->sink->owner);
    bool same = now->owner == base->owner && now->instance == base->instance &&
                now->commits == base->commits && bytes_eq(bytes_str(p->state), base->state);
    *outcome = same ? SINK_BASE : SINK_OTHER;
    return true;
}

MUST static bool
unit_begin(struct sink_lane *l, const struct sink_point *base, size_t n, struct arena *a,
           struct sink_point *found, enum sink_begin *outcome, struct err *e)
{
    FAULT("apply.begin.before");
    unit_rollback(l);
    if (atomic_load(&l->interrupted))
        return err_set(e, MR_TARGET_UNREACHABLE, "stopped");
    struct place *p = n == 1 ? place_of_target(l, base->target) : NULL;
    if (!p)
        return err_set(e, MR_INTERNAL, "a unit of %zu targets", n);
    if (!place_read(p, e) || !check_task(p, e) || !compare(l, p, base, outcome, e))
        return err_wrap(e, "%s", base->target);
    FAULT("apply.begin.after");
    if (*outcome == SINK_OTHER)
        *found = place_point(p, a);
    else
        l->open = p;
    return true;
}

MUST static bool
unit_commit(struct sink_lane *l, const struct sink_point *points, size_t n, struct err *e)
{
    bool rows = l->fill != NULL;
    if (!fill_commit(l, points, n, e)) {
        l->open->unsure |= e->code == MR_CATALOG_UNKNOWN_OUTCOME;
        return err_wrap(e, "%s", l->open->target);
    }
    l->open->unsure &= !rows; /* main has moved: an earlier one can no longer happen */
    unit_rollback(l);
    return true;
}

extern const struct sink_ops sink_iceberg;
const struct sink_ops sink_iceberg = {
    .name = "iceberg",
    .open = lakehouse_open,
    .close = lakehouse_close,
    .claim = owner_claim,
    .forget = owner_forget,
    .owner = lakehouse_owner,
    .can_load = lakehouse_can_load,
    .every_change = lakehouse_every_change,
    .manner = lakehouse_manner,
    .lane_open = lane_begin,
    .lane_close = lane_end,
    .interrupt = lane_interrupt,
    .tend = lane_tend,
    .adopt = lane_adopt,
    .begin = unit_begin,
    .write = fill_write,
    .commit = unit_commit,
    .rollback = unit_rollback,
    .look = alter_look,
    .ddl = alter_do,
    .ddl_text = alter_text,
};
