/* Snappy's raw format. */
#include "base/compress.h"

#include <snappy-c.h>

bool
compress_snappy(struct bytes in, struct buf *out, struct err *e)
{
    size_t room = snappy_max_compressed_length(in.n);
    uint8_t *at = buf_reserve(out, room);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "snappy: no memory for %zu bytes", in.n);
    const char *from = in.n ? (const char *)in.p : "";
    if (snappy_compress(from, in.n, (char *)at, &room) != SNAPPY_OK)
        return err_set(e, MR_IO, "snappy: the block cannot be compressed");
    out->n += room;
    return true;
}

bool
decompress_snappy(struct bytes in, size_t size, struct buf *out, struct err *e)
{
    size_t n = 0;
    const char *from = in.n ? (const char *)in.p : "";
    if (snappy_uncompressed_length(from, in.n, &n) != SNAPPY_OK || n != size)
        return err_set(e, MR_IO, "snappy: the block is damaged");
    uint8_t *at = buf_reserve(out, size + 1);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "snappy: no memory for %zu bytes", size);
    if (snappy_uncompress(from, in.n, (char *)at, &n) != SNAPPY_OK || n != size)
        return err_set(e, MR_IO, "snappy: the block is damaged");
    out->n += size;
    return true;
}
