/* xxHash64: the hash of Parquet's bloom filters. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t
hash_xxh64(struct bytes b)
{
    return XXH64(b.p, b.n, 0);
}
