/* The session services, served over the connection that the client opened (moby/buildkit session/). Method names and
 * metadata keys are the protocol's. */
#include "buildkit/session.h"

#include <pthread.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "buildkit/pb.h"
#include "context/context.h"
#include "crypto/crypto.h"
#include "proto/buildkit_session.pb-c.h"
#include "rpc/rpc.h"

enum { MAX_PATTERNS = 100000 };

static const char *const exposed[] = {
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/grpc.health.v1.Health/Check",
};

struct bk_session {
    struct bk_session_options opt;
    struct arena *arena;
    const char *id;
    struct kv headers[3 + ARRAY_SIZE(exposed)];
    struct rpc_server *server;
    pthread_mutex_t lock;
    struct err failure; /* the first one */
};

static int fail(struct bk_session *s, const struct err *err) {
    pthread_mutex_lock(&s->lock);
    if (!s->failure.code && err->code != ERR_CANCELLED) {
        err_set(&s->failure, err->code, "%s", err_text(err));
        if (err->hint) err_hint(&s->failure, "%s", err->hint);
        if (err->file) err_at(&s->failure, err->file, err->line);
    }
    pthread_mutex_unlock(&s->lock);
    return RPC_UNKNOWN;
}

/* ---- Health ---- */

static int handle_health(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    Bk__HealthCheckResponse reply = BK__HEALTH_CHECK_RESPONSE__INIT;
    reply.status = 1;
    uint8_t packed[16];
    return rpc_call_send(c, packed, bk__health_check_response__pack(&reply, packed), err) < 0 ? RPC_INTERNAL : RPC_OK;
}

/* ---- File sync ---- */

static int unhex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Go's url.QueryUnescape. */
static const char *query_unescape(struct arena *a, const char *s, size_t len) {
    char *out = arena_alloc(a, len + 1), *to = out;
    for (size_t i = 0; i < len; i++) {
        int hi, lo;
        if (s[i] == '%' && i + 2 < len && (hi = unhex(s[i + 1])) >= 0 && (lo = unhex(s[i + 2])) >= 0) {
            *to++ = (char) (hi << 4 | lo);
            i += 2;
        } else {
            *to++ = s[i] == '+' ? ' ' : s[i];
        }
    }
    return out;
}

static bool flagged(const struct rpc_meta *meta, size_t n, const char *key) {
    size_t len = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (strncmp(meta[i].key, key, len) == 0 && strcmp(meta[i].key + len, "-encoded") == 0)
            return meta[i].len == 1 && *meta[i].value == '1';
    return false;
}

static int values_of(struct arena *a, const struct rpc_meta *meta, size_t n, const char *key, struct strs *ret, struct err *err) {
    bool encoded = flagged(meta, n, key);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(meta[i].key, key) != 0) continue;
        if (ret->n == MAX_PATTERNS) return err_set(err, ERR_LIMIT, "the builder sent more than %d %s", MAX_PATTERNS, key);
        strs_add(a, ret, encoded ? query_unescape(a, meta[i].value, meta[i].len) : arena_strndup(a, meta[i].value, meta[i].len));
    }
    return 0;
}

int bk_parse_sync_meta(struct arena *a, const struct rpc_meta *meta, size_t n, const char **ret_dir_name,
                       struct context_filter *ret, struct err *err) {
    struct strs name = {0}, follow = {0}, include = {0}, exclude = {0};
    int r;
    if ((r = values_of(a, meta, n, "dir-name", &name, err)) < 0 || (r = values_of(a, meta, n, "followpaths", &follow, err)) < 0 ||
        (r = values_of(a, meta, n, "include-patterns", &include, err)) < 0 ||
        (r = values_of(a, meta, n, "exclude-patterns", &exclude, err)) < 0)
        return r;
    *ret_dir_name = name.n == 1 ? name.v[0] : "";
    *ret = (struct context_filter){.exclude = exclude.v,
                                   .n_exclude = exclude.n,
                                   .include = include.v,
                                   .n_include = include.n,
                                   .follow = follow.v,
                                   .n_follow = follow.n};
    return 0;
}

static int link_recv(void *self, struct arena *a, const void **ret, size_t *ret_len, struct err *err) {
    return rpc_call_recv(self, a, ret, ret_len, err);
}

static int link_send(void *self, const void *msg, size_t len, struct err *err) { return rpc_call_send(self, msg, len, err); }

static void link_stop(void *self) { cancel_request(rpc_call_ctx(self)->cancel); }

static const struct bk_source *find_source(const struct bk_session *s, const char *name) {
    for (size_t i = 0; i < s->opt.n_sources; i++)
        if (strcmp(s->opt.sources[i].name, name) == 0) return &s->opt.sources[i];
    return NULL;
}

static int handle_diffcopy(void *service, struct rpc_call *c, struct err *err) {
    struct bk_session *s = service;
    struct ctx *ctx = rpc_call_ctx(c);
    size_t n_meta;
    const struct rpc_meta *meta = rpc_call_meta(c, &n_meta);
    const char *name;
    struct context_filter asked;
    if (bk_parse_sync_meta(ctx->arena, meta, n_meta, &name, &asked, err) < 0) return fail(s, err);
    const struct bk_source *src = find_source(s, name);
    if (!src) {
        err_set(err, ERR_PROTOCOL, "the builder asked for the folder \"%s\", which is not part of the build",
                text_clean(ctx->arena, name, strlen(name)));
        fail(s, err);
        return RPC_NOT_FOUND;
    }
    if (s->opt.synced) s->opt.synced(s->opt.synced_self, src, &asked, NULL);
    const struct bk_link link = {.recv = link_recv, .send = link_send, .stop = link_stop, .self = c};
    struct bk_sync_result result;
    if (bk_sync_send(ctx, src, &asked, &link, &result, err) < 0) return fail(s, err);
    log_debug(ctx, "synced %s: %zu files, %llu bytes sent", name, result.n_files, (unsigned long long) result.bytes);
    if (s->opt.synced) s->opt.synced(s->opt.synced_self, src, &asked, &result);
    return RPC_OK;
}

/* ---- Credentials and secrets ---- */

static int send_credentials(struct rpc_call *c, const char *user, const struct secret *password, struct err *err) {
    Bk__CredentialsResponse reply = BK__CREDENTIALS_RESPONSE__INIT;
    reply.username = (char *) user;
    reply.secret = (char *) secret_bytes(password);
    size_t len = bk__credentials_response__get_packed_size(&reply);
    AUTO_FREE uint8_t *packed = mem_alloc(len + 1);
    bk__credentials_response__pack(&reply, packed);
    int r = rpc_call_send(c, packed, len, err);
    mem_wipe(packed, len);
    return r < 0 ? RPC_INTERNAL : RPC_OK;
}

static int handle_credentials(void *service, struct rpc_call *c, struct err *err) {
    struct bk_session *s = service;
    struct ctx *ctx = rpc_call_ctx(c);
    const void *data;
    size_t len;
    if (rpc_call_recv(c, NULL, &data, &len, err) <= 0) return RPC_INTERNAL;
    ProtobufCAllocator alloc = pb_arena(ctx->arena);
    Bk__CredentialsRequest *req = bk__credentials_request__unpack(&alloc, len, data);
    if (!req) {
        err_set(err, ERR_PROTOCOL, "a broken request for credentials");
        return RPC_INVALID_ARGUMENT;
    }
    const char *user = "";
    AUTO_SECRET struct secret *password = NULL;
    if (s->opt.credentials) {
        int r = s->opt.credentials(s->opt.credentials_self, ctx, req->host, &user, &password, err);
        if (r < 0) {
            err_wrap(err, "no credentials for the registry %s", req->host);
            return fail(s, err);
        }
        if (r > 0) user = "";
    }
    return send_credentials(c, user, password, err);
}

static int handle_secret(void *service, struct rpc_call *c, struct err *err) {
    (void) service, (void) c;
    err_set(err, ERR_NOT_FOUND, "no such secret");
    return RPC_NOT_FOUND;
}

/* ---- The session ---- */

static const struct rpc_method methods[] = {
    {"/grpc.health.v1.Health/Check", handle_health, true},
    {"/moby.filesync.v1.FileSync/DiffCopy", handle_diffcopy, false},
    {"/moby.filesync.v1.Auth/Credentials", handle_credentials, false},
    {"/moby.buildkit.secrets.v1.Secrets/GetSecret", handle_secret, false},
    {0},
};

int bk_session_new(const struct bk_session_options *opt, struct bk_session **ret, struct err *err) {
    struct bk_session *s = NEW(struct bk_session);
    s->opt = *opt;
    s->arena = arena_new();
    pthread_mutex_init(&s->lock, NULL);
    s->id = random_hex(s->arena, 16);
    s->headers[0] = (struct kv){"X-Docker-Expose-Session-Uuid", s->id};
    s->headers[1] = (struct kv){"X-Docker-Expose-Session-Name", "gpudev"};
    s->headers[2] =
        (struct kv){"X-Docker-Expose-Session-Sharedkey", arena_strdup(s->arena, opt->shared_key ? opt->shared_key : s->id)};
    for (size_t i = 0; i < ARRAY_SIZE(exposed); i++)
        s->headers[3 + i] = (struct kv){"X-Docker-Expose-Session-Grpc-Method", exposed[i]};
    s->server = rpc_server_new(&(struct rpc_server_options){.methods = methods, .service = s, .cancel = opt->cancel}, err);
    if (!s->server) {
        bk_session_free(s);
        return -ERR_INTERNAL;
    }
    rpc_server_start(s->server);
    *ret = s;
    return 0;
}

const struct kv *bk_session_headers(const struct bk_session *s, size_t *ret_n) {
    *ret_n = ARRAY_SIZE(s->headers);
    return s->headers;
}

const char *bk_session_id(const struct bk_session *s) { return s->id; }

int bk_session_serve(struct bk_session *s, int fd, struct err *err) { return rpc_server_add_fd(s->server, fd, err); }

int bk_session_failure(struct bk_session *s, struct err *ret) {
    pthread_mutex_lock(&s->lock);
    int r = s->failure.code ? 1 : 0;
    if (r) err_move(ret, &s->failure);
    pthread_mutex_unlock(&s->lock);
    return r;
}

void bk_session_free(struct bk_session *s) {
    if (!s) return;
    rpc_server_free(s->server);
    err_done(&s->failure);
    pthread_mutex_destroy(&s->lock);
    arena_free(s->arena);
    mem_free(s);
}
