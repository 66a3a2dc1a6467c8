/* A decoder under test: events made by hand in, a record of what it told out.
 *
 * Owner: the test.
 */
#ifndef MILLRACE_TESTS_SUPPORT_DECODER_WORLD_H
#define MILLRACE_TESTS_SUPPORT_DECODER_WORLD_H

#include "capture/mysql/binlog_event.h"
#include "capture/mysql/decoder.h"

struct world {
    struct arena arena;
    struct source_sink sink;
    struct binlog_decoder *decoder;
    unsigned begins, ends, rows, heartbeats, ddls, missed;
    char last_id[TXN_ID_MAX];
    struct table *table;
    bool unwanted;
    bool unproved;
    unsigned gaps, lookups;
    bool defines, proof; /* what a lookup gives */
    bool tolerant;       /* a table that cannot go on is left out; else its error ends all */
    struct buf told; /* "begin ID;c 5;end;": transactions, and the first column of rows after */
};

void
world_open(struct world *w, enum source_flavor flavor, const char *file, uint64_t pos);
/* from: a whole position. */
void
world_open_at(struct world *w, enum source_flavor flavor, const struct position *from);
void
world_close(struct world *w);
void
world_add_le(struct buf *b, uint64_t v, unsigned n);
MUST bool
world_feed(struct world *w, uint8_t type, uint16_t flags, uint32_t next_pos, struct bytes body,
           struct err *e);
void
world_must_feed(struct world *w, uint8_t type, uint32_t next_pos, struct bytes body);
void
world_rotate(struct world *w, uint16_t flags, const char *file, uint64_t pos);
/* Body of a QUERY event, in b. */
struct bytes
world_query(struct buf *b, const char *sql);

/* Table d.t (id INT NOT NULL primary key), full metadata; and a row of it, 5. */
#define WORLD_TABLE_MAP  29
#define WORLD_WRITE_ROWS 17
extern const uint8_t world_table_map[WORLD_TABLE_MAP];
extern const uint8_t world_write_rows[WORLD_WRITE_ROWS];

#endif
