#include "schema/table_rows.h"

#include "base/hash.h"

/* Columns of `t`, and one more when `rows` is not KEYED. */
static struct table *
copy_columns(const struct table *t, enum table_rows rows, uint16_t columns)
{
    struct json *j = table_to_json(t);
    struct table *copy;
    struct err never;
    json_set(j, "rows", json_null_new());
    if (!table_from_json(j, &copy, &never))
        copy = table_new(t->database, t->name);
    json_free(j);
    uint16_t kept = columns < t->column_count ? columns : t->column_count;
    struct column *list = arena_zalloc(&copy->arena, (columns + 1u) * sizeof *list);
    memcpy(list, copy->columns, kept * sizeof *list);
    copy->columns = list;
    copy->column_count = columns;
    copy->rows = rows;
    return copy;
}

bool
table_with_rows(const struct table *t, enum table_rows rows, struct table **out, struct err *e)
{
    if (table_column_find(t, BYTES_LIT(TABLE_ROW_COLUMN)) >= 0)
        return err_set(e, MR_SOURCE_TYPE, "%s.%s has a column " TABLE_ROW_COLUMN " of its own",
                       t->database, t->name);
    struct table *copy = copy_columns(t, rows, (uint16_t)(t->column_count + 1u));
    copy->columns[t->column_count] = (struct column){
        .name = TABLE_ROW_COLUMN,
        .type = COL_BINARY,
        .invisible = true,
        .length = TABLE_ROW_BYTES,
        .source_type = "binary(16)",
    };
    table_seal(copy);
    *out = copy;
    return true;
}

struct table *
table_without_rows(struct table *t)
{
    if (t->rows == TABLE_KEYED)
        return table_ref(t);
    struct table *copy = copy_columns(t, TABLE_KEYED, (uint16_t)(t->column_count - 1u));
    table_seal(copy);
    return copy;
}

static void
add_u64(struct buf *out, uint64_t v)
{
    uint8_t b[8];
    for (unsigned i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    buf_add(out, b, sizeof b);
}

static void
add_cell(const struct cell *c, struct buf *out)
{
    buf_add_byte(out, c->kind);
    switch ((enum cell_kind)c->kind) {
    case CELL_ABSENT:
    case CELL_NULL:
        break;
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_BYTES:
    case CELL_JSON:
    case CELL_GEOMETRY:
    case CELL_VECTOR:
        add_u64(out, c->len);
        buf_add(out, c->v.p, c->len);
        break;
    default:
        add_u64(out, c->v.u);
    }
}

void
table_row_key(const struct cell *row, uint16_t columns, struct buf *scratch,
              uint8_t out[TABLE_ROW_BYTES])
{
    uint8_t sum[32];
    buf_reset(scratch);
    for (uint16_t i = 0; i < columns; i++)
        add_cell(row + i, scratch);
    hash_sha256(buf_bytes(scratch), sum);
    memcpy(out, sum, TABLE_ROW_BYTES);
}
