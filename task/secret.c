#include "task/secret.h"

#include <stdio.h>

#include "base/crypt.h"
#include "base/secret.h"

/* What a sealed password is bound to. */
static void
associated(const struct task *t, const struct uri *u, struct buf *out)
{
    buf_addf(out, "millrace 1\n%s\n%s\n%u\n%s\n", t->id, u->hosts, (unsigned)u->port,
             u->user != NULL ? u->user : "");
}

static bool
load_key(const struct config *c, bool make, struct crypt_key *out, struct err *e)
{
    char path[4096];
    return crypt_key_path(config_text(c, "key.file"), path, sizeof(path), e) &&
           crypt_key_load(path, make, out, e);
}

static bool
seal(const struct config *c, struct task *t, const struct uri *u, struct task_seal *out,
     struct err *e)
{
    struct crypt_key key;
    uint8_t nonce[CRYPT_NONCE_LEN];
    struct buf ad = {0}, ct = {0};
    if (!load_key(c, true, &key, e))
        return false;
    associated(t, u, &ad);
    bool ok = crypt_seal(&key, bytes_str(u->password), buf_bytes(&ad), nonce, &ct, e);
    crypt_wipe(&key, sizeof(key));
    if (ok) {
        out->alg = CRYPT_ALG;
        out->nonce = arena_copy(&t->arena, bytes_of(nonce, sizeof(nonce)));
        out->ct = arena_copy(&t->arena, buf_bytes(&ct));
    }
    buf_free(&ad);
    buf_free(&ct);
    return ok;
}

/* What an option says is not sealed. */
static bool
check_options(const struct uri *u, struct err *e)
{
    for (size_t i = 0; i < u->params_len; i++) {
        const struct uri_param *p = &u->params[i];
        if (uri_is_secret_key(p->key) && *p->value && !secret_is_reference(p->value))
            return err_set(e, MR_BAD_URI,
                           "option %s holds a secret: write ${env:NAME} or ${file:PATH}",
                           p->key);
    }
    return true;
}

bool
secret_seal_endpoint(const struct config *c, struct task *t, const struct uri *u,
                     struct task_endpoint *out, struct err *e)
{
    struct buf text = {0};
    bool literal = u->password != NULL && !secret_is_reference(u->password);
    out->secret = (struct task_seal){0};
    if (!check_options(u, e) || (literal && !seal(c, t, u, &out->secret, e)))
        return false;
    uri_write(u, literal ? URI_PASSWORD_LEFT_OUT : URI_PASSWORD_PLAIN, &text);
    out->uri = arena_strdup(&t->arena, buf_cstr(&text));
    buf_free(&text);
    return true;
}

static bool
unseal(const struct config *c, const struct task *t, const struct task_seal *s, struct uri *u,
       struct err *e)
{
    struct crypt_key key;
    struct buf ad = {0}, plain = {0};
    if (strcmp(s->alg, CRYPT_ALG) != 0 || s->nonce.n != CRYPT_NONCE_LEN)
        return err_set(e, MR_SECRET, "task '%s': unknown way of sealing '%.20s'", t->name,
                       s->alg);
    if (!load_key(c, false, &key, e))
        return false;
    associated(t, u, &ad);
    bool ok = crypt_open(&key, s->nonce.p, s->ct, buf_bytes(&ad), &plain, e);
    crypt_wipe(&key, sizeof(key));
    if (ok)
        u->password = arena_strn(&u->mem, buf_bytes(&plain));
    crypt_wipe(plain.p, plain.n);
    buf_free(&plain);
    buf_free(&ad);
    return ok;
}

bool
secret_open_endpoint(const struct config *c, const struct task *t,
                     const struct task_endpoint *at, struct uri *out, struct err *e)
{
    if (!uri_parse(at->uri, out, e))
        return false;
    bool ok = at->secret.alg == NULL || unseal(c, t, &at->secret, out, e);
    ok = ok && secret_resolve_uri(out, e);
    if (!ok)
        uri_free(out);
    return ok;
}
