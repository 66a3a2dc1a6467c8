/* Character sets of the MySQL family: collation ids to names, and conversion to UTF-8.
 *
 * utf8mb4, utf8mb3 and ascii are checked and left where they are; latin1 is cp1252 with MySQL's
 * five extra bytes; the others go through iconv into an arena. The ids are those of the
 * connected server (ids differ between MySQL and MariaDB and between versions): loaded once per
 * source.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_CHARSET_H
#define MILLRACE_CAPTURE_MYSQL_CHARSET_H

#include "base/arena.h"
#include "db/mysql.h"

struct collation {
    uint16_t id;
    const char *name;
    const char *charset;
    uint8_t char_bytes_max;
};

/* The server's collations. Owner: the source. Immutable after loading. */
struct collations {
    struct arena arena;
    struct collation *by_id; /* indexed by id, name NULL = none */
    size_t len;
};

MUST bool
collations_load(struct mysql_conn *c, struct collations *out, struct err *e);
void
collations_free(struct collations *c);
const struct collation *
collations_get(const struct collations *c, unsigned id); /* NULL: unknown */
/* Bytes of the longest character of a character set; 1 when unknown. */
unsigned
collations_char_bytes(const struct collations *c, const char *charset);

/* A converter to UTF-8. Thread: one at a time. */
struct charset;

/* NULL + *e (MR_SOURCE_TYPE) when the character set is not known here. */
MUST bool
charset_open(const char *name, struct charset **out, struct err *e);
void
charset_close(struct charset *cs); /* NULL allowed */
/* Valid UTF-8 in *out, borrowed from `in` or made in the arena; false when `in` is not valid in
 * the set. */
bool
charset_to_utf8(struct charset *cs, struct bytes in, struct arena *a, struct bytes *out);

/* The same; codes that are no characters of the set (a BLOB made text holds some) become '?',
 * as the server shows them to its clients. False only for malformed Unicode. */
bool
charset_show(struct charset *cs, struct bytes in, struct arena *a, struct bytes *out);

bool
utf8_valid(struct bytes b);

#endif
