/* Names derived from source names. Pure text; thread: any. */
#include "schema/topic.h"

#include "base/hash.h"

#define TOPIC_CUT_ABOVE 240
#define TOPIC_KEPT      200

static bool
plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void
add_part(struct buf *out, const char *part)
{
    for (const char *s = part; *s; s++) {
        if (plain((uint8_t)*s))
            buf_add_byte(out, (uint8_t)*s);
        else
            buf_addf(out, "-%02X", (unsigned)(uint8_t)*s);
    }
}

/* -H cannot come from an escaped byte: its hex digits are 0-9 and A-F. */
static void
shorten(struct buf *name)
{
    uint8_t sum[32];
    char hex[65];
    hash_sha256(buf_bytes(name), sum);
    hex_encode(bytes_of(sum, 8), hex);
    name->n = TOPIC_KEPT;
    buf_add_str(name, "-H");
    buf_add_str(name, hex);
}

void
topic_name(const char *prefix, const char *database, const char *table,
           char out[TOPIC_NAME_MAX + 1])
{
    struct buf b = {0};
    add_part(&b, prefix);
    buf_add_byte(&b, '.');
    add_part(&b, database);
    buf_add_byte(&b, '.');
    add_part(&b, table);
    if (b.n > TOPIC_CUT_ABOVE)
        shorten(&b);
    memcpy(out, buf_cstr(&b), b.n + 1);
    buf_free(&b);
}

void
topic_avro_name(struct bytes name, struct buf *out)
{
    if (name.n == 0 || (name.p[0] >= '0' && name.p[0] <= '9'))
        buf_add_byte(out, '_');
    for (size_t i = 0; i < name.n; i++)
        buf_add_byte(out, plain(name.p[i]) ? name.p[i] : '_');
}
