/* Copies between a TLS connection of curl's and a socketpair, for peers of the descriptor that speak no TLS. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/stream.h"

enum { PIECE = 64 * 1024 };

struct half { /* one direction */
    char data[PIECE];
    size_t at, len; /* what is not yet passed on */
    bool ended;
};

struct pump {
    struct stream *stream;
    int fd;
    struct half up, down; /* up: to the peer */
};

/* false: the pump is over */
static bool fill_up(struct pump *p) {
    if (p->up.len || p->up.ended) return true;
    ssize_t n = read(p->fd, p->up.data, PIECE);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    p->up.ended = n == 0;
    p->up.at = 0;
    p->up.len = (size_t) n;
    return true;
}

static bool drain_up(struct pump *p) {
    while (p->up.len) {
        size_t n = 0;
        CURLcode code = curl_easy_send(p->stream->easy.curl, p->up.data + p->up.at, p->up.len, &n);
        if (code == CURLE_AGAIN) return true;
        if (code != CURLE_OK) return false;
        p->up.at += n;
        p->up.len -= n;
    }
    return true;
}

static bool fill_down(struct pump *p) {
    if (p->down.len || p->down.ended) return true;
    size_t n = 0;
    CURLcode code = curl_easy_recv(p->stream->easy.curl, p->down.data, PIECE, &n);
    if (code == CURLE_AGAIN) return true;
    p->down.ended = code != CURLE_OK || n == 0;
    p->down.at = 0;
    p->down.len = code == CURLE_OK ? n : 0;
    return true;
}

static bool drain_down(struct pump *p) {
    while (p->down.len) {
        ssize_t n = send(p->fd, p->down.data + p->down.at, p->down.len, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        p->down.at += (size_t) n;
        p->down.len -= (size_t) n;
    }
    return !p->down.ended;
}

/* A side of which nothing is wanted is left out: its hang-up would end each poll at once until the other side moves. Only
 * when the user's end is known to be closed for writing, its hang-up is what is waited for. */
static bool wait_both(struct pump *p) {
    struct pollfd fds[2] = {
        {.fd = p->stream->sock, .events = (short) ((p->down.len ? 0 : POLLIN) | (p->up.len ? POLLOUT : 0))},
        {.fd = p->fd, .events = (short) ((p->up.len || p->up.ended ? 0 : POLLIN) | (p->down.len ? POLLOUT : 0))},
    };
    if (!fds[0].events) fds[0].fd = -1;
    if (!fds[1].events && p->up.len) fds[1].fd = -1;
    if (poll(fds, 2, -1) < 0) return errno == EINTR;
    return !(p->up.ended && !p->up.len && (fds[1].revents & (POLLHUP | POLLERR)));
}

/* Each step moves what it can without waiting; TLS may hold bytes that the socket no longer shows, so reading comes
 * before polling, and polling only when nothing moved. */
static void *run(void *arg) {
    struct pump *p = arg;
    for (;;) {
        if (!fill_up(p) || !drain_up(p) || !fill_down(p)) break;
        bool got = p->down.len > 0;
        if (!drain_down(p)) break;
        if (got && !p->down.len) continue;
        if (!wait_both(p)) break;
    }
    close(p->fd);
    stream_free(p->stream);
    mem_free(p);
    return NULL;
}

static int start(struct pump *p) {
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = pthread_create(&thread, NULL, run, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!e) pthread_detach(thread);
    return e;
}

int stream_pump(struct stream **s, int *ret_fd, struct err *err) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return err_errno(err, errno, "cannot make a socket pair");
    for (int i = 0; i < 2; i++) fcntl(pair[i], F_SETFD, FD_CLOEXEC);
    fcntl(pair[1], F_SETFL, fcntl(pair[1], F_GETFL) | O_NONBLOCK);
    struct pump *p = NEW(struct pump);
    p->stream = *s;
    p->fd = pair[1];
    int e = start(p);
    if (e) {
        mem_free(p);
        close(pair[0]);
        close(pair[1]);
        return err_errno(err, e, "cannot start a thread for the connection");
    }
    *s = NULL;
    *ret_fd = pair[0];
    return 0;
}
