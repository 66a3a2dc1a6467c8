/* Catalogs: what is the same for all kinds. */
#include "lake/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

bool
catalog_open(const struct uri *u, struct catalog **out, struct err *e)
{
    if (strcmp(u->scheme, "iceberg+sql") == 0)
        return catalog_sql_open(u, out, e);
    if (strcmp(u->scheme, "iceberg+rest") == 0)
        return catalog_rest_open(u, out, e);
    return err_set(e, MR_BAD_URI, "%s: no such kind of Iceberg catalog", u->scheme);
}

void
catalog_close(struct catalog *c)
{
    if (c)
        c->ops->close(c);
}

bool
catalog_make_namespace(struct catalog *c, const char *space, struct err *e)
{
    return c->ops->make_namespace(c, space, e);
}

bool
catalog_load(struct catalog *c, const struct catalog_name *name, struct catalog_table *out,
             struct err *e)
{
    *out = (struct catalog_table){0};
    return c->ops->load(c, name, out, e);
}

bool
catalog_create(struct catalog *c, const struct catalog_name *name, const struct metadata *m,
               struct catalog_table *out, struct err *e)
{
    *out = (struct catalog_table){0};
    return c->ops->create(c, name, m, out, e);
}

bool
catalog_commit(struct catalog *c, const struct catalog_name *name,
               const struct catalog_table *base, const struct catalog_commit *commit,
               struct catalog_table *out, struct err *e)
{
    *out = (struct catalog_table){0};
    return c->ops->commit(c, name, base, commit, out, e);
}

bool
catalog_drop(struct catalog *c, const struct catalog_name *name, struct err *e)
{
    return c->ops->drop(c, name, e);
}

void
catalog_table_free(struct catalog_table *t)
{
    metadata_free(t->metadata);
    free(t->location);
    *t = (struct catalog_table){0};
}

/* A name as part of a path: what could separate or hide is percent-encoded. */
static void
add_part(struct buf *out, const char *name)
{
    buf_add_byte(out, '/');
    uri_encode(bytes_str(name), " ", out);
}

char *
catalog_table_location(const struct catalog *c, const struct catalog_name *name)
{
    struct buf b = {0};
    buf_add_str(&b, c->warehouse);
    add_part(&b, name->space);
    add_part(&b, name->table);
    char *location = mem_strn(buf_bytes(&b));
    buf_free(&b);
    return location;
}

/* One more than the number that the previous file's name begins with. */
static unsigned long
next_number(const char *previous)
{
    const char *name = previous ? strrchr(previous, '/') : NULL;
    if (!previous)
        return 0;
    name = name ? name + 1 : previous;
    return isdigit((unsigned char)*name) ? strtoul(name, NULL, 10) % 1000000000 + 1 : 1;
}

bool
catalog_write_metadata(struct catalog *c, const struct metadata *m, const char *previous,
                       char **location, struct err *e)
{
    char uuid[37];
    struct buf text = {0};
    uuid_v7(uuid);
    char *path = mem_printf("%s/metadata/%05lu-%s.metadata.json", m->location,
                            next_number(previous), uuid);
    metadata_write(m, &text);
    bool ok = !text.failed || err_set(e, MR_NO_MEMORY, "table metadata above its limit");
    ok = ok && storage_put(c->storage, path, buf_bytes(&text), e);
    buf_free(&text);
    if (ok)
        *location = path;
    else
        free(path);
    return ok;
}

bool
catalog_read_metadata(struct catalog *c, const char *location, struct metadata **out,
                      struct err *e)
{
    struct buf text = {0};
    bool ok = storage_read_all(c->storage, location, METADATA_BYTES_MAX, &text, e) &&
              (metadata_parse(buf_bytes(&text), out, e) || err_wrap(e, "%s", location));
    buf_free(&text);
    return ok;
}
