/* Manifests and manifest lists, read: of any writer, by field id. */
#include <stdlib.h>

#include "lake/manifest.h"
#include "lake/ocf.h"

#define METRICS_MAX 24000 /* of all columns and kinds; finding a column's place is linear */

/* A record being read: `bad` is sticky. */
struct source {
    const struct ocf_value *record;
    struct arena *a;
    bool bad;
};

static int64_t
take_long(struct source *s, int32_t id, bool required)
{
    const struct ocf_value *v = ocf_field(s->record, id);
    if ((!v && required) || (v && (v->kind != OCF_LONG || v->v.i < 0)))
        s->bad = true;
    return v && v->kind == OCF_LONG ? v->v.i : -1;
}

static int32_t
take_int(struct source *s, int32_t id, bool required)
{
    int64_t v = take_long(s, id, required);
    if (v > INT32_MAX)
        s->bad = true;
    return v > INT32_MAX ? -1 : (int32_t)v;
}

static struct bytes
take_bytes(struct source *s, int32_t id)
{
    const struct ocf_value *v = ocf_field(s->record, id);
    if (v && v->kind != OCF_BYTES)
        s->bad = true;
    return v && v->kind == OCF_BYTES ? v->v.b : bytes_of(NULL, 0);
}

static const char *
take_text(struct source *s, int32_t id, bool required)
{
    struct bytes b = take_bytes(s, id);
    if ((!b.p && required) || (b.p && memchr(b.p, 0, b.n)))
        s->bad = true;
    return b.p ? arena_strn(s->a, b) : NULL;
}

/* A list; its length, and the items. */
static size_t
take_list(struct source *s, int32_t id, const struct ocf_value **items)
{
    const struct ocf_value *v = ocf_field(s->record, id);
    *items = NULL;
    if (v && v->kind != OCF_ARRAY)
        s->bad = true;
    if (!v || v->kind != OCF_ARRAY)
        return 0;
    *items = v->v.list.items;
    return v->v.list.len;
}

/* Metrics being collected from six maps. */
struct metric_set {
    struct file_metric *list;
    uint32_t len;
    size_t cap;
};

/* The metric of a column, made when absent; ascending. */
static struct file_metric *
metric_of(struct metric_set *set, int32_t id)
{
    uint32_t at = set->len;
    while (at > 0 && set->list[at - 1].id >= id)
        at--;
    if (at < set->len && set->list[at].id == id)
        return &set->list[at];
    if (set->len == set->cap)
        return NULL;
    memmove(&set->list[at + 1], &set->list[at], (set->len - at) * sizeof(*set->list));
    set->len++;
    set->list[at] =
        (struct file_metric){.id = id, .bytes = -1, .values = -1, .nulls = -1, .nans = -1};
    return &set->list[at];
}

#define MAPS 6

/* Of each map: its field, and the ids of its keys and values. */
static const struct {
    int32_t field, key, value;
} maps[MAPS] = {{108, 117, 118}, {109, 119, 120}, {110, 121, 122},
                {137, 138, 139}, {125, 126, 127}, {128, 129, 130}};

static void
set_metric(struct source *s, struct file_metric *m, size_t map, const struct ocf_value *v)
{
    int64_t *const numbers[] = {&m->bytes, &m->values, &m->nulls, &m->nans};
    if (map < ARRAY_LEN(numbers) && v->kind == OCF_LONG && v->v.i >= 0) {
        *numbers[map] = v->v.i;
    } else if (map == 4 && v->kind == OCF_BYTES) {
        m->has_lower = true;
        m->lower = v->v.b;
    } else if (map == 5 && v->kind == OCF_BYTES) {
        m->has_upper = true;
        m->upper = v->v.b;
    } else {
        s->bad = true;
    }
}

static void
take_map(struct source *s, size_t map, struct metric_set *set)
{
    const struct ocf_value *items;
    size_t n = take_list(s, maps[map].field, &items);
    for (size_t i = 0; i < n && !s->bad; i++) {
        const struct ocf_value *key = ocf_field(&items[i], maps[map].key);
        const struct ocf_value *value = ocf_field(&items[i], maps[map].value);
        bool fits =
            key && value && key->kind == OCF_LONG && key->v.i >= 0 && key->v.i <= INT32_MAX;
        struct file_metric *m = fits ? metric_of(set, (int32_t)key->v.i) : NULL;
        if (m)
            set_metric(s, m, map, value);
        else
            s->bad = true;
    }
}

static void
take_metrics(struct source *s, struct data_file *f)
{
    const struct ocf_value *items;
    struct metric_set set = {0};
    for (size_t i = 0; i < MAPS; i++)
        set.cap += take_list(s, maps[i].field, &items);
    if (set.cap > METRICS_MAX)
        s->bad = true;
    if (s->bad)
        return;
    set.list = arena_zalloc(s->a, (set.cap + 1) * sizeof(*set.list));
    for (size_t i = 0; i < MAPS; i++)
        take_map(s, i, &set);
    f->metrics = set.list;
    f->metrics_len = set.len;
}

static void
take_numbers(struct source *s, struct data_file *f)
{
    const struct ocf_value *items;
    size_t n = take_list(s, 132, &items);
    int64_t *offsets = arena_zalloc(s->a, (n + 1) * sizeof(*offsets));
    for (size_t i = 0; i < n; i++)
        offsets[i] = items[i].kind == OCF_LONG ? items[i].v.i : 0;
    f->split_offsets = offsets;
    f->splits_len = (uint32_t)n;
    n = take_list(s, 135, &items);
    int32_t *ids = arena_zalloc(s->a, (n + 1) * sizeof(*ids));
    for (size_t i = 0; i < n; i++)
        ids[i] = items[i].kind == OCF_LONG ? (int32_t)items[i].v.i : 0;
    f->equality_ids = ids;
    f->equality_len = (uint32_t)n;
}

static bool
take_file(const struct ocf_value *record, struct arena *a, struct data_file *f, struct err *e)
{
    struct source s = {record, a, false};
    const struct ocf_value *partition = ocf_field(record, 102);
    int32_t content = take_int(&s, 134, false);
    if (partition && partition->v.list.len > 0)
        return err_set(e, MR_LAKE_UNSUPPORTED, "a file of a partition");
    *f = (struct data_file){.content =
                                content < 0 ? DATA_FILE_ROWS : (enum data_file_content)content};
    f->path = take_text(&s, 100, true);
    f->format = take_text(&s, 101, true);
    f->rows = take_long(&s, 103, true);
    f->size = take_long(&s, 104, true);
    f->key_metadata = take_bytes(&s, 131);
    f->sort_order_id = take_int(&s, 140, false);
    f->first_row_id = take_long(&s, 142, false);
    f->referenced = take_text(&s, 143, false);
    f->content_offset = take_long(&s, 144, false);
    f->content_size = take_long(&s, 145, false);
    take_metrics(&s, f);
    take_numbers(&s, f);
    return (!s.bad && f->content <= DATA_FILE_EQUALITY) ||
           err_set(e, MR_LAKE_METADATA, "a file of a manifest lacks what the format demands");
}

static bool
take_entry(const struct ocf_value *record, const struct manifest_file *from, struct arena *a,
           struct manifest_entry *out, struct err *e)
{
    struct source s = {record, a, false};
    const struct ocf_value *file = ocf_field(record, 2);
    int32_t status = take_int(&s, 0, true);
    if (!file || file->kind != OCF_RECORD || status < 0 || status > MANIFEST_DELETED)
        return err_set(e, MR_LAKE_METADATA, "an entry of a manifest lacks its file or status");
    out->status = (enum manifest_status)status;
    out->snapshot_id = take_long(&s, 1, false);
    out->sequence = take_long(&s, 3, false);
    out->file_sequence = take_long(&s, 4, false);
    if (out->snapshot_id < 0)
        out->snapshot_id = from->added_snapshot;
    bool inherits = out->status == MANIFEST_ADDED || from->sequence == 0;
    if (inherits && out->sequence < 0)
        out->sequence = from->sequence;
    if (inherits && out->file_sequence < 0)
        out->file_sequence = from->sequence;
    if (s.bad || out->sequence < 0)
        return err_set(e, MR_LAKE_METADATA, "an entry of a manifest lacks a sequence number");
    if (out->file_sequence < 0)
        out->file_sequence = out->sequence;
    return take_file(file, a, &out->file, e);
}

/* Row ids of the files that have none yet: in order, after the manifest's first. */
static bool
inherit_row_ids(const struct manifest_file *from, struct manifest_entry *list, size_t n,
                struct err *e)
{
    int64_t next = from->first_row_id;
    for (size_t i = 0; i < n && next >= 0; i++) {
        struct data_file *f = &list[i].file;
        if (list[i].status == MANIFEST_DELETED || f->first_row_id >= 0)
            continue;
        f->first_row_id = next;
        if (__builtin_add_overflow(next, f->rows, &next))
            return err_set(e, MR_LAKE_METADATA, "row ids of a manifest are out of range");
    }
    return true;
}

bool
manifest_read(struct bytes file, const struct manifest_file *from, struct arena *a,
              struct manifest_entry **entries, size_t *n, struct err *e)
{
    struct ocf_file f;
    if (!ocf_read(file, a, &f, e))
        return false;
    struct manifest_entry *list = arena_zalloc(a, (f.records_len + 1) * sizeof(*list));
    for (size_t i = 0; i < f.records_len; i++)
        if (!take_entry(&f.records[i], from, a, &list[i], e))
            return false;
    for (size_t i = 0; i < f.records_len; i++)
        if ((list[i].file.content != DATA_FILE_ROWS) != from->deletes)
            return err_set(e, MR_LAKE_METADATA, "a manifest holds data and delete files");
    *entries = list;
    *n = f.records_len;
    return from->deletes || inherit_row_ids(from, list, *n, e);
}

static bool
take_manifest(const struct ocf_value *record, struct arena *a, struct manifest_file *out,
              struct err *e)
{
    static const struct {
        enum manifest_status status;
        int32_t count, rows;
    } fields[] = {{MANIFEST_ADDED, 504, 512},
                  {MANIFEST_EXISTING, 505, 513},
                  {MANIFEST_DELETED, 506, 514}};
    struct source s = {record, a, false};
    int32_t content = take_int(&s, 517, false);
    out->path = take_text(&s, 500, true);
    out->length = take_long(&s, 501, true);
    out->spec_id = take_int(&s, 502, true);
    out->deletes = content == 1;
    out->sequence = take_long(&s, 515, false);
    out->min_sequence = take_long(&s, 516, false);
    out->added_snapshot = take_long(&s, 503, true);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        out->counts[fields[i].status] = take_int(&s, fields[i].count, true);
        out->rows[fields[i].status] = take_long(&s, fields[i].rows, true);
    }
    out->key_metadata = take_bytes(&s, 519);
    out->first_row_id = take_long(&s, 520, false);
    /* A list of version 1 has no sequence numbers: 0. */
    if (out->sequence < 0)
        out->sequence = out->min_sequence = 0;
    if (out->min_sequence < 0)
        out->min_sequence = out->sequence;
    return (!s.bad && content <= 1) ||
           err_set(e, MR_LAKE_METADATA, "an entry of a manifest list is not complete");
}

bool
manifest_list_read(struct bytes file, struct arena *a, struct manifest_file **files, size_t *n,
                   struct err *e)
{
    struct ocf_file f;
    if (!ocf_read(file, a, &f, e))
        return false;
    struct manifest_file *list = arena_zalloc(a, (f.records_len + 1) * sizeof(*list));
    for (size_t i = 0; i < f.records_len; i++)
        if (!take_manifest(&f.records[i], a, &list[i], e))
            return false;
    *files = list;
    *n = f.records_len;
    return true;
}
