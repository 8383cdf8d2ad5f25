#pragma once

/* A small server on loopback for tests: one thread a connection, plain, TLS or on a unix socket. What it answers is the
 * test's function. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/crypto.h"

enum { MAX_CONNS = 64 };

struct conn {
    struct server *s;
    int fd;
    SSL *ssl;
    char sni[64];
};

struct server {
    int fd, port;
    char socket_path[64];
    char url[64]; /* "http://127.0.0.1:PORT" */
    void (*serve)(struct conn *c);
    void *arg;
    SSL_CTX *tls;
    struct cert cert;
    pthread_t thread;
    pthread_t workers[MAX_CONNS];
    struct conn conns[MAX_CONNS];
    atomic_int n_conns;
    atomic_int n_ended; /* connections that are over */
    atomic_long sent;
};

static inline ssize_t conn_read(struct conn *c, void *to, size_t cap) {
    return c->ssl ? SSL_read(c->ssl, to, (int) cap) : recv(c->fd, to, cap, 0);
}

static inline bool conn_write(struct conn *c, const void *p, size_t len) {
    while (len) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, p, (int) len) : send(c->fd, p, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        p = (const char *) p + n;
        len -= (size_t) n;
        atomic_fetch_add(&c->s->sent, n);
    }
    return true;
}

static inline bool conn_puts(struct conn *c, const char *s) { return conn_write(c, s, strlen(s)); }

/* Blocks until the peer closes. */
static inline void conn_wait_close(struct conn *c) {
    char drop[256];
    while (conn_read(c, drop, sizeof drop) > 0) {
    }
}

static inline bool conn_read_head(struct conn *c, struct buf *head) {
    buf_reset(head);
    while (!str_ends(buf_str(head), "\r\n\r\n")) {
        char ch;
        if (conn_read(c, &ch, 1) != 1) return false;
        buf_addc(head, ch);
    }
    return true;
}

/* The value of a header in a request's head, in *out; "" if absent. */
static inline const char *head_get(const char *head, const char *name, char out[256]) {
    out[0] = 0;
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            snprintf(out, 256, "%.*s", (int) strcspn(line + 4 + n, "\r"), line + 4 + n);
    }
    return out;
}

static inline void conn_reply(struct conn *c, int status, const char *headers, const char *body) {
    AUTO_FREE char *text = mem_printf("HTTP/1.1 %d Text\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body), headers, body);
    conn_puts(c, text);
}

static inline void *server_worker(void *arg) {
    struct conn *c = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL); /* SSL_write to a client that has gone */
    if (c->s->tls) {
        c->ssl = SSL_new(c->s->tls);
        SSL_set_fd(c->ssl, c->fd);
    }
    if (!c->ssl || SSL_accept(c->ssl) == 1) {
        const char *sni = c->ssl ? SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
        snprintf(c->sni, sizeof c->sni, "%s", sni ? sni : "");
        c->s->serve(c);
    }
    if (c->ssl) SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    atomic_fetch_add(&c->s->n_ended, 1);
    shutdown(c->fd, SHUT_RDWR); /* the descriptor itself is closed by server_stop, which may be using it */
    return NULL;
}

static inline void *server_accept(void *arg) {
    struct server *s = arg;
    for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
        int i = atomic_load(&s->n_conns);
        if (i == MAX_CONNS) abort();
        s->conns[i] = (struct conn){.s = s, .fd = fd};
        pthread_create(&s->workers[i], NULL, server_worker, &s->conns[i]);
        atomic_store(&s->n_conns, i + 1);
    }
    return NULL;
}

static inline SSL_CTX *server_tls(struct server *s) {
    if (cert_self_signed(&s->cert, NULL) < 0) abort();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    BIO *cert = BIO_new_mem_buf(s->cert.cert_pem, -1), *key = BIO_new_mem_buf(secret_bytes(s->cert.key_pem), -1);
    X509 *x = PEM_read_bio_X509(cert, NULL, NULL, NULL);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    if (SSL_CTX_use_certificate(tls, x) != 1 || SSL_CTX_use_PrivateKey(tls, k) != 1) abort();
    X509_free(x);
    EVP_PKEY_free(k);
    BIO_free(cert);
    BIO_free(key);
    return tls;
}

/* On 127.0.0.1, or on a unix socket if s->socket_path is set. */
static inline void server_start(struct server *s, void (*serve)(struct conn *c), bool tls) {
    s->serve = serve;
    if (tls && !s->tls) s->tls = server_tls(s);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t len = sizeof in;
    bool is_unix = s->socket_path[0];
    snprintf(un.sun_path, sizeof un.sun_path, "%s", s->socket_path);
    s->fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, is_unix ? (void *) &un : (void *) &in, is_unix ? sizeof un : sizeof in) < 0 || listen(s->fd, 32) < 0) abort();
    if (!is_unix) getsockname(s->fd, (void *) &in, &len);
    s->port = ntohs(in.sin_port);
    snprintf(s->url, sizeof s->url, "%s://127.0.0.1:%d", tls ? "https" : "http", s->port);
    pthread_create(&s->thread, NULL, server_accept, s);
}

static inline void server_stop(struct server *s) {
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < atomic_load(&s->n_conns); i++) {
        shutdown(s->conns[i].fd, SHUT_RDWR);
        pthread_join(s->workers[i], NULL);
        close(s->conns[i].fd);
    }
    close(s->fd);
    if (s->socket_path[0]) unlink(s->socket_path);
    SSL_CTX_free(s->tls);
    cert_done(&s->cert);
}
