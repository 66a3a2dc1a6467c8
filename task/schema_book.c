#include "task/schema_book.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

void
schema_book_init(struct schema_book *b)
{
    *b = (struct schema_book){0};
    arena_init(&b->mem, 0);
}

void
schema_book_free(struct schema_book *b)
{
    for (size_t i = 0; i < b->subjects_len; i++)
        free(b->subjects[i]->versions);
    free(b->subjects);
    free(b->by_id);
    map_free(&b->by_fingerprint);
    arena_free(&b->mem);
}

void
schema_fingerprint(struct bytes schema, char out[SCHEMA_FINGERPRINT_CHARS + 1])
{
    uint8_t sum[32];
    hash_sha256(schema, sum);
    hex_encode(bytes_of(sum, sizeof(sum)), out);
}

const struct schema_entry *
schema_book_by_fingerprint(const struct schema_book *b, const char *fingerprint)
{
    struct map_slot *s = map_get(&b->by_fingerprint, bytes_str(fingerprint));
    return s != NULL ? s->v.ptr : NULL;
}

/* Index of the first entry with at least this id. */
static size_t
lower_id(const struct schema_book *b, uint32_t id)
{
    size_t low = 0, high = b->len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (b->by_id[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct schema_entry *
schema_book_by_id(const struct schema_book *b, uint32_t id)
{
    size_t at = lower_id(b, id);
    return at < b->len && b->by_id[at]->id == id ? b->by_id[at] : NULL;
}

static size_t
lower_subject(const struct schema_book *b, const char *name)
{
    size_t low = 0, high = b->subjects_len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strcmp(b->subjects[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct schema_subject *
find_subject(const struct schema_book *b, const char *name)
{
    size_t at = lower_subject(b, name);
    bool found = at < b->subjects_len && strcmp(b->subjects[at]->name, name) == 0;
    return found ? b->subjects[at] : NULL;
}

const struct schema_subject *
schema_book_subject(const struct schema_book *b, const char *name)
{
    return find_subject(b, name);
}

size_t
schema_book_version(const struct schema_book *b, const char *subject,
                    const struct schema_entry *entry)
{
    const struct schema_subject *s = find_subject(b, subject);
    for (size_t i = 0; s != NULL && i < s->len; i++) {
        if (s->versions[i] == entry)
            return i + 1;
    }
    return 0;
}

uint32_t
schema_book_next_id(const struct schema_book *b)
{
    return b->len == 0 ? 1 : b->by_id[b->len - 1]->id + 1;
}

/* Room for one more pointer at `at` of a growing array. */
static void **
open_gap(void **list, size_t *len, size_t *cap, size_t at)
{
    if (*len == *cap) {
        *cap = *cap == 0 ? 16 : *cap * 2;
        list = mem_realloc(list, *cap * sizeof(*list));
    }
    memmove(&list[at + 1], &list[at], (*len - at) * sizeof(*list));
    (*len)++;
    return list;
}

static struct schema_entry *
add_entry(struct schema_book *b, uint32_t id, const char *fingerprint, struct bytes schema)
{
    struct schema_entry *entry = arena_zalloc(&b->mem, sizeof(*entry));
    entry->id = id;
    memcpy(entry->fingerprint, fingerprint, sizeof(entry->fingerprint));
    entry->text = bytes_of(arena_strn(&b->mem, schema), schema.n);
    size_t at = lower_id(b, id);
    b->by_id = (struct schema_entry **)open_gap((void **)b->by_id, &b->len, &b->cap, at);
    b->by_id[at] = entry;
    bool fresh = false;
    struct map_slot *s = map_put(&b->by_fingerprint, bytes_str(entry->fingerprint), &fresh);
    s->v.ptr = entry;
    return entry;
}

static struct schema_subject *
make_subject(struct schema_book *b, const char *name)
{
    size_t at = lower_subject(b, name);
    if (at < b->subjects_len && strcmp(b->subjects[at]->name, name) == 0)
        return b->subjects[at];
    struct schema_subject *s = arena_zalloc(&b->mem, sizeof(*s));
    s->name = arena_strdup(&b->mem, name);
    b->subjects = (struct schema_subject **)open_gap((void **)b->subjects, &b->subjects_len,
                                                     &b->subjects_cap, at);
    b->subjects[at] = s;
    return s;
}

static void
add_version(struct schema_book *b, const char *subject, const struct schema_entry *entry)
{
    struct schema_subject *s = make_subject(b, subject);
    for (size_t i = 0; i < s->len; i++) {
        if (s->versions[i] == entry)
            return;
    }
    if (s->len == s->cap) {
        s->cap = s->cap == 0 ? 2 : s->cap * 2;
        s->versions = mem_realloc(s->versions, s->cap * sizeof(struct schema_entry *));
    }
    s->versions[s->len++] = entry;
}

void
schema_book_add(struct schema_book *b, uint32_t id, const char *subject, struct bytes schema)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(schema, fingerprint);
    const struct schema_entry *entry = schema_book_by_fingerprint(b, fingerprint);
    if (entry == NULL) {
        if (schema_book_by_id(b, id) != NULL)
            return; /* the id is owned by another schema */
        entry = add_entry(b, id, fingerprint, schema);
    }
    if (subject != NULL)
        add_version(b, subject, entry);
}

struct json *
schema_book_record(uint32_t id, const char *subject, struct bytes schema)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(schema, fingerprint);
    struct json *j = json_object_new();
    json_set(j, "v", json_i64(SCHEMA_BOOK_VERSION));
    json_set(j, "id", json_i64(id));
    json_set(j, "fingerprint", json_str(fingerprint));
    json_set(j, "subject", json_str(subject));
    json_set(j, "schema", json_bytes(schema));
    return j;
}

bool
schema_book_read(struct schema_book *b, const struct json *record, struct err *e)
{
    int64_t v = json_get_i64(record, "v", 0), id = json_get_i64(record, "id", 0);
    const char *schema = json_get_str(record, "schema", NULL);
    if (v != SCHEMA_BOOK_VERSION)
        return err_set(e, MR_KAFKA_VERSION,
                       "a schema record has format version %" PRId64 ", this program knows %d",
                       v, SCHEMA_BOOK_VERSION);
    if (id < 1 || id > INT32_MAX || schema == NULL)
        return err_set(e, MR_KAFKA_BAD_RECORD, "a schema record without id or schema");
    schema_book_add(b, (uint32_t)id, json_get_str(record, "subject", NULL), bytes_str(schema));
    return true;
}
