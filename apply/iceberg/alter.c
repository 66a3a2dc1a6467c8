/* Tables made, altered, truncated, swapped.
 *
 * Every step is one change at the catalog and looks first, so it may be done twice, by us or by
 * the next owner (apply/steps.c keeps an intent around it). Each demands the owner of the table
 * that it changes, so an earlier owner's step fails however late it arrives:
 *   CREATE     the table's first metadata, with the checkpoint that has the intent. A table
 *              that is there was made by somebody else: looked at again.
 *   EVOLVE     the schema, by field ids, and the number of the checkpoint that has the intent:
 *              done when the table has that number, or nothing is to be changed.
 *   TRUNCATE   one snapshot without the files; done when there are none. `history` keeps them.
 *   COPY, CREATE beside another   a hidden table with the other's field ids, under a name that
 *              has the owner's number in it: one that an earlier owner drops late is another
 *              one. A left-over of the name goes first; no rows that count were written to it
 *              (a load that begins again within a re-sync: the checkpoint is brought home
 * first). SWAP       one snapshot: the files of the target go, those of the hidden table come,
 * and with them the schema and the checkpoint. Readers see the old content or the new one. Done
 * when the checkpoint is the target's; then the hidden table is forgotten, its files belong to
 * the target. Dying between any two lines of a step leaves orphans, or a hidden table that is
 * forgotten when the step is done again.
 *
 * Failpoints: iceberg.create.before, iceberg.swap.before_commit, iceberg.swap.after_commit,
 * iceberg.hidden.dropped (place.c).
 * Thread: the lane's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"

/* ---- look ---- */

MUST static bool
load_named(struct place *p, bool hidden, struct lake_table **out, struct err *e)
{
    struct lake_table **t = hidden ? &p->hidden : &p->main;
    char *name = hidden ? place_hidden_name(p) : mem_strdup(p->table);
    const struct catalog_name at = {p->space, name};
    bool ok = place_load(p->catalog, &at, t, e);
    free(name);
    *out = *t;
    return ok;
}

MUST static bool
find_named(struct sink_lane *l, const char *db, const char *table, struct place **p,
           bool *hidden, struct err *e)
{
    *p = place_find(l, db, table, hidden);
    return *p || err_set(e, MR_INTERNAL, "%s.%s was not adopted", db, table);
}

MUST static bool
look_at(struct sink_lane *l, struct lake_table *t, const struct table *version,
        struct sink_look *out, struct err *e)
{
    struct arena a;
    struct lake_schema schema;
    struct lake_files files = {0};
    arena_init(&a, 0);
    bool ok = metadata_writable(t->state.metadata, e) &&
              metadata_schema(t->state.metadata, -1, &a, &schema, e) &&
              lake_table_files(t, &files, e);
    if (ok) {
        out->shape = fields_fit(l->sink, &schema, version, out->why) ? SINK_FITS : SINK_DIFFERS;
        out->empty = files.len == 0;
    }
    lake_files_free(&files);
    arena_free(&a);
    return ok;
}

bool
alter_look(struct sink_lane *l, const char *db, const char *table, const struct table *version,
           struct sink_look *out, struct err *e)
{
    struct place *p;
    struct lake_table *t;
    bool hidden;
    *out = (struct sink_look){.shape = SINK_ABSENT};
    bool ok = find_named(l, db, table, &p, &hidden, e) && load_named(p, hidden, &t, e) &&
              (!t || look_at(l, t, version, out, e));
    return ok || err_wrap(e, "looking at %s.%s", db, table);
}

/* ---- new tables ---- */

static struct commit *
owned(const struct sink *s, struct lake_table *t)
{
    struct commit_conf conf = {.base_key = CHECKPOINT_LAKE_OWNER,
                               .base_value =
                                   metadata_property(t->state.metadata, CHECKPOINT_LAKE_OWNER),
                               .stop = s->conf.stop};
    return commit_new(t, &conf);
}

/* A mode's own columns must not be the source's. */
MUST static bool
check_names(const struct sink *s, const struct table *v, struct err *e)
{
    static const char *const names[] = {"_op", "_seq", "_commit_ts"};
    enum iceberg_mode mode = lakehouse_mode(s, v);
    if (v->rows == TABLE_MULTISET && mode == ICEBERG_SOFT)
        return err_set(e, MR_LAKE_KEYLESS_SOFT, "%s.%s", v->database, v->name);
    for (size_t i = 0; mode != ICEBERG_MIRROR && i < ARRAY_LEN(names); i++)
        if (table_column_find(v, bytes_str(names[i])) >= 0)
            return err_set(e, MR_LAKE_TYPE, "the source has a column %s of its own", names[i]);
    return true;
}

static struct json *
properties_of(const struct place *p)
{
    char text[STAMP_MAX];
    struct json *j = json_object_new();
    json_set(j, p->sink->key, json_str(p->state));
    json_set(j, CHECKPOINT_LAKE_OWNER, json_str(stamp_text(&p->stamp, text)));
    json_set(j, CHECKPOINT_LAKE_TASK, json_str(p->sink->conf.task_id));
    snprintf(text, sizeof text, "%" PRIu64, clock_wall_ms());
    json_set(j, ICEBERG_CREATED, json_str(text));
    snprintf(text, sizeof text, "%" PRId64,
             config_int(p->sink->conf.config, "iceberg.metadata.versions"));
    json_set(j, "write.metadata.previous-versions-max", json_str(text));
    json_set(j, "write.metadata.delete-after-commit.enabled", json_str("true"));
    /* For other writers: Java takes gzip where a table does not say. */
    json_set(j, "write.parquet.compression-codec", json_str(p->sink->codec_name));
    return j;
}

/* last_id: ids up to it were used; version: of the format. */
MUST static bool
create_named(struct place *p, const struct catalog_name *name, const struct lake_schema *schema,
             int32_t last_id, int version, struct err *e)
{
    struct metadata *m = NULL;
    struct catalog_table made = {0};
    char *location = catalog_table_location(p->catalog, name);
    struct json *properties = properties_of(p);
    struct metadata_conf conf = {version, location, schema, properties};
    bool ok = catalog_make_namespace(p->catalog, name->space, e) && metadata_new(&conf, &m, e);
    if (ok && last_id > m->last_column_id) {
        struct json *doc = json_clone(m->doc);
        json_set(doc, "last-column-id", json_i64(last_id));
        metadata_free(m);
        m = NULL;
        ok = metadata_of_json(doc, &m, e);
    }
    FAULT("iceberg.create.before");
    ok = ok && catalog_create(p->catalog, name, m, &made, e);
    if (!ok && e->code == MR_CATALOG_EXISTS)
        e->code = MR_TARGET_TAKEN, e->class = ERR_UNKNOWN;
    metadata_free(m);
    catalog_table_free(&made);
    json_free(properties);
    free(location);
    return ok;
}

MUST static bool
create(struct sink_lane *l, struct place *p, const struct sink_step *step, struct err *e)
{
    struct sink_look now;
    if (!place_read(p, e))
        return false;
    if (p->main) {
        if (!look_at(l, p->main, step->to, &now, e))
            return false;
        return now.shape == SINK_FITS ||
               err_set(e, MR_TARGET_DDL, "%s.%s: %s", p->space, p->table, now.why);
    }
    struct arena a;
    struct lake_schema schema;
    const struct catalog_name name = place_name(p);
    arena_init(&a, 0);
    fields_schema(l->sink, step->to, &a, &schema);
    bool ok = check_names(l->sink, step->to, e) &&
              create_named(p, &name, &schema, 0, l->sink->version, e) && place_read(p, e);
    arena_free(&a);
    return ok;
}

MUST static bool
drop_hidden(struct place *p, struct err *e)
{
    char *name = place_hidden_name(p);
    bool ok = place_drop_hidden(p, name, e);
    free(name);
    return ok;
}

/* The checkpoint of a hidden table that is to be made anew, intent included, becomes the
 * target's own: then the hidden one may go. */
MUST static bool
bring_home(struct place *p, struct err *e)
{
    char text[STAMP_MAX];
    char *old = place_hidden_name(p), *hidden = place_new_hidden(p->sink, p->state);
    struct commit *c = owned(p->sink, p->main);
    commit_set_property(c, p->sink->key, p->state);
    commit_set_property(c, CHECKPOINT_LAKE_OWNER, stamp_text(&p->stamp, text));
    if (hidden)
        commit_set_property(c, ICEBERG_HIDDEN, hidden);
    bool ok = commit_run(c, e) && place_drop_hidden(p, old, e);
    commit_free(c);
    free(old);
    free(hidden);
    return ok && place_read(p, e);
}

/* An empty table beside p's, with its field ids; of the version, if step says CREATE. */
MUST static bool
create_hidden(struct sink_lane *l, struct place *p, const struct sink_step *step, struct err *e)
{
    struct arena a;
    struct lake_schema now;
    if (!place_read(p, e))
        return false;
    if (!p->main)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", p->space, p->table);
    if ((p->at_hidden && !bring_home(p, e)) || !drop_hidden(p, e))
        return false;
    const struct metadata *m = p->main->state.metadata;
    struct fields_next next = {.mem = &a, .last_column_id = m->last_column_id};
    char *name = place_hidden_name(p);
    const struct catalog_name at = {p->space, name};
    arena_init(&a, 0);
    bool ok = check_names(l->sink, step->to, e) && metadata_schema(m, -1, &a, &now, e);
    if (ok && step->what == SINK_CREATE)
        ok = fields_evolve(l->sink, &now, step, &next, e);
    else
        next.schema = now;
    ok = ok && create_named(p, &at, &next.schema, next.last_column_id, m->version, e) &&
         place_load(p->catalog, &at, &p->hidden, e);
    arena_free(&a);
    free(name);
    return ok;
}

/* ---- changes ---- */

/* Names may change places, so that a second time would be wrong: the table says for which
 * checkpoint's intent it was done. */
MUST static bool
evolve(struct sink_lane *l, struct place *p, struct lake_table *t, const struct sink_step *step,
       struct err *e)
{
    struct arena a;
    struct lake_schema now;
    char commits[24];
    const struct metadata *m = t->state.metadata;
    struct fields_next next = {.mem = &a, .last_column_id = m->last_column_id};
    const char *done = metadata_property(m, ICEBERG_EVOLVED);
    snprintf(commits, sizeof commits, "%" PRIu64, p->stamp.commits);
    if (done && !strcmp(done, commits))
        return true;
    arena_init(&a, 0);
    bool ok = check_names(l->sink, step->to, e) && metadata_schema(m, -1, &a, &now, e) &&
              fields_evolve(l->sink, &now, step, &next, e);
    if (ok && !lake_schema_equal(&now, &next.schema)) {
        struct commit *c = owned(l->sink, t);
        commit_set_schema(c, &next.schema, next.last_column_id);
        commit_set_property(c, ICEBERG_EVOLVED, commits);
        ok = commit_run(c, e);
        commit_free(c);
    }
    arena_free(&a);
    return ok;
}

MUST static bool
remove_all(struct lake_table *t, struct commit *c, size_t *n, struct err *e)
{
    struct lake_files files = {0};
    bool ok = lake_table_files(t, &files, e);
    for (size_t i = 0; ok && i < files.len; i++)
        commit_remove(c, &files.list[i].rows->file);
    *n = files.len;
    lake_files_free(&files);
    return ok;
}

MUST static bool
truncate_table(struct sink_lane *l, struct lake_table *t, const struct sink_step *step,
               struct err *e)
{
    size_t n = 0;
    if (lakehouse_mode(l->sink, step->to) == ICEBERG_HISTORY)
        return true;
    struct commit *c = owned(l->sink, t);
    const char *owner = metadata_property(t->state.metadata, CHECKPOINT_LAKE_OWNER);
    if (owner)
        commit_set_summary(c, CHECKPOINT_LAKE_OWNER, owner);
    bool ok = remove_all(t, c, &n, e) && (!n || commit_run(c, e));
    commit_free(c);
    return ok;
}

/* ---- the swap ---- */

static void
add_file(struct commit *c, const struct data_file *f, bool deletes)
{
    struct data_file copy = *f;
    copy.first_row_id = -1;
    if (deletes)
        commit_add_deletes(c, &copy);
    else
        commit_add_rows(c, &copy);
}

MUST static bool
add_all(struct lake_table *t, struct commit *c, struct err *e)
{
    struct lake_files files = {0};
    bool ok = lake_table_files(t, &files, e);
    for (size_t i = 0; ok && i < files.len; i++) {
        const struct lake_file *f = files.list + i;
        add_file(c, &f->rows->file, false);
        if (f->vector)
            add_file(c, &f->vector->file, true);
        for (uint32_t k = 0; k < f->positions_len; k++)
            add_file(c, &f->positions[k]->file, true);
    }
    lake_files_free(&files);
    return ok;
}

MUST static bool
swap_schema(struct place *p, struct commit *c, struct err *e)
{
    const struct metadata *to = p->main->state.metadata, *from = p->hidden->state.metadata;
    struct arena a;
    struct lake_schema now, next;
    arena_init(&a, 0);
    bool ok = metadata_schema(to, -1, &a, &now, e) && metadata_schema(from, -1, &a, &next, e);
    if (ok && !lake_schema_equal(&now, &next))
        commit_set_schema(c, &next,
                          from->last_column_id > to->last_column_id ? from->last_column_id
                                                                    : to->last_column_id);
    arena_free(&a);
    return ok;
}

MUST static bool
swap_commit(struct place *p, struct err *e)
{
    char text[STAMP_MAX];
    size_t n;
    struct commit *c = owned(p->sink, p->main);
    commit_set_property(c, p->sink->key, p->state);
    commit_set_property(c, CHECKPOINT_LAKE_OWNER, stamp_text(&p->stamp, text));
    commit_set_summary(c, p->sink->key, p->state);
    commit_set_summary(c, CHECKPOINT_LAKE_OWNER, text);
    commit_set_operation(c, "overwrite");
    commit_set_property(c, ICEBERG_SNAPSHOT, NULL);
    commit_claim(c);
    bool ok = remove_all(p->main, c, &n, e) && add_all(p->hidden, c, e) && swap_schema(p, c, e);
    FAULT("iceberg.swap.before_commit");
    ok = ok && commit_run(c, e);
    FAULT("iceberg.swap.after_commit");
    commit_free(c);
    return ok;
}

MUST static bool
swap(struct place *p, struct err *e)
{
    if (!place_read(p, e))
        return false;
    if (!p->main)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", p->space, p->table);
    if (p->at_hidden && !swap_commit(p, e))
        return false;
    return drop_hidden(p, e) && place_read(p, e);
}

/* ---- steps ---- */

MUST static bool
step_on(struct sink_lane *l, struct place *p, bool hidden, const struct sink_step *step,
        struct err *e)
{
    struct lake_table *t;
    if (!place_read(p, e) || !load_named(p, hidden, &t, e))
        return false;
    if (!t)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", p->space, step->table);
    return step->what == SINK_EVOLVE ? evolve(l, p, t, step, e) : truncate_table(l, t, step, e);
}

bool
alter_do(struct sink_lane *l, const struct sink_step *step, struct err *e)
{
    struct place *p;
    bool hidden, ok = false;
    if (!find_named(l, step->db, step->table, &p, &hidden, e))
        return false;
    switch (step->what) {
    case SINK_CREATE:
        ok = hidden ? create_hidden(l, p, step, e) : create(l, p, step, e);
        break;
    case SINK_COPY:
        ok = create_hidden(l, p, step, e);
        break;
    case SINK_EVOLVE:
    case SINK_TRUNCATE:
        ok = step_on(l, p, hidden, step, e);
        break;
    case SINK_SWAP:
        ok = swap(p, e);
        break;
    case SINK_REMOVE:
        ok = !hidden || drop_hidden(p, e);
        break;
    }
    return ok || err_wrap(e, "changing %s.%s", p->space, step->table);
}

bool
alter_text(struct sink_lane *l, const struct sink_step *step, struct buf *out, struct err *e)
{
    static const char *const texts[] = {
        [SINK_CREATE] = "create", [SINK_EVOLVE] = "evolve", [SINK_TRUNCATE] = "truncate",
        [SINK_COPY] = "copy",     [SINK_SWAP] = "swap",     [SINK_REMOVE] = "drop"};
    (void)e;
    buf_addf(out, "%s table %s.%s", texts[step->what],
             l->sink->space ? l->sink->space : step->db, step->table);
    if (step->other)
        buf_addf(out, step->what == SINK_SWAP ? " with %s" : " beside %s", step->other);
    return true;
}
