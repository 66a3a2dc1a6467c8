/* Upkeep of the tables: small files and files with many deleted rows are written together,
 * snapshots expire, files of commits that never were are removed. Old metadata.json and
 * manifests need nobody: commits see to them (lake/catalog.h, lake/commit.h).
 *
 * One writer. A table's lane commits everything to it, rows and upkeep alike, between two units
 * and one at a time, so in this process no commit meets another. What takes time is a helper
 * thread's, which every lane has: it reads the table with handles of its own, writes new data
 * files, removes files, and never commits. A chore (chore.c) goes to and fro between the two
 * by rings and belongs to whoever holds it; at most one of a lane is under way.
 *   lane     chooses a table that is due                      -> helper
 *   helper   PREPARE: finds what is to be done, and does what needs no commit    -> lane
 *   lane     COMMIT: a commit like one of rows: the base must have the owner and the commits
 *            that the lane knows. Deletes that the lane committed since PREPARE are translated
 *            (lake/compact.h)                                 -> helper
 *   helper   FINISH: removes what is no longer needed         -> lane, which forgets it
 * So rows wait for upkeep as long as for one more commit, never for a rewrite. A later owner
 * changes millrace.owner: then no commit of a chore can happen any more, like one of rows; its
 * files are orphans. Foreign programs may commit whenever they like: a chore that meets them is
 * looked at again with the next unit, and given up after some times.
 *
 * Not touched: a table while a re-sync fills its hidden one (whose data files no snapshot of
 * the table reaches yet), and one that has a commit of unknown outcome: until a later commit of
 * rows has moved main, so that the other can no longer happen.
 *
 * Dying at any line: as chore.c says; the chores are forgotten and found again, for what is due
 * is read from the table. A stop ends a rewrite within a page and every wait.
 *
 * Errors end a chore, not the table: logged as MR_LAKE_MAINTENANCE, tried again ever later.
 * Memory: a row group and a page a column while files are rewritten. Threads: maintain_* the
 * lane's; helper_main the helper's.
 */
#include "apply/iceberg/maintain.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ring.h"
#include "base/stop.h"
#include "base/thread.h"

#define POLL_MS      100 /* for the helper's answer */
#define IDLE_TIMES   60  /* a table without commits is looked at so much more rarely */
#define FAILURES_MAX 6
#define HELPER_NICE  10

/* When a kind of chore is due at a table. */
struct due {
    uint64_t at_ms;   /* monotonic */
    uint64_t commits; /* of the table when it was looked at last */
    unsigned failures;
};

struct maintain {
    const struct sink *sink;
    uint64_t every_ms;
    uint64_t orphans_ms; /* 0: never */
    struct due *due;     /* CHORE_KINDS of each place */
    size_t places;
    size_t next;        /* looked at first */
    bool away;          /* a chore is with the helper, or waits to be committed */
    struct chore *held; /* waits to be committed */
    struct ring *todo;
    struct ring *done;
    struct thread helper;
    struct catalog *catalog; /* the helper's; NULL: not open */
};

/* ---- the helper ---- */

static void
serve(struct maintain *m, struct chore *c)
{
    if (m->catalog || catalog_open(m->sink->conf.uri, &m->catalog, &c->err))
        chore_step(c, m->catalog);
    else
        c->phase = CHORE_DONE;
}

static void
helper_main(void *arg)
{
    struct maintain *m = arg;
    /* Rows go first. */
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), HELPER_NICE) != 0)
        log_debug("nice_failed");
    for (struct chore *c; (c = ring_pop(m->todo, -1)) != NULL;) {
        serve(m, c);
        if (!ring_push(m->done, c))
            mem_die("the ring of chores was closed while its helper runs");
    }
}

struct maintain *
maintain_new(const struct sink *s)
{
    const struct config *conf = s->conf.config;
    uint64_t every_ms = (uint64_t)config_int(conf, "iceberg.maintain.ms");
    if (!every_ms)
        return NULL;
    struct maintain *m = mem_zalloc(sizeof *m);
    m->sink = s;
    m->every_ms = every_ms;
    m->orphans_ms = (uint64_t)config_int(conf, "iceberg.orphans.ms");
    m->todo = ring_new(1);
    m->done = ring_new(1);
    thread_start(&m->helper, "lake upkeep", helper_main, m);
    return m;
}

void
maintain_free(struct maintain *m)
{
    if (!m)
        return;
    ring_close(m->todo);
    thread_join(&m->helper);
    chore_free(m->held);
    chore_free(ring_pop(m->todo, 0));
    chore_free(ring_pop(m->done, 0));
    ring_destroy(m->todo);
    ring_destroy(m->done);
    catalog_close(m->catalog);
    free(m->due);
    free(m);
}

/* ---- what is due ---- */

/* The first of each is due soon: what an earlier run left. */
static void
know_places(struct maintain *m, size_t n)
{
    uint64_t now = clock_mono_ms();
    if (n == m->places)
        return;
    m->due = mem_realloc(m->due, n * CHORE_KINDS * sizeof *m->due);
    for (size_t i = m->places * CHORE_KINDS; i < n * CHORE_KINDS; i++) {
        bool orphans = i % CHORE_KINDS == CHORE_ORPHANS;
        m->due[i] = (struct due){.at_ms = now + (orphans ? m->orphans_ms / 24 : m->every_ms)};
    }
    m->places = n;
}

static uint64_t
due_at(const struct maintain *m, const struct place *p, size_t slot)
{
    const struct due *d = m->due + slot;
    bool orphans = slot % CHORE_KINDS == CHORE_ORPHANS;
    if ((orphans && !m->orphans_ms) || !chore_possible(p))
        return UINT64_MAX;
    bool idle = !orphans && d->commits == p->stamp.commits;
    return d->at_ms + (idle ? IDLE_TIMES * m->every_ms : 0);
}

/* The slot that is due, in turn; places * CHORE_KINDS: none, and *wait_ms until one is. */
static size_t
choose(struct maintain *m, const struct sink_lane *l, int *wait_ms)
{
    size_t n = m->places * CHORE_KINDS;
    uint64_t now = clock_mono_ms(), soonest = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t slot = (m->next + i) % n;
        uint64_t at = due_at(m, l->places[slot / CHORE_KINDS], slot);
        if (at <= now)
            return slot;
        soonest = at < soonest ? at : soonest;
    }
    uint64_t left = soonest == UINT64_MAX ? m->every_ms : soonest - now;
    *wait_ms = (int)(left < m->every_ms ? left : m->every_ms);
    return n;
}

static int
send_next(struct maintain *m, struct sink_lane *l)
{
    int wait_ms = -1;
    know_places(m, l->len);
    size_t slot = choose(m, l, &wait_ms);
    if (slot == m->places * CHORE_KINDS)
        return wait_ms;
    size_t at = slot / CHORE_KINDS;
    struct chore *c =
        chore_new(m->sink, (enum chore_kind)(slot % CHORE_KINDS), at, l->places[at]);
    m->next = slot + 1;
    m->due[slot].commits = l->places[at]->stamp.commits;
    m->away = true;
    if (!ring_push(m->todo, c))
        mem_die("the ring of chores was closed while its lane runs");
    return POLL_MS;
}

/* A chore is over. The helper rests as long as it worked. */
static void
settle(struct maintain *m, struct chore *c)
{
    struct due *d = m->due + c->place * CHORE_KINDS + (size_t)c->kind;
    uint64_t now = clock_mono_ms(), took = now - c->began_ms;
    bool orphans = c->kind == CHORE_ORPHANS;
    uint64_t pause = orphans ? m->orphans_ms : m->every_ms;
    chore_tell(c);
    if (c->err.code)
        d->failures += d->failures < FAILURES_MAX;
    else
        d->failures = 0;
    if (c->worked && !c->err.code && !orphans) { /* there may be more */
        pause = took < pause ? took : pause;
        d->commits = UINT64_MAX;
    }
    d->at_ms = now + (pause << d->failures);
    chore_free(c);
    m->away = false;
}

int
maintain_tend(struct maintain *m, struct sink_lane *l)
{
    if (stop_asked(m->sink->conf.stop))
        return -1;
    if (!m->away)
        return send_next(m, l);
    struct chore *c = m->held ? m->held : ring_pop(m->done, 0);
    m->held = NULL;
    if (!c)
        return POLL_MS;
    if (c->phase == CHORE_COMMIT)
        chore_commit(c, l->places[c->place]);
    if (c->phase == CHORE_COMMIT)
        m->held = c;
    else if (c->phase == CHORE_DONE)
        settle(m, c);
    else if (!ring_push(m->todo, c))
        mem_die("the ring of chores was closed while its lane runs");
    return m->away ? POLL_MS : 0;
}
