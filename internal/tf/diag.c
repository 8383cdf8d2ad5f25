#include "tf/diag.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* `["key"]` with \" and \\ inside; p stands behind the opening quote. NULL if it isn't closed. */
static const char *quoted(struct arena *a, const char *p, const char **ret) {
    AUTO_BUF struct buf b = {0};
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) p++;
        buf_addc(&b, *p);
    }
    if (p[0] != '"' || p[1] != ']') return NULL;
    *ret = text_clean(a, buf_str(&b), b.len);
    return p + 2;
}

/* What can't be read ends the path: a diagnostic at the attribute is better than none. */
static void set_path(struct arena *a, struct tf_diag *d, const char *path) {
    if (str_empty(path)) return;
    struct tf_step *steps = arena_array(a, 2, sizeof *steps);
    size_t n = strcspn(path, ".[");
    steps[0] = (struct tf_step){.kind = TF_STEP_ATTR, .name = arena_strndup(a, path, n)};
    d->path = steps;
    d->n_path = 1;
    if (path[n] != '[') return;
    const char *key = NULL;
    char *end = NULL;
    if (path[n + 1] == '"') {
        if (!quoted(a, path + n + 2, &key)) return;
        steps[1] = (struct tf_step){.kind = TF_STEP_KEY, .name = key};
    } else {
        long index = strtol(path + n + 1, &end, 10);
        if (end == path + n + 1 || *end != ']' || index < 0) return;
        steps[1] = (struct tf_step){.kind = TF_STEP_INDEX, .index = index};
    }
    d->n_path = 2;
}

static void add(struct tf_diags *d, enum tf_severity severity, const char *path, const char *summary, const char *detail) {
    ARENA_GROW(d->arena, d->v, d->n, d->cap);
    struct tf_diag *diag = &d->v[d->n++];
    *diag = (struct tf_diag){
        .severity = severity,
        .summary = text_clean(d->arena, summary, strlen(summary)),
        .detail = text_clean(d->arena, detail, strlen(detail)),
    };
    set_path(d->arena, diag, path);
}

void tf_error(struct tf_diags *d, const char *path, const char *summary, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    add(d, TF_ERROR, path, summary, detail);
}

void tf_warning(struct tf_diags *d, const char *path, const char *summary, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *detail = mem_vprintf(fmt, ap);
    va_end(ap);
    add(d, TF_WARNING, path, summary, detail);
}

/* Each line indented, so that OpenTofu doesn't wrap it. */
static void add_lines(struct buf *b, const char *text) {
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        buf_adds(b, "  ");
        buf_add(b, p, n);
        p += n;
        if (*p) p++;
        if (*p) buf_addc(b, '\n');
    }
}

/* On a command line a hint follows a semicolon; here it is a paragraph. */
static void add_hint(struct buf *b, const char *hint) {
    size_t word = strspn(hint, "abcdefghijklmnopqrstuvwxyz");
    bool lower = word && (hint[word] == ' ' || hint[word] == ',');
    buf_addf(b, "\n\n%c%s", lower ? *hint - 'a' + 'A' : *hint, hint + 1);
}

static char *detail_of(const struct err *err) {
    AUTO_BUF struct buf b = {0};
    const char *message = err_text(err);
    size_t n = strlen(message);
    buf_adds(&b, message);
    if (err->file) {
        buf_addf(&b, " (%s", err->file);
        if (err->line > 0) buf_addf(&b, ":%d", err->line);
        buf_addc(&b, ')');
    }
    if (err->file || !n || !strchr(".!?)", message[n - 1])) buf_addc(&b, '.');
    if (!str_empty(err->hint)) add_hint(&b, err->hint);
    if (!str_empty(err->detail)) {
        buf_adds(&b, "\n\n");
        add_lines(&b, err->detail);
    }
    if (err->http_status || err->request_id) buf_adds(&b, "\n\n");
    if (err->http_status) buf_addf(&b, "HTTP status %d", err->http_status);
    if (err->request_id) buf_addf(&b, "%s %s", err->http_status ? ", request id" : "Request id", err->request_id);
    return buf_take(&b);
}

void tf_error_from(struct tf_diags *d, const char *path, const char *summary, const struct err *err) {
    AUTO_FREE char *detail = detail_of(err);
    add(d, TF_ERROR, path, summary, detail);
}

void tf_warning_from(struct tf_diags *d, const char *path, const char *summary, const struct err *err) {
    AUTO_FREE char *detail = detail_of(err);
    add(d, TF_WARNING, path, summary, detail);
}

bool tf_failed(const struct tf_diags *d) {
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].severity == TF_ERROR) return true;
    return false;
}
