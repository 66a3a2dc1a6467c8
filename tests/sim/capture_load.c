/* The loaders of a simulated capture: three ranges of two tables, read in chunks of two keys
 * through the shipped windows, up to two windows of a range at once. */
#include <string.h>

#include "sim.h"

#define LOAD UINT64_C(7)

struct range_plan {
    unsigned table;
    uint8_t begin, end; /* keys of (begin, end]; end 0: to the end */
};

static const struct range_plan plans[RANGES] = {{T_A, 0, 4}, {T_A, 4, 0}, {T_U, 0, 0}};
static const char *const topics[2] = {"sim.a", "sim.u"};
static const uint8_t key_bytes[256] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
};

static struct bytes
key_of(uint8_t key)
{
    return key ? bytes_of(&key_bytes[key], 1) : (struct bytes){NULL, 0};
}

static bool
range_state(const struct capture *c, unsigned range, struct progress_range *out)
{
    for (size_t i = 0; sequencer_range_at(c->s, i, out); i++) {
        unsigned first = plans[range].table == T_A ? 0 : 2;
        if (strcmp(out->table, topics[plans[range].table]) == 0 && out->range == range - first)
            return true;
    }
    return false;
}

/* A load begins: its ranges are in the first cut, or planned again. */
void
capture_plan(struct capture *c)
{
    for (unsigned i = 0; i < RANGES; i++) {
        struct progress_range r;
        const struct range_plan *p = &plans[i];
        if (range_state(c, i, &r))
            continue;
        r = (struct progress_range){.table = topics[p->table],
                                    .load = LOAD,
                                    .range = p->table == T_A ? i : 0,
                                    .begin = key_of(p->begin),
                                    .next = key_of(p->begin),
                                    .end = key_of(p->end)};
        sequencer_range(c->s, &r);
    }
}

bool
capture_loaded(const struct capture *c)
{
    for (unsigned i = 0; i < RANGES; i++) {
        struct progress_range r;
        if (!range_state(c, i, &r) || !r.done)
            return false;
    }
    return true;
}

void
capture_touch(struct capture *c, const struct row *row)
{
    if (row->table < T_K)
        window_touch(c->wt[row->table], key_of(row->key));
}

void
capture_windows_discard(struct capture *c)
{
    for (int t = 0; t < 2; t++)
        window_table_discard(c->wt[t]);
}

void
capture_windows_free(struct capture *c)
{
    memset(c->win, 0, sizeof c->win);
    for (int t = 0; t < 2; t++) {
        window_table_free(c->wt[t]);
        c->wt[t] = NULL;
    }
}

static void
open_window(struct capture *c, unsigned range, struct capture_window *x, uint8_t from)
{
    struct err e;
    struct position p0;
    position_init(&p0, POSITION_NONE);
    if (c->w->o->p0_short)
        position_copy(&p0, sequencer_position(c->s));
    else if (!sequencer_p0(c->s, &p0, &e))
        world_violation(c->w, "p0: %s", e.text);
    *x = (struct capture_window){.w = window_open(c->wt[plans[range].table], range, &p0),
                                 .from = from};
    if (c->w->o->no_track && !window_may_read(x->w, &p0))
        world_violation(c->w, "a window is not covered by its own P0");
    position_free(&p0);
    world_ev(c->w, "%s window of range %u from key %u: track from here", c->name, range, from);
}

static void
read_chunk(struct capture *c, unsigned range, struct capture_window *x)
{
    struct state st;
    const struct range_plan *p = &plans[range];
    if (!c->w->s.gtid)
        source_all(&c->w->s, &c->w->s.visible); /* FOR SHARE waits for what is in the log */
    source_state(&c->w->s, &c->w->s.visible, &st);
    uint8_t end = p->end ? p->end : KEYS_MAX - 1;
    for (uint8_t key = (uint8_t)(x->from + 1); key <= end && x->n < 2; key++) {
        const struct value *v = &st.rows[p->table][key];
        if (v->there)
            x->rows[x->n++] = (struct row){(uint8_t)p->table, ROW_READ, key,
                                           v->uval,           v->val,   st.ver[p->table]};
    }
    x->final = x->n < 2;
    x->last = x->n ? x->rows[x->n - 1].key : x->from;
    x->read = true;
    world_ev(c->w, "%s window of range %u read %u rows from key %u", c->name, range, x->n,
             x->from);
}

static void
emit_window(struct capture *c, unsigned range, struct capture_window *x)
{
    struct progress_range r;
    if (!range_state(c, range, &r)) {
        world_violation(c->w, "range %u is not known", range);
        return;
    }
    capture_begin_unit(c);
    for (unsigned i = 0; i < x->n; i++) {
        const struct row *row = &x->rows[i];
        if (!window_emits(x->w, key_of(row->key)))
            continue;
        int log = (int)(row->table * PARTITIONS + (row->key & 1));
        if (row->ver != c->ver[row->table] && !c->w->lost)
            world_violation(c->w, "a window outlived a change of the definition");
        capture_row(c, row, sequencer_load_row(c->s, c->part[log], 10));
    }
    r.next = key_of(x->last);
    r.rows += x->n;
    r.done = x->final;
    sequencer_range(c->s, &r);
    world_ev(c->w, "%s window of range %u emits, next %u done %d", c->name, range, x->last,
             x->final);
    window_close(x->w);
    *x = (struct capture_window){0};
}

static void
step_window(struct capture *c, unsigned range, struct capture_window *x)
{
    struct position mark;
    position_init(&mark, POSITION_NONE);
    switch (window_state(x->w)) {
    case WINDOW_TRACKING:
        source_mark(&c->w->s, &mark);
        if (window_may_read(x->w, &mark))
            world_ev(c->w, "%s window of range %u may read", c->name, range);
        break;
    case WINDOW_READING:
        if (!x->read) {
            read_chunk(c, range, x);
            break;
        }
        source_mark(&c->w->s, &mark);
        if (!window_read(x->w, &mark))
            world_violation(c->w, "a reading window refuses its mark");
        break;
    case WINDOW_READ:
        if (window_may_emit(x->w, sequencer_position(c->s)))
            emit_window(c, range, x);
        break;
    case WINDOW_DISCARDED:
        window_close(x->w);
        *x = (struct capture_window){0};
        break;
    }
    position_free(&mark);
}

static uint8_t
next_key(const struct progress_range *r)
{
    return r->next.p ? *r->next.p : 0;
}

void
capture_window_step(struct capture *c, uint64_t r)
{
    struct progress_range state;
    unsigned range = (unsigned)(r % RANGES);
    r /= RANGES;
    struct capture_window *first = &c->win[range * 2], *second = first + 1;
    if (!first->w && second->w) {
        *first = *second;
        *second = (struct capture_window){0};
    }
    if (!first->w) {
        if (range_state(c, range, &state) && !state.done)
            open_window(c, range, first, next_key(&state));
        return;
    }
    if (r % 3 || !first->read || first->final) {
        step_window(c, range, first);
        return;
    }
    if (second->w)
        step_window(c, range, second);
    else if (window_state(first->w) != WINDOW_DISCARDED)
        open_window(c, range, second, first->last);
}
