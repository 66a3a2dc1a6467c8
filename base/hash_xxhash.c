/* xxHash: XXH64, the hash of Parquet's bloom filters, and XXH3. */
#include "base/hash.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const uint8_t *
start(struct bytes b)
{
    assert(b.p != NULL || b.n == 0);
    return b.p != NULL ? b.p : (const uint8_t *)""; /* the library takes no null pointers */
}

uint64_t
hash_xxh64(struct bytes b)
{
    return XXH64(start(b), b.n, 0);
}

void
hash_xxh3(struct bytes b, uint64_t seed, uint64_t out[2])
{
    XXH128_hash_t h = XXH3_128bits_withSeed(start(b), b.n, seed);
    out[0] = h.high64;
    out[1] = h.low64;
}
