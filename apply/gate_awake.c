/* Which tables a decision for all of them looks at (task consistency), so that it costs what
 * those cost that have something to decide, however many there are.
 *
 * A table with no row kept, no need known, on the newest chain and with the base that the last
 * decision gave to all is complete at every cut to come, until something is read of it: it
 * sleeps. What decisions for all tables do to each is then done to all_base and all_floor once,
 * and becomes the table's own when it wakes: by a row, a cut that counts rows of it, a
 * partition more, a base that is moved back, the end of the chain. A gate of single tables
 * (table consistency) lets none sleep. Thread: the gate's.
 */
#include "apply/gate_core.h"
#include "base/mem.h"

struct cut_id
gate_base(const struct gate *g, const struct gate_table *t)
{
    return t->awake ? t->base : g->all_base;
}

static void
put(struct gate *g, uint32_t table)
{
    if (g->awake_count == g->awake_cap) {
        g->awake_cap = g->awake_cap ? g->awake_cap * 2 : 16;
        g->awake = mem_realloc(g->awake, g->awake_cap * sizeof *g->awake);
    }
    g->awake[g->awake_count++] = table;
    g->tables[table].awake = true;
}

void
gate_awake_add(struct gate *g, uint32_t table)
{
    put(g, table);
}

void
gate_wake(struct gate *g, uint32_t table)
{
    struct gate_table *t = &g->tables[table];
    if (t->awake || t->dropped)
        return;
    t->base = g->all_base;
    if (t->floor.seq < g->all_floor.seq) {
        t->floor = g->all_floor;
        t->floor_chain = g->all_floor_chain;
    }
    g->asleep--;
    put(g, table);
}

void
gate_wake_all(struct gate *g)
{
    for (uint32_t i = 0; g->asleep && i < g->table_count; i++)
        gate_wake(g, i);
}

static bool
may_sleep(const struct gate *g, const struct gate_table *t)
{
    if (t->chain != g->chain || cut_id_cmp(t->base, g->all_base) != 0)
        return false;
    for (uint32_t i = 0; i < t->part_count; i++) {
        const struct gate_part *p = t->parts[i] == UINT32_MAX ? NULL : &g->parts[t->parts[i]];
        if (p && (p->row_head < p->row_len || p->need_head < p->need_len))
            return false;
    }
    return true;
}

/* Lets those sleep that may. */
void
gate_settle(struct gate *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->awake_count; i++) {
        struct gate_table *t = &g->tables[g->awake[i]];
        t->awake = !t->dropped && !may_sleep(g, t);
        g->asleep += !t->awake && !t->dropped;
        if (t->awake)
            g->awake[n++] = g->awake[i];
    }
    g->awake_count = n;
}

bool
gate_waits(const struct gate *g, uint32_t table)
{
    const struct gate_table *t = &g->tables[table];
    if (!t->awake || t->dropped)
        return false;
    bool waits = t->chain != g->chain;
    for (uint32_t i = 0; !waits && i < t->part_count; i++) {
        const struct gate_part *p = t->parts[i] == UINT32_MAX ? NULL : &g->parts[t->parts[i]];
        waits = p && p->need_at < p->need_len;
    }
    return waits;
}
