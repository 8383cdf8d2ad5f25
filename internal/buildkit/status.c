/* Folding of moby.buildkit.v1.Control/Status: vertices come again and again with more fields set and are merged by
 * digest; cached steps are held back and become one line. */
#include "buildkit/status.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "buildkit/pb.h"
#include "proto/buildkit_control.pb-c.h"

enum {
    MAX_STEPS = 100000,
    MAX_MESSAGE = 64 * 1024 * 1024,
    TAIL = 32 * 1024, /* output kept of each step */
    MAX_NAME = 100,   /* bytes of a name in a line */
    QUIET_MS = 1000,  /* internal steps are worth a line from here on */
};

struct step {
    char *digest, *name, *error;
    bool cached, shown;
    int64_t started_ns, completed_ns; /* 0: not yet */
    char *tail;
    size_t n_tail;
    uint64_t bytes; /* the largest "transferring" figure */
};

struct bk_status {
    struct bk_status_sink sink;
    struct step *steps;
    size_t n, cap;
    size_t held; /* cached steps since the last line */
};

struct bk_status *bk_status_new(const struct bk_status_sink *sink) {
    struct bk_status *s = NEW(struct bk_status);
    if (sink) s->sink = *sink;
    return s;
}

void bk_status_free(struct bk_status *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->steps[i].digest);
        mem_free(s->steps[i].name);
        mem_free(s->steps[i].error);
        mem_free(s->steps[i].tail);
    }
    mem_free(s->steps);
    mem_free(s);
}

/* Builds have tens of steps, hence no index. The latest are the ones that still change. */
static struct step *find(struct bk_status *s, const char *digest, bool add) {
    for (size_t i = s->n; i-- > 0;)
        if (strcmp(s->steps[i].digest, digest) == 0) return &s->steps[i];
    if (!add || s->n == MAX_STEPS) return NULL;
    MEM_GROW(s->steps, s->n, s->cap);
    s->steps[s->n] = (struct step){.digest = mem_strdup(digest), .name = mem_strdup("")};
    return &s->steps[s->n++];
}

static int64_t time_ns(const Bk__Timestamp *t) {
    int64_t ns = 0;
    return t && !__builtin_mul_overflow(t->seconds, (int64_t) 1000000000, &ns) && !__builtin_add_overflow(ns, t->nanos, &ns) ? ns
                                                                                                                             : 0;
}

/* Steps of the Dockerfile are named "[stage 2/5] RUN …"; "[internal] …" and "exporting …" are the daemon's own. */
static bool own_step(const struct step *st) { return st->name[0] == '[' && !str_starts(st->name, "[internal]"); }

/* One line, at most MAX_NAME bytes, cut between characters. */
static char *short_name(struct arena *a, const char *name) {
    char *text = text_clean(a, name, strlen(name));
    size_t n = 0;
    for (char *p = text; *p; p++) {
        char c = *p == '\n' || *p == '\t' ? ' ' : *p;
        if (c == ' ' && n && text[n - 1] == ' ') continue;
        text[n++] = c;
    }
    text[n] = 0;
    if (n <= MAX_NAME) return text;
    n = MAX_NAME;
    while (n && ((unsigned char) text[n] & 0xc0) == 0x80) n--;
    return arena_printf(a, "%.*s…", (int) n, text);
}

static void say(struct bk_status *s, const char *text) {
    if (s->sink.line) s->sink.line(s->sink.self, text);
}

static void flush_cached(struct bk_status *s) {
    if (!s->held) return;
    char text[64];
    snprintf(text, sizeof text, "%zu %s cached", s->held, s->held == 1 ? "step" : "steps");
    s->held = 0;
    say(s, text);
}

/* A base image that needn't be pulled isn't called cached by 20.10. */
static bool at_hand(const struct step *st, int64_t ms) { return own_step(st) && strstr(st->name, "] FROM ") && ms < 100; }

static void show(struct bk_status *s, struct step *st) {
    int64_t ms = st->started_ns && st->completed_ns > st->started_ns ? (st->completed_ns - st->started_ns) / 1000000 : 0;
    st->shown = true;
    if ((st->cached || at_hand(st, ms)) && !st->error) {
        if (own_step(st)) s->held++;
        return;
    }
    bool failed = st->error && *st->error;
    if (!failed && !own_step(st) && ms < QUIET_MS) return;
    if (failed && strstr(st->error, "context canceled")) return; /* stopped because of another step, or by the user */
    flush_cached(s);
    AUTO_ARENA struct arena *a = arena_new();
    const char *name = short_name(a, st->name);
    const char *sent = st->bytes ? arena_printf(a, " %s", bytes_text(a, st->bytes)) : "";
    say(s, arena_printf(a, "%s%s %s%.1fs", name, sent, failed ? "failed after " : "", (double) ms / 1000));
}

static void merge_vertex(struct bk_status *s, const Bk__Vertex *v) {
    struct step *st = find(s, v->digest, true);
    if (!st) return;
    if (*v->name && strcmp(st->name, v->name) != 0) {
        mem_free(st->name);
        st->name = mem_strdup(v->name);
    }
    st->cached = st->cached || v->cached;
    if (v->started && !st->started_ns) st->started_ns = time_ns(v->started);
    if (v->completed) st->completed_ns = time_ns(v->completed);
    if (*v->error && !st->error) st->error = mem_strdup(v->error);
}

static void merge_progress(struct bk_status *s, const Bk__VertexStatus *v) {
    struct step *st = find(s, v->vertex, false);
    if (st && str_starts(v->id, "transferring") && v->current > 0 && (uint64_t) v->current > st->bytes)
        st->bytes = (uint64_t) v->current;
}

static void keep_tail(struct step *st, const char *data, size_t len) {
    if (!st->tail) st->tail = mem_alloc(TAIL);
    if (len > TAIL) {
        data += len - TAIL;
        len = TAIL;
    }
    if (st->n_tail + len > TAIL) {
        size_t keep = TAIL / 2 < TAIL - len ? TAIL / 2 : TAIL - len;
        if (keep > st->n_tail) keep = st->n_tail;
        memmove(st->tail, st->tail + st->n_tail - keep, keep);
        st->n_tail = keep;
    }
    memcpy(st->tail + st->n_tail, data, len);
    st->n_tail += len;
}

static void merge_log(struct bk_status *s, const Bk__VertexLog *l) {
    struct step *st = find(s, l->vertex, false);
    if (!st || !l->msg.len) return;
    keep_tail(st, (const char *) l->msg.data, l->msg.len);
    if (s->sink.output) s->sink.output(s->sink.self, st->name, (const char *) l->msg.data, l->msg.len);
}

static void show_warning(struct bk_status *s, const Bk__VertexWarning *w) {
    AUTO_ARENA struct arena *a = arena_new();
    char *text = arena_strndup(a, (const char *) w->short_.data, w->short_.len);
    say(s, arena_printf(a, "warning: %s", short_name(a, text)));
}

int bk_status_add(struct bk_status *s, const void *msg, size_t len, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    ProtobufCAllocator alloc = pb_arena(a);
    Bk__StatusResponse *r = len <= MAX_MESSAGE ? bk__status_response__unpack(&alloc, len, msg) : NULL;
    if (!r) return err_set(err, ERR_PROTOCOL, "the builder sent a broken status message of %zu bytes", len);
    for (size_t i = 0; i < r->n_vertexes; i++) merge_vertex(s, r->vertexes[i]);
    for (size_t i = 0; i < r->n_statuses; i++) merge_progress(s, r->statuses[i]);
    for (size_t i = 0; i < r->n_logs; i++) merge_log(s, r->logs[i]);
    for (size_t i = 0; i < r->n_vertexes; i++) { /* behind its output, also when both are in one message */
        struct step *st = find(s, r->vertexes[i]->digest, false);
        if (st && st->completed_ns && !st->shown) show(s, st);
    }
    for (size_t i = 0; i < r->n_warnings; i++) show_warning(s, r->warnings[i]);
    return 0;
}

void bk_status_end(struct bk_status *s) { flush_cached(s); }

static const struct step *failed_step(const struct bk_status *s) {
    for (size_t i = 0; i < s->n; i++)
        if (s->steps[i].error && !strstr(s->steps[i].error, "context canceled")) return &s->steps[i];
    return NULL;
}

int bk_status_failed(const struct bk_status *s, struct arena *a, size_t tail_lines, struct bk_step *ret) {
    const struct step *st = failed_step(s);
    if (!st) return 0;
    *ret = (struct bk_step){
        .name = short_name(a, st->name),
        .error = text_clean(a, st->error, strlen(st->error)),
        .tail = text_tail(a, text_clean(a, st->tail, st->n_tail), tail_lines, TAIL),
    };
    return 1;
}

struct bk_counts bk_status_counts(const struct bk_status *s) {
    struct bk_counts c = {0};
    for (size_t i = 0; i < s->n; i++) {
        const struct step *st = &s->steps[i];
        if (str_starts(st->name, "[internal] load build context")) c.context_bytes += st->bytes;
        if (!own_step(st) || !st->completed_ns) continue;
        c.steps++;
        c.cached += st->cached;
    }
    return c;
}
