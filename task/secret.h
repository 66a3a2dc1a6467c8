/* Secrets of a task's connections: literal passwords are sealed by the command, references are
 * kept unresolved, both are opened by a worker at the moment it connects.
 *
 * Sealed with AES-256-GCM (base/crypt.h); the associated data are "millrace 1", task id, hosts,
 * port and user, one per line, so that a sealed password is of no use in another record or for
 * another server. Options of a URI are not sealed: one whose name speaks of a secret must be a
 * reference (MR_BAD_URI). Key file: setting key.file. Thread: any. Errors: MR_SECRET.
 */
#ifndef MILLRACE_TASK_SECRET_H
#define MILLRACE_TASK_SECRET_H

#include "base/config.h"
#include "base/uri.h"
#include "task/task.h"

/* Fills out (memory of t's arena) from a parsed URI: its stored text and the sealed password.
 */
MUST bool
secret_seal_endpoint(const struct config *c, struct task *t, const struct uri *u,
                     struct task_endpoint *out, struct err *e);
/* The URI with its password, ready to connect; out: uri_free. Never log or keep it. */
MUST bool
secret_open_endpoint(const struct config *c, const struct task *t,
                     const struct task_endpoint *at, struct uri *out, struct err *e);

#endif
