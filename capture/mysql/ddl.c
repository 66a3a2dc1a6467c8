/* Statement classification: see ddl.h. */
#include "capture/mysql/ddl.h"

#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>
#include <wctype.h>

#include "base/mem.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    struct bytes text; /* WORD and QUOTED: the name itself */
    const uint8_t *begin;
};

struct lexer {
    struct reader r;
    struct arena *arena;
    struct token t; /* the token ahead */
    unsigned depth; /* of parentheses, before t */
};

#define LIST_MAX 1024

struct names {
    struct source_name v[LIST_MAX];
    size_t n;
};

/* ---- tokens ---- */

static uint8_t
peek(const struct lexer *x, size_t i)
{
    return reader_left(&x->r) > i ? x->r.p[i] : 0;
}

static void
skip_past(struct lexer *x, const char *end)
{
    size_t n = strlen(end);
    while (reader_left(&x->r) >= n && memcmp(x->r.p, end, n) != 0)
        x->r.p++;
    reader_take(&x->r, reader_left(&x->r) < n ? reader_left(&x->r) : n);
}

/* Version comments hold code: only their opening and closing are skipped. */
static bool
skip_comment(struct lexer *x)
{
    uint8_t a = peek(x, 0), b = peek(x, 1), c = peek(x, 2);
    if (a == '#' || (a == '-' && b == '-' && c <= ' ')) {
        skip_past(x, "\n");
    } else if (a == '/' && b == '*' && (c == '!' || (c == 'M' && peek(x, 3) == '!'))) {
        reader_take(&x->r, c == '!' ? 3 : 4);
        while (peek(x, 0) >= '0' && peek(x, 0) <= '9')
            x->r.p++;
    } else if (a == '/' && b == '*') {
        reader_take(&x->r, 2);
        skip_past(x, "*/");
    } else if (a == '*' && b == '/') {
        reader_take(&x->r, 2);
    } else {
        return false;
    }
    return true;
}

static bool
is_word_byte(uint8_t c)
{
    return c >= 0x80 || c == '_' || c == '$' || (c >= '0' && c <= '9') ||
           (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_escape(uint8_t c, uint8_t quote, uint8_t following)
{
    return (c == quote && following == quote) || (c == '\\' && quote != '`');
}

/* Behind the opening quote. Doubled quotes stand for one; backslashes escape in strings. */
static struct bytes
quoted(struct lexer *x, uint8_t quote)
{
    const uint8_t *begin = x->r.p;
    bool escapes = false;
    while (reader_left(&x->r) && (peek(x, 0) != quote || peek(x, 1) == quote)) {
        bool pair = reader_left(&x->r) > 1 && is_escape(peek(x, 0), quote, peek(x, 1));
        x->r.p += pair ? 2 : 1;
        escapes = escapes || pair;
    }
    struct bytes raw = bytes_of(begin, (size_t)(x->r.p - begin));
    if (reader_left(&x->r))
        x->r.p++;
    if (!escapes)
        return raw;
    uint8_t *out = arena_alloc(x->arena, raw.n);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        i += i + 1 < raw.n && is_escape(raw.p[i], quote, raw.p[i + 1]);
        out[n++] = raw.p[i];
    }
    return bytes_of(out, n);
}

static void
next(struct lexer *x)
{
    x->depth += x->t.kind == TOKEN_SIGN && x->t.text.p[0] == '(';
    x->depth -= x->t.kind == TOKEN_SIGN && x->t.text.p[0] == ')' && x->depth;
    while (reader_left(&x->r) && (peek(x, 0) <= ' ' || skip_comment(x)))
        if (reader_left(&x->r) && peek(x, 0) <= ' ')
            x->r.p++;
    x->t = (struct token){TOKEN_END, {x->r.p, 0}, x->r.p};
    if (!reader_left(&x->r))
        return;
    uint8_t c = peek(x, 0);
    const uint8_t *begin = x->r.p;
    if (c == '`' || c == '"' || c == '\'') {
        x->r.p++;
        x->t = (struct token){c == '\'' ? TOKEN_STRING : TOKEN_QUOTED, quoted(x, c), begin};
        return;
    }
    x->r.p++;
    while (is_word_byte(c) && is_word_byte(peek(x, 0)))
        x->r.p++;
    x->t.kind = is_word_byte(c) ? TOKEN_WORD : TOKEN_SIGN;
    x->t.text = bytes_of(begin, (size_t)(x->r.p - begin));
}

static bool
same_word(struct bytes a, const char *b)
{
    return a.n == strlen(b) && strncasecmp((const char *)a.p, b, a.n) == 0;
}

static bool
at_word(const struct lexer *x, const char *word)
{
    return x->t.kind == TOKEN_WORD && same_word(x->t.text, word);
}

static bool
at_sign(const struct lexer *x, char c)
{
    return x->t.kind == TOKEN_SIGN && x->t.text.p[0] == (uint8_t)c;
}

static bool
take_word(struct lexer *x, const char *word)
{
    bool there = at_word(x, word);
    if (there)
        next(x);
    return there;
}

/* Any of the words, space separated. */
static bool
at_any(const struct lexer *x, const char *words)
{
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, " ");
        if (x->t.kind == TOKEN_WORD && x->t.text.n == n &&
            strncasecmp((const char *)x->t.text.p, w, n) == 0)
            return true;
        w += n + strspn(w + n, " ");
    }
    return false;
}

static void
skip_any(struct lexer *x, const char *words)
{
    while (at_any(x, words))
        next(x);
}

/* [database .] name; false when there is none. */
static bool
take_name(struct lexer *x, struct bytes database, struct source_name *out)
{
    if (x->t.kind != TOKEN_WORD && x->t.kind != TOKEN_QUOTED)
        return false;
    *out = (struct source_name){database, x->t.text};
    next(x);
    if (!at_sign(x, '.'))
        return true;
    next(x);
    if (x->t.kind != TOKEN_WORD && x->t.kind != TOKEN_QUOTED)
        return false;
    out->database = out->table;
    out->table = x->t.text;
    next(x);
    return true;
}

static bool
add_name(struct lexer *x, struct bytes database, struct names *list)
{
    return list->n < LIST_MAX && take_name(x, database, &list->v[list->n]) && ++list->n;
}

/* ---- ALTER TABLE ---- */

#define COLUMNS_MAX 64

struct alter {
    struct source_ddl *ddl;
    struct names *names;
    struct source_rename *columns;
    struct bytes *dropped;
    struct source_added *added;
    struct bytes *redefined;
    struct source_added *current; /* the column an ADD speaks of, NULL: no ADD */
};

static bool
at_name(const struct lexer *x)
{
    return x->t.kind == TOKEN_WORD || x->t.kind == TOKEN_QUOTED;
}

/* More columns than we keep: what became of them is not known. */
static bool
has_room(struct alter *al, size_t n)
{
    if (n >= COLUMNS_MAX)
        al->ddl->rows_kept = false;
    return n < COLUMNS_MAX;
}

static void
note_added(struct lexer *x, struct alter *al)
{
    if (!at_name(x) || !has_room(al, al->ddl->added_count))
        return;
    al->current = &al->added[al->ddl->added_count++];
    *al->current = (struct source_added){.name = x->t.text};
    next(x);
}

/* Behind DEFAULT: -1.50, 'text', b'101', TRUE, NULL. */
static void
note_default(struct lexer *x, struct alter *al)
{
    if (at_sign(x, '(') ||
        at_any(x, "CURRENT_TIMESTAMP NOW LOCALTIME LOCALTIMESTAMP UUID NEXT NEXTVAL"))
        al->ddl->rows_kept = al->ddl->rows_kept && !al->current;
    if (!al->current)
        return;
    const uint8_t *begin = x->t.begin;
    al->current->has_default = true;
    while (at_sign(x, '-') || at_sign(x, '+') || at_sign(x, '.') ||
           (at_any(x, "b x") && peek(x, 0) == '\'') ||
           (x->t.kind == TOKEN_WORD && peek(x, 0) == '.'))
        next(x);
    if (x->t.kind == TOKEN_STRING)
        al->current->value = bytes_of(begin, (size_t)(x->r.p - begin));
    else if (x->t.kind == TOKEN_WORD)
        al->current->value = bytes_of(begin, (size_t)(x->t.text.p + x->t.text.n - begin));
}

static void
alter_rename(struct lexer *x, struct alter *al)
{
    if (take_word(x, "INDEX") || take_word(x, "KEY"))
        return;
    struct source_name from, to;
    if (take_word(x, "COLUMN")) {
        skip_any(x, "IF EXISTS");
        if (take_name(x, (struct bytes){0}, &from) && take_word(x, "TO") &&
            take_name(x, (struct bytes){0}, &to) && al->ddl->column_count < LIST_MAX)
            al->columns[al->ddl->column_count++] = (struct source_rename){from.table, to.table};
        return;
    }
    if (at_sign(x, '='))
        next(x);
    skip_any(x, "TO AS");
    if (add_name(x, al->ddl->database, al->names))
        al->ddl->kind = SOURCE_DDL_RENAME;
    al->ddl->moves_only = x->t.kind == TOKEN_END || at_sign(x, ';');
}

/* The name behind MODIFY and CHANGE. */
static bool
take_redefined(struct lexer *x, struct alter *al, struct source_name *out)
{
    skip_any(x, "COLUMN IF EXISTS");
    if (!take_name(x, (struct bytes){0}, out))
        return false;
    if (has_room(al, al->ddl->redefined_count))
        al->redefined[al->ddl->redefined_count++] = out->table;
    return true;
}

static void
alter_modify(struct lexer *x, struct alter *al)
{
    struct source_name name;
    if (!take_redefined(x, al, &name))
        al->ddl->rows_kept = false;
}

static void
alter_change(struct lexer *x, struct alter *al)
{
    struct source_name from, to;
    if (take_redefined(x, al, &from) && take_name(x, (struct bytes){0}, &to) &&
        !bytes_eq(from.table, to.table) && al->ddl->column_count < LIST_MAX)
        al->columns[al->ddl->column_count++] = (struct source_rename){from.table, to.table};
}

static void
alter_drop(struct lexer *x, struct alter *al)
{
    if (at_any(x, "PRIMARY INDEX KEY FOREIGN CONSTRAINT CHECK SYSTEM PERIOD"))
        return;
    if (at_word(x, "PARTITION")) {
        al->ddl->rows_kept = false;
        return;
    }
    skip_any(x, "COLUMN IF EXISTS");
    if (at_name(x) && has_room(al, al->ddl->dropped_count))
        al->dropped[al->ddl->dropped_count++] = x->t.text;
}

/* ADD (a INT DEFAULT 1, b INT): up to the closing parenthesis. */
static void
alter_add_list(struct lexer *x, struct alter *al)
{
    unsigned depth = x->depth;
    next(x);
    note_added(x, al);
    while (x->t.kind != TOKEN_END && !(at_sign(x, ')') && x->depth == depth + 1)) {
        bool comma = at_sign(x, ',') && x->depth == depth + 1;
        if (take_word(x, "DEFAULT"))
            note_default(x, al);
        else
            next(x);
        if (comma &&
            !at_any(x, "INDEX KEY UNIQUE PRIMARY FOREIGN FULLTEXT SPATIAL CONSTRAINT CHECK"))
            note_added(x, al);
    }
    al->current = NULL;
}

static void
alter_add(struct lexer *x, struct alter *al)
{
    if (at_any(x, "INDEX KEY UNIQUE PRIMARY FOREIGN FULLTEXT SPATIAL CONSTRAINT CHECK "
                  "PARTITION SYSTEM PERIOD"))
        return;
    skip_any(x, "COLUMN IF NOT EXISTS");
    if (at_sign(x, '('))
        alter_add_list(x, al);
    else
        note_added(x, al);
}

/* EXCHANGE PARTITION p WITH TABLE other: the rows of both change. */
static void
alter_exchange(struct lexer *x, struct alter *al)
{
    al->ddl->rows_kept = false;
    while (x->t.kind != TOKEN_END && !take_word(x, "TABLE"))
        next(x);
    if (!add_name(x, al->ddl->database, al->names))
        al->ddl->kind = SOURCE_DDL_UNCLEAR;
}

/* A word that begins an action, or tells of one, wherever it stands outside parentheses. */
static void
alter_word(struct lexer *x, struct alter *al)
{
    struct source_ddl *d = al->ddl;
    if (at_any(x, "RENAME CHANGE DROP ADD MODIFY ALTER CONVERT"))
        al->current = NULL;
    if (take_word(x, "RENAME")) {
        alter_rename(x, al);
    } else if (take_word(x, "CHANGE")) {
        alter_change(x, al);
    } else if (take_word(x, "DROP")) {
        alter_drop(x, al);
    } else if (take_word(x, "ADD")) {
        alter_add(x, al);
    } else if (take_word(x, "MODIFY")) {
        alter_modify(x, al);
    } else if (take_word(x, "CONVERT")) {
        d->converts_all = true;
        d->rows_kept = d->rows_kept && !at_any(x, "PARTITION TABLE");
    } else if (take_word(x, "DEFAULT")) {
        note_default(x, al);
    } else if (take_word(x, "EXCHANGE")) {
        alter_exchange(x, al);
    } else if (at_any(x, "TRUNCATE DISCARD IMPORT")) {
        d->rows_kept = false;
        next(x);
    } else if (take_word(x, "AUTO_INCREMENT")) {
        d->rows_kept = d->rows_kept && (d->added_count == 0 || at_sign(x, '='));
    } else {
        next(x);
    }
}

static bool
dropped_and_added(const struct source_ddl *d)
{
    for (size_t i = 0; i < d->dropped_count; i++)
        for (size_t k = 0; k < d->added_count; k++)
            if (d->dropped[i].n == d->added[k].name.n &&
                strncasecmp((const char *)d->dropped[i].p, (const char *)d->added[k].name.p,
                            d->dropped[i].n) == 0)
                return true;
    return false;
}

static enum ddl_class
classify_alter(struct lexer *x, struct source_ddl *d, struct names *names)
{
    bool ignore = false;
    while (at_any(x, "ONLINE OFFLINE IGNORE")) {
        ignore = ignore || at_word(x, "IGNORE");
        next(x);
    }
    if (!take_word(x, "TABLE"))
        return DDL_NOTHING;
    skip_any(x, "IF EXISTS");
    struct alter al = {.ddl = d, .names = names};
    al.columns = arena_alloc(x->arena, LIST_MAX * sizeof(*al.columns));
    d->dropped = al.dropped = arena_alloc(x->arena, COLUMNS_MAX * sizeof(*al.dropped));
    d->added = al.added = arena_alloc(x->arena, COLUMNS_MAX * sizeof(*al.added));
    d->redefined = al.redefined = arena_alloc(x->arena, COLUMNS_MAX * sizeof(*al.redefined));
    d->kind = add_name(x, d->database, names) ? SOURCE_DDL_ALTER : SOURCE_DDL_UNCLEAR;
    d->columns = al.columns;
    d->rows_kept = !ignore;
    bool first = at_word(x, "RENAME");
    while (x->t.kind != TOKEN_END) {
        if (at_sign(x, ',') && x->depth == 0)
            al.current = NULL;
        if (x->t.kind == TOKEN_WORD && x->depth == 0)
            alter_word(x, &al);
        else
            next(x);
    }
    d->rows_kept = d->rows_kept && !dropped_and_added(d);
    d->moves_only = d->moves_only && first && d->kind == SOURCE_DDL_RENAME;
    return DDL_TABLE;
}

/* ---- the other statements ---- */

/* ... ON table, of CREATE INDEX and DROP INDEX. */
static enum ddl_class
classify_index(struct lexer *x, struct source_ddl *d, struct names *names)
{
    while (x->t.kind != TOKEN_END && !at_word(x, "ON"))
        next(x);
    next(x);
    d->kind = add_name(x, d->database, names) ? SOURCE_DDL_ALTER : SOURCE_DDL_UNCLEAR;
    return DDL_TABLE;
}

static enum ddl_class
classify_create(struct lexer *x, struct source_ddl *d, struct names *names)
{
    if (take_word(x, "OR")) {
        take_word(x, "REPLACE");
        d->rows_kept = false;
    }
    if (at_word(x, "TEMPORARY"))
        return DDL_NOTHING;
    skip_any(x, "ONLINE OFFLINE UNIQUE FULLTEXT SPATIAL VECTOR");
    if (take_word(x, "INDEX"))
        return classify_index(x, d, names);
    if (!take_word(x, "TABLE"))
        return DDL_NOTHING;
    skip_any(x, "IF NOT EXISTS");
    d->kind = add_name(x, d->database, names) ? SOURCE_DDL_CREATE : SOURCE_DDL_UNCLEAR;
    return DDL_TABLE;
}

static enum ddl_class
classify_drop(struct lexer *x, struct source_ddl *d, struct names *names)
{
    if (at_word(x, "TEMPORARY"))
        return DDL_NOTHING;
    skip_any(x, "ONLINE OFFLINE");
    if (take_word(x, "INDEX"))
        return classify_index(x, d, names);
    d->rows_kept = false;
    if (take_word(x, "DATABASE") || take_word(x, "SCHEMA")) {
        skip_any(x, "IF EXISTS");
        d->kind = SOURCE_DDL_DROP_DATABASE;
        struct source_name name;
        if (!take_name(x, (struct bytes){0}, &name))
            d->kind = SOURCE_DDL_UNCLEAR;
        else
            names->v[names->n++] = (struct source_name){name.table, {NULL, 0}};
        return DDL_TABLE;
    }
    if (!at_any(x, "TABLE TABLES"))
        return DDL_NOTHING;
    next(x);
    skip_any(x, "IF EXISTS");
    d->kind = SOURCE_DDL_DROP;
    do {
        if (at_sign(x, ','))
            next(x);
        if (!add_name(x, d->database, names))
            d->kind = SOURCE_DDL_UNCLEAR;
    } while (at_sign(x, ','));
    return DDL_TABLE;
}

static enum ddl_class
classify_rename(struct lexer *x, struct source_ddl *d, struct names *names)
{
    if (!at_any(x, "TABLE TABLES"))
        return DDL_NOTHING;
    next(x);
    skip_any(x, "IF EXISTS");
    d->kind = SOURCE_DDL_RENAME;
    do {
        if (at_sign(x, ','))
            next(x);
        bool from = add_name(x, d->database, names);
        while (x->t.kind == TOKEN_WORD && !at_word(x, "TO"))
            next(x); /* WAIT n, NOWAIT */
        if (!from || !take_word(x, "TO") || !add_name(x, d->database, names))
            d->kind = SOURCE_DDL_UNCLEAR;
    } while (at_sign(x, ',') && d->kind == SOURCE_DDL_RENAME);
    d->moves_only = d->kind == SOURCE_DDL_RENAME;
    return DDL_TABLE;
}

/* A plain target has its name right behind the verb; several tables or a subquery give no name.
 */
static enum ddl_class
classify_dml(struct lexer *x, struct source_ddl *d, struct names *names)
{
    bool update = at_word(x, "UPDATE");
    next(x);
    skip_any(x, "LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK IGNORE INTO FROM ONLY");
    if (add_name(x, d->database, names)) {
        bool plain = x->t.kind != TOKEN_SIGN || at_sign(x, '(') || at_sign(x, ';');
        if (!plain || (update && !at_word(x, "SET")))
            names->n = 0;
    }
    return DDL_DML;
}

static enum ddl_class
classify_transaction(struct lexer *x)
{
    if (take_word(x, "BEGIN"))
        return DDL_BEGIN;
    if (take_word(x, "START"))
        return at_word(x, "TRANSACTION") ? DDL_BEGIN : DDL_NOTHING;
    if (take_word(x, "COMMIT"))
        return DDL_COMMIT;
    if (take_word(x, "ROLLBACK")) {
        skip_any(x, "WORK");
        return at_word(x, "TO") ? DDL_ROLLBACK_TO : DDL_ROLLBACK;
    }
    if (take_word(x, "XA"))
        return at_any(x, "START BEGIN") ? DDL_XA_START : DDL_XA_OTHER;
    return at_any(x, "SAVEPOINT RELEASE") ? DDL_SAVEPOINT : DDL_NOTHING;
}

static enum ddl_class
classify(struct lexer *x, struct source_ddl *d, struct names *names)
{
    if (at_word(x, "SET")) { /* MariaDB: SET STATEMENT v=1 FOR ... */
        next(x);
        if (!at_word(x, "STATEMENT"))
            return DDL_NOTHING;
        while (x->t.kind != TOKEN_END && !at_word(x, "FOR"))
            next(x);
        next(x);
    }
    if (at_any(x, "INSERT REPLACE UPDATE DELETE"))
        return classify_dml(x, d, names);
    if (at_any(x, "WITH LOAD"))
        return DDL_DML;
    if (take_word(x, "ALTER"))
        return classify_alter(x, d, names);
    if (take_word(x, "CREATE"))
        return classify_create(x, d, names);
    if (take_word(x, "DROP"))
        return classify_drop(x, d, names);
    if (take_word(x, "RENAME"))
        return classify_rename(x, d, names);
    if (take_word(x, "TRUNCATE")) {
        take_word(x, "TABLE");
        return add_name(x, d->database, names) ? DDL_TRUNCATE : DDL_TABLE;
    }
    return classify_transaction(x);
}

void
ddl_classify(struct bytes sql, struct bytes database, struct arena *a, struct ddl *out)
{
    struct names *names = mem_alloc(sizeof(*names));
    names->n = 0;
    *out = (struct ddl){
        .ddl = {
            .kind = SOURCE_DDL_UNCLEAR, .sql = sql, .database = database, .rows_kept = true}};
    struct lexer x = {.r = reader_of(sql), .arena = a};
    next(&x);
    out->class = classify(&x, &out->ddl, names);
    if (out->ddl.kind == SOURCE_DDL_UNCLEAR)
        out->ddl.rows_kept = false;
    struct bytes copy = arena_copy(a, bytes_of(names->v, names->n * sizeof(names->v[0])));
    out->ddl.names = (const struct source_name *)(const void *)copy.p;
    out->ddl.name_count = names->n;
    free(names);
}

/* ---- names ---- */

/* The next ASCII byte, in lower case; 0 at the end. */
static uint8_t
next_folded(struct reader *r)
{
    uint8_t c = 0x80;
    while (c >= 0x80 && reader_left(r))
        c = reader_u8(r);
    if (c >= 0x80)
        return 0;
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool
same_name(struct bytes a, struct bytes b, bool fold)
{
    if (!fold)
        return bytes_eq(a, b);
    struct reader x = reader_of(a), y = reader_of(b);
    for (;;) {
        uint8_t c = next_folded(&x), d = next_folded(&y);
        if (c != d)
            return false;
        if (!c)
            return true;
    }
}

bool
ddl_name_means(const struct source_name *said, const struct source_name *name, bool fold)
{
    return same_name(said->database, name->database, fold) &&
           (said->table.n == 0 || same_name(said->table, name->table, fold));
}

static struct bytes
lower(struct bytes name, struct arena *a)
{
    mbstate_t in = {0}, out = {0};
    const char *p = (const char *)name.p, *end = p + name.n;
    char *to = arena_alloc(a, name.n * 2 + MB_LEN_MAX);
    size_t n = 0;
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C", NULL);
    locale_t before = uselocale(utf8);
    while (p < end && n <= name.n * 2) {
        wchar_t c;
        size_t took = mbrtowc(&c, p, (size_t)(end - p), &in);
        if (took == 0 || took > (size_t)(end - p))
            break;
        n += wcrtomb(to + n, (wchar_t)towlower((wint_t)c), &out);
        p += took;
    }
    uselocale(before);
    freelocale(utf8);
    return p == end ? bytes_of(to, n) : name; /* what is no UTF-8 stays as it is */
}

void
ddl_fold_names(struct ddl *d, struct arena *a)
{
    struct source_name *names = arena_zalloc(a, (d->ddl.name_count + 1) * sizeof(*names));
    for (size_t i = 0; i < d->ddl.name_count; i++)
        names[i] = (struct source_name){lower(d->ddl.names[i].database, a),
                                        lower(d->ddl.names[i].table, a)};
    d->ddl.names = names;
}
