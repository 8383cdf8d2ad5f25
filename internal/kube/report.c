/* What the user reads about a rollout that can't succeed: each distinct failure once. */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/rollout.h"
#include "kube/view.h"
#include "kube/when.h"

enum { MAX_PROBLEMS = 8, MAX_NAMES = 5, EVENTS = 6, LOG_LINES = 20, EVENTS_MS = 5000 };

struct group {
    const struct kube_finding *first;
    struct strs pods;
};

static bool same(const struct kube_finding *a, const struct kube_finding *b) {
    return a->rule == b->rule && str_eq(a->container ? a->container->name : NULL, b->container ? b->container->name : NULL);
}

static size_t make_groups(struct arena *a, const struct kube_finding *f, size_t n, bool hopeless_only, struct group *groups) {
    size_t n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        if (hopeless_only && !f[i].hopeless) continue;
        size_t g = 0;
        while (g < n_groups && !same(groups[g].first, &f[i])) g++;
        if (g == n_groups) {
            if (n_groups == MAX_PROBLEMS) continue;
            groups[n_groups++] = (struct group){.first = &f[i]};
        }
        if (f[i].pod) strs_add(a, &groups[g].pods, f[i].pod->name);
    }
    return n_groups;
}

static void add_pods(struct buf *b, const struct group *g) {
    if (!g->pods.n) return;
    buf_adds(b, g->pods.n == 1 ? "Pod " : "Pods ");
    for (size_t i = 0; i < g->pods.n && i < MAX_NAMES; i++) buf_addf(b, "%s%s", i ? ", " : "", g->pods.v[i]);
    if (g->pods.n > MAX_NAMES) buf_addf(b, " and %zu more", g->pods.n - MAX_NAMES);
    if (g->pods.n == 1 && *g->first->pod->node) buf_addf(b, " on node %s", g->first->pod->node);
    buf_adds(b, ".\n");
}

/* Lines that begin with a space are not wrapped. */
static void add_indented(struct buf *b, const char *text) {
    for (const char *s = text; *s;) {
        size_t n = strcspn(s, "\n");
        buf_adds(b, "  ");
        buf_add(b, s, n);
        buf_addc(b, '\n');
        s += n + (s[n] == '\n');
    }
}

static int by_time(const void *x, const void *y) {
    const struct kube_note *const *a = x, *const *b = y;
    if ((*a)->last != (*b)->last) return (*a)->last < (*b)->last ? -1 : 1;
    return (*a)->order < (*b)->order ? -1 : (*a)->order > (*b)->order;
}

/* Reads the events about an object into the view, where those of a watch may be already. */
static void read_events(struct kube_view *v, struct kube *k, struct ctx *ctx, const char *uid) {
    struct arena *a = ctx->arena;
    const char *selector = arena_printf(a, "involvedObject.uid=%s", uid);
    const char *path = arena_printf(a, "/api/v1/namespaces/%s/events?limit=100&fieldSelector=%s", http_encode(a, v->w.ns, false),
                                    http_encode(a, selector, false));
    struct ctx limited = ctx_with_timeout(ctx, EVENTS_MS);
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    int r = kube_send(k, &limited, &(struct kube_request){.path = path}, &reply, NULL);
    if (r == -ERR_DENIED) v->notes_denied = true;
    if (r < 0) return;
    json_each(event, json_get(reply.json, "items")) kube_view_note(v, event);
}

static void add_events(struct kube_view *v, struct arena *a, struct buf *b, const char *uid, int64_t wall) {
    const struct kube_note **list = arena_array(a, v->n_notes + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < v->n_notes; i++)
        if (str_eq(v->notes[i].uid, uid)) list[n++] = &v->notes[i];
    qsort(list, n, sizeof *list, by_time);
    if (n) buf_adds(b, "Last events:\n");
    if (!n && v->notes_denied) buf_adds(b, "Its events can't be read: the right to list events is missing.\n");
    for (size_t i = n > EVENTS ? n - EVENTS : 0; i < n; i++) {
        const struct kube_note *e = list[i];
        const char *ago = e->last && wall > e->last ? arena_printf(a, "%s ago", kube_span_text(a, wall - e->last)) : "now";
        char *line = arena_strdup(a, e->message);
        for (char *p = line; *p; p++)
            if (*p == '\n') *p = ' ';
        buf_addf(b, "  %s  %s", ago, e->reason);
        if (e->count > 1) buf_addf(b, " (x%lld)", (long long) e->count);
        buf_addf(b, ": %s\n", line);
    }
}

static bool has_run(const struct kube_container *c) { return c->state == KUBE_RUNNING || c->now.any || c->last.any; }

static void add_log(struct kube_view *v, struct kube *k, struct ctx *ctx, struct buf *b, const struct kube_finding *f) {
    const struct kube_container *c = f->container;
    if (!c || !has_run(c)) return;
    bool previous = f->rule->kind == KUBE_SIGN_CRASH && c->state != KUBE_TERMINATED && c->last.any;
    char *log = kube_logs(k, ctx, v->w.ns, f->pod->name, c->name, previous, LOG_LINES);
    if (!log && !cancel_requested(ctx->cancel)) log = kube_logs(k, ctx, v->w.ns, f->pod->name, c->name, !previous, LOG_LINES);
    if (!log) return;
    buf_addf(b, "Last log lines of %s%s:\n", c->name, previous ? " before it ended" : "");
    add_indented(b, log);
    if (strstr(log, "exec format error"))
        buf_adds(b, "\"exec format error\": the image is built for another architecture than the node's.\n");
}

static const char *detail_of(struct kube_view *v, struct kube *k, struct ctx *ctx, const struct group *g) {
    const struct kube_finding *f = g->first;
    const struct clock *clock = ctx_clock(ctx);
    AUTO_BUF struct buf b = {.max = 48 << 10};
    add_pods(&b, g);
    if (f->container && f->container->image) buf_addf(&b, "  image %s\n", f->container->image);
    if (!str_empty(f->reason) || !str_empty(f->message)) {
        const char *colon = !str_empty(f->reason) && !str_empty(f->message) ? ": " : "";
        add_indented(&b, arena_printf(ctx->arena, "%s%s%s", f->reason ? f->reason : "", colon, f->message ? f->message : ""));
    }
    buf_addf(&b, "To try: %s\n", f->rule->advice);
    if (!cancel_requested(ctx->cancel)) {
        const char *uid = f->pod ? f->pod->uid : v->owner_uid ? v->owner_uid : kube_uid(v->object);
        read_events(v, k, ctx, uid);
        add_events(v, ctx->arena, &b, uid, clock->wall(clock->self));
        add_log(v, k, ctx, &b, f);
    }
    while (b.len && b.data[b.len - 1] == '\n') b.data[--b.len] = 0;
    return arena_strdup(ctx->arena, buf_str(&b));
}

size_t kube_report(struct kube_view *v, struct kube *k, struct ctx *ctx, const struct kube_finding *f, size_t n, bool hopeless_only,
                   const struct kube_problem **ret) {
    struct group groups[MAX_PROBLEMS];
    size_t n_groups = make_groups(ctx->arena, f, n, hopeless_only, groups);
    struct kube_problem *p = arena_array(ctx->arena, n_groups + 1, sizeof *p);
    for (size_t i = 0; i < n_groups; i++) {
        const struct kube_container *c = groups[i].first->container;
        p[i] = (struct kube_problem){
            .rule = groups[i].first->rule->id,
            .container = c ? arena_strdup(ctx->arena, c->name) : NULL,
            .summary = c ? arena_printf(ctx->arena, "container %s: %s", c->name, groups[i].first->rule->words) : groups[i].first->rule->words,
            .detail = detail_of(v, k, ctx, &groups[i]),
        };
    }
    *ret = p;
    return n_groups;
}
