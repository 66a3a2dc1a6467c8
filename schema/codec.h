/* Codecs: a table version compiled to a plan that writes or reads Kafka keys and values
 * (Debezium envelope).
 *
 * Formats: Avro in the Confluent wire format (magic 0, 4-byte big-endian schema id, body) and
 * plain JSON. Envelope, field order, type mapping and the millrace_* fields of `source`:
 * docs/formats.md. Deterministic: schema text is a pure function of (table version,
 * codec_conf), so apply derives the reading plan from the table version alone. Thread: a plan
 * is immutable after *_new and may be shared. Row calls do not allocate beyond the given buffer
 * or arena.
 */
#ifndef MILLRACE_SCHEMA_CODEC_H
#define MILLRACE_SCHEMA_CODEC_H

#include "schema/change.h"

enum codec_format { CODEC_AVRO, CODEC_JSON };

struct codec_conf {
    enum codec_format format;
    const char *prefix; /* topic prefix = Debezium's logical server name */
    const char *topic;  /* full topic name */
    uint64_t inc;       /* incarnation, goes into every record */
};

/* Avro schema text of key and value (Debezium names, connect.name / logicalType parameters
 * kept). */
MUST bool
codec_key_schema(const struct table *t, const struct codec_conf *c, struct buf *out,
                 struct err *e);
MUST bool
codec_value_schema(const struct table *t, const struct codec_conf *c, struct buf *out,
                   struct err *e);

struct row_encoder;
/* Ids are the registry's (ignored for JSON). conf's strings are copied; the table is
 * referenced. */
MUST bool
row_encoder_new(struct table *t, const struct codec_conf *c, uint32_t key_id, uint32_t value_id,
                struct row_encoder **out, struct err *e);
void
row_encoder_free(struct row_encoder *enc);
const struct table *
row_encoder_table(const struct row_encoder *enc);
/* Appends the framed key to out; *payload_at is the payload's offset within what was appended
 * (5 for Avro, 0 for JSON). */
MUST bool
row_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
               size_t *payload_at, struct err *e);
/* Appends the framed value. c->table must be the encoder's. ERR_TABLE on a value that cannot be
 * written. */
MUST bool
row_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                 struct err *e);

struct row_decoder;
MUST bool
row_decoder_new(struct table *t, const struct codec_conf *c, struct row_decoder **out,
                struct err *e);
void
row_decoder_free(struct row_decoder *dec);
/* Schema id of a framed Avro message; false when the magic byte is not 0 or it is short. JSON:
 * id 0. */
bool
codec_schema_id(enum codec_format format, struct bytes msg, uint32_t *id);
/* Only op, id and source.load, without touching an arena: what the gate needs. Works without
 * knowing the table: JSON, by scanning `source`; Avro, by this plan. *image_at: where in the
 * value the row's image begins (after, of a delete before), for row_decode_image; 0: it has to
 * be decoded with the rest. */
MUST bool
row_decode_head(const struct row_decoder *dec, struct bytes value, struct change *out,
                uint32_t *image_at, struct err *e);
/* The cells of that image alone, as row_decode gives them. */
MUST bool
row_decode_image(const struct row_decoder *dec, struct bytes value, uint32_t image_at,
                 struct arena *a, const struct cell **out, struct err *e);
/* The whole change; cells from the arena, their bytes borrow from `value` or the arena. before
 * is filled only when present. */
MUST bool
row_decode(const struct row_decoder *dec, struct bytes value, struct arena *a,
           struct change *out, struct err *e);
/* Cells of a key from its payload (the frame cut off), of the kinds that a source gives, so
 * that they compare there as the row's own. row has the table's column_count cells; those that
 * are not in the key become CELL_ABSENT. */
MUST bool
row_decode_key(const struct row_decoder *dec, struct bytes payload, struct arena *a,
               struct cell *row, struct err *e);

#endif
