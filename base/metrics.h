/* Metrics of the process: counters, gauges, histograms, written as Prometheus text.
 *
 * A definition is static data of the module that counts; a series is one definition with
 * labels, found once and then kept as a pointer: adding is one relaxed atomic, no lock. A
 * series lives as long as the process (metrics_hide only takes it off the page), so a pointer
 * never dangles. Thread: any. Limit: METRICS_SERIES_MAX series; above it all share one that is
 * not shown, and millrace_metrics_dropped_series says how many asked.
 */
#ifndef MILLRACE_BASE_METRICS_H
#define MILLRACE_BASE_METRICS_H

#include "base/bytes.h"

#define METRICS_SERIES_MAX 200000

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_def {
    const char *name; /* millrace_..., counters end in _total */
    const char *help;
    enum metric_kind kind;
    bool in_us; /* kept in microseconds, shown in seconds; histograms always are */
};

/* NULL or "" members are left out. */
struct metric_labels {
    const char *task;
    const char *source;
    const char *table;
    const char *other_name; /* one more label, such as "reason"; static text */
    const char *other;
};

struct metric;

/* The series, made when absent; shown again when it was hidden. Never NULL. */
struct metric *
metrics_get(const struct metric_def *def, struct metric_labels labels);
void
metric_add(struct metric *m, uint64_t n);
void
metric_set(struct metric *m, int64_t v);
void
metric_observe_us(struct metric *m, uint64_t us);
int64_t
metric_value(const struct metric *m); /* of a histogram: its count */
/* Upper bound, in microseconds, of the bucket that holds the q-quantile (0..1) of a histogram;
 * 0 when empty. */
uint64_t
metric_quantile_us(const struct metric *m, double q);
/* Takes every series of the task off the page; table NULL = all its tables. */
void
metrics_hide(const char *task, const char *table);
/* Calls fn for each shown series; fn must not call metrics_*. */
typedef void
metrics_fn(void *ctx, const struct metric_def *def, const struct metric_labels *labels,
           const struct metric *m);
void
metrics_each(metrics_fn *fn, void *ctx);
/* Appends the page (text/plain; version=0.0.4), with the process's own figures. */
void
metrics_print(struct buf *out);

#endif
