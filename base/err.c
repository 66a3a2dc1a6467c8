/* Errors and the facts of their codes. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct err_info infos[] = {
#define MR_CODE(num, name, class, cause, effect, remedy) \
    {MR_##name, #name, class, cause, effect, remedy},
#include "base/codes.h"
#undef MR_CODE
};

const struct err_info *
err_info_all(size_t *n)
{
    *n = ARRAY_LEN(infos);
    return infos;
}

const struct err_info *
err_info(enum err_code code)
{
    const struct err_info *internal = NULL;
    for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
        if (infos[i].code == code)
            return &infos[i];
        if (infos[i].code == MR_INTERNAL)
            internal = &infos[i];
    }
    return internal;
}

void
err_fill(struct err *e, enum err_code code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX]; /* the arguments may point into e->text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    e->class = err_info(code)->class;
    e->code = code;
    memcpy(e->text, text, sizeof(text));
}

void
err_prefix(struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at < sizeof(text) - 3) {
        size_t tail = strnlen(e->text, sizeof(text) - at - 3);
        memcpy(text + at, ": ", 2);
        memcpy(text + at + 2, e->text, tail);
        text[at + 2 + tail] = '\0';
    }
    memcpy(e->text, text, sizeof(text));
}

void
err_clear(struct err *e)
{
    e->class = ERR_NONE;
    e->code = MR_OK;
    e->text[0] = '\0';
}

char *
err_format(const struct err *e, char *out, size_t out_size)
{
    const struct err_info *info = err_info(e->code);
    snprintf(out, out_size, "MR%04d: %s. Effect: %s. Remedy: %s.", (int)e->code, e->text,
             info->effect, info->remedy);
    return out;
}

void
auto_free(void *pp)
{
    void *p;
    memcpy(&p, pp, sizeof(p));
    free(p);
}
