/* Errors: one value, owned by the caller, filled exactly when a fallible function returns
 * false.
 *
 * A fallible function returns bool, takes `struct err *` last, and is MUST-checked. `err_set`
 * starts an error, `err_wrap` puts context in front of its text; both return false, so `return
 * err_set(...)` reads well. The code (base/codes.h) fixes class, effect and remedy; the text
 * says what happened and where. Thread: any; an err belongs to the caller's thread. Never
 * contains row values or secrets.
 */
#ifndef MILLRACE_BASE_ERR_H
#define MILLRACE_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define MUST                          __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_at, first_at) __attribute__((format(printf, fmt_at, first_at)))
#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define AUTO_FREE                     __attribute__((cleanup(auto_free)))

/* What can be done about an error. task/policy.c decides by this alone. */
enum err_class {
    ERR_NONE,
    ERR_RETRY,   /* same unit again, later */
    ERR_UNKNOWN, /* look at the durable state first: retrying blindly would be wrong */
    ERR_TABLE,   /* this table cannot go on, the others can */
    ERR_TASK,    /* stop the task and tell a human */
    ERR_USAGE,   /* bad flag, file or configuration: exit 2 */
};

/* MRnnnn: stable for ever. The list with class, effect and remedy is base/codes.h. */
enum err_code {
    MR_OK = 0,
#define MR_CODE(num, name, class, cause, effect, remedy) MR_##name = num,
#include "base/codes.h"
#undef MR_CODE
};

#define ERR_TEXT_MAX 1024

struct err {
    enum err_class class;
    enum err_code code;
    char text[ERR_TEXT_MAX]; /* what happened, where; NUL-terminated */
};

/* Static facts of a code. `effect` says what became of the data, `remedy` what a human should
 * do. */
struct err_info {
    enum err_code code;
    const char *name;
    enum err_class class;
    const char *cause;
    const char *effect;
    const char *remedy;
};

/* Each of the three is false, and the compiler can see it: so it knows that a caller which goes
 * on after `true` has its results, and warns of no uninitialised value. */
static inline bool
err_false(void)
{
    return false;
}

/* err_set(e, code, format, ...) fills *e. */
#define err_set(...) (err_fill(__VA_ARGS__), err_false())
/* err_wrap(e, format, ...) prefixes "context: " to the text; keeps code and class. */
#define err_wrap(...) (err_prefix(__VA_ARGS__), err_false())

void
err_fill(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void
err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Same code, another class: e.g. a table error met where only the task can stop. */
static inline bool
err_reclass(struct err *e, enum err_class class)
{
    e->class = class;
    return false;
}

void
err_clear(struct err *e);
/* Never NULL: an unknown code gives MR_INTERNAL's facts. */
const struct err_info *
err_info(enum err_code code);
/* All codes, ascending; *n is their count. For docs and tests. */
const struct err_info *
err_info_all(size_t *n);
/* "MR1234: text. Effect: ... Remedy: ..." into out (always terminated); returns out. */
char *
err_format(const struct err *e, char *out, size_t out_size);

/* free() for AUTO_FREE pointers. */
void
auto_free(void *pp);

#endif
