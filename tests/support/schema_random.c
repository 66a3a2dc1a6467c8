#include "support/schema_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schema/temporal.h"
#include "schema/types_mysql.h"

struct rng
rng_seeded(void)
{
    const char *text = getenv("SEED");
    struct rng g = {text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL)};
    printf("seed %" PRIu64 "\n", g.state);
    return g;
}

uint64_t
rng_next(struct rng *g)
{
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned
rng_below(struct rng *g, unsigned n)
{
    return (unsigned)(rng_next(g) % n);
}

/* ---- tables ---- */

static void
random_labels(struct rng *g, struct table *t, struct column *c)
{
    static const char *const words[] = {"red",  "blu\xc3\xa9", "a b", "o'k",
                                        "x\"y", "back\\slash", "",    "\xe6\xb1\x89"};
    unsigned n = 1 + rng_below(g, c->type == COL_SET ? 64 : 300);
    struct bytes *labels = arena_zalloc(&t->arena, n * sizeof *labels);
    for (unsigned i = 0; i < n; i++) {
        const char *word = words[rng_below(g, c->type == COL_SET ? 6 : ARRAY_LEN(words))];
        labels[i] = bytes_str(arena_printf(&t->arena, "%s%u", word, i));
    }
    c->labels = labels;
    c->label_count = n;
}

struct column *
random_column(struct rng *g, struct table *t, enum column_type type, const char *name)
{
    struct column *c = &t->columns[t->column_count++];
    c->name = arena_strdup(&t->arena, name);
    c->type = type;
    c->nullable = rng_below(g, 2);
    c->is_unsigned = type_is_integer(type) && rng_below(g, 2);
    if (type_is_text(type) || type_is_binary(type))
        c->length = 1 + rng_below(g, 255);
    if (type_is_text(type) || type == COL_ENUM || type == COL_SET) {
        c->charset = "utf8mb4";
        c->collation = "utf8mb4_bin";
    }
    if (type == COL_BIT)
        c->length = 1 + rng_below(g, 64);
    if (type == COL_VECTOR)
        c->length = 3;
    if (type == COL_TIME || type == COL_DATETIME || type == COL_TIMESTAMP)
        c->scale = (uint8_t)rng_below(g, 7);
    if (type == COL_DECIMAL) {
        c->precision = (uint8_t)(1 + rng_below(g, 65));
        unsigned most = c->precision < 30 ? c->precision : 30u;
        c->scale = (uint8_t)rng_below(g, most + 1);
    }
    if (type == COL_ENUM || type == COL_SET)
        random_labels(g, t, c);
    return c;
}

static void
random_key(struct rng *g, struct table *t)
{
    uint16_t *columns = arena_zalloc(&t->arena, 3 * sizeof *columns);
    uint32_t *prefixes = arena_zalloc(&t->arena, 3 * sizeof *prefixes);
    unsigned n = rng_below(g, 4), found = 0;
    for (unsigned i = 0; i < t->column_count && found < n; i++) {
        if (rng_below(g, 2))
            continue;
        t->columns[i].nullable = false;
        columns[found++] = (uint16_t)i;
    }
    if (!found)
        return;
    t->uniques = arena_zalloc(&t->arena, sizeof *t->uniques);
    t->uniques[0] = (struct unique_key){"PRIMARY", columns, prefixes, (uint16_t)found};
    t->unique_count = 1;
}

struct table *
random_table(struct rng *g)
{
    static const char *const names[] = {"id",  "a b",    "q\"x", "na\xc3\xafve", "1st",   "x.y",
                                        "a-b", "tab\tx", "b\\s", "before",       "`tick`"};
    struct table *t = table_new("d\"b", "t\xc3\xa4"
                                        "b'le");
    unsigned n = 1 + rng_below(g, 40);
    char name[64];
    t->columns = arena_zalloc(&t->arena, 40 * sizeof *t->columns);
    t->flavor = rng_below(g, 2) ? FLAVOR_MYSQL : FLAVOR_MARIADB;
    t->version = 1 + rng_below(g, 9);
    t->fingerprint = rng_next(g);
    t->charset = "utf8mb4";
    t->collation = "utf8mb4_bin";
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s%u", names[rng_below(g, ARRAY_LEN(names))], i);
        if (rng_below(g, 8) == 0)
            snprintf(name, sizeof name, "c%c%u", "-$%&"[rng_below(g, 4)], i / 2 * 2);
        if (table_column_find(t, bytes_str(name)) < 0)
            random_column(g, t, (enum column_type)rng_below(g, COL_TYPES), name);
    }
    if (!t->column_count)
        random_column(g, t, COL_INT, "id");
    random_key(g, t);
    table_seal(t);
    return t;
}

/* ---- rows ---- */

static struct cell
sized_cell(enum cell_kind kind, struct bytes b)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)b.n};
    c.v.p = b.p;
    return c;
}

/* At most `characters` characters, so that it fits its column. */
static struct bytes
random_text(struct rng *g, const struct column *c, struct arena *a)
{
    size_t characters = c->length ? c->length : 60;
    static const char *const parts[] = {
        "abc",          "\xc3\xa9",         "'", "\"", "\\", "\n", "\t", "\x01",
        "\xe6\xb1\x89", "\xf0\x9f\x98\x80", " ", "0",  "\r", "%"};
    struct buf b = {0};
    for (unsigned n = rng_below(g, 20); n && characters >= 3; n--, characters -= 3)
        buf_add_str(&b, parts[rng_below(g, ARRAY_LEN(parts))]);
    if (rng_below(g, 10) == 0 && characters)
        buf_add_byte(&b, 0);
    while (c->type == COL_CHAR && b.n && b.p[b.n - 1] == ' ')
        b.n--;
    struct bytes copy = arena_copy(a, buf_bytes(&b));
    buf_free(&b);
    return copy;
}

static struct bytes
random_bytes_of(struct rng *g, struct arena *a, size_t n)
{
    uint8_t *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_next(g);
    return bytes_of(p, n);
}

static struct bytes
random_decimal(struct rng *g, const struct column *c, struct arena *a)
{
    struct buf b = {0};
    unsigned whole = c->precision - c->scale, used = rng_below(g, whole + 1);
    bool zero = rng_below(g, 10) == 0, negative = !zero && rng_below(g, 2), some = false;
    for (unsigned i = 0; i < used; i++)
        buf_add_byte(&b, (uint8_t)('0' + (zero     ? 0
                                          : i == 0 ? 1 + rng_below(g, 9)
                                                   : rng_below(g, 10))));
    some = used && !zero;
    if (used == 0 || zero) {
        b.n = 0;
        buf_add_byte(&b, '0');
    }
    for (unsigned i = 0; i < c->scale; i++) {
        if (i == 0)
            buf_add_byte(&b, '.');
        unsigned d = zero ? 0 : rng_below(g, 10);
        some = some || d;
        buf_add_byte(&b, (uint8_t)('0' + d));
    }
    struct bytes text = bytes_str(
        arena_printf(a, "%s%.*s", negative && some ? "-" : "", (int)b.n, (const char *)b.p));
    buf_free(&b);
    return text;
}

static const uint32_t unit_of[] = {1000000, 100000, 10000, 1000, 100, 10, 1};

static uint64_t
random_datetime(struct rng *g, unsigned scale)
{
    struct civil c = {.year = (uint16_t)(1 + rng_below(g, 9999)),
                      .month = (uint8_t)(1 + rng_below(g, 12)),
                      .day = (uint8_t)(1 + rng_below(g, 28)),
                      .hour = (uint8_t)rng_below(g, 24),
                      .minute = (uint8_t)rng_below(g, 60),
                      .second = (uint8_t)rng_below(g, 60),
                      .micro = rng_below(g, 1000000) / unit_of[scale] * unit_of[scale]};
    switch (rng_below(g, 8)) {
    case 0:
        return 0;
    case 1:
        c.day = 0;
        break;
    case 2:
        c.month = 2;
        c.day = 31;
        break;
    case 3:
        c.year = 0;
        break;
    default:
        break;
    }
    return temporal_pack(&c);
}

static struct cell
random_temporal(struct rng *g, const struct column *c)
{
    struct cell v = {.dec = c->scale};
    if (c->type == COL_DATETIME) {
        v.kind = CELL_DATETIME;
        v.v.u = random_datetime(g, c->scale);
    } else if (c->type == COL_DATE) {
        struct civil d = temporal_unpack(random_datetime(g, 0));
        v.kind = CELL_DATE;
        v.v.u = (uint64_t)d.year << 9 | (uint64_t)d.month << 5 | d.day;
    } else if (c->type == COL_TIME) {
        v.kind = CELL_TIME;
        v.v.i = (int64_t)(rng_next(g) % 6040798000000) - 3020399000000;
        v.v.i -= v.v.i % (int64_t)unit_of[c->scale];
    } else if (rng_below(g, 5) == 0) {
        v.kind = CELL_DATETIME;
    } else {
        v.kind = CELL_TIMESTAMP;
        v.v.i = (int64_t)(rng_next(g) % 2147483646000000);
        v.v.i -= v.v.i % (int64_t)unit_of[c->scale];
        v.v.i += 1000000;
    }
    return v;
}

static struct cell
random_integer(struct rng *g, const struct column *c)
{
    static const unsigned bits[] = {8, 16, 24, 32, 64};
    unsigned shift = 64 - bits[c->type];
    uint64_t v = rng_next(g);
    if (rng_below(g, 4) == 0)
        v = rng_below(g, 2) ? UINT64_MAX : (uint64_t)1 << 63;
    if (c->is_unsigned)
        return (struct cell){.kind = CELL_UINT, .v.u = v >> shift};
    return (struct cell){.kind = CELL_INT, .v.i = (int64_t)v >> shift};
}

static struct cell
random_real(struct rng *g, const struct column *c)
{
    struct cell v = {.kind = c->type == COL_FLOAT ? CELL_FLOAT : CELL_DOUBLE};
    double d = (double)(int64_t)(rng_next(g) % 200000000) / 100 - 1000000;
    if (rng_below(g, 2)) {
        uint64_t bits = rng_next(g);
        memcpy(&d, &bits, sizeof d);
    }
    if (!(d - d == 0))
        d = 0.5;
    v.v.d = c->type == COL_FLOAT ? (double)(float)d : d;
    if (!(v.v.d - v.v.d == 0))
        v.v.d = 3.4028234663852886e38;
    return v;
}

static struct cell
random_vector(struct rng *g, const struct column *c, struct arena *a)
{
    uint8_t *p = arena_alloc(a, c->length * 4 + 1);
    for (unsigned i = 0; i < c->length; i++) {
        float f = (float)rng_below(g, 100000) / 7;
        memcpy(p + i * 4, &f, 4);
    }
    return sized_cell(CELL_VECTOR, bytes_of(p, c->length * 4));
}

/* SRID, then WKB of a point. */
static struct cell
random_point(struct rng *g, struct arena *a)
{
    uint8_t *p = arena_zalloc(a, 25);
    double x = (double)rng_below(g, 180) / 4, y = (double)rng_below(g, 180) / 3;
    if (rng_below(g, 2)) {
        p[0] = 0xe6;
        p[1] = 0x10;
    }
    p[4] = p[5] = 1;
    memcpy(p + 9, &x, 8);
    memcpy(p + 17, &y, 8);
    return sized_cell(CELL_GEOMETRY, bytes_of(p, 25));
}

static struct cell
random_cell(struct rng *g, const struct column *c, struct arena *a)
{
    struct cell v = {.kind = CELL_BIT};
    if (type_is_integer(c->type))
        return random_integer(g, c);
    if (type_is_text(c->type))
        return sized_cell(CELL_TEXT, random_text(g, c, a));
    if (c->type == COL_BINARY)
        return sized_cell(CELL_BYTES, random_bytes_of(g, a, c->length));
    if (type_is_binary(c->type))
        return sized_cell(CELL_BYTES, random_bytes_of(g, a, rng_below(g, c->length + 1)));
    switch (c->type) {
    case COL_FLOAT:
    case COL_DOUBLE:
        return random_real(g, c);
    case COL_DECIMAL:
        return sized_cell(CELL_DECIMAL, random_decimal(g, c, a));
    case COL_YEAR:
        v.kind = CELL_YEAR;
        v.v.u = rng_below(g, 5) ? 1901 + rng_below(g, 255) : 0;
        return v;
    case COL_BIT:
        v.v.u = rng_next(g) >> (64 - c->length);
        return v;
    case COL_ENUM:
        v.kind = CELL_ENUM;
        v.v.u = rng_below(g, c->label_count + 1);
        return v;
    case COL_SET:
        v.kind = CELL_SET;
        v.v.u = rng_next(g) >> (64 - c->label_count);
        return v;
    case COL_JSON:
        return sized_cell(CELL_JSON, BYTES_LIT("{\"a\": [1, \"x\\\"y\", null]}"));
    case COL_GEOMETRY:
        return random_point(g, a);
    case COL_UUID:
        return sized_cell(CELL_TEXT, BYTES_LIT("0192f1c5-7a3e-7c11-8b2d-0a1b2c3d4e5f"));
    case COL_INET4:
        return sized_cell(CELL_TEXT, BYTES_LIT("192.168.7.1"));
    case COL_INET6:
        return sized_cell(CELL_TEXT, BYTES_LIT("2001:db8::ff00:42:8329"));
    case COL_VECTOR:
        return random_vector(g, c, a);
    default:
        return random_temporal(g, c);
    }
}

void
random_row(struct rng *g, const struct table *t, bool absent, struct arena *a, struct cell *row)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        if (c->nullable && rng_below(g, 5) == 0)
            row[i] = (struct cell){.kind = CELL_NULL};
        else if (absent && !c->key_at && rng_below(g, 6) == 0)
            row[i] = (struct cell){.kind = CELL_ABSENT};
        else
            row[i] = random_cell(g, c, a);
    }
}

struct change
random_change(struct rng *g, const struct table *t, enum change_op op, struct arena *a)
{
    bool absent = rng_below(g, 4) == 0;
    struct change c = {
        .op = op, .table = t, .id = {rng_next(g), rng_next(g) >> 1, rng_next(g) >> 1}};
    struct cell *before = arena_alloc(a, t->column_count * sizeof *before);
    struct cell *after = arena_alloc(a, t->column_count * sizeof *after);
    random_row(g, t, absent, a, before);
    random_row(g, t, absent, a, after);
    c.before = op == OP_UPDATE || op == OP_DELETE ? before : NULL;
    c.after = op == OP_DELETE ? NULL : after;
    c.source =
        (struct change_source){.commit_us = rng_next(g) >> 14,
                               .server_id = (uint32_t)rng_next(g),
                               .gtid = rng_below(g, 2) ? BYTES_LIT("0-1-5") : BYTES_LIT(""),
                               .file = BYTES_LIT("binlog.000001"),
                               .pos = rng_next(g) >> 20,
                               .row = rng_below(g, 1000),
                               .thread = rng_below(g, 3),
                               .snapshot = op == OP_READ};
    c.source.load = c.source.snapshot ? rng_next(g) >> 1 : 0;
    return c;
}

/* ---- description ---- */

static void
describe_bytes(struct bytes b, struct buf *out)
{
    for (size_t i = 0; i < b.n; i++)
        buf_addf(out, "%02x", b.p[i]);
}

static void
describe_labels(const struct column *c, const struct cell *v, struct buf *out)
{
    if (v->kind == CELL_ENUM && v->v.u)
        describe_bytes(c->labels[v->v.u - 1], out);
    bool first = true;
    for (unsigned i = 0; v->kind == CELL_SET && i < c->label_count; i++) {
        if (!(v->v.u >> i & 1))
            continue;
        if (!first)
            buf_add_str(out, "2c");
        first = false;
        describe_bytes(c->labels[i], out);
    }
}

/* Fraction as the column has it. */
static void
describe_civil(const struct column *c, struct civil d, struct buf *out)
{
    char t[80];
    int n = snprintf(t, sizeof t, "%04u-%02u-%02u %02u:%02u:%02u.%06u", d.year, d.month, d.day,
                     d.hour, d.minute, d.second, d.micro);
    n = c->scale ? n - 6 + c->scale : n - 7;
    describe_bytes(bytes_of(t, (size_t)n), out);
}

void
cell_describe(const struct column *c, const struct cell *v, struct buf *out)
{
    char t[40];
    switch ((enum cell_kind)v->kind) {
    case CELL_ABSENT:
        buf_add_str(out, "absent");
        break;
    case CELL_NULL:
        buf_add_str(out, "null");
        break;
    case CELL_INT:
    case CELL_TIME:
        buf_addf(out, "%" PRId64, v->v.i);
        break;
    case CELL_UINT:
    case CELL_YEAR:
    case CELL_BIT:
        buf_addf(out, "%" PRIu64, v->v.u);
        break;
    case CELL_FLOAT:
    case CELL_DOUBLE:
        buf_addf(out, "%a", v->v.d);
        break;
    case CELL_DATE:
        snprintf(t, sizeof t, "%04u-%02u-%02u", (unsigned)(v->v.u >> 9),
                 (unsigned)(v->v.u >> 5 & 15), (unsigned)(v->v.u & 31));
        describe_bytes(bytes_str(t), out);
        break;
    case CELL_DATETIME:
        describe_civil(c, temporal_unpack(v->v.u), out);
        break;
    case CELL_TIMESTAMP:
        describe_civil(c, temporal_unpack(temporal_from_epoch_us(v->v.i)), out);
        break;
    case CELL_ENUM:
    case CELL_SET:
        describe_labels(c, v, out);
        break;
    default:
        describe_bytes(cell_bytes(v), out);
    }
}

bool
cell_is_raw(const struct column *c, const struct cell *v)
{
    int64_t us;
    if (v->kind == CELL_ENUM)
        return v->v.u == 0;
    if (v->kind == CELL_DATE)
        return !temporal_days((unsigned)(v->v.u >> 9), (unsigned)(v->v.u >> 5 & 15),
                              (unsigned)(v->v.u & 31), &us);
    if (v->kind == CELL_DATETIME)
        return c->type == COL_TIMESTAMP || !temporal_epoch_us(v->v.u, &us);
    return false;
}
