/* Programs run without a shell, whose output is a secret. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "kube/exec.h"

enum { STDERR_KEEP = 4096 };

struct program {
    pid_t pid;
    int out, errs;  /* read ends; -1 once closed */
    int wake[2];    /* written by a cancel */
    char *text;     /* stdout, max + 1 bytes: never grown, so that nothing is left unwiped */
    size_t len, max;
    struct buf tail; /* of stderr */
    bool status_known;
    int status;
};

static int make_pipe(int fds[2], struct err *err) {
    if (pipe(fds) < 0) return err_errno(err, errno, "cannot make a pipe");
    for (int i = 0; i < 2; i++) fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

static void wake(void *arg) {
    const struct program *p = arg;
    ssize_t done = write(p->wake[1], "", 1);
    (void) done;
}

/* In a process group of its own, so that what it starts can be ended with it, and with default signals. */
static int spawn(struct program *p, char *const *argv, char *const *env, int out, int errs) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, errs, 2);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGTERM);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawnp(&p->pid, argv[0], &files, &attr, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return r;
}

static void take_stdout(struct program *p) {
    ssize_t n = read(p->out, p->text + p->len, p->max + 1 - p->len);
    if (n > 0) {
        p->len += (size_t) n;
    } else if (n == 0 || errno != EINTR) {
        fd_close(p->out);
        p->out = -1;
    }
}

static void take_stderr(struct program *p) {
    char piece[1024];
    ssize_t n = read(p->errs, piece, sizeof piece);
    if (n > 0) {
        buf_add(&p->tail, piece, (size_t) n);
        if (p->tail.len > 2 * STDERR_KEEP) {
            memmove(p->tail.data, p->tail.data + p->tail.len - STDERR_KEEP, STDERR_KEEP);
            p->tail.len = STDERR_KEEP;
            p->tail.data[STDERR_KEEP] = 0;
        }
    } else if (n == 0 || errno != EINTR) {
        fd_close(p->errs);
        p->errs = -1;
    }
}

/* A child of the plugin may keep the pipes open after the plugin's end: the plugin's own end counts. */
static bool ended(struct program *p) {
    if (!p->status_known && waitpid(p->pid, &p->status, WNOHANG) == p->pid) p->status_known = true;
    return p->status_known;
}

static int pump(struct program *p, struct ctx *ctx, struct err *err) {
    for (bool last = false; !last;) {
        int r = ctx_check(ctx, err);
        if (r < 0) return r;
        if (p->len > p->max) return err_set(err, ERR_LIMIT, "it writes more than %zu bytes", p->max);
        last = ended(p);
        struct pollfd fds[] = {{.fd = p->out, .events = POLLIN}, {.fd = p->errs, .events = POLLIN}, {.fd = p->wake[0], .events = POLLIN}};
        int64_t left = ctx_left(ctx);
        /* SIGCHLD belongs to the process as a whole, so a plugin that closed its pipes is looked at now and then. */
        int ms = last ? 0 : p->out < 0 && p->errs < 0 ? 20 : left >= 0 && left < 500 ? (int) left : 500;
        while (poll(fds, 3, ms) > 0 && (fds[0].revents || fds[1].revents)) {
            if (fds[0].revents) take_stdout(p);
            if (fds[1].revents) take_stderr(p);
            if (!last || p->len > p->max) break;
            fds[0].fd = p->out;
            fds[1].fd = p->errs;
        }
    }
    return p->len > p->max ? err_set(err, ERR_LIMIT, "it writes more than %zu bytes", p->max) : 0;
}

static void end_it(struct program *p) {
    if (p->status_known) return;
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR) {}
    p->status_known = true;
}

static int start(struct program *p, char *const *argv, char *const *env, struct err *err) {
    int out[2] = {-1, -1}, errs[2] = {-1, -1};
    int r = make_pipe(out, err);
    if (!r) r = make_pipe(errs, err);
    if (!r) r = make_pipe(p->wake, err);
    p->out = out[0];
    p->errs = errs[0];
    if (!r) {
        fcntl(p->wake[1], F_SETFL, O_NONBLOCK);
        int e = spawn(p, argv, env, out[1], errs[1]);
        if (e) r = err_errno(err, e, "cannot run %s", argv[0]);
    }
    fd_close(out[1]);
    fd_close(errs[1]);
    return r;
}

int kube_run_program(struct ctx *ctx, char *const *argv, char *const *env, size_t max, struct secret **ret, char **stderr_tail,
                     struct err *err) {
    struct program p = {.pid = -1, .out = -1, .errs = -1, .wake = {-1, -1}, .max = max, .text = mem_alloc(max + 1)};
    int r = start(&p, argv, env, err);
    if (!r) {
        uint64_t id = cancel_on(ctx->cancel, wake, &p);
        r = pump(&p, ctx, err);
        cancel_off(ctx->cancel, id);
        end_it(&p);
    }
    if (!r && WIFSIGNALED(p.status))
        r = err_set(err, ERR_FAILED, "%s was ended by signal %d", argv[0], WTERMSIG(p.status));
    else if (!r && WEXITSTATUS(p.status))
        r = err_set(err, ERR_FAILED, "%s ended with exit status %d", argv[0], WEXITSTATUS(p.status));
    if (!r) *ret = secret_new(p.text, p.len);
    *stderr_tail = text_tail(ctx->arena, buf_str(&p.tail), 20, STDERR_KEEP);
    mem_wipe(p.text, max + 1);
    mem_free(p.text);
    buf_done(&p.tail);
    fd_close(p.out);
    fd_close(p.errs);
    fd_close(p.wake[0]);
    fd_close(p.wake[1]);
    return r;
}
