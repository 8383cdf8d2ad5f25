/* Where Docker's own command line looks for an engine, in its order: an explicit host, DOCKER_HOST, the docker context
 * (docker/cli cli/context/store), then the sockets of the usual distributions of the engine. */
#include "docker/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "docker/docker.h"
#include "json/json.h"

enum { MAX_CONFIG = 4 * 1024 * 1024 };

static const char *env(const struct docker_options *opt, const char *name) {
    const char *v = opt->getenv ? opt->getenv(opt->getenv_self, name) : getenv(name);
    return str_empty(v) ? NULL : v;
}

static const char *home(struct arena *a, const struct docker_options *opt) {
    const char *h = env(opt, "HOME");
    return h ? h : fs_expand_home(a, "~");
}

static const char *config_dir(struct arena *a, const struct docker_options *opt) {
    const char *dir = env(opt, "DOCKER_CONFIG");
    return dir ? dir : fs_join(a, home(a, opt), ".docker");
}

/* ---- One address ---- */

static int read_key(struct arena *a, const char *path, const struct secret **ret, struct err *err) {
    char *text;
    size_t len;
    int r = fs_read(a, path, MAX_CONFIG, &text, &len, err);
    if (r < 0) return r;
    *ret = secret_new(text, len);
    mem_wipe(text, len);
    return 0;
}

/* ca.pem, cert.pem and key.pem, each optional. */
static int read_tls(struct arena *a, const char *dir, struct docker_endpoint *e, struct err *err) {
    const char *ca = fs_join(a, dir, "ca.pem"), *cert = fs_join(a, dir, "cert.pem"), *key = fs_join(a, dir, "key.pem");
    if (access(ca, F_OK) == 0) e->tls.ca_file = ca;
    if (access(cert, F_OK) == 0) {
        char *pem;
        size_t len;
        int r = fs_read(a, cert, MAX_CONFIG, &pem, &len, err);
        if (r < 0 || (r = read_key(a, key, &e->tls.client_key_pem, err)) < 0) return r;
        e->tls.client_cert_pem = pem;
    }
    e->has_tls = true;
    return 0;
}

static int parse_tcp(struct arena *a, const char *rest, bool tls, const char *tls_dir, struct docker_endpoint *e, struct err *err) {
    char *host = arena_strndup(a, rest, strcspn(rest, "/"));
    if (!*host) return err_set(err, ERR_INVALID, "%s (from %s) names no host", e->text, e->source);
    const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
    bool port = colon && (!bracket || colon > bracket);
    e->url = arena_printf(a, "%s://%s%s", tls ? "https" : "http", host, port ? "" : tls ? ":2376" : ":2375");
    return tls && tls_dir ? read_tls(a, tls_dir, e, err) : 0;
}

static int parse_host(struct arena *a, const char *text, const char *source, const char *tls_dir, struct docker_endpoint *e,
                      struct err *err) {
    *e = (struct docker_endpoint){.text = text, .source = source};
    if (*text == '/') {
        e->text = arena_printf(a, "unix://%s", text);
        e->socket = text;
    } else if (str_starts(text, "unix://")) {
        e->socket = text + strlen("unix://");
    }
    if (e->socket) {
        e->url = "http://docker";
        return *e->socket == '/' ? 0 : err_set(err, ERR_INVALID, "%s (from %s) must name an absolute path", text, source);
    }
    if (str_starts(text, "tcp://")) return parse_tcp(a, text + 6, tls_dir, tls_dir, e, err);
    if (str_starts(text, "http://")) return parse_tcp(a, text + 7, false, NULL, e, err);
    if (str_starts(text, "https://")) return parse_tcp(a, text + 8, true, tls_dir, e, err);
    if (str_starts(text, "ssh://")) {
        err_set(err, ERR_UNSUPPORTED, "%s (from %s): an engine over ssh can't be used yet", text, source);
        err_hint(err, "Forward its socket and name that: ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST, "
                      "then docker = { host = \"unix:///tmp/docker.sock\" }.");
        return -ERR_UNSUPPORTED;
    }
    err_set(err, ERR_INVALID, "\"%s\" (from %s) is no address of a Docker engine", text, source);
    err_hint(err, "Write unix:///path/to/docker.sock or tcp://host:port.");
    return -ERR_INVALID;
}

static int one(struct arena *a, const char *text, const char *source, const char *tls_dir, struct docker_endpoints *ret,
               struct err *err) {
    struct docker_endpoint *e = arena_alloc(a, sizeof *e);
    int r = parse_host(a, arena_strdup(a, text), source, tls_dir, e, err);
    if (r < 0) {
        secret_unref((struct secret *) e->tls.client_key_pem);
        return r;
    }
    *ret = (struct docker_endpoints){.v = e, .n = 1, .asked_for = true};
    return 0;
}

/* ---- The docker context ---- */

/* 1: there is none. */
static int current_context(struct arena *a, const struct docker_options *opt, const char **ret, struct err *err) {
    const char *name = env(opt, "DOCKER_CONTEXT");
    if (!name) {
        const char *path = fs_join(a, config_dir(a, opt), "config.json");
        char *text;
        size_t len;
        if (access(path, R_OK) < 0) return 1;
        int r = fs_read(a, path, MAX_CONFIG, &text, &len, err);
        if (r < 0) return r;
        AUTO_JSON struct json *j = json_parse(text, len, err);
        mem_wipe(text, len); /* it may hold passwords */
        if (!j) return err_wrap(err, "%s", path);
        name = arena_strdup(a, json_get_str(j, "currentContext"));
    }
    if (str_empty(name) || strcmp(name, "default") == 0) return 1;
    *ret = name;
    return 0;
}

static int context_endpoint(struct arena *a, const struct docker_options *opt, const char *name, struct docker_endpoints *ret,
                            struct err *err) {
    unsigned char digest[SHA256_LEN];
    char id[SHA256_HEX];
    sha256_once(name, strlen(name), digest);
    hex_encode(digest, sizeof digest, id);
    const char *store = fs_join(a, config_dir(a, opt), "contexts");
    const char *path = arena_printf(a, "%s/meta/%s/meta.json", store, id);
    char *text;
    size_t len;
    int r = fs_read(a, path, MAX_CONFIG, &text, &len, err);
    if (r == -ERR_NOT_FOUND) {
        err_set(err, ERR_NOT_FOUND, "the docker context \"%s\" doesn't exist", name);
        err_hint(err, "`docker context ls` shows those that do; set docker.host in the provider block to name an engine yourself.");
        return r;
    }
    if (r < 0) return r;
    AUTO_JSON struct json *j = json_parse(text, len, err);
    if (!j) return err_wrap(err, "%s", path);
    const char *host = json_str(json_at(j, "Endpoints", "docker", "Host", NULL));
    if (str_empty(host)) return err_set(err, ERR_INVALID, "the docker context \"%s\" (%s) names no engine", name, path);
    const char *tls = arena_printf(a, "%s/tls/%s/docker", store, id);
    return one(a, host, arena_printf(a, "the docker context %s", name), access(tls, F_OK) == 0 ? tls : NULL, ret, err);
}

/* ---- The usual sockets ---- */

static void add_socket(struct arena *a, struct docker_endpoints *list, size_t *cap, const char *path) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i].socket, path) == 0) return;
    ARENA_GROW(a, list->v, list->n, *cap);
    list->v[list->n++] = (struct docker_endpoint){
        .text = arena_printf(a, "unix://%s", path), .source = "the usual sockets", .socket = path, .url = "http://docker"};
}

static void usual(struct arena *a, const struct docker_options *opt, struct docker_endpoints *ret) {
    static const char *const in_home[] = {
        ".docker/run/docker.sock",     /* Docker Desktop */
        ".docker/desktop/docker.sock", /* Docker Desktop on Linux */
        ".colima/default/docker.sock",   ".config/colima/default/docker.sock",
        ".orbstack/run/docker.sock",     ".rd/docker.sock", /* Rancher Desktop */
        ".lima/docker/sock/docker.sock", ".local/share/containers/podman/machine/podman.sock",
    };
    size_t cap = 0;
    *ret = (struct docker_endpoints){0};
    add_socket(a, ret, &cap, "/var/run/docker.sock");
    const char *run = env(opt, "XDG_RUNTIME_DIR");
    if (!run) run = arena_printf(a, "/run/user/%ld", (long) getuid());
    add_socket(a, ret, &cap, fs_join(a, run, "docker.sock"));
    const char *h = home(a, opt);
    for (size_t i = 0; h && i < ARRAY_SIZE(in_home); i++) add_socket(a, ret, &cap, fs_join(a, h, in_home[i]));
    add_socket(a, ret, &cap, fs_join(a, run, "podman/podman.sock"));
    add_socket(a, ret, &cap, "/run/podman/podman.sock");
}

int docker_find(struct arena *a, const struct docker_options *opt, struct docker_endpoints *ret, struct err *err) {
    const char *host = str_empty(opt->host) ? NULL : opt->host, *source = "docker.host of the provider block";
    if (!host) {
        host = env(opt, "DOCKER_HOST");
        source = "DOCKER_HOST";
    }
    if (host) {
        const char *certs = env(opt, "DOCKER_CERT_PATH");
        bool tls = env(opt, "DOCKER_TLS_VERIFY") || env(opt, "DOCKER_TLS");
        return one(a, host, source, tls ? certs ? certs : config_dir(a, opt) : NULL, ret, err);
    }
    const char *name = NULL;
    int r = current_context(a, opt, &name, err);
    if (r < 0) return r;
    if (r == 0) return context_endpoint(a, opt, name, ret, err);
    usual(a, opt, ret);
    return 0;
}
