#include "unit/base/unit.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/ring.h"
#include "base/thread.h"

static void *
item(uintptr_t i)
{
    return (void *)i;
}

static void
items_come_out_in_order_and_no_more_than_the_capacity_goes_in(void **state)
{
    struct ring *r = ring_new(3);
    for (int round = 0; round < 5; round++) {
        assert_true(ring_try_push(r, item(1)));
        assert_true(ring_try_push(r, item(2)));
        assert_true(ring_try_push(r, item(3)));
        assert_false(ring_try_push(r, item(4)));
        assert_int_equal(ring_len(r), 3);
        assert_ptr_equal(ring_pop(r, 0), item(1));
        assert_true(ring_try_push(r, item(4)));
        assert_ptr_equal(ring_pop(r, 0), item(2));
        assert_ptr_equal(ring_pop(r, -1), item(3));
        assert_ptr_equal(ring_pop(r, 1000), item(4));
        assert_null(ring_pop(r, 0));
    }
    ring_destroy(r);
}

static void
a_pop_of_an_empty_ring_waits_as_long_as_asked(void **state)
{
    struct ring *r = ring_new(1);
    uint64_t begin_ms = clock_mono_ms();
    assert_null(ring_pop(r, 30));
    uint64_t waited_ms = clock_mono_ms() - begin_ms;
    assert_in_range(waited_ms, 29, 5000);
    ring_destroy(r);
}

static void
a_closed_ring_refuses_pushes_and_drains_pops(void **state)
{
    struct ring *r = ring_new(2);
    assert_true(ring_push(r, item(1)));
    assert_false(ring_closed(r));
    ring_close(r);
    assert_true(ring_closed(r));
    assert_false(ring_push(r, item(2)));
    assert_false(ring_try_push(r, item(2)));
    assert_ptr_equal(ring_pop(r, -1), item(1));
    assert_null(ring_pop(r, -1));
    ring_destroy(r);
}

struct blocked {
    struct ring *ring;
    bool pushed;
    void *popped;
};

static void
push_one(void *arg)
{
    struct blocked *b = arg;
    b->pushed = ring_push(b->ring, item(9));
}

static void
pop_one(void *arg)
{
    struct blocked *b = arg;
    b->popped = ring_pop(b->ring, -1);
}

static void
close_wakes_those_who_wait(void **state)
{
    struct thread pusher = {0};
    struct thread popper = {0};
    struct blocked full = {.ring = ring_new(1), .pushed = true};
    struct blocked empty = {.ring = ring_new(1), .popped = item(5)};
    assert_true(ring_push(full.ring, item(1)));
    thread_start(&pusher, "pusher", push_one, &full);
    thread_start(&popper, "popper", pop_one, &empty);
    ring_close(full.ring);
    ring_close(empty.ring);
    thread_join(&pusher);
    thread_join(&popper);
    assert_false(full.pushed);
    assert_null(empty.popped);
    ring_destroy(full.ring);
    ring_destroy(empty.ring);
}

enum { PRODUCERS = 3, CONSUMERS = 3, ITEMS = 20000 };

struct traffic {
    struct ring *ring;
    atomic_uint next_producer;
    atomic_ullong sum;
    atomic_uint count;
    atomic_bool out_of_order;
};

static void
produce(void *arg)
{
    struct traffic *t = arg;
    uintptr_t who = atomic_fetch_add(&t->next_producer, 1);
    for (uintptr_t i = 1; i <= ITEMS; i++)
        ring_push(t->ring, item(who << 32 | i));
}

static void
consume(void *arg)
{
    struct traffic *t = arg;
    uintptr_t last[PRODUCERS] = {0};
    for (void *p; (p = ring_pop(t->ring, -1)) != NULL;) {
        uintptr_t v = (uintptr_t)p;
        uintptr_t who = v >> 32;
        if ((v & 0xffffffff) <= last[who])
            t->out_of_order = true;
        last[who] = v & 0xffffffff;
        atomic_fetch_add(&t->sum, v & 0xffffffff);
        atomic_fetch_add(&t->count, 1);
    }
}

static void
many_threads_lose_double_and_reorder_nothing(void **state)
{
    struct traffic t = {.ring = ring_new(7)};
    struct thread producers[PRODUCERS] = {0};
    struct thread consumers[CONSUMERS] = {0};
    for (size_t i = 0; i < CONSUMERS; i++)
        thread_start(&consumers[i], "consumer", consume, &t);
    for (size_t i = 0; i < PRODUCERS; i++)
        thread_start(&producers[i], "producer", produce, &t);
    for (size_t i = 0; i < PRODUCERS; i++)
        thread_join(&producers[i]);
    ring_close(t.ring);
    for (size_t i = 0; i < CONSUMERS; i++)
        thread_join(&consumers[i]);
    assert_int_equal(t.count, PRODUCERS * ITEMS);
    assert_true(t.sum == (unsigned long long)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
    assert_false(t.out_of_order);
    ring_destroy(t.ring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_and_no_more_than_the_capacity_goes_in),
        cmocka_unit_test(a_pop_of_an_empty_ring_waits_as_long_as_asked),
        cmocka_unit_test(a_closed_ring_refuses_pushes_and_drains_pops),
        cmocka_unit_test(close_wakes_those_who_wait),
        cmocka_unit_test(many_threads_lose_double_and_reorder_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
