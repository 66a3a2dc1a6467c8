/* Does an existing target table take the rows of a source table? */
#include "base/text.h"
#include "schema/target_ddl_mysql.h"
#include "schema/types_mysql.h"

/* ---- one column ---- */

static bool
integer_fits(const struct column *want, const struct column *have)
{
    static const uint8_t digits[] = {3, 5, 8, 10, 20};
    if (have->type == COL_DECIMAL)
        return have->precision - have->scale >= digits[want->type];
    if (!type_is_integer(have->type))
        return false;
    if (want->is_unsigned == have->is_unsigned)
        return have->type >= want->type;
    return want->is_unsigned && have->type > want->type;
}

static bool
decimal_fits(const struct column *want, const struct column *have)
{
    return have->type == COL_DECIMAL && have->scale >= want->scale &&
           have->precision - have->scale >= want->precision - want->scale;
}

/* Bytes that a TEXT or BLOB holds. */
static uint64_t
large_capacity(enum column_type t)
{
    switch (t) {
    case COL_TINYTEXT:
    case COL_TINYBLOB:
        return 0xff;
    case COL_TEXT:
    case COL_BLOB:
        return 0xffff;
    case COL_MEDIUMTEXT:
    case COL_MEDIUMBLOB:
        return 0xffffff;
    default:
        return 0xffffffff;
    }
}

static bool
is_large(enum column_type t)
{
    return (t >= COL_TINYTEXT && t <= COL_LONGTEXT) || (t >= COL_TINYBLOB && t <= COL_LONGBLOB);
}

/* Charset names: utf8 and utf8mb3 are one; all of them fit in utf8mb4. */
static bool
charset_fits(const char *want, const char *have)
{
    if (!want || !have || strcmp(have, "utf8mb4") == 0 || strcmp(want, have) == 0)
        return true;
    bool have_utf8 = strcmp(have, "utf8") == 0 || strcmp(have, "utf8mb3") == 0;
    bool want_utf8 = strcmp(want, "utf8") == 0 || strcmp(want, "utf8mb3") == 0;
    return (have_utf8 && want_utf8) || strcmp(want, "ascii") == 0;
}

/* Text or bytes; CHAR pads and BINARY too, so a VAR type does not fit them. */
static bool
string_fits(const struct column *want, const struct column *have)
{
    unsigned width = type_is_text(want->type) ? 4 : 1;
    if (type_is_text(want->type) != type_is_text(have->type) ||
        type_is_binary(want->type) != type_is_binary(have->type) ||
        !charset_fits(want->charset, have->charset))
        return false;
    if (is_large(have->type))
        return large_capacity(have->type) >= (is_large(want->type)
                                                  ? large_capacity(want->type)
                                                  : (uint64_t)want->length * width);
    if (is_large(want->type) || have->length < want->length)
        return false;
    if (have->type == COL_BINARY)
        return want->type == COL_BINARY && want->length == have->length;
    return have->type == want->type || want->type == COL_CHAR || want->type == COL_BINARY;
}

static bool
has_label(const struct column *c, struct bytes label)
{
    for (uint32_t i = 0; i < c->label_count; i++)
        if (bytes_eq(c->labels[i], label))
            return true;
    return false;
}

static bool
labels_fit(const struct column *want, const struct column *have)
{
    if (have->type != want->type)
        return type_is_text(have->type) && (is_large(have->type) || have->length >= 255);
    for (uint32_t i = 0; i < want->label_count; i++)
        if (!has_label(have, want->labels[i]))
            return false;
    return true;
}

static bool
text_holds(const struct column *have, uint32_t characters)
{
    return type_is_text(have->type) &&
           (is_large(have->type) ? large_capacity(have->type) >= characters
                                 : have->length >= characters);
}

static bool
bytes_hold(const struct column *have, uint32_t bytes)
{
    return type_is_binary(have->type) && have->type != COL_BINARY &&
           (is_large(have->type) ? large_capacity(have->type) >= bytes : have->length >= bytes);
}

bool
ddl_column_fits(const struct column *want, const struct column *have)
{
    if (type_is_integer(want->type))
        return integer_fits(want, have);
    if (type_is_text(want->type) || type_is_binary(want->type))
        return string_fits(want, have);
    switch (want->type) {
    case COL_FLOAT:
        return have->type == COL_FLOAT || have->type == COL_DOUBLE;
    case COL_DECIMAL:
        return decimal_fits(want, have);
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        return have->type == want->type && have->scale >= want->scale;
    case COL_BIT:
        return have->type == COL_BIT && have->length >= want->length;
    case COL_ENUM:
    case COL_SET:
        return labels_fit(want, have);
    case COL_JSON:
        return have->type == COL_JSON || have->type == COL_LONGTEXT;
    case COL_UUID:
        return have->type == COL_UUID || text_holds(have, 36);
    case COL_INET4:
        return have->type == COL_INET4 || text_holds(have, 15);
    case COL_INET6:
        return have->type == COL_INET6 || text_holds(have, 45);
    case COL_VECTOR:
        return have->type == COL_VECTOR ? have->length == want->length
                                        : bytes_hold(have, want->length * 4);
    default:
        return have->type == want->type;
    }
}

/* ---- the table ---- */

static void
add_type(const struct column *c, enum source_flavor flavor, struct buf *out)
{
    ddl_type_text(c, flavor, out);
    if (c->charset)
        buf_addf(out, " character set %s", c->charset);
    if (!c->nullable)
        buf_add_str(out, " not null");
}

static void
report_type(const struct table *want_t, const struct column *want, const struct table *have_t,
            const struct column *have, struct buf *out)
{
    buf_addf(out, "column %s: ", want->name);
    add_type(have, have_t->flavor, out);
    buf_add_str(out, " does not take every ");
    add_type(want, want_t->flavor, out);
    buf_add_byte(out, '\n');
}

static void
compare_column(const struct table *want_t, const struct column *want,
               const struct table *have_t, struct buf *out)
{
    int at = table_column_find(have_t, bytes_str(want->name));
    const struct column *have = at < 0 ? NULL : &have_t->columns[at];
    if (want->generated)
        return;
    if (!have) {
        buf_addf(out, "column %s is missing\n", want->name);
        return;
    }
    if (have->generated)
        buf_addf(out, "column %s is generated, it cannot be written\n", want->name);
    else if (!ddl_column_fits(want, have) || (want->nullable && !have->nullable))
        report_type(want_t, want, have_t, have, out);
}

static void
compare_extra(const struct table *want, const struct column *have, struct buf *out)
{
    int at = table_column_find(want, bytes_str(have->name));
    bool written = at >= 0 && !want->columns[at].generated;
    if (!written && !have->nullable && !have->default_sql && !have->generated)
        buf_addf(out, "column %s is not null, has no default and is not written\n", have->name);
}

static bool
key_has(const struct table *t, const struct unique_key *u, const char *name,
        bool prefix_is_right)
{
    for (unsigned i = 0; i < u->column_count; i++)
        if (strcmp(t->columns[u->columns[i]].name, name) == 0)
            return prefix_is_right || u->prefixes[i] == 0;
    return false;
}

/* The row's key covers only the beginning of its k-th column. */
static bool
key_prefix(const struct table *t, unsigned k)
{
    for (unsigned i = 0; i < t->unique_count; i++)
        if (t->uniques[i].columns == t->key)
            return t->uniques[i].prefixes[k] != 0;
    return false;
}

/* A unique key of the target over exactly the row's key columns. */
static const struct unique_key *
find_key(const struct table *want, const struct table *have)
{
    for (unsigned i = 0; i < have->unique_count; i++) {
        const struct unique_key *u = &have->uniques[i];
        unsigned found = 0;
        for (unsigned k = 0; k < want->key_count; k++)
            found += key_has(have, u, want->columns[want->key[k]].name, key_prefix(want, k));
        if (u->column_count == want->key_count && found == want->key_count)
            return u;
    }
    return NULL;
}

/* Two values that differ at the source may be equal under the target's collation. */
static bool
collation_may_join(const struct column *want, const struct column *have)
{
    const char *a = want->collation, *b = have->collation;
    if (!a || !b || strcmp(a, b) == 0 || strstr(b, "_0900_bin") || strstr(b, "nopad_bin"))
        return false;
    bool utf8 = text_starts(a, "utf8") && text_starts(b, "utf8");
    const char *tail_a = strchr(a, '_'), *tail_b = strchr(b, '_');
    return !(utf8 && tail_a && tail_b && strcmp(tail_a, tail_b) == 0);
}

static void
compare_key(const struct table *want, const struct table *have, struct buf *out)
{
    if (!want->key_count || want->rows != TABLE_KEYED)
        return;
    if (!find_key(want, have)) {
        buf_add_str(out, "no unique key over exactly (");
        for (unsigned i = 0; i < want->key_count; i++)
            buf_addf(out, "%s%s", i ? ", " : "", want->columns[want->key[i]].name);
        buf_add_str(out, ")\n");
        return;
    }
    for (unsigned i = 0; i < want->key_count; i++) {
        const struct column *c = &want->columns[want->key[i]];
        int at = table_column_find(have, bytes_str(c->name));
        if (at >= 0 && collation_may_join(c, &have->columns[at]))
            buf_addf(out,
                     "key column %s: collation %s may take values for equal that %s keeps "
                     "apart\n",
                     c->name, have->columns[at].collation, c->collation);
    }
}

/* Not their types: who else would call a column so? */
static void
compare_log(const struct table *want, const struct table *have, struct buf *out)
{
    for (unsigned i = 0; want->rows == TABLE_APPEND && i < ARRAY_LEN(ddl_log_columns); i++) {
        struct bytes name = bytes_str(ddl_log_columns[i].name);
        if (table_column_find(want, name) >= 0)
            buf_addf(out, "column %s is the source's own\n", ddl_log_columns[i].name);
        else if (table_column_find(have, name) < 0)
            buf_addf(out, "column %s is missing\n", ddl_log_columns[i].name);
    }
}

bool
ddl_compare(const struct table *want, const struct table *have, struct buf *differences)
{
    size_t before = differences->n;
    for (unsigned i = 0; i < want->column_count; i++)
        compare_column(want, &want->columns[i], have, differences);
    for (unsigned i = 0; i < have->column_count; i++)
        compare_extra(want, &have->columns[i], differences);
    compare_key(want, have, differences);
    compare_log(want, have, differences);
    return differences->n == before;
}
