/* References to secrets. */
#include "base/secret.h"

#include <stdlib.h>

#include "base/crypt.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define SECRET_FILE_MAX 65536

static bool
secret_has_scheme(const char *text, const char *scheme)
{
    size_t n = strlen(text);
    return text_starts(text, scheme) && n > strlen(scheme) + 1 &&
           strchr(text, '}') == text + n - 1;
}

bool
secret_is_reference(const char *text)
{
    return secret_has_scheme(text, "${env:") || secret_has_scheme(text, "${file:");
}

/* What stands between the scheme and the closing brace; free(). */
static char *
secret_name(const char *text, const char *scheme)
{
    size_t skip = strlen(scheme);
    return mem_strn(bytes_of(text + skip, strlen(text) - skip - 1));
}

static bool
secret_from_env(const char *name, struct buf *out, struct err *e)
{
    const char *value = getenv(name);
    if (!value)
        return err_set(e, MR_SECRET, "${env:%s}: there is no such variable", name);
    buf_add_str(out, value);
    return true;
}

static bool
secret_from_file(const char *path, struct buf *out, struct err *e)
{
    struct buf content = {0};
    struct err why;
    bool ok = file_read(path, SECRET_FILE_MAX, &content, &why);
    if (!ok)
        err_set(e, MR_SECRET, "${file:%s}: %s", path, why.text);
    size_t n = content.n;
    if (n && content.p[n - 1] == '\n')
        n--;
    if (n && content.p[n - 1] == '\r')
        n--;
    if (ok)
        buf_add(out, content.p, n);
    crypt_wipe(content.p, content.n);
    buf_free(&content);
    return ok;
}

bool
secret_resolve(const char *text, struct buf *out, struct err *e)
{
    if (!secret_is_reference(text)) {
        buf_add_str(out, text);
        return true;
    }
    bool env = text_starts(text, "${env:");
    char *name = secret_name(text, env ? "${env:" : "${file:");
    bool ok = env ? secret_from_env(name, out, e) : secret_from_file(name, out, e);
    free(name);
    return ok;
}

static bool
resolve_text(struct uri *u, const char **text, struct err *e)
{
    struct buf plain = {0};
    if (!*text || !secret_is_reference(*text))
        return true;
    bool ok = secret_resolve(*text, &plain, e);
    if (ok)
        *text = arena_strn(&u->mem, buf_bytes(&plain));
    if (plain.p)
        crypt_wipe(plain.p, plain.n);
    buf_free(&plain);
    return ok;
}

bool
secret_resolve_uri(struct uri *u, struct err *e)
{
    bool ok = resolve_text(u, &u->password, e);
    for (size_t i = 0; ok && i < u->params_len; i++)
        ok = resolve_text(u, &u->params[i].value, e) ||
             err_wrap(e, "option %s", u->params[i].key);
    return ok;
}
