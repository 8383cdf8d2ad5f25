/* The tfplugin6 service: calls are found by name, decoded, run and encoded here; nothing in here knows of gRPC. */
#include "tf/server.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "rpc/rpc.h"

/* ---- messages in the call's arena ---- */

static void *pb_alloc(void *arena, size_t size) { return arena_alloc(arena, size); }

static void pb_free(void *arena, void *p) {
    (void) arena;
    (void) p;
}

size_t tf_diags_message(struct tf_call *c, Tfplugin6__Diagnostic ***ret) {
    const struct tf_diags *d = &c->diags;
    *ret = arena_array(c->arena, d->n, sizeof **ret);
    for (size_t i = 0; i < d->n; i++) {
        Tfplugin6__Diagnostic *m = (*ret)[i] = TF_REPLY(c, Tfplugin6__Diagnostic, TFPLUGIN6__DIAGNOSTIC__INIT);
        m->severity = (Tfplugin6__Diagnostic__Severity) d->v[i].severity;
        m->summary = (char *) d->v[i].summary;
        m->detail = (char *) d->v[i].detail;
        if (!d->v[i].n_path) continue;
        Tfplugin6__AttributePath *path = m->attribute = TF_REPLY(c, Tfplugin6__AttributePath, TFPLUGIN6__ATTRIBUTE_PATH__INIT);
        path->n_steps = d->v[i].n_path;
        path->steps = arena_array(c->arena, path->n_steps, sizeof *path->steps);
        for (size_t k = 0; k < path->n_steps; k++) {
            const struct tf_step *from = &d->v[i].path[k];
            Tfplugin6__AttributePath__Step *to = path->steps[k] =
                TF_REPLY(c, Tfplugin6__AttributePath__Step, TFPLUGIN6__ATTRIBUTE_PATH__STEP__INIT);
            if (from->kind == TF_STEP_INDEX) {
                to->selector_case = TFPLUGIN6__ATTRIBUTE_PATH__STEP__SELECTOR_ELEMENT_KEY_INT;
                to->element_key_int = from->index;
            } else {
                to->selector_case = from->kind == TF_STEP_ATTR ? TFPLUGIN6__ATTRIBUTE_PATH__STEP__SELECTOR_ATTRIBUTE_NAME
                                                               : TFPLUGIN6__ATTRIBUTE_PATH__STEP__SELECTOR_ELEMENT_KEY_STRING;
                to->attribute_name = (char *) from->name; /* of the same union as the key */
            }
        }
    }
    return d->n;
}

bool tf_read_value(struct tf_call *c, const struct tf_shape *shape, const Tfplugin6__DynamicValue *in, const char *what,
                   struct cty_value *ret) {
    AUTO_ERR struct err err = {0};
    *ret = cty_null(shape->type);
    int r = 0;
    if (in && in->msgpack.len)
        r = cty_msgpack_decode(c->arena, shape->type, in->msgpack.data, in->msgpack.len, ret, &err);
    else if (in && in->json.len)
        r = cty_json_decode(c->arena, shape->type, (const char *) in->json.data, in->json.len, ret, &err);
    if (r == 0) return true;
    char *summary = arena_printf(c->arena, "The %s can't be read", what);
    tf_error_from(&c->diags, NULL, summary, &err);
    return false;
}

bool tf_read_struct(struct tf_call *c, const struct tf_shape *shape, const Tfplugin6__DynamicValue *in, const char *what,
                    void **ret) {
    struct cty_value v;
    if (!tf_read_value(c, shape, in, what, &v)) return false;
    size_t before = c->diags.n;
    *ret = tf_decode(c->arena, shape, &v, &c->diags);
    return c->diags.n == before;
}

Tfplugin6__DynamicValue *tf_write_value(struct tf_call *c, const struct tf_shape *shape, const struct cty_value *v) {
    AUTO_BUF struct buf b = {0};
    cty_msgpack_encode(&b, shape->type, v);
    Tfplugin6__DynamicValue *m = TF_REPLY(c, Tfplugin6__DynamicValue, TFPLUGIN6__DYNAMIC_VALUE__INIT);
    m->msgpack.data = arena_dup(c->arena, b.data, b.len);
    m->msgpack.len = b.len;
    return m;
}

Tfplugin6__DynamicValue *tf_write_state(struct tf_call *c, const struct tf_shape *shape, const void *s) {
    const char *unsettled = NULL;
    struct cty_value v = tf_encode(c->arena, shape, s, true, &unsettled);
    if (unsettled && !tf_failed(&c->diags))
        tf_error(
            &c->diags, unsettled, "A value is still unknown",
            "The provider has done its work, but %s has no value. This is a bug in the provider; please report it. The value is "
            "stored as null.",
            unsettled);
    return tf_write_value(c, shape, &v);
}

/* ---- the calls ---- */

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    tf_handler *run;
} methods[] = {
#define METHOD(name, lower, run)                                                                                                   \
    { "/tfplugin6.Provider/" #name, &tfplugin6__##lower##__request__descriptor, run }
    METHOD(GetProviderSchema, get_provider_schema, tf_get_provider_schema),
    METHOD(ValidateProviderConfig, validate_provider_config, tf_validate_provider_config),
    METHOD(ConfigureProvider, configure_provider, tf_configure_provider),
    METHOD(StopProvider, stop_provider, tf_stop_provider),
    METHOD(ValidateResourceConfig, validate_resource_config, tf_validate_resource_config),
    METHOD(UpgradeResourceState, upgrade_resource_state, tf_upgrade_resource_state),
    METHOD(ReadResource, read_resource, tf_read_resource),
    METHOD(PlanResourceChange, plan_resource_change, tf_plan_resource_change),
    METHOD(ApplyResourceChange, apply_resource_change, tf_apply_resource_change),
    METHOD(ImportResourceState, import_resource_state, tf_import_resource_state),
    METHOD(MoveResourceState, move_resource_state, tf_move_resource_state),
    METHOD(ValidateDataResourceConfig, validate_data_resource_config, tf_validate_data_resource_config),
    METHOD(ReadDataSource, read_data_source, tf_read_data_source),
#undef METHOD
};

static void pack(struct arena *a, const ProtobufCMessage *reply, const void **ret_out, size_t *ret_len) {
    *ret_len = protobuf_c_message_get_packed_size(reply);
    uint8_t *out = arena_alloc(a, *ret_len);
    protobuf_c_message_pack(reply, out);
    *ret_out = out;
}

static void *configured(struct tf_server *s) {
    pthread_mutex_lock(&s->lock);
    void *p = s->n_configured ? s->configured[s->n_configured - 1] : NULL;
    pthread_mutex_unlock(&s->lock);
    return p;
}

static void stopped(void *cancel) { cancel_request(cancel); }

static struct cancel *stop_of(struct tf_server *s) {
    pthread_mutex_lock(&s->lock);
    struct cancel *stop = cancel_ref(s->running ? s->running : s->stop);
    pthread_mutex_unlock(&s->lock);
    return stop;
}

void tf_server_outlives_hosts(struct tf_server *s) { s->running = cancel_new(s->stop); }

int tf_dispatch(struct tf_server *s, const struct ctx *ctx, const char *method, const void *in, size_t len, const void **ret_out,
                size_t *ret_len, struct err *err) {
    size_t m = 0;
    while (m < ARRAY_SIZE(methods) && !str_eq(methods[m].name, method)) m++;
    if (m == ARRAY_SIZE(methods)) {
        err_set(err, ERR_UNSUPPORTED, "unknown method %s", method);
        return RPC_UNIMPLEMENTED;
    }
    ProtobufCAllocator allocator = {pb_alloc, pb_free, ctx->arena};
    ProtobufCMessage *request = protobuf_c_message_unpack(methods[m].request, &allocator, len, in);
    if (!request) {
        err_set(err, ERR_PROTOCOL, "the request of %s can't be decoded", method);
        return RPC_INVALID_ARGUMENT;
    }
    /* StopProvider reaches every call; those that come after it are answered, but don't begin to wait for anything. */
    struct cancel *cancel = cancel_new(ctx->cancel), *stop = stop_of(s);
    uint64_t id = cancel_on(stop, stopped, cancel);
    struct tf_call c = {.server = s, .arena = ctx->arena, .ctx = *ctx, .diags.arena = ctx->arena};
    c.log.rpc = strrchr(method, '/') + 1;
    c.log.req_id = arena_printf(ctx->arena, "%ld-%lu", (long) getpid(), atomic_fetch_add(&s->calls, 1) + 1);
    c.ctx.cancel = cancel;
    c.ctx.log = &c.log;
    c.req = (struct tf_req){.ctx = &c.ctx, .diags = &c.diags, .provider = configured(s)};
    log_trace(&c.ctx, "called");
    pack(ctx->arena, methods[m].run(&c, request), ret_out, ret_len);
    log_trace(&c.ctx, "answered, %zu diagnostics", c.diags.n);
    cancel_off(stop, id);
    cancel_unref(stop);
    cancel_unref(cancel);
    return RPC_OK;
}

const struct tf_resource *tf_find_resource(struct tf_call *c, const char *name, const struct tf_shape **ret_shape) {
    const struct tf_resource *const *all = c->server->provider->resources;
    c->log.resource_type = name;
    for (size_t i = 0; all && all[i]; i++) {
        if (!str_eq(all[i]->name, name)) continue;
        *ret_shape = &c->server->resources[i];
        return all[i];
    }
    tf_error(&c->diags, NULL, "This provider doesn't know the resource type",
             "There is no resource type \"%s\" in this version of the provider.", name);
    return NULL;
}

const struct tf_data_source *tf_find_data_source(struct tf_call *c, const char *name, const struct tf_shape **ret_shape) {
    const struct tf_data_source *const *all = c->server->provider->data_sources;
    c->log.resource_type = name;
    for (size_t i = 0; all && all[i]; i++) {
        if (!str_eq(all[i]->name, name)) continue;
        *ret_shape = &c->server->data_sources[i];
        return all[i];
    }
    tf_error(&c->diags, NULL, "This provider doesn't know the data source",
             "There is no data source \"%s\" in this version of the provider.", name);
    return NULL;
}

bool tf_need_provider(struct tf_call *c) {
    if (c->req.provider || !c->server->provider->configure) return true;
    tf_error(&c->diags, NULL, "The provider is not configured",
             "%s came before a ConfigureProvider that succeeded. The provider block's own error says why.", c->log.rpc);
    return false;
}

/* ---- life ---- */

struct tf_server *tf_server_new(const struct tf_provider *p, struct cancel *stop) {
    struct tf_server *s = NEW(struct tf_server);
    s->provider = p;
    s->stop = cancel_ref(stop);
    s->arena = arena_new();
    atomic_init(&s->calls, 0);
    pthread_mutex_init(&s->lock, NULL);
    s->shape = tf_shape_new(s->arena, &p->table);
    size_t n = 0;
    while (p->resources && p->resources[n]) n++;
    s->resources = arena_array(s->arena, n, sizeof *s->resources);
    for (size_t i = 0; i < n; i++) s->resources[i] = tf_shape_new(s->arena, &p->resources[i]->table);
    for (n = 0; p->data_sources && p->data_sources[n];) n++;
    s->data_sources = arena_array(s->arena, n, sizeof *s->data_sources);
    for (size_t i = 0; i < n; i++) s->data_sources[i] = tf_shape_new(s->arena, &p->data_sources[i]->table);
    return s;
}

void tf_server_free(struct tf_server *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_configured; i++)
        if (s->provider->done) s->provider->done(s->configured[i]);
    mem_free(s->configured);
    cancel_unref(s->running);
    cancel_unref(s->stop);
    pthread_mutex_destroy(&s->lock);
    arena_free(s->arena);
    mem_free(s);
}
