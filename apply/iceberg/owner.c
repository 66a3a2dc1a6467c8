/* Who may write: the task's control table, and the claim of every table.
 *
 * Claim, in this order:
 *   1 the control table: owner + 1, in a commit that demands the owner it read. So no two
 *     claims have the same number, and from now on no earlier owner can register a target.
 *   2 each registered target's table: millrace.owner = ours, in an empty snapshot that moves
 *     main; then, if a re-sync is under way, its hidden table likewise (place.c).
 * A table is read behind its claim. Every commit of an owner demands the value of
 * millrace.owner that it read, and the snapshot that main was at. So what an earlier owner
 * commits before step 2 is seen by us, and what it tries later fails at the catalog, however
 * late it arrives: its base is gone. A table that an earlier owner makes behind step 2 (its
 * registration was before step 1) is taken when the target is adopted.
 *
 * Death between any two lines: before step 1's swap nothing has changed; behind it some tables
 * have an owner that does nothing, and the next claim takes the next number. An outcome that is
 * not known ends the run, and the next one claims again.
 *
 * Failpoints: iceberg.claim.begin, apply.claim.before_commit (each table),
 * apply.claim.after_commit. Thread: the sink's; owner_register and owner_take the lane's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "lake/expire.h"

#define ATTEMPTS_MAX 20
#define CLAIMS_KEPT  20

char *
stamp_text(const struct stamp *s, char out[STAMP_MAX])
{
    snprintf(out, STAMP_MAX, "%" PRIu64 "/%" PRIu64 "/%" PRIu64, s->owner, s->instance,
             s->commits);
    return out;
}

MUST static bool
stamp_parse(const char *text, struct stamp *out)
{
    char copy[STAMP_MAX];
    if (strlen(text) >= sizeof copy)
        return false;
    snprintf(copy, sizeof copy, "%s", text);
    char *at = copy, *owner = strsep(&at, "/"), *instance = strsep(&at, "/");
    return at && text_u64(owner, &out->owner) && text_u64(instance, &out->instance) &&
           text_u64(at, &out->commits);
}

bool
stamp_read(const struct lake_table *t, struct stamp *out, bool *there, struct err *e)
{
    const char *text = metadata_property(t->state.metadata, CHECKPOINT_LAKE_OWNER);
    *out = (struct stamp){0};
    *there = text != NULL;
    if (!text || stamp_parse(text, out))
        return true;
    return err_set(e, MR_TARGET_CHECKPOINT, "%s.%s: property %s is '%.60s'", t->space, t->table,
                   CHECKPOINT_LAKE_OWNER, text);
}

/* A commit that demands the table's present owner. */
static struct commit *
owned_commit(const struct sink *s, struct lake_table *t)
{
    struct commit_conf conf = {.base_key = CHECKPOINT_LAKE_OWNER,
                               .base_value =
                                   metadata_property(t->state.metadata, CHECKPOINT_LAKE_OWNER),
                               .stop = s->conf.stop};
    return commit_new(t, &conf);
}

/* ---- the control table ---- */

static struct catalog_name
control_name(const struct sink *s)
{
    return (struct catalog_name){s->checkpoint_space, s->control};
}

MUST static bool
control_create(struct sink *s, struct catalog *c, struct err *e)
{
    static const struct lake_field field = {
        .id = 1, .name = "target", .type = {.kind = LAKE_STRING}};
    const struct lake_schema schema = {.fields = &field, .field_count = 1};
    const struct catalog_name name = control_name(s);
    char *location = catalog_table_location(c, &name);
    struct json *properties = json_object_new();
    json_set(properties, CHECKPOINT_LAKE_TASK, json_str(s->conf.task_id));
    json_set(properties, "millrace.task.name", json_str(s->conf.task));
    json_set(properties, "write.metadata.delete-after-commit.enabled", json_str("true"));
    struct metadata_conf conf = {
        .version = 2, .location = location, .schema = &schema, .properties = properties};
    struct metadata *m = NULL;
    struct catalog_table made = {0};
    bool ok = catalog_make_namespace(c, name.space, e) && metadata_new(&conf, &m, e) &&
              (catalog_create(c, &name, m, &made, e) || e->code == MR_CATALOG_EXISTS);
    metadata_free(m);
    catalog_table_free(&made);
    json_free(properties);
    free(location);
    return ok;
}

MUST static bool
control_open(struct sink *s, struct catalog *c, struct lake_table **out, struct err *e)
{
    const struct catalog_name name = control_name(s);
    if (!place_load(c, &name, out, e))
        return false;
    if (*out)
        return true;
    if (!control_create(s, c, e) || !place_load(c, &name, out, e))
        return false;
    return *out || err_set(e, MR_TARGET_CHECKPOINT, "the task's control table is gone");
}

/* One try; *again: somebody was quicker. */
MUST static bool
control_raise(struct sink *s, struct lake_table *t, bool *again, struct err *e)
{
    struct stamp now;
    bool there;
    char text[STAMP_MAX];
    *again = false;
    if (!stamp_read(t, &now, &there, e))
        return false;
    struct stamp next = {now.owner + 1, s->conf.instance, now.commits};
    struct commit *c = owned_commit(s, t);
    commit_set_property(c, CHECKPOINT_LAKE_OWNER, stamp_text(&next, text));
    commit_set_summary(c, CHECKPOINT_LAKE_OWNER, text);
    commit_claim(c);
    bool ok = commit_run(c, e);
    commit_free(c);
    if (ok)
        s->owner = next.owner;
    *again = !ok && e->code == MR_LAKE_BASE_CHANGED;
    return ok;
}

/* The control table's snapshots are claims: of those long ago nobody wants to know. */
static void
control_tidy(struct sink *s, struct lake_table *t)
{
    const struct expire_conf conf = {
        .older_than_ms = INT64_MAX, .keep_min = CLAIMS_KEPT, .stop = s->conf.stop};
    struct expiry *x = NULL;
    struct expire_done done;
    struct err e;
    int64_t oldest_ms;
    if (expire_count(t->state.metadata, &conf, &oldest_ms) < CLAIMS_KEPT)
        return;
    struct stamp now = {.owner = s->owner, .instance = s->conf.instance};
    char text[STAMP_MAX];
    const struct commit_conf demand = {.base_key = CHECKPOINT_LAKE_OWNER,
                                       .base_value = stamp_text(&now, text),
                                       .stop = s->conf.stop};
    if (!expire_plan(t, &conf, &x, &e) ||
        (x && (!expire_commit(x, t, &demand, &e) || !expire_finish(x, &done, &e))))
        log_info("claims_stay", F_STR("task", s->conf.task), F_ERR(&e));
    expire_free(x);
}

bool
owner_register(struct sink *s, struct catalog *c, const struct sink_name *name, struct err *e)
{
    struct lake_table *t = NULL;
    char *key = mem_printf(ICEBERG_TARGET "%s", name->target);
    struct json *where = json_array_new();
    struct buf text = {0};
    struct stamp now;
    bool there = false;
    json_push(where, json_str(s->space ? s->space : name->db));
    json_push(where, json_str(name->table));
    json_dump(where, &text);
    bool ok = control_open(s, c, &t, e) && stamp_read(t, &now, &there, e);
    if (ok && (now.owner != s->owner || now.instance != s->conf.instance))
        ok = err_set(e, MR_TARGET_TAKEN, "owner %" PRIu64 " claimed after us (%" PRIu64 ")",
                     now.owner, s->owner);
    const char *have = ok ? metadata_property(t->state.metadata, key) : NULL;
    if (ok && (!have || strcmp(have, buf_cstr(&text)) != 0)) {
        struct commit *m = owned_commit(s, t);
        commit_set_property(m, key, buf_cstr(&text));
        ok = commit_run(m, e);
        commit_free(m);
    }
    lake_table_close(t);
    json_free(where);
    buf_free(&text);
    free(key);
    return ok;
}

/* ---- tables ---- */

MUST static bool
take_once(struct sink *s, struct lake_table *t, const struct stamp *now, struct err *e)
{
    char text[STAMP_MAX];
    char *hidden = place_new_hidden(s, metadata_property(t->state.metadata, s->key));
    struct stamp next = {s->owner, s->conf.instance, now->commits};
    struct commit *c = owned_commit(s, t);
    commit_set_property(c, CHECKPOINT_LAKE_OWNER, stamp_text(&next, text));
    if (hidden)
        commit_set_property(c, ICEBERG_HIDDEN, hidden);
    commit_set_summary(c, CHECKPOINT_LAKE_OWNER, text);
    commit_claim(c);
    FAULT("apply.claim.before_commit");
    bool ok = commit_run(c, e);
    commit_free(c);
    free(hidden);
    FAULT("apply.claim.after_commit");
    return ok;
}

bool
owner_take(struct sink *s, struct lake_table *t, struct err *e)
{
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
        struct stamp now;
        bool there;
        if (!stamp_read(t, &now, &there, e))
            return false;
        if (now.owner > s->owner)
            return err_set(e, MR_TARGET_TAKEN, "owner %" PRIu64 " has %s.%s, we are %" PRIu64,
                           now.owner, t->space, t->table, s->owner);
        if (now.owner == s->owner && now.instance == s->conf.instance)
            return true;
        if (take_once(s, t, &now, e))
            return true;
        if (e->code != MR_LAKE_BASE_CHANGED || !lake_table_reload(t, e))
            return false;
    }
    return err_set(e, MR_TARGET_TAKEN, "%s.%s changes hands all the time", t->space, t->table);
}

/* ---- the claim ---- */

/* Calls each with the place of every registered target. */
MUST static bool
each_place(struct sink *s, const struct lake_table *control,
           bool (*each)(void *ctx, struct place *p, struct err *e), void *ctx, struct err *e)
{
    const char *key;
    struct json *value;
    const struct json *all = json_get(control->state.metadata->doc, "properties");
    for (void *it = NULL; (it = json_next(all, it, &key, &value)) != NULL;) {
        if (!text_starts(key, ICEBERG_TARGET))
            continue;
        struct json *where;
        if (!json_parse(json_bytes_value(value), &where, e))
            return err_reclass(e, ERR_TASK);
        struct sink_name name = {key + sizeof ICEBERG_TARGET - 1,
                                 json_str_value(json_at(where, 0), ""),
                                 json_str_value(json_at(where, 1), "")};
        struct place *p = place_new(s, s->catalog, &name);
        free(p->space);
        p->space = mem_strdup(name.db);
        bool ok = each(ctx, p, e) || err_wrap(e, "%s", name.target);
        place_free(p);
        json_free(where);
        if (!ok)
            return false;
    }
    return true;
}

struct claimed {
    struct arena *mem;
    struct sink_point *points;
    size_t n;
};

MUST static bool
claim_place(void *ctx, struct place *p, struct err *e)
{
    struct claimed *all = ctx;
    if (!place_claim(p, e))
        return false;
    if (p->stored)
        all->points[all->n++] = place_point(p, all->mem);
    return true;
}

bool
owner_claim(struct sink *s, struct arena *a, struct sink_point **points, size_t *n,
            struct err *e)
{
    struct lake_table *control = NULL;
    struct claimed all = {.mem = a};
    bool ok = false, again = true;
    FAULT("iceberg.claim.begin");
    for (unsigned i = 0; !ok && again && i < ATTEMPTS_MAX; i++) {
        lake_table_close(control);
        control = NULL;
        again = false;
        ok = control_open(s, s->catalog, &control, e) && control_raise(s, control, &again, e);
    }
    if (ok) {
        control_tidy(s, control);
        size_t most = json_len(json_get(control->state.metadata->doc, "properties"));
        all.points = arena_zalloc(a, (most + 1) * sizeof *all.points);
        ok = each_place(s, control, claim_place, &all, e);
    }
    lake_table_close(control);
    *points = all.points;
    *n = all.n;
    return ok || err_wrap(e, "taking the target over");
}

/* ---- the end ---- */

/* The table stays, and belongs to nobody. */
MUST static bool
forget_place(void *ctx, struct place *p, struct err *e)
{
    struct sink *s = ctx;
    if (!place_read(p, e))
        return false;
    if (p->hidden) {
        char *name = place_hidden_name(p);
        bool ok = place_drop_hidden(p, name, e);
        free(name);
        if (!ok)
            return false;
    }
    if (!p->main || !metadata_property(p->main->state.metadata, s->key))
        return true;
    static const char *const keys[] = {CHECKPOINT_LAKE_OWNER, CHECKPOINT_LAKE_TASK,
                                       ICEBERG_HIDDEN, ICEBERG_SNAPSHOT, ICEBERG_EVOLVED};
    struct commit *c = owned_commit(s, p->main);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        commit_set_property(c, keys[i], NULL);
    commit_set_property(c, s->key, NULL);
    commit_claim(c);
    bool ok = commit_run(c, e);
    commit_free(c);
    return ok;
}

bool
owner_forget(struct sink *s, struct err *e)
{
    struct lake_table *control = NULL;
    const struct catalog_name name = control_name(s);
    if (!place_load(s->catalog, &name, &control, e))
        return false;
    bool ok = !control || (each_place(s, control, forget_place, s, e) &&
                           catalog_drop(s->catalog, &name, e));
    lake_table_close(control);
    return ok;
}
