/* Regular expressions of users (PCRE2, whose header only base/regex.c sees): UTF-8,
 * case-sensitive unless (?i). A match that needs too many steps is an error, never a hang.
 * Thread: a compiled regex may be shared.
 */
#ifndef MILLRACE_BASE_REGEX_H
#define MILLRACE_BASE_REGEX_H

#include "base/bytes.h"

#define REGEX_PATTERN_MAX 4096

struct regex;

/* MR_CONFIG names the pattern, the place and what is wrong. */
MUST bool
regex_compile(const char *pattern, struct regex **out, struct err *e);
void
regex_free(struct regex *r); /* NULL allowed */
/* *found: somewhere in subject. */
MUST bool
regex_search(const struct regex *r, struct bytes subject, bool *found, struct err *e);
/* *found: the whole subject. */
MUST bool
regex_whole(const struct regex *r, struct bytes subject, bool *found, struct err *e);
const char *
regex_pattern(const struct regex *r);

#endif
