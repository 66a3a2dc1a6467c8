/* A storage of storages: the longest prefix of a location decides which one holds the file. For
 * catalogs that give every table credentials of its own. A file that no prefix covers is
 * MR_STORAGE_REFUSED. Owner and thread: as every storage's (lake/storage.h).
 */
#ifndef MILLRACE_LAKE_STORAGE_ROUTES_H
#define MILLRACE_LAKE_STORAGE_ROUTES_H

#include "lake/storage.h"

struct storage *
storage_routes_new(void);
/* Files below the prefix are reached with these options from now on. Writers and files of a
 * known prefix stay; its credentials are renewed. */
MUST bool
storage_routes_put(struct storage *routes, const char *prefix, const struct storage_options *o,
                   struct err *e);
bool
storage_routes_cover(const struct storage *routes, const char *location);

#endif
