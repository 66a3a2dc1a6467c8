/* Differences of a JSON document (binlog_row_value_options=PARTIAL_JSON), applied to the
 * document before.
 *
 * Format [mysql-server sql-common/json_diff.cc]: per difference an operation 1, a path (lenenc
 * length, text), and but for REMOVE a value (lenenc length, binary JSON). Paths are $ and legs:
 * .name, ."quoted name", [n], [last], [last-n]. As the server applies them: REPLACE and REMOVE
 * need their place, INSERT puts a new member into an object or an element before the n-th of an
 * array (or at its end).
 *
 * The document stays binary but for the containers that lie on a path. Limit: 100 levels.
 */
#include "base/arena.h"
#include "capture/mysql/json_binary.h"
#include "capture/mysql/value.h"

enum operation { REPLACE = 0, INSERT = 1, REMOVE = 2 };

struct child;

struct node {
    uint8_t type; /* of the binary value; of a container that is open its type too */
    struct bytes at;
    bool open; /* what counts are the children */
    struct child *children;
    size_t count;
};

struct child {
    struct bytes key;
    struct node value;
};

struct leg {
    bool member;
    struct bytes key;
    bool from_end;
    uint64_t index;
};

struct diff {
    uint8_t operation;
    struct reader path;
    struct node value;
};

static bool
is_object(const struct node *n)
{
    return n->type <= JSON_LARGE_OBJECT;
}

static bool
is_array(const struct node *n)
{
    return n->type == JSON_SMALL_ARRAY || n->type == JSON_LARGE_ARRAY;
}

static bool
open_node(struct node *n, struct arena *a)
{
    struct json_container c;
    if (n->open)
        return true;
    if (n->type > JSON_LARGE_ARRAY || !json_binary_open(n->type, n->at, &c))
        return false;
    n->children = arena_alloc(a, (size_t)c.count * sizeof(*n->children));
    n->count = (size_t)c.count;
    for (size_t i = 0; i < n->count; i++) {
        struct json_element x = {0};
        if (!json_binary_next(&c, &x))
            return false;
        n->children[i] = (struct child){x.key, {.type = x.type, .at = x.at}};
    }
    n->open = true;
    return true;
}

/* ---- paths ---- */

static bool
at_byte(struct reader *r, uint8_t c)
{
    bool there = reader_left(r) && *r->p == c;
    if (there)
        r->p++;
    return there;
}

static void
put_code_point(uint32_t c, struct buf *out)
{
    if (c < 0x80) {
        buf_add_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 63)));
    } else {
        buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 63)));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 63)));
    }
}

static bool
take_escape(struct reader *r, struct buf *out)
{
    static const char letters[] = "bfnrt\"\\/", bytes[] = "\b\f\n\r\t\"\\/";
    uint8_t c = reader_u8(r);
    const char *known = c ? strchr(letters, c) : NULL;
    if (known)
        buf_add_byte(out, (uint8_t)bytes[known - letters]);
    if (known || c != 'u')
        return known != NULL;
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t h = reader_u8(r);
        uint8_t digit = h <= '9' ? (uint8_t)(h - '0') : (uint8_t)((h | 0x20) - 'a' + 10);
        if (digit > 15)
            return false;
        v = v << 4 | digit;
    }
    put_code_point(v, out);
    return !r->failed;
}

/* Behind the opening quote. */
static bool
take_quoted(struct reader *r, struct arena *a, struct bytes *out)
{
    struct buf b = {0};
    bool ok = true;
    while (ok && reader_left(r) && *r->p != '"') {
        uint8_t c = reader_u8(r);
        if (c == '\\')
            ok = take_escape(r, &b);
        else
            buf_add_byte(&b, c);
    }
    *out = arena_copy(a, buf_bytes(&b));
    buf_free(&b);
    return ok && at_byte(r, '"');
}

static bool
take_number(struct reader *r, uint64_t *out)
{
    const uint8_t *begin = r->p;
    *out = 0;
    while (reader_left(r) && *r->p >= '0' && *r->p <= '9' && *out <= UINT32_MAX)
        *out = *out * 10 + (uint64_t)(*r->p++ - '0');
    return r->p > begin && *out <= UINT32_MAX;
}

/* Behind the bracket. */
static bool
take_index(struct reader *r, struct leg *out)
{
    static const char last[] = "last";
    if (reader_left(r) >= 4 && memcmp(r->p, last, 4) == 0) {
        r->p += 4;
        out->from_end = true;
        if (at_byte(r, '-') && !take_number(r, &out->index))
            return false;
    } else if (!take_number(r, &out->index)) {
        return false;
    }
    return at_byte(r, ']');
}

static bool
take_leg(struct reader *r, struct arena *a, struct leg *out)
{
    *out = (struct leg){0};
    if (at_byte(r, '['))
        return take_index(r, out);
    if (!at_byte(r, '.'))
        return false;
    out->member = true;
    if (at_byte(r, '"'))
        return take_quoted(r, a, &out->key);
    const uint8_t *begin = r->p;
    while (reader_left(r) && *r->p != '.' && *r->p != '[')
        r->p++;
    out->key = bytes_of(begin, (size_t)(r->p - begin));
    return out->key.n > 0 && *begin != '*';
}

/* ---- places ---- */

/* Keys are ordered by length, then by bytes. Place of the key, or where it belongs. */
static bool
find_key(const struct node *n, struct bytes key, size_t *at)
{
    for (*at = 0; *at < n->count; ++*at) {
        struct bytes k = n->children[*at].key;
        int c = k.n != key.n ? (k.n < key.n ? -1 : 1) : bytes_cmp(k, key);
        if (c >= 0)
            return c == 0;
    }
    return false;
}

/* Index of the leg in an array; above the last: the end. */
static bool
find_index(const struct node *n, const struct leg *leg, size_t *at)
{
    uint64_t i = leg->index;
    if (leg->from_end)
        i = n->count > i ? n->count - 1 - i : n->count ? 0 : n->count;
    bool there = i < n->count && !(leg->from_end && leg->index >= n->count);
    *at = i < n->count ? (size_t)i : n->count;
    return there;
}

/* *at: the child of the leg, or where it would be inserted. *fits: the node is a container of
 * the leg's kind. */
static bool
find_child(struct node *n, const struct leg *leg, struct arena *a, bool *fits, size_t *at)
{
    *fits = leg->member ? is_object(n) : is_array(n);
    if (!*fits)
        return false;
    if (!open_node(n, a)) {
        *fits = false;
        return false;
    }
    return leg->member ? find_key(n, leg->key, at) : find_index(n, leg, at);
}

static void
insert_child(struct node *n, const struct leg *leg, const struct node *value, size_t at,
             struct arena *a)
{
    struct child *c = arena_alloc(a, (n->count + 1) * sizeof(*c));
    memcpy(c, n->children, at * sizeof(*c));
    c[at] = (struct child){leg->key, *value};
    memcpy(c + at + 1, n->children + at, (n->count - at) * sizeof(*c));
    n->children = c;
    n->count++;
}

static void
remove_child(struct node *n, size_t at)
{
    n->count--;
    memmove(n->children + at, n->children + at + 1, (n->count - at) * sizeof(*n->children));
}

/* ---- differences ---- */

static bool
apply(struct node *root, struct diff *d, struct arena *a)
{
    struct node *n = root;
    struct leg leg;
    size_t at = 0;
    bool fits, there;
    if (!reader_left(&d->path)) {
        *root = d->value;
        return d->operation == REPLACE;
    }
    for (unsigned depth = 0;; depth++) {
        if (depth > JSON_DEPTH_MAX || !take_leg(&d->path, a, &leg))
            return false;
        there = find_child(n, &leg, a, &fits, &at);
        if (!reader_left(&d->path))
            break;
        if (!there)
            return false;
        n = &n->children[at].value;
    }
    if (!fits)
        return false;
    if (d->operation == INSERT) {
        if (there && leg.member)
            return false;
        insert_child(n, &leg, &d->value, at, a);
    } else if (!there) {
        return false;
    } else if (d->operation == REPLACE) {
        n->children[at].value = d->value;
    } else {
        remove_child(n, at);
    }
    return true;
}

static bool
take_diff(struct reader *r, struct diff *out)
{
    *out = (struct diff){.operation = reader_u8(r)};
    out->path = reader_of(reader_lenenc_bytes(r));
    if (r->failed || out->operation > REMOVE || !at_byte(&out->path, '$'))
        return false;
    if (out->operation == REMOVE)
        return true;
    struct reader value = reader_of(reader_lenenc_bytes(r));
    out->value.type = reader_u8(&value);
    out->value.at = reader_rest(&value);
    return !r->failed && !value.failed;
}

static bool
put_node(const struct node *n, struct buf *out, unsigned depth)
{
    if (!n->open)
        return json_binary_put(n->type, n->at, out, depth);
    if (depth > JSON_DEPTH_MAX)
        return false;
    buf_add_byte(out, is_object(n) ? '{' : '[');
    for (size_t i = 0; i < n->count; i++) {
        if (i)
            buf_add_str(out, ", ");
        if (is_object(n)) {
            json_binary_put_string(n->children[i].key, out);
            buf_add_str(out, ": ");
        }
        if (!put_node(&n->children[i].value, out, depth + 1))
            return false;
    }
    buf_add_byte(out, is_object(n) ? '}' : ']');
    return true;
}

bool
value_json_apply(struct bytes doc, struct bytes diffs, struct arena *a, struct buf *out)
{
    struct reader r = reader_of(doc), changes = reader_of(diffs);
    struct node root = {.type = reader_u8(&r)};
    root.at = reader_rest(&r);
    if (r.failed)
        return false;
    while (reader_left(&changes)) {
        struct diff d;
        if (!take_diff(&changes, &d) || !apply(&root, &d, a))
            return false;
    }
    size_t max = out->max;
    out->max = out->n + JSON_TEXT_MAX(doc.n + diffs.n);
    bool ok = put_node(&root, out, 0) && !out->failed;
    out->max = max;
    return ok;
}
