/* Codecs: the public face; Avro and JSON do the work. */
#include "schema/codec.h"

#include <stdlib.h>

#include "base/mem.h"
#include "schema/codec_plan.h"

/* ---- schemas ---- */

MUST static bool
schema_text(const struct table *t, const struct codec_conf *c, bool key, struct buf *out,
            struct err *e)
{
    struct plan p;
    union {
        const struct table *in;
        struct table *out;
    } u = {.in = t}; /* only its reference count is touched */
    if (!plan_init(&p, u.out, c, e))
        return false;
    if (key)
        avro_key_schema(&p, out);
    else
        avro_value_schema(&p, out);
    plan_free(&p);
    return !out->failed || err_set(e, MR_NO_MEMORY, "no room for a schema");
}

bool
codec_key_schema(const struct table *t, const struct codec_conf *c, struct buf *out,
                 struct err *e)
{
    return schema_text(t, c, true, out, e);
}

bool
codec_value_schema(const struct table *t, const struct codec_conf *c, struct buf *out,
                   struct err *e)
{
    return schema_text(t, c, false, out, e);
}

/* ---- encoder ---- */

bool
row_encoder_new(struct table *t, const struct codec_conf *c, uint32_t key_id, uint32_t value_id,
                struct row_encoder **out, struct err *e)
{
    struct row_encoder *enc = mem_zalloc(sizeof *enc);
    if (!plan_init(&enc->plan, t, c, e)) {
        free(enc);
        return false;
    }
    if (c->format == CODEC_AVRO)
        avro_encoder_init(enc, key_id, value_id);
    else
        json_encoder_init(enc);
    *out = enc;
    return true;
}

void
row_encoder_free(struct row_encoder *enc)
{
    if (!enc)
        return;
    plan_free(&enc->plan);
    free(enc);
}

const struct table *
row_encoder_table(const struct row_encoder *enc)
{
    return enc->plan.table;
}

bool
row_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
               size_t *payload_at, struct err *e)
{
    *payload_at = enc->key_head.n;
    return enc->plan.conf.format == CODEC_AVRO ? avro_encode_key(enc, row, out, e)
                                               : json_encode_key(enc, row, out, e);
}

bool
row_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                 struct err *e)
{
    return enc->plan.conf.format == CODEC_AVRO ? avro_encode_value(enc, c, out, e)
                                               : json_encode_value(enc, c, out, e);
}

/* ---- decoder ---- */

bool
row_decoder_new(struct table *t, const struct codec_conf *c, struct row_decoder **out,
                struct err *e)
{
    struct row_decoder *dec = mem_zalloc(sizeof *dec);
    if (!plan_init(&dec->plan, t, c, e)) {
        free(dec);
        return false;
    }
    *out = dec;
    return true;
}

void
row_decoder_free(struct row_decoder *dec)
{
    if (!dec)
        return;
    plan_free(&dec->plan);
    free(dec);
}

bool
codec_schema_id(enum codec_format format, struct bytes msg, uint32_t *id)
{
    *id = 0;
    if (format == CODEC_JSON)
        return true;
    struct reader r = reader_of(msg);
    if (reader_u8(&r) != 0)
        return false;
    *id = (uint32_t)reader_be(&r, 4);
    return !r.failed;
}

bool
row_decode_head(const struct row_decoder *dec, struct bytes value, struct change *out,
                uint32_t *image_at, struct err *e)
{
    *image_at = 0;
    if (dec->plan.conf.format == CODEC_AVRO)
        return avro_decode_head(&dec->plan, value, out, image_at, e);
    bool ok = json_decode_head(value, out, e);
    out->table = dec->plan.table;
    return ok;
}

bool
row_decode_image(const struct row_decoder *dec, struct bytes value, uint32_t image_at,
                 struct arena *a, const struct cell **out, struct err *e)
{
    return avro_decode_image(&dec->plan, value, image_at, a, out, e);
}

bool
row_decode(const struct row_decoder *dec, struct bytes value, struct arena *a,
           struct change *out, struct err *e)
{
    return dec->plan.conf.format == CODEC_AVRO ? avro_decode(&dec->plan, value, a, out, e)
                                               : json_decode(&dec->plan, value, a, out, e);
}

bool
row_decode_key(const struct row_decoder *dec, struct bytes payload, struct arena *a,
               struct cell *row, struct err *e)
{
    return dec->plan.conf.format == CODEC_AVRO
               ? avro_decode_key(&dec->plan, payload, a, row, e)
               : json_decode_key(&dec->plan, payload, a, row, e);
}
