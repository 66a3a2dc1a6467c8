/* Any bytes as an Avro value or key of a table of any shape: refused or decoded, never read
 * past. What decodes is written again, and that decodes too. First byte: which table.
 */
#include <stdlib.h>

#include "base/err.h"
#include "schema/codec.h"
#include "support/schema_random.h"

#define TABLES 16

static struct row_encoder *encoders[TABLES];
static struct row_decoder *decoders[TABLES];

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make(unsigned i)
{
    static const struct codec_conf conf = {
        .format = CODEC_AVRO, .prefix = "p", .topic = "p.d.t", .inc = 1};
    struct rng g = {i};
    struct err e;
    struct table *t = random_table(&g);
    if (!row_encoder_new(t, &conf, 1, 2, &encoders[i], &e) ||
        !row_decoder_new(t, &conf, &decoders[i], &e))
        abort();
    table_unref(t);
}

static void
write_again(unsigned i, struct change *c, struct arena *a)
{
    struct buf b = {0};
    struct err e;
    struct change again;
    if (row_encode_value(encoders[i], c, &b, &e) &&
        !row_decode(decoders[i], buf_bytes(&b), a, &again, &e))
        abort();
    buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct change c;
    struct err e;
    struct cell row[64];
    if (size == 0)
        return 0;
    unsigned i = data[0] % TABLES;
    if (!decoders[i])
        make(i);
    struct bytes value = {data + 1, size - 1};
    const struct cell *image;
    uint32_t image_at;
    arena_init(&a, 0);
    if (row_decode(decoders[i], value, &a, &c, &e))
        write_again(i, &c, &a);
    if ((row_decode_head(decoders[i], value, &c, &image_at, &e) && image_at &&
         row_decode_image(decoders[i], value, image_at, &a, &image, &e)) ||
        row_decode_key(decoders[i], value, &a, row, &e))
        e.code = MR_OK;
    arena_free(&a);
    return 0;
}
