#include "capture/gauges.h"

#include <stdio.h>

static const struct metric_def rows_def = {"millrace_rows_published_total",
                                           "rows confirmed in Kafka", METRIC_COUNTER, false};
static const struct metric_def cuts_def = {"millrace_cuts_total", "confirmed cuts",
                                           METRIC_COUNTER, false};
static const struct metric_def in_flight_def = {
    "millrace_capture_rows_in_flight", "rows numbered, not yet confirmed", METRIC_GAUGE, false};
static const struct metric_def unit_def = {
    "millrace_capture_unit_rows", "rows of the unit being filled", METRIC_GAUGE, false};
static const struct metric_def behind_def = {"millrace_capture_blocks_waiting",
                                             "blocks read from the source, not yet decoded",
                                             METRIC_GAUGE, false};
static const struct metric_def loading_def = {"millrace_capture_tables_loading",
                                              "tables whose load runs", METRIC_GAUGE, false};
static const struct metric_def commit_def = {"millrace_cut_seconds",
                                             "from the close of a unit to its confirmation",
                                             METRIC_HISTOGRAM, true};
static const struct metric_def lag_def = {"millrace_source_lag_seconds",
                                          "age of the newest confirmed change while behind",
                                          METRIC_GAUGE, true};

void
gauges_open(struct gauges *g, const char *task, unsigned source)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", source);
    struct metric_labels l = {.task = task, .source = number};
    *g = (struct gauges){
        .rows = metrics_get(&rows_def, l),
        .cuts = metrics_get(&cuts_def, l),
        .in_flight = metrics_get(&in_flight_def, l),
        .unit_rows = metrics_get(&unit_def, l),
        .behind = metrics_get(&behind_def, l),
        .loading = metrics_get(&loading_def, l),
        .commit = metrics_get(&commit_def, l),
        .source_lag = metrics_get(&lag_def, l),
    };
}
