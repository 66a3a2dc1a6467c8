#include "capture/loader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#define MARK_WAIT_MS 2

struct loader {
    struct session *session;
    const struct source_ops *ops;
    struct source_loader *connection;
    struct ring *orders;
    struct thread thread;
    struct stop stop;
    /* the range being read */
    void *range;
    struct arena cursor_arena;
    struct cell *cursor; /* key of the last row read, NULL: from the first */
    bool at_end;
    struct position at; /* of the snapshot, whole tables */
    struct err failed;  /* the order before, whole tables */
};

struct loader_order *
loader_order_new(void)
{
    struct loader_order *o = mem_zalloc(sizeof(*o));
    arena_init(&o->arena, 1024);
    position_init(&o->p0, POSITION_NONE);
    return o;
}

static void
order_free(struct loader_order *o)
{
    table_unref(o->table);
    position_free(&o->p0);
    arena_free(&o->arena);
    free(o);
}

void
loader_chunk_free(struct loader_chunk *c)
{
    order_free(c->order);
    position_free(&c->low);
    position_free(&c->high);
    arena_free(&c->arena);
    free(c);
}

/* Key cells of one row, in key order, copied into a. */
static struct cell *
copy_key(struct arena *a, const struct table *t, const struct cell *row, bool by_column)
{
    struct cell *key = arena_alloc(a, t->key_count * sizeof(*key));
    for (uint16_t i = 0; i < t->key_count; i++) {
        key[i] = by_column ? row[t->key[i]] : row[i];
        switch ((enum cell_kind)key[i].kind) {
        case CELL_DECIMAL:
        case CELL_TEXT:
        case CELL_BYTES:
        case CELL_JSON:
        case CELL_GEOMETRY:
        case CELL_VECTOR:
            key[i].v.p = arena_copy(a, cell_bytes(&key[i])).p;
            break;
        default:
            break;
        }
    }
    return key;
}

static void
set_cursor(struct loader *l, const struct table *t, const struct cell *row, bool by_column)
{
    struct arena fresh;
    arena_init(&fresh, 1024);
    struct cell *key = row == NULL ? NULL : copy_key(&fresh, t, row, by_column);
    arena_free(&l->cursor_arena);
    l->cursor_arena = fresh;
    l->cursor = key;
}

/* Track first: the chunk may be read only when every transaction streamed before the window was
 * opened is visible. */
static bool
wait_for_p0(struct loader *l, struct loader_chunk *c, struct err *e)
{
    for (;;) {
        position_free(&c->low);
        if (!l->ops->mark(l->connection, SOURCE_MARK_LOW, &c->low, e))
            return false;
        if (position_covers(&c->low, &c->order->p0))
            return true;
        if (stop_wait(&l->stop, MARK_WAIT_MS))
            return err_set(e, MR_SOURCE_LOST, "loader stopped");
    }
}

static bool
read_chunk(struct loader *l, struct loader_chunk *c, struct err *e)
{
    struct loader_order *o = c->order;
    struct source_chunk_request r = {
        .table = o->table,
        .after = l->cursor,
        .upto = o->upto,
        .rows_max = o->rows_max,
        .bytes_max = o->bytes_max,
        .arena = &c->arena,
    };
    if (!wait_for_p0(l, c, e))
        return false;
    if (!l->at_end && !l->ops->chunk(l->connection, &r, &c->chunk, e))
        return false;
    if (l->at_end)
        c->chunk = (struct source_chunk){.last = true, .read_us = clock_wall_us()};
    l->at_end = c->chunk.last;
    if (c->chunk.count > 0)
        set_cursor(l, o->table,
                   c->chunk.rows + (size_t)(c->chunk.count - 1) * o->table->column_count, true);
    if (o->want_estimate && !l->ops->estimate(l->connection, o->table, &c->estimate, e))
        return false;
    position_free(&c->high);
    return l->ops->mark(l->connection, SOURCE_MARK_HIGH, &c->high, e);
}

/* As wait_for_p0: what was streamed before must be in the snapshot. */
static bool
open_snapshot(struct loader *l, const struct loader_order *o, struct err *e)
{
    for (;;) {
        position_free(&l->at);
        if (!l->ops->snapshot(l->connection, o->table, &l->at, e))
            return false;
        if (position_covers(&l->at, &o->p0))
            return true;
        if (stop_wait(&l->stop, MARK_WAIT_MS))
            return err_set(e, MR_SOURCE_LOST, "loader stopped");
    }
}

/* The connection is the snapshot's: nothing else is asked on it before its end. */
static bool
read_whole(struct loader *l, struct loader_chunk *c, struct err *e)
{
    struct loader_order *o = c->order;
    struct source_chunk_request r = {
        .table = o->table,
        .rows_max = o->rows_max,
        .bytes_max = o->bytes_max,
        .arena = &c->arena,
    };
    if (o->want_estimate && !l->ops->estimate(l->connection, o->table, &c->estimate, e))
        return false;
    if (o->restart && !open_snapshot(l, o, e))
        return false;
    if (l->at_end)
        c->chunk = (struct source_chunk){.last = true, .read_us = clock_wall_us()};
    else if (!l->ops->chunk(l->connection, &r, &c->chunk, e))
        return false;
    l->at_end = c->chunk.last;
    position_copy(&c->low, &l->at);
    position_copy(&c->high, &l->at);
    return true;
}

/* An order behind a failed one finds no snapshot; whatever failed, it tells the same. */
static bool
read_whole_or_say_why_not(struct loader *l, struct loader_chunk *c, struct err *e)
{
    if (!c->order->restart && l->failed.code != MR_OK) {
        *e = l->failed;
        return false;
    }
    bool ok = read_whole(l, c, e);
    l->failed = ok ? (struct err){0} : *e;
    return ok;
}

static void
work(struct loader *l, struct loader_order *o)
{
    struct loader_chunk *c = mem_zalloc(sizeof(*c));
    c->head.kind = INBOX_CHUNK;
    c->loader = l;
    c->order = o;
    arena_init(&c->arena, (size_t)64 << 10);
    position_init(&c->low, POSITION_NONE);
    position_init(&c->high, POSITION_NONE);
    if (o->restart) {
        l->range = o->range;
        l->at_end = false;
        set_cursor(l, o->table, o->after, false);
    }
    if (l->range != o->range)
        c->ok = err_set(&c->err, MR_INTERNAL, "loader got an order of another range");
    else
        c->ok = o->whole ? read_whole_or_say_why_not(l, c, &c->err) : read_chunk(l, c, &c->err);
    if (!ring_push(l->session->inbox, &c->head))
        loader_chunk_free(c);
}

static void
run(void *arg)
{
    struct loader *l = arg;
    for (;;) {
        struct loader_order *o = ring_pop(l->orders, -1);
        if (o == NULL)
            return;
        bool stopped = stop_asked(&l->stop);
        if (!stopped && o->abandon)
            l->ops->snapshot_end(l->connection);
        if (stopped || o->abandon)
            order_free(o);
        else
            work(l, o);
    }
}

struct loader *
loader_new(struct session *s, unsigned number, struct source_loader *connection)
{
    struct loader *l = mem_zalloc(sizeof(*l));
    l->session = s;
    l->ops = s->ops;
    l->connection = connection;
    l->orders = ring_new(2 * LOADER_ORDERS); /* and abandons */
    stop_init(&l->stop, NULL);
    arena_init(&l->cursor_arena, 1024);
    position_init(&l->at, POSITION_NONE);
    char name[16];
    snprintf(name, sizeof(name), "mr-load-%u", number);
    thread_start(&l->thread, name, run, l);
    return l;
}

void
loader_give(struct loader *l, struct loader_order *o)
{
    if (!ring_push(l->orders, o))
        mem_die("loader: used after close");
}

void
loader_abandon(struct loader *l)
{
    struct loader_order *o = loader_order_new();
    o->abandon = true;
    loader_give(l, o);
}

void
loader_free(struct loader *l)
{
    stop_ask(&l->stop);
    ring_close(l->orders);
    l->ops->loader_stop(l->connection);
    thread_join(&l->thread);
    l->ops->loader_close(l->connection);
    ring_destroy(l->orders);
    arena_free(&l->cursor_arena);
    position_free(&l->at);
    stop_free(&l->stop);
    free(l);
}
