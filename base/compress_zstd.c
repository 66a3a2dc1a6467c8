/* zstd frames. */
#include "base/compress.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

#define ZSTD_STEP ((size_t)64 << 10)
#define ZSTD_WINDOW_MAX \
    27 /* 128 MiB: what a decoder must accept by the format's recommendation */

bool
compress_zstd(struct bytes in, int level, struct buf *out, struct err *e)
{
    size_t room = ZSTD_compressBound(in.n);
    uint8_t *at = ZSTD_isError(room) ? NULL : buf_reserve(out, room);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "zstd: the output buffer is full");
    size_t n = ZSTD_compress(at, room, in.p, in.n, level);
    if (ZSTD_isError(n))
        return err_set(e, MR_IO, "zstd: %s", ZSTD_getErrorName(n));
    out->n += n;
    return true;
}

/* Streaming, because a frame need not say its size, and several frames may follow each other.
 */
static bool
zstd_run(ZSTD_DCtx *d, struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    ZSTD_inBuffer src = {in.p, in.n, 0};
    size_t left = size_max;
    size_t hint = 1;   /* 0: a frame is complete */
    bool full = false; /* the last step may hold output back */
    while (src.pos < src.size || full) {
        size_t room = left < ZSTD_STEP ? left + 1 : ZSTD_STEP;
        ZSTD_outBuffer dst = {buf_reserve(out, room), room, 0};
        if (!dst.dst)
            return err_set(e, MR_NO_MEMORY, "zstd: the output buffer is full");
        hint = ZSTD_decompressStream(d, &dst, &src);
        if (ZSTD_isError(hint))
            return err_set(e, MR_IO, "zstd: %s", ZSTD_getErrorName(hint));
        if (dst.pos > left)
            return err_set(e, MR_IO, "zstd: more than %zu bytes", size_max);
        left -= dst.pos;
        out->n += dst.pos;
        full = dst.pos == room && hint != 0;
    }
    return hint == 0 || err_set(e, MR_IO, "zstd: the data is cut short");
}

bool
decompress_zstd(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (!d)
        return err_set(e, MR_NO_MEMORY, "zstd");
    size_t before = out->n;
    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW_MAX);
    bool ok = zstd_run(d, in, size_max, out, e);
    ZSTD_freeDCtx(d);
    if (!ok)
        out->n = before;
    return ok;
}

struct zstd_codec {
    ZSTD_CCtx *out;
    ZSTD_DCtx *in;
    int level;
};

struct zstd_codec *
zstd_codec_new(int level)
{
    struct zstd_codec *z = mem_zalloc(sizeof *z);
    z->level = level;
    return z;
}

void
zstd_codec_free(struct zstd_codec *z)
{
    if (!z)
        return;
    ZSTD_freeCCtx(z->out);
    ZSTD_freeDCtx(z->in);
    free(z);
}

bool
zstd_codec_compress(struct zstd_codec *z, struct bytes in, struct buf *out, struct err *e)
{
    size_t room = ZSTD_compressBound(in.n);
    uint8_t *at = ZSTD_isError(room) ? NULL : buf_reserve(out, room);
    if (!at || (!z->out && !(z->out = ZSTD_createCCtx())))
        return err_set(e, MR_NO_MEMORY, "zstd: no memory for %zu bytes", in.n);
    size_t n = ZSTD_compressCCtx(z->out, at, room, in.p, in.n, z->level);
    if (ZSTD_isError(n))
        return err_set(e, MR_IO, "zstd: %s", ZSTD_getErrorName(n));
    out->n += n;
    return true;
}

bool
zstd_codec_decompress(struct zstd_codec *z, struct bytes in, size_t size, struct buf *out,
                      struct err *e)
{
    uint8_t *at = buf_reserve(out, size + 1);
    if (!at || (!z->in && !(z->in = ZSTD_createDCtx())))
        return err_set(e, MR_NO_MEMORY, "zstd: no memory for %zu bytes", size);
    size_t n = ZSTD_decompressDCtx(z->in, at, size, in.p, in.n);
    if (ZSTD_isError(n))
        return err_set(e, MR_IO, "zstd: %s", ZSTD_getErrorName(n));
    if (n != size)
        return err_set(e, MR_IO, "zstd: %zu bytes where %zu were announced", n, size);
    out->n += n;
    return true;
}
