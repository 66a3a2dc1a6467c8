#include "apply/iceberg/equality.h"

#include <stdlib.h>

#include "base/mem.h"

struct equality {
    const struct fields *fields;
    struct parquet_column *columns; /* of the key */
    int32_t *ids;
    enum parquet_codec codec;
    struct rows_file *file; /* NULL: no key yet */
};

static bool
comparable(const struct fields *f)
{
    for (uint32_t i = 0; i < f->key_len; i++) {
        enum lake_kind kind = f->schema.fields[f->key[i]].type.kind;
        if (kind == LAKE_FLOAT || kind == LAKE_DOUBLE)
            return false;
    }
    return f->key_len > 0;
}

struct equality *
equality_new(const struct sink *s, const struct sink_part *p, const struct fields *f)
{
    const struct table *v = p->version;
    bool asked =
        config_table_choice(s->conf.config, "iceberg.deletes", v->database, v->name) == 1;
    if (!asked || p->loading || v->rows != TABLE_KEYED || p->op == SINK_APPEND ||
        !comparable(f))
        return NULL;
    struct equality *q = mem_zalloc(sizeof *q);
    q->fields = f;
    q->codec = s->codec;
    q->columns = mem_array(f->key_len, sizeof *q->columns);
    q->ids = mem_array(f->key_len, sizeof *q->ids);
    for (uint32_t i = 0; i < f->key_len; i++) {
        const struct lake_field *field = f->schema.fields + f->key[i];
        q->columns[i] =
            (struct parquet_column){.field = *field, .metrics = PARQUET_METRICS_BOUNDS};
        q->ids[i] = field->id;
    }
    return q;
}

void
equality_free(struct equality *q)
{
    if (!q)
        return;
    rows_file_free(q->file);
    free(q->columns);
    free(q->ids);
    free(q);
}

bool
equality_open(const struct equality *q)
{
    return q->file != NULL;
}

bool
equality_add(struct equality *q, struct storage *s, const char *location,
             const struct cell *native, struct err *e)
{
    struct parquet_conf conf = {
        .columns = q->columns, .column_count = q->fields->key_len, .codec = q->codec};
    return (q->file || rows_file_new(s, location, &conf, &q->file, e)) &&
           parquet_writer_rows(rows_file_writer(q->file), &native, 1, e);
}

bool
equality_finish(struct equality *q, struct arena *a, struct data_file *out, struct err *e)
{
    if (!rows_file_finish(q->file, a, out, e))
        return false;
    int32_t *ids = arena_alloc(a, q->fields->key_len * sizeof *ids);
    memcpy(ids, q->ids, q->fields->key_len * sizeof *ids);
    out->content = DATA_FILE_EQUALITY;
    out->equality_ids = ids;
    out->equality_len = q->fields->key_len;
    return true;
}
