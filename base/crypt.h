/* Sealing of literal passwords: AES-256-GCM with associated data, and the key file.
 *
 * Key file, version 1: "1 " + 64 hex digits + line end; mode 0600, made on first use. A file
 * that group or others can read is refused. Ciphertext: the sealed bytes followed by the
 * 16-byte tag; the nonce is random, 12 bytes. Thread: any. Errors: MR_SECRET.
 */
#ifndef MILLRACE_BASE_CRYPT_H
#define MILLRACE_BASE_CRYPT_H

#include "base/bytes.h"

#define CRYPT_ALG       "aes-256-gcm"
#define CRYPT_KEY_LEN   32
#define CRYPT_NONCE_LEN 12
#define CRYPT_TAG_LEN   16

struct crypt_key {
    uint8_t bytes[CRYPT_KEY_LEN];
};

/* Path of the key file: the setting when not "", else /etc/millrace/key when it exists, else
 * $HOME/.config/millrace/key. */
MUST bool
crypt_key_path(const char *setting, char *out, size_t out_size, struct err *e);
/* make: creates an absent file (and its folder); otherwise absent is an error. */
MUST bool
crypt_key_load(const char *path, bool make, struct crypt_key *out, struct err *e);
/* Appends ciphertext and tag to out. */
MUST bool
crypt_seal(const struct crypt_key *key, struct bytes plain, struct bytes associated,
           uint8_t nonce[CRYPT_NONCE_LEN], struct buf *out, struct err *e);
/* Appends the plain bytes; nothing when key, nonce, ciphertext or associated data are not the
 * sealed ones. */
MUST bool
crypt_open(const struct crypt_key *key, const uint8_t nonce[CRYPT_NONCE_LEN],
           struct bytes sealed, struct bytes associated, struct buf *out, struct err *e);
/* Behind hash_sha256 and hash_hmac_sha256, so that one module knows OpenSSL. */
void
crypt_sha256(struct bytes b, uint8_t out[32]);
void
crypt_hmac_sha256(struct bytes key, struct bytes b, uint8_t out[32]);
/* Overwrites memory that held a secret. */
void
crypt_wipe(void *p, size_t n);

#endif
