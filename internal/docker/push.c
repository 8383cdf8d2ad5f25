/* POST /images/NAME/push, and what its failures mean. */
#include <string.h>
#include <strings.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "docker/engine.h"
#include "docker/push_stream.h"

/* ---- What went wrong ---- */

struct meaning {
    const char *words; /* in the engine's text, any case; the first row that fits counts */
    enum err_code code;
    bool retryable;
    const char *hint;
};

static const struct meaning meanings[] = {
    {"no basic auth credentials", ERR_UNAUTHENTICATED, false,
     "The registry got no credentials. They are looked up by the exact host of the repository: is it right?"},
    {"authorization token has expired", ERR_UNAUTHENTICATED, false, "The registry's token has expired; apply again."},
    {"immutable", ERR_CONFLICT, false,
     "The repository's tags are immutable and this one exists with another image. Use another tag, or make the repository "
     "mutable."},
    {"already exists in the", ERR_CONFLICT, false,
     "The repository's tags are immutable and this one exists with another image. Use another tag, or make the repository "
     "mutable."},
    {"quota", ERR_LIMIT, false,
     "A quota of the registry is reached (images per repository, for example): remove old images or ask for more."},
    {"toomanyrequests", ERR_THROTTLED, true, "The registry asks to slow down; apply again in a while."},
    {"too many requests", ERR_THROTTLED, true, "The registry asks to slow down; apply again in a while."},
    {"rate exceeded", ERR_THROTTLED, true, "The registry asks to slow down; apply again in a while."},
    {"name unknown", ERR_NOT_FOUND, false,
     "The repository doesn't exist in this registry (account and region are part of its host)."},
    {"name_unknown", ERR_NOT_FOUND, false,
     "The repository doesn't exist in this registry (account and region are part of its host)."},
    {"repository does not exist", ERR_NOT_FOUND, false,
     "The repository doesn't exist in this registry (account and region are part of its host)."},
    {"repositorynotfound", ERR_NOT_FOUND, false,
     "The repository doesn't exist in this registry (account and region are part of its host)."},
    {"does not exist in the registry", ERR_NOT_FOUND, false,
     "The repository doesn't exist in this registry (account and region are part of its host)."},
    {"x509", ERR_UNAVAILABLE, false,
     "The engine, not gpudev, checks the registry's certificate: put the CA (of a corporate proxy, for example) into the "
     "engine's trust store or into /etc/docker/certs.d/HOST/ca.crt on the engine's machine."},
    {"server gave http response to https client", ERR_UNAVAILABLE, false,
     "The registry speaks plain HTTP: name it under \"insecure-registries\" in the engine's daemon.json."},
    {"unauthorized", ERR_UNAUTHENTICATED, false, "The registry refuses the credentials."},
    {"authentication required", ERR_UNAUTHENTICATED, false, "The registry refuses the credentials."},
    {"not authorized to perform", ERR_DENIED, false,
     "The credentials lack a right. A push to ECR needs ecr:BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, "
     "CompleteLayerUpload, PutImage and BatchGetImage on the repository."},
    {"denied", ERR_DENIED, false,
     "The credentials are good but lack a right on this repository, or (on the last step) a quota of images is reached. Is the "
     "account in the repository's host the right one?"},
    {"forbidden", ERR_DENIED, false,
     "The credentials are good but lack a right on this repository, or (on the last step) a quota of images is reached. Is the "
     "account in the repository's host the right one?"},
    {"does not exist locally", ERR_NOT_FOUND, false,
     "The image vanished from the engine between build and push: does something prune it?"},
    {"method not allowed", ERR_UNSUPPORTED, false, "The registry doesn't take this kind of manifest."},
    {"405 method", ERR_UNSUPPORTED, false, "The registry doesn't take this kind of manifest."},
    {"no such host", ERR_UNAVAILABLE, false,
     "The engine can't look up the registry's name: check the repository's host, and DNS on the engine's machine."},
    {"connection refused", ERR_UNAVAILABLE, true, "Nothing listens at the registry's address."},
    {"eof", ERR_UNAVAILABLE, false,
     "The registry closed the connection. With ECR this mostly means that the repository doesn't exist, or that "
     "ecr:InitiateLayerUpload is not allowed."},
    {"timeout", ERR_UNAVAILABLE, true, "The registry can't be reached from the engine's machine: proxy, firewall, VPN?"},
    {"connection reset", ERR_UNAVAILABLE, true, "The connection to the registry broke; apply again."},
    {"broken pipe", ERR_UNAVAILABLE, true, "The connection to the registry broke; apply again."},
    {"internal server error", ERR_UNAVAILABLE, true, "The registry has a problem of its own; apply again."},
    {"bad gateway", ERR_UNAVAILABLE, true, "The registry has a problem of its own; apply again."},
    {"service unavailable", ERR_UNAVAILABLE, true, "The registry has a problem of its own; apply again."},
};

static bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* "eof" must stand alone. */
static bool says(const char *text, const char *words) {
    bool alone = strlen(words) == 3;
    for (const char *p = text; (p = strcasestr(p, words)); p++)
        if (!alone || ((p == text || !is_word(p[-1])) && !is_word(p[strlen(words)]))) return true;
    return false;
}

/* The engine expects JSON and complains about ECR's plain text: "error parsing HTTP 403 response body: invalid character
 * 'q' looking for beginning of value: \"quota reached\"" → "HTTP 403: quota reached". */
static const char *plainly(struct arena *a, const char *text) {
    static const char start[] = "error parsing HTTP ";
    const char *from = strstr(text, start), *body = from ? strstr(from, " response body: ") : NULL;
    const char *quote = body ? strstr(body, ": \"") : NULL;
    size_t len = quote ? strlen(quote + 3) : 0;
    if (!len || quote[3 + len - 1] != '"') return text;
    from += strlen(start);
    return arena_printf(a, "%.*sHTTP %.*s: %.*s", (int) (from - strlen(start) - text), text, (int) (body - from), from, (int) len - 1, quote + 3);
}

int docker_push_error(struct err *err, const char *repository, const char *tag, const char *text) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *clean = plainly(a, text_tail(a, text, 20, 4096));
    const struct meaning *m = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(meanings) && !m; i++)
        if (says(clean, meanings[i].words)) m = &meanings[i];
    int r = err_set(err, m ? m->code : ERR_FAILED, "the push of %s:%s failed: %s", repository, tag, clean);
    if (m && err) {
        err_hint(err, "%s", m->hint);
        err->retryable = m->retryable;
    }
    return r;
}

/* ---- The push ---- */

/* X-Registry-Auth: base64url of {"username":…,"password":…,"serveraddress":…}. An empty object where there are none. */
static struct secret *registry_auth(const struct docker_push *req) {
    struct buf json = {0};
    if (req->user) {
        buf_adds(&json, "{\"username\":");
        buf_add_json(&json, req->user, strlen(req->user));
        buf_adds(&json, ",\"password\":");
        buf_add_json(&json, secret_bytes(req->password), secret_len(req->password));
        buf_adds(&json, ",\"serveraddress\":");
        buf_add_json(&json, req->server, strlen(req->server));
        buf_adds(&json, "}");
    } else {
        buf_adds(&json, "{}");
    }
    AUTO_ARENA struct arena *a = arena_new();
    char *encoded = base64url_encode(a, json.data, json.len, true);
    struct secret *s = secret_new(encoded, strlen(encoded));
    mem_wipe(encoded, strlen(encoded));
    buf_wipe(&json);
    return s;
}

static int on_body(void *arg, const char *data, size_t len, struct err *err) { return push_stream_add(arg, data, len, err); }

int docker_image_push(struct docker *d, struct ctx *ctx, const struct docker_push *push, struct docker_pushed *ret,
                      struct err *err) {
    struct arena *a = ctx->arena;
    AUTO_SECRET struct secret *auth = registry_auth(push);
    const struct http_header header = {.name = "X-Registry-Auth", .value = "", .secret = auth};
    struct push_stream stream;
    push_stream_init(&stream, push);
    struct http_request req = {
        .method = "POST",
        .headers = &header,
        .n_headers = 1,
        .idle_timeout = -1, /* an engine that waits for a slow registry says nothing */
        .on_body = on_body,
        .arg = &stream,
    };
    const char *path =
        arena_printf(a, "/images/%s/push?tag=%s", http_encode(a, push->repository, true), http_encode(a, push->tag, false));
    struct http_response reply;
    int r = engine_send(d, ctx, &req, path, &reply, err);
    if (r == 0 && reply.status != 200)
        r = engine_error(err, &reply, "can't push %s:%s", push->repository, push->tag);
    else if (r == 0)
        r = push_stream_end(&stream, err);
    if (r == 0)
        *ret = (struct docker_pushed){
            .digest = arena_strdup(a, stream.digest),
            .size = stream.size,
            .layers = stream.n_layers,
            .existed = stream.existed,
            .bytes = stream.bytes,
        };
    push_stream_done(&stream);
    return r;
}
