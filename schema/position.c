/* Positions of a source: copy, compare, JSON (docs/formats.md `pos`).
 *
 * A position is durable only inside a committed progress or epoch record; nothing here does
 * I/O. Owner: whoever initialised it (position_free). Thread: one.
 */
#include "schema/position.h"

#include <inttypes.h>
#include <stdio.h>

void
position_init(struct position *p, enum position_kind kind)
{
    memset(p, 0, sizeof *p);
    p->kind = kind;
}

void
position_free(struct position *p)
{
    gtid_set_free(p->gtid);
    p->gtid = NULL;
}

void
position_copy(struct position *dst, const struct position *src)
{
    if (dst == src)
        return;
    struct gtid_set *gtid = src->gtid ? gtid_set_copy(src->gtid) : NULL;
    gtid_set_free(dst->gtid);
    *dst = *src;
    dst->gtid = gtid;
}

/* ---- comparison ---- */

/* The digits after the last dot, leading zeros cut. */
static struct bytes
file_number(const char *file)
{
    const char *dot = strrchr(file, '.');
    struct bytes n = bytes_str(dot ? dot + 1 : file);
    while (n.n && *n.p == '0') {
        n.p++;
        n.n--;
    }
    return n;
}

int
position_compare_file(const char *file_a, uint64_t pos_a, const char *file_b, uint64_t pos_b)
{
    struct bytes a = file_number(file_a), b = file_number(file_b);
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    int c = bytes_cmp(a, b);
    if (c)
        return c < 0 ? -1 : 1;
    return pos_a < pos_b ? -1 : pos_a > pos_b;
}

static bool
covers_by_file(const struct position *a, const struct position *b)
{
    return strcmp(a->server, b->server) == 0 &&
           position_compare_file(a->file, a->pos, b->file, b->pos) >= 0;
}

bool
position_covers(const struct position *a, const struct position *b)
{
    if (b->kind == POSITION_NONE)
        return true;
    if (a->kind != b->kind)
        return false;
    bool by_set = a->gtid && b->gtid;
    if (by_set && (a->kind == POSITION_MYSQL || strcmp(a->server, b->server) != 0))
        return gtid_set_covers(a->gtid, b->gtid);
    return covers_by_file(a, b);
}

/* ---- JSON ---- */

static struct json *
partials_to_json(const struct position *p)
{
    struct json *a = json_array_new();
    for (unsigned i = 0; i < p->partial_count; i++) {
        struct json *one = json_array_new();
        json_push(one, json_str(p->partial[i].id));
        json_push(one, json_u64(p->partial[i].rows));
        if (p->partial[i].file[0]) {
            json_push(one, json_str(p->partial[i].file));
            json_push(one, json_u64(p->partial[i].pos));
        }
        json_push(a, one);
    }
    return a;
}

static struct json *
xa_to_json(const struct position *p)
{
    if (!p->xa_file[0])
        return json_null_new();
    struct json *o = json_object_new();
    json_set(o, "file", json_str(p->xa_file));
    json_set(o, "pos", json_u64(p->xa_pos));
    return o;
}

static struct json *
gtid_to_json(const struct position *p)
{
    if (!p->gtid)
        return json_null_new();
    struct buf text = {0};
    gtid_set_text(p->gtid, &text);
    struct json *j = json_bytes(buf_bytes(&text));
    buf_free(&text);
    return j;
}

struct json *
position_to_json(const struct position *p)
{
    static const char *const kinds[] = {"none", "mysql", "mariadb"};
    struct json *o = json_object_new();
    json_set(o, "k", json_str(kinds[p->kind]));
    if (p->kind == POSITION_NONE)
        return o;
    json_set(o, p->kind == POSITION_MYSQL ? "uuid" : "server_id", json_str(p->server));
    json_set(o, "gtid", gtid_to_json(p));
    json_set(o, "file", json_str(p->file));
    json_set(o, "pos", json_u64(p->pos));
    json_set(o, "partial", partials_to_json(p));
    json_set(o, "xa", xa_to_json(p));
    return o;
}

MUST static bool
text_field(const struct json *o, const char *key, char *out, size_t size, struct err *e)
{
    const char *s = json_get_str(o, key, NULL);
    if (!s || strlen(s) >= size)
        return err_set(e, MR_KAFKA_BAD_RECORD, "position: field %s is missing or too long",
                       key);
    memcpy(out, s, strlen(s) + 1);
    return true;
}

MUST static bool
partials_from_json(const struct json *j, struct position *out, struct err *e)
{
    size_t n = json_len(j);
    if (n > POSITION_PARTIALS)
        return err_set(e, MR_KAFKA_BAD_RECORD, "position: %zu partial transactions", n);
    for (size_t i = 0; i < n; i++) {
        const struct json *one = json_at(j, i);
        const char *id = json_str_value(json_at(one, 0), NULL);
        const char *file = json_str_value(json_at(one, 2), "");
        struct partial_txn *p = &out->partial[i];
        bool whole = json_len(one) == 2 || json_len(one) == 4;
        if (!whole || !id || strlen(id) >= sizeof p->id || strlen(file) >= sizeof p->file)
            return err_set(e, MR_KAFKA_BAD_RECORD,
                           "position: a partial transaction is damaged");
        memcpy(p->id, id, strlen(id) + 1);
        memcpy(p->file, file, strlen(file) + 1);
        p->rows = json_u64_value(json_at(one, 1), 0);
        p->pos = json_u64_value(json_at(one, 3), 0);
    }
    out->partial_count = (unsigned)n;
    return true;
}

MUST static bool
fields_from_json(const struct json *j, struct position *out, struct err *e)
{
    bool mysql = out->kind == POSITION_MYSQL;
    const char *gtid = json_get_str(j, "gtid", NULL);
    const struct json *xa = json_get(j, "xa");
    if (!text_field(j, mysql ? "uuid" : "server_id", out->server, sizeof out->server, e) ||
        !text_field(j, "file", out->file, sizeof out->file, e) ||
        !partials_from_json(json_get(j, "partial"), out, e))
        return false;
    if (gtid &&
        !gtid_set_parse(mysql ? GTID_MYSQL : GTID_MARIADB, bytes_str(gtid), &out->gtid, e))
        return err_reclass(e, ERR_TASK);
    out->pos = json_get_u64(j, "pos", 0);
    if (json_is_null(xa))
        return true;
    out->xa_pos = json_get_u64(xa, "pos", 0);
    return text_field(xa, "file", out->xa_file, sizeof out->xa_file, e);
}

bool
position_from_json(const struct json *j, struct position *out, struct err *e)
{
    const char *kind = json_get_str(j, "k", "");
    position_init(out, POSITION_NONE);
    if (strcmp(kind, "none") == 0)
        return true;
    if (strcmp(kind, "mysql") == 0)
        out->kind = POSITION_MYSQL;
    else if (strcmp(kind, "mariadb") == 0)
        out->kind = POSITION_MARIADB;
    else
        return err_set(e, MR_KAFKA_VERSION, "position of unknown kind '%.20s'", kind);
    if (fields_from_json(j, out, e))
        return true;
    position_free(out);
    return false;
}

const char *
position_text(const struct position *p, char *out, size_t out_size)
{
    struct buf gtid = {0};
    if (p->gtid)
        gtid_set_text(p->gtid, &gtid);
    if (p->kind == POSITION_NONE)
        snprintf(out, out_size, "none");
    else
        snprintf(out, out_size, "%s%s%s%s:%" PRIu64, p->gtid ? "gtid " : "", buf_cstr(&gtid),
                 p->gtid ? " " : "", p->file, p->pos);
    buf_free(&gtid);
    return out;
}
