/* Chores: one compaction, expiry or search for orphans of one table, in three parts.
 *
 * What is durable when, and what a death leaves:
 *   compact  PREPARE  the new data file                       an orphan
 *            COMMIT   a file of translated deletes            an orphan
 *                     the swap (lake/commit.h)                done, or not at all
 *            then     the file of a rewrite that was not committed is removed
 *   expire   PREPARE  nothing
 *            COMMIT   the swap: snapshots are forgotten       done, or not at all
 *            FINISH   files that nothing reaches any more, one by one    the rest are orphans
 *   orphans  PREPARE  files of ours that nothing reaches, one by one     the rest next time
 * Orphans of ours are removed when they are old enough. Nothing here changes the checkpoint: a
 * unit of rows before or behind a chore has the same base.
 *
 * Failpoints: lake.compact.written, .deletes, .committed; lake.expire.planned, .committed,
 * .remove; lake.orphans.listed, .remove; and those of lake/commit.h.
 */
#include <stdlib.h>

#include "apply/iceberg/maintain.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/text.h"

#define TRIES_MAX    5
#define EXPIRE_BATCH 20 /* snapshots that are worth a commit, unless they are long over age */
#define HOUR_MS      3600000

struct chore *
chore_new(const struct sink *s, enum chore_kind kind, size_t place, const struct place *p)
{
    struct chore *c = mem_zalloc(sizeof *c);
    c->kind = kind;
    c->place = place;
    c->target = mem_strdup(p->target);
    c->space = mem_strdup(p->space);
    c->name = mem_strdup(p->table);
    c->sink = s;
    c->began_ms = clock_mono_ms();
    c->made_at_ms = clock_wall_ms();
    return c;
}

static void
let_go(struct chore *c)
{
    compact_free(c->compact);
    expire_free(c->expiry);
    lake_table_close(c->table);
    c->compact = NULL;
    c->expiry = NULL;
    c->table = NULL;
}

void
chore_free(struct chore *c)
{
    if (!c)
        return;
    let_go(c);
    free(c->target);
    free(c->space);
    free(c->name);
    free(c);
}

/* ---- prepare ---- */

MUST static bool
prepare_compact(struct chore *c, struct err *e)
{
    const struct config *conf = c->sink->conf.config;
    const struct compact_limits limits = {
        .target_bytes = c->sink->file_bytes,
        .files_min = (unsigned)config_int(conf, "iceberg.compact.files"),
        .deleted_percent = (unsigned)config_int(conf, "iceberg.compact.deleted.percent")};
    const struct compact_conf how = {.codec = c->sink->codec, .stop = c->sink->conf.stop};
    const char **paths = mem_array(COMPACT_FILES_MAX, sizeof *paths);
    struct lake_files files = {0};
    bool ok =
        metadata_writable(c->table->state.metadata, e) && lake_table_files(c->table, &files, e);
    size_t n = ok ? compact_choose(&files, &limits, paths) : 0;
    if (ok && n)
        ok = compact_rewrite(c->table, paths, n, &how, &c->compact, e);
    c->worked = ok && n > 0;
    lake_files_free(&files);
    free(paths);
    return ok;
}

/* What the table itself says goes before the task's setting. */
static int64_t
limit_of(const struct chore *c, const char *property, const char *setting)
{
    int64_t v;
    const char *text = metadata_property(c->table->state.metadata, property);
    return text && text_i64(text, &v) && v >= 0 ? v : config_int(c->sink->conf.config, setting);
}

MUST static bool
prepare_expire(struct chore *c, struct err *e)
{
    const struct metadata *m = c->table->state.metadata;
    int64_t now = (int64_t)clock_wall_ms(), oldest;
    int64_t age = limit_of(c, "history.expire.max-snapshot-age-ms", "iceberg.snapshots.age.ms");
    struct expire_conf conf = {
        .older_than_ms = now - age,
        .keep_min = (size_t)limit_of(c, "history.expire.min-snapshots-to-keep",
                                     "iceberg.snapshots.min"),
        .keep_max = (size_t)config_int(c->sink->conf.config, "iceberg.snapshots.max"),
        .stop = c->sink->conf.stop};
    const char *last = metadata_property(m, ICEBERG_SNAPSHOT);
    if (last && !text_i64(last, &conf.keep_from))
        conf.keep_from = 0;
    size_t n = expire_count(m, &conf, &oldest);
    c->worked = n >= EXPIRE_BATCH || (n && oldest < now - 2 * age);
    return !c->worked || expire_plan(c->table, &conf, &c->expiry, e);
}

/* Only in a table that this program made, and of the time since. The age counts from the
 * chore's beginning: of one that froze, the files of the next owner's re-sync, which no
 * snapshot reaches yet, are younger, however late it thaws. */
MUST static bool
prepare_orphans(struct chore *c, struct err *e)
{
    const struct config *conf = c->sink->conf.config;
    const char *made = metadata_property(c->table->state.metadata, ICEBERG_CREATED);
    uint64_t age = (uint64_t)config_int(conf, "iceberg.orphans.age.ms"), created;
    if (!made || !text_u64(made, &created))
        return true;
    const struct orphans_conf which = {.older_than_ms = c->made_at_ms - age,
                                       .newer_than_ms = created + HOUR_MS,
                                       .stop = c->sink->conf.stop};
    bool ok = orphans_remove(c->table, &which, &c->orphans, e);
    c->worked = c->orphans > 0;
    return ok;
}

/* Is it still ours? Else whoever has it looks after it. */
MUST static bool
open_ours(struct chore *c, struct catalog *catalog, bool *ours, struct err *e)
{
    const struct catalog_name name = {c->space, c->name};
    struct stamp stamp;
    *ours = false;
    if (!place_load(catalog, &name, &c->table, e))
        return false;
    if (!c->table)
        return true;
    if (!stamp_read(c->table, &stamp, ours, e))
        return false;
    *ours = *ours && stamp.owner == c->sink->owner && stamp.instance == c->sink->conf.instance;
    return true;
}

MUST static bool
prepare(struct chore *c, struct catalog *catalog, struct err *e)
{
    static bool (*const parts[])(struct chore *,
                                 struct err *) = {[CHORE_COMPACT] = prepare_compact,
                                                  [CHORE_EXPIRE] = prepare_expire,
                                                  [CHORE_ORPHANS] = prepare_orphans};
    bool ours;
    return open_ours(c, catalog, &ours, e) && (!ours || parts[c->kind](c, e));
}

/* ---- finish ---- */

void
chore_step(struct chore *c, struct catalog *catalog)
{
    bool begun = c->phase == CHORE_PREPARE;
    bool ok =
        begun ? prepare(c, catalog, &c->err) : expire_finish(c->expiry, &c->expired, &c->err);
    c->phase = ok && begun && (c->compact || c->expiry) ? CHORE_COMMIT : CHORE_DONE;
}

/* ---- commit ---- */

bool
chore_possible(const struct place *p)
{
    return p->main && p->stored && !p->at_hidden && !p->hidden_name && !p->unsure;
}

static void
forget_index(struct place *p)
{
    struct err e;
    if (!keys_index_tidy(p->index, p->main, &e))
        log_debug("index_not_tidied", F_STR("table", p->table), F_ERR(&e));
}

void
chore_commit(struct chore *c, struct place *p)
{
    char text[STAMP_MAX];
    const struct commit_conf conf = {.base_key = CHECKPOINT_LAKE_OWNER,
                                     .base_value = stamp_text(&p->stamp, text),
                                     .stop = c->sink->conf.stop};
    err_clear(&c->err);
    bool ok = chore_possible(p) || err_set(&c->err, MR_LAKE_BASE_CHANGED,
                                           "%s.%s is loaded anew", p->space, p->table);
    if (ok)
        ok = c->compact ? compact_commit(c->compact, p->main, &conf, &c->err)
                        : expire_commit(c->expiry, p->main, &conf, &c->err);
    if (!ok && c->err.code == MR_CATALOG_UNKNOWN_OUTCOME)
        p->unsure = true;
    bool again = c->err.code == MR_LAKE_FILES_GONE || c->err.code == MR_CATALOG_CONFLICT;
    if (ok && c->compact)
        forget_index(p);
    if (ok)
        c->phase = c->expiry ? CHORE_FINISH : CHORE_DONE;
    else if (!again || ++c->tries == TRIES_MAX)
        c->phase = CHORE_DONE;
}

/* ---- what it did ---- */

static void
count(const struct chore *c, const struct metric_def *def, uint64_t n)
{
    const struct metric_labels labels = {.task = c->sink->conf.task, .table = c->target};
    metric_add(metrics_get(def, labels), n);
}

static void
tell_compact(const struct chore *c)
{
    static const struct metric_def files_def = {"millrace_iceberg_compacted_files_total",
                                                "Data files that compaction replaced.",
                                                METRIC_COUNTER, false};
    static const struct metric_def translated_def = {
        "millrace_iceberg_translated_deletes_total",
        "Deletes that came while compaction rewrote their files.", METRIC_COUNTER, false};
    count(c, &files_def, compact_files(c->compact));
    count(c, &translated_def, compact_translated(c->compact));
    log_info("lake_compacted", F_STR("task", c->sink->conf.task), F_STR("space", c->space),
             F_STR("table", c->name), F_U64("files", compact_files(c->compact)),
             F_U64("translated", compact_translated(c->compact)),
             F_U64("ms", clock_mono_ms() - c->began_ms));
}

static void
tell_removed(const struct chore *c)
{
    static const struct metric_def expired_def = {"millrace_iceberg_expired_snapshots_total",
                                                  "Snapshots forgotten.", METRIC_COUNTER,
                                                  false};
    static const struct metric_def removed_def = {"millrace_iceberg_removed_files_total",
                                                  "Files removed that no snapshot reaches.",
                                                  METRIC_COUNTER, false};
    count(c, &expired_def, c->expired.snapshots);
    count(c, &removed_def, c->expired.files + c->orphans);
    log_info(c->kind == CHORE_EXPIRE ? "lake_expired" : "lake_orphans_removed",
             F_STR("task", c->sink->conf.task), F_STR("space", c->space),
             F_STR("table", c->name), F_U64("snapshots", c->expired.snapshots),
             F_U64("files", c->expired.files + c->orphans));
}

static void
tell_failed(const struct chore *c)
{
    static const char *const names[] = {
        [CHORE_COMPACT] = "compaction", [CHORE_EXPIRE] = "expiry", [CHORE_ORPHANS] = "orphans"};
    struct err e = {0};
    (void)!err_set(&e, MR_LAKE_MAINTENANCE, "%s of %s.%s: MR%04d %.800s", names[c->kind],
                   c->space, c->name, c->err.code, c->err.text);
    bool overtaken = c->err.class == ERR_UNKNOWN && c->err.code != MR_CATALOG_UNKNOWN_OUTCOME;
    if (overtaken || c->err.code == MR_LAKE_STOPPED)
        log_info("lake_maintenance_overtaken", F_STR("task", c->sink->conf.task),
                 F_STR("what", e.text));
    else
        log_warn("lake_maintenance_failed", F_STR("task", c->sink->conf.task), F_ERR(&e));
}

void
chore_tell(const struct chore *c)
{
    if (c->err.code)
        tell_failed(c);
    else if (c->worked && c->kind == CHORE_COMPACT)
        tell_compact(c);
    else if (c->worked)
        tell_removed(c);
}
