/* Hashes, encodings of bytes, random ids. */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/mem.h"

uint32_t
hash_murmur2(struct bytes b)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28cU ^ (uint32_t)b.n;
    size_t i = 0;
    for (; i + 4 <= b.n; i += 4) {
        uint32_t k = (uint32_t)b.p[i] | (uint32_t)b.p[i + 1] << 8 | (uint32_t)b.p[i + 2] << 16 |
                     (uint32_t)b.p[i + 3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (i < b.n) {
        for (size_t j = b.n; j > i; j--)
            h ^= (uint32_t)b.p[j - 1] << 8 * (j - 1 - i);
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

int32_t
hash_partition(struct bytes key, int32_t partitions)
{
    return (int32_t)(hash_murmur2(key) & 0x7fffffff) % partitions;
}

__extension__ typedef unsigned __int128 u128;

static uint64_t
hash_mix(uint64_t a, uint64_t b)
{
    u128 r = (u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint64_t
hash_load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Multiply and fold, 16 bytes a step. */
uint64_t
hash_u64(struct bytes b)
{
    const uint64_t k0 = 0xa0761d6478bd642fU;
    const uint64_t k1 = 0xe7037ed1a0b428dbU;
    uint64_t h = k0 ^ b.n;
    const uint8_t *p = b.p;
    size_t n = b.n;
    for (; n >= 16; n -= 16, p += 16)
        h = hash_mix(hash_load(p, 8) ^ k1, hash_load(p + 8, 8) ^ h);
    if (n) {
        uint64_t low = hash_load(p, n < 8 ? n : 8);
        uint64_t high = n > 8 ? hash_load(p + 8, n - 8) : 0;
        h = hash_mix(low ^ k1, high ^ h);
    }
    return hash_mix(h ^ k0, k1);
}

void
hash_sha256(struct bytes b, uint8_t out[32])
{
    crypt_sha256(b, out);
}

void
hash_hmac_sha256(struct bytes key, struct bytes b, uint8_t out[32])
{
    crypt_hmac_sha256(key, b, out);
}

void
hex_encode(struct bytes b, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < b.n; i++) {
        *out++ = digits[b.p[i] >> 4];
        *out++ = digits[b.p[i] & 15];
    }
    *out = '\0';
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
hex_decode(const char *s, uint8_t *out, size_t n)
{
    if (strnlen(s, 2 * n + 1) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(s[2 * i]);
        int low = hex_digit(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct bytes b, struct buf *out)
{
    for (size_t i = 0; i < b.n; i += 3) {
        size_t have = b.n - i < 3 ? b.n - i : 3;
        uint32_t v = (uint32_t)b.p[i] << 16;
        if (have > 1)
            v |= (uint32_t)b.p[i + 1] << 8;
        if (have > 2)
            v |= b.p[i + 2];
        char four[4] = {base64_digits[v >> 18], base64_digits[v >> 12 & 63],
                        have > 1 ? base64_digits[v >> 6 & 63] : '=',
                        have > 2 ? base64_digits[v & 63] : '='};
        buf_add(out, four, 4);
    }
}

static int
base64_digit(uint8_t c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;
    return at ? (int)(at - base64_digits) : -1;
}

/* Strict: groups of four, padding only at the end, unused bits zero. */
bool
base64_decode(struct bytes text, struct buf *out)
{
    if (text.n % 4)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        const uint8_t *p = text.p + i;
        size_t pad = i + 4 < text.n || p[3] != '=' ? 0 : p[2] == '=' ? 2 : 1;
        uint32_t v = 0;
        for (size_t j = 0; j < 4; j++) {
            int d = j < 4 - pad ? base64_digit(p[j]) : 0;
            if (d < 0)
                return false;
            v = v << 6 | (uint32_t)d;
        }
        uint8_t three[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if ((pad == 1 && three[2]) || (pad == 2 && (three[1] || three[2])))
            return false;
        buf_add(out, three, 3 - pad);
    }
    return !out->failed;
}

void
random_bytes(void *p, size_t n)
{
    uint8_t *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno != EINTR)
            mem_die("the system gave no random bytes");
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

uint64_t
random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}

void
uuid_v7(char out[37])
{
    uint8_t b[16];
    random_bytes(b, sizeof(b));
    uint64_t ms = clock_wall_ms();
    for (size_t i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x70);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    static const uint8_t group_lens[] = {4, 2, 2, 2, 6};
    const uint8_t *p = b;
    for (size_t i = 0; i < ARRAY_LEN(group_lens); i++) {
        hex_encode(bytes_of(p, group_lens[i]), out);
        p += group_lens[i];
        out += 2 * (size_t)group_lens[i];
        if (i + 1 < ARRAY_LEN(group_lens))
            *out++ = '-';
    }
}

bool
uuid_parse(const char *s, uint8_t out[16])
{
    char hex[33];
    size_t n = 0;
    if (strnlen(s, 37) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (s[i] == '-'))
            return false;
        if (!dash)
            hex[n++] = s[i];
    }
    hex[n] = '\0';
    return hex_decode(hex, out, 16);
}
