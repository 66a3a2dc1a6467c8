/* Memory of the control plane: malloc and friends that never return NULL (running out aborts
 * with one log line). The row path uses arenas. Thread: any. Free with free().
 */
#ifndef MILLRACE_BASE_MEM_H
#define MILLRACE_BASE_MEM_H

#include "base/bytes.h"

void *
mem_alloc(size_t n);
void *
mem_zalloc(size_t n);
/* n * size zeroed bytes; a product that overflows aborts. */
void *
mem_array(size_t n, size_t size);
void *
mem_realloc(void *p, size_t n);
char *
mem_strdup(const char *s);
/* Copy of b with a NUL after it. */
char *
mem_strn(struct bytes b);
char *
mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* A bug of ours, or a system that cannot go on: writes one line to stderr, then abort(). */
_Noreturn void
mem_die(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
