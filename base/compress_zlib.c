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
