/* One file of the key index. */
#include "lake/key_index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

#define MAGIC      "MRKEYS01"
#define BLOCK      ((size_t)4096)
#define PER_BLOCK  (BLOCK / sizeof(struct key_entry))
#define HEAD_BYTES 40
#define DIGITS     12 /* bytes of a hash */
#define SMALL      24 /* sorted by insertion */
#define LINEAR     64 /* entries of a bucket that are looked at one by one */

static uint64_t
blocks_of(uint64_t entries)
{
    return (entries + PER_BLOCK - 1) / PER_BLOCK;
}

static unsigned
bucket_bits(uint64_t entries)
{
    return entries < 16 ? 0 : 60 - (unsigned)__builtin_clzll(entries);
}

/* Blocks of entries and buckets. */
static uint64_t
all_blocks(uint64_t entries)
{
    uint64_t buckets = ((uint64_t)1 << bucket_bits(entries)) + 1;
    return blocks_of(entries) + (buckets * sizeof(uint32_t) + BLOCK - 1) / BLOCK;
}

static uint64_t
bytes_for(uint64_t entries)
{
    return BLOCK + all_blocks(entries) * (BLOCK + sizeof(uint64_t));
}

static unsigned
bucket_of(uint64_t high, unsigned bits)
{
    return bits ? (unsigned)(high >> (64 - bits)) : 0;
}

static const uint8_t *
block_at(const uint8_t *map, uint64_t block)
{
    return map + BLOCK + block * BLOCK;
}

static uint64_t
check_of(const uint8_t *map, uint64_t block, const struct key_identity *id)
{
    uint64_t h = hash_xxh64(bytes_of(block_at(map, block), BLOCK));
    return (h ^ id->v[0]) + (block + 1) * 0x9e3779b97f4a7c15u;
}

static uint64_t
stored_check(const struct key_file *f, uint64_t block)
{
    uint64_t v;
    memcpy(&v, block_at(f->map, all_blocks(f->entries)) + block * sizeof v, sizeof v);
    return v;
}

/* ---- reading ---- */

static bool
read_head(struct key_file *f)
{
    struct reader r = reader_of(bytes_of(f->map, HEAD_BYTES + 8));
    bool ok = bytes_eq(reader_take(&r, 8), BYTES_LIT(MAGIC));
    ok &= reader_le(&r, 8) == f->identity.v[0];
    ok &= reader_le(&r, 8) == f->identity.v[1];
    f->entries = reader_le(&r, 8);
    ok &= reader_le(&r, 8) == f->bytes;
    ok &= reader_le(&r, 8) == hash_xxh64(bytes_of(f->map, HEAD_BYTES));
    return ok && f->entries <= KEY_FILE_ROWS_MAX && bytes_for(f->entries) == f->bytes;
}

bool
key_file_open(const char *path, struct key_identity identity, struct key_file *f, bool *absent)
{
    struct stat st;
    *f = (struct key_file){.identity = identity};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *absent = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return false;
    void *map = MAP_FAILED;
    if (fstat(fd, &st) == 0 && st.st_size >= (off_t)BLOCK)
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return false;
    f->map = map;
    f->bytes = (size_t)st.st_size;
    if (!read_head(f)) {
        key_file_close(f);
        return false;
    }
    madvise(f->map, f->bytes, MADV_RANDOM);
    f->checked = mem_zalloc(all_blocks(f->entries) / 8 + 1);
    f->bits = bucket_bits(f->entries);
    f->buckets = (const uint32_t *)(const void *)block_at(f->map, blocks_of(f->entries));
    return true;
}

void
key_file_close(struct key_file *f)
{
    if (f->map)
        munmap(f->map, f->bytes);
    free(f->checked);
    *f = (struct key_file){0};
}

const struct key_entry *
key_file_entry(const struct key_file *f, uint64_t at)
{
    return (const struct key_entry *)(const void *)(f->map + BLOCK) + at;
}

/* False: the block is damaged. */
static inline bool
block_whole(struct key_file *f, uint64_t block)
{
    if (f->checked[block / 8] >> (block % 8) & 1)
        return true;
    if (check_of(f->map, block, &f->identity) != stored_check(f, block))
        return false;
    f->checked[block / 8] = (uint8_t)(f->checked[block / 8] | 1u << (block % 8));
    return true;
}

const struct key_entry *
key_file_all(struct key_file *f)
{
    for (uint64_t block = 0; block < blocks_of(f->entries); block++)
        if (!block_whole(f, block))
            return NULL;
    return key_file_entry(f, 0);
}

/* The entry, once its block is known to be whole; NULL: it is not. */
static inline const struct key_entry *
checked_entry(struct key_file *f, uint64_t at)
{
    return block_whole(f, at / PER_BLOCK) ? key_file_entry(f, at) : NULL;
}

static int
compare(const struct key_entry *e, struct key_hash h)
{
    if (e->high != h.high)
        return e->high < h.high ? -1 : 1;
    return (e->low > h.low) - (e->low < h.low);
}

/* The entries of the hash's bucket. */
static bool
bucket_range(struct key_file *f, struct key_hash h, uint64_t *low, uint64_t *high)
{
    unsigned bucket = bucket_of(h.high, f->bits);
    uint64_t first = blocks_of(f->entries);
    for (unsigned i = bucket; i <= bucket + 1; i++)
        if (!block_whole(f, first + i * sizeof(uint32_t) / BLOCK))
            return false;
    *low = f->buckets[bucket];
    *high = f->buckets[bucket + 1];
    return *low <= *high && *high <= f->entries;
}

bool
key_file_find(struct key_file *f, struct key_hash h, uint64_t *at, uint64_t *n)
{
    uint64_t low, high;
    const struct key_entry *e;
    *n = 0;
    if (!bucket_range(f, h, &low, &high))
        return false;
    for (uint64_t end = high; end - low > LINEAR;) {
        uint64_t middle = low + (end - low) / 2;
        if (!(e = checked_entry(f, middle)))
            return false;
        if (compare(e, h) < 0)
            low = middle + 1;
        else
            end = middle;
    }
    for (; low < high; low++) {
        if (!(e = checked_entry(f, low)))
            return false;
        int order = compare(e, h);
        if (order > 0)
            break;
        *n += order == 0;
    }
    *at = low - *n;
    return true;
}

/* ---- making ---- */

static unsigned
digit_of(const struct key_entry *e, unsigned d)
{
    return d < 8 ? e->high >> (56 - 8 * d) & 255 : e->low >> (88 - 8 * d) & 255;
}

static bool
above(const struct key_entry *a, const struct key_entry *b)
{
    return a->high != b->high ? a->high > b->high : a->low > b->low;
}

static void
sort_small(struct key_entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct key_entry v = e[i];
        size_t k = i;
        for (; k > 0 && above(&e[k - 1], &v); k--)
            e[k] = e[k - 1];
        e[k] = v;
    }
}

/* In place, a byte of the hash at a time: no memory beside the map. */
static void
sort(struct key_entry *e, size_t n, unsigned digit)
{
    size_t next[256] = {0}, end[256], at = 0;
    if (n <= SMALL || digit == DIGITS) {
        if (digit < DIGITS)
            sort_small(e, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        next[digit_of(&e[i], digit)]++;
    for (unsigned k = 0; k < 256; k++) {
        size_t count = next[k];
        next[k] = at;
        end[k] = at += count;
    }
    for (unsigned k = 0; k < 256; k++) {
        while (next[k] < end[k]) {
            unsigned to = digit_of(&e[next[k]], digit);
            size_t there = next[to]++;
            struct key_entry v = e[there];
            if (to == k)
                continue;
            e[there] = e[next[k]];
            e[next[k]] = v;
        }
    }
    for (unsigned k = 0; k < 256; k++)
        sort(e + (k ? end[k - 1] : 0), end[k] - (k ? end[k - 1] : 0), digit + 1);
}

void
key_entries_sort(struct key_entry *e, size_t n)
{
    sort(e, n, 0);
}

static bool
failed(const char *what, const char *path, int code, struct err *e)
{
    return err_set(e, MR_IO, "%s %s: %s", what, path, strerrordesc_np(code));
}

bool
key_file_begin(const char *path, uint64_t entries, struct key_file_maker *m, struct err *e)
{
    *m = (struct key_file_maker){.entries = entries, .bytes = bytes_for(entries)};
    m->temporary = mem_printf("%s.XXXXXX", path);
    int fd = mkostemp(m->temporary, O_CLOEXEC);
    if (fd < 0) {
        failed("create", m->temporary, errno, e);
        free(m->temporary);
        m->temporary = NULL;
        return false;
    }
    /* The disk's room is taken now: a full disk met by a store would be a signal. */
    int code = posix_fallocate(fd, 0, (off_t)m->bytes);
    void *map =
        code ? MAP_FAILED : mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) {
        failed("write", m->temporary, code ? code : errno, e);
        key_file_abandon(m);
        return false;
    }
    m->map = map;
    return true;
}

struct key_entry *
key_file_entries(struct key_file_maker *m)
{
    return (struct key_entry *)(void *)(m->map + BLOCK);
}

static void
put_buckets(struct key_file_maker *m)
{
    const struct key_entry *e = key_file_entries(m);
    unsigned bits = bucket_bits(m->entries);
    uint8_t *to = m->map + BLOCK + blocks_of(m->entries) * BLOCK;
    uint32_t at = 0;
    for (uint64_t bucket = 0; bucket <= (uint64_t)1 << bits; bucket++) {
        while (at < m->entries && bucket_of(e[at].high, bits) < bucket)
            at++;
        memcpy(to + bucket * sizeof at, &at, sizeof at);
    }
}

static void
put_head(struct key_file_maker *m, const struct key_identity *id)
{
    uint64_t numbers[] = {id->v[0], id->v[1], m->entries, m->bytes};
    memcpy(m->map, MAGIC, 8);
    memcpy(m->map + 8, numbers, sizeof numbers);
    uint64_t check = hash_xxh64(bytes_of(m->map, HEAD_BYTES));
    memcpy(m->map + HEAD_BYTES, &check, sizeof check);
}

bool
key_file_end(struct key_file_maker *m, const char *path, struct key_identity identity,
             struct err *e)
{
    key_entries_sort(key_file_entries(m), m->entries);
    put_buckets(m);
    uint64_t blocks = all_blocks(m->entries);
    uint8_t *checks = m->map + BLOCK + blocks * BLOCK;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t check = check_of(m->map, i, &identity);
        memcpy(checks + i * sizeof check, &check, sizeof check);
    }
    put_head(m, &identity);
    if (rename(m->temporary, path) != 0) {
        failed("rename", m->temporary, errno, e);
        key_file_abandon(m);
        return false;
    }
    munmap(m->map, m->bytes);
    free(m->temporary);
    *m = (struct key_file_maker){0};
    return true;
}

void
key_file_abandon(struct key_file_maker *m)
{
    if (m->map)
        munmap(m->map, m->bytes);
    if (m->temporary)
        unlink(m->temporary);
    free(m->temporary);
    *m = (struct key_file_maker){0};
}
