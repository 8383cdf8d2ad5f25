/* From a Dockerfile and its contexts to the source hash. docs/internals/source-hash.md fixes its form. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/digests.h"
#include "context/entry.h"
#include "context/files.h"
#include "context/index.h"
#include "context/missing.h"
#include "context/select.h"
#include "dockerfile/plan.h"

#define VERSION "gpudev source hash 1"

struct hasher {
    struct ctx *ctx;
    const struct context_input *in;
    struct arena *a; /* results */
    struct context_result *out;
    struct dockerfile_text text;
    struct df_file file;
    struct ignore ignore;
    bool gateway; /* a frontend image reads the Dockerfile */
    struct df_input df;
    struct df_named *named;
    struct sha256 *all;
    size_t cap_roots, cap_files;
    struct context_root *roots;
    struct context_file *files;
    struct err *err;
};

/* ---- Roots ---- */

static void add_root(struct hasher *h, const char *source, const char *from, struct sha256 *digest) {
    unsigned char bytes[SHA256_LEN];
    char hex[SHA256_HEX];
    sha256_end(digest, bytes);
    digest_text(h->all, bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, hex);
    struct context_result *out = h->out;
    for (size_t i = 0; i < out->n_roots; i++) { /* the same for another platform */
        struct context_root *r = &h->roots[i];
        if (strcmp(r->source, source) != 0 || strcmp(r->from, from) != 0) continue;
        if (strcmp(r->hash + strlen("sha256:"), hex) == 0) return;
        char *both = arena_printf(h->a, "%s%s", r->hash, hex);
        r->hash = sha256_digest(h->a, both, strlen(both));
        return;
    }
    ARENA_GROW(h->a, h->roots, out->n_roots, h->cap_roots);
    h->roots[out->n_roots++] = (struct context_root){source, from, arena_printf(h->a, "sha256:%s", hex)};
    out->roots = h->roots;
}

static void digest_tree(struct sha256 *d, struct snap_node *top) {
    struct snap_cursor c = {0};
    digest_string(d, "tree");
    while (snap_cursor_next(&c, top)) {
        if (!c.node->counted || !c.node->parent) continue; /* the root's own entry isn't sent */
        digest_string(d, buf_str(&c.path));
        sha256_add(d, c.node->digest, SHA256_LEN);
    }
    digest_string(d, NULL);
    buf_done(&c.path);
}

static void digest_pick(struct sha256 *d, const struct pick *p) {
    if (p->target)
        digest_tree(d, p->target);
    else
        digest_text(d, p->node->digest, SHA256_LEN);
}

static void digest_selection(struct sha256 *d, const struct selection *s) {
    sha256_reset(d);
    if (s->top) {
        digest_tree(d, s->top);
        return;
    }
    if (s->alone) {
        digest_pick(d, &s->picks[0]);
        return;
    }
    AUTO_ARENA struct arena *a = arena_new();
    size_t skip = strlen(snap_path(a, s->base));
    digest_string(d, "list");
    for (size_t i = 0; i < s->n; i++) {
        const char *path = snap_path(a, s->picks[i].node);
        digest_string(d, path + skip);
        digest_pick(d, &s->picks[i]);
    }
    digest_string(d, NULL);
}

/* ---- Files of the result ---- */

static void add_files(struct hasher *h, struct snap *t) {
    if (h->in->hash_only) return;
    struct snap_cursor c = {0};
    while (snap_cursor_next(&c, &t->root)) {
        const struct snap_node *n = c.node;
        if (!n->counted || !n->parent) continue;
        ARENA_GROW(h->a, h->files, h->out->n_files, h->cap_files);
        h->files[h->out->n_files++] = (struct context_file){
            .path = arena_strdup(h->a, buf_str(&c.path)),
            .type = entry_type(n->mode),
            .mode = entry_mode(n->mode),
            .size = S_ISLNK(n->mode) && n->link ? strlen(n->link) : n->size,
            .digest = arena_dup(h->a, n->digest, SHA256_LEN),
        };
    }
    buf_done(&c.path);
}

static int by_path(const void *x, const void *y) {
    return strcmp(((const struct context_file *) x)->path, ((const struct context_file *) y)->path);
}

static void finish_files(struct hasher *h) {
    size_t n = 0;
    if (h->out->n_files) qsort(h->files, h->out->n_files, sizeof *h->files, by_path);
    for (size_t i = 0; i < h->out->n_files; i++)
        if (!n || strcmp(h->files[n - 1].path, h->files[i].path) != 0) h->files[n++] = h->files[i];
    h->out->files = h->files;
    h->out->n_files = n;
}

/* ---- One context ---- */

struct one {
    const char *dir;
    int context;
    const struct ignore *ignore;
    const struct df_paths *paths; /* NULL: everything that isn't ignored is read */
    const char *platform;
};

static struct index *open_index(struct hasher *h, const struct one *o) {
    AUTO_ARENA struct arena *a = arena_new();
    if (h->in->no_index) return NULL;
    const char *const key[] = {fs_abs(a, o->dir), fs_abs(a, h->text.path), h->in->target ? h->in->target : "",
                               o->platform ? o->platform : "", NULL};
    return index_open(h->ctx, key);
}

static int ignore_error(struct hasher *h, int r) { /* a pattern that turned out to be malformed: say where it stands */
    if (r >= 0 || h->err->file) return r;
    for (size_t i = 0; i < h->ignore.n; i++) {
        AUTO_FREE char *quoted = mem_printf("\"%s\"", h->ignore.patterns[i]);
        if (h->err->code == ERR_INVALID && strstr(err_text(h->err), "pattern") && strstr(err_text(h->err), quoted))
            err_at(h->err, h->ignore.lines[i] ? h->ignore.file : "ignore", h->ignore.lines[i]);
    }
    return r;
}

static int select_sources(struct hasher *h, const struct one *o, struct snap *t, const struct df_plan *plan,
                          struct selection *list) {
    for (size_t i = 0; i < plan->n_sources; i++) {
        const struct df_source *s = &plan->sources[i];
        const char *missing;
        if (s->context != o->context) continue;
        int r = select_source(t, s, &list[i], &missing, h->err);
        ignore_error(h, r);
        if (r > 0)
            r = missing_explain(h->ctx, o->dir, o->ignore, s, missing, r == SELECT_DANGLING, h->err);
        else if (r < 0 && !h->err->file && h->err->code == ERR_INVALID)
            err_wrap(h->err, "%s", s->written);
        else if (r == 0)
            continue;
        if (!h->err->file) err_at(h->err, h->text.path, s->line);
        return r;
    }
    return 0;
}

static void hash_sources(struct hasher *h, const struct one *o, const struct df_plan *plan, const struct selection *list) {
    struct sha256 *d = sha256_new();
    for (size_t i = 0; i < plan->n_sources; i++) {
        if (plan->sources[i].context != o->context) continue;
        digest_selection(d, &list[i]);
        add_root(h, plan->sources[i].written, plan->sources[i].from, d);
    }
    sha256_free(d);
}

/* What a plan reads of one context. */
static int hash_context(struct hasher *h, const struct one *o, const struct df_plan *plan) {
    AUTO_ARENA struct arena *a = arena_new();
    struct context_filter filter = {.exclude = o->ignore->patterns, .n_exclude = o->ignore->n};
    if (o->paths && !o->paths->all) {
        filter.follow = o->paths->list.v;
        filter.n_follow = o->paths->list.n;
    }
    __attribute__((cleanup(index_free_p))) struct index *index = open_index(h, o);
    struct snap t;
    struct selection *list = arena_array(a, plan->n_sources, sizeof *list);
    int r = snap_open(&t, h->ctx, o->dir, &filter, h->err);
    if (r >= 0) r = select_sources(h, o, &t, plan, list);
    if (r >= 0) r = digests_fill(&t, index, h->err);
    if (r >= 0) {
        hash_sources(h, o, plan, list);
        if (o->context < 0) add_files(h, &t);
    }
    snap_done(&t);
    return r;
}

/* All of a context. */
static int hash_whole(struct hasher *h, const struct one *o, const char *source, const char *from) {
    struct context_filter filter = {.exclude = o->ignore->patterns, .n_exclude = o->ignore->n};
    __attribute__((cleanup(index_free_p))) struct index *index = open_index(h, o);
    struct snap t;
    struct selection all;
    int r = snap_open(&t, h->ctx, o->dir, &filter, h->err);
    if (r >= 0) r = select_all(&t, &all, h->err);
    if (r >= 0) r = digests_fill(&t, index, h->err);
    if (r >= 0) {
        struct sha256 *d = sha256_new();
        digest_selection(d, &all);
        add_root(h, source, from, d);
        sha256_free(d);
        if (o->context < 0) add_files(h, &t);
    }
    snap_done(&t);
    return r;
}

static bool reads(const struct df_plan *plan, int context) {
    for (size_t i = 0; i < plan->n_sources; i++)
        if (plan->sources[i].context == context) return true;
    return false;
}

static const struct ignore no_ignore;

/* A named context has an ignore file of its own at its root. */
static int hash_named(struct hasher *h, const struct df_plan *plan, int i, const char *platform, bool whole) {
    const char *dir = h->in->build_contexts[i].value;
    struct context_input own = {.dir = dir, .dockerfile = fs_join(h->a, dir, "Dockerfile")};
    struct ignore ignore = no_ignore;
    int r = ignore_load_root(h->a, &own, &ignore, h->err);
    if (r < 0) return r;
    struct one o = {
        .dir = dir, .context = i, .ignore = &ignore, .paths = plan ? &plan->named_paths[i] : NULL, .platform = platform};
    const char *name = h->in->build_contexts[i].key;
    return whole ? hash_whole(h, &o, name, arena_printf(h->a, "build context %s", name)) : hash_context(h, &o, plan);
}

/* ---- The whole ---- */

static void widened(struct hasher *h, const char *why) {
    if (h->out->widened) return;
    h->out->widened = why;
    log_debug(h->ctx, "source hash: the whole context %s counts: %s", h->in->dir, why);
}

static void hash_text(struct hasher *h, const struct strs *text) {
    struct sha256 *d = sha256_new();
    sha256_reset(d);
    for (size_t i = 0; i < text->n; i++) digest_string(d, text->v[i]);
    add_root(h, fs_base(h->text.path), "Dockerfile", d);
    sha256_free(d);
}

static int hash_everything(struct hasher *h, const char *platform) {
    struct one o = {.dir = h->in->dir, .context = -1, .ignore = &h->ignore, .platform = platform};
    int r = hash_whole(h, &o, ".", "context");
    return r;
}

static int hash_platform(struct hasher *h, const char *platform) {
    struct df_plan plan;
    h->df.platform = platform;
    int r = df_plan(h->a, &h->df, &h->file, h->gateway, &plan, h->err);
    if (r < 0) return r;
    digest_string(h->all, platform);
    hash_text(h, &plan.text);
    if (plan.widened) widened(h, plan.widened);
    struct one o = {.dir = h->in->dir, .context = -1, .ignore = &h->ignore, .platform = platform};
    if (!plan.widened) o.paths = &plan.paths; /* else more may be asked for than is known */
    if (reads(&plan, -1)) r = hash_context(h, &o, &plan);
    if (r >= 0 && plan.widened) r = hash_everything(h, platform);
    for (int i = 0; r >= 0 && i < (int) h->df.n_named; i++)
        if (h->named[i].local && (plan.widened || reads(&plan, i))) r = hash_named(h, &plan, i, platform, plan.widened);
    return ignore_error(h, r);
}

/* The Dockerfile means what a foreign frontend makes of it: every byte counts. */
static int hash_foreign(struct hasher *h, const char *frontend) {
    const struct context_input *in = h->in;
    widened(h, arena_printf(h->a, "the frontend %s decides what is read", frontend));
    struct strs text = {0};
    strs_add(h->a, &text, h->text.data);
    for (size_t i = 0; i < in->n_build_args; i++) {
        strs_add(h->a, &text, in->build_args[i].key);
        strs_add(h->a, &text, in->build_args[i].value);
    }
    for (size_t i = 0; i < in->n_platforms; i++) strs_add(h->a, &text, in->platforms[i]);
    hash_text(h, &text);
    int r = hash_everything(h, NULL);
    for (int i = 0; r >= 0 && i < (int) h->df.n_named; i++)
        if (h->named[i].local) r = hash_named(h, NULL, i, NULL, true);
    return ignore_error(h, r);
}

static void add_ignore_root(struct hasher *h) {
    if (!h->ignore.n) return;
    struct sha256 *d = sha256_new(), *all = h->all;
    h->all = sha256_new(); /* what it changes shows in the entries that count: by itself it changes no hash */
    sha256_reset(d);
    for (size_t i = 0; i < h->ignore.n; i++) digest_string(d, h->ignore.patterns[i]);
    const char *name = h->ignore.file ? fs_base(h->ignore.file) : "ignore";
    add_root(h, name, name, d);
    sha256_free(h->all);
    sha256_free(d);
    h->all = all;
}

static void name_contexts(struct hasher *h) {
    const struct context_input *in = h->in;
    h->named = arena_array(h->a, in->n_build_contexts, sizeof *h->named);
    for (size_t i = 0; i < in->n_build_contexts; i++) {
        struct stat st;
        const char *value = in->build_contexts[i].value;
        bool local = !strstr(value, "://") && stat(value, &st) == 0 && S_ISDIR(st.st_mode);
        h->named[i] = (struct df_named){in->build_contexts[i].key, local};
        if (local) continue;
        digest_string(h->all, in->build_contexts[i].key);
        digest_string(h->all, value);
    }
    h->df.named = h->named;
    h->df.n_named = in->n_build_contexts;
}

static int hash_all(struct hasher *h) {
    const struct context_input *in = h->in;
    const char *frontend = df_build_arg(&h->df, "BUILDKIT_SYNTAX");
    if (!frontend) frontend = df_syntax(h->a, h->text.data, h->text.len);
    h->gateway = frontend != NULL;
    digest_string(h->all, VERSION);
    digest_string(h->all, in->target);
    name_contexts(h);
    int r = ignore_load(h->a, in, h->gateway, &h->ignore, h->err);
    if (r >= 0) r = ignore_check(&h->ignore, h->err);
    if (r < 0) return r;
    if (frontend && !df_official_frontend(frontend)) {
        r = hash_foreign(h, frontend);
    } else {
        r = df_parse(h->a, h->text.path, h->text.data, h->text.len, &h->file, h->err);
        if (r >= 0 && !in->n_platforms) r = hash_platform(h, NULL);
        for (size_t i = 0; r >= 0 && i < in->n_platforms; i++) r = hash_platform(h, in->platforms[i]);
    }
    if (r >= 0) add_ignore_root(h);
    return r;
}

int context_hash(struct ctx *ctx, const struct context_input *in, struct context_result *ret, struct err *err) {
    struct context_result out = {0};
    AUTO_ERR struct err own = {0};
    struct hasher h = {.ctx = ctx, .in = in, .a = ctx->arena, .out = &out, .err = &own};
    int r = dockerfile_load(h.a, in, &h.text, &own);
    if (r < 0) {
        err_move(err, &own);
        return r;
    }
    h.df = (struct df_input){
        .file = h.text.path,
        .target = in->target,
        .build_args = in->build_args,
        .n_build_args = in->n_build_args,
        .builder_platform = in->builder_platform,
    };
    h.all = sha256_new();
    r = hash_all(&h);
    unsigned char digest[SHA256_LEN];
    char hex[SHA256_HEX];
    sha256_end(h.all, digest);
    hex_encode(digest, sizeof digest, hex);
    sha256_free(h.all);
    if (r < 0) {
        err_move(err, &own);
        return r;
    }
    finish_files(&h);
    out.hash = arena_printf(h.a, "sha256:%s", hex);
    out.dockerfile = h.text.path;
    out.ignore_file = h.ignore.file;
    *ret = out;
    return 0;
}
