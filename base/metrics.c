/* Registry of series: found under a lock, counted without one. */
#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/thread.h"

/* Upper bounds of the buckets, microseconds: 100 us to 10 min, then infinity. */
static const uint64_t bounds_us[] = {100,      250,      500,      1000,      2500,
                                     5000,     10000,    20000,    50000,     100000,
                                     250000,   500000,   1000000,  2500000,   5000000,
                                     10000000, 30000000, 60000000, 300000000, 600000000};

#define BUCKETS (ARRAY_LEN(bounds_us) + 1)

struct histogram {
    atomic_uint_fast64_t sum_us;
    atomic_uint_fast64_t buckets[BUCKETS];
};

struct metric {
    const struct metric_def *def;
    struct metric_labels labels;
    const char *text; /* {a="b",...} or "" */
    atomic_bool hidden;
    _Atomic int64_t value; /* histograms: count */
    struct histogram *histogram;
    struct metric *next; /* of the same definition, in the order they came */
};

/* A definition in use; the page lists families in the order they came. */
struct family {
    const struct metric_def *def;
    struct metric *first;
    struct metric *last;
    struct family *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct arena mem;    /* never freed: series live as long as the process */
static struct map by_key;   /* name + labels -> struct metric */
static struct map families; /* name -> struct family */
static struct family *first_family;
static struct family *last_family;
static uint64_t dropped;
static struct histogram overflow_histogram;
static struct metric overflow = {.histogram = &overflow_histogram};

static void
add_label_value(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\n')
            buf_add_str(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_addf(out, "\\%c", *value);
        else
            buf_add_byte(out, (uint8_t)*value);
    }
}

static void
add_label(struct buf *out, const char *name, const char *value)
{
    if (!name || !value || !*value)
        return;
    buf_addf(out, "%s%s=\"", out->n ? "," : "", name);
    add_label_value(out, value);
    buf_add_byte(out, '"');
}

static void
labels_text(const struct metric_labels *l, struct buf *out)
{
    add_label(out, "task", l->task);
    add_label(out, "source", l->source);
    add_label(out, "table", l->table);
    add_label(out, l->other_name, l->other);
}

static const char *
keep(const char *s)
{
    return s && *s ? arena_strdup(&mem, s) : NULL;
}

static struct family *
family_of(const struct metric_def *def)
{
    bool fresh;
    struct map_slot *s = map_put(&families, bytes_str(def->name), &fresh);
    if (!fresh)
        return s->v.ptr;
    struct family *f = arena_zalloc(&mem, sizeof(*f));
    f->def = def;
    if (last_family)
        last_family->next = f;
    else
        first_family = f;
    last_family = f;
    s->v.ptr = f;
    return f;
}

static struct metric *
metric_new(const struct metric_def *def, const struct metric_labels *l, const char *text)
{
    struct metric *m = arena_zalloc(&mem, sizeof(*m));
    m->def = def;
    m->text = arena_strdup(&mem, text);
    m->labels = (struct metric_labels){.task = keep(l->task),
                                       .source = keep(l->source),
                                       .table = keep(l->table),
                                       .other_name = l->other_name,
                                       .other = keep(l->other)};
    if (def->kind == METRIC_HISTOGRAM)
        m->histogram = arena_zalloc(&mem, sizeof(*m->histogram));
    struct family *f = family_of(def);
    if (f->last)
        f->last->next = m;
    else
        f->first = m;
    f->last = m;
    return m;
}

static struct metric *
metrics_get_locked(const struct metric_def *def, const struct metric_labels *l,
                   struct buf *text, struct bytes key)
{
    struct map_slot *s = map_get(&by_key, key);
    if (s)
        return s->v.ptr;
    if (by_key.len >= METRICS_SERIES_MAX) {
        dropped++;
        return &overflow;
    }
    bool fresh;
    s = map_put(&by_key, arena_copy(&mem, key), &fresh);
    s->v.ptr = metric_new(def, l, buf_cstr(text));
    return s->v.ptr;
}

struct metric *
metrics_get(const struct metric_def *def, struct metric_labels labels)
{
    struct buf text = {0};
    struct buf key = {0};
    labels_text(&labels, &text);
    buf_addf(&key, "%s{%s", def->name, buf_cstr(&text));
    thread_lock(&lock);
    struct metric *m = metrics_get_locked(def, &labels, &text, buf_bytes(&key));
    atomic_store_explicit(&m->hidden, false, memory_order_relaxed);
    thread_unlock(&lock);
    buf_free(&text);
    buf_free(&key);
    return m;
}

void
metric_add(struct metric *m, uint64_t n)
{
    atomic_fetch_add_explicit(&m->value, (int64_t)n, memory_order_relaxed);
}

void
metric_set(struct metric *m, int64_t v)
{
    atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

void
metric_observe_us(struct metric *m, uint64_t us)
{
    struct histogram *h = m->histogram;
    if (!h)
        mem_die("%s is no histogram", m->def->name);
    size_t i = 0;
    while (i < ARRAY_LEN(bounds_us) && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->value, 1, memory_order_relaxed);
}

int64_t
metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

static uint64_t
bucket_count(const struct metric *m, size_t i)
{
    return atomic_load_explicit(&m->histogram->buckets[i], memory_order_relaxed);
}

uint64_t
metric_quantile_us(const struct metric *m, double q)
{
    uint64_t counts[BUCKETS];
    uint64_t total = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        total += counts[i] = bucket_count(m, i);
    uint64_t below = 0;
    for (size_t i = 0; total && i < BUCKETS; i++) {
        below += counts[i];
        if ((double)below >= q * (double)total && below)
            return i < ARRAY_LEN(bounds_us) ? bounds_us[i] : UINT64_MAX;
    }
    return 0;
}

void
metrics_hide(const char *task, const char *table)
{
    thread_lock(&lock);
    for (struct family *f = first_family; f; f = f->next) {
        for (struct metric *m = f->first; m; m = m->next) {
            bool same_task = m->labels.task && strcmp(m->labels.task, task) == 0;
            bool same_table =
                !table || (m->labels.table && strcmp(m->labels.table, table) == 0);
            if (same_task && same_table)
                atomic_store_explicit(&m->hidden, true, memory_order_relaxed);
        }
    }
    thread_unlock(&lock);
}

void
metrics_each(metrics_fn *fn, void *ctx)
{
    thread_lock(&lock);
    for (struct family *f = first_family; f; f = f->next) {
        for (struct metric *m = f->first; m; m = m->next) {
            if (!atomic_load_explicit(&m->hidden, memory_order_relaxed))
                fn(ctx, m->def, &m->labels, m);
        }
    }
    thread_unlock(&lock);
}

/* Microseconds as seconds, without rounding. */
static void
add_seconds(struct buf *out, int64_t us)
{
    uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    buf_addf(out, "%s%" PRIu64, us < 0 ? "-" : "", size / 1000000);
    if (size % 1000000)
        buf_addf(out, ".%06" PRIu64, size % 1000000);
}

static void
print_series(const struct metric *m, const char *suffix, struct buf *out)
{
    bool labelled = *m->text != '\0';
    buf_addf(out, "%s%s%s%s%s ", m->def->name, suffix, labelled ? "{" : "", m->text,
             labelled ? "}" : "");
}

static void
print_histogram(const struct metric *m, struct buf *out)
{
    uint64_t below = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        below += bucket_count(m, i);
        buf_addf(out, "%s_bucket{%s%sle=\"", m->def->name, m->text, *m->text ? "," : "");
        if (i < ARRAY_LEN(bounds_us))
            add_seconds(out, (int64_t)bounds_us[i]);
        else
            buf_add_str(out, "+Inf");
        buf_addf(out, "\"} %" PRIu64 "\n", below);
    }
    print_series(m, "_sum", out);
    uint64_t sum_us = atomic_load_explicit(&m->histogram->sum_us, memory_order_relaxed);
    add_seconds(out, (int64_t)sum_us);
    buf_add_byte(out, '\n');
    print_series(m, "_count", out);
    buf_addf(out, "%" PRIu64 "\n", below);
}

static void
print_metric(const struct metric *m, struct buf *out)
{
    if (m->def->kind == METRIC_HISTOGRAM) {
        print_histogram(m, out);
        return;
    }
    print_series(m, "", out);
    if (m->def->in_us)
        add_seconds(out, metric_value(m));
    else
        buf_add_i64_text(out, metric_value(m));
    buf_add_byte(out, '\n');
}

static void
print_family(const struct family *f, struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    bool begun = false;
    for (const struct metric *m = f->first; m; m = m->next) {
        if (atomic_load_explicit(&m->hidden, memory_order_relaxed))
            continue;
        if (!begun)
            buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", f->def->name, f->def->help,
                     f->def->name, kinds[f->def->kind]);
        begun = true;
        print_metric(m, out);
    }
}

static void
print_figure(struct buf *out, const char *name, const char *kind, uint64_t v)
{
    buf_addf(out, "# TYPE %s %s\n%s %" PRIu64 "\n", name, kind, name, v);
}

static void
print_process(struct buf *out)
{
    struct proc_usage u;
    proc_usage(&u);
    print_figure(out, "process_resident_memory_bytes", "gauge", u.rss_bytes);
    print_figure(out, "process_resident_memory_peak_bytes", "gauge", u.rss_peak_bytes);
    print_figure(out, "process_open_fds", "gauge", u.open_files);
    print_figure(out, "process_threads", "gauge", u.threads);
    print_figure(out, "process_start_time_seconds", "gauge", u.start_wall_ms / 1000);
    buf_add_str(out, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ");
    add_seconds(out, (int64_t)(u.cpu_user_us + u.cpu_system_us));
    buf_add_byte(out, '\n');
}

void
metrics_print(struct buf *out)
{
    thread_lock(&lock);
    for (const struct family *f = first_family; f; f = f->next)
        print_family(f, out);
    print_figure(out, "millrace_metrics_dropped_series", "gauge", dropped);
    thread_unlock(&lock);
    print_process(out);
}
