/* Memory of the control plane. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

void
mem_die(const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_error("died", F_STR("error", text));
    abort();
}

void *
mem_alloc(size_t n)
{
    return mem_realloc(NULL, n);
}

void *
mem_zalloc(size_t n)
{
    return mem_array(1, n);
}

void *
mem_array(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        mem_die("no memory for %zu x %zu bytes", n, size);
    return p;
}

void *
mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        mem_die("no memory for %zu bytes", n);
    return q;
}

char *
mem_strdup(const char *s)
{
    return mem_strn(bytes_str(s));
}

char *
mem_strn(struct bytes b)
{
    char *s = mem_alloc(b.n + 1);
    if (b.n)
        memcpy(s, b.p, b.n);
    s[b.n] = '\0';
    return s;
}

char *
mem_printf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_die("no memory for a formatted text");
    return s;
}
