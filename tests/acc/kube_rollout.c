/* Rolls a workload out and says how it went: the client of scenario tests, without a provider around it.
 *
 *   kube_rollout [--context NAME] [--dry-run] [--no-wait] [--look] [--restart] [--timeout 60s] [--settle 1s]
 *                [--schedule|--pull|--ready 10s] [--manager NAME] [--no-force] [--policy Always] KUBECONFIG NAMESPACE KIND NAME [CONTAINER=IMAGE…]
 *
 * Prints "result: WORD", "seconds: N.N", "problem: RULE CONTAINER", "warning: …", "digest: CONTAINER SHA", then details.
 * Exit status 0 when it is done. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/kube.h"
#include "kube/rollout.h"
#include "kube/when.h"

struct args {
    const char *context, *manager, *policy;
    bool dry_run, no_wait, look, restart, no_force;
    struct kube_wait wait;
    const char *kubeconfig, *ns, *kind, *name;
    struct kv images[32];
    size_t n_images;
};

static struct cancel *stop;

static void *await_signal(void *arg) {
    int sig;
    sigwait(arg, &sig);
    cancel_request(stop);
    return NULL;
}

static int64_t ms_of(const char *text) { return text ? duration_parse(text) : -1; }

static void parse(struct args *a, int argc, char **argv) {
    a->wait.settle = -1;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *o = argv[i];
        if (!strcmp(o, "--dry-run")) a->dry_run = true;
        else if (!strcmp(o, "--no-wait")) a->no_wait = true;
        else if (!strcmp(o, "--look")) a->look = true;
        else if (!strcmp(o, "--restart")) a->restart = true;
        else if (!strcmp(o, "--no-force")) a->no_force = true;
        else if (!strcmp(o, "--context")) a->context = argv[++i];
        else if (!strcmp(o, "--manager")) a->manager = argv[++i];
        else if (!strcmp(o, "--policy")) a->policy = argv[++i];
        else if (!strcmp(o, "--timeout")) a->wait.timeout = ms_of(argv[++i]);
        else if (!strcmp(o, "--settle")) a->wait.settle = ms_of(argv[++i]);
        else if (!strcmp(o, "--schedule")) a->wait.schedule = ms_of(argv[++i]);
        else if (!strcmp(o, "--pull")) a->wait.pull = ms_of(argv[++i]);
        else if (!strcmp(o, "--ready")) a->wait.ready = ms_of(argv[++i]);
        else exit(2);
    }
    if (argc - i < 4) exit(2);
    a->kubeconfig = argv[i];
    a->ns = argv[i + 1];
    a->kind = argv[i + 2];
    a->name = argv[i + 3];
    for (i += 4; i < argc && a->n_images < ARRAY_SIZE(a->images); i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq) exit(2);
        *eq = 0;
        a->images[a->n_images++] = (struct kv){argv[i], eq + 1};
    }
}

static void print_err(const struct err *e) {
    printf("error: %s\n", err_text(e));
    if (e->hint) printf("hint: %s\n", e->hint);
    if (e->detail) printf("detail:\n%s\n", e->detail);
}

static int finish(const char *result, int64_t ms, const struct err *e) {
    printf("result: %s\nseconds: %.1f\n", result, (double) ms / 1000);
    if (e) print_err(e);
    return e ? 1 : 0;
}

static void print_outcome(const struct kube_outcome *out) {
    for (size_t i = 0; i < out->warnings.n; i++) printf("warning: %s\n", out->warnings.v[i]);
    for (size_t i = 0; i < out->n_digests; i++) printf("digest: %s %s\n", out->digests[i].key, out->digests[i].value);
    for (size_t i = 0; i < out->n_problems; i++) {
        const struct kube_problem *p = &out->problems[i];
        printf("problem: %s %s\nsummary: %s\n%s\n", p->rule, p->container ? p->container : "-", p->summary, p->detail);
    }
}

static int wait_for(struct args *a, struct kube *k, struct ctx *ctx, const struct kube_workload *w, struct json *object, int64_t start) {
    AUTO_ERR struct err err = {0};
    struct kube_outcome out;
    a->wait.w = *w;
    a->wait.object = object;
    a->wait.images = a->images;
    a->wait.n_images = a->n_images;
    a->wait.manager = a->manager ? a->manager : "gpudev";
    int r = kube_rollout_wait(k, ctx, &a->wait, &out, &err);
    int64_t ms = ctx_now(ctx) - start;
    print_outcome(&out);
    json_free(out.object);
    return r ? finish(err_code_name(err.code), ms, &err) : finish("done", ms, NULL);
}

static int run(struct args *a, struct kube *k, struct ctx *ctx) {
    AUTO_ERR struct err err = {0};
    AUTO_JSON struct json *live = NULL;
    struct kube_workload w = {.ns = a->ns, .name = a->name};
    int64_t start = ctx_now(ctx);
    if (kube_kind_parse(a->kind, &w.kind) < 0) exit(2);
    int r = kube_get(k, ctx, kube_workload_path(ctx->arena, &w), &live, &err);
    if (r == 1) return finish("absent", ctx_now(ctx) - start, &err);
    if (r < 0) return finish(err_code_name(err.code), ctx_now(ctx) - start, &err);
    if (a->look) {
        const char *why = "";
        r = kube_rollout_look(k, ctx, &w, live, a->wait.settle, &why, &err);
        if (r == 0) printf("why: %s\n", why);
        return r < 0 ? finish(err_code_name(err.code), 0, &err) : finish(r ? "complete" : "incomplete", 0, NULL);
    }
    const struct clock *clock = ctx_clock(ctx);
    struct kube_applied applied;
    struct kube_change c = {
        .w = w, .live = live, .images = a->images, .n_images = a->n_images, .pull_policy = a->policy, .force = !a->no_force,
        .dry_run = a->dry_run, .manager = a->manager ? a->manager : "gpudev",
        .restarted_at = a->restart ? kube_time_text(ctx->arena, clock->wall(clock->self)) : kube_template_annotation(live, KUBE_RESTARTED_AT),
    };
    r = kube_apply(k, ctx, &c, &applied, &err);
    for (size_t i = 0; i < applied.warnings.n; i++) printf("warning: %s\n", applied.warnings.v[i]);
    if (r < 0) return finish(err_code_name(err.code), ctx_now(ctx) - start, &err);
    AUTO_JSON struct json *object = applied.object;
    if (a->dry_run || a->no_wait) return finish("applied", ctx_now(ctx) - start, NULL);
    return wait_for(a, k, ctx, &w, object, start);
}

int main(int argc, char **argv) {
    static struct args a;
    static sigset_t set;
    pthread_t thread;
    parse(&a, argc, argv);
    log_init();
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    stop = cancel_new(NULL);
    pthread_create(&thread, NULL, await_signal, &set);
    pthread_detach(thread);
    AUTO_ARENA struct arena *arena = arena_new();
    AUTO_ERR struct err err = {0};
    struct ctx ctx = {.arena = arena, .cancel = stop};
    struct http *http = http_new("gpudev-test");
    struct kube *k = NULL;
    const char *paths[] = {a.kubeconfig};
    struct kube_options o = {.config_paths = paths, .n_config_paths = 1, .context = a.context};
    int r = kube_open(&o, http, &k, &err) < 0 ? finish(err_code_name(err.code), 0, &err) : run(&a, k, &ctx);
    kube_unref(k);
    http_unref(http);
    cancel_unref(stop);
    return r;
}
