/* Lake files in folders of this machine.
 *
 * A file is written as NAME.XXXXXX beside its place, synced, linked to NAME (which fails when
 * NAME exists), and the folder is synced. Durable and visible: when the folder's sync returned.
 * Dying before the link leaves NAME.XXXXXX, dying behind it the file and perhaps a second name
 * of it: orphans (lake/orphans.h), never part of a table.
 */
#include "lake/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"

#define LOCAL_DEPTH_MAX 32

struct local_writer {
    struct storage_writer base;
    int fd;
    char *path;
    char *temporary;
};

static enum err_code
local_code(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return MR_STORAGE_MISSING;
    case EEXIST:
        return MR_STORAGE_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return MR_STORAGE_REFUSED;
    case ENOSPC:
    case EDQUOT:
        return MR_STORAGE_FULL;
    default:
        return MR_STORAGE_ERROR;
    }
}

static bool
local_failed(const char *what, const char *path, struct err *e)
{
    int number = errno;
    return err_set(e, local_code(number), "%s %s: %s", what, path, strerrordesc_np(number));
}

bool
storage_local_path(const char *location, const char **path)
{
    static const char *const prefixes[] = {"file://", "local://", "file:"};
    *path = location;
    for (size_t i = 0; i < ARRAY_LEN(prefixes) && *path == location; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(location, prefixes[i], n) == 0 && location[n] == '/')
            *path = location + n;
    }
    return **path == '/';
}

static bool
local_path(const char *location, const char **path, struct err *e)
{
    return storage_local_path(location, path) ||
           err_set(e, MR_LAKE_UNSUPPORTED, "%s: not a location of local files", location);
}

static char *
local_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return mem_strn(bytes_of(path, slash == path ? 1 : (size_t)(slash - path)));
}

static bool
local_sync_folder(const char *path, struct err *e)
{
    char *folder = local_folder(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        local_failed("sync", folder, e);
    if (fd >= 0)
        close(fd);
    free(folder);
    return ok;
}

/* The folder of path and its parents, durable. Readers may be other users: 0755. */
static bool
local_make_folder(const char *path, struct err *e)
{
    char *folder = local_folder(path);
    bool ok = file_exists(folder);
    if (!ok && (ok = local_make_folder(folder, e))) {
        bool made = mkdir(folder, 0755) == 0;
        ok = made ? local_sync_folder(folder, e)
                  : errno == EEXIST || local_failed("make folder", folder, e);
    }
    free(folder);
    return ok;
}

static void
local_writer_free(struct local_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    free(w->path);
    free(w->temporary);
    free(w);
}

static bool
local_create(struct storage *s, const char *location, struct storage_writer **out,
             struct err *e)
{
    const char *path;
    if (!local_path(location, &path, e) || !local_make_folder(path, e))
        return false;
    struct local_writer *w = mem_zalloc(sizeof(*w));
    w->base.ops = s->ops;
    w->path = mem_strdup(path);
    w->temporary = mem_printf("%s.XXXXXX", path);
    w->fd = mkostemp(w->temporary, O_CLOEXEC);
    if (w->fd < 0) {
        local_failed("create", w->temporary, e);
        local_writer_free(w);
        return false;
    }
    *out = &w->base;
    return true;
}

static bool
local_write(struct storage_writer *base, struct bytes b, struct err *e)
{
    struct local_writer *w = (struct local_writer *)base;
    while (b.n) {
        ssize_t n = write(w->fd, b.p, b.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return local_failed("write", w->temporary, e);
        b = bytes_of(b.p + n, b.n - (size_t)n);
    }
    return true;
}

static bool
local_place(struct local_writer *w, struct err *e)
{
    FAULT("lake.storage.before_sync");
    if (fchmod(w->fd, 0644) != 0 || fsync(w->fd) != 0)
        return local_failed("sync", w->temporary, e);
    FAULT("lake.storage.before_link");
    if (link(w->temporary, w->path) != 0)
        return local_failed("create", w->path, e);
    FAULT("lake.storage.after_link");
    return true;
}

static void
local_abandon(struct storage_writer *base)
{
    struct local_writer *w = (struct local_writer *)base;
    unlink(w->temporary);
    local_writer_free(w);
}

static bool
local_finish(struct storage_writer *base, struct err *e)
{
    struct local_writer *w = (struct local_writer *)base;
    bool ok = local_place(w, e);
    unlink(w->temporary);
    ok = ok && local_sync_folder(w->path, e);
    local_writer_free(w);
    return ok;
}

static bool
local_read_range(int fd, const char *path, uint64_t offset, size_t n, struct buf *out,
                 struct err *e)
{
    size_t before = out->n;
    while (n) {
        uint8_t *at = buf_reserve(out, n);
        if (!at)
            return err_set(e, MR_NO_MEMORY, "read %s: its buffer is full", path);
        ssize_t got = pread(fd, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            out->n = before;
            return got < 0 ? local_failed("read", path, e)
                           : err_set(e, MR_STORAGE_ERROR, "read %s: it ends at byte %llu", path,
                                     (unsigned long long)offset);
        }
        out->n += (size_t)got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static bool
local_read(struct storage *s, const char *location, uint64_t offset, size_t n, struct buf *out,
           struct err *e)
{
    (void)s;
    const char *path;
    if (!local_path(location, &path, e))
        return false;
    if (offset > INT64_MAX - n)
        return err_set(e, MR_STORAGE_ERROR, "read %s: no such range", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return local_failed("open", path, e);
    bool ok = local_read_range(fd, path, offset, n, out, e);
    close(fd);
    return ok;
}

static bool
local_size(struct storage *s, const char *location, uint64_t *size, struct err *e)
{
    (void)s;
    const char *path;
    struct stat st;
    if (!local_path(location, &path, e))
        return false;
    if (stat(path, &st) != 0)
        return local_failed("look at", path, e);
    *size = (uint64_t)st.st_size;
    return true;
}

static bool
local_remove(struct storage *s, const char *location, struct err *e)
{
    (void)s;
    const char *path;
    if (!local_path(location, &path, e))
        return false;
    return unlink(path) == 0 || errno == ENOENT || local_failed("remove", path, e);
}

struct local_walk {
    storage_entry_fn *each;
    void *ctx;
};

static bool
local_walk(const struct local_walk *walk, const char *location, unsigned depth, struct err *e);

static bool
local_visit(const struct local_walk *walk, const char *location, unsigned depth, struct err *e)
{
    const char *path;
    struct stat st;
    if (!local_path(location, &path, e))
        return false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || local_failed("look at", path, e);
    if (S_ISDIR(st.st_mode))
        return local_walk(walk, location, depth + 1, e);
    struct storage_entry entry = {location, (uint64_t)st.st_size,
                                  (uint64_t)st.st_mtim.tv_sec * 1000 +
                                      (uint64_t)st.st_mtim.tv_nsec / 1000000};
    return !S_ISREG(st.st_mode) || walk->each(walk->ctx, &entry, e);
}

static bool
local_walk(const struct local_walk *walk, const char *location, unsigned depth, struct err *e)
{
    const char *path;
    if (!local_path(location, &path, e))
        return false;
    if (depth > LOCAL_DEPTH_MAX)
        return err_set(e, MR_STORAGE_ERROR, "list %s: folders too deep", path);
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT || local_failed("list", path, e);
    bool ok = true;
    for (struct dirent *d; ok && (d = readdir(dir)) != NULL;) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        char *inner = mem_printf("%s/%s", location, d->d_name);
        ok = local_visit(walk, inner, depth, e);
        free(inner);
    }
    closedir(dir);
    return ok;
}

static bool
local_list(struct storage *s, const char *prefix, storage_entry_fn *each, void *ctx,
           struct err *e)
{
    (void)s;
    return local_walk(&(struct local_walk){each, ctx}, prefix, 0, e);
}

/* Remnants are files beside theirs: storage_list sees them. */
static bool
local_sweep(struct storage *s, const char *folder, const char *names, uint64_t older_than_ms,
            struct err *e)
{
    (void)s, (void)folder, (void)names, (void)older_than_ms, (void)e;
    return true;
}

static bool
local_check(struct storage *s, const char *folder, struct err *e)
{
    (void)s;
    const char *path;
    if (!local_path(folder, &path, e))
        return false;
    return (access(path, F_OK) == 0 && access(path, R_OK | W_OK | X_OK) == 0) ||
           local_failed("use folder", path, e);
}

static bool
local_renew(struct storage *s, const struct storage_options *o, struct err *e)
{
    (void)s, (void)o, (void)e;
    return true;
}

static void
local_close(struct storage *s)
{
    free(s);
}

static const struct storage_ops local_ops = {
    .create = local_create,
    .write = local_write,
    .finish = local_finish,
    .abandon = local_abandon,
    .read = local_read,
    .size = local_size,
    .remove = local_remove,
    .list = local_list,
    .sweep = local_sweep,
    .check = local_check,
    .renew = local_renew,
    .close = local_close,
};

bool
storage_local_open(struct storage **out, struct err *e)
{
    (void)e;
    struct storage *s = mem_zalloc(sizeof(*s));
    s->ops = &local_ops;
    *out = s;
    return true;
}
