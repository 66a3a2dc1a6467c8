/* The world of one schedule: its actions, and the time after the faults when everything must
 * come to rest, equal. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "sim.h"

void
world_ev(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (!w->o->verbose)
        return;
    printf("  ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void
world_violation(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->violation[0])
        return;
    va_start(ap, fmt);
    vsnprintf(w->violation, sizeof w->violation, fmt, ap);
    va_end(ap);
    world_ev(w, "VIOLATION: %s", w->violation);
}

uint32_t
world_rr(struct world *w)
{
    w->rr = (w->rr * 1103515245u + 12345u) & 0x7fffffff;
    return w->rr >> 8;
}

bool
world_over(const struct world *w)
{
    return w->violation[0] || w->stopped;
}

/* ---- actions ---- */

static void
act_capture(struct world *w, uint64_t r)
{
    struct capture *live[NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < w->cap_n; i++) {
        if (!w->caps[i]->dead && !w->caps[i]->frozen)
            live[n++] = w->caps[i];
    }
    if (n)
        capture_step(live[r % n], r / n);
    else
        capture_new(w);
}

static void
act_apply(struct world *w, uint64_t r)
{
    struct apply *live[NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < w->app_n; i++) {
        if (!w->apps[i]->dead && !w->apps[i]->frozen)
            live[n++] = w->apps[i];
    }
    if (n)
        apply_step(live[r % n], r / n);
    else
        apply_new(w);
}

static struct capture *
any_capture(struct world *w, uint64_t r)
{
    struct capture *live[NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < w->cap_n; i++) {
        if (!w->caps[i]->dead)
            live[n++] = w->caps[i];
    }
    return n ? live[r % n] : NULL;
}

static struct apply *
any_apply(struct world *w, uint64_t r)
{
    struct apply *live[NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < w->app_n; i++) {
        if (!w->apps[i]->dead)
            live[n++] = w->apps[i];
    }
    return n ? live[r % n] : NULL;
}

static void
act_capture_crash(struct world *w, uint64_t r)
{
    struct capture *c = any_capture(w, r);
    w->crashes++;
    if (!c)
        return;
    c->dead = true;
    world_ev(w, "%s crashes", c->name);
}

static void
act_apply_crash(struct world *w, uint64_t r)
{
    struct apply *a = any_apply(w, r);
    w->crashes++;
    if (!a)
        return;
    a->dead = true;
    world_ev(w, "%s crashes", a->name);
}

static void
act_capture_freeze(struct world *w, uint64_t r)
{
    struct capture *c = any_capture(w, r);
    if (!c)
        return;
    c->frozen = !c->frozen;
    world_ev(w, "%s %s", c->name, c->frozen ? "freezes" : "thaws");
}

static void
act_apply_freeze(struct world *w, uint64_t r)
{
    struct apply *a = any_apply(w, r);
    if (!a)
        return;
    a->frozen = !a->frozen;
    world_ev(w, "%s %s", a->name, a->frozen ? "freezes" : "thaws");
}

static void
act_capture_new(struct world *w, uint64_t r)
{
    (void)r;
    if (w->cap_n < 8)
        capture_new(w);
}

static void
act_apply_new(struct world *w, uint64_t r)
{
    (void)r;
    if (w->app_n < 8)
        apply_new(w);
}

static void
act_check(struct world *w, uint64_t r)
{
    (void)r;
    for (unsigned i = 0; i < w->cap_n; i++) {
        if (!w->caps[i]->dead && !w->caps[i]->frozen)
            capture_check_claims(w->caps[i]);
    }
}

static void
act_late(struct world *w, uint64_t r)
{
    struct kafka *k = &w->k;
    if (k->net_n == 0 || k->completing)
        return;
    size_t i = r % k->net_n;
    struct late_end x = k->net[i];
    k->net[i] = k->net[--k->net_n];
    if (kafka_end(k, x.pepoch, x.commit))
        world_ev(w, "late EndTxn(%s) ends the transaction now open: torn",
                 x.commit ? "commit" : "abort");
}

static void
act_marker(struct world *w, uint64_t r)
{
    if (w->k.completing)
        kafka_marker(&w->k, r);
}

static void
act_failover(struct world *w, uint64_t r)
{
    if (!source_failover(w, r))
        return;
    for (unsigned i = 0; i < w->cap_n; i++) {
        if (!w->caps[i]->dead)
            capture_source_moved(w->caps[i]);
    }
}

static void
act_reconnect(struct world *w, uint64_t r)
{
    struct capture *c = any_capture(w, r);
    if (c)
        capture_reconnect(c);
}

static void
act_resolve(struct world *w, uint64_t r)
{
    target_resolve(w, r);
    target_ddl_any(w, r >> 8);
}

static const struct {
    const char *name;
    void (*run)(struct world *w, uint64_t r);
    unsigned weight; /* tenths */
} actions[] = {
    {"cap", act_capture, 460},          {"app", act_apply, 400},
    {"write", source_write, 70},        {"visible", source_visible, 50},
    {"marker", act_marker, 100},        {"late", act_late, 20},
    {"capcrash", act_capture_crash, 7}, {"capfreeze", act_capture_freeze, 10},
    {"capnew", act_capture_new, 5},     {"capcheck", act_check, 6},
    {"compact", kafka_compact, 10},     {"loss", kafka_lose, 4},
    {"appcrash", act_apply_crash, 5},   {"appfreeze", act_apply_freeze, 8},
    {"appnew", act_apply_new, 3},       {"failover", act_failover, 4},
    {"resolve", act_resolve, 5},        {"reconnect", act_reconnect, 4},
};

size_t
action_count(void)
{
    return sizeof actions / sizeof actions[0];
}

const char *
action_name(size_t i)
{
    return actions[i].name;
}

unsigned
action_weight(size_t i)
{
    return actions[i].weight;
}

size_t
action_find(const char *name)
{
    size_t i = 0;
    while (strcmp(actions[i].name, name) != 0)
        i++;
    return i;
}

void
world_do(struct world *w, size_t action, uint64_t r)
{
    w->rr = (uint32_t)r & 0x7fffffff;
    w->events++;
    actions[action].run(w, r);
}

/* ---- life ---- */

/* The tables hold rows before the task is made: they are what the load must bring. */
static void
first_rows(struct world *w)
{
    struct source *s = &w->s;
    struct txn *t = &s->txn[1];
    s->n = 1;
    s->log[0] = 1;
    t->pos = 100;
    snprintf(t->gtid, sizeof t->gtid, "bbbbbbbb-0000-0000-0000-000000000001:1");
    snprintf(t->id, sizeof t->id, "%s", s->gtid ? t->gtid : "binlog.000001:100");
    for (uint8_t k = 1; k <= 5; k++)
        t->rows[t->n++] = (struct row){T_A, ROW_CREATE, k, 0, k, 1};
    for (uint8_t k = 1; k <= 3; k++)
        t->rows[t->n++] = (struct row){T_U, ROW_CREATE, k, k, k, 1};
    set_add(&s->visible, 1);
    s->uniq = 100;
}

void
world_init(struct world *w, const struct options *o, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->o = o;
    w->faults = true;
    arena_init(&w->mem, 1 << 16);
    source_init(&w->s, seed % 4 != 0);
    target_init(&w->t);
    first_rows(w);
}

void
world_free(struct world *w)
{
    for (unsigned i = 0; i < w->cap_n; i++)
        capture_free(w->caps[i]);
    for (unsigned i = 0; i < w->app_n; i++)
        apply_free(w->apps[i]);
    target_free(&w->t);
    free(w->k.held);
    kafka_free(&w->k);
    free(w->notes);
    arena_free(&w->mem);
}

bool
world_same(const struct world *w)
{
    struct set all;
    struct state st;
    source_all(&w->s, &all);
    source_state(&w->s, &all, &st);
    return memcmp(w->t.rows, st.rows, sizeof st.rows) == 0 &&
           memcmp(w->t.k, st.k, sizeof st.k) == 0 &&
           memcmp(w->t.ver, st.ver, sizeof st.ver) == 0;
}

/* Of several live ones the newest goes on: the heartbeats decided. */
static void
newest_wins(struct world *w)
{
    bool newer = false;
    for (unsigned i = w->cap_n; i-- > 0;) {
        w->caps[i]->dead = w->caps[i]->dead || newer;
        newer = newer || !w->caps[i]->dead;
    }
    newer = false;
    for (unsigned i = w->app_n; i-- > 0;) {
        w->apps[i]->dead = w->apps[i]->dead || newer;
        newer = newer || !w->apps[i]->dead;
    }
}

/* transaction.timeout.ms: the coordinator aborts what a dead producer left open. */
static void
transaction_timeout(struct world *w)
{
    struct kafka *k = &w->k;
    for (unsigned i = 0; i < w->cap_n; i++) {
        if (!w->caps[i]->dead && w->caps[i]->pepoch == k->pepoch)
            return;
    }
    if (!k->ongoing)
        return;
    kafka_decide(k, false);
    k->pepoch++;
}

static bool
at_rest(struct world *w)
{
    const struct capture *c = any_capture(w, 0);
    const struct apply *a = any_apply(w, 0);
    return c && a && capture_idle(c) && apply_idle(a) && w->t.pending_n == 0 && world_same(w);
}

static void
diagnose(struct world *w)
{
    const struct capture *c = any_capture(w, 0);
    const struct apply *a = any_apply(w, 0);
    const char *loss = w->lost ? " after loss" : "";
    if (c && !capture_idle(c))
        world_violation(w, "NO PROGRESS of capture%s", loss);
    else if (!a || apply_waits(a))
        world_violation(w, "HANG of apply%s", loss);
    else
        world_violation(w, "DIVERGED%s", loss);
}

void
world_converge(struct world *w)
{
    uint32_t x = 7;
    w->faults = false;
    w->k.net_n = 0;
    source_all(&w->s, &w->s.visible);
    for (unsigned i = 0; i < w->cap_n; i++)
        w->caps[i]->frozen = false;
    for (unsigned i = 0; i < w->app_n; i++)
        w->apps[i]->frozen = false;
    world_ev(w, "-- the faults are over");
    for (unsigned round = 0; round < 4000 && !world_over(w); round++) {
        while (w->k.completing)
            kafka_marker(&w->k, 0);
        for (int i = 0; i < 4 && !world_over(w); i++) {
            x = x * 1664525u + 1013904223u;
            uint64_t r = (uint64_t)(x >> 2) * 2654435761u >> 8;
            if (i < 2)
                act_capture(w, r);
            else
                act_apply(w, r);
        }
        if (round % 10 == 0) {
            act_check(w, 0);
            target_resolve(w, x >> 9);
            transaction_timeout(w);
        }
        if (round % 100 == 99) {
            target_ddl_any(w, 0);
        }
        if (round > 300)
            newest_wins(w);
        if (round % 20 == 19 && at_rest(w))
            return;
    }
    if (!world_over(w))
        diagnose(w);
}
