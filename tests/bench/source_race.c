/* source_race: are a source's marks visibility-exact? A tool of the real-server tests.
 *
 *   source_race URI DB TABLE READS
 * Somebody else keeps incrementing column 1 of the table's only row (column 0: its key), one
 * transaction each. We take mark L, read the row by a chunk, take mark H, READS times; then
 * stream the same time and learn which transaction set which value. Stale: the read value is
 * older than a transaction inside L. Early: the transaction that set the read value is outside
 * H.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "capture/source.h"

struct read {
    struct position low, high;
    int64_t value;
};

struct set {
    char id[TXN_ID_MAX];
    char file[256]; /* of its rows */
    uint64_t pos;
    int64_t value;
};

struct race {
    struct arena arena;
    const char *database, *table;
    struct table *version;
    struct set *sets;
    size_t len, cap;
    char id[TXN_ID_MAX];
};

static const struct source_ops *ops = &source_mysql;

static void
die(const struct err *e)
{
    fprintf(stderr, "MR%d: %s\n", (int)e->code, e->text);
    exit(1);
}

static bool
on_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)e;
    struct race *r = ctx;
    memcpy(r->id, txn->id.p, txn->id.n);
    r->id[txn->id.n] = 0;
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)e;
    struct race *r = ctx;
    bool wanted = bytes_eq(name->database, bytes_str(r->database)) &&
                  bytes_eq(name->table, bytes_str(r->table));
    *out = (struct source_known){.wanted = wanted, .table = r->version};
    return true;
}

static bool
on_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)user;
    (void)e;
    ((struct race *)ctx)->version = t;
    return true;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)e;
    struct race *r = ctx;
    if (r->len == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 4096;
        r->sets = mem_realloc(r->sets, r->cap * sizeof(*r->sets));
    }
    struct set *s = &r->sets[r->len++];
    snprintf(s->id, sizeof(s->id), "%s", r->id);
    snprintf(s->file, sizeof(s->file), "%.*s", (int)rows->source.file.n,
             (const char *)rows->source.file.p);
    s->pos = rows->source.pos;
    s->value = rows->after[1].v.i;
    return true;
}

static void
collect(struct source *s, struct race *r, const struct position *from,
        const struct position *until)
{
    struct err e;
    struct source_stream *st;
    struct source_decoder *d;
    struct source_packet p;
    struct source_sink sink;
    source_sink_quiet(&sink, r, &r->arena);
    sink.txn_begin = on_begin;
    sink.table = on_table;
    sink.table_version = on_version;
    sink.rows = on_rows;
    if (!ops->decoder_new(s, from, &sink, &d, &e) || !ops->stream_open(s, from, &st, &e))
        die(&e);
    while (!position_covers(ops->decoder_position(d), until)) {
        if (!ops->stream_read(st, &p, &e) || !ops->decode(d, p.data, &e))
            die(&e);
        arena_reset(&r->arena);
    }
    ops->stream_close(st);
    ops->decoder_free(d);
}

static bool
covers(const struct position *mark, const struct set *s)
{
    if (mark->gtid)
        return ops->mark_covers_txn(mark, bytes_str(s->id));
    return position_compare_file(s->file, s->pos, mark->file, mark->pos) < 0;
}

/* How many of the first transactions are inside the mark. */
static size_t
inside(const struct race *r, const struct position *mark)
{
    size_t low = 0, high = r->len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (covers(mark, &r->sets[mid]))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void
read_all(struct source *s, struct race *r, struct read *reads, size_t n)
{
    struct err e;
    struct source_name name = {bytes_str(r->database), bytes_str(r->table)};
    struct source_definition d;
    struct source_loader *l;
    struct source_chunk c;
    struct arena a;
    if (!ops->describe(s, NULL, &name, &d, &e) || !ops->loader_open(s, &l, &e))
        die(&e);
    arena_init(&a, 0);
    for (size_t i = 0; i < n; i++) {
        struct source_chunk_request q = {
            .table = d.table, .rows_max = 10, .bytes_max = 65536, .arena = &a};
        if (!ops->mark(l, SOURCE_MARK_LOW, &reads[i].low, &e) || !ops->chunk(l, &q, &c, &e) ||
            !ops->mark(l, SOURCE_MARK_HIGH, &reads[i].high, &e))
            die(&e);
        reads[i].value = c.rows[1].v.i;
        arena_reset(&a);
    }
    ops->loader_close(l);
    table_unref(d.table);
    arena_free(&a);
}

static int
judge(const struct race *r, const struct read *reads, size_t n)
{
    size_t stale = 0, early = 0, unknown = 0;
    for (size_t i = 0; i < n; i++) {
        size_t low = inside(r, &reads[i].low), high = inside(r, &reads[i].high);
        stale += low > 0 && r->sets[low - 1].value > reads[i].value;
        early += high < r->len && r->sets[high].value <= reads[i].value;
        unknown += low == 0 && high == 0;
    }
    printf("reads=%zu transactions=%zu stale=%zu early=%zu before_all=%zu\n", n, r->len, stale,
           early, unknown);
    return stale || early;
}

int
main(int argc, char **argv)
{
    struct err e;
    struct uri uri;
    struct source *s;
    struct position from, until;
    uint64_t n;
    if (argc != 5 || !text_u64(argv[4], &n) || !uri_parse(argv[1], &uri, &e))
        return 2;
    struct source_conf conf = {.uri = &uri, .task = "race"};
    struct race r = {.database = argv[2], .table = argv[3]};
    arena_init(&r.arena, 0);
    if (!ops->open(&conf, &s, &e) || !ops->position_now(s, &from, &e))
        die(&e);
    struct read *reads = mem_array(n, sizeof(*reads));
    read_all(s, &r, reads, n);
    if (!ops->position_now(s, &until, &e))
        die(&e);
    collect(s, &r, &from, &until);
    return judge(&r, reads, n);
}
