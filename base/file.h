/* Small files of the control plane. Thread: any. */
#ifndef MILLRACE_BASE_FILE_H
#define MILLRACE_BASE_FILE_H

#include "base/bytes.h"

/* Appends the whole content; above size_max bytes is an error. MR_IO names path and reason. */
MUST bool
file_read(const char *path, size_t size_max, struct buf *out, struct err *e);
/* Through a temporary file beside it, fsync and rename: the old content or the new, never half.
 */
MUST bool
file_write(const char *path, struct bytes content, unsigned mode, struct err *e);
/* As file_write, but an existing file stays and *made tells. */
MUST bool
file_make(const char *path, struct bytes content, unsigned mode, bool *made, struct err *e);
/* Makes the folder and its parents (0700 each) when absent. */
MUST bool
file_make_folder(const char *path, struct err *e);
bool
file_exists(const char *path);

#endif
