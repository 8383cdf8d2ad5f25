/* go-plugin's own services: controller, stdio and broker, and gRPC's health. */
#include <stdint.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "plugin/internal.h"
#include "proto/grpc_health.pb-c.h"

static int shut_down(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    plugin_event(PLUGIN_SHUTDOWN);
    return rpc_call_send(c, NULL, 0, err) < 0 ? RPC_INTERNAL : RPC_OK;
}

/* Never sends anything (stdout and stderr go their own way): held open because its end without a Shutdown is how we hear
 * that the host was killed. */
static int stream_stdio(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    plugin_event(PLUGIN_ATTACHED);
    while (ctx_sleep(rpc_call_ctx(c), INT32_MAX, NULL) == 0) {
    }
    plugin_event(PLUGIN_DETACHED);
    err_set(err, ERR_CANCELLED, "cancelled");
    return RPC_CANCELLED;
}

/* Connections beside the first one are never asked for; the host's end is read until it closes. */
static int start_stream(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    for (;;) {
        AUTO_ARENA struct arena *a = arena_new();
        const void *msg;
        size_t len;
        int r = rpc_call_recv(c, a, &msg, &len, err);
        if (r <= 0) return r < 0 ? RPC_CANCELLED : RPC_OK;
    }
}

static int check_health(void *service, struct rpc_call *c, struct err *err) {
    (void) service;
    const void *msg;
    size_t len;
    if (rpc_call_recv(c, NULL, &msg, &len, err) != 1) return RPC_CANCELLED;
    Grpc__Health__V1__HealthCheckRequest *request = grpc__health__v1__health_check_request__unpack(NULL, len, msg);
    if (!request) {
        err_set(err, ERR_INVALID, "not a HealthCheckRequest");
        return RPC_INVALID_ARGUMENT;
    }
    bool known = str_empty(request->service) || str_eq(request->service, "plugin");
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    if (!known) {
        err_set(err, ERR_NOT_FOUND, "unknown service");
        return RPC_NOT_FOUND;
    }
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    uint8_t packed[16];
    return rpc_call_send(c, packed, grpc__health__v1__health_check_response__pack(&response, packed), err) < 0 ? RPC_INTERNAL
                                                                                                               : RPC_OK;
}

const struct rpc_method plugin_methods[] = {
    {.name = "/plugin.GRPCController/Shutdown", .handle = shut_down, .urgent = true},
    {.name = "/plugin.GRPCStdio/StreamStdio", .handle = stream_stdio, .attached = true},
    {.name = "/plugin.GRPCBroker/StartStream", .handle = start_stream, .attached = true},
    {.name = "/grpc.health.v1.Health/Check", .handle = check_health, .urgent = true},
    {0},
};
