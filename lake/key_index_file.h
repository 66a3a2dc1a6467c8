/* One file of the key index: the keys of one data file.
 *
 * Layout (little-endian), version 1:
 *   head      "MRKEYS01", identity (16 bytes), u64 entries, u64 bytes of the file,
 *             u64 xxHash64 of the 40 bytes before; zeros
 *   entries   16 bytes each, ascending: u64 and u32 of the key's hash, u32 row position; zeros
 *   buckets   u32 each: the first entry whose hash begins with the bucket's number or a
 *             larger one; about 8 to 16 entries a bucket; one more at the end; zeros
 *   checks    u64 per block of entries and buckets: xxHash64, with its number and the identity
 * The first three fill whole blocks of 4,096 bytes. A block is checked when first touched.
 *
 * Owner: the key index. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_KEY_INDEX_FILE_H
#define MILLRACE_LAKE_KEY_INDEX_FILE_H

#include "base/bytes.h"

#define KEY_FILE_ROWS_MAX UINT32_MAX

struct key_hash {
    uint64_t high;
    uint32_t low;
};

struct key_entry {
    uint64_t high;
    uint32_t low;
    uint32_t position;
};

/* What the file is the index of: data file, key, seed. */
struct key_identity {
    uint64_t v[2];
};

struct key_file {
    uint8_t *map; /* NULL: not open */
    size_t bytes;
    uint64_t entries;
    const uint32_t *buckets;
    unsigned bits; /* of a hash that are its bucket's number */
    struct key_identity identity;
    uint8_t *checked; /* a bit per block */
};

/* Maps an existing file. False: absent (*absent), damaged, or of another identity. */
MUST bool
key_file_open(const char *path, struct key_identity identity, struct key_file *f, bool *absent);
void
key_file_close(struct key_file *f);
/* The entries of a hash: index of the first in *at and their number; false: a block is damaged.
 */
MUST bool
key_file_find(struct key_file *f, struct key_hash h, uint64_t *at, uint64_t *n);
const struct key_entry *
key_file_entry(const struct key_file *f, uint64_t at);
/* All of them, to be walked; NULL: a block is damaged. */
const struct key_entry *
key_file_all(struct key_file *f);
/* Ascending by hash, in place. */
void
key_entries_sort(struct key_entry *e, size_t n);
/* By hash: below 0, 0, above 0. */
static inline int
key_entry_compare(const struct key_entry *a, const struct key_entry *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

/* A file to be made: room for `entries`, filled by the caller, then sorted, checked and put
 * under its name in one step. */
struct key_file_maker {
    char *temporary;
    uint8_t *map;
    size_t bytes;
    uint64_t entries;
};

/* MR_IO: no room on the disk, no such folder. */
MUST bool
key_file_begin(const char *path, uint64_t entries, struct key_file_maker *m, struct err *e);
struct key_entry *
key_file_entries(struct key_file_maker *m);
MUST bool
key_file_end(struct key_file_maker *m, const char *path, struct key_identity identity,
             struct err *e);
void
key_file_abandon(struct key_file_maker *m);

#endif
