/* lake_sink URI UNIT VERB N [VERB N]... [SETTING=VALUE]...: the Iceberg sink without Kafka, on
 * the table of support/sink_rig.h, in units of work of UNIT rows.
 *
 *   fill N     keys 0 .. N - 1, with n = 0
 *   sparse N   the same without every tenth key (0, 10, ..)
 *   keys N     the table has these already
 *   update N   N of the keys there, each at most once, all over the table; the i-th gets i + 1
 *   thin N     deletes every tenth of the keys 0 .. N - 1
 *
 * A line per verb: seconds, own CPU microseconds a row, bytes read by system calls per 1,000
 * rows. The rows of update: i -> i * 7368787 mod (keys), so that a reader knows every n.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "support/driver.h"
#include "support/sink_rig.h"

#define STEP  1024
#define PRIME 7368787 /* of update */

struct work {
    struct sink_rig rig;
    uint64_t unit;
    uint64_t keys; /* of the last fill */
    uint64_t units;
    uint64_t in_unit; /* rows of the open unit */
    struct sink_rig_row rows[STEP];
    size_t waiting;
};

static void
die(const char *what)
{
    fprintf(stderr, "lake_sink: %s\n", what);
    exit(1);
}

static uint64_t
bytes_read(void)
{
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/io", "r");
    if (f && fscanf(f, "rchar: %llu", &n) != 1)
        n = 0;
    if (f)
        fclose(f);
    return n;
}

/* ---- units ---- */

static void
send_rows(struct work *w, enum sink_op op)
{
    struct err e;
    enum sink_begin outcome = SINK_BASE;
    if (!w->in_unit && (!sink_rig_begin(&w->rig, &outcome, &e) || outcome != SINK_BASE))
        die(outcome == SINK_BASE ? e.text : "another base");
    if (!sink_rig_write(&w->rig, op, w->rows, w->waiting, &e))
        die(e.text);
    w->in_unit += w->waiting;
    w->waiting = 0;
}

static void
end_unit(struct work *w, enum sink_op op)
{
    char state[40];
    struct err e;
    if (w->waiting)
        send_rows(w, op);
    if (!w->in_unit)
        return;
    snprintf(state, sizeof state, "{\"unit\":%" PRIu64 "}", ++w->units);
    if (!sink_rig_commit(&w->rig, state, &e))
        die(e.text);
    w->in_unit = 0;
}

static void
put(struct work *w, enum sink_op op, uint64_t id, uint64_t n)
{
    w->rows[w->waiting++] = (struct sink_rig_row){(int64_t)id, (int64_t)n};
    if (w->waiting == STEP)
        send_rows(w, op);
    if (w->in_unit + w->waiting >= w->unit)
        end_unit(w, op);
}

/* ---- verbs: each gives the number of its rows ---- */

static uint64_t
fill_rows(struct work *w, uint64_t n, bool sparse)
{
    struct err e;
    uint64_t rows = 0;
    if (!w->keys && !sink_rig_create(&w->rig, &e))
        die(e.text);
    w->keys = n;
    for (uint64_t id = 0; id < n; id++) {
        if (sparse && id % 10 == 0)
            continue;
        put(w, SINK_UPSERT, id, 0);
        rows++;
    }
    end_unit(w, SINK_UPSERT);
    return rows;
}

static uint64_t
fill(struct work *w, uint64_t n)
{
    return fill_rows(w, n, false);
}

static uint64_t
fill_sparse(struct work *w, uint64_t n)
{
    return fill_rows(w, n, true);
}

static uint64_t
know_keys(struct work *w, uint64_t n)
{
    w->keys = n;
    return 0;
}

static uint64_t
update(struct work *w, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        put(w, SINK_UPSERT, i * PRIME % w->keys, i + 1);
    end_unit(w, SINK_UPSERT);
    return n;
}

static uint64_t
thin(struct work *w, uint64_t n)
{
    for (uint64_t id = 0; id < n; id += 10)
        put(w, SINK_DELETE, id, 0);
    end_unit(w, SINK_DELETE);
    return n / 10;
}

static void
run(struct work *w, const char *name, uint64_t (*verb)(struct work *, uint64_t), uint64_t n)
{
    uint64_t begin = clock_mono_us(), read = bytes_read();
    double cpu = driver_cpu_seconds();
    uint64_t rows = verb(w, n);
    double seconds = (double)(clock_mono_us() - begin) * 1e-6;
    if (!rows)
        return;
    printf("%s_seconds=%.3f %s_cpu_us=%.4f %s_read_per_1000=%.0f\n", name, seconds, name,
           (driver_cpu_seconds() - cpu) * 1e6 / (double)rows, name,
           (double)(bytes_read() - read) * 1000 / (double)rows);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t (*run)(struct work *, uint64_t);
    } verbs[] = {{"fill", fill},
                 {"sparse", fill_sparse},
                 {"keys", know_keys},
                 {"update", update},
                 {"thin", thin}};
    static struct work w;
    const char *settings[64] = {NULL};
    size_t setting_count = 0;
    struct err e;
    if (argc < 5)
        die("usage: lake_sink URI UNIT VERB N [VERB N]... [SETTING=VALUE]...");
    for (int i = 3; i < argc && setting_count < 63; i++)
        if (strchr(argv[i], '='))
            settings[setting_count++] = argv[i];
    w.unit = strtoull(argv[2], NULL, 10);
    if (!sink_rig_open(&w.rig, argv[1], settings, SINK_RIG_TASK, 1, &e))
        die(e.text);
    for (int i = 3; i + 1 < argc && !strchr(argv[i], '='); i += 2) {
        size_t v = 0;
        while (v < ARRAY_LEN(verbs) && strcmp(verbs[v].name, argv[i]) != 0)
            v++;
        if (v == ARRAY_LEN(verbs))
            die("no such verb");
        run(&w, verbs[v].name, verbs[v].run, strtoull(argv[i + 1], NULL, 10));
    }
    sink_rig_close(&w.rig);
    return 0;
}
