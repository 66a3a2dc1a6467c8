/* Log: event name + fields, one logfmt line on stderr: ts=2026-01-01T00:00:00.000000Z
 * level=info event=NAME k=v k="v v". Never row values or secrets. Thread: any (one write(2) per
 * line).
 */
#ifndef MILLRACE_BASE_LOG_H
#define MILLRACE_BASE_LOG_H

#include <inttypes.h>

#include "base/bytes.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *key;
    enum { LOG_END, LOG_STR, LOG_I64, LOG_U64, LOG_BYTES, LOG_ERR } kind;
    union {
        const char *s;
        int64_t i;
        uint64_t u;
        struct bytes b;
        const struct err *e;
    } v;
};

#define F_STR(k, x)   ((struct log_field){.key = (k), .kind = LOG_STR, .v.s = (x)})
#define F_I64(k, x)   ((struct log_field){.key = (k), .kind = LOG_I64, .v.i = (int64_t)(x)})
#define F_U64(k, x)   ((struct log_field){.key = (k), .kind = LOG_U64, .v.u = (uint64_t)(x)})
#define F_BYTES(k, x) ((struct log_field){.key = (k), .kind = LOG_BYTES, .v.b = (x)})
/* Writes code=, error=, effect=, remedy=. */
#define F_ERR(x) ((struct log_field){.key = "error", .kind = LOG_ERR, .v.e = (x)})

void
log_set_level(enum log_level level);
/* For lines whose fields cost something to make. */
bool
log_enabled(enum log_level level);
MUST bool
log_parse_level(const char *s, enum log_level *out);
void
log_write(enum log_level level, const char *event, const struct log_field *fields);

/* log_info("event", F_STR("k", v), ...): the fields may be none. */
#define LOG_FIELDS_END ((struct log_field){.kind = LOG_END})
#define LOG_AT(level, event, ...) \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__})
#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__, LOG_FIELDS_END)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__, LOG_FIELDS_END)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__, LOG_FIELDS_END)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__, LOG_FIELDS_END)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__, LOG_FIELDS_END)

#endif
