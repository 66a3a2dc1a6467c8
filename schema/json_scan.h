/* A bounded reader of JSON text for the row path: no tree, no allocation but unescaped strings.
 * Sticky failure as in struct reader. Thread: one at a time. Limit: nesting JSON_SCAN_DEPTH.
 */
#ifndef MILLRACE_SCHEMA_JSON_SCAN_H
#define MILLRACE_SCHEMA_JSON_SCAN_H

#include "base/arena.h"

#define JSON_SCAN_DEPTH 64

/* All of them pass over white space first. A failed reader gives zeros and false. */
static inline void
json_scan_fail(struct reader *r)
{
    r->failed = true;
    r->p = r->end;
}

static inline void
json_scan_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

/* The next character is c: takes it. */
static inline bool
json_scan_char(struct reader *r, char c)
{
    json_scan_space(r);
    if (r->p == r->end || *r->p != (uint8_t)c)
        return false;
    r->p++;
    return true;
}

/* The next character is c, else failure. */
static inline void
json_scan_expect(struct reader *r, char c)
{
    if (!json_scan_char(r, c))
        json_scan_fail(r);
}

/* Takes `null` if it stands there. */
bool
json_scan_null(struct reader *r);
bool
json_scan_bool(struct reader *r);
/* The text of a number, not yet checked. */
struct bytes
json_scan_number(struct reader *r);
int64_t
json_scan_i64(struct reader *r);
/* A string; borrowed when it has no escapes, else unescaped into the arena. Control characters,
 * bad escapes and lone surrogates fail. */
struct bytes
json_scan_string(struct reader *r, struct arena *a);
/* Base64 in a string, into the arena. */
struct bytes
json_scan_base64(struct reader *r, struct arena *a);
/* Passes over any value; gives its text. */
struct bytes
json_scan_skip(struct reader *r);
/* Nothing but white space is left, and nothing failed. */
bool
json_scan_end(struct reader *r);
/* Object iteration: after `{`, each call takes `"name":` (raw, escapes kept) or `}`.
 *     for (bool first = true; json_scan_member(r, &first, &name);) */
bool
json_scan_member(struct reader *r, bool *first, struct bytes *name);
/* Array iteration: after `[`, true when an element follows. */
bool
json_scan_element(struct reader *r, bool *first);

#endif
