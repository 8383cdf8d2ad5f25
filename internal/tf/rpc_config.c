/* The calls about the provider block and data sources. */
#include "base/mem.h"
#include "tf/server.h"

static void validate(struct tf_call *c, const struct tf_shape *shape, const Tfplugin6__DynamicValue *in,
                     void (*op)(struct tf_req *req, struct tf_validate *v)) {
    void *config = NULL;
    tf_read_struct(c, shape, in, "configuration", &config);
    if (!config) return;
    tf_check_config(shape->table, config, true, &c->diags);
    struct tf_validate v = {.config = config};
    c->req.provider = NULL;
    if (op && !tf_failed(&c->diags)) op(&c->req, &v);
}

ProtobufCMessage *tf_validate_provider_config(struct tf_call *c, const void *request) {
    const Tfplugin6__ValidateProviderConfig__Request *q = request;
    Tfplugin6__ValidateProviderConfig__Response *m =
        TF_REPLY(c, Tfplugin6__ValidateProviderConfig__Response, TFPLUGIN6__VALIDATE_PROVIDER_CONFIG__RESPONSE__INIT);
    validate(c, &c->server->shape, q->config, c->server->provider->validate);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

static void remember(struct tf_server *s, void *provider) {
    pthread_mutex_lock(&s->lock);
    MEM_GROW(s->configured, s->n_configured, s->cap_configured);
    s->configured[s->n_configured++] = provider;
    pthread_mutex_unlock(&s->lock);
}

ProtobufCMessage *tf_configure_provider(struct tf_call *c, const void *request) {
    const Tfplugin6__ConfigureProvider__Request *q = request;
    const struct tf_provider *p = c->server->provider;
    Tfplugin6__ConfigureProvider__Response *m =
        TF_REPLY(c, Tfplugin6__ConfigureProvider__Response, TFPLUGIN6__CONFIGURE_PROVIDER__RESPONSE__INIT);
    void *config = NULL;
    if (tf_read_struct(c, &c->server->shape, q->config, "provider's configuration", &config) && p->configure) {
        if (!config) config = arena_alloc(c->arena, p->table.size); /* no provider block: all null */
        tf_put_fallbacks(c->arena, &p->table, config, config);
        c->req.provider = NULL;
        void *provider = p->configure(&c->req, config);
        if (provider) remember(c->server, provider);
    }
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

ProtobufCMessage *tf_stop_provider(struct tf_call *c, const void *request) {
    (void) request;
    Tfplugin6__StopProvider__Response *m = TF_REPLY(c, Tfplugin6__StopProvider__Response, TFPLUGIN6__STOP_PROVIDER__RESPONSE__INIT);
    struct tf_server *s = c->server;
    pthread_mutex_lock(&s->lock);
    struct cancel *stop = s->running ? s->running : cancel_ref(s->stop);
    if (s->running) s->running = cancel_new(s->stop);
    pthread_mutex_unlock(&s->lock);
    cancel_request(stop);
    cancel_unref(stop);
    return &m->base;
}

ProtobufCMessage *tf_validate_data_resource_config(struct tf_call *c, const void *request) {
    const Tfplugin6__ValidateDataResourceConfig__Request *q = request;
    Tfplugin6__ValidateDataResourceConfig__Response *m =
        TF_REPLY(c, Tfplugin6__ValidateDataResourceConfig__Response, TFPLUGIN6__VALIDATE_DATA_RESOURCE_CONFIG__RESPONSE__INIT);
    const struct tf_shape *shape = NULL;
    const struct tf_data_source *d = tf_find_data_source(c, q->type_name, &shape);
    if (d) validate(c, shape, q->config, d->validate);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

ProtobufCMessage *tf_read_data_source(struct tf_call *c, const void *request) {
    const Tfplugin6__ReadDataSource__Request *q = request;
    Tfplugin6__ReadDataSource__Response *m =
        TF_REPLY(c, Tfplugin6__ReadDataSource__Response, TFPLUGIN6__READ_DATA_SOURCE__RESPONSE__INIT);
    const struct tf_shape *shape = NULL;
    const struct tf_data_source *d = tf_find_data_source(c, q->type_name, &shape);
    void *config = NULL, *state = NULL;
    if (d && tf_need_provider(c) && tf_read_struct(c, shape, q->config, "configuration", &config) &&
        tf_read_struct(c, shape, q->config, "configuration", &state) && state) {
        tf_put_fallbacks(c->arena, shape->table, config, state);
        if (d->read) d->read(&c->req, state);
        if (!tf_failed(&c->diags)) m->state = tf_write_state(c, shape, state);
    }
    TF_PUT_DIAGS(c, m);
    return &m->base;
}
