/* Log lines: built on the stack, one write(2) each, so lines of several threads never mix. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_LINE_MAX 16384

struct line {
    size_t n;
    char text[LOG_LINE_MAX];
};

static _Atomic int log_level_now = LOG_INFO;

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};

void
log_set_level(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

bool
log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

bool
log_parse_level(const char *s, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(s, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void
line_char(struct line *l, char c)
{
    if (l->n < sizeof(l->text) - 1) /* room for the line end */
        l->text[l->n++] = c;
}

static void
line_raw(struct line *l, const char *s)
{
    while (*s)
        line_char(l, *s++);
}

static bool
needs_quotes(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] <= ' ' || b.p[i] == '"' || b.p[i] == '=' || b.p[i] == '\\' || b.p[i] == 0x7f)
            return true;
    }
    return b.n == 0;
}

static void
line_escaped(struct line *l, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '\n') {
        line_raw(l, "\\n");
    } else if (c < ' ' || c == 0x7f) {
        line_raw(l, "\\x");
        line_char(l, hex[c >> 4]);
        line_char(l, hex[c & 15]);
    } else {
        if (c == '"' || c == '\\')
            line_char(l, '\\');
        line_char(l, (char)c);
    }
}

static void
line_value(struct line *l, struct bytes b)
{
    bool quotes = needs_quotes(b);
    if (quotes)
        line_char(l, '"');
    for (size_t i = 0; i < b.n; i++)
        line_escaped(l, b.p[i]);
    if (quotes)
        line_char(l, '"');
}

static void
line_key_value(struct line *l, const char *key, const char *value)
{
    line_char(l, ' ');
    line_raw(l, key);
    line_char(l, '=');
    line_value(l, bytes_str(value ? value : ""));
}

static void
line_err(struct line *l, const struct err *e)
{
    const struct err_info *info = err_info(e->code);
    char code[16];
    snprintf(code, sizeof(code), "MR%04d", (int)e->code);
    line_key_value(l, "code", code);
    line_key_value(l, "error", e->text);
    line_key_value(l, "effect", info->effect);
    line_key_value(l, "remedy", info->remedy);
}

static void
line_field(struct line *l, const struct log_field *f)
{
    char number[24];
    switch (f->kind) {
    case LOG_STR:
        line_key_value(l, f->key, f->v.s);
        break;
    case LOG_I64:
        snprintf(number, sizeof(number), "%" PRId64, f->v.i);
        line_key_value(l, f->key, number);
        break;
    case LOG_U64:
        snprintf(number, sizeof(number), "%" PRIu64, f->v.u);
        line_key_value(l, f->key, number);
        break;
    case LOG_BYTES:
        line_char(l, ' ');
        line_raw(l, f->key);
        line_char(l, '=');
        line_value(l, f->v.b);
        break;
    case LOG_ERR:
        line_err(l, f->v.e);
        break;
    case LOG_END:
        break;
    }
}

static void
line_time(struct line *l)
{
    uint64_t now_us = clock_wall_us();
    time_t s = (time_t)(now_us / 1000000);
    struct tm tm;
    char text[64];
    gmtime_r(&s, &tm);
    size_t n = strftime(text, sizeof(text), "ts=%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%06uZ", (unsigned)(now_us % 1000000));
    line_raw(l, text);
}

static void
line_write(const struct line *l)
{
    for (size_t at = 0; at < l->n;) {
        ssize_t n = write(STDERR_FILENO, l->text + at, l->n - at);
        if (n < 0 && errno != EINTR)
            return;
        at += n > 0 ? (size_t)n : 0;
    }
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    struct line l;
    l.n = 0;
    line_time(&l);
    line_key_value(&l, "level", level_names[level]);
    line_key_value(&l, "event", event);
    for (const struct log_field *f = fields; f->kind != LOG_END; f++)
        line_field(&l, f);
    l.text[l.n++] = '\n';
    line_write(&l);
    errno = saved_errno;
}
