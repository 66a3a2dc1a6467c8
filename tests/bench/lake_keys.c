/* lake_keys FILES ROWS UPDATES BATCH FOLDER: FILES x ROWS keys in as many data files, whose
 * bounds all overlap; UPDATES of them are looked for in batches by the key index. Every key
 * must be found once, where it was put. Prints the time to build the index, CPU microseconds a
 * key looked for, bytes read of data files per 1,000 keys (first without, then with the index
 * there), and the process's memory in MiB.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "lake/key_index.h"
#include "lake/parquet_writer.h"
#include "support/driver.h"

#define STEP 1000

static const struct lake_field FIELD = {1, "id", {.kind = LAKE_LONG}, true};

struct world {
    uint64_t files, rows;
    const char *folder;
    uint64_t bytes_read;
    uint64_t found;
};

struct data {
    struct world *world;
    int fd;
    char path[512];
    struct key_index_data index;
    const int64_t *ids; /* of the batch */
    uint64_t number;
};

static void
die(const char *what)
{
    fprintf(stderr, "lake_keys: %s\n", what);
    exit(1);
}

static bool
to_file(void *ctx, struct bytes b, struct err *e)
{
    const struct data *d = ctx;
    return write(d->fd, b.p, b.n) == (ssize_t)b.n || err_set(e, MR_IO, "write");
}

static bool
from_file(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    const struct data *d = ctx;
    d->world->bytes_read += n;
    return pread(d->fd, out, n, (off_t)offset) == (ssize_t)n || err_set(e, MR_IO, "read");
}

/* Row p of file f has the id f + files * p. */
static void
write_data(struct data *d)
{
    static struct cell cells[STEP];
    static const struct cell *rows[STEP];
    struct parquet_column column = {.field = FIELD, .bloom = true};
    struct parquet_conf conf = {.columns = &column,
                                .column_count = 1,
                                .codec = PARQUET_ZSTD,
                                .sink = to_file,
                                .sink_ctx = d};
    struct parquet_writer *w;
    struct parquet_file file;
    struct err e;
    if (!parquet_writer_new(&conf, &w, &e))
        die(e.text);
    for (uint64_t p = 0; p < d->world->rows; p += STEP) {
        for (uint64_t i = 0; i < STEP; i++) {
            uint64_t id = d->number + d->world->files * (p + i);
            cells[i] = (struct cell){.kind = CELL_INT, .v.u = id};
            rows[i] = &cells[i];
        }
        if (!parquet_writer_rows(w, rows, STEP, &e))
            die(e.text);
    }
    if (!parquet_writer_finish(w, &file, &e))
        die(e.text);
    d->index = (struct key_index_data){d->path, file.rows, {file.bytes, from_file, d}};
    parquet_writer_free(w);
}

static bool
note(void *ctx, size_t key, uint64_t position, struct err *e)
{
    const struct data *d = ctx;
    if ((uint64_t)d->ids[key] != d->number + d->world->files * position)
        die("a wrong row");
    d->world->found++;
    return true;
}

static void
put_memory(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        long kib;
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            printf(" vmhwm_mib=%ld", kib / 1024);
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            printf(" rssanon_mib=%ld", kib / 1024);
    }
    if (f)
        fclose(f);
}

/* Keys begin .. begin + n of a sequence that visits every id once. */
static void
look(struct key_index *x, struct data *data, uint64_t begin, uint64_t n)
{
    struct world *w = data[0].world;
    struct key_batch *b = key_batch_new(x);
    struct err e;
    uint64_t all = w->files * w->rows;
    int64_t *ids = calloc(n, sizeof *ids);
    for (uint64_t i = 0; ids && i < n; i++) {
        ids[i] = (int64_t)((begin + i) * 7368787 % all); /* a prime */
        struct cell key = {.kind = CELL_INT, .v.i = ids[i]};
        if (key_batch_add(b, &key) != i)
            die("a key twice");
    }
    for (uint64_t f = 0; f < w->files; f++) {
        data[f].ids = ids;
        if (!key_index_find(x, b, &data[f].index, note, &data[f], &e))
            die(e.text);
    }
    key_batch_free(b);
    free(ids);
}

int
main(int argc, char **argv)
{
    if (argc != 6)
        die("usage: lake_keys FILES ROWS UPDATES BATCH FOLDER");
    struct world w = {strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) / STEP * STEP,
                      argv[5], 0, 0};
    uint64_t updates = strtoull(argv[3], NULL, 10), batch = strtoull(argv[4], NULL, 10);
    struct data *data = calloc(w.files, sizeof *data);
    char folder[512];
    struct key_index *x;
    struct err e;
    if (!data || !w.rows || !batch || updates > w.files * w.rows)
        die("nothing to do");
    for (uint64_t f = 0; f < w.files; f++) {
        data[f].world = &w;
        data[f].number = f;
        snprintf(data[f].path, sizeof data[f].path, "%s/%" PRIu64 ".parquet", w.folder, f);
        data[f].fd = open(data[f].path, O_CREAT | O_TRUNC | O_RDWR, 0600);
        if (data[f].fd < 0)
            die("no file");
        write_data(&data[f]);
    }
    snprintf(folder, sizeof folder, "%s/index", w.folder);
    struct key_index_conf conf = {folder, &FIELD, 1, 0};
    if (!key_index_open(&conf, &x, &e))
        die(e.text);
    double cpu = driver_cpu_seconds();
    look(x, data, 0, batch);
    printf("build_cpu_s=%.2f build_bytes=%" PRIu64, driver_cpu_seconds() - cpu, w.bytes_read);
    w.bytes_read = 0;
    cpu = driver_cpu_seconds();
    for (uint64_t i = batch; i < updates; i += batch)
        look(x, data, i, batch);
    cpu = driver_cpu_seconds() - cpu;
    if (w.found != (updates + batch - 1) / batch * batch)
        die("keys are missing");
    printf(" key_cpu_us=%.3f bytes_per_1000=%.0f", cpu * 1e6 / (double)(updates - batch),
           (double)w.bytes_read * 1000 / (double)updates);
    put_memory();
    printf("\n");
    key_index_close(x);
    free(data);
    return 0;
}
