/* Connection strings. */
#include "base/uri.h"

#include <ctype.h>

#include "base/crypt.h"
#include "base/hash.h"
#include "base/text.h"

/* One '*' run for every password. */
#define URI_MASK "******"

static bool
uri_bad(struct err *e, const char *what)
{
    return err_set(e, MR_BAD_URI, "connection string: %s", what);
}

/* Length of the reference "${...}" that begins at p, or 0. */
static size_t
uri_reference_len(const char *p, size_t n)
{
    if (n < 3 || p[0] != '$' || p[1] != '{')
        return 0;
    const char *end = memchr(p, '}', n);
    return end ? (size_t)(end - p) + 1 : 0;
}

/* First byte of p[0..n) that is one of set, outside references; n when none. */
static size_t
uri_first(const char *p, size_t n, const char *set)
{
    for (size_t i = 0; i < n;) {
        size_t skip = uri_reference_len(p + i, n - i);
        if (!skip && strchr(set, p[i]))
            return i;
        i += skip ? skip : 1;
    }
    return n;
}

/* Last c of p[0..n) outside references; n when none. */
static size_t
uri_last(const char *p, size_t n, char c)
{
    size_t last = n;
    for (size_t i = 0; i < n;) {
        size_t skip = uri_reference_len(p + i, n - i);
        if (!skip && p[i] == c)
            last = i;
        i += skip ? skip : 1;
    }
    return last;
}

static bool
uri_hex_byte(const char *p, size_t n, char *out)
{
    uint8_t byte;
    if (n < 3)
        return false;
    const char digits[3] = {p[1], p[2], '\0'};
    if (!hex_decode(digits, &byte, 1) || byte == 0)
        return false;
    *out = (char)byte;
    return true;
}

/* Percent-decodes p[0..n) into the arena; what: the part's name for errors. */
static const char *
uri_decode(struct uri *u, const char *p, size_t n, const char *what, struct err *e)
{
    char *out = arena_alloc(&u->mem, n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n;) {
        size_t skip = uri_reference_len(p + i, n - i);
        if (skip) {
            memcpy(out + len, p + i, skip);
            len += skip;
            i += skip;
        } else if (p[i] == '%') {
            if (!uri_hex_byte(p + i, n - i, &out[len++])) {
                err_set(e, MR_BAD_URI, "connection string: bad %%-encoding in its %s", what);
                return NULL;
            }
            i += 3;
        } else {
            out[len++] = p[i++];
        }
    }
    out[len] = '\0';
    return out;
}

static bool
uri_parse_scheme(struct uri *u, const char **text, struct err *e)
{
    const char *end = strstr(*text, "://");
    if (!end)
        return uri_bad(e, "it does not begin with a scheme such as mysql://");
    size_t n = (size_t)(end - *text);
    char *scheme = arena_strn(&u->mem, bytes_of(*text, n));
    for (size_t i = 0; i < n; i++) {
        bool fits = isalpha((unsigned char)scheme[i]) ||
                    (i && (isdigit((unsigned char)scheme[i]) || strchr("+-.", scheme[i])));
        if (!fits)
            return uri_bad(e, "its scheme has a character that does not belong there");
        scheme[i] = (char)tolower((unsigned char)scheme[i]);
    }
    if (n == 0)
        return uri_bad(e, "its scheme is empty");
    u->scheme = scheme;
    *text = end + 3;
    return true;
}

static bool
uri_parse_login(struct uri *u, const char *p, size_t n, struct err *e)
{
    size_t colon = uri_last(p, n, ':');
    u->user = uri_decode(u, p, colon, "user", e);
    if (!u->user)
        return false;
    if (colon == n)
        return true;
    u->password = uri_decode(u, p + colon + 1, n - colon - 1, "password", e);
    return u->password != NULL;
}

static bool
uri_parse_port(struct uri *u, const char *p, size_t n, struct err *e)
{
    unsigned port = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)p[i]))
            return uri_bad(e, "its port is not a number");
        port = port * 10 + (unsigned)(p[i] - '0');
        if (port > 65535)
            return uri_bad(e, "its port is above 65535");
    }
    if (port == 0)
        return uri_bad(e, n ? "its port is 0" : "nothing follows the ':' of its port");
    u->port = (uint16_t)port;
    return true;
}

/* "host", "host:port", "[v6]:port". */
static bool
uri_parse_host(struct uri *u, const char *p, size_t n, struct err *e)
{
    size_t host_len = n;
    size_t skip = 0;
    if (n && p[0] == '[') {
        const char *close = memchr(p, ']', n);
        if (!close)
            return uri_bad(e, "its host has a '[' without a ']'");
        skip = 1;
        host_len = (size_t)(close - p) - 1;
    } else {
        const char *colon = memchr(p, ':', n);
        host_len = colon ? (size_t)(colon - p) : n;
    }
    u->host = uri_decode(u, p + skip, host_len, "host", e);
    if (!u->host)
        return false;
    size_t rest = host_len + 2 * skip;
    if (!*u->host && n)
        return uri_bad(e, "its host is empty");
    if (strpbrk(u->host, skip ? ",[]" : ":,[]")) /* written again it would mean another */
        return uri_bad(e, "its host has a character that does not belong there");
    if (rest == n)
        return true;
    if (p[rest] != ':')
        return uri_bad(e, "something other than ':' and a port follows its host");
    return uri_parse_port(u, p + rest + 1, n - rest - 1, e);
}

/* Every host of a list must be valid; the first one is kept last. */
static bool
uri_parse_hosts(struct uri *u, const char *p, size_t n, struct err *e)
{
    u->hosts = uri_decode(u, p, n, "host", e);
    if (!u->hosts)
        return false;
    for (size_t at = 0; at <= n;) {
        const char *comma = at < n ? memchr(p + at, ',', n - at) : NULL;
        size_t len = (comma ? (size_t)(comma - p) : n) - at;
        if (n && len == 0)
            return uri_bad(e, "a host of its list is empty");
        if (!uri_parse_host(u, p + at, len, e))
            return false;
        at += len + 1;
    }
    const char *comma = memchr(p, ',', n);
    u->port = 0;
    return uri_parse_host(u, p, comma ? (size_t)(comma - p) : n, e);
}

static bool
uri_parse_authority(struct uri *u, const char *p, size_t n, struct err *e)
{
    size_t at = uri_last(p, n, '@');
    if (at == n)
        return uri_parse_hosts(u, p, n, e);
    return uri_parse_login(u, p, at, e) && uri_parse_hosts(u, p + at + 1, n - at - 1, e);
}

static bool
uri_parse_query(struct uri *u, const char *p, size_t n, struct err *e)
{
    for (size_t at = 0; at < n;) {
        size_t len = uri_first(p + at, n - at, "&");
        size_t equals = uri_first(p + at, len, "=");
        if (u->params_len == URI_PARAMS_MAX)
            return uri_bad(e, "it has too many options");
        struct uri_param *param = &u->params[u->params_len++];
        size_t value = equals < len ? equals + 1 : len;
        param->key = uri_decode(u, p + at, equals, "options", e);
        param->value = uri_decode(u, p + at + value, len - value, "options", e);
        if (!param->key || !param->value)
            return false;
        if (!*param->key)
            return uri_bad(e, "an option has no name");
        if (uri_param(u, param->key, NULL) != param->value)
            return err_set(e, MR_BAD_URI, "connection string: option %s is given twice",
                           param->key);
        at += len + 1;
    }
    return true;
}

static bool
uri_parse_parts(struct uri *u, const char *text, struct err *e)
{
    if (strlen(text) > URI_MAX)
        return uri_bad(e, "it is too long");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return uri_bad(e, "it has a space or control character that is not %-encoded");
    }
    if (!uri_parse_scheme(u, &text, e))
        return false;
    size_t n = strlen(text);
    size_t authority = uri_first(text, n, "/?#");
    size_t path = authority + uri_first(text + authority, n - authority, "?#");
    if (authority && uri_last(text + authority, n - authority, '@') != n - authority)
        return uri_bad(e, "'/', '?' and '#' in user or password, and '@' behind the host, must "
                          "be %-encoded");
    if (text[path] == '#')
        return uri_bad(e, "it has a '#' that is not %-encoded");
    if (!uri_parse_authority(u, text, authority, e))
        return false;
    u->path = uri_decode(u, text + authority, path - authority, "path", e);
    return u->path && (path == n || uri_parse_query(u, text + path + 1, n - path - 1, e));
}

bool
uri_parse(const char *text, struct uri *out, struct err *e)
{
    *out = (struct uri){0};
    arena_init(&out->mem, 2048);
    if (uri_parse_parts(out, text, e))
        return true;
    uri_free(out);
    return false;
}

void
uri_free(struct uri *u)
{
    arena_free(&u->mem);
    *u = (struct uri){0};
}

const char *
uri_param(const struct uri *u, const char *key, const char *dflt)
{
    for (size_t i = 0; i < u->params_len; i++) {
        if (strcmp(u->params[i].key, key) == 0)
            return u->params[i].value;
    }
    return dflt;
}

void
uri_encode(struct bytes b, const char *keep, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];
        if (isalnum(c) || (c && (strchr("-._~", c) || strchr(keep, c)))) {
            buf_add_byte(out, c);
            continue;
        }
        const char three[3] = {'%', digits[c >> 4], digits[c & 15]};
        buf_add(out, three, sizeof(three));
    }
}

/* As uri_encode, references left as they are. */
static void
uri_encode_text(const char *s, const char *keep, struct buf *out)
{
    for (size_t n = strlen(s); n;) {
        size_t skip = uri_reference_len(s, n);
        if (skip)
            buf_add(out, s, skip);
        else
            uri_encode(bytes_of(s, skip = 1), keep, out);
        s += skip;
        n -= skip;
    }
}

bool
uri_is_secret_key(const char *key)
{
    static const char *const words[] = {"password", "passwd", "passphrase", "secret", "token"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasestr(key, words[i]))
            return true;
    }
    return false;
}

static void
uri_write_login(const struct uri *u, enum uri_password mode, struct buf *out)
{
    if (!u->user)
        return;
    bool password = u->password && mode != URI_PASSWORD_LEFT_OUT;
    /* A ':' of the user may stay only where a later one ends the user. */
    uri_encode_text(u->user, password ? ":" : "", out);
    if (password)
        buf_add_byte(out, ':');
    if (password && mode == URI_PASSWORD_MASKED)
        buf_add_str(out, URI_MASK);
    else if (password)
        uri_encode_text(u->password, "", out);
    buf_add_byte(out, '@');
}

void
uri_write(const struct uri *u, enum uri_password mode, struct buf *out)
{
    buf_addf(out, "%s://", u->scheme);
    uri_write_login(u, mode, out);
    uri_encode_text(u->hosts, ":,[]", out);
    uri_encode_text(u->path, "/:", out);
    for (size_t i = 0; i < u->params_len; i++) {
        buf_add_byte(out, i ? '&' : '?');
        uri_encode_text(u->params[i].key, "", out);
        buf_add_byte(out, '=');
        if (mode == URI_PASSWORD_MASKED && uri_is_secret_key(u->params[i].key))
            buf_add_str(out, URI_MASK);
        else
            uri_encode_text(u->params[i].value, ":/,|", out);
    }
}

bool
uri_copy(const struct uri *u, struct uri *out, struct err *e)
{
    struct buf text = {0};
    uri_write(u, URI_PASSWORD_PLAIN, &text);
    bool ok = uri_parse(buf_cstr(&text), out, e);
    if (text.p)
        crypt_wipe(text.p, text.n);
    buf_free(&text);
    return ok;
}

void
uri_masked(const struct uri *u, struct buf *out)
{
    uri_write(u, URI_PASSWORD_MASKED, out);
}

void
uri_masked_text(const char *text, struct buf *out)
{
    struct uri u;
    struct err e;
    if (!uri_parse(text, &u, &e)) {
        buf_add_str(out, "(not a valid connection string)");
        return;
    }
    uri_masked(&u, out);
    uri_free(&u);
}
