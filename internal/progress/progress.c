#include "progress/progress.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "progress/internal.h"

enum {
    TAIL = 64 * 1024,
    TAILED_STEPS = 64, /* the output of so many steps is kept; the one that was silent longest goes first */
    LINE_MAX_BYTES = 2000,
    TITLE_MAX_BYTES = 300,
    LOG_MAX = 256 * 1024 * 1024, /* a step that prints without end must not fill the disk */
};

/* The end of an output, and the part of a character that a chunk ended in. */
struct tail {
    char *step; /* NULL: of all steps */
    struct buf text;
    char rest[4];
    size_t n_rest;
    uint64_t used; /* when, in calls */
};

struct progress {
    pthread_mutex_t lock;
    char *title, *log_path;
    int tty, log;
    uint64_t logged; /* bytes */
    uint64_t clock;
    struct tail all;
    struct tail *steps;
    size_t n_steps, cap_steps;
};

struct progress *progress_new(enum progress_mode mode, const char *title) {
    struct progress *p = NEW(struct progress);
    AUTO_ARENA struct arena *a = arena_new();
    pthread_mutex_init(&p->lock, NULL);
    p->title = mem_strdup(text_clean(a, title, strnlen(title, TITLE_MAX_BYTES)));
    p->tty = mode == PROGRESS_OFF ? -1 : progress_tty_open();
    p->log = progress_log_open(p->title, &p->log_path);
    AUTO_FREE char *pid = mem_printf("\"pid\":%ld", (long) getpid());
    progress_event(p, "begin", pid);
    return p;
}

static void tail_done(struct tail *t) {
    mem_free(t->step);
    buf_done(&t->text);
}

void progress_free(struct progress *p) {
    if (!p) return;
    progress_event(p, "end", NULL);
    progress_tty_close(p->tty);
    fd_close(p->log);
    tail_done(&p->all);
    for (size_t i = 0; i < p->n_steps; i++) tail_done(&p->steps[i]);
    mem_free(p->steps);
    mem_free(p->title);
    mem_free(p->log_path);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

const char *progress_log_path(const struct progress *p) { return p ? p->log_path : NULL; }

/* ---- The log; with p->lock held ---- */

static void log_end(struct progress *p) {
    fd_close(p->log);
    p->log = -1;
}

static void log_begin_line(struct progress *p, struct buf *line, const char *event) {
    char stamp[PROGRESS_STAMP];
    progress_stamp(stamp);
    buf_addf(line, "{\"ts\":\"%s\",\"event\":", stamp);
    buf_add_json(line, event, strlen(event));
    buf_adds(line, ",\"title\":");
    buf_add_json(line, p->title, strlen(p->title));
}

static void log_text(struct buf *line, const char *key, const char *text, size_t len) {
    buf_addf(line, ",\"%s\":", key);
    buf_add_json(line, text, len);
}

/* In one write, so that a reader never sees half a line. A log that can't be written costs the log only. */
static void log_end_line(struct progress *p, struct buf *line) {
    buf_adds(line, "}\n");
    ssize_t n;
    do n = write(p->log, line->data, line->len);
    while (n < 0 && errno == EINTR);
    p->logged += line->len;
    if (n < 0 || (size_t) n < line->len) log_end(p);
}

static bool log_has_room(struct progress *p) {
    if (p->log < 0) return false;
    if (p->logged <= LOG_MAX) return true;
    AUTO_BUF struct buf line = {0};
    log_begin_line(p, &line, "truncated");
    log_end_line(p, &line);
    if (p->log >= 0) log_end(p);
    return false;
}

/* ---- Lines and events ---- */

/* One line of clean text: what would break it becomes a space. */
static char *one_line(struct arena *a, const char *text) {
    char *clean = text_clean(a, text, strlen(text));
    size_t len = strlen(clean);
    while (len && clean[len - 1] == '\n') clean[--len] = 0;
    for (char *c = clean; *c; c++)
        if (*c == '\n' || *c == '\t') *c = ' ';
    return len > LINE_MAX_BYTES ? text_clean(a, clean, LINE_MAX_BYTES) : clean;
}

void progress_line(struct progress *p, const char *fmt, ...) {
    if (!p) return;
    AUTO_ARENA struct arena *a = arena_new();
    va_list ap;
    va_start(ap, fmt);
    const char *text = one_line(a, arena_vprintf(a, fmt, ap));
    va_end(ap);
    if (p->tty >= 0) {
        const char *shown = arena_printf(a, "%s  %s\n", one_line(a, p->title), text);
        progress_tty_write(p->tty, shown, strlen(shown));
    }
    pthread_mutex_lock(&p->lock);
    if (log_has_room(p)) {
        AUTO_BUF struct buf line = {0};
        log_begin_line(p, &line, "line");
        log_text(&line, "text", text, strlen(text));
        log_end_line(p, &line);
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_event(struct progress *p, const char *event, const char *json_members) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    if (log_has_room(p)) {
        AUTO_BUF struct buf line = {0};
        log_begin_line(p, &line, event);
        if (!str_empty(json_members)) buf_addf(&line, ",%s", json_members);
        log_end_line(p, &line);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- Output ---- */

/* How many bytes of an unfinished UTF-8 character data ends in. */
static size_t unfinished(const char *data, size_t len) {
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char) data[len - back];
        if ((c & 0xc0) == 0x80) continue;
        size_t needs = c >= 0xf8 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return needs > back ? back : 0;
    }
    return 0;
}

static void tail_add(struct tail *t, const char *data, size_t len) {
    if (len > TAIL) {
        data += len - TAIL;
        len = TAIL;
    }
    if (t->text.len + len > 2 * TAIL) {
        memmove(t->text.data, t->text.data + t->text.len - TAIL, TAIL);
        t->text.len = TAIL;
    }
    buf_add(&t->text, data, len);
}

static struct tail *tail_of(struct progress *p, const char *step) {
    struct tail *oldest = NULL;
    for (size_t i = 0; i < p->n_steps; i++) {
        struct tail *t = &p->steps[i];
        if (str_eq(t->step, step)) return t;
        if (!oldest || t->used < oldest->used) oldest = t;
    }
    struct tail *t = oldest;
    if (p->n_steps < TAILED_STEPS) {
        MEM_GROW(p->steps, p->n_steps, p->cap_steps);
        t = &p->steps[p->n_steps++];
    } else {
        tail_done(t);
    }
    *t = (struct tail){.step = mem_strdup(step)};
    return t;
}

static void log_output(struct progress *p, struct tail *t, const char *data, size_t len) {
    AUTO_BUF struct buf whole = {0};
    buf_add(&whole, t->rest, t->n_rest);
    buf_add(&whole, data, len);
    t->n_rest = unfinished(buf_str(&whole), whole.len);
    size_t now = whole.len - t->n_rest;
    if (t->n_rest) memcpy(t->rest, whole.data + now, t->n_rest);
    if (!now) return;
    AUTO_BUF struct buf line = {0};
    log_begin_line(p, &line, "output");
    log_text(&line, "step", t->step, strlen(t->step));
    log_text(&line, "data", whole.data, now);
    log_end_line(p, &line);
}

void progress_output(struct progress *p, const char *step, const char *data, uint64_t len) {
    if (!p || !len) return;
    pthread_mutex_lock(&p->lock);
    struct tail *t = tail_of(p, step ? step : "");
    t->used = ++p->clock;
    tail_add(t, data, len);
    tail_add(&p->all, data, len);
    if (log_has_room(p)) log_output(p, t, data, len);
    pthread_mutex_unlock(&p->lock);
}

char *progress_tail(struct progress *p, struct arena *a, const char *step, int lines) {
    if (!p || lines <= 0) return arena_strdup(a, "");
    AUTO_ARENA struct arena *own = arena_new();
    pthread_mutex_lock(&p->lock);
    const struct buf *text = step ? NULL : &p->all.text;
    for (size_t i = 0; i < p->n_steps && step; i++)
        if (str_eq(p->steps[i].step, step)) text = &p->steps[i].text;
    size_t from = text && text->len > TAIL ? text->len - TAIL : 0;
    char *clean = text && text->len ? text_clean(own, text->data + from, text->len - from) : "";
    pthread_mutex_unlock(&p->lock);
    return text_tail(a, clean, (size_t) lines, TAIL);
}
