#pragma once

/* The daemon's end of a file sync in this process: it writes down the listing, asks for every regular file (or does
 * what a test wants instead) and keeps what arrives. */
#include <pthread.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "buildkit/filesync.h"
#include "buildkit/pb.h"
#include "proto/buildkit_session.pb-c.h"

enum { STAT, REQ, DATA, FIN, ERR };

struct got {
    char *path, *link;
    uint32_t mode, uid, gid;
    int64_t size, mtime;
    struct buf data;
    bool asked, done;
};

struct receiver {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct got *v;
    size_t n, cap;
    bool listed, fin, stopped;
    char *error;            /* of an ERR packet */
    size_t largest;         /* message */
    size_t left;            /* files asked for that haven't arrived */
    struct buf queue[4096]; /* packed messages to the sender */
    size_t head, tail;
    bool eof;
    /* A test's own behaviour. */
    bool eager;                                             /* ask while the listing still runs */
    bool (*leave)(struct receiver *r, const struct got *g); /* not asked for */
    void (*at_end)(struct receiver *r);                     /* the listing has ended, nothing is asked yet unless eager */
    void *arg;
};

static inline void receiver_packet(struct receiver *r, int type, uint32_t id, const char *data) {
    Bk__Packet p = BK__PACKET__INIT;
    p.type = (Bk__Packet__PacketType) type;
    p.id = id;
    if (data) p.data = (ProtobufCBinaryData){.len = strlen(data), .data = (uint8_t *) data};
    uint8_t packed[512];
    buf_add(&r->queue[r->tail++ % 4096], packed, bk__packet__pack(&p, packed));
    pthread_cond_broadcast(&r->cond);
}

static inline void receiver_ask(struct receiver *r, size_t id) {
    struct got *g = &r->v[id];
    bool regular = !(g->mode & (1u << 31 | 1u << 27 | 1u << 26 | 1u << 25));
    if (!regular || *g->link || g->asked || (r->leave && r->leave(r, g))) return;
    g->asked = true;
    r->left++;
    receiver_packet(r, REQ, (uint32_t) id, NULL);
}

static inline void receiver_finish(struct receiver *r) {
    if (r->listed && !r->left) receiver_packet(r, FIN, 0, NULL);
}

static inline void receiver_stat(struct receiver *r, const Bk__Stat *s) {
    MEM_GROW(r->v, r->n, r->cap);
    r->v[r->n++] = (struct got){.path = mem_strdup(s->path),
                                .link = mem_strdup(s->linkname),
                                .mode = s->mode,
                                .uid = s->uid,
                                .gid = s->gid,
                                .size = s->size,
                                .mtime = s->modtime};
    if (r->eager) receiver_ask(r, r->n - 1);
}

static inline void receiver_listed(struct receiver *r) {
    r->listed = true;
    if (r->at_end) r->at_end(r);
    for (size_t i = 0; i < r->n; i++) receiver_ask(r, i);
    receiver_finish(r);
}

static inline void receiver_data(struct receiver *r, const Bk__Packet *p) {
    assert_true(p->id < r->n);
    struct got *g = &r->v[p->id];
    assert_true(g->asked && !g->done);
    buf_add(&g->data, p->data.data, p->data.len);
    if (p->data.len) return;
    g->done = true;
    r->left--;
    receiver_finish(r);
}

static inline int receiver_take(void *self, const void *msg, size_t len, struct err *err) {
    struct receiver *r = self;
    AUTO_ARENA struct arena *a = arena_new();
    ProtobufCAllocator alloc = pb_arena(a);
    Bk__Packet *p = bk__packet__unpack(&alloc, len, msg);
    assert_non_null(p);
    pthread_mutex_lock(&r->lock);
    int type = (int) p->type;
    if (len > r->largest) r->largest = len;
    if (type == STAT && p->stat)
        receiver_stat(r, p->stat);
    else if (type == STAT)
        receiver_listed(r);
    else if (type == DATA)
        receiver_data(r, p);
    else if (type == FIN)
        r->fin = true;
    else
        r->error = mem_strndup((const char *) p->data.data, p->data.len);
    pthread_mutex_unlock(&r->lock);
    (void) err;
    return 0;
}

static inline int receiver_give(void *self, struct arena *a, const void **ret, size_t *ret_len, struct err *err) {
    struct receiver *r = self;
    int result = 1;
    pthread_mutex_lock(&r->lock);
    while (r->head == r->tail && !r->stopped && !r->eof) pthread_cond_wait(&r->cond, &r->lock);
    if (r->head != r->tail) {
        struct buf *b = &r->queue[r->head++ % 4096];
        *ret = arena_dup(a, b->data, b->len);
        *ret_len = b->len;
        buf_reset(b);
    } else {
        result = r->eof ? 0 : err_set(err, ERR_CANCELLED, "stopped");
    }
    pthread_mutex_unlock(&r->lock);
    return result;
}

static inline void receiver_stop(void *self) {
    struct receiver *r = self;
    pthread_mutex_lock(&r->lock);
    r->stopped = true;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

static inline struct receiver *receiver_new(void) {
    struct receiver *r = NEW(struct receiver);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, NULL);
    return r;
}

static inline struct bk_link receiver_link(struct receiver *r) {
    return (struct bk_link){.recv = receiver_give, .send = receiver_take, .stop = receiver_stop, .self = r};
}

static inline void receiver_free(struct receiver *r) {
    for (size_t i = 0; i < r->n; i++) {
        mem_free(r->v[i].path);
        mem_free(r->v[i].link);
        buf_done(&r->v[i].data);
    }
    mem_free(r->v);
    mem_free(r->error);
    for (size_t i = 0; i < ARRAY_SIZE(r->queue); i++) buf_done(&r->queue[i]);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}
