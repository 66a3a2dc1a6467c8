/* Places: where a target's rows and its checkpoint are.
 *
 * The checkpoint is a property of the table that the rows go to, so both change by one pointer
 * swap. That is the target's table; while a re-sync fills a hidden one, the hidden one's, until
 * its content takes the target's place. Which of the two counts:
 *   the target's table has an intent       the target's: a step is under way, no rows
 *   else it names a hidden table, which has a checkpoint of more commits    the hidden one's
 *   else                                   the target's
 * `commits` grows with every checkpoint and moves along when the checkpoint changes tables, so
 * the comparison is right at every line: a hidden table is made with the checkpoint (and the
 * number) of the step that makes it, the first rows go there with a larger one, and the commit
 * that ends the re-sync gives the target's table the hidden one's, intent included.
 *
 * A target whose table is not there yet has its checkpoint in memory: nothing was written, and
 * what creates the table stores it. Dying before begins it anew.
 *
 * Owner: a lane, or the claim. Thread: its owner's.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "lake/expire.h"

struct place *
place_new(struct sink *s, struct catalog *c, const struct sink_name *name)
{
    struct place *p = mem_zalloc(sizeof *p);
    p->sink = s;
    p->catalog = c;
    p->target = mem_strdup(name->target);
    p->db = mem_strdup(name->db);
    p->space = mem_strdup(s->space ? s->space : name->db);
    p->table = mem_strdup(name->table);
    return p;
}

void
place_free(struct place *p)
{
    if (!p)
        return;
    lake_table_close(p->main);
    lake_table_close(p->hidden);
    keys_index_close(p->index);
    keys_index_close(p->index + 1);
    free(p->target);
    free(p->db);
    free(p->space);
    free(p->table);
    free(p->hidden_name);
    free(p->state);
    free(p);
}

struct catalog_name
place_name(const struct place *p)
{
    return (struct catalog_name){p->space, p->table};
}

bool
place_load(struct catalog *c, const struct catalog_name *name, struct lake_table **t,
           struct err *e)
{
    bool ok = *t ? lake_table_reload(*t, e) : lake_table_open(c, name, t, e);
    if (ok)
        return true;
    if (e->code != MR_CATALOG_MISSING)
        return false;
    lake_table_close(*t);
    *t = NULL;
    err_clear(e);
    return true;
}

/* What a checkpoint says of a re-sync: the hidden table, and whether an intent is pending. */
struct plot {
    char *hidden; /* NULL: none */
    bool intent;
    bool makes; /* the intent makes the hidden table */
};

MUST static bool
plot_read(const char *state, struct plot *out, struct err *e)
{
    struct json *j;
    *out = (struct plot){0};
    if (!json_parse(bytes_str(state), &j, e)) {
        e->code = MR_TARGET_CHECKPOINT;
        return err_reclass(e, ERR_TASK);
    }
    const char *kind = json_get_str(json_get(j, "intent"), "kind", NULL);
    const char *hidden = json_get_str(json_get(j, "loads"), "table", NULL);
    out->intent = kind != NULL;
    out->hidden = hidden ? mem_strdup(hidden) : NULL;
    out->makes = hidden && kind && (!strcmp(kind, "copy") || !strcmp(kind, "create"));
    json_free(j);
    return true;
}

char *
place_new_hidden(const struct sink *s, const char *state)
{
    struct plot plot;
    struct err ignored;
    if (!state || !plot_read(state, &plot, &ignored))
        return NULL;
    char *name = plot.makes ? mem_printf("%s_%" PRIu64, plot.hidden, s->owner) : NULL;
    free(plot.hidden);
    return name;
}

char *
place_hidden_name(const struct place *p)
{
    const char *name =
        p->main ? metadata_property(p->main->state.metadata, ICEBERG_HIDDEN) : NULL;
    return mem_strdup(name ? name : p->hidden_name ? p->hidden_name : "");
}

void
place_stored(struct place *p, const struct stamp *stamp, const char *state)
{
    struct plot plot;
    struct err ignored;
    char *copy = mem_strdup(state);
    free(p->state);
    free(p->hidden_name);
    p->state = copy;
    p->stamp = *stamp;
    p->known = true;
    p->hidden_name = plot_read(copy, &plot, &ignored) ? plot.hidden : NULL;
}

/* The hidden table that main names, and whether the checkpoint is there. */
MUST static bool
read_hidden(struct place *p, const struct plot *plot, struct err *e)
{
    struct stamp stamp;
    bool there;
    char *name = place_hidden_name(p);
    const struct catalog_name at = {p->space, name};
    bool ok = place_load(p->catalog, &at, &p->hidden, e);
    free(name);
    if (!ok || !p->hidden)
        return ok;
    const char *state = metadata_property(p->hidden->state.metadata, p->sink->key);
    if (!stamp_read(p->hidden, &stamp, &there, e))
        return false;
    if (!plot->intent && there && state && stamp.commits > p->stamp.commits) {
        p->at_hidden = true;
        place_stored(p, &stamp, state);
    }
    return true;
}

static void
forget_hidden(struct place *p)
{
    lake_table_close(p->hidden);
    p->hidden = NULL;
    p->at_hidden = false;
}

/* Files of rows lie with the target's, where the search for orphans finds those of nobody. What
 * lies in the hidden table's own folder is looked up by its name too, so that a step that is
 * done again behind a death ends it. */
bool
place_drop_hidden(struct place *p, const char *name, struct err *e)
{
    const struct catalog_name at = {p->space, name};
    if (!*name)
        return true;
    bool open = p->hidden && !strcmp(p->hidden->table, name);
    char *location = open ? mem_strdup(p->hidden->state.metadata->location)
                          : catalog_table_location(p->catalog, &at);
    bool ok = catalog_drop(p->catalog, &at, e);
    FAULT("iceberg.hidden.dropped");
    struct err remnants;
    if (ok && !expire_dropped(p->catalog->storage, location, &remnants))
        log_warn("lake_remnants", F_STR("task", p->sink->conf.task), F_ERR(&remnants));
    if (open)
        forget_hidden(p);
    free(location);
    return ok;
}

bool
place_read(struct place *p, struct err *e)
{
    const struct catalog_name name = place_name(p);
    struct stamp stamp;
    struct plot plot;
    bool there;
    p->stored = p->at_hidden = false;
    if (!place_load(p->catalog, &name, &p->main, e))
        return false;
    const char *state =
        p->main ? metadata_property(p->main->state.metadata, p->sink->key) : NULL;
    if (!state)
        return true;
    if (!stamp_read(p->main, &stamp, &there, e) || !plot_read(state, &plot, e))
        return false;
    p->stored = true;
    place_stored(p, &stamp, state);
    bool ok = true;
    if (plot.hidden)
        ok = read_hidden(p, &plot, e);
    else
        forget_hidden(p);
    free(plot.hidden);
    return ok;
}

/* What an earlier owner was making, when the re-sync has another one from now on. */
MUST static bool
drop_other_hidden(struct place *p, const char *before, struct err *e)
{
    char *now = place_hidden_name(p);
    bool ok = !strcmp(before, now) || place_drop_hidden(p, before, e);
    free(now);
    return ok;
}

bool
place_claim(struct place *p, struct err *e)
{
    if (!place_read(p, e))
        return false;
    if (!p->stored)
        return true;
    char *before = place_hidden_name(p);
    bool ok =
        owner_take(p->sink, p->main, e) && place_read(p, e) && drop_other_hidden(p, before, e);
    free(before);
    if (!ok || !p->hidden)
        return ok;
    return owner_take(p->sink, p->hidden, e) && place_read(p, e);
}

struct sink_point
place_point(const struct place *p, struct arena *a)
{
    return (struct sink_point){.target = arena_strdup(a, p->target),
                               .owner = p->stamp.owner,
                               .instance = p->stamp.instance,
                               .commits = p->stamp.commits,
                               .state = arena_copy(a, bytes_str(p->state))};
}

struct place *
place_find(struct sink_lane *l, const char *db, const char *table, bool *hidden)
{
    for (size_t i = 0; i < l->len; i++) {
        struct place *p = l->places[i];
        if (strcmp(p->db, db) != 0)
            continue;
        *hidden = p->hidden_name && !strcmp(p->hidden_name, table);
        if (*hidden || !strcmp(p->table, table))
            return p;
    }
    return NULL;
}
