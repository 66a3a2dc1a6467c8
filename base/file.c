/* Small files: read whole, written so that a crash leaves the old content or the new. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_STEP ((size_t)16 << 10)

static bool
file_failed(const char *what, const char *path, struct err *e)
{
    return err_set(e, MR_IO, "%s %s: %s", what, path, strerrordesc_np(errno));
}

static bool
file_read_all(int fd, const char *path, size_t size_max, struct buf *out, struct err *e)
{
    for (size_t got = 0;;) {
        uint8_t *at = buf_reserve(out, FILE_STEP);
        if (!at)
            return err_set(e, MR_NO_MEMORY, "read %s: its buffer is full", path);
        ssize_t n = read(fd, at, FILE_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_failed("read", path, e);
        if (n == 0)
            return true;
        got += (size_t)n;
        if (got > size_max)
            return err_set(e, MR_IO, "read %s: it is larger than %zu bytes", path, size_max);
        out->n += (size_t)n;
    }
}

bool
file_read(const char *path, size_t size_max, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_failed("open", path, e);
    bool ok = file_read_all(fd, path, size_max, out, e);
    close(fd);
    return ok;
}

static bool
file_write_all(int fd, struct bytes content)
{
    while (content.n) {
        ssize_t n = write(fd, content.p, content.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        content = bytes_of(content.p + n, content.n - (size_t)n);
    }
    return fsync(fd) == 0;
}

/* A synced file beside path, in *tmp (caller frees; NULL on false). */
static bool
file_write_beside(const char *path, struct bytes content, unsigned mode, char **tmp,
                  struct err *e)
{
    char *name = mem_printf("%s.XXXXXX", path);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        file_failed("create", name, e);
        free(name);
        return false;
    }
    bool ok = fchmod(fd, (mode_t)mode) == 0 && file_write_all(fd, content);
    if (!ok)
        file_failed("write", name, e);
    close(fd);
    if (!ok) {
        unlink(name);
        free(name);
        return false;
    }
    *tmp = name;
    return true;
}

/* Makes a rename or link in path's folder durable. */
static bool
file_sync_folder(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? mem_strn(bytes_of(path, (size_t)(slash - path) + 1)) : mem_strdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        file_failed("sync", folder, e);
    if (fd >= 0)
        close(fd);
    free(folder);
    return ok;
}

bool
file_write(const char *path, struct bytes content, unsigned mode, struct err *e)
{
    char *tmp;
    if (!file_write_beside(path, content, mode, &tmp, e))
        return false;
    bool ok = rename(tmp, path) == 0;
    if (!ok) {
        file_failed("rename to", path, e);
        unlink(tmp);
    }
    free(tmp);
    return ok && file_sync_folder(path, e);
}

bool
file_make(const char *path, struct bytes content, unsigned mode, bool *made, struct err *e)
{
    char *tmp;
    if (!file_write_beside(path, content, mode, &tmp, e))
        return false;
    *made = link(tmp, path) == 0;
    bool ok = *made || errno == EEXIST;
    if (!ok)
        file_failed("create", path, e);
    unlink(tmp);
    free(tmp);
    return ok && file_sync_folder(path, e);
}

static bool
file_make_one_folder(const char *path, struct err *e)
{
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return true;
    int why = errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    errno = why;
    return file_failed("make folder", path, e);
}

bool
file_make_folder(const char *path, struct err *e)
{
    char *name = mem_strdup(path);
    bool ok = true;
    for (char *slash = name; ok && (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
        *slash = '\0';
        ok = file_make_one_folder(name, e);
    }
    free(name);
    return ok && file_make_one_folder(path, e);
}

bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
