/* Catalogs: what is the same for all kinds. */
#include "lake/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
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

/* Removes what the base's metadata log has and the new one's has not. */
static void
forget_previous(struct catalog *c, const struct metadata *base, const struct catalog_table *now)
{
    const char *asked =
        metadata_property(now->metadata, "write.metadata.delete-after-commit.enabled");
    const struct json *old = json_get(base->doc, "metadata-log");
    const struct json *log = json_get(now->metadata->doc, "metadata-log");
    const char *first = json_get_str(json_at(log, 0), "metadata-file", NULL);
    struct err ignored;
    if (!asked || strcmp(asked, "true") != 0 || !first)
        return;
    for (size_t i = 0; i < json_len(old); i++) {
        const char *path = json_get_str(json_at(old, i), "metadata-file", first);
        if (strcmp(path, first) == 0)
            return;
        FAULT("lake.metadata.forget");
        (void)!storage_remove(c->storage, path, &ignored);
    }
}

bool
catalog_commit(struct catalog *c, const struct catalog_name *name,
               const struct catalog_table *base, const struct catalog_commit *commit,
               struct catalog_table *out, struct err *e)
{
    *out = (struct catalog_table){0};
    if (!c->ops->commit(c, name, base, commit, out, e))
        return false;
    if (c->ops->keeps_metadata)
        forget_previous(c, base->metadata, out);
    return true;
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

#define OWN_UUID \
    "6d696c6c-7261-8" /* "millra"; version 8 is for a use of one's own (RFC 9562) */

static void
own_uuid(char out[37])
{
    uint64_t a = random_u64(), b = random_u64();
    snprintf(out, 37, OWN_UUID "%03x-%04x-%012llx", (unsigned)(a & 0xfff),
             0x8000u | (unsigned)(a >> 12 & 0x3fff), (unsigned long long)(b >> 16));
}

bool
catalog_is_own_metadata(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    return digits && name[digits] == '-' &&
           strncmp(name + digits + 1, OWN_UUID, strlen(OWN_UUID)) == 0;
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
    own_uuid(uuid);
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
