/* Deletes of rows that are known by their content only (schema/table_rows.h).
 *
 * A content may have more rows than are to go. So the rows of each content are counted, in the
 * index of TABLE_ROW_COLUMN and the transaction that deletes them: where all of them go, many
 * contents go in one statement; where some stay, DELETE ... LIMIT takes as many as go,
 * whichever: they are equal. Fewer than are to go is MR_TARGET_MULTISET: somebody else deleted
 * them. Failpoints: apply.statement.before, apply.statement.after. Thread: the lane's.
 */
#include <inttypes.h>

#include "apply/mysql/target.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/map.h"
#include "schema/table_rows.h"

struct content {
    struct bytes key;
    uint64_t gone;  /* rows to go */
    uint64_t there; /* rows the target has */
};

static struct bytes
key_of(const struct sink_part *p, size_t row)
{
    return cell_bytes(&p->rows[row][p->version->key[0]]);
}

static void
add_hex(struct bytes key, struct buf *out)
{
    char hex[2 * TABLE_ROW_BYTES + 1];
    hex_encode(bytes_of(key.p, key.n < TABLE_ROW_BYTES ? key.n : TABLE_ROW_BYTES), hex);
    buf_addf(out, "x'%s'", hex);
}

static void
add_keys(const struct content *list, size_t n, bool whole_only, struct buf *out)
{
    bool first = true;
    buf_add_str(out, " WHERE " TABLE_ROW_COLUMN " IN (");
    for (size_t i = 0; i < n; i++) {
        if (whole_only && list[i].there != list[i].gone)
            continue;
        if (!first)
            buf_add_byte(out, ',');
        add_hex(list[i].key, out);
        first = false;
    }
    buf_add_byte(out, ')');
}

struct counting {
    struct map by_key; /* -> struct content */
};

static bool
each_count(void *ctx, const struct bytes *cells, unsigned columns, struct err *e)
{
    struct counting *c = ctx;
    struct map_slot *m = columns == 2 ? map_get(&c->by_key, cells[0]) : NULL;
    if (!m)
        return err_set(e, MR_TARGET_MULTISET, "a content was counted that was not asked for");
    return target_cell_u64(cells[1], &((struct content *)m->v.ptr)->there, e);
}

/* How many rows the target has of each. */
MUST static bool
count(struct sink_lane *l, const struct sink_part *p, struct content *list, size_t n,
      struct err *e)
{
    struct counting c = {0};
    for (size_t i = 0; i < n; i++) {
        bool fresh;
        map_put(&c.by_key, list[i].key, &fresh)->v.ptr = list + i;
    }
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "SELECT " TABLE_ROW_COLUMN ", COUNT(*) FROM ");
    mysql_quote_table(bytes_str(p->db), bytes_str(p->table), &l->sql);
    add_keys(list, n, false, &l->sql);
    buf_add_str(&l->sql, " GROUP BY " TABLE_ROW_COLUMN);
    bool ok = mysql_conn_each(l->conn, buf_bytes(&l->sql), each_count, &c, e);
    map_free(&c.by_key);
    return ok;
}

static void
begin_delete(struct sink_lane *l, const struct sink_part *p)
{
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "DELETE FROM ");
    mysql_quote_table(bytes_str(p->db), bytes_str(p->table), &l->sql);
}

MUST static bool
run_delete(struct sink_lane *l, uint64_t rows, struct err *e)
{
    struct mysql_done done;
    FAULT("apply.statement.before");
    if (!session_exec(l, &done, e))
        return false;
    FAULT("apply.statement.after");
    return done.affected == rows ||
           err_set(e, MR_TARGET_MULTISET, "%" PRIu64 " rows deleted instead of %" PRIu64,
                   done.affected, rows);
}

/* Contents whose rows all go, at once; then the others, each by itself. */
MUST static bool
delete_contents(struct sink_lane *l, const struct sink_part *p, struct content *list, size_t n,
                struct err *e)
{
    uint64_t whole = 0;
    if (!count(l, p, list, n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (list[i].there < list[i].gone)
            return err_set(e, MR_TARGET_MULTISET,
                           "%" PRIu64 " equal rows were deleted at the source, the target has "
                           "%" PRIu64,
                           list[i].gone, list[i].there);
        whole += list[i].there == list[i].gone ? list[i].gone : 0;
    }
    begin_delete(l, p);
    add_keys(list, n, true, &l->sql);
    if (whole && !run_delete(l, whole, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (list[i].there == list[i].gone)
            continue;
        begin_delete(l, p);
        add_keys(list + i, 1, false, &l->sql);
        buf_addf(&l->sql, " LIMIT %" PRIu64, list[i].gone);
        if (!run_delete(l, list[i].gone, e))
            return false;
    }
    return true;
}

bool
multiset_delete(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    struct content list[TARGET_ROWS_PER_STATEMENT];
    size_t n = 0, room = l->sink->statement_max / (2 * TABLE_ROW_BYTES + 8);
    size_t max = room < ARRAY_LEN(list) ? room : ARRAY_LEN(list);
    for (size_t i = 0; i < p->n; i++) {
        struct bytes key = key_of(p, i);
        if (n && bytes_eq(list[n - 1].key, key)) {
            list[n - 1].gone++;
            continue;
        }
        if (n == max) {
            if (!delete_contents(l, p, list, n, e))
                return false;
            n = 0;
        }
        list[n++] = (struct content){key, 1, 0};
    }
    return !n || delete_contents(l, p, list, n, e);
}
