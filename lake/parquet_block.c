/* Compression of page bodies. */
#include "lake/parquet_block.h"

#include "base/compress.h"

void
parquet_block_init(struct parquet_block *b, enum parquet_codec codec, int level)
{
    *b = (struct parquet_block){.codec = codec};
    if (codec == PARQUET_ZSTD)
        b->zstd = zstd_codec_new(level);
}

void
parquet_block_free(struct parquet_block *b)
{
    zstd_codec_free(b->zstd);
    buf_free(&b->out);
}

bool
parquet_block_compress(struct parquet_block *b, struct bytes in, struct bytes *out,
                       struct err *e)
{
    bool ok = true;
    buf_reset(&b->out);
    if (b->codec == PARQUET_PLAIN) {
        *out = in;
        return true;
    }
    if (b->codec == PARQUET_ZSTD)
        ok = zstd_codec_compress(b->zstd, in, &b->out, e);
    else if (b->codec == PARQUET_LZ4)
        ok = compress_lz4_block(in, &b->out, e);
    else if (b->codec == PARQUET_GZIP)
        ok = compress_gzip(in, 6, &b->out, e);
    else
        ok = compress_snappy(in, &b->out, e);
    *out = buf_bytes(&b->out);
    return ok;
}

bool
parquet_block_decompress(struct parquet_block *b, struct bytes in, size_t size,
                         struct bytes *out, struct err *e)
{
    bool ok = true;
    buf_reset(&b->out);
    if (b->codec == PARQUET_PLAIN) {
        *out = in;
        return in.n == size || err_set(e, MR_LAKE_DATA_FILE, "a page of another size");
    }
    if (b->codec == PARQUET_ZSTD)
        ok = zstd_codec_decompress(b->zstd, in, size, &b->out, e);
    else if (b->codec == PARQUET_LZ4)
        ok = decompress_lz4_block(in, size, &b->out, e);
    else if (b->codec == PARQUET_GZIP)
        ok = decompress_gzip(in, size, &b->out, e);
    else
        ok = decompress_snappy(in, size, &b->out, e);
    *out = buf_bytes(&b->out);
    if (ok && out->n != size)
        return err_set(e, MR_LAKE_DATA_FILE, "a page of another size");
    if (!ok && e->code == MR_IO)
        err_fill(e, MR_LAKE_DATA_FILE, "a page does not decompress");
    return ok;
}
