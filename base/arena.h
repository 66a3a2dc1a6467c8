/* Arena: many small allocations of one lifetime, freed whole. Chained blocks; a large request
 * gets its own block. Owner: whoever created it; moves with the batch. Thread: one at a time.
 * Never returns NULL: running out of memory is a crash of ours (abort), because every arena is
 * bounded by its user's budget (arena_used).
 */
#ifndef MILLRACE_BASE_ARENA_H
#define MILLRACE_BASE_ARENA_H

#include "base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t block_size; /* 0 = 64 KiB */
    size_t used;       /* bytes handed out since init or reset */
};

void
arena_init(struct arena *a, size_t block_size);
void
arena_free(struct arena *a);
/* Keeps one block for reuse. */
void
arena_reset(struct arena *a);
/* Aligned to 16. */
void *
arena_alloc(struct arena *a, size_t n);
void *
arena_zalloc(struct arena *a, size_t n);
struct bytes
arena_copy(struct arena *a, struct bytes b);
char *
arena_strdup(struct arena *a, const char *s);
/* Copy of b with a NUL after it. */
char *
arena_strn(struct arena *a, struct bytes b);
char *
arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
