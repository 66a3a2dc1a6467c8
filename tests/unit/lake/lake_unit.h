/* A folder of its own for a test's warehouse, and a table in it. */
#ifndef MILLRACE_TESTS_UNIT_LAKE_UNIT_H
#define MILLRACE_TESTS_UNIT_LAKE_UNIT_H

#include <unistd.h>

#include "unit/base/unit.h"

#include "base/mem.h"
#include "lake/commit.h"

#define MUST_PASS(call)                             \
    do {                                            \
        struct err must_e = {0};                    \
        if (!(call))                                \
            fail_msg("%s: %s", #call, must_e.text); \
    } while (0)

static inline char *
scratch_new(void)
{
    char *folder = mem_strdup("/tmp/millrace-lake-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline void
scratch_free(char *folder)
{
    char *command = mem_printf("rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

static inline struct catalog *
scratch_catalog(const char *folder)
{
    struct uri u;
    struct catalog *c = NULL;
    char *text =
        mem_printf("iceberg+sql://%s/catalog.db?warehouse=file://%s/lake", folder, folder);
    MUST_PASS(uri_parse(text, &u, &must_e));
    MUST_PASS(catalog_open(&u, &c, &must_e));
    uri_free(&u);
    free(text);
    return c;
}

static const struct lake_field scratch_fields[] = {
    {1, "id", {.kind = LAKE_LONG}, true},
    {2, "name", {.kind = LAKE_STRING}, false},
    {3, "small", {.kind = LAKE_INT}, false},
};
static const int32_t scratch_key[] = {1};
static const struct lake_schema scratch_schema = {0, scratch_fields, 3, scratch_key, 1};
static const struct catalog_name scratch_name = {"ns", "t"};

static inline struct metadata *
scratch_metadata(const char *location, int version)
{
    struct metadata *m = NULL;
    struct metadata_conf conf = {
        .version = version, .location = location, .schema = &scratch_schema};
    MUST_PASS(metadata_new(&conf, &m, &must_e));
    return m;
}

static inline struct lake_table *
scratch_open(struct catalog *c)
{
    struct lake_table *t = NULL;
    MUST_PASS(lake_table_open(c, &scratch_name, &t, &must_e));
    return t;
}

static inline struct lake_table *
scratch_table(struct catalog *c, int version)
{
    struct catalog_table made;
    char *location = catalog_table_location(c, &scratch_name);
    struct metadata *m = scratch_metadata(location, version);
    MUST_PASS(catalog_make_namespace(c, scratch_name.space, &must_e));
    MUST_PASS(catalog_create(c, &scratch_name, m, &made, &must_e));
    metadata_free(m);
    catalog_table_free(&made);
    free(location);
    return scratch_open(c);
}

/* A data file that need not exist: commits do not read it. */
static inline struct data_file
scratch_file(const char *path, int64_t rows)
{
    return (struct data_file){.content = DATA_FILE_ROWS,
                              .path = path,
                              .format = "PARQUET",
                              .rows = rows,
                              .size = 100,
                              .sort_order_id = -1,
                              .first_row_id = -1,
                              .content_offset = -1,
                              .content_size = -1};
}

static inline struct data_file
scratch_vector(const char *path, const char *data_file, int64_t rows)
{
    struct data_file f = scratch_file(path, rows);
    f.content = DATA_FILE_POSITIONS;
    f.format = "PUFFIN";
    f.referenced = data_file;
    f.content_offset = 4;
    f.content_size = 40;
    return f;
}

#endif
