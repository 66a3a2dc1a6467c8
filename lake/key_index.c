/* The key index: hashes of keys, a file per data file, and what is done without one. */
#include "lake/key_index.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "lake/key_index_file.h"

#define ROWS_MIN   4096
#define JOIN_RATIO 8    /* entries a key, below which the file is walked */
#define PROBES_MAX 4096 /* keys of a batch, above which bounds and filters are not asked */
#define PREFIX     "keys-"
#define NAME_BYTES (sizeof PREFIX - 1 + 32)
#define GROW_AHEAD 16 /* keys whose slots are on their way from memory */

struct key_index {
    char *folder;
    struct lake_field *fields;
    uint32_t count;
    uint64_t rows_min;
    uint64_t seed;
    struct buf signature; /* of the key: ids and types */
    struct map open;      /* name -> struct key_file */
    struct arena names;
    struct key_index_stats stats;
    struct buf text;
    struct buf hits; /* struct hit */
};

struct hit {
    size_t key;
    uint64_t position;
};

struct key_slot {
    uint32_t tag;    /* of the hash */
    uint32_t number; /* of the key, from 1; 0: free */
};

struct key_batch {
    struct key_index *index;
    struct arena mem;
    struct key_slot *slots; /* by hash; at most half of them taken */
    size_t slot_count;      /* a power of two, or 0 */
    struct key_hash *hashes;
    struct cell *natives;     /* of the first PROBES_MAX keys: more are not asked for */
    struct key_entry *sorted; /* of the first `ordered` keys; position: a key's number */
    size_t count, cap, ordered;
    struct buf text;
    struct key_hash ahead[KEY_BATCH_AHEAD]; /* of keys that are to be added next */
    size_t ahead_at, ahead_len;
};

/* ---- hashes ---- */

static void
put_key(const struct key_index *x, const struct cell *native, struct buf *out)
{
    buf_reset(out);
    for (uint32_t i = 0; i < x->count; i++) {
        size_t at = out->n;
        uint32_t n = UINT32_MAX; /* of a null */
        buf_add(out, &n, sizeof n);
        if (native[i].kind == CELL_NULL)
            continue;
        struct cell v = native[i];
        if ((v.kind == CELL_FLOAT || v.kind == CELL_DOUBLE) && v.v.d == 0)
            v.v.d = 0; /* of either sign: they are one key */
        lake_value_put(&x->fields[i].type, &v, out);
        n = (uint32_t)(out->n - at - sizeof n);
        if (!out->failed)
            memcpy(out->p + at, &n, sizeof n);
    }
    if (out->failed)
        mem_die("key index: a key of more than %zu bytes", BUF_MAX);
}

static struct key_hash
hash_of(const struct key_index *x, const struct cell *native, struct buf *text)
{
    uint64_t h[2];
    put_key(x, native, text);
    hash_xxh3(buf_bytes(text), x->seed, h);
    return (struct key_hash){h[0], (uint32_t)h[1]};
}

/* ---- opening ---- */

/* The folder's seed, made when it is not there. */
static bool
read_seed(struct key_index *x, struct err *e)
{
    char text[17] = "";
    bool made;
    struct buf b = {0};
    char *path = mem_printf("%s/seed", x->folder);
    uint8_t fresh[8], stored[8];
    random_bytes(fresh, sizeof fresh);
    hex_encode(bytes_of(fresh, sizeof fresh), text);
    bool ok = file_make(path, bytes_str(text), 0600, &made, e) && file_read(path, 64, &b, e);
    if (ok && (b.n != 16 || !hex_decode(buf_cstr(&b), stored, sizeof stored))) {
        memcpy(stored, fresh, sizeof stored);
        ok = file_write(path, bytes_str(text), 0600, e);
    }
    if (ok)
        memcpy(&x->seed, stored, sizeof stored);
    buf_free(&b);
    free(path);
    return ok;
}

static void
copy_fields(struct key_index *x, const struct lake_field *fields)
{
    char type[LAKE_TYPE_TEXT_MAX];
    x->fields = mem_array(x->count + 1, sizeof *x->fields);
    for (uint32_t i = 0; i < x->count; i++) {
        x->fields[i] = fields[i];
        x->fields[i].name = arena_strdup(&x->names, fields[i].name);
        buf_addf(&x->signature, "%d %s,", fields[i].id, lake_type_text(&fields[i].type, type));
    }
}

bool
key_index_open(const struct key_index_conf *conf, struct key_index **out, struct err *e)
{
    struct key_index *x = mem_zalloc(sizeof *x);
    struct err trouble;
    *out = NULL;
    x->count = conf->field_count;
    x->rows_min = conf->rows_min ? conf->rows_min : ROWS_MIN;
    x->folder = mem_strdup(conf->folder);
    copy_fields(x, conf->fields);
    if (!x->count) {
        key_index_close(x);
        return err_set(e, MR_INTERNAL, "a key index without a key");
    }
    if (!file_make_folder(x->folder, &trouble) || !read_seed(x, &trouble)) {
        log_warn("key_index_unusable", F_STR("folder", x->folder), F_ERR(&trouble));
        x->stats.failures++;
        x->rows_min = UINT64_MAX; /* everything is read */
    }
    *out = x;
    return true;
}

static void
close_file(struct map_slot *slot)
{
    key_file_close(slot->v.ptr);
    free(slot->v.ptr);
}

void
key_index_close(struct key_index *x)
{
    if (!x)
        return;
    for (struct map_slot *s = NULL; (s = map_next(&x->open, s)) != NULL;)
        close_file(s);
    map_free(&x->open);
    arena_free(&x->names);
    buf_free(&x->signature);
    buf_free(&x->text);
    buf_free(&x->hits);
    free(x->fields);
    free(x->folder);
    free(x);
}

const struct key_index_stats *
key_index_stats(const struct key_index *x)
{
    return &x->stats;
}

/* ---- batches ---- */

struct key_batch *
key_batch_new(struct key_index *x)
{
    struct key_batch *b = mem_zalloc(sizeof *b);
    b->index = x;
    return b;
}

void
key_batch_free(struct key_batch *b)
{
    if (!b)
        return;
    arena_free(&b->mem);
    buf_free(&b->text);
    free(b->slots);
    free(b->hashes);
    free(b->natives);
    free(b->sorted);
    free(b);
}

void
key_batch_clear(struct key_batch *b)
{
    if (b->slots)
        memset(b->slots, 0, b->slot_count * sizeof *b->slots);
    arena_reset(&b->mem);
    b->count = b->ordered = b->ahead_at = b->ahead_len = 0;
}

/* The slot of a hash, or the free one where it would be. There are slots. */
static inline struct key_slot *
slot_of(const struct key_batch *b, const struct key_hash *h)
{
    uint32_t tag = (uint32_t)(h->high >> 32);
    for (size_t i = h->high;; i++) {
        struct key_slot *s = b->slots + (i & (b->slot_count - 1));
        if (!s->number)
            return s;
        const struct key_hash *have = b->hashes + s->number - 1;
        if (s->tag == tag && have->high == h->high && have->low == h->low)
            return s;
    }
}

static void
take_slot(struct key_batch *b, struct key_slot *s, size_t number)
{
    s->tag = (uint32_t)(b->hashes[number].high >> 32);
    s->number = (uint32_t)number + 1;
}

static inline void
fetch_slot(const struct key_batch *b, const struct key_hash *h)
{
    __builtin_prefetch(b->slots + (h->high & (b->slot_count - 1)), 1);
}

static void
grow_keys(struct key_batch *b, size_t least)
{
    while (b->cap < least)
        b->cap = b->cap ? b->cap * 2 : 256;
    size_t natives = b->cap < PROBES_MAX ? b->cap : PROBES_MAX;
    b->hashes = mem_realloc(b->hashes, b->cap * sizeof *b->hashes);
    b->natives = mem_realloc(b->natives, natives * b->index->count * sizeof *b->natives);
}

static void
grow_slots(struct key_batch *b, size_t least)
{
    free(b->slots);
    while (b->slot_count < least)
        b->slot_count = b->slot_count ? b->slot_count * 2 : 512;
    b->slots = mem_zalloc(b->slot_count * sizeof *b->slots);
    for (size_t i = 0; i < b->count; i++) {
        if (i + GROW_AHEAD < b->count)
            fetch_slot(b, b->hashes + i + GROW_AHEAD);
        take_slot(b, slot_of(b, b->hashes + i), i);
    }
}

/* Room for more keys. */
static inline void
reserve(struct key_batch *b, size_t more)
{
    if (b->count + more > b->cap)
        grow_keys(b, b->count + more);
    if (2 * (b->count + more) > b->slot_count)
        grow_slots(b, 2 * (b->count + more));
}

static void
keep_native(struct key_batch *b, const struct cell *native)
{
    struct cell *to = b->natives + b->count * b->index->count;
    for (uint32_t i = 0; i < b->index->count; i++) {
        to[i] = native[i];
        if (native[i].kind == CELL_TEXT || native[i].kind == CELL_BYTES)
            to[i].v.p = arena_copy(&b->mem, cell_bytes(&native[i])).p;
    }
}

void
key_batch_expect(struct key_batch *b, const struct cell *native)
{
    if (b->ahead_at == b->ahead_len)
        b->ahead_at = b->ahead_len = 0;
    if (b->ahead_len == KEY_BATCH_AHEAD)
        mem_die("key index: more than %u keys ahead", KEY_BATCH_AHEAD);
    if (b->ahead_len == 0)
        reserve(b, KEY_BATCH_AHEAD);
    b->ahead[b->ahead_len] = hash_of(b->index, native, &b->text);
    fetch_slot(b, b->ahead + b->ahead_len++);
}

size_t
key_batch_add(struct key_batch *b, const struct cell *native)
{
    struct key_hash h = b->ahead_at < b->ahead_len ? b->ahead[b->ahead_at++]
                                                   : hash_of(b->index, native, &b->text);
    reserve(b, 1);
    struct key_slot *s = slot_of(b, &h);
    if (s->number)
        return s->number - 1;
    if (b->count < PROBES_MAX)
        keep_native(b, native);
    b->hashes[b->count] = h;
    take_slot(b, s, b->count);
    return b->count++;
}

size_t
key_batch_count(const struct key_batch *b)
{
    return b->count;
}

/* ---- reading key columns ---- */

typedef void
row_fn(void *ctx, struct key_hash h, uint64_t position);

static bool
read_group(struct key_index *x, struct parquet_reader *r, row_fn *row, void *ctx, struct err *e)
{
    struct parquet_batch rows = {.rows = 1};
    while (rows.rows) {
        if (!parquet_reader_next(r, &rows, e))
            return false;
        for (size_t i = 0; i < rows.rows; i++)
            row(ctx, hash_of(x, rows.cells + i * x->count, &x->text), rows.position + i);
    }
    return true;
}

static bool
open_data(const struct key_index *x, const struct key_index_data *d, struct parquet_reader **r,
          struct err *e)
{
    *r = NULL;
    if (!parquet_reader_open(&d->source, x->fields, x->count, r, e))
        return false;
    if (parquet_reader_rows(*r) == d->rows)
        return true;
    return err_set(e, MR_LAKE_DATA_FILE, "the file has not the rows that its manifest says");
}

/* Some key of the batch may be in the row group, as its bounds and filters tell. */
static bool
group_may_have(const struct key_index *x, const struct key_batch *b, struct parquet_reader *r,
               uint32_t group, bool *may, struct err *e)
{
    *may = b->count > PROBES_MAX;
    for (size_t k = 0; k < b->count && !*may; k++) {
        const struct cell *native = b->natives + k * x->count;
        *may = true;
        for (uint32_t i = 0; i < x->count && *may; i++)
            if (native[i].kind != CELL_NULL &&
                !parquet_reader_may_have(r, group, i, &native[i], may, e))
                return false;
    }
    return true;
}

struct look {
    struct key_index *index;
    const struct key_batch *batch;
};

static void
look_up(void *ctx, struct key_hash h, uint64_t position)
{
    struct look *l = ctx;
    const struct key_slot *slot = slot_of(l->batch, &h);
    if (!slot->number)
        return;
    struct hit hit = {slot->number - 1, position};
    buf_add(&l->index->hits, &hit, sizeof hit);
}

static bool
scan(struct key_index *x, const struct key_batch *b, const struct key_index_data *d,
     struct err *e)
{
    struct parquet_reader *r;
    struct look l = {x, b};
    bool ok = open_data(x, d, &r, e);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r); g++) {
        bool may;
        ok = group_may_have(x, b, r, g, &may, e);
        x->stats.groups_skipped += ok && !may;
        if (ok && may)
            ok = parquet_reader_seek(r, g, e) && read_group(x, r, look_up, &l, e);
    }
    parquet_reader_free(r);
    x->stats.scanned++;
    return ok;
}

/* ---- index files ---- */

static struct key_identity
identity_of(const struct key_index *x, const struct key_index_data *d, struct buf *text)
{
    struct key_identity id;
    uint64_t numbers[] = {d->source.size, d->rows, x->seed};
    buf_reset(text);
    buf_add(text, numbers, sizeof numbers);
    buf_add_bytes(text, buf_bytes(&x->signature));
    buf_add_byte(text, 0);
    buf_add_str(text, d->path);
    hash_xxh3(buf_bytes(text), 0, id.v);
    return id;
}

/* keys-<32 digits of the data file's path> */
static void
name_of(const char *path, char out[NAME_BYTES + 1])
{
    uint64_t h[2];
    hash_xxh3(bytes_str(path), 0, h);
    memcpy(out, PREFIX, sizeof PREFIX - 1);
    hex_encode(bytes_of(h, sizeof h), out + sizeof PREFIX - 1);
}

struct fill {
    struct key_entry *entries;
    uint64_t count, room;
};

static void
fill_entry(void *ctx, struct key_hash h, uint64_t position)
{
    struct fill *f = ctx;
    if (f->count < f->room)
        f->entries[f->count] = (struct key_entry){h.high, h.low, (uint32_t)position};
    f->count++;
}

static bool
fill_entries(struct key_index *x, const struct key_index_data *d, struct key_file_maker *m,
             struct err *e)
{
    struct parquet_reader *r;
    struct fill f = {key_file_entries(m), 0, m->entries};
    bool ok = open_data(x, d, &r, e);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r); g++)
        ok = parquet_reader_seek(r, g, e) && read_group(x, r, fill_entry, &f, e);
    parquet_reader_free(r);
    if (ok && f.count != m->entries)
        ok = err_set(e, MR_LAKE_DATA_FILE, "the file has not the rows that its footer says");
    return ok;
}

static void
note_failure(struct key_index *x, const char *path, const struct err *trouble)
{
    x->stats.failures++;
    log_warn("key_index_not_made", F_STR("data_file", path), F_ERR(trouble));
}

/* *made false: the index cannot be made, the data file is fine. */
static bool
build(struct key_index *x, const struct key_index_data *d, const char *path,
      struct key_identity id, bool *made, struct err *e)
{
    struct key_file_maker m;
    struct err trouble;
    *made = false;
    if (!key_file_begin(path, d->rows, &m, &trouble)) {
        note_failure(x, d->path, &trouble);
        return true;
    }
    if (!fill_entries(x, d, &m, e)) {
        key_file_abandon(&m);
        return false;
    }
    if (!key_file_end(&m, path, id, &trouble)) {
        note_failure(x, d->path, &trouble);
        return true;
    }
    x->stats.built++;
    *made = true;
    return true;
}

/* The open index of a data file, made if need be; *out NULL: there is none to be had. */
static bool
obtain(struct key_index *x, const struct key_index_data *d, const char *name,
       struct key_file **out, struct err *e)
{
    const struct map_slot *slot = map_get(&x->open, bytes_str(name));
    struct key_file f;
    bool absent, made = true, fresh;
    *out = slot ? slot->v.ptr : NULL;
    if (slot)
        return true;
    char *path = mem_printf("%s/%s", x->folder, name);
    struct key_identity id = identity_of(x, d, &x->text);
    bool ok = true, open = key_file_open(path, id, &f, &absent);
    if (!open) {
        x->stats.refused += !absent;
        ok = build(x, d, path, id, &made, e);
        open = ok && made && key_file_open(path, id, &f, &absent);
        x->stats.failures += ok && made && !open;
    }
    free(path);
    if (!open)
        return ok;
    *out = mem_alloc(sizeof **out);
    **out = f;
    struct map_slot *put = map_put(&x->open, bytes_str(name), &fresh);
    put->key = bytes_str(arena_strdup(&x->names, name));
    put->v.ptr = *out;
    return true;
}

/* Closes the index of a data file and takes it off the disk. */
static void
discard(struct key_index *x, const char *name)
{
    struct map_slot *slot = map_get(&x->open, bytes_str(name));
    char *path = mem_printf("%s/%s", x->folder, name);
    if (slot) {
        close_file(slot);
        map_del(&x->open, bytes_str(name));
    }
    unlink(path);
    free(path);
}

/* In the order of the files' entries memory is met in order, too. */
static void
order_keys(struct key_batch *b)
{
    if (b->ordered == b->count)
        return;
    b->sorted = mem_realloc(b->sorted, b->count * sizeof *b->sorted);
    for (size_t i = 0; i < b->count; i++)
        b->sorted[i] = (struct key_entry){b->hashes[i].high, b->hashes[i].low, (uint32_t)i};
    key_entries_sort(b->sorted, b->count);
    b->ordered = b->count;
}

/* False: a row that the data file has not. */
static bool
add_hit(struct key_index *x, const struct key_index_data *d, const struct key_entry *key,
        const struct key_entry *row)
{
    struct hit hit = {key->position, row->position};
    if (hit.position >= d->rows)
        return false;
    buf_add(&x->hits, &hit, sizeof hit);
    return true;
}

/* Keys and entries, both ascending, side by side. False: a block is damaged. */
static bool
join(struct key_index *x, const struct key_batch *b, const struct key_index_data *d,
     struct key_file *f)
{
    const struct key_entry *row = key_file_all(f);
    const struct key_entry *key = b->sorted, *keys_end = key + b->count;
    if (!row)
        return false;
    for (const struct key_entry *end = row + f->entries; row < end && key < keys_end;) {
        int order = key_entry_compare(row, key);
        if (order == 0 && !add_hit(x, d, key, row))
            return false;
        row += order <= 0;
        key += order > 0;
    }
    return true;
}

/* Each key by itself. False: a block is damaged. */
static bool
find_each(struct key_index *x, const struct key_batch *b, const struct key_index_data *d,
          struct key_file *f)
{
    uint64_t at, n;
    for (size_t i = 0; i < b->count; i++) {
        const struct key_entry *key = b->sorted + i;
        if (!key_file_find(f, (struct key_hash){key->high, key->low}, &at, &n))
            return false;
        for (uint64_t row = at; row < at + n; row++)
            if (!add_hit(x, d, key, key_file_entry(f, row)))
                return false;
    }
    return true;
}

/* False: a block is damaged. */
static bool
look_in_index(struct key_index *x, const struct key_batch *b, const struct key_index_data *d,
              struct key_file *f)
{
    if (f->entries != d->rows)
        return false;
    bool walk = f->entries / JOIN_RATIO < b->count;
    return walk ? join(x, b, d, f) : find_each(x, b, d, f);
}

/* Twice: a damaged index is made again. */
static bool
indexed(struct key_index *x, const struct key_batch *b, const struct key_index_data *d,
        struct err *e)
{
    char name[NAME_BYTES + 1];
    name_of(d->path, name);
    for (unsigned try = 0; try < 2; try++) {
        struct key_file *f;
        if (!obtain(x, d, name, &f, e))
            return false;
        if (!f)
            break;
        if (look_in_index(x, b, d, f))
            return true;
        x->stats.refused++;
        buf_reset(&x->hits);
        discard(x, name);
    }
    return scan(x, b, d, e);
}

bool
key_index_find(struct key_index *x, struct key_batch *b, const struct key_index_data *data,
               key_found_fn *found, void *ctx, struct err *e)
{
    bool small = data->rows < x->rows_min || data->rows > KEY_FILE_ROWS_MAX;
    buf_reset(&x->hits);
    x->stats.lookups += b->count;
    if (b->count == 0)
        return true;
    order_keys(b);
    if (!(small ? scan : indexed)(x, b, data, e))
        return err_wrap(e, "%s", data->path);
    if (x->hits.failed)
        return err_set(e, MR_NO_MEMORY, "%s: rows found", data->path);
    for (size_t i = 0; i < x->hits.n / sizeof(struct hit); i++) {
        struct hit hit;
        memcpy(&hit, x->hits.p + i * sizeof hit, sizeof hit);
        if (!found(ctx, hit.key, hit.position, e))
            return false;
    }
    return true;
}

size_t
key_index_files(const struct key_index *x)
{
    return x->open.len;
}

void
key_index_keep(struct key_index *x, const char *const *paths, size_t n)
{
    struct map wanted = {0};
    struct arena a;
    DIR *d = opendir(x->folder);
    arena_init(&a, 0);
    for (size_t i = 0; i < n; i++) {
        char name[NAME_BYTES + 1];
        bool fresh;
        name_of(paths[i], name);
        struct map_slot *slot = map_put(&wanted, bytes_str(name), &fresh);
        if (fresh)
            slot->key = bytes_str(arena_strdup(&a, name));
    }
    for (const struct dirent *f; d && (f = readdir(d)) != NULL;)
        if (strncmp(f->d_name, PREFIX, sizeof PREFIX - 1) == 0 &&
            !map_get(&wanted, bytes_str(f->d_name)))
            discard(x, f->d_name);
    if (d)
        closedir(d);
    map_free(&wanted);
    arena_free(&a);
}
