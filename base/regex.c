/* Regular expressions over PCRE2. */
#include "base/regex.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"

#define REGEX_MATCH_LIMIT 500000
#define REGEX_DEPTH_LIMIT 10000
#define REGEX_HEAP_KIB    16384

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    char *pattern;
};

bool
regex_compile(const char *pattern, struct regex **out, struct err *e)
{
    int code;
    PCRE2_SIZE at;
    if (strlen(pattern) > REGEX_PATTERN_MAX)
        return err_set(e, MR_CONFIG, "a pattern is longer than %d bytes", REGEX_PATTERN_MAX);
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, strlen(pattern), options, &code, &at, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof(why));
        return err_set(e, MR_CONFIG, "pattern \"%s\" is wrong at byte %zu: %s", pattern,
                       (size_t)at, (const char *)why);
    }
    struct regex *r = mem_zalloc(sizeof(*r));
    r->code = compiled;
    r->pattern = mem_strdup(pattern);
    r->limits = pcre2_match_context_create(NULL);
    if (!r->limits)
        mem_die("no memory for a pattern");
    pcre2_set_match_limit(r->limits, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, REGEX_DEPTH_LIMIT);
    pcre2_set_heap_limit(r->limits, REGEX_HEAP_KIB);
    *out = r;
    return true;
}

void
regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_context_free(r->limits);
    pcre2_code_free(r->code);
    free(r->pattern);
    free(r);
}

static bool
regex_match(const struct regex *r, struct bytes subject, uint32_t options, bool *found,
            struct err *e)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data)
        mem_die("no memory for a match");
    PCRE2_SPTR p = subject.n ? subject.p : (PCRE2_SPTR) "";
    int rc = pcre2_match(r->code, p, subject.n, 0, options, data, r->limits);
    pcre2_match_data_free(data);
    *found = rc >= 0;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
        return true;
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(rc, why, sizeof(why));
    return err_set(e, MR_CONFIG,
                   "pattern \"%s\" needs too many steps for a name of %zu bytes: %s",
                   r->pattern, subject.n, (const char *)why);
}

bool
regex_search(const struct regex *r, struct bytes subject, bool *found, struct err *e)
{
    return regex_match(r, subject, 0, found, e);
}

bool
regex_whole(const struct regex *r, struct bytes subject, bool *found, struct err *e)
{
    return regex_match(r, subject, PCRE2_ANCHORED | PCRE2_ENDANCHORED, found, e);
}

const char *
regex_pattern(const struct regex *r)
{
    return r->pattern;
}
