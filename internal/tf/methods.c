/* The tfplugin6 service as gRPC serves it. */
#include "base/ctx.h"
#include "base/err.h"
#include "rpc/rpc.h"
#include "tf/server.h"

static int handle(void *service, struct rpc_call *call, struct err *err) {
    const void *in = NULL, *out = NULL;
    size_t len = 0, out_len = 0;
    int r = rpc_call_recv(call, NULL, &in, &len, err);
    if (r < 0) return RPC_CANCELLED;
    if (r == 0) {
        err_set(err, ERR_PROTOCOL, "a call without a request");
        return RPC_INVALID_ARGUMENT;
    }
    int status = tf_dispatch(service, rpc_call_ctx(call), rpc_call_method(call), in, len, &out, &out_len, err);
    if (status != RPC_OK) return status;
    return rpc_call_send(call, out, out_len, err) < 0 ? RPC_UNAVAILABLE : RPC_OK;
}

/* Others (GetResourceIdentitySchemas, functions, ephemeral resources, lists, actions) are UNIMPLEMENTED. */
static const struct rpc_method methods[] = {
#define METHOD(call)                                                                                                               \
    { .name = "/tfplugin6.Provider/" call, .handle = handle, .unary = true }
    METHOD("GetProviderSchema"),
    METHOD("ValidateProviderConfig"),
    METHOD("ConfigureProvider"),
    METHOD("ValidateResourceConfig"),
    METHOD("UpgradeResourceState"),
    METHOD("ReadResource"),
    METHOD("PlanResourceChange"),
    METHOD("ApplyResourceChange"),
    METHOD("ImportResourceState"),
    METHOD("MoveResourceState"),
    METHOD("ValidateDataResourceConfig"),
    METHOD("ReadDataSource"),
#undef METHOD
    {.name = "/tfplugin6.Provider/StopProvider", .handle = handle, .unary = true, .urgent = true},
    {0},
};

const struct rpc_method *tf_server_methods(void) { return methods; }
