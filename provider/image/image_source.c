/* What an image is built from: the context's hash and what else changes the result. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "crypto/crypto.h"
#include "provider/image/image.h"

bool image_source_unknown(const struct image *i) {
    return i->context.state == TF_UNKNOWN || i->dockerfile.state == TF_UNKNOWN || i->target.state == TF_UNKNOWN ||
           tf_map_unknown(&i->build_args) || tf_map_unknown(&i->labels) || tf_strings_unknown(&i->ignore) ||
           tf_map_unknown(&i->triggers);
}

static const struct kv *pairs(struct arena *a, const struct tf_map *m) {
    struct kv *v = arena_array(a, m->n, sizeof *v);
    for (size_t i = 0; i < m->n; i++) v[i] = (struct kv){m->v[i].key, tf_text(m->v[i].value)};
    return v;
}

static const char *const *texts(struct arena *a, const struct tf_strings *s) {
    const char **v = arena_array(a, s->n, sizeof *v);
    for (size_t i = 0; i < s->n; i++) v[i] = tf_text(s->v[i]);
    return v;
}

/* Length-prefixed, so that no two inputs give one text. */
static void add_field(struct buf *b, const char *name, const char *value) {
    buf_addf(b, "%s %zu:", name, strlen(value));
    buf_adds(b, value);
    buf_addc(b, '\n');
}

static void add_map(struct buf *b, const char *name, const struct tf_map *m) {
    for (size_t i = 0; i < m->n; i++) {
        add_field(b, name, m->v[i].key);
        add_field(b, "=", m->v[i].value.state == TF_KNOWN ? m->v[i].value.v : "");
    }
}

static void set_sources(struct arena *a, struct image *i, const struct context_result *r) {
    i->sources = (struct tf_map){.state = TF_KNOWN};
    for (size_t k = 0; k < r->n_roots; k++) {
        const struct context_root *root = &r->roots[k];
        const char *key = root->source;
        if (tf_map_get(&i->sources, key)) key = arena_printf(a, "%s (%s)", key, root->from);
        tf_map_put(a, &i->sources, key, tf_str(root->hash));
    }
}

/* The paths are looked at first, so that the message stands at the attribute that is wrong. */
static bool check_paths(struct tf_req *req, const struct image *i, const char *dockerfile) {
    struct stat st;
    const char *dir = i->context.v;
    if (stat(dir, &st) < 0) {
        tf_error(req->diags, "context", "The build context can't be used",
                 "The folder \"%s\" (%s): %s. It is relative to the working directory; the folder of the configuration is path.module.", dir,
                 fs_abs(req->ctx->arena, dir), strerror(errno));
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        tf_error(req->diags, "context", "The build context can't be used", "\"%s\" is a file. The context is the folder that the Dockerfile copies from.", dir);
        return false;
    }
    bool there = stat(dockerfile, &st) == 0;
    int why = errno;
    if (!there && str_eq(fs_base(dockerfile), "Dockerfile")) /* BuildKit takes the lower-case one instead */
        there = stat(fs_join(req->ctx->arena, fs_dir(req->ctx->arena, dockerfile), "dockerfile"), &st) == 0;
    if (!there) {
        tf_error(req->diags, "dockerfile", "The Dockerfile can't be read",
                 "%s: %s. The path is relative to the context \"%s\".", dockerfile, strerror(why), dir);
        return false;
    }
    return true;
}

static const char *attribute_of(const struct image *i, const char *dockerfile, const struct err *err) {
    if (err->file && str_ends(err->file, "ignore")) return "context";
    if (tf_text(i->target) && strstr(err_text(err), "target stage")) return "target";
    if (err->code == ERR_NOT_FOUND) return "context";
    return err->file && str_eq(fs_base(err->file), fs_base(dockerfile)) ? "dockerfile" : "context";
}

bool image_source(struct tf_req *req, struct image *i) {
    struct arena *a = req->ctx->arena;
    const char *dockerfile = fs_join(a, i->context.v, i->dockerfile.v);
    if (!check_paths(req, i, dockerfile)) return false;
    struct context_input in = {
        .dir = i->context.v,
        .dockerfile = dockerfile,
        .target = tf_text(i->target),
        .build_args = pairs(a, &i->build_args),
        .n_build_args = i->build_args.n,
        .ignore = texts(a, &i->ignore),
        .n_ignore = i->ignore.n,
        .hash_only = true,
    };
    struct context_result result = {0};
    AUTO_ERR struct err err = {0};
    if (context_hash(req->ctx, &in, &result, &err) < 0) {
        tf_error_from(req->diags, attribute_of(i, dockerfile, &err), "The image's sources can't be determined", &err);
        return false;
    }
    i->context_hash = result.hash;
    AUTO_BUF struct buf text = {0};
    add_field(&text, "context", result.hash);
    add_map(&text, "label", &i->labels);
    add_map(&text, "trigger", &i->triggers);
    i->source_hash = tf_str(sha256_digest(a, text.data, text.len));
    set_sources(a, i, &result);
    return true;
}
