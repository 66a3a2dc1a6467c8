/* What the Iceberg catalog, its files and its tables say about a new task. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/create.h"
#include "lake/table.h"
#include "task/checkpoint.h"
#include "task/secret.h"

static bool
check_folder(const char *what, const char *path, struct err *e)
{
    if (access(path, F_OK) != 0)
        err_set(e, MR_STORAGE_MISSING, "--sink-uri: %s %s: %s", what, path, strerror(errno));
    else if (access(path, R_OK | W_OK | X_OK) != 0)
        err_set(e, MR_STORAGE_REFUSED, "--sink-uri: %s %s: %s", what, path, strerror(errno));
    else
        return true;
    return err_reclass(e, ERR_TASK);
}

static bool
check_warehouse(const struct uri *u, const char *warehouse, struct err *e)
{
    struct storage *s = NULL;
    struct storage_options o;
    bool ok = storage_options_of_uri(u, &o, e) && storage_open(warehouse, &o, &s, e) &&
              storage_check(s, warehouse, e);
    storage_close(s);
    return ok || err_wrap(e, "--sink-uri: the warehouse");
}

/* A catalog that is a file of its own. */
static bool
is_local_catalog(const struct uri *u)
{
    return strcmp(u->scheme, "iceberg+sql") == 0 && u->host[0] == '\0';
}

static bool
check_catalog_file(const struct uri *u, struct err *e)
{
    if (u->path[0] != '/' || u->path[1] == '\0')
        return err_set(
            e, MR_BAD_URI,
            "--sink-uri: iceberg+sql:///ABSOLUTE/catalog.db?warehouse=URI is needed");
    char *copy = mem_strdup(u->path);
    bool ok = check_folder("the catalog's folder", dirname(copy), e);
    free(copy);
    if (ok && access(u->path, F_OK) == 0 && access(u->path, R_OK | W_OK) != 0)
        ok = err_set(e, MR_CATALOG_REFUSED, "--sink-uri: %s: %s", u->path, strerror(errno));
    return ok;
}

/* The folders must be there: one that is made by a slip of the pen is no lake. A REST catalog
 * may know itself where tables lie, and call that what it likes. */
static bool
check_places(const struct uri *u, struct err *e)
{
    const char *warehouse = uri_param(u, "warehouse", ""), *path;
    bool rest = strcmp(u->scheme, "iceberg+rest") == 0;
    if (!rest && *warehouse == '\0')
        return err_set(e, MR_BAD_URI, "--sink-uri: the option warehouse=URI is missing");
    if (is_local_catalog(u) && !check_catalog_file(u, e))
        return false;
    return (rest && !storage_local_path(warehouse, &path)) || check_warehouse(u, warehouse, e);
}

static const char *
space_of(const struct uri *u, const struct discover_table *t)
{
    const char *space = uri_param(u, "namespace", "");
    return *space != '\0' ? space : t->to_db;
}

/* With one namespace for all, two databases may have tables of one name. */
static bool
check_names(const struct uri *u, const struct discover *found, struct err *e)
{
    for (size_t i = 0; i < found->tables_len; i++) {
        const struct discover_table *a = &found->tables[i];
        for (size_t j = 0; j < i; j++) {
            const struct discover_table *b = &found->tables[j];
            if (strcmp(a->to_table, b->to_table) == 0 &&
                strcmp(space_of(u, a), space_of(u, b)) == 0)
                return err_set(e, MR_USAGE, "%s.%s and %s.%s would both become %s.%s", b->db,
                               b->table, a->db, a->table, space_of(u, a), a->to_table);
        }
    }
    return true;
}

static bool
check_table(struct catalog *c, const struct uri *u, const struct discover_table *t,
            struct err *e)
{
    struct catalog_table have;
    const struct catalog_name name = {space_of(u, t), t->to_table};
    if (!catalog_load(c, &name, &have, e)) {
        if (e->code != MR_CATALOG_MISSING)
            return err_wrap(e, "%s.%s", name.space, name.table);
        err_clear(e);
        return true;
    }
    const char *task = metadata_property(have.metadata, CHECKPOINT_LAKE_TASK);
    bool ok =
        metadata_writable(have.metadata, e) || err_wrap(e, "%s.%s", name.space, name.table);
    if (ok && task)
        ok = err_set(e, MR_LAKE_FOREIGN, "%s.%s belongs to task %s", name.space, name.table,
                     task);
    catalog_table_free(&have);
    return ok;
}

static bool
check_catalog(const struct command *c, const struct uri *u, const struct discover *found,
              struct err *e)
{
    struct catalog *catalog = NULL;
    if (command_has(c, "dry-run") && is_local_catalog(u) && access(u->path, F_OK) != 0)
        return true; /* it would be made */
    bool ok = catalog_open(u, &catalog, e);
    for (size_t i = 0; ok && i < found->tables_len; i++)
        ok = !found->tables[i].has_key || check_table(catalog, u, &found->tables[i], e);
    catalog_close(catalog);
    return ok;
}

bool
create_check_lake(const struct command *c, const struct task *t, const struct discover *found,
                  struct err *e)
{
    struct uri u;
    if (!secret_open_endpoint(c->config, t, &t->sink, &u, e))
        return false;
    bool ok = check_places(&u, e) && check_names(&u, found, e) &&
              (check_catalog(c, &u, found, e) || err_wrap(e, "target"));
    uri_free(&u);
    if (!ok && e->class != ERR_USAGE)
        return err_reclass(e, ERR_TASK);
    return ok;
}
