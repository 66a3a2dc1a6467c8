/* AES-256-GCM and SHA-256 over OpenSSL, and the key file. */
#include "base/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"

#define CRYPT_SYSTEM_KEY  "/etc/millrace/key"
#define CRYPT_KEY_VERSION "1 "
#define CRYPT_DATA_MAX    ((size_t)1 << 20)

void
crypt_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

bool
crypt_key_path(const char *setting, char *out, size_t out_size, struct err *e)
{
    const char *home = getenv("HOME");
    int n;
    if (*setting)
        n = snprintf(out, out_size, "%s", setting);
    else if (file_exists(CRYPT_SYSTEM_KEY))
        n = snprintf(out, out_size, "%s", CRYPT_SYSTEM_KEY);
    else if (home && *home)
        n = snprintf(out, out_size, "%s/.config/millrace/key", home);
    else
        return err_set(e, MR_SECRET, "no key file: HOME is not set and there is no %s",
                       CRYPT_SYSTEM_KEY);
    if (n < 0 || (size_t)n >= out_size)
        return err_set(e, MR_SECRET, "the path of the key file is too long");
    return true;
}

static bool
crypt_key_make(const char *path, struct err *e)
{
    struct crypt_key key;
    char hex[2 * CRYPT_KEY_LEN + 1];
    char line[sizeof(hex) + 3];
    random_bytes(key.bytes, sizeof(key.bytes));
    hex_encode(bytes_of(key.bytes, sizeof(key.bytes)), hex);
    int n = snprintf(line, sizeof(line), CRYPT_KEY_VERSION "%s\n", hex);
    char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');
    bool ok = true;
    if (slash && slash != folder) {
        *slash = '\0';
        ok = file_make_folder(folder, e);
    }
    free(folder);
    bool made; /* another process may have been first: then its key counts */
    ok = ok && file_make(path, bytes_of(line, (size_t)n), 0600, &made, e);
    crypt_wipe(&key, sizeof(key));
    crypt_wipe(hex, sizeof(hex));
    crypt_wipe(line, sizeof(line));
    return ok || err_set(e, MR_SECRET, "%s", e->text);
}

static bool
crypt_key_check(const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st))
        return err_set(e, MR_SECRET, "key file %s: %s", path, strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, MR_SECRET, "key file %s is not a regular file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(e, MR_SECRET, "key file %s can be used by others: chmod 600 it", path);
    return true;
}

static bool
crypt_key_read(const char *text, struct crypt_key *out)
{
    size_t skip = strlen(CRYPT_KEY_VERSION);
    char hex[2 * CRYPT_KEY_LEN + 1];
    if (!text_starts(text, CRYPT_KEY_VERSION) || strlen(text) != skip + sizeof(hex) ||
        text[skip + sizeof(hex) - 1] != '\n')
        return false;
    memcpy(hex, text + skip, sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    bool ok = hex_decode(hex, out->bytes, sizeof(out->bytes));
    crypt_wipe(hex, sizeof(hex));
    return ok;
}

bool
crypt_key_load(const char *path, bool make, struct crypt_key *out, struct err *e)
{
    if (make && !file_exists(path) && !crypt_key_make(path, e))
        return err_wrap(e, "make key file");
    if (!crypt_key_check(path, e))
        return false;
    struct buf text = {0};
    bool ok = file_read(path, 4096, &text, e);
    if (!ok)
        err_set(e, MR_SECRET, "key file: %s", e->text);
    else if (!crypt_key_read(buf_cstr(&text), out))
        ok = err_set(e, MR_SECRET, "key file %s is not a version 1 key file", path);
    crypt_wipe(text.p, text.n);
    buf_free(&text);
    return ok;
}

static int
crypt_len(struct bytes b)
{
    return b.n > CRYPT_DATA_MAX ? -1 : (int)b.n;
}

static const uint8_t *
crypt_ptr(struct bytes b)
{
    return b.n ? b.p : (const uint8_t *)"";
}

/* Encrypts plain to out (room for it and the tag). */
static bool
crypt_gcm_seal(EVP_CIPHER_CTX *ctx, const struct crypt_key *key, const uint8_t *nonce,
               struct bytes plain, struct bytes associated, uint8_t *out)
{
    int n = 0;
    int last = 0;
    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) &&
           EVP_EncryptUpdate(ctx, NULL, &n, crypt_ptr(associated), crypt_len(associated)) &&
           EVP_EncryptUpdate(ctx, out, &n, crypt_ptr(plain), crypt_len(plain)) &&
           EVP_EncryptFinal_ex(ctx, out + n, &last) && n + last == crypt_len(plain) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, CRYPT_TAG_LEN, out + plain.n);
}

bool
crypt_seal(const struct crypt_key *key, struct bytes plain, struct bytes associated,
           uint8_t nonce[CRYPT_NONCE_LEN], struct buf *out, struct err *e)
{
    if (crypt_len(plain) < 0 || crypt_len(associated) < 0)
        return err_set(e, MR_SECRET, "a secret is larger than 1 MiB");
    uint8_t *at = buf_reserve(out, plain.n + CRYPT_TAG_LEN);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "sealing a secret");
    random_bytes(nonce, CRYPT_NONCE_LEN);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx && crypt_gcm_seal(ctx, key, nonce, plain, associated, at);
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return err_set(e, MR_INTERNAL, "a secret could not be sealed");
    out->n += plain.n + CRYPT_TAG_LEN;
    return true;
}

static bool
crypt_gcm_open(EVP_CIPHER_CTX *ctx, const struct crypt_key *key, const uint8_t *nonce,
               struct bytes sealed, struct bytes associated, uint8_t *out)
{
    int n = 0;
    int last = 0;
    int len = crypt_len(sealed) - CRYPT_TAG_LEN;
    uint8_t tag[CRYPT_TAG_LEN];
    memcpy(tag, sealed.p + len, sizeof(tag));
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) &&
           EVP_DecryptUpdate(ctx, NULL, &n, crypt_ptr(associated), crypt_len(associated)) &&
           EVP_DecryptUpdate(ctx, out, &n, sealed.p, len) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, CRYPT_TAG_LEN, tag) &&
           EVP_DecryptFinal_ex(ctx, out + n, &last) && n + last == len;
}

bool
crypt_open(const struct crypt_key *key, const uint8_t nonce[CRYPT_NONCE_LEN],
           struct bytes sealed, struct bytes associated, struct buf *out, struct err *e)
{
    if (sealed.n < CRYPT_TAG_LEN || crypt_len(sealed) < 0 || crypt_len(associated) < 0)
        return err_set(e, MR_SECRET, "a sealed secret has an impossible length");
    size_t len = sealed.n - CRYPT_TAG_LEN;
    uint8_t *at = buf_reserve(out, len);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "opening a secret");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx && crypt_gcm_open(ctx, key, nonce, sealed, associated, at);
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        crypt_wipe(at, len);
        return err_set(
            e, MR_SECRET,
            "a sealed secret cannot be opened with this key file, or belongs elsewhere");
    }
    out->n += len;
    return true;
}

void
crypt_sha256(struct bytes b, uint8_t out[32])
{
    if (!EVP_Digest(crypt_ptr(b), b.n, out, NULL, EVP_sha256(), NULL))
        mem_die("SHA-256 failed");
}

void
crypt_hmac_sha256(struct bytes key, struct bytes b, uint8_t out[32])
{
    if (crypt_len(key) < 0 ||
        !HMAC(EVP_sha256(), crypt_ptr(key), crypt_len(key), crypt_ptr(b), b.n, out, NULL))
        mem_die("HMAC-SHA-256 failed");
}
