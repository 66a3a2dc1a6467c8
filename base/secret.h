/* References to secrets, kept unresolved wherever they are stored: ${env:NAME} and
 * ${file:PATH}. A reference is the whole text. A file's last line end is not part of the
 * secret. Thread: any.
 */
#ifndef MILLRACE_BASE_SECRET_H
#define MILLRACE_BASE_SECRET_H

#include "base/bytes.h"
#include "base/uri.h"

bool
secret_is_reference(const char *text);
/* Appends what `text` refers to, or text itself when it is no reference. MR_SECRET names the
 * reference, not the value. */
MUST bool
secret_resolve(const char *text, struct buf *out, struct err *e);
/* Resolves the references of a URI: its password and the values of its options. MR_SECRET. */
MUST bool
secret_resolve_uri(struct uri *u, struct err *e);

#endif
