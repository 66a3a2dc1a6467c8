/* Compression of whole blocks: zstd, lz4 (frames and blocks), snappy, zlib. Each library's
 * header is seen by one file, compress_<name>.c. Appends to out. Decompression stops at
 * size_max bytes, so a small input cannot fill the memory. Thread: any. Errors: MR_IO says the
 * data is damaged or too large; the caller knows whose data it is and sets its own code.
 */
#ifndef MILLRACE_BASE_COMPRESS_H
#define MILLRACE_BASE_COMPRESS_H

#include "base/bytes.h"

MUST bool
compress_zstd(struct bytes in, int level, struct buf *out, struct err *e);
MUST bool
decompress_zstd(struct bytes in, size_t size_max, struct buf *out, struct err *e);
MUST bool
compress_lz4(struct bytes in, struct buf *out, struct err *e);
MUST bool
decompress_lz4(struct bytes in, size_t size_max, struct buf *out, struct err *e);

/* zstd with its working memory kept between calls: for many small blocks. */
struct zstd_codec;
struct zstd_codec *
zstd_codec_new(int level);
void
zstd_codec_free(struct zstd_codec *z); /* NULL allowed */
MUST bool
zstd_codec_compress(struct zstd_codec *z, struct bytes in, struct buf *out, struct err *e);
/* For blocks whose size is known: exactly `size` bytes come out, or an error. */
MUST bool
zstd_codec_decompress(struct zstd_codec *z, struct bytes in, size_t size, struct buf *out,
                      struct err *e);
/* lz4's block format, no frame around it. */
MUST bool
compress_lz4_block(struct bytes in, struct buf *out, struct err *e);
MUST bool
decompress_lz4_block(struct bytes in, size_t size, struct buf *out, struct err *e);
/* Snappy's raw format. */
MUST bool
compress_snappy(struct bytes in, struct buf *out, struct err *e);
MUST bool
decompress_snappy(struct bytes in, size_t size, struct buf *out, struct err *e);

/* zlib format (RFC 1950). */
MUST bool
compress_zlib(struct bytes in, int level, struct buf *out, struct err *e);
MUST bool
decompress_zlib(struct bytes in, size_t size_max, struct buf *out, struct err *e);
/* Raw deflate (RFC 1951): no header, no checksum. */
MUST bool
compress_deflate(struct bytes in, int level, struct buf *out, struct err *e);
MUST bool
decompress_deflate(struct bytes in, size_t size_max, struct buf *out, struct err *e);
/* The same where up to 4 bytes may follow: a checksum, or some of one, that a writer which cut
 * the stream out of a zlib one left behind it (PyIceberg's Avro blocks: 3). */
MUST bool
decompress_deflate_loose(struct bytes in, size_t size_max, struct buf *out, struct err *e);
/* gzip format (RFC 1952). */
MUST bool
compress_gzip(struct bytes in, int level, struct buf *out, struct err *e);
MUST bool
decompress_gzip(struct bytes in, size_t size_max, struct buf *out, struct err *e);

#endif
