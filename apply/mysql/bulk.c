/* First loads: LOAD DATA LOCAL INFILE from memory.
 *
 * Text: schema/tsv.h.
 *
 * LOCAL makes the server skip a row whose key is there, and turns every other error of a row
 * into a warning. A skipped key is right: SINK_LOAD says that the row there is the same. So the
 * statement counts as done only when each warning is a skipped row of the row's own key;
 * anything else (another unique key, a truncated value) is an error, the caller rolls back and
 * writes the batch with INSERT, whose error names the row.
 *
 * Memory: the text of one part. Failpoints: apply.load.before, apply.load.after. Thread: the
 * lane's.
 */
#include "apply/mysql/target.h"

#include <inttypes.h>

#include "base/fault.h"
#include "base/log.h"
#include "schema/tsv.h"

#define WARNINGS_MAX 65535 /* max_error_count of the session */

struct warnings {
    uint64_t own_key; /* rows skipped because their own key is there */
    char other[200];  /* the first other warning, "" none */
};

static bool
ends_with(struct bytes text, const char *end)
{
    size_t n = strlen(end);
    return text.n >= n && !memcmp(text.p + text.n - n, end, n);
}

/* Level, Code, Message. "Duplicate entry '1' for key 't.PRIMARY'" (MySQL), "'PRIMARY'"
 * (MariaDB). */
static bool
each_warning(void *ctx, const struct bytes *cells, unsigned columns, struct err *e)
{
    struct warnings *w = ctx;
    (void)e;
    if (columns < 3)
        return true;
    if (bytes_eq(cells[1], BYTES_LIT("1062")) &&
        (ends_with(cells[2], ".PRIMARY'") || ends_with(cells[2], "'PRIMARY'")))
        w->own_key++;
    else if (!w->other[0]) {
        /* the message may quote a value: keep the number only */
        size_t n = cells[1].n < 16 ? cells[1].n : 16;
        memcpy(w->other, cells[1].p, n);
        w->other[n] = 0;
    }
    return true;
}

MUST static bool
judge(struct sink_lane *l, const struct sink_part *p, const struct mysql_done *done,
      struct err *e)
{
    uint64_t skipped = p->n - done->affected;
    if (!done->warnings && !skipped)
        return true;
    if (done->warnings != skipped || skipped > WARNINGS_MAX)
        return err_set(e, MR_TARGET_ROW,
                       "LOAD DATA: %u warnings, %" PRIu64 " of %zu rows skipped",
                       done->warnings, skipped, p->n);
    struct warnings w = {0};
    if (!mysql_conn_each(l->conn, BYTES_LIT("SHOW WARNINGS"), each_warning, &w, e))
        return false;
    if (w.own_key != skipped)
        return err_set(e, MR_TARGET_DUPLICATE,
                       "LOAD DATA: %" PRIu64 " rows skipped, %" PRIu64
                       " by the row's own key; first other warning %s",
                       skipped, w.own_key, w.other[0] ? w.other : "unknown");
    log_debug("load_rows_there", F_STR("table", p->table), F_U64("rows", skipped));
    return true;
}

bool
bulk_write(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    buf_reset(&l->data);
    for (size_t i = 0; i < p->n; i++)
        if (!tsv_row(p->version, p->rows[i], &l->data, e))
            return false;
    if (l->data.failed)
        return err_set(e, MR_NO_MEMORY, "a load of %zu rows", p->n);
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "LOAD DATA LOCAL INFILE 'millrace' INTO TABLE ");
    mysql_quote_table(bytes_str(p->db), bytes_str(p->table), &l->sql);
    buf_add_str(&l->sql, " CHARACTER SET utf8mb4 ");
    tsv_columns(p->version, &l->sql);
    struct mysql_done done;
    FAULT("apply.load.before");
    if (!mysql_conn_load(l->conn, buf_bytes(&l->sql), buf_bytes(&l->data), &done, e))
        return false;
    FAULT("apply.load.after");
    return judge(l, p, &done, e);
}
