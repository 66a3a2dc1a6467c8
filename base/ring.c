/* Bounded queue between threads. */
#include "base/ring.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t not_full;
    pthread_cond_t not_empty;
    size_t cap;
    size_t head; /* index of the oldest */
    size_t len;
    bool closed;
    void *items[];
};

struct ring *
ring_new(size_t capacity)
{
    if (capacity == 0)
        mem_die("a ring needs room for one item");
    struct ring *r = mem_zalloc(sizeof(*r) + capacity * sizeof(r->items[0]));
    r->cap = capacity;
    thread_lock_init(&r->lock);
    thread_cond_init(&r->not_full);
    thread_cond_init(&r->not_empty);
    return r;
}

void
ring_destroy(struct ring *r)
{
    if (!r)
        return;
    pthread_cond_destroy(&r->not_empty);
    pthread_cond_destroy(&r->not_full);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static bool
ring_push_locked(struct ring *r, void *item)
{
    if (r->closed || r->len == r->cap)
        return false;
    r->items[(r->head + r->len) % r->cap] = item;
    r->len++;
    pthread_cond_signal(&r->not_empty);
    return true;
}

bool
ring_push(struct ring *r, void *item)
{
    thread_lock(&r->lock);
    while (!r->closed && r->len == r->cap)
        thread_cond_wait(&r->not_full, &r->lock);
    bool pushed = ring_push_locked(r, item);
    thread_unlock(&r->lock);
    return pushed;
}

bool
ring_try_push(struct ring *r, void *item)
{
    thread_lock(&r->lock);
    bool pushed = ring_push_locked(r, item);
    thread_unlock(&r->lock);
    return pushed;
}

static void *
ring_pop_locked(struct ring *r)
{
    if (r->len == 0)
        return NULL;
    void *item = r->items[r->head];
    r->head = (r->head + 1) % r->cap;
    r->len--;
    pthread_cond_signal(&r->not_full);
    return item;
}

void *
ring_pop(struct ring *r, int timeout_ms)
{
    uint64_t deadline_us = clock_mono_us() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000;
    bool in_time = timeout_ms != 0;
    thread_lock(&r->lock);
    while (r->len == 0 && !r->closed && in_time) {
        if (timeout_ms < 0)
            thread_cond_wait(&r->not_empty, &r->lock);
        else
            in_time = thread_cond_wait_until(&r->not_empty, &r->lock, deadline_us);
    }
    void *item = ring_pop_locked(r);
    thread_unlock(&r->lock);
    return item;
}

void
ring_close(struct ring *r)
{
    thread_lock(&r->lock);
    r->closed = true;
    pthread_cond_broadcast(&r->not_empty);
    pthread_cond_broadcast(&r->not_full);
    thread_unlock(&r->lock);
}

bool
ring_closed(struct ring *r)
{
    thread_lock(&r->lock);
    bool closed = r->closed;
    thread_unlock(&r->lock);
    return closed;
}

size_t
ring_len(struct ring *r)
{
    thread_lock(&r->lock);
    size_t n = r->len;
    thread_unlock(&r->lock);
    return n;
}
