/* The log, the tail, and lines on a terminal: a pseudo terminal that a child has as its controlling one. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ctx.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "progress/progress.h"
#include "json/json.h"

static char top[] = "/tmp/gpudev-progress-XXXXXX", *logs;

static int begin(void **state) {
    (void) state;
    if (!mkdtemp(top)) return -1;
    logs = mem_printf("%s/state/logs", top);
    setenv("GPUDEV_LOG_DIR", logs, 1);
    return 0;
}

static int end(void **state) {
    (void) state;
    DIR *d = opendir(logs);
    if (d) {
        for (struct dirent *e; (e = readdir(d));) unlinkat(dirfd(d), e->d_name, 0);
        closedir(d);
    }
    char *parent = mem_printf("%s/state", top);
    rmdir(logs);
    rmdir(parent);
    rmdir(top);
    mem_free(parent);
    mem_free(logs);
    return 0;
}

static size_t count_logs(void) {
    size_t n = 0;
    DIR *d = opendir(logs);
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static char *whole_log(struct arena *a, const char *path) {
    char *text;
    assert_int_equal(fs_read(a, path, 64 << 20, &text, NULL, NULL), 0);
    return text;
}

/* ---- Log ---- */

static void test_log(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct progress *p = progress_new(PROGRESS_OFF, "api-service:latest \x1b[1m/../x");
    const char *path = arena_strdup(a, progress_log_path(p));
    assert_non_null(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(logs, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_ptr_equal(strrchr(path, '/'), path + strlen(logs)); /* the title makes no folders */
    progress_line(p, "[build 4/9] RUN pip \x1b[31minstall\n  12.3s %d", 7);
    progress_event(p, "vertex", "\"digest\":\"sha256:00\",\"cached\":true");
    progress_output(p, "step 1", "caf\xc3", 4); /* a character in two chunks */
    progress_output(p, "step 1", "\xa9\n\xff", 3);
    progress_free(p);
    const char *events[] = {"begin", "line", "vertex", "output", "output", "end"};
    char *line = whole_log(a, path);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        char *next = strchr(line, '\n');
        assert_non_null(next);
        *next = 0;
        struct json *j = json_parse(line, strlen(line), NULL);
        assert_non_null(j);
        assert_string_equal(json_get_str(j, "event"), events[i]);
        assert_string_equal(json_get_str(j, "title"), "api-service:latest /../x");
        assert_int_equal(strlen(json_get_str(j, "ts")), strlen("2026-01-02T03:04:05.123456Z"));
        if (i == 1) assert_string_equal(json_get_str(j, "text"), "[build 4/9] RUN pip install   12.3s 7");
        if (i == 2) assert_string_equal(json_get_str(j, "digest"), "sha256:00");
        if (i == 3) assert_string_equal(json_get_str(j, "data"), "caf");
        if (i == 4) assert_string_equal(json_get_str(j, "data"), "\xc3\xa9\n\xef\xbf\xbd");
        json_free(j);
        line = next + 1;
    }
    assert_string_equal(line, "");
}

static void test_no_log(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    setenv("GPUDEV_LOG_DIR", "/dev/null/logs", 1);
    struct progress *p = progress_new(PROGRESS_OFF, "x");
    setenv("GPUDEV_LOG_DIR", logs, 1);
    assert_null(progress_log_path(p));
    progress_line(p, "goes nowhere");
    progress_output(p, "s", "kept\n", 5);
    assert_string_equal(progress_tail(p, a, "s", 1), "kept");
    progress_free(p);
    progress_line(NULL, "nor does this");
    progress_event(NULL, "x", NULL);
    progress_output(NULL, "s", "x", 1);
    assert_string_equal(progress_tail(NULL, a, NULL, 3), "");
    assert_null(progress_log_path(NULL));
    progress_free(NULL);
}

static void test_old_logs_go(void **state) {
    (void) state;
    assert_int_equal(fs_mkdirs(logs, 0700, NULL), 0);
    static const char *const others[] = {"notes.jsonl", "20200101T000000Z-x.jsonl", "20200101T000000Z-x-0000000g.jsonl"};
    for (size_t i = 0; i < 250 + ARRAY_SIZE(others); i++) {
        AUTO_FREE char *name = i < 250 ? mem_printf("%s/202001%02zuT0000%02zuZ-old-%08zx.jsonl", logs, i / 50 + 1, i % 50, i)
                                       : mem_printf("%s/%s", logs, others[i - 250]);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    AUTO_ARENA struct arena *a = arena_new();
    struct progress *p = progress_new(PROGRESS_OFF, "new");
    assert_int_equal(count_logs(), 200 + ARRAY_SIZE(others)); /* what isn't ours stays */
    assert_int_equal(access(progress_log_path(p), F_OK), 0);
    assert_int_equal(access(fs_join(a, logs, "20200101T000000Z-old-00000000.jsonl"), F_OK), -1);
    assert_int_equal(access(fs_join(a, logs, "20200105T000049Z-old-000000f9.jsonl"), F_OK), 0);
    progress_free(p);
}

/* ---- Tail ---- */

static void test_tail(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct progress *p = progress_new(PROGRESS_OFF, "x");
    assert_string_equal(progress_tail(p, a, NULL, 40), "");
    for (int i = 0; i < 100000; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "line %d\r\n", i);
        progress_output(p, i % 2 ? "odd" : "even", text, (uint64_t) n);
    }
    assert_string_equal(progress_tail(p, a, NULL, 3), "line 99997\nline 99998\nline 99999");
    assert_string_equal(progress_tail(p, a, "even", 2), "line 99996\nline 99998");
    assert_string_equal(progress_tail(p, a, "other", 2), "");
    size_t all = strlen(progress_tail(p, a, NULL, 1000000));
    assert_true(all > 50 * 1024 && all <= 64 * 1024);
    AUTO_FREE char *big = mem_alloc(1000001);
    memset(big, 'x', 1000000);
    progress_output(p, "odd", big, 1000000);
    assert_int_equal(strlen(progress_tail(p, a, "odd", 1)), 64 * 1024);
    for (int i = 0; i < 200; i++) {
        char step[16];
        snprintf(step, sizeof step, "s%d", i);
        progress_output(p, step, step, strlen(step));
    }
    assert_string_equal(progress_tail(p, a, "s199", 1), "s199");
    assert_string_equal(progress_tail(p, a, "s0", 1), ""); /* pushed out */
    progress_free(p);
}

/* ---- Terminal ---- */

/* Runs fn in a child whose controlling terminal is a new pseudo terminal; returns its master end. */
static int on_a_terminal(void (*fn)(void), pid_t *ret_pid) {
    int master, slave;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(master);
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        struct termios t;
        tcgetattr(slave, &t);
        t.c_oflag &= (tcflag_t) ~OPOST; /* no CR before LF */
        tcsetattr(slave, TCSANOW, &t);
        fn();
        tcdrain(slave);
        _exit(0);
    }
    close(slave);
    *ret_pid = pid;
    return master;
}

static char *read_all(struct arena *a, int master) {
    struct buf text = {0};
    char chunk[4096];
    for (ssize_t n; (n = read(master, chunk, sizeof chunk)) > 0;) buf_add(&text, chunk, (size_t) n); /* EIO at the end */
    char *s = arena_strdup(a, buf_str(&text));
    buf_done(&text);
    close(master);
    return s;
}

static void one_terminal_line(void) {
    struct progress *p = progress_new(PROGRESS_AUTO, "api:latest");
    progress_line(p, "pushed \x1b]0;title\x07\x1b[2J%s", "12 MB\r\nagain");
    progress_free(p);
    p = progress_new(PROGRESS_OFF, "api:latest");
    progress_line(p, "not shown");
    progress_free(p);
}

static void test_terminal(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    pid_t pid;
    int master = on_a_terminal(one_terminal_line, &pid);
    assert_string_equal(read_all(a, master), "api:latest  pushed 12 MB again\n");
    waitpid(pid, NULL, 0);
}

enum { WRITERS = 10, LINES = 60 };

static void *writer(void *arg) {
    char title[16];
    snprintf(title, sizeof title, "image-%d", *(int *) arg);
    struct progress *p = progress_new(PROGRESS_AUTO, title);
    for (int i = 0; i < LINES; i++) progress_line(p, "<%0200d>", i);
    progress_free(p);
    return NULL;
}

static void many_writers(void) {
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, writer, &numbers[i]);
    }
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
}

/* Lines of ten images at once never tear, and with a reader none is lost. */
static void test_lines_never_tear(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    pid_t pid;
    int master = on_a_terminal(many_writers, &pid), whole = 0;
    char *text = read_all(a, master);
    waitpid(pid, NULL, 0);
    for (char *line = text, *next; *line; line = next) {
        next = strchr(line, '\n');
        assert_non_null(next);
        *next++ = 0;
        assert_true(str_starts(line, "image-"));
        assert_null(strstr(line + 1, "image-"));
        if (strlen(line) == strlen("image-0  <>") + 200 && str_ends(line, ">")) whole++;
    }
    assert_true(whole > WRITERS * LINES / 2);
}

static void flood(void) {
    struct progress *p = progress_new(PROGRESS_AUTO, "x");
    for (int i = 0; i < 2000; i++) progress_line(p, "%0500d", i);
    progress_free(p);
    _exit(0);
}

/* A terminal that nobody reads (a stopped one, Ctrl-S) doesn't stop the work. */
static void test_full_terminal(void **state) {
    (void) state;
    pid_t pid;
    int status = -1, master = on_a_terminal(flood, &pid);
    int64_t t = clock_system.now(NULL);
    for (int i = 0; i < 20000 && waitpid(pid, &status, WNOHANG) == 0; i++) usleep(1000);
    assert_true(WIFEXITED(status));
    assert_true(clock_system.now(NULL) - t < 10000);
    close(master);
}

static void no_terminal(void) {
    setsid(); /* a session of its own, without a terminal */
    struct progress *p = progress_new(PROGRESS_AUTO, "x");
    progress_line(p, "unseen");
    progress_free(p);
}

static void test_no_terminal(void **state) {
    (void) state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        no_terminal();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),           cmocka_unit_test(test_no_log),      cmocka_unit_test(test_old_logs_go),
        cmocka_unit_test(test_tail),          cmocka_unit_test(test_terminal),    cmocka_unit_test(test_lines_never_tear),
        cmocka_unit_test(test_full_terminal), cmocka_unit_test(test_no_terminal),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
