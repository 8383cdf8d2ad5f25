#include "kube/watch.h"

#include <stdbool.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "json/json.h"
#include "kube/client.h"

enum {
    MAX_LINE = 16 << 20,
    TIMEOUT_S = 290,       /* after which the server is asked to end a watch */
    SILENCE_MS = 120000,   /* bookmarks come each minute or so; a dead connection is found by this */
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 5000,
    LASTED_MS = 1000,
    PATIENCE_S = 120,
    PAGE = 500,
};

/* Why a stream ended, beside errors. */
enum { END_RESUME = 0, END_EXPIRED = 1, END_NO_INITIAL = 2, END_STOP = 3 };

struct stream {
    const struct kube_watch *w;
    struct buf line;
    char *rv;        /* resume here; NULL: begin anew */
    bool initial;    /* the initial set is being sent */
    bool got_any;    /* the server has let us in */
    bool got_line;   /* and said something */
    bool listing;    /* the server has no sendInitialEvents */
    int end;         /* why the stream is to end */
    int stop;        /* the callback's positive value */
};

const struct json *kube_event_object(const struct json *tree) {
    const struct json *object = json_get(tree, "object");
    return json_is_obj(object) && json_get(tree, "type") ? object : tree;
}

static int deliver(struct stream *s, enum kube_event_type type, struct json *tree, struct err *err) {
    int r = s->w->on_event(s->w->arg, type, tree, err);
    if (r > 0) {
        s->stop = r;
        s->end = END_STOP;
        return -ERR_CANCELLED;
    }
    return r;
}

static void keep_rv(struct stream *s, const struct json *meta) {
    const char *rv = json_get_str(meta, "resourceVersion");
    if (str_empty(rv) || s->initial) return;
    mem_free(s->rv);
    s->rv = mem_strdup(rv);
}

/* An ERROR event: mostly 410 Expired; the rest is taken for a dropped connection. */
static int on_error(struct stream *s, const struct json *status, struct err *err) {
    const char *reason = json_get_str(status, "reason");
    bool expired = json_get_int(status, "code", 0) == 410 || str_eq(reason, "Expired") || str_eq(reason, "Gone");
    s->end = expired ? END_EXPIRED : END_RESUME;
    const char *message = json_get_str(status, "message");
    return err_set(err, ERR_UNAVAILABLE, "the watch ended: %s", message ? message : "no reason given");
}

static int on_bookmark(struct stream *s, const struct json *meta, struct err *err) {
    bool end = str_eq(json_str(json_at(meta, "annotations", "k8s.io/initial-events-end", NULL)), "true");
    if (!s->initial || !end) {
        keep_rv(s, meta);
        return 0;
    }
    s->initial = false;
    keep_rv(s, meta);
    return deliver(s, KUBE_SYNCED, NULL, err);
}

static int on_line(struct stream *s, const char *text, size_t len, struct err *err) {
    AUTO_JSON struct json *tree = json_parse(text, len, err);
    if (!tree) return err_wrap(err, "watch event");
    s->got_line = true;
    const char *type = json_get_str(tree, "type");
    const struct json *object = json_get(tree, "object"), *meta = json_get(object, "metadata");
    if (str_eq(type, "ERROR")) return on_error(s, object, err);
    if (str_eq(type, "BOOKMARK")) return on_bookmark(s, meta, err);
    enum kube_event_type t = str_eq(type, "ADDED") ? KUBE_ADDED : str_eq(type, "MODIFIED") ? KUBE_MODIFIED : KUBE_DELETED;
    if (t == KUBE_DELETED && !str_eq(type, "DELETED")) return err_set(err, ERR_PROTOCOL, "a watch event of unknown type");
    if (!json_is_obj(meta)) return err_set(err, ERR_PROTOCOL, "a watch event without an object");
    keep_rv(s, meta);
    return deliver(s, t, TAKE_PTR(tree), err);
}

static int on_data(void *arg, const char *data, size_t len, struct err *err) {
    struct stream *s = arg;
    while (len) {
        const char *nl = memchr(data, '\n', len);
        size_t n = nl ? (size_t) (nl - data) : len;
        if (s->line.len + n > MAX_LINE) return err_set(err, ERR_LIMIT, "a watch event of more than %d MiB", MAX_LINE >> 20);
        buf_add(&s->line, data, n);
        data += n;
        len -= n;
        if (!nl) return 0;
        data++;
        len--;
        int r = s->line.len ? on_line(s, s->line.data, s->line.len, err) : 0;
        buf_reset(&s->line);
        if (r < 0) return r;
    }
    return 0;
}

static int on_headers(void *arg, int status, struct err *err) {
    struct stream *s = arg;
    (void) err;
    s->got_any = status == 200;
    return 0;
}

static void add_param(struct arena *a, struct buf *b, const char *name, const char *value) {
    if (value) buf_addf(b, "%c%s=%s", strchr(buf_str(b), '?') ? '&' : '?', name, http_encode(a, value, false));
}

static char *make_path(struct arena *a, const struct kube_watch *w, const char *const *params) {
    AUTO_BUF struct buf b = {0};
    buf_adds(&b, w->path);
    for (; params[0]; params += 2) add_param(a, &b, params[0], params[1]);
    add_param(a, &b, "labelSelector", w->label_selector);
    add_param(a, &b, "fieldSelector", w->field_selector);
    return arena_strdup(a, buf_str(&b));
}

static int stream_once(struct kube *k, struct ctx *ctx, struct stream *s, struct err *err) {
    char timeout[16];
    struct buf t = {0};
    buf_addf(&t, "%d", TIMEOUT_S);
    memcpy(timeout, buf_str(&t), t.len + 1);
    buf_done(&t);
    const char *resume[] = {"watch", "1", "allowWatchBookmarks", "true", "timeoutSeconds", timeout, "resourceVersion", s->rv, NULL, NULL};
    const char *fresh[] = {"watch", "1", "allowWatchBookmarks", "true", "timeoutSeconds", timeout, "sendInitialEvents", "true",
                           "resourceVersionMatch", "NotOlderThan", NULL, NULL};
    s->initial = !s->rv;
    s->got_any = s->got_line = false;
    s->end = END_RESUME;
    buf_reset(&s->line);
    int r = s->initial ? deliver(s, KUBE_RESET, NULL, err) : 0;
    if (r < 0) return r;
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    struct kube_call call = {
        .req.path = make_path(ctx->arena, s->w, s->initial ? fresh : resume),
        .idle_timeout = SILENCE_MS, .on_body = on_data, .on_headers = on_headers, .arg = s, .tries = 1,
    };
    r = kube_exchange(k, ctx, &call, &reply, err);
    if (reply.status == 410) s->end = END_EXPIRED;
    if (s->initial && (reply.status == 400 || reply.status == 422)) s->end = END_NO_INITIAL;
    return r;
}

static int list_page(struct kube *k, struct ctx *ctx, struct stream *s, char **token, struct err *err) {
    char limit[] = "500";
    _Static_assert(PAGE == 500, "limit");
    const char *params[] = {"limit", limit, "continue", *token, NULL, NULL};
    if (!*token) params[2] = NULL;
    AUTO_KUBE_REPLY struct kube_reply reply = {0};
    struct kube_call call = {.req.path = make_path(ctx->arena, s->w, params), .tries = 1};
    int r = kube_exchange(k, ctx, &call, &reply, err);
    if (reply.status == 410) s->end = END_EXPIRED;
    if (r < 0) return r;
    json_each(item, json_get(reply.json, "items")) {
        r = deliver(s, KUBE_ADDED, json_copy(item), err);
        if (r < 0) return r;
    }
    const struct json *meta = json_get(reply.json, "metadata");
    const char *more = json_get_str(meta, "continue");
    *token = str_empty(more) ? NULL : arena_strdup(ctx->arena, more);
    if (!*token) keep_rv(s, meta);
    return 0;
}

/* The initial set where the server can't send it as events. */
static int list_all(struct kube *k, struct ctx *ctx, struct stream *s, struct err *err) {
    char *token = NULL;
    s->initial = false;
    s->end = END_RESUME;
    int r = deliver(s, KUBE_RESET, NULL, err);
    if (!r) do {
        r = list_page(k, ctx, s, &token, err);
    } while (!r && token);
    if (r < 0) {
        mem_free(TAKE_PTR(s->rv));
        return r;
    }
    if (!s->rv) return err_set(err, ERR_PROTOCOL, "a list without a resourceVersion");
    s->got_any = true;
    return deliver(s, KUBE_SYNCED, NULL, err);
}

/* Refusals right at the start are final; one that was let in before may be refused for a while, when the server starts
 * anew or a token is being replaced. */
static bool is_final(int r, bool was_in) {
    switch (-r) {
        case ERR_UNAVAILABLE:
        case ERR_TIMEOUT:
        case ERR_THROTTLED:
        case ERR_PROTOCOL: return false;
        case ERR_DENIED:
        case ERR_UNAUTHENTICATED:
        case ERR_NOT_FOUND: return !was_in;
        default: return true;
    }
}

static int watch_loop(struct kube *k, struct ctx *ctx, struct stream *s, struct err *err) {
    bool was_in = false;
    int64_t pause = PAUSE_MIN_MS, well_at = ctx_now(ctx);
    int64_t patience = (s->w->patience_s ? s->w->patience_s : PATIENCE_S) * 1000LL;
    for (;;) {
        AUTO_ARENA struct arena *arena = arena_new();
        AUTO_ERR struct err own = {0};
        struct ctx c = ctx_with_arena(ctx, arena);
        int64_t began = ctx_now(ctx);
        bool listed = !s->rv && s->listing;
        int r = listed ? list_all(k, &c, s, &own) : stream_once(k, &c, s, &own);
        if (s->end == END_STOP) return s->stop;
        int over = ctx_check(ctx, err);
        if (over < 0) return over;
        if (r == -ERR_NOT_FOUND && s->end == END_EXPIRED) r = -ERR_UNAVAILABLE;
        bool lasted = listed || (s->got_line && !s->initial) || ctx_now(ctx) - began >= LASTED_MS;
        if (s->got_any || !r) {
            was_in = true;
            if (lasted) pause = PAUSE_MIN_MS; /* else something between us and the server ends each stream at once */
            well_at = ctx_now(ctx);
        }
        if (s->initial || s->end == END_EXPIRED) mem_free(TAKE_PTR(s->rv)); /* cut inside the initial set: all of it again */
        if (s->end == END_NO_INITIAL && !s->listing) {
            s->listing = true;
            continue;
        }
        if (!r && lasted) continue; /* the server's time limit */
        if (r && (is_final(r, was_in) || ctx_now(ctx) - well_at > patience)) {
            err_move(err, &own);
            return r;
        }
        log_debug(ctx, "watch %s: %s; resumed in %lld ms", s->w->path, r ? err_text(&own) : "ended at once", (long long) pause);
        if (own.retry_after) pause = (own.retry_after < 30 ? own.retry_after : 30) * 1000;
        over = ctx_sleep(ctx, pause, err);
        if (over < 0) return over;
        pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
}

int kube_watch(struct kube *k, struct ctx *ctx, const struct kube_watch *w, struct err *err) {
    struct stream s = {.w = w, .rv = mem_strdup(w->resource_version)};
    int r = watch_loop(k, ctx, &s, err);
    mem_free(s.rv);
    buf_done(&s.line);
    return r;
}
