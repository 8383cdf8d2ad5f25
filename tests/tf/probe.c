/* The fake provider as a real plugin, for tests/tf/test_protocol. Names of calls go to the file of $PROBE_TRACE, as
 * "PID Method". */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "fake_provider.h"
#include "plugin/plugin.h"
#include "rpc/rpc.h"

static int traced(void *service, struct rpc_call *call, struct err *err) {
    const char *method = rpc_call_method(call), *file = getenv("PROBE_TRACE");
    AUTO_CLOSE int fd = file ? open(file, O_WRONLY | O_APPEND | O_CREAT, 0644) : -1;
    if (fd >= 0) dprintf(fd, "%ld %s\n", (long) getpid(), strrchr(method, '/') + 1);
    for (const struct rpc_method *m = tf_server_methods(); m->name; m++)
        if (str_eq(m->name, method)) return m->handle(service, call, err);
    return RPC_UNIMPLEMENTED;
}

int main(void) {
    AUTO_ERR struct err err = {0};
    struct rpc_method methods[32] = {0};
    size_t n = 0;
    for (const struct rpc_method *m = tf_server_methods(); m->name && n + 1 < ARRAY_SIZE(methods); m++) {
        methods[n] = *m;
        methods[n++].handle = traced;
    }
    log_init();
    struct cancel *stop = cancel_new(NULL);
    struct tf_server *server = tf_server_new(&fake_provider, stop);
    struct plugin_options options = {.methods = methods, .service = server, .stop = stop};
    bool busy = false;
    int r = plugin_serve(&options, &busy, &err);
    if (r < 0) fprintf(stderr, "probe: %s\n", err_text(&err));
    if (busy) _exit(1);
    tf_server_free(server);
    cancel_unref(stop);
    rpc_shutdown();
    return r < 0;
}
