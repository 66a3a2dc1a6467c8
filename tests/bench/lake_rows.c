/* lake_rows < CASES: Parquet files of the rows that it is given, for
 * tests/real/test_parquet.py, which made them and has other programs read the files; and what
 * our own reader finds in them.
 *
 * A case is a line of JSON {path, codec, level, batch, page_bytes, page_rows, group_bytes,
 * group_rows, dictionary_bytes, bloom_bytes, rows, alter: [row, column], columns: [{id, name,
 * type, required, metrics, bloom}]}, then a line per row, fields between tabs: `-` is null,
 * else a letter and a value (see read_cell). Answer: a line of JSON with what a manifest needs,
 * or {error}.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "lake/parquet_reader.h"
#include "lake/parquet_writer.h"

struct input {
    char *line;
    size_t cap;
};

static void
die(const char *what)
{
    fprintf(stderr, "lake_rows: %s\n", what);
    exit(1);
}

static bool
next_line(struct input *in)
{
    ssize_t n = getline(&in->line, &in->cap, stdin);
    if (n > 0 && in->line[n - 1] == '\n')
        in->line[n - 1] = '\0';
    return n > 0;
}

static double
double_of(const char *hex)
{
    uint64_t bits = strtoull(hex, NULL, 16);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void
set_bytes(struct cell *c, enum cell_kind kind, struct arena *a, const char *text, bool hex)
{
    size_t n = hex ? strlen(text) / 2 : strlen(text);
    uint8_t *p = arena_alloc(a, n + 1);
    if (!hex)
        memcpy(p, text, n);
    else if (!hex_decode(text, p, n))
        die("no hex");
    *c = (struct cell){.kind = (uint8_t)kind, .len = (uint32_t)n, .v.p = p};
}

static struct cell
read_cell(struct arena *a, const char *text)
{
    struct cell c = {.kind = CELL_NULL};
    const char *value = text + 1;
    static const struct {
        char letter;
        enum cell_kind kind;
    } numbers[] = {{'i', CELL_INT},  {'u', CELL_UINT},     {'D', CELL_DATE},
                   {'T', CELL_TIME}, {'P', CELL_DATETIME}, {'S', CELL_TIMESTAMP},
                   {'Y', CELL_YEAR}, {'B', CELL_BIT}};
    if (*text == 't' || *text == 'b' || *text == 'm') {
        enum cell_kind kind = *text == 't'   ? CELL_TEXT
                              : *text == 'b' ? CELL_BYTES
                                             : CELL_DECIMAL;
        set_bytes(&c, kind, a, value, *text != 'm');
    } else if (*text == 'f' || *text == 'd') {
        c.kind = *text == 'f' ? CELL_FLOAT : CELL_DOUBLE;
        c.v.d = double_of(value);
    } else if (*text != '-') {
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            if (numbers[i].letter == *text)
                c.kind = (uint8_t)numbers[i].kind;
        c.v.u = *value == '-' ? (uint64_t)strtoll(value, NULL, 10) : strtoull(value, NULL, 10);
    }
    return c;
}

static const struct cell *
read_row(struct input *in, struct arena *a, uint32_t columns)
{
    struct cell *row = arena_alloc(a, columns * sizeof *row);
    char *rest = NULL;
    if (!next_line(in))
        die("a row is missing");
    char *field = strtok_r(in->line, "\t", &rest);
    for (uint32_t i = 0; i < columns; i++, field = strtok_r(NULL, "\t", &rest)) {
        if (!field)
            die("a field is missing");
        row[i] = read_cell(a, field);
    }
    return row;
}

static int
index_of(const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (text && !strcmp(text, names[i]))
            return i;
    die("an unknown name");
    return 0;
}

static void
read_columns(const struct json *list, struct arena *a, struct parquet_conf *conf)
{
    static const char *const metrics[] = {"bounds", "full", "counts", "none"};
    struct parquet_column *columns = arena_zalloc(a, json_len(list) * sizeof *columns);
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *j = json_at(list, i);
        struct lake_field *f = &columns[i].field;
        f->id = (int32_t)json_get_i64(j, "id", 0);
        f->name = arena_strdup(a, json_get_str(j, "name", ""));
        f->required = json_get_bool(j, "required", false);
        if (!lake_type_parse(bytes_str(json_get_str(j, "type", "")), &f->type))
            die("no type");
        columns[i].metrics =
            (enum parquet_metrics)index_of(json_get_str(j, "metrics", "bounds"), metrics, 4);
        columns[i].bloom = json_get_bool(j, "bloom", false);
    }
    conf->columns = columns;
    conf->column_count = (uint32_t)json_len(list);
}

static bool
to_file(void *ctx, struct bytes b, struct err *e)
{
    return fwrite(b.p, 1, b.n, ctx) == b.n || err_set(e, MR_IO, "the file cannot be written");
}

static struct parquet_conf
read_conf(const struct json *j, struct arena *a)
{
    static const char *const codecs[] = {"none", "snappy", "zstd", "lz4", "gzip"};
    struct parquet_conf conf = {
        .codec = (enum parquet_codec)index_of(json_get_str(j, "codec", "zstd"), codecs, 5),
        .level = (int)json_get_i64(j, "level", 0),
        .page_bytes = json_get_u64(j, "page_bytes", 0),
        .page_rows = (uint32_t)json_get_u64(j, "page_rows", 0),
        .group_bytes = json_get_u64(j, "group_bytes", 0),
        .group_rows = json_get_u64(j, "group_rows", 0),
        .dictionary_bytes = json_get_u64(j, "dictionary_bytes", 0),
        .bloom_bytes = json_get_u64(j, "bloom_bytes", 0),
        .sink = to_file,
    };
    read_columns(json_get(j, "columns"), a, &conf);
    return conf;
}

/* Another value of the same kind: what a writer that errs would make. */
static void
alter_cell(struct cell *c)
{
    static const uint8_t other[] = "?";
    if (c->kind == CELL_TEXT || c->kind == CELL_BYTES)
        *c = (struct cell){.kind = c->kind, .len = c->len != 1, .v.p = other};
    else if (c->kind == CELL_FLOAT || c->kind == CELL_DOUBLE)
        c->v.d = c->v.d == 7 ? 8 : 7;
    else
        c->v.u ^= 1;
}

static void
put_bound(const char *name, bool has, struct bytes b)
{
    char *hex = malloc(2 * b.n + 1);
    if (!hex)
        die("no memory");
    hex_encode(b, hex);
    printf(",\"%s\":", name);
    printf(has ? "\"%s\"" : "null", hex);
    free(hex);
}

static void
put_file(const struct parquet_file *f)
{
    printf("{\"rows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"zeros\":%" PRIu64 ",\"splits\":[",
           f->rows, f->bytes, f->zeros_nulled);
    for (uint32_t i = 0; i < f->split_count; i++)
        printf("%s%" PRId64, i ? "," : "", f->split_offsets[i]);
    printf("],\"columns\":[");
    for (uint32_t i = 0; i < f->column_count; i++) {
        const struct parquet_column_metrics *m = &f->columns[i];
        printf("%s{\"id\":%" PRId32 ",\"bytes\":%" PRIu64 ",\"values\":%" PRIu64
               ",\"nulls\":%" PRIu64 ",\"nans\":%" PRIu64 ",\"counts\":%s,\"has_nans\":%s",
               i ? "," : "", m->id, m->bytes, m->values, m->nulls, m->nans,
               m->has_counts ? "true" : "false", m->has_nans ? "true" : "false");
        put_bound("lower", m->has_lower, m->lower);
        put_bound("upper", m->has_upper, m->upper);
        printf("}");
    }
    printf("]}\n");
}

static bool
write_file(const struct parquet_conf *conf, const struct cell *const *rows, size_t n,
           size_t batch, struct err *e)
{
    struct parquet_writer *w;
    struct parquet_file file;
    if (!parquet_writer_new(conf, &w, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i += batch)
        ok = parquet_writer_rows(w, rows + i, n - i < batch ? n - i : batch, e);
    ok = ok && parquet_writer_finish(w, &file, e);
    if (ok)
        put_file(&file);
    parquet_writer_free(w);
    return ok;
}

static bool
from_file(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    FILE *f = ctx;
    if (fseek(f, (long)offset, SEEK_SET) == 0 && fread(out, 1, n, f) == n)
        return true;
    return err_set(e, MR_IO, "the file cannot be read");
}

static void
put_cell(const struct cell *c)
{
    uint64_t bits;
    memcpy(&bits, &c->v, sizeof bits);
    if (c->kind == CELL_NULL) {
        printf("-");
    } else if (c->kind == CELL_INT) {
        printf("i%" PRId64, c->v.i);
    } else if (c->kind == CELL_FLOAT || c->kind == CELL_DOUBLE) {
        printf("%c%016" PRIx64, c->kind == CELL_FLOAT ? 'f' : 'd', bits);
    } else {
        printf("%c", c->kind == CELL_TEXT ? 't' : 'b');
        for (uint32_t i = 0; i < c->len; i++)
            printf("%02x", c->v.p[i]);
    }
}

static bool
put_rows(struct parquet_reader *r, uint32_t columns, struct err *e)
{
    struct parquet_batch b;
    uint64_t rows = 0;
    for (uint32_t g = 0; g < parquet_reader_groups(r); g++) {
        if (!parquet_reader_seek(r, g, e))
            return false;
        do {
            if (!parquet_reader_next(r, &b, e))
                return false;
            if (b.rows && b.position != rows)
                die("a wrong position");
            rows += b.rows;
            for (size_t i = 0; i < b.rows * columns; i++) {
                put_cell(&b.cells[i]);
                printf((i + 1) % columns ? "\t" : "\n");
            }
        } while (b.rows);
    }
    printf("{\"rows\":%" PRIu64 "}\n", rows);
    return true;
}

static bool
find_in_group(struct parquet_reader *r, const struct lake_field *f, uint32_t column,
              const struct cell *value, uint32_t columns, struct err *e)
{
    struct parquet_batch b;
    do {
        if (!parquet_reader_next(r, &b, e))
            return false;
        for (size_t i = 0; i < b.rows; i++) {
            const struct cell *c = &b.cells[i * columns + column];
            bool nan = (c->kind == CELL_FLOAT || c->kind == CELL_DOUBLE) && c->v.d != c->v.d;
            if (c->kind != CELL_NULL && !nan && lake_value_cmp(&f->type, c, value) == 0)
                printf("%" PRIu64 ",", b.position + i);
        }
    } while (b.rows);
    return true;
}

static bool
put_found(struct parquet_reader *r, const struct parquet_conf *conf, const struct json *find,
          struct arena *a, struct err *e)
{
    uint32_t column = (uint32_t)json_u64_value(json_at(find, 0), 0), skipped = 0;
    struct cell value = read_cell(a, json_str_value(json_at(find, 1), "-"));
    bool may;
    printf("{\"positions\":[");
    for (uint32_t g = 0; g < parquet_reader_groups(r); g++) {
        if (!parquet_reader_may_have(r, g, column, &value, &may, e))
            return false;
        skipped += !may;
        if (may && (!parquet_reader_seek(r, g, e) ||
                    !find_in_group(r, &conf->columns[column].field, column, &value,
                                   conf->column_count, e)))
            return false;
    }
    printf("-1],\"skipped\":%" PRIu32 "}\n", skipped);
    return true;
}

static void
read_case(const struct json *j, const struct parquet_conf *conf, struct arena *a)
{
    struct err e;
    struct parquet_reader *r = NULL;
    const struct json *find = json_get(j, "find");
    struct lake_field *fields = arena_alloc(a, conf->column_count * sizeof *fields);
    for (uint32_t i = 0; i < conf->column_count; i++)
        fields[i] = conf->columns[i].field;
    FILE *in = fopen(json_get_str(j, "path", ""), "rb");
    if (!in || fseek(in, 0, SEEK_END) != 0)
        die("no file");
    struct parquet_source source = {(uint64_t)ftell(in), from_file, in};
    if (!parquet_reader_open(&source, fields, conf->column_count, &r, &e) ||
        !(find ? put_found(r, conf, find, a, &e) : put_rows(r, conf->column_count, &e)))
        printf("\n{\"error\":%d}\n", (int)e.code);
    parquet_reader_free(r);
    fclose(in);
}

static void
write_case(struct input *in, const struct json *j, struct parquet_conf *conf, struct arena *a)
{
    struct err e;
    size_t n = json_get_u64(j, "rows", 0);
    const struct cell **rows = arena_alloc(a, (n + 1) * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        rows[i] = read_row(in, a, conf->column_count);
    const struct json *alter = json_get(j, "alter");
    if (json_len(alter) == 2) {
        struct cell *row = arena_alloc(a, conf->column_count * sizeof *row);
        size_t r = json_u64_value(json_at(alter, 0), 0),
               c = json_u64_value(json_at(alter, 1), 0);
        memcpy(row, rows[r], conf->column_count * sizeof *row);
        alter_cell(&row[c]);
        rows[r] = row;
    }
    FILE *out = fopen(json_get_str(j, "path", ""), "wb");
    if (!out)
        die("no file");
    conf->sink_ctx = out;
    if (!write_file(conf, rows, n, json_get_u64(j, "batch", n + 1), &e))
        printf("{\"error\":%d}\n", (int)e.code);
    fclose(out);
}

static void
run_case(struct input *in)
{
    struct json *j;
    struct err e;
    struct arena a;
    arena_init(&a, (size_t)1 << 20);
    if (!json_parse(bytes_str(in->line), &j, &e))
        die(e.text);
    struct parquet_conf conf = read_conf(j, &a);
    if (json_get_bool(j, "read", false) || json_get(j, "find"))
        read_case(j, &conf, &a);
    else
        write_case(in, j, &conf, &a);
    fflush(stdout);
    json_free(j);
    arena_free(&a);
}

int
main(void)
{
    struct input in = {0};
    while (next_line(&in))
        run_case(&in);
    free(in.line);
    return 0;
}
