/* Input: an ignore file, a NUL byte, a path. Without exceptions the walk and the way that files are opened agree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/gomatch.h"
#include "dockerfile/ignore.h"
#include "dockerfile/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

/* What a walk says of a path; -1 if a pattern turns out to be malformed. A folder that is skipped for good is as ignored. */
static int walk(struct arena *a, const struct patterns *p, const char *path) {
    uint64_t *hits = arena_array(a, PATTERN_WORDS(patterns_count(p)), sizeof *hits), *parent = NULL;
    for (const char *slash = path;; slash++) {
        slash = strchr(slash, '/');
        const char *part = slash ? arena_strndup(a, path, (size_t) (slash - path)) : path;
        int r = patterns_step(p, part, parent, hits, NULL, NULL);
        if (r < 0) return -1;
        if (!slash) return r;
        if (r && !patterns_may_match_below(p, true, part)) return 1;
        parent = hits;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *split = size ? memchr(data, 0, size) : NULL;
    if (!split) return 0;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    char *text = arena_strndup(a, (const char *) data, (size_t) (split - data));
    const char *path = fs_clean(a, arena_printf(a, "/%.*s", (int) (size - strlen(text) - 1), (const char *) split + 1)) + 1;
    if (!*path) return 0;
    struct ignore ig;
    struct patterns *p;
    if (ignore_parse(a, "i", text, strlen(text), &ig, &err) < 0) return 0;
    for (size_t i = 0; i < ig.n; i++) {
        must(ig.lines[i] > 0 && *ig.patterns[i]);
        int strict = go_path_match(ig.patterns[i], path), loose = go_match(ig.patterns[i], path);
        must(loose == strict || strict < 0);
    }
    if (patterns_compile(a, ig.patterns, ig.n, &p, NULL, &err) < 0) return 0;
    int r = walk(a, p, path);
    if (r >= 0 && !patterns_exceptions(p)) must(r == patterns_match_or_parent(p, path));
    return 0;
}
