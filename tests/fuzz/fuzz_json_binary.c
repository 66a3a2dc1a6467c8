/* Fuzz: MySQL's binary JSON, and differences applied to it. Input: length of the document 2
 * (little-endian), document, differences. No differences change nothing. */
#include <stdlib.h>

#include "base/arena.h"
#include "capture/mysql/value.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(bytes_of(data, size));
    struct bytes doc = reader_take(&r, reader_le(&r, 2)), diffs = reader_rest(&r);
    struct buf plain = {0}, same = {0}, changed = {0};
    struct arena a;
    if (r.failed)
        return 0;
    arena_init(&a, 0);
    bool ok = value_json(doc, &plain);
    bool again = value_json_apply(doc, (struct bytes){0}, &a, &same);
    if (doc.n && (ok != again || (ok && !bytes_eq(buf_bytes(&plain), buf_bytes(&same)))))
        abort();
    if (value_json_apply(doc, diffs, &a, &changed) && changed.n == 0)
        abort();
    arena_free(&a);
    buf_free(&plain);
    buf_free(&same);
    buf_free(&changed);
    return 0;
}
