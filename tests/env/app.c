/*
 * The program that every test image holds: one static file, no shell, no
 * network. It says which version it is, then does as its first argument (or
 * the environment variable APP_MODE) says.
 *
 *   run                 (default) print the version, sleep until SIGTERM
 *   pause               the same without a word: the sandbox image
 *   crash [CODE [SEC]]  print, exit with CODE (1) after SEC seconds (0)
 *   slow-ready [SEC]    create /ready after SEC seconds (5), then sleep
 *   probe               exit 0 when /ready exists, else 1: an exec probe
 *   lines N             print N numbered lines, then sleep
 *   print WORD…         print the words, exit 0: an init container
 *
 * The version is the first line of APP_VERSION_FILE (/version), so that an
 * image's content shows in the pod's log.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_FILE "/ready"

static void on_term(int sig) {
    (void) sig;
    _exit(0);
}

/* PID 1 ignores signals without a handler: SIGTERM needs one to end at once. */
static void handle_signals(void) {
    struct sigaction end = {.sa_handler = on_term};

    sigemptyset(&end.sa_mask);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
}

static long number(const char *text, long fallback) {
    char *end = NULL;
    long value;

    if (text == NULL || *text == '\0') return fallback;
    errno = 0;
    value = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && value >= 0 ? value : fallback;
}

static void sleep_for(long seconds) {
    struct timespec left = {.tv_sec = seconds};

    while (nanosleep(&left, &left) < 0 && errno == EINTR) continue;
}

/* As PID 1 of a pod that shares its processes, collect what others left. */
_Noreturn static void sleep_for_ever(void) {
    for (;;) {
        if (waitpid(-1, NULL, 0) < 0) sleep_for(1);
    }
}

static void say_version(void) {
    const char *path = getenv("APP_VERSION_FILE");
    char line[256] = "unknown";
    FILE *file = fopen(path != NULL ? path : "/version", "re");

    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) line[strcspn(line, "\r\n")] = '\0';
        fclose(file);
    }
    printf("version %s\n", line);
    fflush(stdout);
}

static int crash(long code, long seconds) {
    sleep_for(seconds);
    fprintf(stderr, "fatal: crashing with exit code %ld, as asked\n", code);
    return (int) code;
}

static int slow_ready(long seconds) {
    int fd;

    sleep_for(seconds);
    fd = open(READY_FILE, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) {
        perror("app: " READY_FILE);
        return 1;
    }
    close(fd);
    puts("ready");
    fflush(stdout);
    sleep_for_ever();
}

_Noreturn static void print_lines(long count) {
    for (long i = 1; i <= count; i++) printf("line %ld\n", i);
    fflush(stdout);
    sleep_for_ever();
}

static int print_words(int count, char **words) {
    for (int i = 0; i < count; i++) printf("%s%s", i > 0 ? " " : "", words[i]);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : getenv("APP_MODE");
    const char *first = argc > 2 ? argv[2] : NULL;
    const char *second = argc > 3 ? argv[3] : NULL;

    handle_signals();
    if (mode == NULL || *mode == '\0') mode = "run";
    if (strcmp(mode, "pause") == 0) sleep_for_ever();
    if (strcmp(mode, "probe") == 0) return access(READY_FILE, F_OK) == 0 ? 0 : 1;
    if (strcmp(mode, "print") == 0) return print_words(argc > 2 ? argc - 2 : 0, argv + 2);

    say_version();
    if (strcmp(mode, "run") == 0) sleep_for_ever();
    if (strcmp(mode, "crash") == 0) return crash(number(first, 1), number(second, 0));
    if (strcmp(mode, "slow-ready") == 0) return slow_ready(number(first, 5));
    if (strcmp(mode, "lines") == 0) print_lines(number(first, 100));
    fprintf(stderr, "app: unknown mode %s\n", mode);
    return 2;
}
