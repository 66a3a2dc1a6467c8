/* Positions: where a source can restart, and the one way to compare them (containment).
 *
 * JSON form: docs/formats.md `pos`. A position says: every transaction inside it is published
 * whole; those in `partial` have been published up to `rows` selected rows; nothing else has
 * been published. Thread: a position belongs to one thread; copy to share.
 */
#ifndef MILLRACE_SCHEMA_POSITION_H
#define MILLRACE_SCHEMA_POSITION_H

#include "base/json.h"

/* A set of MySQL GTIDs (uuid[:tag]:interval...) or MariaDB's state (domain-server-seq per
 * domain). */
struct gtid_set;

enum gtid_flavor { GTID_MYSQL, GTID_MARIADB };

struct gtid_set *
gtid_set_new(enum gtid_flavor flavor);
struct gtid_set *
gtid_set_copy(const struct gtid_set *s);
void
gtid_set_free(struct gtid_set *s);
/* Server's text form: "uuid:1-5:7,uuid2:tag:1-3" (white space allowed) or "0-1-100,1-2-7". */
MUST bool
gtid_set_parse(enum gtid_flavor flavor, struct bytes text, struct gtid_set **out,
               struct err *e);
void
gtid_set_text(const struct gtid_set *s, struct buf *out); /* canonical, sorted */
/* One transaction "uuid:n", "uuid:tag:n" or "d-s-n". False and *e on bad text. Amortised O(log
 * intervals). */
MUST bool
gtid_set_add(struct gtid_set *s, struct bytes gtid, struct err *e);
bool
gtid_set_has(const struct gtid_set *s, struct bytes gtid);
/* Every transaction of b is in a. MariaDB: for each domain of b, a's sequence number >= b's. */
bool
gtid_set_covers(const struct gtid_set *a, const struct gtid_set *b);
void
gtid_set_union(struct gtid_set *into, const struct gtid_set *from);
void
gtid_set_subtract(struct gtid_set *from, const struct gtid_set *what); /* MySQL flavor only */
bool
gtid_set_empty(const struct gtid_set *s);
/* COM_BINLOG_DUMP_GTID's encoding (sql/rpl_gtid_set.cc, tagged form when a tag is present).
 * MySQL flavor only. */
void
gtid_set_encode(const struct gtid_set *s, struct buf *out);

enum position_kind { POSITION_NONE, POSITION_MYSQL, POSITION_MARIADB };

#define TXN_ID_MAX 320 /* a GTID, or "file:pos" where the server has none */

struct partial_txn {
    char id[TXN_ID_MAX];
    uint64_t rows;  /* selected rows of it already published */
    char file[256]; /* where it begins in the server's log; "" = not known */
    uint64_t pos;
};

#define POSITION_PARTIALS 8

struct position {
    enum position_kind kind;
    char server[40];       /* MySQL server_uuid; MariaDB server_id in decimal */
    struct gtid_set *gtid; /* NULL: the server has GTIDs off */
    char file[256];
    uint64_t pos;
    struct partial_txn partial[POSITION_PARTIALS];
    unsigned partial_count;
    char xa_file[256]; /* oldest prepared XA transaction still held; "" = none */
    uint64_t xa_pos;
};

void
position_init(struct position *p, enum position_kind kind);
void
position_free(struct position *p);
/* dst is overwritten: must be initialised. */
void
position_copy(struct position *dst, const struct position *src);
struct json *
position_to_json(const struct position *p);
MUST bool
position_from_json(const struct json *j, struct position *out, struct err *e);
/* Every transaction of b is in a. With GTIDs on both: by set. MariaDB on one server, and MySQL
 * without GTIDs: by (file, pos) — file compared by its number suffix — and false when the
 * servers differ. Partials are not looked at. */
bool
position_covers(const struct position *a, const struct position *b);
/* Compares binlog coordinates of one server: <0, 0, >0. Files by numeric suffix, any width. */
int
position_compare_file(const char *file_a, uint64_t pos_a, const char *file_b, uint64_t pos_b);
/* Short human text for logs and errors: "gtid ... file:pos". */
const char *
position_text(const struct position *p, char *out, size_t out_size);

#endif
