/* lz4: frames and blocks. */
#include "base/compress.h"

#include <lz4.h>
#include <lz4frame.h>

#define LZ4_STEP ((size_t)64 << 10)

bool
compress_lz4(struct bytes in, struct buf *out, struct err *e)
{
    size_t room = LZ4F_compressFrameBound(in.n, NULL);
    uint8_t *at = LZ4F_isError(room) ? NULL : buf_reserve(out, room);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "lz4: the output buffer is full");
    size_t n = LZ4F_compressFrame(at, room, in.n ? (const void *)in.p : "", in.n, NULL);
    if (LZ4F_isError(n))
        return err_set(e, MR_IO, "lz4: %s", LZ4F_getErrorName(n));
    out->n += n;
    return true;
}

static bool
lz4_run(LZ4F_dctx *d, struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    size_t left = size_max;
    size_t hint = 1; /* 0: a frame is complete */
    bool full = false;
    while (in.n || full) {
        size_t room = left < LZ4_STEP ? left + 1 : LZ4_STEP;
        uint8_t *at = buf_reserve(out, room);
        size_t made = room;
        size_t used = in.n;
        if (!at)
            return err_set(e, MR_NO_MEMORY, "lz4: the output buffer is full");
        hint = LZ4F_decompress(d, at, &made, in.p, &used, NULL);
        if (LZ4F_isError(hint))
            return err_set(e, MR_IO, "lz4: %s", LZ4F_getErrorName(hint));
        if (made > left)
            return err_set(e, MR_IO, "lz4: more than %zu bytes", size_max);
        left -= made;
        out->n += made;
        in = bytes_of(in.p + used, in.n - used);
        full = made == room && hint != 0;
    }
    return hint == 0 || err_set(e, MR_IO, "lz4: the data is cut short");
}

bool
decompress_lz4(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    LZ4F_dctx *d;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return err_set(e, MR_NO_MEMORY, "lz4");
    size_t before = out->n;
    bool ok = lz4_run(d, in, size_max, out, e);
    LZ4F_freeDecompressionContext(d);
    if (!ok)
        out->n = before;
    return ok;
}

bool
compress_lz4_block(struct bytes in, struct buf *out, struct err *e)
{
    int room = in.n <= LZ4_MAX_INPUT_SIZE ? LZ4_compressBound((int)in.n) : 0;
    uint8_t *at = room ? buf_reserve(out, (size_t)room) : NULL;
    if (!at)
        return err_set(e, MR_NO_MEMORY, "lz4: no memory for %zu bytes", in.n);
    const char *from = in.n ? (const char *)in.p : "";
    int n = LZ4_compress_default(from, (char *)at, (int)in.n, room);
    if (n <= 0)
        return err_set(e, MR_IO, "lz4: the block cannot be compressed");
    out->n += (size_t)n;
    return true;
}

bool
decompress_lz4_block(struct bytes in, size_t size, struct buf *out, struct err *e)
{
    if (size > LZ4_MAX_INPUT_SIZE || in.n > LZ4_MAX_INPUT_SIZE)
        return err_set(e, MR_IO, "lz4: a block of %zu bytes", size);
    uint8_t *at = buf_reserve(out, size + 1);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "lz4: no memory for %zu bytes", size);
    const char *from = in.n ? (const char *)in.p : "";
    int n = LZ4_decompress_safe(from, (char *)at, (int)in.n, (int)size);
    if (n < 0 || (size_t)n != size)
        return err_set(e, MR_IO, "lz4: the block is damaged");
    out->n += size;
    return true;
}
