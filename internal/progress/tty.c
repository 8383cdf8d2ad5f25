/* Lines on the controlling terminal, which OpenTofu and other providers write to as well. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "progress/internal.h"

enum { TRIES = 10, TRY_MS = 2, FULL_MS = 20, LAST_CHANCE_MS = 50 };

/* Within the process lines take turns: a non-blocking write that meets another one fails. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
/* What a full terminal left of the last line; it goes before the next one. */
static char rest[4096];
static size_t n_rest;
static bool stuck;

int progress_tty_open(void) {
    /* A description of our own, so that O_NONBLOCK is nobody else's. */
    return open("/dev/tty", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_APPEND | O_NONBLOCK);
}

/* After a failed write: whether to try again. Another write in the way is soon over; a full terminal gets one short wait,
 * and none any more until it has taken something. */
static bool try_again(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, 0) == 1) {
        poll(NULL, 0, TRY_MS);
        return true;
    }
    bool waits = !stuck;
    stuck = true;
    return waits && poll(&p, 1, FULL_MS) == 1;
}

static ssize_t write_once(int fd, const char *p, size_t len) {
    for (int i = 0; i < TRIES; i++) {
        ssize_t n = write(fd, p, len);
        if (n >= 0) {
            stuck = false;
            return n;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN || !try_again(fd)) return -1;
    }
    return -1;
}

/* False: not all of it was taken. */
static bool flush_rest(int fd) {
    ssize_t n = n_rest ? write_once(fd, rest, n_rest) : 0;
    if (n > 0) memmove(rest, rest + n, n_rest -= (size_t) n);
    return !n_rest;
}

static void begin(sigset_t *before) {
    sigset_t ttou;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU); /* a job in the background may write, but must not be stopped for it */
    pthread_mutex_lock(&turn);
    pthread_sigmask(SIG_BLOCK, &ttou, before);
}

static void end(const sigset_t *before) {
    pthread_sigmask(SIG_SETMASK, before, NULL);
    pthread_mutex_unlock(&turn);
}

void progress_tty_write(int fd, const char *line, size_t len) {
    sigset_t before;
    begin(&before);
    ssize_t n = flush_rest(fd) ? write_once(fd, line, len) : -1;
    if (n >= 0 && (size_t) n < len) {
        n_rest = len - (size_t) n < sizeof rest ? len - (size_t) n : sizeof rest;
        memcpy(rest, line + len - n_rest, n_rest);
    }
    end(&before);
}

void progress_tty_close(int fd) {
    if (fd < 0) return;
    sigset_t before;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    begin(&before);
    if (!flush_rest(fd) && poll(&p, 1, LAST_CHANCE_MS) == 1) flush_rest(fd);
    end(&before);
    fd_close(fd);
}
