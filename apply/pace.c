/* Pace: which tables are read at the same time.
 *
 * Open partitions share one bounded queue, so their number costs no memory; but rows wait in
 * memory for their cut, and are complete the sooner the fewer tables they are of. A table that
 * is far behind (hot) therefore has its turn: PACE_HOT_PARTS partitions are open among the hot
 * tables, the others are closed and wait; a turn ends at the end of the topic, after TURN_BYTES
 * or after TURN_US, if another table waits. Tables that keep up stay open. A closed partition
 * goes on where it was read to; what was queued of it is fetched again, which TURN_BYTES and
 * the bound of the queue keep cheap.
 *
 * When half of the memory for rows is taken, only one hot table goes on: the one with most rows
 * waiting for their cut, for a turn, so that it is complete before the memory is full. When it
 * is full, only those go on that keep no more rows (thin). With consistency task a cut needs
 * all tables: they go on in turns as long as there is room.
 *
 * Nothing here decides what is applied: a table whose turn it is not is merely later. Thread:
 * intake.
 */
#include "apply/apply.h"

#include "base/clock.h"
#include "base/log.h"

#define HOT_BYTES   ((uint64_t)512 << 10)
#define HOT_RECORDS 2000
#define TURN_BYTES  ((uint64_t)32 << 20)
#define TURN_US     5000000u
#define LOOK_US     5000u /* between two looks at all tables, if none waits for its turn */

void
pace_opened(struct apply_table *t, int64_t lag_records)
{
    t->hot = lag_records > HOT_RECORDS;
    t->open = true;
    t->turn_bytes = 0;
    t->turn_us = clock_mono_us();
}

void
pace_read(struct apply_table *t, uint64_t bytes)
{
    t->turn_bytes += bytes;
    if (!t->hot && t->turn_bytes > HOT_BYTES) {
        t->hot = true;
        t->turn_us = clock_mono_us();
    }
}

void
pace_eof(struct apply_table *t)
{
    for (size_t i = 0; i < t->parts_len; i++)
        if (!t->parts[i].eof)
            return;
    t->hot = false;
    t->turn_bytes = 0;
}

void
pace_rest(struct apply_table *t)
{
    for (size_t i = 0; i < t->parts_len; i++)
        tables_close_part(t->parts + i);
    t->open = false;
    t->turn_us = clock_mono_us();
    log_debug("table_rests", F_STR("table", t->target), F_U64("bytes", t->turn_bytes));
}

MUST static bool
resume(struct apply_table *t, struct err *e)
{
    for (size_t i = 0; i < t->parts_len; i++) {
        struct apply_part *p = t->parts + i;
        if (!consumer_open(t->run->data, t->topic, p->id, p->next, &p->from, e))
            return err_wrap(e, "%s", t->topic);
        consumer_set_ctx(p->from, p);
        p->eof = false;
    }
    tables_wake(t);
    pace_opened(t, INT64_MAX);
    return true;
}

struct turns {
    size_t hot_parts; /* open ones */
    size_t hot_tables;
    struct apply_table *tired;   /* open and hot, its turn is over or nearest to it */
    struct apply_table *waiting; /* closed the longest */
};

static bool
more_tired(const struct apply_table *a, const struct apply_table *b)
{
    return !b || a->turn_bytes > b->turn_bytes;
}

static struct turns
count(struct apply_run *r)
{
    struct turns n = {0};
    for (size_t i = 0; i < r->tables_len; i++) {
        struct apply_table *t = r->tables[i];
        if (t->state != TABLE_RUNNING)
            continue;
        if (!t->open) {
            if (!n.waiting || t->turn_us < n.waiting->turn_us)
                n.waiting = t;
        } else if (t->hot) {
            n.hot_parts += t->parts_len;
            n.hot_tables++;
            if (more_tired(t, n.tired))
                n.tired = t;
        }
    }
    return n;
}

static bool
turn_over(const struct apply_table *t)
{
    return t->turn_bytes >= TURN_BYTES || clock_mono_us() - t->turn_us >= TURN_US;
}

static size_t
rows_waiting(const struct apply_table *t)
{
    size_t bytes = 0;
    for (size_t k = 0; k < t->parts_len; k++)
        bytes += t->parts[k].rows.bytes + t->parts[k].rows.n;
    return bytes;
}

/* The hot table that goes on alone, if memory is scarce; NULL: there is no need. */
static struct apply_table *
focus_of(const struct apply_run *r)
{
    struct apply_table *most = NULL, *now = r->focus;
    if (r->by_task ||
        atomic_load_explicit(&r->rows_used, memory_order_relaxed) < r->rows_max / 2)
        return NULL;
    if (now && now->open && now->hot && !turn_over(now) && (now->thin || !r->thin_tables))
        return now;
    for (size_t i = 0; i < r->tables_len; i++) {
        struct apply_table *t = r->tables[i];
        if (t->state != TABLE_RUNNING || (t->open && !t->hot) || (r->thin_tables && !t->thin))
            continue;
        if (!most || rows_waiting(t) > rows_waiting(most))
            most = t;
    }
    return most;
}

/* Only the focus, and tables that keep no more rows, go on among the hot ones. */
MUST static bool
concentrate(struct apply_run *r, struct err *e)
{
    for (size_t i = 0; i < r->tables_len; i++) {
        struct apply_table *t = r->tables[i];
        if (t->state == TABLE_RUNNING && t->open && t->hot && !t->thin && t != r->focus)
            pace_rest(t);
    }
    return r->focus->open || resume(r->focus, e);
}

bool
pace_turn(struct apply_run *r, struct err *e)
{
    uint64_t now = clock_mono_us();
    if (!r->pace_presses && now - r->pace_us < LOOK_US)
        return true;
    r->pace_us = now;
    r->focus = focus_of(r);
    if (r->focus)
        return concentrate(r, e);
    struct turns n = count(r);
    r->pace_presses = n.waiting;
    while (n.hot_tables > 1 && n.hot_parts > PACE_HOT_PARTS) {
        pace_rest(n.tired);
        n = count(r);
    }
    if (!n.waiting || (run_is_full(r) && !n.waiting->thin))
        return true;
    if (n.tired && n.hot_parts + n.waiting->parts_len > PACE_HOT_PARTS) {
        if (!turn_over(n.tired))
            return true;
        pace_rest(n.tired);
    }
    return resume(n.waiting, e);
}
