/* A request as curl's options. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "http/internal.h"

enum { CONNECT_TIMEOUT = 10000 };

/* OpenSSL writes without MSG_NOSIGNAL: a connection that the peer has closed must be an error, not the process's end. */
static void ignore_sigpipe(void) {
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
}

static void global_init(void) {
    ignore_sigpipe();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) mem_abort();
}

void curl_init_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
}

int header_check(const struct http_header *h, struct err *err) {
    bool bad_name = str_empty(h->name) || strpbrk(h->name, "\r\n: ");
    if (!bad_name && !(h->value && strpbrk(h->value, "\r\n")) && !strpbrk(secret_bytes(h->secret), "\r\n")) return 0;
    return err_set(err, ERR_INVALID, "a line break in the header %s", bad_name ? "name" : h->name);
}

static char *header_line(const struct http_header *h) {
    const char *value = h->value ? h->value : "";
    bool empty = !*value && !secret_len(h->secret);
    size_t size = strlen(h->name) + strlen(value) + secret_len(h->secret) + 3;
    char *line = mem_alloc(size);
    /* curl's form of an empty header is "Name;". */
    snprintf(line, size, "%s%s%s%s", h->name, empty ? ";" : ": ", value, secret_bytes(h->secret));
    return line;
}

static void append(struct curl_slist **list, const char *line) {
    struct curl_slist *l = curl_slist_append(*list, line);
    if (!l) mem_abort();
    *list = l;
}

static bool has_header(const struct http_request *req, const char *name) {
    for (size_t i = 0; i < req->n_headers; i++)
        if (strcasecmp(req->headers[i].name, name) == 0) return true;
    return false;
}

static int set_headers(struct easy *e, const struct http_request *req, bool has_body, struct err *err) {
    for (size_t i = 0; i < req->n_headers; i++) {
        int r = header_check(&req->headers[i], err);
        if (r < 0) return r;
        char *line = header_line(&req->headers[i]);
        append(&e->headers, line);
        mem_wipe(line, strlen(line));
        mem_free(line);
    }
    append(&e->headers, "Expect:"); /* waiting for "100 Continue" costs a second with servers that don't send it */
    if (has_body && !has_header(req, "Content-Type")) append(&e->headers, "Content-Type:");
    if (req->tls && req->tls->server_name && !has_header(req, "Host")) {
        AUTO_FREE char *authority = target_authority(&e->target), *line = mem_printf("Host: %s", authority);
        append(&e->headers, line);
    }
    curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, e->headers);
    return 0;
}

/* Descriptors of curl must not leak into programs that other parts of the process start. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    (void) arg;
    (void) purpose;
    int fd = socket(address->family, address->socktype, address->protocol);
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* Another name to verify: the URL gets that name, so that SNI and the check are curl's ordinary ones, and the
 * connection is directed to the real host. */
static void set_url(struct easy *e, const struct http_request *req) {
    const char *name = req->tls ? req->tls->server_name : NULL;
    if (!name || !e->target.tls) {
        curl_easy_setopt(e->curl, CURLOPT_URL, req->url);
        return;
    }
    AUTO_FREE char *to = mem_printf("::%s:%s", e->target.host, e->target.port);
    AUTO_FREE char *url = mem_printf("https://%s:%s%s", name, e->target.port, e->target.path);
    append(&e->connect_to, to);
    curl_easy_setopt(e->curl, CURLOPT_CONNECT_TO, e->connect_to);
    curl_easy_setopt(e->curl, CURLOPT_URL, url);
}

static void set_trust(struct easy *e, const struct http_tls *tls) {
    if (tls && tls->ca_pem) {
        struct curl_blob blob = {.data = (char *) tls->ca_pem, .len = strlen(tls->ca_pem), .flags = CURL_BLOB_COPY};
        curl_easy_setopt(e->curl, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(e->curl, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(e->curl, CURLOPT_CAINFO_BLOB, &blob);
        e->own_trust = true;
        return;
    }
    bool own = tls && tls->ca_file;
    struct trust t = own ? (struct trust){.file = tls->ca_file} : trust_find();
    e->own_trust = own;
    e->ca_file = mem_strdup(t.file ? t.file : t.dir);
    curl_easy_setopt(e->curl, CURLOPT_CAINFO, t.file);
    curl_easy_setopt(e->curl, CURLOPT_CAPATH, t.dir);
}

static void set_tls(struct easy *e, const struct http_tls *tls) {
    curl_easy_setopt(e->curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    set_trust(e, tls);
    if (!tls || !tls->client_cert_pem || !tls->client_key_pem) return;
    struct curl_blob cert = {.data = (char *) tls->client_cert_pem, .len = strlen(tls->client_cert_pem), .flags = CURL_BLOB_COPY};
    /* Not copied, so that the secret's own memory is the only one; the caller outlives the transfer. */
    struct curl_blob key = {
        .data = (char *) secret_bytes(tls->client_key_pem), .len = secret_len(tls->client_key_pem), .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(e->curl, CURLOPT_SSLCERT_BLOB, &cert);
    curl_easy_setopt(e->curl, CURLOPT_SSLKEY_BLOB, &key);
}

static const char *env_first(const char *a, const char *b) {
    const char *v = getenv(a);
    return str_empty(v) ? getenv(b) : v;
}

static void set_proxy(struct easy *e, const struct http_request *req) {
    const char *proxy = req->proxy;
    if (req->unix_socket || (!proxy && e->target.loopback)) proxy = "";
    /* curl itself knows http_proxy in lower case only, for the sake of CGI programs. */
    if (!proxy && !e->target.tls && str_empty(getenv("http_proxy"))) proxy = getenv("HTTP_PROXY");
    if (proxy) curl_easy_setopt(e->curl, CURLOPT_PROXY, proxy);
    const char *of_env = e->target.tls ? env_first("https_proxy", "HTTPS_PROXY") : getenv("http_proxy");
    if (str_empty(of_env)) of_env = env_first("all_proxy", "ALL_PROXY");
    e->proxied = proxy ? *proxy : !str_empty(of_env);
}

int easy_init(struct easy *e, const struct http_request *req, const char *user_agent, struct err *err) {
    curl_init_once();
    int r = target_parse(&e->target, req, err);
    if (r < 0) return r;
    CURL *c = e->curl = curl_easy_init();
    if (!c) mem_abort();
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, e->errbuf);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* a cancel doesn't wait for the resolver's thread */
#endif
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long) (req->connect_timeout ? req->connect_timeout : CONNECT_TIMEOUT));
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    if (user_agent) curl_easy_setopt(c, CURLOPT_USERAGENT, user_agent);
    if (req->unix_socket) curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
    set_url(e, req);
    set_proxy(e, req);
    if (e->target.tls) set_tls(e, req->tls);
    return 0;
}

static bool method_has_body(const char *method) {
    return str_eq(method, "POST") || str_eq(method, "PUT") || str_eq(method, "PATCH");
}

int easy_set_request(struct easy *e, const struct http_request *req, struct err *err) {
    CURL *c = e->curl;
    const char *method = req->method ? req->method : "GET";
    bool has_body = req->read_body || req->body_len || method_has_body(method);
    if (e->target.tls) {
        curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
        /* Waits for a connection that is being made, to share it, rather than making another one. */
        curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L);
    } else {
        curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    }
    if (req->read_body) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t) req->read_body_len);
    } else if (has_body) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) req->body_len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body_len ? req->body : "");
    } else if (str_eq(method, "HEAD")) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    return set_headers(e, req, has_body, err);
}

void easy_done(struct easy *e) {
    if (e->curl) curl_easy_cleanup(e->curl);
    for (struct curl_slist *l = e->headers; l; l = l->next) mem_wipe(l->data, strlen(l->data));
    curl_slist_free_all(e->headers);
    curl_slist_free_all(e->connect_to);
    target_done(&e->target);
    mem_free(e->ca_file);
    *e = (struct easy){0};
}
