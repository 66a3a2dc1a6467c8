/* Any bytes as a manifest, a manifest list, table metadata or a deletion vector: refused or
 * read, never read past. What is read is written again and must then read the same. First byte:
 * which.
 */
#include <stdlib.h>

#include "lake/deletes.h"
#include "lake/metadata.h"
#include "lake/schema_json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok)
{
    if (!ok)
        abort();
}

static void
manifest_again(const struct manifest_entry *m, size_t n, const struct manifest_file *from,
               struct arena *a)
{
    struct json *schema = json_object_new();
    struct manifest_conf conf = {.version = 3, .deletes = from->deletes, .schema = schema};
    struct manifest_entry *again;
    struct manifest_file info;
    struct buf file = {0};
    struct err e;
    size_t len;
    must(manifest_write(&conf, m, n, &file, &info, &e));
    info.sequence = from->sequence;
    info.first_row_id = from->first_row_id;
    must(manifest_read(buf_bytes(&file), &info, a, &again, &len, &e) && len == n);
    for (size_t i = 0; i < n; i++) {
        must(strcmp(again[i].file.path, m[i].file.path) == 0);
        must(again[i].status == m[i].status && again[i].file.rows == m[i].file.rows);
        must(again[i].file.metrics_len <= m[i].file.metrics_len);
        must(again[i].file.splits_len == m[i].file.splits_len);
    }
    json_free(schema);
    buf_free(&file);
}

static void
as_manifest(struct bytes b, bool deletes, struct arena *a)
{
    struct manifest_file from = {
        .deletes = deletes, .sequence = 7, .added_snapshot = 5, .first_row_id = 100};
    struct manifest_entry *list;
    struct err e;
    size_t n;
    if (manifest_read(b, &from, a, &list, &n, &e))
        manifest_again(list, n, &from, a);
}

static void
as_list(struct bytes b, struct arena *a)
{
    struct manifest_list_conf conf = {.version = 3};
    struct manifest_file *list, *again;
    struct buf file = {0};
    struct err e;
    size_t n, len;
    if (!manifest_list_read(b, a, &list, &n, &e))
        return;
    must(manifest_list_write(&conf, list, n, &file, &e));
    must(manifest_list_read(buf_bytes(&file), a, &again, &len, &e) && len == n);
    for (size_t i = 0; i < n; i++)
        must(strcmp(again[i].path, list[i].path) == 0 &&
             again[i].sequence == list[i].sequence && again[i].deletes == list[i].deletes);
    buf_free(&file);
}

static void
as_metadata(struct bytes b, struct arena *a)
{
    struct json *none = json_array_new();
    struct metadata *m, *next;
    struct lake_schema s;
    struct buf text = {0};
    struct err e;
    if (metadata_parse(b, &m, &e)) {
        (void)!metadata_schema(m, -1, a, &s, &e);
        (void)metadata_is_ancestor(m, 1);
        must(metadata_next(m, "l", none, none, &next, &e));
        metadata_write(next, &text);
        metadata_free(next);
        must(metadata_parse(buf_bytes(&text), &next, &e));
        must(next->current_snapshot == m->current_snapshot);
        metadata_free(next);
        metadata_free(m);
    }
    json_free(none);
    buf_free(&text);
}

static void
as_vector(struct bytes b)
{
    struct positions p = {0}, again = {0};
    struct buf out = {0};
    struct err e;
    if (positions_read(b, &p, &e) && p.count < 1000000) {
        positions_write(&p, &out);
        must(positions_read(buf_bytes(&out), &again, &e) && again.count == p.count);
        for (uint64_t i = 0; positions_next(&p, i, &i); i++)
            must(positions_has(&again, i));
    }
    (void)!deletes_take_blob(b, &again, &e);
    positions_free(&p);
    positions_free(&again);
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size == 0)
        return 0;
    struct bytes b = bytes_of(data + 1, size - 1);
    arena_init(&a, 0);
    if (data[0] % 5 < 2)
        as_manifest(b, data[0] % 5, &a);
    else if (data[0] % 5 == 2)
        as_list(b, &a);
    else if (data[0] % 5 == 3)
        as_metadata(b, &a);
    else
        as_vector(b);
    arena_free(&a);
    return 0;
}
