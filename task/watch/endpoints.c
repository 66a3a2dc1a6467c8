#include "task/watch/endpoints.h"

#include "base/metrics.h"

static void
answer_text(struct http_response *res, int status, const char *text)
{
    res->status = status;
    res->content_type = "text/plain; charset=utf-8";
    buf_addf(&res->body, "%s\n", text);
}

void
endpoints_serve(const struct endpoints_state *s, const struct http_request *req,
                struct http_response *res)
{
    bool get = strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
    if (get && strcmp(req->path, "/livez") == 0) {
        answer_text(res, 200, "ok");
    } else if (get && strcmp(req->path, "/readyz") == 0) {
        answer_text(res, s->ready ? 200 : 503, s->ready ? "ok" : s->why_not);
    } else if (get && strcmp(req->path, "/metrics") == 0) {
        res->content_type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_print(&res->body);
    } else if (s->registry == NULL || !registry_http(s->registry, req, res)) {
        answer_text(res, 404, "not found");
    }
}
