/* What the main thread waits for. A pipe, because signal handlers may write to one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "plugin/internal.h"

static int ends[2] = {-1, -1};

void plugin_event(enum plugin_event e) {
    char byte = (char) e;
    int saved = errno;
    (void) !write(ends[1], &byte, 1); /* full: the main thread has enough to wake for */
    errno = saved;
}

static void on_end(int sig) {
    (void) sig;
    plugin_event(PLUGIN_SIGNAL);
}

static void on_interrupt(int sig) {
    (void) sig;
    plugin_event(PLUGIN_INTERRUPT);
}

/* A handler that does nothing, not SIG_IGN, which programs started from here (credential helpers) would inherit. */
static void on_nothing(int sig) { (void) sig; }

static void handle(int sig, void (*fn)(int)) {
    struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(sig, &action, NULL);
}

int plugin_events_open(bool debug, struct err *err) {
    if (pipe(ends) < 0) return err_errno(err, errno, "can't make a pipe");
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    handle(SIGPIPE, on_nothing);
    handle(SIGINT, debug ? on_end : on_interrupt);
    handle(SIGTERM, on_end);
    /* Under nohup the host outlives its terminal, and we with it. */
    struct sigaction inherited;
    if (sigaction(SIGHUP, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) handle(SIGHUP, on_end);
    return 0;
}

void plugin_events_close(void) {
    handle(SIGTERM, SIG_DFL);
    struct sigaction now;
    if (sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == on_end) handle(SIGHUP, SIG_DFL);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        fd_close(ends[i]);
        ends[i] = -1;
    }
}

enum plugin_event plugin_await(int timeout_ms) {
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    char byte;
    for (;;) {
        if (read(ends[0], &byte, 1) == 1) return (enum plugin_event) byte;
        int n = poll(&p, 1, timeout_ms);
        if (n == 0) return PLUGIN_TICK;
    }
}
