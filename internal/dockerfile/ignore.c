#include "dockerfile/ignore.h"

#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/rune.h"

enum { LINE_MAX_BYTES = 64 * 1024 }; /* with its newline */

/* The pattern of a line, or NULL. */
static const char *pattern_of(struct arena *a, struct text line) {
    if (line.len && *line.p == '#') return NULL;
    struct text t = text_trim(line);
    if (!t.len) return NULL;
    bool exception = *t.p == '!';
    if (exception) t = text_trim((struct text){t.p + 1, t.len - 1});
    const char *p = t.len ? fs_clean(a, arena_strndup(a, t.p, t.len)) : "";
    if (p[0] == '/' && p[1]) p++;
    return exception ? arena_printf(a, "!%s", p) : p;
}

struct list {
    struct arena *a;
    const char **patterns;
    int *lines;
    size_t n, cap, cap_lines;
};

static void list_add(struct list *l, const char *pattern, int line) {
    if (!pattern) return;
    size_t n = l->n;
    ARENA_GROW(l->a, l->patterns, n, l->cap);
    ARENA_GROW(l->a, l->lines, n, l->cap_lines);
    l->patterns[n] = pattern;
    l->lines[n] = line;
    l->n++;
}

int ignore_parse(struct arena *a, const char *file, const char *data, size_t len, struct ignore *ret, struct err *err) {
    struct list list = {.a = a};
    const char *p = data, *end = data + len;
    if (str_starts(data, "\xEF\xBB\xBF")) p += 3;
    for (int number = 1; p < end; number++) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        size_t n = (size_t) ((newline ? newline : end) - p);
        if (n >= LINE_MAX_BYTES) {
            err_set(err, ERR_LIMIT, "a line of more than %d bytes", LINE_MAX_BYTES - 1);
            err_at(err, file, number);
            return -ERR_LIMIT;
        }
        if (memchr(p, 0, n)) {
            err_set(err, ERR_INVALID, "a NUL byte: the file must be UTF-8 text");
            err_at(err, file, number);
            return -ERR_INVALID;
        }
        list_add(&list, pattern_of(a, (struct text){p, n}), number);
        p += n + (newline != NULL);
    }
    *ret = (struct ignore){.file = file, .patterns = list.patterns, .lines = list.lines, .n = list.n};
    return 0;
}

void ignore_add(struct arena *a, struct ignore *ig, const char *line) {
    const char *pattern = pattern_of(a, (struct text){line, strlen(line)});
    if (!pattern) return;
    const char **patterns = arena_array(a, ig->n + 1, sizeof *patterns);
    int *lines = arena_array(a, ig->n + 1, sizeof *lines);
    if (ig->n) {
        memcpy(patterns, ig->patterns, ig->n * sizeof *patterns);
        memcpy(lines, ig->lines, ig->n * sizeof *lines);
    }
    patterns[ig->n] = pattern;
    ig->patterns = patterns;
    ig->lines = lines;
    ig->n++;
}
