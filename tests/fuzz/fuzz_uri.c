/* Fuzz: any text as a connection string: refused, or written again and then the same; the form
 * that is shown never tells the password. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/uri.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
written_again(const struct uri *u)
{
    struct buf first = {0}, second = {0};
    struct uri again;
    struct err e;
    uri_write(u, URI_PASSWORD_PLAIN, &first);
    if (first.n <= URI_MAX) {
        if (!uri_parse(buf_cstr(&first), &again, &e))
            abort();
        uri_write(&again, URI_PASSWORD_PLAIN, &second);
        if (!bytes_eq(buf_bytes(&first), buf_bytes(&second)))
            abort();
        uri_free(&again);
    }
    buf_free(&first);
    buf_free(&second);
}

/* The same text with another password is shown alike. */
static void
masked(struct uri *u)
{
    struct buf shown = {0}, other = {0};
    const char *password = u->password;
    uri_masked(u, &shown);
    u->password = password ? "another" : NULL;
    uri_masked(u, &other);
    u->password = password;
    if (!bytes_eq(buf_bytes(&shown), buf_bytes(&other)))
        abort();
    buf_free(&shown);
    buf_free(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uri u;
    struct err e;
    char *text = mem_strn(bytes_of(data, size));
    struct buf shown = {0};
    uri_masked_text(text, &shown);
    if (uri_parse(text, &u, &e)) {
        written_again(&u);
        masked(&u);
        uri_free(&u);
    }
    buf_free(&shown);
    free(text);
    return 0;
}
