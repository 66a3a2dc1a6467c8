/* Arena of chained blocks. The head is the block being filled; a large request's own block goes
 * behind it. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define ARENA_BLOCK_DEFAULT ((size_t)64 << 10)
#define ARENA_ALIGN         ((size_t)16)

/* Under AddressSanitizer only what was handed out may be touched, to the byte. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
void
__asan_poison_memory_region(const volatile void *p, size_t n);
void
__asan_unpoison_memory_region(const volatile void *p, size_t n);
#define ARENA_FORBID(p, n) __asan_poison_memory_region(p, n)
#define ARENA_ALLOW(p, n)  __asan_unpoison_memory_region(p, n)
#else
#define ARENA_FORBID(p, n) ((void)0)
#define ARENA_ALLOW(p, n)  ((void)0)
#endif

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    alignas(16) uint8_t data[];
};

void
arena_init(struct arena *a, size_t block_size)
{
    *a = (struct arena){.block_size = block_size};
}

static void
arena_free_chain(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void
arena_free(struct arena *a)
{
    arena_free_chain(a->head);
    a->head = NULL;
    a->used = 0;
}

void
arena_reset(struct arena *a)
{
    if (a->head) {
        arena_free_chain(a->head->next);
        a->head->next = NULL;
        a->head->used = 0;
        ARENA_FORBID(a->head->data, a->head->size);
    }
    a->used = 0;
}

static struct arena_block *
arena_block_new(size_t size)
{
    struct arena_block *b = mem_alloc(sizeof(*b) + size);
    b->next = NULL;
    b->size = size;
    b->used = 0;
    ARENA_FORBID(b->data, b->size);
    return b;
}

/* A block with room for n bytes. A request above a quarter of the block size gets a block of
 * its own behind the head, so that the rest of the head is not lost. */
static struct arena_block *
arena_block_for(struct arena *a, size_t n)
{
    struct arena_block *head = a->head;
    if (head && n <= head->size - head->used)
        return head;
    size_t size = a->block_size ? a->block_size : ARENA_BLOCK_DEFAULT;
    if (n > size / 4 && head) {
        struct arena_block *own = arena_block_new(n);
        own->next = head->next;
        head->next = own;
        return own;
    }
    struct arena_block *fresh = arena_block_new(n > size ? n : size);
    fresh->next = head;
    a->head = fresh;
    return fresh;
}

void *
arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        mem_die("an arena was asked for %zu bytes", n);
    size_t size = n ? (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1) : ARENA_ALIGN;
    struct arena_block *b = arena_block_for(a, size);
    void *p = b->data + b->used;
    ARENA_ALLOW(p, n);
    b->used += size;
    a->used += size;
    return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    memset(p, 0, n);
    return p;
}

struct bytes
arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *p = arena_alloc(a, b.n);
    if (b.n)
        memcpy(p, b.p, b.n);
    return bytes_of(p, b.n);
}

char *
arena_strdup(struct arena *a, const char *s)
{
    return arena_strn(a, bytes_str(s));
}

char *
arena_strn(struct arena *a, struct bytes b)
{
    char *p = arena_alloc(a, b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    p[b.n] = '\0';
    return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_die("a text could not be formatted");
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
