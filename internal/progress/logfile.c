/* Log files: their names, their folder, and how many are kept. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "progress/internal.h"

enum { KEPT = 200, TITLE_MAX = 80, RANDOM_BYTES = 4 };

void progress_stamp(char out[PROGRESS_STAMP]) {
    struct timeval tv;
    struct tm tm;
    gettimeofday(&tv, NULL);
    gmtime_r(&tv.tv_sec, &tm);
    size_t n = strftime(out, PROGRESS_STAMP, "%Y-%m-%dT%H:%M:%S", &tm);
    unsigned us = (unsigned) tv.tv_usec;
    out[n++] = '.';
    for (unsigned unit = 100000; unit; unit /= 10) out[n++] = (char) ('0' + us / unit % 10);
    out[n++] = 'Z';
    out[n] = 0;
}

static char *log_folder(struct arena *a) {
    const char *given = getenv("GPUDEV_LOG_DIR");
    if (!str_empty(given)) return fs_abs(a, fs_expand_home(a, given));
    const char *state = fs_state_dir(a);
    return state ? fs_join(a, state, "logs") : NULL;
}

/* "api-service:latest" → "api-service-latest" */
static char *file_title(struct arena *a, const char *title) {
    char *s = arena_strndup(a, title, TITLE_MAX);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char) *p) && !strchr("._-", *p)) *p = '-';
    return s;
}

/* 20260102T030405Z-TITLE-0a1b2c3d.jsonl: nothing else in the folder is ours to remove. */
static bool is_log_name(const char *name) {
    static const char stamp[] = "dddddddd"
                                "T"
                                "dddddd"
                                "Z-";
    for (const char *p = stamp; *p; p++, name++)
        if (*p == 'd' ? !isdigit((unsigned char) *name) : *name != *p) return false;
    size_t len = strlen(name), tail = 1 + 2 * RANDOM_BYTES + strlen(".jsonl");
    if (len < tail || !str_ends(name, ".jsonl") || name[len - tail] != '-') return false;
    for (size_t i = len - tail + 1; i < len - strlen(".jsonl"); i++)
        if (!isxdigit((unsigned char) name[i])) return false;
    return true;
}

static int newest_first(const void *a, const void *b) { return strcmp(*(const char *const *) b, *(const char *const *) a); }

static void remove_old(struct arena *a, const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return;
    struct strs names = {0};
    for (struct dirent *e; (e = readdir(d));)
        if (is_log_name(e->d_name)) strs_add(a, &names, arena_strdup(a, e->d_name));
    if (names.n > KEPT) {
        qsort(names.v, names.n, sizeof *names.v, newest_first); /* names begin with the time */
        for (size_t i = KEPT; i < names.n; i++) unlinkat(dirfd(d), names.v[i], 0);
    }
    closedir(d);
}

int progress_log_open(const char *title, char **ret_path) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *dir = log_folder(a);
    if (!dir || fs_mkdirs(dir, 0700, NULL) < 0) return -1;
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    const char *name = arena_printf(a, "%s-%s-%s.jsonl", stamp, file_title(a, title), random_hex(a, RANDOM_BYTES));
    const char *path = fs_join(a, dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -1;
    *ret_path = mem_strdup(path);
    remove_old(a, dir);
    return fd;
}
