/* Sets of transaction identifiers: MySQL's uuid[:tag]:interval sets and MariaDB's last sequence
 * number per domain.
 *
 * MySQL: members sorted by (uuid, tag), each with sorted, disjoint, non-adjacent intervals
 * [from, to). The member of the previous `gtid_set_add` is remembered together with its text
 * prefix, so that a run of consecutive GTIDs of one server costs one memcmp and one comparison.
 * MariaDB: one (server, sequence) per domain, sorted by domain; an added GTID replaces its
 * domain's (the server finds its place in the log by exactly the last one), a union takes the
 * higher sequence number.
 *
 * Owner: whoever created it. Thread: one. Limit: none but memory; texts above 16 MiB are
 * refused.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "schema/position.h"

#define GNO_MAX       (INT64_MAX - 1)
#define TAG_MAX       32
#define UUID_TEXT     36
#define GTID_TEXT_MAX ((size_t)16 << 20)

struct interval {
    uint64_t from;
    uint64_t to; /* exclusive */
};

struct member {
    uint8_t uuid[16];
    char tag[TAG_MAX + 1];
    size_t tag_n;
    struct interval *v;
    size_t n, cap;
};

struct domain {
    uint32_t domain;
    uint32_t server;
    uint64_t seq;
};

struct gtid_set {
    enum gtid_flavor flavor;
    struct member *members;
    size_t member_n, member_cap;
    struct domain *domains;
    size_t domain_n, domain_cap;
    size_t last;                          /* member of prefix */
    char prefix[UUID_TEXT + TAG_MAX + 4]; /* "uuid:" or "uuid:tag:" as last given */
    size_t prefix_n;                      /* 0: none */
};

struct gtid {
    uint8_t uuid[16];
    char tag[TAG_MAX + 1];
    size_t tag_n;
    uint64_t n;
};

/* ---- memory ---- */

struct gtid_set *
gtid_set_new(enum gtid_flavor flavor)
{
    struct gtid_set *s = mem_zalloc(sizeof *s);
    s->flavor = flavor;
    return s;
}

void
gtid_set_free(struct gtid_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->member_n; i++)
        free(s->members[i].v);
    free(s->members);
    free(s->domains);
    free(s);
}

/* Room for one more element of `size` bytes in *p. */
static void
grow(void **p, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return;
    *cap = *cap ? *cap * 2 : 4;
    *p = mem_realloc(*p, *cap * size);
}

static int
member_cmp(const struct member *m, const uint8_t uuid[16], const char *tag, size_t tag_n)
{
    int c = memcmp(m->uuid, uuid, 16);
    return c ? c : bytes_cmp(bytes_of(m->tag, m->tag_n), bytes_of(tag, tag_n));
}

/* Index of the member, or of the place to insert it. */
static size_t
member_find(const struct gtid_set *s, const uint8_t uuid[16], const char *tag, size_t tag_n,
            bool *found)
{
    size_t lo = 0, hi = s->member_n;
    *found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = member_cmp(&s->members[mid], uuid, tag, tag_n);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct member *
member_put(struct gtid_set *s, const uint8_t uuid[16], const char *tag, size_t tag_n)
{
    bool found;
    size_t at = member_find(s, uuid, tag, tag_n, &found);
    if (found)
        return &s->members[at];
    void *p = s->members;
    grow(&p, s->member_n, &s->member_cap, sizeof *s->members);
    s->members = p;
    memmove(s->members + at + 1, s->members + at, (s->member_n - at) * sizeof *s->members);
    s->member_n++;
    struct member *m = &s->members[at];
    memset(m, 0, sizeof *m);
    memcpy(m->uuid, uuid, 16);
    memcpy(m->tag, tag, tag_n);
    m->tag_n = tag_n;
    s->prefix_n = 0;
    return m;
}

struct gtid_set *
gtid_set_copy(const struct gtid_set *s)
{
    struct gtid_set *c = gtid_set_new(s->flavor);
    gtid_set_union(c, s);
    return c;
}

/* ---- intervals ---- */

/* First interval whose end is at or above n: it holds n, touches it from below, or lies after
 * it. */
static size_t
interval_find(const struct member *m, uint64_t n)
{
    size_t lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->v[mid].to < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void
interval_insert(struct member *m, size_t at, struct interval iv)
{
    void *p = m->v;
    grow(&p, m->n, &m->cap, sizeof *m->v);
    m->v = p;
    memmove(m->v + at + 1, m->v + at, (m->n - at) * sizeof *m->v);
    m->v[at] = iv;
    m->n++;
}

/* Joins [from, to) with every interval it overlaps or touches. */
static void
member_add(struct member *m, uint64_t from, uint64_t to)
{
    if (m->n && m->v[m->n - 1].to == from) {
        m->v[m->n - 1].to = to;
        return;
    }
    size_t at = interval_find(m, from), end = at;
    while (end < m->n && m->v[end].from <= to)
        end++;
    if (end == at) {
        interval_insert(m, at, (struct interval){from, to});
        return;
    }
    struct interval *v = &m->v[at];
    v->from = v->from < from ? v->from : from;
    v->to = m->v[end - 1].to > to ? m->v[end - 1].to : to;
    memmove(v + 1, m->v + end, (m->n - end) * sizeof *v);
    m->n -= end - at - 1;
}

static bool
member_has(const struct member *m, uint64_t from, uint64_t to)
{
    size_t at = interval_find(m, from + 1);
    return at < m->n && m->v[at].from <= from && to <= m->v[at].to;
}

static bool
member_covers(const struct member *a, const struct member *b)
{
    size_t i = 0;
    for (size_t k = 0; k < b->n; k++) {
        while (i < a->n && a->v[i].to < b->v[k].to)
            i++;
        if (i == a->n || a->v[i].from > b->v[k].from)
            return false;
    }
    return true;
}

static void
member_union(struct member *into, const struct member *from)
{
    if (!into->n && from->n) {
        into->v = mem_realloc(into->v, from->n * sizeof *from->v);
        memcpy(into->v, from->v, from->n * sizeof *from->v);
        into->n = into->cap = from->n;
        return;
    }
    for (size_t i = 0; i < from->n; i++)
        member_add(into, from->v[i].from, from->v[i].to);
}

static void
member_subtract(struct member *m, const struct member *what)
{
    struct member out = {0};
    size_t k = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct interval rest = m->v[i];
        while (k < what->n && what->v[k].to <= rest.from)
            k++;
        for (size_t j = k; j < what->n && what->v[j].from < rest.to; j++) {
            if (what->v[j].from > rest.from)
                interval_insert(&out, out.n, (struct interval){rest.from, what->v[j].from});
            rest.from = what->v[j].to < rest.to ? what->v[j].to : rest.to;
        }
        if (rest.from < rest.to)
            interval_insert(&out, out.n, rest);
    }
    free(m->v);
    m->v = out.v;
    m->n = out.n;
    m->cap = out.cap;
}

/* ---- domains ---- */

static size_t
domain_find(const struct gtid_set *s, uint32_t domain, bool *found)
{
    size_t i = 0;
    while (i < s->domain_n && s->domains[i].domain < domain)
        i++;
    *found = i < s->domain_n && s->domains[i].domain == domain;
    return i;
}

static struct domain *
domain_put(struct gtid_set *s, uint32_t domain)
{
    bool found;
    size_t at = domain_find(s, domain, &found);
    if (found)
        return &s->domains[at];
    void *p = s->domains;
    grow(&p, s->domain_n, &s->domain_cap, sizeof *s->domains);
    s->domains = p;
    memmove(s->domains + at + 1, s->domains + at, (s->domain_n - at) * sizeof *s->domains);
    s->domain_n++;
    s->domains[at] = (struct domain){.domain = domain};
    return &s->domains[at];
}

static uint64_t
domain_seq(const struct gtid_set *s, uint32_t domain)
{
    bool found;
    size_t at = domain_find(s, domain, &found);
    return found ? s->domains[at].seq : 0;
}

/* ---- text ---- */

static void
skip_space(struct bytes *t)
{
    while (t->n && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t' || *t->p == '\r')) {
        t->p++;
        t->n--;
    }
}

static bool
take_char(struct bytes *t, char c)
{
    skip_space(t);
    if (!t->n || *t->p != (uint8_t)c)
        return false;
    t->p++;
    t->n--;
    skip_space(t);
    return true;
}

static bool
take_number(struct bytes *t, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t n = 0;
    for (; n < t->n && t->p[n] >= '0' && t->p[n] <= '9'; n++) {
        unsigned d = (unsigned)(t->p[n] - '0');
        if (v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    t->p += n;
    t->n -= n;
    *out = v;
    return n > 0;
}

static int
hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
take_uuid(struct bytes *t, uint8_t out[16])
{
    if (t->n < UUID_TEXT)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if ((at == 8 || at == 13 || at == 18 || at == 23) && t->p[at++] != '-')
            return false;
        int hi = hex_value(t->p[at]), lo = hex_value(t->p[at + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
        at += 2;
    }
    t->p += UUID_TEXT;
    t->n -= UUID_TEXT;
    return true;
}

/* [A-Za-z_][A-Za-z0-9_]{0,31}, kept in lower case as the server does. */
static bool
take_tag(struct bytes *t, char out[TAG_MAX + 1], size_t *out_n)
{
    size_t n = 0;
    for (; n < t->n; n++) {
        uint8_t c = t->p[n];
        uint8_t low = c | 0x20;
        bool letter = (low >= 'a' && low <= 'z') || c == '_';
        if (!letter && !(n && c >= '0' && c <= '9'))
            break;
        if (n == TAG_MAX)
            return false;
        out[n] = (char)(c >= 'A' && c <= 'Z' ? low : c);
    }
    out[n] = 0;
    *out_n = n;
    t->p += n;
    t->n -= n;
    return n > 0;
}

static bool
take_gtid(struct bytes t, struct gtid *g)
{
    g->tag_n = 0;
    g->tag[0] = 0;
    skip_space(&t);
    if (!take_uuid(&t, g->uuid) || !take_char(&t, ':'))
        return false;
    if (t.n && !(*t.p >= '0' && *t.p <= '9') &&
        (!take_tag(&t, g->tag, &g->tag_n) || !take_char(&t, ':')))
        return false;
    if (!take_number(&t, GNO_MAX, &g->n) || g->n == 0)
        return false;
    skip_space(&t);
    return t.n == 0;
}

static bool
take_domain_gtid(struct bytes *t, struct domain *d)
{
    uint64_t domain, server;
    skip_space(t);
    if (!take_number(t, UINT32_MAX, &domain) || !take_char(t, '-') ||
        !take_number(t, UINT32_MAX, &server) || !take_char(t, '-') ||
        !take_number(t, UINT64_MAX, &d->seq))
        return false;
    d->domain = (uint32_t)domain;
    d->server = (uint32_t)server;
    skip_space(t);
    return true;
}

static bool
bad_gtid(struct bytes text, struct err *e)
{
    int n = text.n > 100 ? 100 : (int)text.n;
    return err_set(e, MR_SOURCE_CORRUPT, "'%.*s' is not a GTID or GTID set", n,
                   (const char *)text.p);
}

/* One "uuid[:tag]:interval..." with any number of tags after the uuid. */
static bool
parse_uuid_set(struct gtid_set *s, struct bytes *t)
{
    uint8_t uuid[16];
    char tag[TAG_MAX + 1] = "";
    size_t tag_n = 0;
    skip_space(t);
    if (!take_uuid(t, uuid))
        return false;
    while (take_char(t, ':')) {
        if (t->n && !(*t->p >= '0' && *t->p <= '9')) {
            if (!take_tag(t, tag, &tag_n))
                return false;
            continue;
        }
        uint64_t from, to;
        if (!take_number(t, GNO_MAX, &from) || from == 0)
            return false;
        to = from;
        if (take_char(t, '-') && (!take_number(t, GNO_MAX, &to) || to < from))
            return false;
        member_add(member_put(s, uuid, tag, tag_n), from, to + 1);
    }
    return true;
}

static bool
parse_mariadb(struct gtid_set *s, struct bytes *t)
{
    struct domain d;
    if (!take_domain_gtid(t, &d))
        return false;
    *domain_put(s, d.domain) = d;
    return true;
}

bool
gtid_set_parse(enum gtid_flavor flavor, struct bytes text, struct gtid_set **out, struct err *e)
{
    struct bytes t = text;
    if (text.n > GTID_TEXT_MAX)
        return bad_gtid(text, e);
    struct gtid_set *s = gtid_set_new(flavor);
    skip_space(&t);
    while (t.n) {
        bool ok = flavor == GTID_MYSQL ? parse_uuid_set(s, &t) : parse_mariadb(s, &t);
        if (!ok || (t.n && !take_char(&t, ','))) {
            gtid_set_free(s);
            return bad_gtid(text, e);
        }
    }
    *out = s;
    return true;
}

static void
uuid_text(const uint8_t uuid[16], struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    char t[UUID_TEXT];
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (at == 8 || at == 13 || at == 18 || at == 23)
            t[at++] = '-';
        t[at++] = hex[uuid[i] >> 4];
        t[at++] = hex[uuid[i] & 15];
    }
    buf_add(out, t, sizeof t);
}

static void
member_text(const struct member *m, bool same_uuid, struct buf *out)
{
    if (!same_uuid)
        uuid_text(m->uuid, out);
    if (m->tag_n) {
        buf_add_byte(out, ':');
        buf_add(out, m->tag, m->tag_n);
    }
    for (size_t i = 0; i < m->n; i++) {
        buf_add_byte(out, ':');
        buf_add_u64_text(out, m->v[i].from);
        if (m->v[i].to - 1 > m->v[i].from) {
            buf_add_byte(out, '-');
            buf_add_u64_text(out, m->v[i].to - 1);
        }
    }
}

static void
domains_text(const struct gtid_set *s, struct buf *out)
{
    for (size_t i = 0; i < s->domain_n; i++)
        buf_addf(out, "%s%u-%u-%llu", i ? "," : "", s->domains[i].domain, s->domains[i].server,
                 (unsigned long long)s->domains[i].seq);
}

void
gtid_set_text(const struct gtid_set *s, struct buf *out)
{
    const struct member *prev = NULL;
    if (s->flavor == GTID_MARIADB) {
        domains_text(s, out);
        return;
    }
    for (size_t i = 0; i < s->member_n; i++) {
        const struct member *m = &s->members[i];
        if (!m->n)
            continue;
        bool same = prev && memcmp(prev->uuid, m->uuid, 16) == 0;
        if (prev && !same)
            buf_add_byte(out, ',');
        member_text(m, same, out);
        prev = m;
    }
}

/* ---- one transaction ---- */

static void
prefix_remember(struct gtid_set *s, struct bytes gtid, size_t at)
{
    size_t n = gtid.n;
    while (n && gtid.p[n - 1] != ':')
        n--;
    s->prefix_n = n <= sizeof s->prefix ? n : 0;
    memcpy(s->prefix, gtid.p, s->prefix_n);
    s->last = at;
}

/* The same member as last time; false: not known to be, parse it. */
static bool
add_by_prefix(struct gtid_set *s, struct bytes gtid)
{
    if (!s->prefix_n || gtid.n <= s->prefix_n || memcmp(gtid.p, s->prefix, s->prefix_n) != 0)
        return false;
    struct bytes t = {gtid.p + s->prefix_n, gtid.n - s->prefix_n};
    uint64_t n;
    if (!take_number(&t, GNO_MAX, &n) || t.n || n == 0)
        return false;
    member_add(&s->members[s->last], n, n + 1);
    return true;
}

bool
gtid_set_add(struct gtid_set *s, struct bytes gtid, struct err *e)
{
    if (s->flavor == GTID_MARIADB) {
        struct domain d;
        struct bytes t = gtid;
        if (!take_domain_gtid(&t, &d) || t.n)
            return bad_gtid(gtid, e);
        *domain_put(s, d.domain) = d;
        return true;
    }
    if (add_by_prefix(s, gtid))
        return true;
    struct gtid g;
    if (!take_gtid(gtid, &g))
        return bad_gtid(gtid, e);
    struct member *m = member_put(s, g.uuid, g.tag, g.tag_n);
    member_add(m, g.n, g.n + 1);
    prefix_remember(s, gtid, (size_t)(m - s->members));
    return true;
}

bool
gtid_set_has(const struct gtid_set *s, struct bytes gtid)
{
    if (s->flavor == GTID_MARIADB) {
        struct domain d;
        struct bytes t = gtid;
        return take_domain_gtid(&t, &d) && t.n == 0 && domain_seq(s, d.domain) >= d.seq;
    }
    struct gtid g;
    bool found;
    if (!take_gtid(gtid, &g))
        return false;
    size_t at = member_find(s, g.uuid, g.tag, g.tag_n, &found);
    return found && member_has(&s->members[at], g.n, g.n + 1);
}

/* ---- sets ---- */

static bool
domains_cover(const struct gtid_set *a, const struct gtid_set *b)
{
    for (size_t i = 0; i < b->domain_n; i++)
        if (domain_seq(a, b->domains[i].domain) < b->domains[i].seq)
            return false;
    return true;
}

bool
gtid_set_covers(const struct gtid_set *a, const struct gtid_set *b)
{
    if (a->flavor != b->flavor)
        return false;
    for (size_t i = 0; i < b->member_n; i++) {
        const struct member *m = &b->members[i];
        bool found;
        size_t at = member_find(a, m->uuid, m->tag, m->tag_n, &found);
        if (m->n && (!found || !member_covers(&a->members[at], m)))
            return false;
    }
    return domains_cover(a, b);
}

void
gtid_set_union(struct gtid_set *into, const struct gtid_set *from)
{
    for (size_t i = 0; i < from->member_n; i++) {
        const struct member *m = &from->members[i];
        if (m->n)
            member_union(member_put(into, m->uuid, m->tag, m->tag_n), m);
    }
    for (size_t i = 0; i < from->domain_n; i++) {
        struct domain *d = domain_put(into, from->domains[i].domain);
        if (d->seq <= from->domains[i].seq)
            *d = from->domains[i];
    }
}

void
gtid_set_subtract(struct gtid_set *from, const struct gtid_set *what)
{
    for (size_t i = 0; i < from->member_n; i++) {
        struct member *m = &from->members[i];
        bool found;
        size_t at = member_find(what, m->uuid, m->tag, m->tag_n, &found);
        if (found)
            member_subtract(m, &what->members[at]);
    }
}

bool
gtid_set_empty(const struct gtid_set *s)
{
    for (size_t i = 0; i < s->member_n; i++)
        if (s->members[i].n)
            return false;
    return s->domain_n == 0;
}

/* ---- COM_BINLOG_DUMP_GTID ---- */

static void
add_le64(struct buf *out, uint64_t v)
{
    uint8_t b[8];
    for (size_t i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    buf_add(out, b, sizeof b);
}

/* Untagged: u64 count. Tagged: u64 = 1 << 56 | count << 8 | 1, and each entry has its tag after
 * the uuid, its length shifted by one (a one-byte variable-length integer). */
void
gtid_set_encode(const struct gtid_set *s, struct buf *out)
{
    uint64_t count = 0;
    bool tagged = false;
    for (size_t i = 0; i < s->member_n; i++) {
        count += s->members[i].n > 0;
        tagged = tagged || (s->members[i].n && s->members[i].tag_n);
    }
    add_le64(out, tagged ? (uint64_t)1 << 56 | count << 8 | 1 : count);
    for (size_t i = 0; i < s->member_n; i++) {
        const struct member *m = &s->members[i];
        if (!m->n)
            continue;
        buf_add(out, m->uuid, 16);
        if (tagged) {
            buf_add_byte(out, (uint8_t)(m->tag_n << 1));
            buf_add(out, m->tag, m->tag_n);
        }
        add_le64(out, m->n);
        for (size_t k = 0; k < m->n; k++) {
            add_le64(out, m->v[k].from);
            add_le64(out, m->v[k].to);
        }
    }
}
