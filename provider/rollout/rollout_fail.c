#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "provider/rollout/rollout.h"

static const char *log_line(struct arena *a, const char *log) { return log ? arena_printf(a, "\nLog: %s", log) : ""; }

/* Each distinct failure is a diagnostic of its own, at its container's image. */
static void report_problems(struct tf_req *req, const struct rollout *r, const struct kube_workload *w, const char *path,
                            const struct kube_outcome *out, const char *log) {
    struct arena *a = req->ctx->arena;
    for (size_t i = 0; i < out->n_problems; i++) {
        const struct kube_problem *p = &out->problems[i];
        tf_error(req->diags, rollout_image_path(a, r, p->container, path),
                 arena_printf(a, "The rollout of %s can't succeed: %s", kube_workload_text(a, w), p->summary), "%s%s", p->detail, log_line(a, log));
    }
}

/* What a rollout that took too long still waits for. */
static const char *still_waiting(struct arena *a, const struct kube_outcome *out) {
    AUTO_BUF struct buf b = {.max = 64 << 10};
    for (size_t i = 0; i < out->n_problems; i++) buf_addf(&b, "\n\n%s.\n%s", out->problems[i].summary, out->problems[i].detail);
    return arena_strdup(a, buf_str(&b));
}

void rollout_report(struct tf_req *req, const struct rollout *r, const struct kube_workload *w, const char *path,
                    const struct kube_outcome *out, const struct err *err, const char *log) {
    struct arena *a = req->ctx->arena;
    const char *text = kube_workload_text(a, w);
    if (err->code == ERR_FAILED && out->n_problems) {
        report_problems(req, r, w, path, out, log);
    } else if (err->code == ERR_TIMEOUT) {
        tf_error(req->diags, path, arena_printf(a, "The rollout of %s isn't complete in time", text), "%s. %s%s%s", err_text(err),
                 err->hint ? err->hint : "", still_waiting(a, out), log_line(a, log));
    } else if (err->code == ERR_CANCELLED) {
        tf_error(req->diags, path, arena_printf(a, "The wait for %s was cancelled", text),
                 "The images are set and the rollout goes on in the cluster; the next plan takes it up again.%s", log_line(a, log));
    } else {
        tf_error_from(req->diags, path, arena_printf(a, "The rollout of %s failed", text), err);
    }
}
