/* The server's collations by id: see charset.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "capture/mysql/charset.h"

#define COLLATION_ID_MAX 8191 /* MariaDB 11.8 ends at 3271 */

/* MariaDB 10.10 and later name a collation per character set in the applicability table only.
 */
static const char applicability_query[] =
    "SELECT a.id, a.full_collation_name, a.character_set_name, s.maxlen "
    "FROM information_schema.collation_character_set_applicability a "
    "JOIN information_schema.character_sets s ON s.character_set_name = a.character_set_name";
static const char collations_query[] =
    "SELECT c.id, c.collation_name, c.character_set_name, s.maxlen FROM "
    "information_schema.collations c "
    "JOIN information_schema.character_sets s ON s.character_set_name = c.character_set_name";

static void
add_collation(struct collations *out, const struct bytes *cells)
{
    uint64_t id, bytes;
    if (!cells[0].p || !text_u64((const char *)cells[0].p, &id) || id == 0 ||
        id > COLLATION_ID_MAX)
        return;
    if (!cells[3].p || !text_u64((const char *)cells[3].p, &bytes))
        bytes = 1;
    out->by_id[id] = (struct collation){
        .id = (uint16_t)id,
        .name = arena_strn(&out->arena, cells[1]),
        .charset = arena_strn(&out->arena, cells[2]),
        .char_bytes_max = (uint8_t)bytes,
    };
}

bool
collations_load(struct mysql_conn *c, struct collations *out, struct err *e)
{
    struct mysql_rows rows;
    const struct mysql_server *server = mysql_conn_server(c);
    bool maria = server->flavor == MYSQL_FLAVOR_MARIADB && server->version >= 101000;
    const char *sql = maria ? applicability_query : collations_query;
    *out = (struct collations){.len = COLLATION_ID_MAX + 1};
    arena_init(&out->arena, 0);
    out->by_id = mem_array(out->len, sizeof(*out->by_id));
    struct arena rows_arena;
    arena_init(&rows_arena, 0);
    bool ok = mysql_conn_select(c, bytes_str(sql), &rows_arena, &rows, e);
    for (size_t i = 0; ok && i < rows.rows; i++)
        add_collation(out, &rows.cells[i * rows.columns]);
    arena_free(&rows_arena);
    if (!ok)
        collations_free(out);
    return ok;
}

void
collations_free(struct collations *c)
{
    arena_free(&c->arena);
    free(c->by_id);
    c->by_id = NULL;
    c->len = 0;
}

const struct collation *
collations_get(const struct collations *c, unsigned id)
{
    return id < c->len && c->by_id[id].name ? &c->by_id[id] : NULL;
}

unsigned
collations_char_bytes(const struct collations *c, const char *charset)
{
    for (size_t i = 0; i < c->len; i++)
        if (c->by_id[i].name && strcmp(c->by_id[i].charset, charset) == 0)
            return c->by_id[i].char_bytes_max;
    return 1;
}
