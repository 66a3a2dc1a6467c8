/* zlib: crc32, zlib and gzip streams. */
#include "base/compress.h"

#include <zlib.h>

#include "base/hash.h"

#define ZLIB_STEP        ((size_t)64 << 10)
#define ZLIB_WINDOW      15
#define ZLIB_WINDOW_GZIP (ZLIB_WINDOW + 16)

uint32_t
hash_crc32(uint32_t crc, struct bytes b)
{
    return b.n ? (uint32_t)crc32_z(crc, b.p, b.n) : crc;
}

/* Runs a prepared stream to its end; step is deflate or inflate. false: damaged, cut short, or
 * above size_max. */
static bool
zlib_run(z_stream *z, int (*step)(z_stream *, int), size_t size_max, struct buf *out)
{
    int rc = Z_OK;
    size_t left = size_max;
    while (rc != Z_STREAM_END) {
        /* One byte above the limit tells an input that is too large from one that just fits. */
        size_t room = left < ZLIB_STEP ? left + 1 : ZLIB_STEP;
        z->next_out = buf_reserve(out, room);
        if (!z->next_out)
            return false;
        z->avail_out = (uInt)room;
        rc = step(z, Z_FINISH);
        size_t made = room - z->avail_out;
        bool stuck = rc == Z_BUF_ERROR && (made == 0 || z->avail_out > 0);
        if ((rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) || stuck || made > left)
            return false;
        left -= made;
        out->n += made;
    }
    return true;
}

static bool
zlib_set_input(z_stream *z, struct bytes in, struct err *e)
{
    if (in.n > UINT32_MAX)
        return err_set(e, MR_IO, "zlib: more than 4 GiB in one block");
    z->next_in = (z_const Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.n;
    return true;
}

static bool
zlib_deflate(struct bytes in, int level, int window, struct buf *out, struct err *e)
{
    z_stream z = {0};
    if (!zlib_set_input(&z, in, e))
        return false;
    if (deflateInit2(&z, level, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(e, MR_NO_MEMORY, "zlib: level %d", level);
    bool ok = zlib_run(&z, deflate, SIZE_MAX - 1, out);
    deflateEnd(&z);
    return ok || err_set(e, MR_NO_MEMORY, "zlib: the output buffer is full");
}

/* rest_max: bytes that may lie behind the end. */
static bool
zlib_inflate_rest(struct bytes in, int window, size_t size_max, size_t rest_max,
                  struct buf *out, struct err *e)
{
    z_stream z = {0};
    size_t before = out->n;
    if (!zlib_set_input(&z, in, e))
        return false;
    if (inflateInit2(&z, window) != Z_OK)
        return err_set(e, MR_NO_MEMORY, "zlib");
    bool ok = zlib_run(&z, inflate, size_max, out);
    bool rest = ok && z.avail_in > rest_max;
    inflateEnd(&z);
    if (ok && !rest)
        return true;
    out->n = before;
    return err_set(e, MR_IO, "zlib: %s",
                   rest ? "bytes behind the end"
                        : "damaged, cut short, or above its size limit");
}

static bool
zlib_inflate(struct bytes in, int window, size_t size_max, struct buf *out, struct err *e)
{
    return zlib_inflate_rest(in, window, size_max, 0, out, e);
}

bool
compress_zlib(struct bytes in, int level, struct buf *out, struct err *e)
{
    return zlib_deflate(in, level, ZLIB_WINDOW, out, e);
}

bool
decompress_zlib(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    return zlib_inflate(in, ZLIB_WINDOW, size_max, out, e);
}

bool
compress_gzip(struct bytes in, int level, struct buf *out, struct err *e)
{
    return zlib_deflate(in, level, ZLIB_WINDOW_GZIP, out, e);
}

bool
decompress_gzip(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    return zlib_inflate(in, ZLIB_WINDOW_GZIP, size_max, out, e);
}

bool
compress_deflate(struct bytes in, int level, struct buf *out, struct err *e)
{
    return zlib_deflate(in, level, -ZLIB_WINDOW, out, e);
}

bool
decompress_deflate(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    return zlib_inflate(in, -ZLIB_WINDOW, size_max, out, e);
}

bool
decompress_deflate_loose(struct bytes in, size_t size_max, struct buf *out, struct err *e)
{
    return zlib_inflate_rest(in, -ZLIB_WINDOW, size_max, 4, out, e);
}
