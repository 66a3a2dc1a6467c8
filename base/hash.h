/* Hashes and encodings of bytes. */
#ifndef MILLRACE_BASE_HASH_H
#define MILLRACE_BASE_HASH_H

#include "base/bytes.h"

/* Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c); mask with
 * 0x7fffffff, then % partitions. */
uint32_t
hash_murmur2(struct bytes b);
/* Partition of a key payload as Java's default partitioner: (murmur2 & 0x7fffffff) % n. */
int32_t
hash_partition(struct bytes key, int32_t partitions);
/* Fast 64-bit hash for in-memory tables; not stable between versions. */
uint64_t
hash_u64(struct bytes b);
/* xxHash64 with seed 0; stable. */
uint64_t
hash_xxh64(struct bytes b);
/* XXH3, 128 bits; stable. */
void
hash_xxh3(struct bytes b, uint64_t seed, uint64_t out[2]);
uint32_t
hash_crc32(uint32_t crc, struct bytes b); /* zlib's */
void
hash_sha256(struct bytes b, uint8_t out[32]);
void
hash_hmac_sha256(struct bytes key, struct bytes b, uint8_t out[32]);
/* Lower-case hex; out holds 2 * n + 1. */
void
hex_encode(struct bytes b, char *out);
MUST bool
hex_decode(const char *s, uint8_t *out, size_t n);
void
base64_encode(struct bytes b, struct buf *out);
MUST bool
base64_decode(struct bytes text, struct buf *out);
/* Cryptographic random bytes. */
void
random_bytes(void *p, size_t n);
uint64_t
random_u64(void);
/* UUID version 7, lower case, 36 characters + NUL. */
void
uuid_v7(char out[37]);
/* Text form to 16 bytes. */
MUST bool
uuid_parse(const char *s, uint8_t out[16]);

#endif
