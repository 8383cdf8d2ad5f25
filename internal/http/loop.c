/* The event loop: one thread that owns the multi handle. Callers hand it requests and are woken through each request's
 * waiter. Only this thread calls curl_multi_* (but for the wake-up), and only it lets go of a request. */
#include <signal.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "http/internal.h"

enum { IDLE_POLL = 60000, IDLE_CONNS = 32 };

/* Called with h->lock held, by callers. */
static void submit(struct http *h, struct xfer *x) {
    if (!x->pending) {
        x->pending = true;
        x->next = h->pending;
        h->pending = x;
    }
    curl_multi_wakeup(h->multi);
}

static void unlink_pending(struct http *h, struct xfer *x) {
    for (struct xfer **p = &h->pending; *p; p = &(*p)->next) {
        if (*p != x) continue;
        *p = x->next;
        break;
    }
    x->pending = false;
}

/* The last touch: the caller frees x once it sees done. */
static void finish(struct http *h, struct xfer *x, CURLcode result) {
    curl_multi_remove_handle(h->multi, x->easy.curl);
    pthread_mutex_lock(&h->lock);
    x->in_loop = false;
    if (x->pending) unlink_pending(h, x);
    pthread_mutex_unlock(&h->lock);
    pthread_mutex_lock(&x->w.lock);
    x->result = result;
    x->done = true;
    waiter_wake(&x->w);
    pthread_mutex_unlock(&x->w.lock);
}

static void run_one(struct http *h, struct xfer *x, bool add, bool remove, bool resume) {
    if (remove) {
        finish(h, x, CURLE_ABORTED_BY_CALLBACK);
        return;
    }
    if (add && curl_multi_add_handle(h->multi, x->easy.curl) != CURLM_OK) {
        finish(h, x, CURLE_FAILED_INIT);
        return;
    }
    if (resume) curl_easy_pause(x->easy.curl, CURLPAUSE_CONT);
}

/* x stays valid after the lock is given up: only finish() lets its caller free it, and that runs in this thread. */
static void run_pending(struct http *h) {
    pthread_mutex_lock(&h->lock);
    for (struct xfer *x; (x = h->pending);) {
        bool add = x->want_add, remove = x->want_remove, resume = x->want_resume;
        x->want_add = x->want_remove = x->want_resume = false;
        unlink_pending(h, x);
        pthread_mutex_unlock(&h->lock);
        run_one(h, x, add, remove, resume);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}

static void reap(struct http *h) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode result = m->data.result;
        struct xfer *x = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **) &x);
        finish(h, x, result);
    }
}

static bool stopping(struct http *h) {
    pthread_mutex_lock(&h->lock);
    bool stop = h->stop;
    pthread_mutex_unlock(&h->lock);
    return stop;
}

static void *run(void *arg) {
    struct http *h = arg;
    while (!stopping(h)) {
        int running;
        run_pending(h);
        curl_multi_perform(h->multi, &running);
        reap(h);
        curl_multi_poll(h->multi, NULL, 0, IDLE_POLL, NULL);
    }
    return NULL;
}

/* With every signal blocked: they are for the main thread. */
static int start(struct http *h, struct err *err) {
    curl_init_once();
    h->multi = curl_multi_init();
    if (!h->multi) mem_abort();
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX);
    /* The default, four for each running request, closes connections that the next burst would use. */
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long) IDLE_CONNS);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = pthread_create(&h->thread, NULL, run, h);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e) {
        curl_multi_cleanup(TAKE_PTR(h->multi));
        return err_errno(err, e, "cannot start the thread for HTTP");
    }
    h->started = true;
    return 0;
}

int loop_add(struct http *h, struct xfer *x, struct err *err) {
    pthread_mutex_lock(&h->lock);
    int r = h->started ? 0 : start(h, err);
    if (r == 0) {
        x->in_loop = x->want_add = true;
        submit(h, x);
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

void loop_resume(struct http *h, struct xfer *x) {
    pthread_mutex_lock(&h->lock);
    if (x->in_loop) {
        x->want_resume = true;
        submit(h, x);
    }
    pthread_mutex_unlock(&h->lock);
}

void loop_remove(struct http *h, struct xfer *x) {
    pthread_mutex_lock(&h->lock);
    if (x->in_loop) {
        x->want_remove = true;
        submit(h, x);
    }
    pthread_mutex_unlock(&h->lock);
}

void loop_stop(struct http *h) {
    if (!h->started) return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    curl_multi_wakeup(h->multi);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    curl_multi_cleanup(h->multi);
}
