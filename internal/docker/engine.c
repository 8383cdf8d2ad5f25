/* The connection to an engine: which one answers, in which version, and how its refusals read. */
#include "docker/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "json/json.h"

enum {
    PING_MS = 15000,
    OUR_API_MAJOR = 1,
    OUR_API_MINOR = 47, /* the newest whose replies are known here; an engine that starts later is asked in its oldest */
    MIN_API_MINOR = 39, /* the first with BuildKit sessions */
};

/* ---- Requests ---- */

static void say_which(const struct docker *d, struct err *err) {
    err_wrap(err, "the Docker engine at %s (from %s)", d->endpoint.text, d->endpoint.source);
}

int engine_send(struct docker *d, struct ctx *ctx, struct http_request *req, const char *path, struct http_response *ret,
                struct err *err) {
    AUTO_FREE char *url =
        d->info.api ? mem_printf("%s/v%s%s", d->endpoint.url, d->info.api, path) : mem_printf("%s%s", d->endpoint.url, path);
    req->url = url;
    req->unix_socket = d->endpoint.socket;
    if (d->endpoint.has_tls) req->tls = &d->endpoint.tls;
    if (d->endpoint.socket) req->proxy = "";
    int r = d->http.send(d->http.self, ctx, req, ret, err);
    if (r < 0 && r != -ERR_CANCELLED && r != -ERR_TIMEOUT) say_which(d, err);
    return r;
}

int engine_error(struct err *err, const struct http_response *r, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *what = mem_vprintf(fmt, ap);
    va_end(ap);
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_JSON struct json *j = json_parse(r->body, r->body_len, NULL);
    const char *text = json_get_str(j, "message");
    if (!text) text = r->body_len ? r->body : "no reason given";
    enum err_code code = r->status == 404   ? ERR_NOT_FOUND
                         : r->status == 401 ? ERR_UNAUTHENTICATED
                         : r->status == 403 ? ERR_DENIED
                         : r->status == 409 ? ERR_CONFLICT
                         : r->status >= 500 ? ERR_UNAVAILABLE
                                            : ERR_INVALID;
    int result = err_set(err, code, "%s: %s", what, text_tail(a, text, 20, 4096));
    if (err) err->http_status = r->status;
    return result;
}

/* ---- Is anybody there ---- */

/* An own connect tells apart what an HTTP client folds into "couldn't connect". */
static int probe_socket(const struct docker_endpoint *e, struct err *err) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(e->socket) >= sizeof addr.sun_path)
        return err_set(err, ERR_INVALID, "%s (from %s): the path is too long for a socket", e->text, e->source);
    memcpy(addr.sun_path, e->socket, strlen(e->socket) + 1);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) return err_errno(err, errno, "can't make a socket");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, (struct sockaddr *) &addr, sizeof addr) == 0) return 0;
    int code = errno;
    /* Somebody listens, but is slow to take the connection: the request that follows waits, and can be cancelled. */
    if (code == EAGAIN || code == EINPROGRESS) return 0;
    err_errno(err, code, "can't reach the Docker engine at %s (from %s)", e->text, e->source);
    if (code == EACCES || code == EPERM)
        err_hint(err, "Your user may not use this socket. Add it to the socket's group (sudo usermod -aG docker $USER), "
                      "log in again, or use rootless Docker.");
    else if (code == ECONNREFUSED)
        err_hint(err, "The socket is there, but nothing listens: Docker isn't running. Start Docker Desktop, or "
                      "`sudo systemctl start docker`.");
    else if (code == ENOENT)
        err_hint(err, "There is no such socket: Docker isn't running or lies elsewhere. Start it, or correct %s.", e->source);
    return -(int) (err ? err->code : ERR_UNAVAILABLE);
}

static const char *engine_name(struct arena *a, const struct json *version) {
    json_each(c, json_get(version, "Components")) {
        const char *name = json_get_str(c, "Name");
        if (name && strcmp(name, "Podman Engine") == 0) return arena_printf(a, "Podman %s", json_get_str(c, "Version"));
    }
    const char *v = json_get_str(version, "Version");
    return arena_printf(a, "Docker Engine %s", v ? v : "of unknown version");
}

static int minor_of(const char *api) {
    int major = 0, minor = 0;
    return api && sscanf(api, "%d.%d", &major, &minor) == 2 && major == OUR_API_MAJOR ? minor : -1;
}

static int negotiate(struct docker *d, const struct json *version, struct err *err) {
    int newest = minor_of(json_get_str(version, "ApiVersion")), oldest = minor_of(json_get_str(version, "MinAPIVersion"));
    if (newest < 0) return err_set(err, ERR_PROTOCOL, "%s answers /version, but not as a Docker engine", d->endpoint.text);
    if (newest < MIN_API_MINOR) {
        err_set(err, ERR_UNSUPPORTED, "%s at %s is too old: it speaks API 1.%d, BuildKit needs 1.%d", d->info.server,
                d->endpoint.text, newest, MIN_API_MINOR);
        err_hint(err, "Update the engine to 20.10 or later.");
        return -ERR_UNSUPPORTED;
    }
    int use = newest < OUR_API_MINOR ? newest : OUR_API_MINOR;
    if (use < oldest) use = oldest;
    d->info.api = arena_printf(d->arena, "%d.%d", OUR_API_MAJOR, use);
    return 0;
}

static int ask_version(struct docker *d, struct ctx *ctx, struct err *err) {
    struct ctx limited = ctx_with_timeout(ctx, PING_MS);
    struct http_request req = {.connect_timeout = PING_MS, .max_body = 1 << 20};
    struct http_response reply;
    int r = engine_send(d, &limited, &req, "/version", &reply, err);
    if (r == -ERR_TIMEOUT) {
        say_which(d, err);
        err_hint(err, "It accepts connections but doesn't answer. Is it starting, or stuck?");
    }
    if (r < 0) return r;
    if (reply.status != 200) {
        engine_error(err, &reply, "GET /version");
        say_which(d, err);
        return -(int) (err ? err->code : ERR_PROTOCOL);
    }
    AUTO_JSON struct json *j = json_parse(reply.body, reply.body_len, err);
    if (!j) {
        say_which(d, err);
        return -ERR_PROTOCOL;
    }
    d->info.server = engine_name(d->arena, j);
    d->info.os = arena_strdup(d->arena, json_get_str(j, "Os"));
    d->info.arch = arena_strdup(d->arena, json_get_str(j, "Arch"));
    return negotiate(d, j, err);
}

/* ---- Opening ---- */

static void copy_endpoint(struct docker *d, const struct docker_endpoint *e) {
    struct arena *a = d->arena;
    d->endpoint = (struct docker_endpoint){
        .text = arena_strdup(a, e->text),
        .source = arena_strdup(a, e->source),
        .socket = arena_strdup(a, e->socket),
        .url = arena_strdup(a, e->url),
        .tls = {.ca_file = arena_strdup(a, e->tls.ca_file),
                .client_cert_pem = arena_strdup(a, e->tls.client_cert_pem),
                .client_key_pem = secret_ref(e->tls.client_key_pem)},
        .has_tls = e->has_tls,
    };
    d->info.endpoint = d->endpoint.text;
    d->info.source = d->endpoint.source;
}

static int open_one(struct ctx *ctx, const struct docker_options *opt, const struct docker_endpoint *e, struct docker **ret,
                    struct err *err) {
    int r = e->socket && !opt->http ? probe_socket(e, err) : 0;
    if (r < 0) return r;
    struct docker *d = NEW(struct docker);
    d->arena = arena_new();
    copy_endpoint(d, e);
    if (opt->http) {
        d->http = *opt->http;
    } else {
        d->own_http = http_new("gpudev");
        d->http = http_sender(d->own_http);
    }
    if ((r = ask_version(d, ctx, err)) < 0) {
        docker_free(d);
        return r;
    }
    *ret = d;
    return 0;
}

int docker_open(struct ctx *ctx, const struct docker_options *opt, struct docker **ret, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    struct docker_endpoints found;
    int r = docker_find(a, opt, &found, err);
    if (r < 0) return r;
    AUTO_ERR struct err first = {0};
    r = 1;
    for (size_t i = 0; i < found.n && r != 0; i++) {
        if (!found.asked_for && access(found.v[i].socket, F_OK) < 0) continue;
        AUTO_ERR struct err why = {0};
        r = open_one(ctx, opt, &found.v[i], ret, &why);
        if (r < 0 && !first.code) err_move(&first, &why);
        if (r == -ERR_CANCELLED) break;
    }
    if (found.asked_for) secret_unref((struct secret *) found.v[0].tls.client_key_pem);
    if (r == 0 || !first.code) return r;
    r = -(int) first.code;
    err_move(err, &first);
    return r;
}

void docker_free(struct docker *d) {
    if (!d) return;
    http_unref(d->own_http);
    secret_unref((struct secret *) d->endpoint.tls.client_key_pem);
    arena_free(d->arena);
    mem_free(d);
}

const struct docker_info *docker_info(const struct docker *d) { return &d->info; }

int docker_engine_id(struct docker *d, struct ctx *ctx, const char **ret, struct err *err) {
    struct http_request req = {.max_body = 1 << 20};
    struct http_response reply;
    int r = engine_send(d, ctx, &req, "/info", &reply, err);
    if (r < 0) return r;
    if (reply.status != 200) return engine_error(err, &reply, "GET /info");
    AUTO_JSON struct json *j = json_parse(reply.body, reply.body_len, err);
    if (!j) return err_wrap(err, "the engine's description of itself");
    const char *id = json_get_str(j, "ID");
    *ret = arena_strdup(ctx->arena, id ? id : "");
    return 0;
}

/* ---- Upgrades ---- */

int docker_upgrade(struct docker *d, struct ctx *ctx, const char *path, const struct kv *headers, size_t n_headers, int *ret_fd,
                   struct err *err) {
    struct http_header *h = arena_array(ctx->arena, n_headers, sizeof *h);
    for (size_t i = 0; i < n_headers; i++) h[i] = (struct http_header){.name = headers[i].key, .value = headers[i].value};
    struct http_request req = {
        .method = "POST",
        .url = arena_printf(ctx->arena, "%s/v%s%s", d->endpoint.url, d->info.api, path),
        .headers = h,
        .n_headers = n_headers,
        .unix_socket = d->endpoint.socket,
        .tls = d->endpoint.has_tls ? &d->endpoint.tls : NULL,
        .proxy = d->endpoint.socket ? "" : NULL,
    };
    AUTO_ERR struct err why = {0};
    int r = http_upgrade(ctx, &req, "h2c", ret_fd, &why);
    if (r == 0) return 0;
    if (why.http_status == 404 || why.http_status == 405 || why.http_status == 501) {
        err_set(err, ERR_UNSUPPORTED, "%s at %s has no BuildKit (%s: status %d)", d->info.server, d->endpoint.text, path,
                why.http_status);
        err_hint(err, "Use Docker Engine 20.10 or later on Linux (Docker Desktop, Colima and OrbStack have it): set docker.host or "
                      "DOCKER_HOST.");
        return -ERR_UNSUPPORTED;
    }
    err_move(err, &why);
    if (r != -ERR_CANCELLED && err) say_which(d, err);
    return r;
}
