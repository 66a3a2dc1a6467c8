/* Bounded queue of pointers between threads (any number of producers and consumers), mutex and
 * condition variables: batches pass through it, never rows, so its cost does not count.
 * Ownership of an item moves with it. A closed ring refuses pushes and drains pops.
 */
#ifndef MILLRACE_BASE_RING_H
#define MILLRACE_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring;

struct ring *
ring_new(size_t capacity);
void
ring_destroy(struct ring *r); /* must be empty or its items owned elsewhere */
/* Waits while full. false: closed (the caller keeps the item). */
bool
ring_push(struct ring *r, void *item);
bool
ring_try_push(struct ring *r, void *item);
/* Waits at most timeout_ms (-1: for ever). NULL: nothing came, or closed and empty. */
void *
ring_pop(struct ring *r, int timeout_ms);
void
ring_close(struct ring *r);
bool
ring_closed(struct ring *r);
size_t
ring_len(struct ring *r);

#endif
