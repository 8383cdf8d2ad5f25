#include "plugin/plugin.h"

#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/internal.h"

enum {
    PARENT_CHECK_MS = 5000, /* until the host has opened its stdio stream */
    /* How long running calls have to end after they were cancelled. The host kills 2 s after Shutdown. */
    GRACE_SHUTDOWN_MS = 1500,
    GRACE_SIGNAL_MS = 10000,
    GRACE_HOST_GONE_MS = 5000,
};

/* The caller's methods and go-plugin's own in one table. */
static struct rpc_method *all_methods(const struct plugin_options *opt) {
    size_t n = 0, own = 0;
    while (opt->methods[n].name) n++;
    while (plugin_methods[own].name) own++;
    struct rpc_method *all = mem_array(n + own + 1, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i] = opt->methods[i];
        all[i].unary = true;
    }
    for (size_t i = 0; i < own; i++) all[n + i] = plugin_methods[i];
    return all;
}

/* Until it is time to go; returns the grace for what still runs. */
static int64_t await_end(struct cancel *stop, bool debug) {
    pid_t host = getppid();
    for (bool attached = false;;) {
        switch (plugin_await(attached || debug ? -1 : PARENT_CHECK_MS)) {
            case PLUGIN_ATTACHED: attached = true; break;
            case PLUGIN_DETACHED:
                if (debug) break;
                log_debug(NULL, "the host has gone");
                return GRACE_HOST_GONE_MS;
            case PLUGIN_SHUTDOWN:
                if (debug) break;
                return GRACE_SHUTDOWN_MS;
            /* The host asks for the same by StopProvider, but for the plan that its apply begins with, and it waits for
             * what runs without a limit: dying of it, as by default, would lose results. */
            case PLUGIN_INTERRUPT: cancel_request(stop); break;
            case PLUGIN_SIGNAL: return GRACE_SIGNAL_MS;
            case PLUGIN_TICK:
                if (getppid() != host) return GRACE_HOST_GONE_MS;
        }
    }
}

/* A second signal, or a Shutdown after a signal, cuts the grace short. */
static bool drain(struct rpc_server *s, struct cancel *stop, int64_t grace) {
    cancel_request(stop);
    struct ctx ctx = ctx_with_timeout(&(struct ctx){0}, grace);
    enum { SLICE_MS = 20 };
    for (;;) {
        struct ctx slice = ctx_with_timeout(&ctx, SLICE_MS);
        if (rpc_server_drain(s, &slice, NULL) == 0) return true;
        if (ctx_left(&ctx) == 0) return false;
        enum plugin_event e = plugin_await(0);
        if (e == PLUGIN_SIGNAL) return false;
        if (e == PLUGIN_SHUTDOWN && ctx_left(&ctx) > GRACE_SHUTDOWN_MS) ctx = ctx_with_timeout(&(struct ctx){0}, GRACE_SHUTDOWN_MS);
    }
}

static int open_server(const struct plugin_handshake *h, const struct rpc_method *methods, const struct plugin_options *opt,
                       struct rpc_server **ret, struct err *err) {
    struct rpc_server *s = rpc_server_new(
        &(struct rpc_server_options){
            .methods = methods,
            .service = opt->service,
            .cancel = opt->stop,
            .cert_pem = h->cert.cert_pem,
            .key_pem = h->cert.key_pem,
            .client_ca_pem = h->client_pem,
        },
        err);
    if (!s) return -(int) err->code;
    int r = rpc_server_listen(s, h->address, NULL, err);
    if (r < 0) {
        rpc_server_free(s);
        /* Asked only now: reading a certificate takes a tenth of the whole start. */
        if (h->client_pem && cert_not_after(h->client_pem, err) < 0)
            return err_wrap(err, "the host's PLUGIN_CLIENT_CERT can't be used");
        return r;
    }
    rpc_server_start(s);
    *ret = s;
    return 0;
}

int plugin_serve(const struct plugin_options *opt, bool *ret_running, struct err *err) {
    AUTO_ERR struct err own = {0};
    if (!err) err = &own;
    struct plugin_handshake h;
    int r = plugin_events_open(opt->debug, err);
    if (r < 0) return r;
    AUTO_FREE struct rpc_method *methods = all_methods(opt);
    struct rpc_server *s = NULL;
    bool running = false;
    r = plugin_handshake_new(&h, opt->debug, err);
    if (!r) r = open_server(&h, methods, opt, &s, err);
    if (!r) r = opt->debug ? plugin_reattach_write(&h, opt->address, err) : plugin_handshake_write(&h, err);
    if (!r) running = !drain(s, opt->stop, await_end(opt->stop, opt->debug)) || !opt->take_apart;
    plugin_handshake_done(&h);
    if (running) {
        TAKE_PTR(methods); /* the server uses them */
    } else {
        rpc_server_free(s);
        plugin_events_close();
    }
    *ret_running = running;
    return r;
}
