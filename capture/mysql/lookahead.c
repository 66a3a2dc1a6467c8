/* The log ahead: see lookahead.h. */
#include "capture/mysql/lookahead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "capture/mysql/ddl.h"

/* A statement on a table, on a database (no table), or on who knows what (neither). */
struct altered {
    char *database;
    char *table;
    struct log_place last;
};

struct lookahead {
    struct source *source;
    struct log_place at; /* read up to here; file "": nothing was read yet */
    struct altered *names;
    size_t count, cap;
    bool full; /* names were left out */
    /* while a stream is open */
    struct source_stream *stream;
    struct binlog_decoder *decoder;
    struct source_sink sink;
    struct arena arena;
};

/* ---- the sink ---- */

static void
note(struct lookahead *l, struct bytes database, struct bytes table)
{
    struct altered *a = l->names;
    while (a < l->names + l->count && (!bytes_eq(bytes_str(a->database), database) ||
                                       !bytes_eq(bytes_str(a->table), table)))
        a++;
    if (a == l->names + l->count) {
        if (l->count == LOOKAHEAD_NAMES) {
            l->full = true;
            return;
        }
        if (l->count == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 64;
            l->names = mem_realloc(l->names, l->cap * sizeof(*l->names));
        }
        a = &l->names[l->count++];
        *a = (struct altered){.database = mem_strn(database), .table = mem_strn(table)};
    }
    binlog_decoder_place(l->decoder, &a->last);
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)e;
    struct lookahead *l = ctx;
    struct bytes none = bytes_of("", 0);
    if (ddl->kind == SOURCE_DDL_UNCLEAR)
        note(l, none, none);
    for (size_t i = 0; i < ddl->name_count; i++)
        note(l, ddl->names[i].database, ddl->names[i].table);
    return true;
}

/* ---- life ---- */

struct lookahead *
lookahead_new(struct source *s)
{
    struct lookahead *l = mem_zalloc(sizeof(*l));
    l->source = s;
    arena_init(&l->arena, 4096);
    source_sink_quiet(&l->sink, l, &l->arena);
    l->sink.ddl = on_ddl;
    return l;
}

void
lookahead_rest(struct lookahead *l)
{
    stream_close(l->stream);
    binlog_decoder_free(l->decoder);
    l->stream = NULL;
    l->decoder = NULL;
}

void
lookahead_free(struct lookahead *l)
{
    lookahead_rest(l);
    for (size_t i = 0; i < l->count; i++) {
        free(l->names[i].database);
        free(l->names[i].table);
    }
    free(l->names);
    arena_free(&l->arena);
    free(l);
}

/* ---- reading on ---- */

static int
place_compare(const struct log_place *a, const struct log_place *b)
{
    return position_compare_file(a->file, a->pos, b->file, b->pos);
}

MUST static bool
open_stream(struct lookahead *l, struct err *e)
{
    struct binlog_decoder_conf conf = {
        .flavor = l->source->info.flavor,
        .collations = &l->source->collations,
        .verify_checksum = l->source->conf.verify_checksum,
        .scratch = l->source->conf.scratch,
    };
    struct position from;
    if (l->stream)
        return true;
    position_init(&from, l->source->info.kind);
    memcpy(from.file, l->at.file, sizeof(from.file));
    from.pos = l->at.pos;
    l->decoder = binlog_decoder_new(&conf, &from, &l->sink);
    bool ok = stream_open_ahead(l->source, &from, &l->stream, e);
    position_free(&from);
    return ok;
}

MUST static bool
read_to(struct lookahead *l, const struct log_place *upto, bool *late, struct err *e)
{
    uint64_t until = clock_mono_ms() + LOOKAHEAD_MS;
    struct source_packet p;
    *late = false;
    if (!open_stream(l, e))
        return false;
    while (place_compare(&l->at, upto) < 0 && !*late) {
        if (l->source->conf.stop && stop_asked(l->source->conf.stop))
            return err_set(e, MR_SOURCE_LOST, "a stop was asked while the log was read ahead");
        if (!stream_read(l->stream, &p, e) || !binlog_decoder_feed(l->decoder, p.data, e))
            return false;
        const struct position *at = binlog_decoder_position(l->decoder);
        memcpy(l->at.file, at->file, sizeof(l->at.file));
        l->at.pos = at->pos;
        arena_reset(&l->arena);
        *late = clock_mono_ms() > until;
    }
    return true;
}

/* What the stream itself will stop at, or wait for, is no proof. */
MUST static bool
read_on(struct lookahead *l, const struct log_place *upto, struct definition *out,
        struct err *e)
{
    struct log_place begin = l->at;
    uint64_t since = clock_mono_ms();
    bool late;
    if (place_compare(&l->at, upto) >= 0)
        return true;
    bool ok = read_to(l, upto, &late, e);
    log_info("source_log_read_ahead", F_STR("file", begin.file), F_U64("pos", begin.pos),
             F_STR("to_file", l->at.file), F_U64("to_pos", l->at.pos),
             F_U64("ms", clock_mono_ms() - since));
    if (ok && !late)
        return true;
    lookahead_rest(l);
    if (!ok && e->class == ERR_RETRY)
        return false;
    out->proved = false;
    snprintf(out->why, sizeof(out->why), "the log ahead was not read to its end: %.190s",
             ok ? "it is too long" : e->text);
    return true;
}

static const struct altered *
find_later(const struct lookahead *l, const struct source_name *name,
           const struct log_place *from)
{
    for (const struct altered *a = l->names; a < l->names + l->count; a++) {
        struct source_name said = {bytes_str(a->database), bytes_str(a->table)};
        bool unclear = said.database.n == 0;
        if (place_compare(&a->last, from) > 0 &&
            (unclear || ddl_name_means(&said, name, l->source->fold_names)))
            return a;
    }
    return NULL;
}

static bool
refuted(const struct lookahead *l, const struct source_name *name, const struct log_place *from,
        struct definition *out)
{
    const struct altered *a = find_later(l, name, from);
    if (!a && !l->full)
        return false;
    out->proved = false;
    if (a)
        snprintf(out->why, sizeof(out->why), "it was altered again at %.100s:%" PRIu64,
                 a->last.file, a->last.pos);
    else
        snprintf(out->why, sizeof(out->why), "the log ahead alters too many tables");
    return true;
}

bool
lookahead_clear(struct lookahead *l, const struct source_name *name,
                const struct fence_place *from, const struct log_place *upto,
                struct definition *out, struct err *e)
{
    out->proved = true;
    if (!l->at.file[0] || place_compare(&l->at, &from->boundary) < 0) {
        lookahead_rest(l);
        l->at = from->boundary; /* everything known so far is behind the decoder */
    }
    if (refuted(l, name, &from->at, out) || place_compare(&from->at, upto) >= 0)
        return true;
    if (!read_on(l, upto, out, e))
        return false;
    if (out->proved)
        refuted(l, name, &from->at, out);
    return true;
}
