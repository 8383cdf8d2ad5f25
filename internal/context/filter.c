#include "context/filter.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/follow.h"
#include "dockerfile/pattern.h"

/* Drops what lies below an entry just before it, and everything if one is the root: then there is no rule. */
static size_t without_nested(const char **list, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(list[i], ".")) return 0;
        size_t len = kept ? strlen(list[kept - 1]) : 0;
        if (kept && !strncmp(list[i], list[kept - 1], len) && list[i][len] == '/') continue;
        list[kept++] = list[i];
    }
    return kept;
}

static int init_include(struct arena *a, int root_fd, const struct context_filter *from, struct filter *f, struct err *err) {
    struct strs follow = {0};
    if (from->n_follow) {
        int r = follow_links(a, root_fd, from->follow, from->n_follow, &follow, err);
        if (r < 0) return r;
        follow.n = without_nested(follow.v, follow.n);
    }
    size_t n = 0;
    const char **all = arena_array(a, from->n_include + follow.n, sizeof *all);
    for (size_t i = 0; i < from->n_include; i++) all[n++] = from->include[i];
    for (size_t i = 0; i < follow.n; i++) all[n++] = follow.v[i];
    if (follow.n) n = without_nested(all, n);
    if (!n) return 0;
    int r = patterns_compile(a, all, n, &f->include, NULL, err);
    return r < 0 ? err_wrap(err, "include patterns") : 0;
}

int filter_init(struct arena *a, int root_fd, const struct context_filter *from, struct filter *ret, struct err *err) {
    *ret = (struct filter){0};
    if (!from) return 0;
    int r = init_include(a, root_fd, from, ret, err);
    if (r < 0) return r;
    if (from->n_exclude) {
        r = patterns_compile(a, from->exclude, from->n_exclude, &ret->exclude, NULL, err);
        if (r < 0) return r;
    }
    if (ret->include) ret->words_in = (int) PATTERN_WORDS(patterns_count(ret->include));
    if (ret->exclude) ret->words_ex = (int) PATTERN_WORDS(patterns_count(ret->exclude));
    ret->exceptions = (ret->include && patterns_exceptions(ret->include)) || (ret->exclude && patterns_exceptions(ret->exclude));
    return 0;
}

struct filter_hits filter_hits_new(struct arena *a, const struct filter *f) {
    uint64_t *bits = arena_array(a, (size_t) (f->words_in + f->words_ex), sizeof *bits);
    return (struct filter_hits){bits, bits + f->words_in};
}

int filter_step(const struct filter *f, const char *path, bool is_dir, const struct filter_hits *parent, struct filter_hits *hits,
                enum filter_verdict *ret, struct err *err) {
    enum filter_verdict verdict = FILTER_KEEP;
    if (f->include) {
        int r = patterns_step(f->include, path, parent->in, hits->in, NULL, err);
        if (r < 0) return r;
        if (!r) verdict = FILTER_SKIP;
        if (!r && is_dir && !patterns_may_match_below(f->include, false, path)) verdict = FILTER_PRUNE;
    }
    if (f->exclude && verdict != FILTER_PRUNE) {
        int r = patterns_step(f->exclude, path, parent->ex, hits->ex, NULL, err);
        if (r < 0) return r;
        if (r) verdict = FILTER_SKIP;
        if (r && is_dir && !patterns_may_match_below(f->exclude, true, path)) verdict = FILTER_PRUNE;
    }
    *ret = verdict == FILTER_SKIP && !is_dir ? FILTER_PRUNE : verdict;
    return 0;
}

bool filter_opens(const struct filter *f, const char *path) {
    if (!f->exceptions) return true;
    return (!f->include || patterns_match_or_parent(f->include, path)) &&
           (!f->exclude || !patterns_match_or_parent(f->exclude, path));
}
