/* A loader's connection: marks and estimates. See capture/source.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/thread.h"
#include "capture/mysql/source_private.h"

#define LOCK_WAIT_S    5 /* a chunk that waits longer for a writer is tried again */
#define READ_TIMEOUT_S 300

bool
loader_open(struct source *s, struct source_loader **out, struct err *e)
{
    struct source_loader *l = mem_zalloc(sizeof(*l));
    l->source = s;
    thread_lock_init(&l->snapshot_lock);
    if (!server_connect(s, READ_TIMEOUT_S, &l->conn, e) ||
        !mysql_conn_execf(l->conn, e, "SET SESSION innodb_lock_wait_timeout = %d",
                          LOCK_WAIT_S)) {
        loader_close(l);
        return false;
    }
    *out = l;
    return true;
}

void
loader_stop(struct source_loader *l)
{
    mysql_conn_interrupt(l->conn);
    snapshot_stop(l);
}

void
loader_close(struct source_loader *l)
{
    if (!l)
        return;
    snapshot_close(l);
    pthread_mutex_destroy(&l->snapshot_lock);
    chunk_reader_free(l->chunks);
    mysql_conn_close(l->conn);
    free(l);
}

bool
loader_mark(struct source_loader *l, enum source_mark kind, struct position *out, struct err *e)
{
    return place_mark(l->source, l->conn, kind, out, e);
}

static uint64_t
number(struct bytes v)
{
    uint64_t n;
    return v.p && text_u64((const char *)v.p, &n) ? n : 0;
}

bool
loader_estimate(struct source_loader *l, const struct table *t, struct source_estimate *out,
                struct err *e)
{
    struct arena a;
    struct mysql_rows rows;
    struct buf sql = {0};
    arena_init(&a, 1024);
    buf_add_str(
        &sql,
        "SELECT table_rows, data_length FROM information_schema.tables WHERE table_schema = ");
    mysql_quote_text(bytes_str(t->database), &sql);
    buf_add_str(&sql, " AND table_name = ");
    mysql_quote_text(bytes_str(t->name), &sql);
    *out = (struct source_estimate){0};
    bool ok = mysql_conn_select(l->conn, buf_bytes(&sql), &a, &rows, e);
    if (ok && rows.rows)
        *out = (struct source_estimate){number(rows.cells[0]), number(rows.cells[1])};
    buf_free(&sql);
    arena_free(&a);
    return ok;
}
