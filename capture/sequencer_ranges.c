/* Load ranges of the sequencer: see the header. */
#include "capture/sequencer_ranges.h"

#include <stdlib.h>

#include "base/mem.h"

static struct bytes
key_own(struct bytes b)
{
    return b.p ? bytes_of(mem_strn(b), b.n) : b;
}

static void
key_free(struct bytes b)
{
    free((void *)(uintptr_t)b.p);
}

static void
range_own(struct progress_range *dst, const struct progress_range *src)
{
    *dst = *src;
    dst->table = mem_strdup(src->table);
    dst->begin = key_own(src->begin);
    dst->next = key_own(src->next);
    dst->end = key_own(src->end);
}

static void
range_free(struct progress_range *r)
{
    free((void *)(uintptr_t)r->table);
    key_free(r->begin);
    key_free(r->next);
    key_free(r->end);
    *r = (struct progress_range){0};
}

static struct sequencer_range_state
state_of(const struct progress_range *r, uint64_t change)
{
    struct sequencer_range_state s = {.change = change};
    range_own(&s.r, r);
    return s;
}

/* r may be the range of s. */
static void
state_set(struct sequencer_range_state *s, const struct progress_range *r, uint64_t change)
{
    struct sequencer_range_state next = state_of(r, change);
    range_free(&s->r);
    *s = next;
}

static void
entry_free(struct sequencer_range_entry *x)
{
    range_free(&x->now.r);
    range_free(&x->confirmed.r);
}

void
sequencer_ranges_free(struct sequencer_ranges *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        entry_free(&l->list[i]);
    free(l->list);
    free(l->out);
    *l = (struct sequencer_ranges){0};
}

static bool
range_is(const struct progress_range *r, const char *table, uint64_t load)
{
    return r->load == load && strcmp(r->table, table) == 0;
}

static struct sequencer_range_entry *
entry_find(const struct sequencer_ranges *l, const struct progress_range *r)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->list[i].now.r.range == r->range &&
            range_is(&l->list[i].now.r, r->table, r->load))
            return &l->list[i];
    }
    return NULL;
}

static struct sequencer_range_entry *
entry_put(struct sequencer_ranges *l, const struct progress_range *r)
{
    struct sequencer_range_entry *x = entry_find(l, r);
    if (x)
        return x;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->list = mem_realloc(l->list, l->cap * sizeof *l->list);
    }
    l->list[l->count] = (struct sequencer_range_entry){0};
    return &l->list[l->count++];
}

void
sequencer_ranges_start(struct sequencer_ranges *l, const struct progress_range *r,
                       bool recorded)
{
    struct sequencer_range_entry *x = entry_put(l, r);
    state_set(&x->now, r, 1);
    state_set(&x->confirmed, r, 1);
    x->closed = 1;
    x->recorded = x->written = recorded ? 1 : 0;
}

void
sequencer_ranges_set(struct sequencer_ranges *l, const struct progress_range *r)
{
    struct sequencer_range_entry *x = entry_put(l, r);
    state_set(&x->now, r, x->now.change + 1);
}

void
sequencer_ranges_forget(struct sequencer_ranges *l, const char *table, uint64_t load)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        if (range_is(&l->list[i].now.r, table, load))
            entry_free(&l->list[i]);
        else
            l->list[kept++] = l->list[i];
    }
    l->count = kept;
}

bool
sequencer_ranges_at(const struct sequencer_ranges *l, size_t i, struct progress_range *out)
{
    if (i >= l->count)
        return false;
    *out = l->list[i].now.r;
    return true;
}

bool
sequencer_ranges_changed(const struct sequencer_ranges *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->list[i].now.change != l->list[i].closed)
            return true;
    }
    return false;
}

static struct progress_range *
out_array(struct sequencer_ranges *l)
{
    free(l->out);
    l->out = mem_array(l->count + 1u, sizeof *l->out);
    return l->out;
}

const struct progress_range *
sequencer_ranges_unrecorded(struct sequencer_ranges *l, uint32_t *count)
{
    struct progress_range *out = out_array(l);
    *count = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->list[i].now.change != l->list[i].recorded)
            out[(*count)++] = l->list[i].now.r;
    }
    return out;
}

/* All confirmed ranges of the load of `due`, so that one record says the whole of it. */
static void
load_fill(struct sequencer_ranges *l, const struct progress_range *due,
          struct progress_record *out)
{
    struct progress_range *ranges = out_array(l);
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        struct sequencer_range_entry *x = &l->list[i];
        if (!x->confirmed.change || !range_is(&x->confirmed.r, due->table, due->load))
            continue;
        x->written = x->confirmed.change;
        ranges[n++] = x->confirmed.r;
    }
    out->table = due->table;
    out->load = due->load;
    out->ranges = ranges;
    out->range_count = n;
}

bool
sequencer_ranges_due(struct sequencer_ranges *l, struct progress_record *out)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sequencer_range_entry *x = &l->list[i];
        if (x->confirmed.change > x->written) {
            load_fill(l, &x->confirmed.r, out);
            return true;
        }
    }
    return false;
}

void
sequencer_ranges_close(struct sequencer_ranges *l, struct sequencer_snapshot *out)
{
    out->states = mem_array(l->count + 1u, sizeof *out->states);
    out->wrote = mem_array(l->count + 1u, sizeof *out->wrote);
    out->count = out->wrote_count = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        struct sequencer_range_entry *x = &l->list[i];
        if (x->now.change != x->closed)
            out->states[out->count++] = state_of(&x->now.r, x->now.change);
        if (x->written != x->recorded)
            out->wrote[out->wrote_count++] = state_of(&x->now.r, x->written);
        x->closed = x->now.change;
    }
}

void
sequencer_ranges_confirm(struct sequencer_ranges *l, const struct sequencer_snapshot *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct sequencer_range_entry *x = entry_find(l, &s->states[i].r);
        if (x)
            state_set(&x->confirmed, &s->states[i].r, s->states[i].change);
    }
    for (uint32_t i = 0; i < s->wrote_count; i++) {
        struct sequencer_range_entry *x = entry_find(l, &s->wrote[i].r);
        if (x && x->recorded < s->wrote[i].change)
            x->recorded = s->wrote[i].change;
    }
}

void
sequencer_snapshot_free(struct sequencer_snapshot *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        range_free(&s->states[i].r);
    for (uint32_t i = 0; i < s->wrote_count; i++)
        range_free(&s->wrote[i].r);
    free(s->states);
    free(s->wrote);
    *s = (struct sequencer_snapshot){0};
}
