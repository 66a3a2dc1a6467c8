/* The canonical request, its signature, and the header that carries it. */
#include "lake/sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/uri.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HASH_LEN  32
#define DATE_LEN  8 /* of the time: YYYYMMDD */

/* A pair in the form that is sorted. */
struct canonical {
    struct buf name;
    struct buf value;
};

void
sigv4_hash(struct bytes b, char out[SIGV4_HASH_SIZE])
{
    uint8_t hash[HASH_LEN];
    hash_sha256(b, hash);
    hex_encode(bytes_of(hash, sizeof(hash)), out);
}

void
sigv4_time(uint64_t unix_ms, char out[SIGV4_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(out, SIGV4_TIME_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

static int
compare(const void *a, const void *b)
{
    const struct canonical *x = a, *y = b;
    int names = bytes_cmp(buf_bytes(&x->name), buf_bytes(&y->name));
    return names ? names : bytes_cmp(buf_bytes(&x->value), buf_bytes(&y->value));
}

typedef void
canonical_fn(const struct sigv4_pair *pair, struct canonical *out);

/* sorted_free. */
static struct canonical *
sorted(const struct sigv4_pair *pairs, size_t n, canonical_fn *make)
{
    struct canonical *list = mem_array(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
        make(&pairs[i], &list[i]);
    qsort(list, n, sizeof(*list), compare);
    return list;
}

static void
sorted_free(struct canonical *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_free(&list[i].name);
        buf_free(&list[i].value);
    }
    free(list);
}

static void
query_part(const struct sigv4_pair *pair, struct canonical *out)
{
    uri_encode(bytes_str(pair->name), "", &out->name);
    uri_encode(bytes_str(pair->value), "", &out->value);
}

/* The name in lower case; of the value, spaces at its ends go and runs of them become one. */
static void
header_part(const struct sigv4_pair *pair, struct canonical *out)
{
    for (const char *c = pair->name; *c; c++)
        buf_add_byte(&out->name, (uint8_t)tolower((unsigned char)*c));
    bool space = false;
    for (const char *c = pair->value; *c; c++) {
        bool is_space = *c == ' ' || *c == '\t';
        if (!is_space) {
            if (space && out->value.n)
                buf_add_byte(&out->value, ' ');
            buf_add_byte(&out->value, (uint8_t)*c);
        }
        space = is_space;
    }
}

void
sigv4_query(const struct sigv4_pair *query, size_t n, struct buf *out)
{
    struct canonical *list = sorted(query, n, query_part);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(out, '&');
        buf_add_bytes(out, buf_bytes(&list[i].name));
        buf_add_byte(out, '=');
        buf_add_bytes(out, buf_bytes(&list[i].value));
    }
    sorted_free(list, n);
}

static void
add_header_names(const struct canonical *headers, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(out, ';');
        buf_add_bytes(out, buf_bytes(&headers[i].name));
    }
}

static void
canonical_request(const struct sigv4_request *r, const struct canonical *headers,
                  struct buf *out)
{
    buf_addf(out, "%s\n%s\n", r->method, r->path);
    sigv4_query(r->query, r->query_len, out);
    buf_add_byte(out, '\n');
    for (size_t i = 0; i < r->headers_len; i++) {
        buf_add_bytes(out, buf_bytes(&headers[i].name));
        buf_add_byte(out, ':');
        buf_add_bytes(out, buf_bytes(&headers[i].value));
        buf_add_byte(out, '\n');
    }
    buf_add_byte(out, '\n');
    add_header_names(headers, r->headers_len, out);
    buf_addf(out, "\n%s", r->payload_hash);
}

/* DATE/REGION/SERVICE/aws4_request */
static void
add_scope(const struct sigv4_request *r, struct buf *out)
{
    buf_addf(out, "%.*s/%s/%s/aws4_request", DATE_LEN, r->time, r->region, r->service);
}

/* The key of the day, region and service. */
static void
signing_key(const struct sigv4_request *r, const char *secret, uint8_t key[HASH_LEN])
{
    const struct bytes steps[] = {bytes_of(r->time, DATE_LEN), bytes_str(r->region),
                                  bytes_str(r->service), BYTES_LIT("aws4_request")};
    struct buf first = {0};
    buf_addf(&first, "AWS4%s", secret);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint8_t next[HASH_LEN];
        hash_hmac_sha256(i ? bytes_of(key, HASH_LEN) : buf_bytes(&first), steps[i], next);
        memcpy(key, next, HASH_LEN);
    }
    crypt_wipe(first.p, first.n);
    buf_free(&first);
}

static void
sign(const struct sigv4_request *r, const struct canonical *headers, const char *secret,
     char out[SIGV4_HASH_SIZE])
{
    struct buf request = {0}, text = {0};
    uint8_t key[HASH_LEN], signature[HASH_LEN];
    canonical_request(r, headers, &request);
    sigv4_hash(buf_bytes(&request), out);
    buf_addf(&text, ALGORITHM "\n%s\n", r->time);
    add_scope(r, &text);
    buf_addf(&text, "\n%s", out);
    signing_key(r, secret, key);
    hash_hmac_sha256(bytes_of(key, sizeof(key)), buf_bytes(&text), signature);
    hex_encode(bytes_of(signature, sizeof(signature)), out);
    crypt_wipe(key, sizeof(key));
    buf_free(&request);
    buf_free(&text);
}

void
sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key, struct buf *out)
{
    char signature[SIGV4_HASH_SIZE];
    struct canonical *headers = sorted(r->headers, r->headers_len, header_part);
    sign(r, headers, key->secret, signature);
    buf_addf(out, ALGORITHM " Credential=%s/", key->id);
    add_scope(r, out);
    buf_add_str(out, ", SignedHeaders=");
    add_header_names(headers, r->headers_len, out);
    buf_addf(out, ", Signature=%s", signature);
    sorted_free(headers, r->headers_len);
}
