/* What was planned is what gets built. OpenTofu plans each change twice, the second time in the apply, by another process of
 * ours, and calls a hash that differs then a bug in the provider. So the first plan leaves a note for the second: both have
 * the same OpenTofu process as their parent. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "provider/image/image.h"

enum { NOTE_MAX = 4 << 20, KEPT_S = 24 * 3600 };

static void add(struct buf *b, const char *text) {
    buf_addf(b, "%zu:", text ? strlen(text) : (size_t) 0);
    buf_adds(b, text ? text : "-");
}

static void add_strings(struct buf *b, const struct tf_strings *s) {
    buf_addf(b, "%d %zu;", (int) s->state, s->n);
    for (size_t i = 0; i < s->n; i++) add(b, tf_text(s->v[i]));
}

static void add_map(struct buf *b, const struct tf_map *m) {
    buf_addf(b, "%d %zu;", (int) m->state, m->n);
    for (size_t i = 0; i < m->n; i++) {
        add(b, m->v[i].key);
        add(b, tf_text(m->v[i].value));
    }
}

/* When the parent began, so that a process id that is used again is not taken for it; "" where that can't be known. */
static const char *parent_start(struct arena *a) {
    char *text = NULL;
    if (fs_read(a, arena_printf(a, "/proc/%ld/stat", (long) getppid()), 4096, &text, NULL, NULL) < 0) return "";
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    return p ? arena_strndup(a, p + 1, strcspn(p + 1, " ")) : "";
}

/* NULL: no notes are taken. A server that hosts attach to has no OpenTofu for its parent. */
static const char *note_of(struct arena *a, const struct image *i) {
    const char *cache = fs_cache_dir(a), *cwd = fs_abs(a, ".");
    if (!cache || str_empty(getenv("TF_PLUGIN_MAGIC_COOKIE"))) return NULL;
    AUTO_BUF struct buf b = {0};
    buf_addf(&b, "%ld;", (long) getppid());
    add(&b, parent_start(a));
    add(&b, cwd);
    const struct tf_string texts[] = {i->repository, i->context, i->dockerfile, i->target};
    for (size_t k = 0; k < ARRAY_SIZE(texts); k++) add(&b, tf_text(texts[k]));
    add_strings(&b, &i->tags);
    add_strings(&b, &i->ignore);
    add_map(&b, &i->build_args);
    add_map(&b, &i->labels);
    add_map(&b, &i->triggers);
    char hex[SHA256_HEX];
    sha256_hex(b.data, b.len, hex);
    return arena_printf(a, "%s/planned/%.40s", cache, hex);
}

static void remove_old(struct arena *a, const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return;
    time_t limit = time(NULL) - KEPT_S;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (*e->d_name != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_mtime < limit)
            unlink(fs_join(a, dir, e->d_name));
    }
    closedir(d);
}

void image_planned_keep(struct tf_req *req, const struct image *i) {
    struct arena *a = req->ctx->arena;
    const char *path = i->source_hash.state == TF_KNOWN ? note_of(a, i) : NULL;
    if (!path || fs_mkdirs(fs_dir(a, path), 0700, NULL) < 0) return;
    AUTO_JSON struct json *j = json_obj();
    json_set_str(j, "hash", i->source_hash.v);
    struct json *sources = json_set(j, "sources", json_obj());
    for (size_t k = 0; k < i->sources.n; k++) json_set_str(sources, i->sources.v[k].key, tf_text(i->sources.v[k].value));
    const char *text = json_text(a, j);
    remove_old(a, fs_dir(a, path));
    AUTO_ERR struct err err = {0};
    if (fs_write_atomic(path, text, strlen(text), 0600, &err) < 0) log_debug(req->ctx, "%s", err_text(&err));
}

void image_planned_forget(struct tf_req *req, const struct image *i) {
    const char *path = note_of(req->ctx->arena, i);
    if (path) unlink(path);
}

void image_changed_error(struct tf_req *req, const struct image *now, const struct tf_map *planned_sources) {
    AUTO_BUF struct buf what = {.max = 1000};
    size_t n = 0;
    for (size_t i = 0; i < now->sources.n; i++) {
        const struct tf_map_entry *e = &now->sources.v[i];
        if (str_eq(tf_map_get(planned_sources, e->key), tf_text(e->value))) continue;
        buf_addf(&what, "%s%s", what.len ? ", " : "", e->key);
        n++;
    }
    tf_error(req->diags, "context", "The sources have changed since the plan",
             "%s %s not what was planned any more. What was planned is what gets built: plan and apply again. A file that another resource "
             "writes in the same apply belongs into `triggers`, by its hash.",
             what.len ? buf_str(&what) : "The build's input", n > 1 ? "are" : "is");
}

bool image_planned_same(struct tf_req *req, const struct image *i) {
    struct arena *a = req->ctx->arena;
    const char *path = i->source_hash.state == TF_KNOWN ? note_of(a, i) : NULL;
    char *text = NULL;
    size_t len = 0;
    if (!path || fs_read(a, path, NOTE_MAX, &text, &len, NULL) < 0) return true;
    AUTO_JSON struct json *j = json_parse(text, len, NULL);
    const char *hash = json_get_str(j, "hash");
    if (!hash || str_eq(hash, i->source_hash.v)) return true;
    struct tf_map sources = {.state = TF_KNOWN};
    json_each(s, json_get(j, "sources")) tf_map_put(a, &sources, json_key(s), tf_str(arena_strdup(a, json_str(s))));
    image_changed_error(req, i, &sources);
    unlink(path); /* said once: whoever plans on in this process means what is there now */
    return false;
}
