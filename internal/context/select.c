/* Follows BuildKit 0.34: cache/contenthash for what makes the key, fsutil's copy for what has to be there. Where a file is
 * copied although the key leaves it out, it counts here. */
#include "context/select.h"

#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "context/context.h"
#include "dockerfile/gomatch.h"
#include "dockerfile/pattern.h"

/* ---- Whole trees ---- */

static int count_tree(struct snap *t, struct snap_node *top, struct err *err) {
    int r = snap_load_all(t, top, err);
    if (r < 0) return r;
    for (struct snap_node *n = NULL; (n = snap_next(top, n));) {
        r = snap_present(t, n, err);
        if (r < 0) return r;
        n->counted = n->counted || r;
    }
    return 0;
}

int select_all(struct snap *t, struct selection *ret, struct err *err) {
    *ret = (struct selection){.top = &t->root};
    return count_tree(t, &t->root, err);
}

/* ---- Sources with wildcards, --parents or --exclude ---- */

struct walk {
    struct snap *t;
    const struct df_source *s;
    struct patterns *include, *exclude; /* NULL: no such flag */
    struct selection *out;
    const char *missing; /* a link that leads nowhere */
    size_t max_slashes;  /* what the wildcard can match at most */
    struct err *err;
};

/* A folder that the walk is in, as far as patterns are matched relative to it. */
struct level {
    struct level *parent;
    struct snap_node *node;
    uint64_t *in, *ex; /* hits; NULL when they weren't looked at */
    bool taken;
};

static void take(struct walk *w, struct snap_node *node, struct snap_node *target) {
    struct selection *out = w->out;
    ARENA_GROW(w->t->arena, out->picks, out->n, out->cap);
    out->picks[out->n++] = (struct pick){.node = node, .target = target};
    node->counted = node->counted || !target;
}

/* A folder that had nothing for it so far is part of the key once something below it is. */
static void take_parents(struct walk *w, struct level *l) {
    if (!l || l->taken) return;
    take_parents(w, l->parent);
    l->taken = true;
    take(w, l->node, NULL);
}

/* A link that is taken by itself stands for all that it leads to. 0, or SELECT_DANGLING. */
static int take_link(struct walk *w, struct snap_node *node, const char *path) {
    struct snap_node *target;
    int r = snap_find(w->t, path, true, &target, w->err);
    if (r < 0) return r;
    if (r) {
        w->missing = arena_strdup(w->t->arena, path);
        return SELECT_DANGLING;
    }
    r = count_tree(w->t, target, w->err);
    if (r >= 0) take(w, node, target);
    return r;
}

/* Whether patterns take a path; its hits go to l. */
static int judge(struct walk *w, struct arena *a, const char *candidate, const struct level *parent, struct level *l) {
    if (w->include) {
        l->in = arena_array(a, PATTERN_WORDS(patterns_count(w->include)), sizeof *l->in);
        int r = patterns_step(w->include, candidate, parent ? parent->in : NULL, l->in, NULL, w->err);
        if (r <= 0) return r;
    }
    if (!w->exclude) return 1;
    l->ex = arena_array(a, PATTERN_WORDS(patterns_count(w->exclude)), sizeof *l->ex);
    int r = patterns_step(w->exclude, candidate, parent ? parent->ex : NULL, l->ex, NULL, w->err);
    return r < 0 ? r : !r;
}

static int visit_below(struct walk *w, struct level *l, const char *path, const char *candidate);

/* One entry: path is its name in terms of the source, candidate that relative to where patterns begin. */
static int visit(struct walk *w, struct snap_node *node, const char *path, const char *candidate, struct level *parent) {
    AUTO_ARENA struct arena *a = arena_new();
    struct level l = {.parent = parent, .node = node};
    int r = snap_present(w->t, node, w->err);
    if (r <= 0) return r;
    r = judge(w, a, candidate, parent, &l);
    if (r < 0) return r;
    bool in = r > 0 || (!*candidate && !snap_is_dir(node)); /* the source itself is copied whatever the patterns say */
    if (in) take_parents(w, parent);
    if (!snap_is_dir(node)) {
        bool extra = r == 0;
        if (!in) return 0;
        if (parent || !S_ISLNK(node->mode))
            take(w, node, NULL);
        else
            r = take_link(w, node, path);
        if (w->out->n) w->out->picks[w->out->n - 1].extra = extra;
        return r > 1 || r < 0 ? r : 0;
    }
    if (in) {
        l.taken = true;
        take(w, node, NULL);
    } else if (w->exclude && l.ex && !patterns_exceptions(w->exclude)) {
        return 0; /* an excluded folder, and nothing brings back what is in it */
    } else if (w->include && !l.ex && *candidate && !patterns_may_match_below(w->include, false, candidate)) {
        return 0;
    }
    return visit_below(w, &l, path, candidate);
}

static int visit_below(struct walk *w, struct level *l, const char *path, const char *candidate) {
    int r = snap_load(w->t, l->node, w->err);
    for (size_t i = 0; r == 0 && i < l->node->dir->n; i++) {
        struct snap_node *n = &l->node->dir->v[i];
        AUTO_FREE char *child = mem_printf("%s/%s", path, n->name);
        AUTO_FREE char *inner = mem_printf("%s%s%s", candidate, *candidate ? "/" : "", n->name);
        r = visit(w, n, child, inner, l);
    }
    return r;
}

static int visit_root(struct walk *w) { /* its own entry is not part of the key, and so there is no parent */
    int r = snap_load(w->t, &w->t->root, w->err);
    for (size_t i = 0; r == 0 && i < w->t->root_dir.n; i++) {
        struct snap_node *n = &w->t->root_dir.v[i];
        AUTO_FREE char *path = mem_printf("/%s", n->name);
        r = visit(w, n, path, n->name, NULL);
    }
    return r;
}

/* ---- Wildcards ---- */

static size_t count_char(const char *s, char c) {
    size_t n = 0;
    for (; *s; s++) n += *s == c;
    return n;
}

/* All that matches, whole paths against the whole pattern, at and below a folder. */
static int visit_matches(struct walk *w, struct snap_node *node, const char *path) {
    int r = snap_present(w->t, node, w->err);
    if (r <= 0) return r;
    r = go_path_match(w->s->path, path);
    if (r < 0) return err_set(w->err, ERR_INVALID, "syntax error in the pattern \"%s\"", w->s->written);
    if (r) return visit(w, node, path, "", NULL);
    if (!snap_is_dir(node) || count_char(path, '/') >= w->max_slashes) return 0;
    r = snap_load(w->t, node, w->err);
    for (size_t i = 0; r == 0 && i < node->dir->n; i++) {
        AUTO_FREE char *child = mem_printf("%s/%s", path, node->dir->v[i].name);
        r = visit_matches(w, &node->dir->v[i], child);
    }
    return r;
}

static bool has_wildcard(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\\')
            i++;
        else if (strchr("*?[", s[i]))
            return true;
    }
    return false;
}

/* The components before the first with a wildcard: "/a/b", or "". */
static const char *plain_prefix(struct arena *a, const char *path) {
    const char *p = path;
    while (*p) {
        size_t len = 1 + strcspn(p + 1, "/");
        if (has_wildcard(p, len)) break;
        p += len;
    }
    return arena_strndup(a, path, (size_t) (p - path));
}

static int select_wildcard(struct walk *w) {
    const char *prefix = plain_prefix(w->t->arena, w->s->path);
    struct snap_node *node;
    int r = snap_find(w->t, prefix, true, &node, w->err);
    if (r) {
        w->missing = prefix;
        return r < 0 ? r : SELECT_MISSING;
    }
    w->out->base = node;
    w->max_slashes = count_char(w->s->path, '/') + count_char(w->s->path, '['); /* a class can match a slash */
    return visit_matches(w, node, prefix);
}

static int select_filtered(struct walk *w) {
    const char *path = strcmp(w->s->path, "/") != 0 ? w->s->path : "";
    struct snap_node *node;
    int r = snap_find(w->t, path, true, &node, w->err);
    if (r) {
        w->missing = path;
        return r < 0 ? r : SELECT_MISSING;
    }
    if (!*path) {
        w->out->base = node;
        return visit_root(w);
    }
    r = snap_find(w->t, path, false, &node, w->err); /* a link is taken as one, and then followed */
    if (r < 0) return r;
    w->out->base = node;
    return visit(w, node, path, "", NULL);
}

/* ---- Both ---- */

static int compile(struct walk *w, const char *const *list, size_t n, struct patterns **ret) {
    int r = patterns_compile(w->t->arena, list, n, ret, NULL, w->err);
    return r < 0 ? err_wrap(w->err, "%s", w->s->written) : 0;
}

/* What --parents without wildcards asks for must be the beginning of something that was taken. */
static bool found_required(const struct walk *w, const char *required) {
    AUTO_ARENA struct arena *a = arena_new();
    size_t skip = strlen(snap_path(a, w->out->base));
    const char *base = strcmp(w->s->path, "/") != 0 ? w->s->path : "";
    for (size_t i = 0; i < w->out->n; i++) {
        if (w->out->picks[i].extra) continue;
        const char *path = snap_path(a, w->out->picks[i].node);
        const char *rest = path + (strlen(path) < skip ? strlen(path) : skip);
        if (str_starts(arena_printf(a, "%s%s%s", base, *rest && *rest != '/' ? "/" : "", rest), required)) return true;
    }
    return false;
}

static int select_picks(struct walk *w) {
    int r = 0;
    if (w->s->include) r = compile(w, &w->s->include, 1, &w->include);
    if (r >= 0 && w->s->excludes.n) r = compile(w, w->s->excludes.v, w->s->excludes.n, &w->exclude);
    if (r >= 0) r = w->s->wildcard ? select_wildcard(w) : select_filtered(w);
    if (r) return r;
    if (w->s->required && !found_required(w, w->s->required)) {
        w->missing = w->s->required;
        return SELECT_MISSING;
    }
    w->out->alone = w->out->n == 1 && !strcmp(fs_base(w->s->path), w->out->picks[0].node->name);
    return 0;
}

int select_source(struct snap *t, const struct df_source *s, struct selection *ret, const char **ret_missing, struct err *err) {
    *ret = (struct selection){0};
    if (s->wildcard || s->filtered) {
        struct walk w = {.t = t, .s = s, .out = ret, .err = err};
        int r = select_picks(&w);
        if (r > 0) *ret_missing = w.missing;
        return r;
    }
    int r = snap_find(t, s->path, true, &ret->top, err);
    if (r > 0) {
        *ret_missing = s->path;
        return SELECT_MISSING;
    }
    return r < 0 ? r : count_tree(t, ret->top, err);
}
