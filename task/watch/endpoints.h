/* The HTTP endpoints of a worker: /livez, /readyz, /metrics; then the registry's read calls. */
#ifndef MILLRACE_TASK_WATCH_ENDPOINTS_H
#define MILLRACE_TASK_WATCH_ENDPOINTS_H

#include "base/http_server.h"
#include "task/registry.h"

struct endpoints_state {
    struct registry *registry; /* NULL: not yet */
    bool ready;
    const char *why_not; /* when not ready */
};

void
endpoints_serve(const struct endpoints_state *s, const struct http_request *req,
                struct http_response *res);

#endif
