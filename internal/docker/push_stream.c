#include "docker/push_stream.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

enum { MAX_LINE = 1024 * 1024, MAX_LAYERS = 10000 };

void push_stream_init(struct push_stream *s, const struct docker_push *req) {
    *s = (struct push_stream){.req = req, .line = {.max = MAX_LINE}};
}

void push_stream_done(struct push_stream *s) {
    buf_done(&s->line);
    mem_free(s->layers);
    mem_free(s->digest);
    mem_free(s->error);
}

static struct push_layer *layer_of(struct push_stream *s, const char *id) {
    for (size_t i = 0; i < s->n_layers; i++)
        if (strcmp(s->layers[i].id, id) == 0) return &s->layers[i];
    if (s->n_layers == MAX_LAYERS || strlen(id) >= sizeof s->layers->id) return NULL;
    MEM_GROW(s->layers, s->n_layers, s->cap_layers);
    struct push_layer *l = &s->layers[s->n_layers++];
    *l = (struct push_layer){0};
    memcpy(l->id, id, strlen(id) + 1);
    return l;
}

static void finish(struct push_stream *s, struct push_layer *l, bool existed) {
    if (l->done) return;
    l->done = true;
    if (existed)
        s->existed++;
    else
        s->bytes += l->total;
    if (s->req->layer) s->req->layer(s->req->self, l->id, existed ? 0 : l->total, existed);
}

/* {"status":"Pushing","id":"3f2a…","progressDetail":{"current":512,"total":1024}} */
static void take_layer(struct push_stream *s, const char *id, const char *status, const struct json *detail) {
    bool starts = strcmp(status, "Preparing") == 0 || strcmp(status, "Waiting") == 0 || str_starts(status, "Pushing");
    bool existed =
        strcmp(status, "Layer already exists") == 0 || str_starts(status, "Mounted from") || strcmp(status, "Already exists") == 0;
    bool pushed = strcmp(status, "Pushed") == 0;
    if (!starts && !existed && !pushed) return; /* "latest: digest: …" has an id in some engines */
    struct push_layer *l = layer_of(s, id);
    if (!l) return;
    int64_t current = json_get_int(detail, "current", 0), total = json_get_int(detail, "total", 0);
    if (current > total) total = current;
    if (total > 0 && (uint64_t) total > l->total) l->total = (uint64_t) total;
    if (existed || pushed) finish(s, l, existed);
}

/* "latest: digest: sha256:… size: 528": the only place where some engines say it. */
static void take_digest_line(struct push_stream *s, const char *status) {
    const char *at = strstr(status, "digest: sha256:");
    if (!at) return;
    at += strlen("digest: ");
    size_t len = strcspn(at, " ");
    mem_free(s->digest);
    s->digest = mem_strndup(at, len);
    unsigned long long size;
    if (sscanf(at + len, " size: %llu", &size) == 1) s->size = size;
}

static int take_line(struct push_stream *s, const char *line, size_t len, struct err *err) {
    while (len && (line[len - 1] == '\r' || line[len - 1] == ' ')) len--;
    if (!len) return 0;
    AUTO_JSON struct json *j = json_parse(line, len, err);
    if (!j) return err_wrap(err, "the engine's report of the push");
    const char *text = json_str(json_at(j, "errorDetail", "message", NULL));
    if (!text) text = json_get_str(j, "error");
    if (text && !s->error) s->error = mem_strdup(text);
    const struct json *aux = json_get(j, "aux");
    const char *digest = json_get_str(aux, "Digest");
    if (digest) {
        mem_free(s->digest);
        s->digest = mem_strdup(digest);
        s->size = (uint64_t) json_get_int(aux, "Size", 0);
    }
    const char *status = json_get_str(j, "status"), *id = json_get_str(j, "id");
    if (status && id) take_layer(s, id, status, json_get(j, "progressDetail"));
    if (status && !s->digest) take_digest_line(s, status);
    return 0;
}

int push_stream_add(struct push_stream *s, const char *data, size_t len, struct err *err) {
    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t) (end - data) : len;
        buf_add(&s->line, data, n);
        if (s->line.overflow)
            return err_set(err, ERR_LIMIT, "the engine's report of the push has a line of more than %d bytes", MAX_LINE);
        data += n;
        len -= n;
        if (!end) break;
        data++, len--;
        int r = take_line(s, buf_str(&s->line), s->line.len, err);
        buf_reset(&s->line);
        if (r < 0) return r;
    }
    return 0;
}

int push_stream_end(struct push_stream *s, struct err *err) {
    int r = take_line(s, buf_str(&s->line), s->line.len, err);
    buf_reset(&s->line);
    if (r < 0) return r;
    return s->error ? docker_push_error(err, s->req->repository, s->req->tag, s->error) : 0;
}
