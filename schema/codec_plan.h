/* What the codecs share: the columns of a table version compiled to wire forms, and the
 * constant parts of an encoder. Internal to schema/codec*.c, avro_*.c and json_codec_*.c.
 *
 * Owner: row_encoder or row_decoder. Thread: immutable after *_init.
 *
 * millrace_unchanged numbers columns from 0; column k of `before` is -(k + 1).
 * millrace_raw names columns of the only or the after image by their name, of an update's
 * before image by "before." and the name; a table where the two could be mixed up is refused.
 */
#ifndef MILLRACE_SCHEMA_CODEC_PLAN_H
#define MILLRACE_SCHEMA_CODEC_PLAN_H

#include "schema/codec.h"
#include "schema/types_mysql.h"

#define RAW_TEXT_MAX    40
#define TEMPORAL_BUFFER 48 /* any text of plan_temporal_text or plan_raw_text */
#define RAW_BEFORE      "before."

struct plan_col {
    uint8_t wire;  /* enum wire */
    bool nullable; /* in the record */
    uint8_t scale;
    uint16_t at; /* column index */
    const struct column *column;
    struct bytes name;      /* Avro field name, unique in its record */
    struct bytes json_name; /* "name": with quotes and colon */
};

struct plan {
    struct arena arena;
    struct table *table;
    struct codec_conf conf; /* own copies */
    struct plan_col *value; /* all columns, in column order */
    uint16_t value_n;
    struct plan_col *key; /* in key order */
    uint16_t key_n;
    uint16_t *sized; /* value columns whose size follows the cell's len */
    uint16_t sized_n;
    size_t image_max; /* bytes of an image in this format without the cells' own bytes */
    size_t key_max;
    size_t raw_max; /* bytes of all raw and unchanged entries of both images */
};

MUST bool
plan_init(struct plan *p, struct table *t, const struct codec_conf *c, struct err *e);
void
plan_free(struct plan *p);

/* Bytes a cell may need beyond the plan's maximum: the part that follows its length. */
static inline size_t
plan_cell_extra(enum codec_format f, const struct cell *c)
{
    bool has_bytes = c->kind == CELL_DECIMAL || c->kind == CELL_TEXT || c->kind == CELL_BYTES ||
                     c->kind >= CELL_JSON;
    size_t n = has_bytes ? c->len : 0;
    if (f == CODEC_AVRO)
        return n;
    return c->kind == CELL_VECTOR ? n / 4 * 32 : n * 6;
}

struct row_encoder {
    struct plan plan;
    /* Constant parts of a value, in this format's bytes. */
    struct bytes key_head, value_head;
    struct bytes source_head;    /* version, connector, name */
    struct bytes source_kind[2]; /* snapshot: false, incremental; db; sequence */
    struct bytes source_table;
    struct bytes source_tail; /* query, millrace_inc */
    size_t fixed_max;         /* bytes of everything but images, gtid and file */
};

struct row_decoder {
    struct plan plan;
};

/* The format's own functions; contracts in schema/codec.h. */
void
avro_encoder_init(struct row_encoder *enc, uint32_t key_id, uint32_t value_id);
MUST bool
avro_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
                struct err *e);
MUST bool
avro_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                  struct err *e);
MUST bool
avro_decode_head(const struct plan *p, struct bytes value, struct change *out,
                 uint32_t *image_at, struct err *e);
MUST bool
avro_decode_image(const struct plan *p, struct bytes value, uint32_t image_at, struct arena *a,
                  const struct cell **out, struct err *e);
MUST bool
avro_decode(const struct plan *p, struct bytes value, struct arena *a, struct change *out,
            struct err *e);
MUST bool
avro_decode_key(const struct plan *p, struct bytes payload, struct arena *a, struct cell *row,
                struct err *e);
void
avro_key_schema(const struct plan *p, struct buf *out);
void
avro_value_schema(const struct plan *p, struct buf *out);

void
json_encoder_init(struct row_encoder *enc);
MUST bool
json_encode_key(const struct row_encoder *enc, const struct cell *row, struct buf *out,
                struct err *e);
MUST bool
json_encode_value(const struct row_encoder *enc, const struct change *c, struct buf *out,
                  struct err *e);
MUST bool
json_decode_head(struct bytes value, struct change *out, struct err *e);
MUST bool
json_decode(const struct plan *p, struct bytes value, struct arena *a, struct change *out,
            struct err *e);
MUST bool
json_decode_key(const struct plan *p, struct bytes payload, struct arena *a, struct cell *row,
                struct err *e);

/* ---- values both formats write the same way ---- */

/* The raw text of a cell its wire form cannot carry, into out (RAW_TEXT_MAX); its length, or -1
 * when the column's wire form can carry it or no text is known. */
int
plan_raw_text(const struct plan_col *c, const struct cell *v, char *out);
/* Signed 64-bit value of an integer cell; false when it does not fit the wire form. */
bool
plan_integer(const struct plan_col *c, const struct cell *v, int64_t *out);
/* Label of an ENUM index (1-based), or the labels of a SET's mask into out (room for the plan's
 * maximum); false when out of range. */
bool
plan_enum_label(const struct column *c, uint64_t index, struct bytes *out);
bool
plan_set_labels(const struct column *c, uint64_t mask, uint8_t *out, size_t *n);
/* Text of a temporal key column or of a TIMESTAMP; 0 when the cell is none. */
size_t
plan_temporal_text(const struct plan_col *c, const struct cell *v, char *out);
/* The number that a DATE, TIME, DATETIME or YEAR travels as; false when the cell is none or has
 * no such number (see plan_raw_text). */
bool
plan_temporal_number(const struct plan_col *c, const struct cell *v, int64_t *out);
/* The other way; false when out of range. */
bool
plan_temporal_cell(const struct plan_col *c, int64_t n, struct cell *out);
/* A key column's text turned into the cell that a source gives, in place; false when it is
 * none. */
bool
plan_key_cell(const struct plan_col *c, struct cell *v);
/* Finds where a millrace_raw entry belongs and puts the text there; unknown names are ignored.
 */
void
plan_put_raw(const struct plan *p, struct bytes name, struct bytes text, struct change *c);
/* Marks a column of millrace_unchanged absent; false when there is no such column. */
bool
plan_put_unchanged(const struct plan *p, int64_t k, struct change *c);
MUST bool
plan_refuse_cell(const struct plan *p, const struct plan_col *c, const struct cell *v,
                 struct err *e);

#endif
