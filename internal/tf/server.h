#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"
#include "base/log.h"
#include "proto/tfplugin6.pb-c.h"
#include "tf/table.h"

/* The inside of the tfplugin6 server: one call from its bytes to the bytes of its reply, without any rpc. */

struct tf_server {
    const struct tf_provider *provider;
    struct cancel *stop;
    struct cancel *running; /* under lock: of the calls that run, where a host's end is not ours; else NULL */
    struct arena *arena; /* of the shapes */
    struct tf_shape shape;
    struct tf_shape *resources, *data_sources; /* in the provider's order */
    atomic_ulong calls;
    pthread_mutex_t lock;
    void **configured; /* each result of configure; the last one is in use, earlier ones may be by calls that still run */
    size_t n_configured, cap_configured;
};

struct tf_call {
    struct tf_server *server;
    struct arena *arena;
    struct ctx ctx;
    struct log_scope log;
    struct tf_diags diags;
    struct tf_req req;
};

/* Runs one call; ctx->arena holds everything of it. Returns an RPC_ status, with its text in err unless RPC_OK. */
int tf_dispatch(struct tf_server *s, const struct ctx *ctx, const char *method, const void *in, size_t len, const void **ret_out,
                size_t *ret_len, struct err *err);

/* A method's work: request and reply are messages of its own types, the reply lives in the call's arena. */
typedef ProtobufCMessage *tf_handler(struct tf_call *c, const void *request);
tf_handler tf_get_provider_schema, tf_validate_provider_config, tf_configure_provider, tf_stop_provider;
tf_handler tf_validate_resource_config, tf_upgrade_resource_state, tf_read_resource, tf_plan_resource_change,
    tf_apply_resource_change, tf_import_resource_state, tf_move_resource_state;
tf_handler tf_validate_data_resource_config, tf_read_data_source;

/* A reply of a message type with the diagnostics in it. */
#define TF_REPLY(c, type, init)                                                                                                    \
    ({                                                                                                                             \
        type *_reply = arena_alloc((c)->arena, sizeof(type));                                                                      \
        *_reply = (type) init;                                                                                                     \
        _reply;                                                                                                                    \
    })
#define TF_PUT_DIAGS(c, reply) ((reply)->n_diagnostics = tf_diags_message((c), &(reply)->diagnostics))
size_t tf_diags_message(struct tf_call *c, Tfplugin6__Diagnostic ***ret);

/* Reported as an error, false, when it can't be read. Neither encoding, or no value at all: null. */
bool tf_read_value(struct tf_call *c, const struct tf_shape *shape, const Tfplugin6__DynamicValue *in, const char *what,
                   struct cty_value *ret);
/* The same down to the struct: NULL for null. */
bool tf_read_struct(struct tf_call *c, const struct tf_shape *shape, const Tfplugin6__DynamicValue *in, const char *what,
                    void **ret);
Tfplugin6__DynamicValue *tf_write_value(struct tf_call *c, const struct tf_shape *shape, const struct cty_value *v);
/* A struct as what is stored: wholly known, write-only attributes null. An unknown in it is null, and an error unless there
 * is one already. NULL is null. */
Tfplugin6__DynamicValue *tf_write_state(struct tf_call *c, const struct tf_shape *shape, const void *s);

/* The object of that name with its shape; NULL and an error if the provider has none. */
const struct tf_resource *tf_find_resource(struct tf_call *c, const char *name, const struct tf_shape **ret_shape);
const struct tf_data_source *tf_find_data_source(struct tf_call *c, const char *name, const struct tf_shape **ret_shape);
/* False and an error if the provider isn't configured. */
bool tf_need_provider(struct tf_call *c);
