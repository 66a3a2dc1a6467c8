/* Schema book: what the records of millrace.schemas say, and what an external registry told.
 *
 * Pure; the rules are in task/registry.h. Owner: the registry. Limit: lives and grows with the
 * process, one entry per schema.
 */
#ifndef MILLRACE_TASK_SCHEMA_BOOK_H
#define MILLRACE_TASK_SCHEMA_BOOK_H

#include "base/json.h"
#include "base/map.h"

#define SCHEMA_BOOK_VERSION      1
#define SCHEMA_FINGERPRINT_CHARS 64

struct schema_entry {
    uint32_t id;
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    struct bytes text;
};

struct schema_subject {
    const char *name;
    const struct schema_entry **versions; /* version 1 first */
    size_t len;
    size_t cap;
};

struct schema_book {
    struct arena mem;
    struct schema_entry **by_id; /* ascending */
    size_t len;
    size_t cap;
    struct map by_fingerprint;        /* -> struct schema_entry */
    struct schema_subject **subjects; /* ascending by name */
    size_t subjects_len;
    size_t subjects_cap;
};

void
schema_book_init(struct schema_book *b);
void
schema_book_free(struct schema_book *b);
void
schema_fingerprint(struct bytes schema, char out[SCHEMA_FINGERPRINT_CHARS + 1]);

const struct schema_entry *
schema_book_by_fingerprint(const struct schema_book *b, const char *fingerprint);
const struct schema_entry *
schema_book_by_id(const struct schema_book *b, uint32_t id);
const struct schema_subject *
schema_book_subject(const struct schema_book *b, const char *name);
/* The entry is a version of the subject; 0: it is not, else the version. */
size_t
schema_book_version(const struct schema_book *b, const char *subject,
                    const struct schema_entry *entry);
/* One above the highest id. */
uint32_t
schema_book_next_id(const struct schema_book *b);

/* Adds by the rules of the log; void facts are dropped. */
void
schema_book_add(struct schema_book *b, uint32_t id, const char *subject, struct bytes schema);
/* A record's JSON; MR_KAFKA_VERSION, MR_KAFKA_BAD_RECORD. */
struct json *
schema_book_record(uint32_t id, const char *subject, struct bytes schema);
MUST bool
schema_book_read(struct schema_book *b, const struct json *record, struct err *e);

#endif
