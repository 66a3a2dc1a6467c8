/* Avro container files: writing, the header, the blocks. Values: ocf_value.c. */
#include "lake/ocf.h"

#include "base/compress.h"
#include "base/hash.h"
#include "lake/ocf_private.h"

#define OCF_MAGIC       BYTES_LIT("Obj\1")
#define OCF_SYNC        16
#define OCF_HEADERS_MAX 64
#define OCF_BLOCK_MAX   ((size_t)256 << 20)
#define OCF_LEVEL       6

void
ocf_put_long(struct buf *out, int64_t v)
{
    uint64_t u = ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
    for (; u >= 0x80; u >>= 7)
        buf_add_byte(out, (uint8_t)(u | 0x80));
    buf_add_byte(out, (uint8_t)u);
}

void
ocf_put_bytes(struct buf *out, struct bytes b)
{
    ocf_put_long(out, (int64_t)b.n);
    buf_add_bytes(out, b);
}

static void
put_header(struct buf *out, const char *key, struct bytes value)
{
    ocf_put_bytes(out, bytes_str(key));
    ocf_put_bytes(out, value);
}

static bool
put_block(struct bytes records, uint64_t count, const uint8_t *sync, struct buf *out,
          struct err *e)
{
    struct buf packed = {0};
    bool ok = compress_deflate(records, OCF_LEVEL, &packed, e);
    if (ok) {
        ocf_put_long(out, (int64_t)count);
        ocf_put_bytes(out, buf_bytes(&packed));
        buf_add(out, sync, OCF_SYNC);
    }
    buf_free(&packed);
    return ok;
}

bool
ocf_write(const char *schema, const struct ocf_header *headers, size_t headers_len,
          struct bytes records, uint64_t count, struct buf *out, struct err *e)
{
    uint8_t sync[OCF_SYNC];
    random_bytes(sync, sizeof(sync));
    buf_add_bytes(out, OCF_MAGIC);
    ocf_put_long(out, (int64_t)headers_len + 2);
    put_header(out, "avro.schema", bytes_str(schema));
    put_header(out, "avro.codec", BYTES_LIT("deflate"));
    for (size_t i = 0; i < headers_len; i++)
        put_header(out, headers[i].key, headers[i].value);
    ocf_put_long(out, 0);
    buf_add(out, sync, sizeof(sync));
    if (count && !put_block(records, count, sync, out, e))
        return false;
    return !out->failed || err_set(e, MR_NO_MEMORY, "an Avro file above its limit");
}

int64_t
ocf_take_long(struct reader *r)
{
    uint64_t u = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = reader_u8(r);
        u |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    }
    r->failed = true;
    return 0;
}

struct bytes
ocf_take_bytes(struct reader *r)
{
    int64_t n = ocf_take_long(r);
    if (n < 0)
        r->failed = true;
    return reader_take(r, r->failed ? 0 : (size_t)n);
}

int64_t
ocf_take_count(struct reader *r)
{
    int64_t n = ocf_take_long(r);
    if (n >= 0)
        return n;
    if (n == INT64_MIN || ocf_take_long(r) < 0)
        r->failed = true;
    return r->failed ? 0 : -n;
}

static void
take_headers(struct reader *r, struct arena *a, struct ocf_file *out)
{
    struct ocf_header *list = arena_zalloc(a, OCF_HEADERS_MAX * sizeof(*list));
    for (int64_t n; (n = ocf_take_count(r)) > 0 && !r->failed;)
        for (; n > 0 && !r->failed; n--) {
            if (out->headers_len == OCF_HEADERS_MAX) {
                r->failed = true;
                return;
            }
            struct ocf_header *h = &list[out->headers_len++];
            h->key = arena_strn(a, ocf_take_bytes(r));
            h->value = ocf_take_bytes(r);
        }
    out->headers = list;
}

struct bytes
ocf_header(const struct ocf_file *f, const char *key)
{
    for (size_t i = 0; i < f->headers_len; i++)
        if (strcmp(f->headers[i].key, key) == 0)
            return f->headers[i].value;
    return bytes_of(NULL, 0);
}

/* The plain bytes of a block, in the arena unless the codec is null. */
static bool
unpack(const struct ocf_file *f, struct bytes packed, struct arena *a, struct bytes *out,
       struct err *e)
{
    struct bytes codec = ocf_header(f, "avro.codec");
    if (!codec.p || bytes_eq(codec, BYTES_LIT("null"))) {
        *out = packed;
        return true;
    }
    if (!bytes_eq(codec, BYTES_LIT("deflate")))
        return err_set(e, MR_LAKE_UNSUPPORTED, "an Avro file with codec %.*s",
                       (int)(codec.n < 32 ? codec.n : 32), (const char *)codec.p);
    struct buf plain = {0};
    bool ok = decompress_deflate_loose(packed, OCF_BLOCK_MAX, &plain, e);
    if (ok)
        *out = arena_copy(a, buf_bytes(&plain));
    else
        err_set(e, MR_LAKE_METADATA, "a block of an Avro file is damaged");
    buf_free(&plain);
    return ok;
}

/* Records of all blocks, collected in `list`. */
static bool
take_blocks(struct reader *r, struct bytes sync, const struct ocf_type *type, struct arena *a,
            struct ocf_file *f, struct buf *list, struct err *e)
{
    while (!r->failed && reader_left(r)) {
        int64_t count = ocf_take_long(r);
        struct bytes packed = ocf_take_bytes(r), plain;
        if (!bytes_eq(reader_take(r, OCF_SYNC), sync) || r->failed || count < 0)
            break;
        if (!unpack(f, packed, a, &plain, e))
            return false;
        struct reader block = reader_of(plain);
        for (; count > 0 && !block.failed; count--) {
            struct ocf_value v;
            ocf_take_value(&block, type, a, &v);
            buf_add(list, &v, sizeof(v));
        }
        if (block.failed || reader_left(&block) || list->failed)
            break;
        if (!reader_left(r))
            return true;
    }
    return !r->failed && !reader_left(r) && !list->n
               ? true
               : err_set(e, MR_LAKE_METADATA, "a block of an Avro file is damaged");
}

bool
ocf_read(struct bytes file, struct arena *a, struct ocf_file *out, struct err *e)
{
    struct reader r = reader_of(file);
    struct ocf_type *type;
    *out = (struct ocf_file){0};
    if (!bytes_eq(reader_take(&r, OCF_MAGIC.n), OCF_MAGIC))
        return err_set(e, MR_LAKE_METADATA, "not an Avro file");
    take_headers(&r, a, out);
    struct bytes sync = reader_take(&r, OCF_SYNC);
    if (r.failed)
        return err_set(e, MR_LAKE_METADATA, "the header of an Avro file is damaged");
    if (!ocf_type_parse(ocf_header(out, "avro.schema"), a, &type, e))
        return false;
    struct buf list = {0};
    bool ok = take_blocks(&r, sync, type, a, out, &list, e);
    if (ok) {
        out->records_len = list.n / sizeof(struct ocf_value);
        out->records =
            (const struct ocf_value *)(const void *)arena_copy(a, buf_bytes(&list)).p;
    }
    buf_free(&list);
    return ok;
}

const struct ocf_value *
ocf_field(const struct ocf_value *record, int32_t field_id)
{
    for (size_t i = 0; record->kind == OCF_RECORD && i < record->v.list.len; i++) {
        const struct ocf_value *v = &record->v.list.items[i];
        if (v->field_id == field_id)
            return v->kind == OCF_NULL ? NULL : v;
    }
    return NULL;
}
