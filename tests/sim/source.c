/* The source database: transactions appear in its log before they are visible, and a failover
 * may put independent ones into another order. */
#include <string.h>

#include "sim.h"

static const unsigned keys_of[2] = {8, 6};

void
source_init(struct source *s, bool gtid)
{
    memset(s, 0, sizeof *s);
    s->gtid = gtid;
}

void
source_server_text(const struct source *s, char out[40])
{
    snprintf(out, 40, "aaaaaaaa-0000-0000-0000-%012u", s->server);
}

/* With GTIDs a failover may put it elsewhere. */
uint64_t
source_place(const struct source *s, unsigned txn)
{
    for (unsigned i = 0; s->gtid && i < s->n; i++) {
        if (s->log[i] == txn)
            return 100 * ((uint64_t)i + 1);
    }
    return s->txn[txn].pos;
}

/* Binlog coordinates in file mode: transaction i of the log is [100 i, 100 i + 100). */
uint64_t
source_end_pos(const struct source *s, unsigned txn)
{
    return s->txn[txn].pos + 100;
}

static void
row_apply(const struct row *r, struct state *st)
{
    if (r->op == ROW_ALTER) {
        st->ver[r->table]++;
    } else if (r->op == ROW_TRUNCATE) {
        if (r->table == T_K)
            memset(st->k, 0, sizeof st->k);
        else
            memset(st->rows[r->table], 0, sizeof st->rows[0]);
    } else if (r->table == T_K) {
        st->k[r->val] += r->op == ROW_CREATE ? 1 : -1;
    } else {
        st->rows[r->table][r->key] = (struct value){r->val, r->uval, r->op != ROW_DELETE};
        if (r->op == ROW_DELETE)
            st->rows[r->table][r->key] = (struct value){0};
    }
}

void
source_state(const struct source *s, const struct set *done, struct state *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned t = 0; t < TABLES; t++)
        out->ver[t] = 1;
    for (unsigned g = 1; g <= s->n; g++) {
        if (!set_has(done, g))
            continue;
        for (unsigned i = 0; i < s->txn[g].n; i++)
            row_apply(&s->txn[g].rows[i], out);
    }
}

void
source_all(const struct source *s, struct set *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned g = 1; g <= s->n; g++)
        set_add(out, g);
}

/* What transactions not yet visible hold: bits of keys; bit 0 the whole table. u has one writer
 * at a time. */
static void
source_locks(const struct source *s, uint32_t lock[TABLES])
{
    memset(lock, 0, TABLES * sizeof *lock);
    for (unsigned g = 1; g <= s->n; g++) {
        if (set_has(&s->visible, g))
            continue;
        for (unsigned i = 0; i < s->txn[g].n; i++) {
            const struct row *r = &s->txn[g].rows[i];
            bool whole = r->op == ROW_TRUNCATE || r->op == ROW_ALTER || r->table == T_U;
            lock[r->table] |= whole ? 1u : 0;
            lock[r->table] |= 1u << (r->table == T_K ? 8 : r->key);
        }
    }
}

static void
source_commit(struct world *w, const struct row *rows, unsigned n)
{
    struct source *s = &w->s;
    if (s->n + 1 >= TXNS_MAX)
        return;
    unsigned g = ++s->n;
    struct txn *t = &s->txn[g];
    memcpy(t->rows, rows, n * sizeof *rows);
    t->n = n;
    t->pos = 100 * (uint64_t)g;
    snprintf(t->gtid, sizeof t->gtid, "bbbbbbbb-0000-0000-0000-000000000001:%u", g);
    if (s->gtid)
        memcpy(t->id, t->gtid, sizeof t->id);
    else
        snprintf(t->id, sizeof t->id, "binlog.000001:%llu", (unsigned long long)t->pos);
    s->log[g - 1] = g;
    world_ev(w,
             "source: txn %u in the log, not yet visible: %u rows, first %c of table %u key %u",
             g, n, rows[0].op, rows[0].table, rows[0].key);
}

static unsigned
free_uval(const struct state *st, uint64_t r)
{
    unsigned list[8], n = 0;
    for (unsigned x = 1; x <= 7; x++) {
        bool used = false;
        for (unsigned k = 1; k < KEYS_MAX; k++)
            used = used || (st->rows[T_U][k].there && st->rows[T_U][k].uval == x);
        if (!used)
            list[n++] = x;
    }
    return list[r % n];
}

struct writing {
    struct world *w;
    struct state st;
    struct row rows[TXN_ROWS];
    unsigned n;
};

static void
put(struct writing *x, unsigned table, enum row_op op, unsigned key, struct value v)
{
    struct row *r = &x->rows[x->n++];
    *r = (struct row){(uint8_t)table, (uint8_t)op, (uint8_t)key,
                      v.uval,         v.val,       x->st.ver[table]};
    row_apply(r, &x->st);
}

static void
write_k(struct writing *x, uint64_t r, bool locked)
{
    unsigned present[4], n = 0;
    for (unsigned v = 0; v < 4; v++) {
        if (x->st.k[v] > 0)
            present[n++] = v;
    }
    if (r % 3 == 0 && n && !locked)
        put(x, T_K, ROW_DELETE, 0, (struct value){present[r / 3 % n], 0, false});
    else
        put(x, T_K, ROW_CREATE, 0, (struct value){(uint32_t)(r / 3 % 4), 0, true});
}

static void
write_a(struct writing *x, unsigned key, uint64_t r)
{
    bool there = x->st.rows[T_A][key].there;
    if (there && r % 4 == 0)
        put(x, T_A, ROW_DELETE, key, (struct value){0});
    else
        put(x, T_A, there ? ROW_UPDATE : ROW_CREATE, key,
            (struct value){x->w->s.uniq, 0, true});
}

/* Moves the unique value to another key (a key change), deletes, or writes. */
static void
write_u(struct writing *x, unsigned key, uint64_t r)
{
    struct value old = x->st.rows[T_U][key];
    uint32_t val = x->w->s.uniq;
    if (old.there && r % 2 == 0) {
        unsigned to = 1 + (unsigned)((key + r / 2) % keys_of[T_U]);
        put(x, T_U, ROW_DELETE, key, (struct value){0});
        if (x->st.rows[T_U][to].there)
            put(x, T_U, ROW_DELETE, to, (struct value){0});
        put(x, T_U, ROW_CREATE, to, (struct value){val, old.uval, true});
    } else if (old.there && r % 5 == 1) {
        put(x, T_U, ROW_DELETE, key, (struct value){0});
    } else {
        struct value v = {val, (uint8_t)free_uval(&x->st, r), true};
        put(x, T_U, old.there ? ROW_UPDATE : ROW_CREATE, key, v);
    }
}

/* TRUNCATE and ALTER are transactions of their own. */
static bool
write_event(struct world *w, uint64_t r, const struct writing *x, const uint32_t lock[TABLES])
{
    if (r % (w->o->many_events ? 2 : 11) != 0)
        return false;
    r /= 11;
    bool alter = r % 2;
    unsigned t = alter ? (unsigned)(r / 2 % TABLES) : (r / 2 % 2 ? T_K : T_A);
    if (!lock[t]) {
        struct row row = {.table = (uint8_t)t,
                          .op = alter ? ROW_ALTER : ROW_TRUNCATE,
                          .ver = x->st.ver[t] + alter};
        source_commit(w, &row, 1);
    }
    return true;
}

void
source_write(struct world *w, uint64_t r)
{
    static const unsigned sizes[5] = {1, 1, 2, 3, 5};
    static const unsigned tables[4] = {T_A, T_A, T_U, T_K};
    uint32_t lock[TABLES];
    struct set all;
    struct writing x = {.w = w};
    source_locks(&w->s, lock);
    source_all(&w->s, &all);
    source_state(&w->s, &all, &x.st);
    unsigned n = sizes[r % 5];
    r /= 5;
    if (write_event(w, r, &x, lock))
        return;
    r /= 23;
    for (unsigned i = 0; i < n && x.n + 4 <= TXN_ROWS; i++) {
        unsigned t = tables[r % 4];
        r /= 4;
        w->s.uniq++;
        if (lock[t] & 1)
            continue;
        if (t == T_K) {
            write_k(&x, r, lock[T_K] != 0);
        } else {
            unsigned key = 1 + (unsigned)(r % keys_of[t]);
            if (lock[t] >> key & 1)
                continue;
            if (t == T_A)
                write_a(&x, key, r / keys_of[t]);
            else
                write_u(&x, key, r / keys_of[t]);
        }
        r = r / 8 + w->s.uniq * 13;
    }
    if (x.n)
        source_commit(w, x.rows, x.n);
}

void
source_visible(struct world *w, uint64_t r)
{
    unsigned hidden[TXNS_MAX], n = 0;
    for (unsigned g = 1; g <= w->s.n; g++) {
        if (!set_has(&w->s.visible, g))
            hidden[n++] = g;
    }
    if (n == 0)
        return;
    set_add(&w->s.visible, hidden[r % n]);
    world_ev(w, "source: txn %u visible", hidden[r % n]);
}

static bool
is_whole_table(const struct row *r)
{
    return r->op == ROW_TRUNCATE || r->op == ROW_ALTER;
}

static bool
conflict(const struct txn *a, const struct txn *b)
{
    for (unsigned i = 0; i < a->n; i++) {
        for (unsigned j = 0; j < b->n; j++) {
            const struct row *x = &a->rows[i], *y = &b->rows[j];
            if (x->table != y->table)
                continue;
            if (x->table == T_U || is_whole_table(x) || is_whole_table(y) || x->table == T_K ||
                x->key == y->key)
                return true;
        }
    }
    return false;
}

bool
source_failover(struct world *w, uint64_t r)
{
    struct source *s = &w->s;
    if (!s->gtid)
        return false;
    source_all(s, &s->visible);
    uint32_t x = (uint32_t)r & 0x7fffffff;
    for (unsigned j = 0; s->n > 2 && j < 3 * s->n; j++) {
        x = (x * 1103515245u + 12345u) & 0x7fffffff;
        unsigned i = (x >> 8) % (s->n - 1);
        if (i == 0 || conflict(&s->txn[s->log[i]], &s->txn[s->log[i + 1]]))
            continue;
        unsigned g = s->log[i];
        s->log[i] = s->log[i + 1];
        s->log[i + 1] = g;
    }
    s->server++;
    world_ev(w, "source fails over to server %u", s->server);
    return true;
}

void
source_mark(struct source *s, struct position *out)
{
    struct err e;
    position_free(out);
    position_init(out, POSITION_MYSQL);
    source_server_text(s, out->server);
    snprintf(out->file, sizeof out->file, "binlog.000001");
    if (!s->gtid) {
        source_all(s, &s->visible);
        out->pos = 100 * ((uint64_t)s->n + 1);
        return;
    }
    out->gtid = gtid_set_new(GTID_MYSQL);
    for (unsigned g = 1; g <= s->n; g++) {
        if (set_has(&s->visible, g) && !gtid_set_add(out->gtid, bytes_str(s->txn[g].gtid), &e))
            mem_die("gtid: %s", e.text);
    }
}
