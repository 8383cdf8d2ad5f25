/* The calls about resources. What a reply with an error must hold, so that OpenTofu stores the truth, is its rule:
 * an absent new state keeps the prior state and its private bytes (on create: nothing). */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tf/server.h"

/* Private bytes are our own JSON; whatever else comes is passed through, but not shown. */
static struct tf_private private_in(struct tf_call *c, ProtobufCBinaryData in) {
    struct tf_private p = {0};
    if (in.len && !memchr(in.data, 0, in.len) && utf8_check((const char *) in.data, in.len, NULL) == 0)
        p.in = p.out = arena_dup(c->arena, in.data, in.len);
    return p;
}

static ProtobufCBinaryData private_out(const struct tf_private *p, ProtobufCBinaryData in) {
    if (p->out == p->in) return in;
    return (ProtobufCBinaryData){p->out ? strlen(p->out) : 0, (uint8_t *) p->out};
}

ProtobufCMessage *tf_validate_resource_config(struct tf_call *c, const void *request) {
    const Tfplugin6__ValidateResourceConfig__Request *q = request;
    Tfplugin6__ValidateResourceConfig__Response *m =
        TF_REPLY(c, Tfplugin6__ValidateResourceConfig__Response, TFPLUGIN6__VALIDATE_RESOURCE_CONFIG__RESPONSE__INIT);
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    void *config = NULL;
    if (r) tf_read_struct(c, shape, q->config, "configuration", &config);
    if (config) {
        bool write_only = q->client_capabilities && q->client_capabilities->write_only_attributes_allowed;
        tf_check_config(shape->table, config, write_only, &c->diags);
        struct tf_validate v = {.config = config};
        c->req.provider = NULL;
        if (r->validate && !tf_failed(&c->diags)) r->validate(&c->req, &v);
    }
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

static void upgrade(struct tf_call *c, const Tfplugin6__UpgradeResourceState__Request *q,
                    Tfplugin6__UpgradeResourceState__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    if (!r) return;
    if (!q->raw_state || !q->raw_state->json.len) {
        tf_error(&c->diags, NULL, "The stored state can't be read",
                 "It is in the form that Terraform wrote before 0.12. Remove the resource from the state and import it.");
        return;
    }
    if (q->version > r->version) {
        tf_error(&c->diags, NULL, "The stored state is of a newer provider",
                 "It has schema version %lld of %s, this provider knows %ld. Use the newer version of the provider.",
                 (long long) q->version, r->name, r->version);
        return;
    }
    Tfplugin6__DynamicValue raw = TFPLUGIN6__DYNAMIC_VALUE__INIT;
    struct cty_value v;
    raw.json = q->raw_state->json;
    if (tf_read_value(c, shape, &raw, "stored state", &v)) m->upgraded_state = tf_write_value(c, shape, &v);
}

ProtobufCMessage *tf_upgrade_resource_state(struct tf_call *c, const void *request) {
    Tfplugin6__UpgradeResourceState__Response *m =
        TF_REPLY(c, Tfplugin6__UpgradeResourceState__Response, TFPLUGIN6__UPGRADE_RESOURCE_STATE__RESPONSE__INIT);
    upgrade(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

static void read_resource(struct tf_call *c, const Tfplugin6__ReadResource__Request *q, Tfplugin6__ReadResource__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    struct tf_read op = {.private = private_in(c, q->private_)};
    m->new_state = q->current_state;
    m->private_ = q->private_;
    if (!r || !tf_need_provider(c) || !tf_read_struct(c, shape, q->current_state, "state", &op.state) || !op.state) return;
    if (r->read) r->read(&c->req, &op);
    m->private_ = private_out(&op.private, q->private_);
    if (tf_failed(&c->diags)) return; /* the state stays as it is */
    m->new_state = tf_write_state(c, shape, op.gone ? NULL : op.state);
}

ProtobufCMessage *tf_read_resource(struct tf_call *c, const void *request) {
    Tfplugin6__ReadResource__Response *m = TF_REPLY(c, Tfplugin6__ReadResource__Response, TFPLUGIN6__READ_RESOURCE__RESPONSE__INIT);
    read_resource(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

/* ---- plan ---- */

static Tfplugin6__AttributePath *attribute_path(struct tf_call *c, const char *name) {
    Tfplugin6__AttributePath *path = TF_REPLY(c, Tfplugin6__AttributePath, TFPLUGIN6__ATTRIBUTE_PATH__INIT);
    path->n_steps = 1;
    path->steps = arena_alloc(c->arena, sizeof *path->steps);
    path->steps[0] = TF_REPLY(c, Tfplugin6__AttributePath__Step, TFPLUGIN6__ATTRIBUTE_PATH__STEP__INIT);
    path->steps[0]->selector_case = TFPLUGIN6__ATTRIBUTE_PATH__STEP__SELECTOR_ATTRIBUTE_NAME;
    path->steps[0]->attribute_name = (char *) name;
    return path;
}

static bool named(const struct tf_plan *p, const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(p->replace) && p->replace[i]; i++)
        if (str_eq(p->replace[i], name)) return true;
    return false;
}

static void put_replaces(struct tf_call *c, const struct tf_shape *shape, const struct tf_plan *p, const struct cty_value *prior,
                         const struct cty_value *planned, Tfplugin6__PlanResourceChange__Response *m) {
    if (prior->state != CTY_KNOWN) return;
    m->requires_replace = arena_array(c->arena, shape->type->n, sizeof *m->requires_replace);
    tf_each(attr, shape->table) {
        ptrdiff_t i = cty_type_find(shape->type, attr->name, strlen(attr->name));
        if (named(p, attr->name) || tf_replaces(attr, &prior->seq.v[i], &planned->seq.v[i]))
            m->requires_replace[m->n_requires_replace++] = attribute_path(c, attr->name);
    }
}

static void plan_destroy(struct tf_call *c, const struct tf_shape *shape, const struct tf_resource *r, const void *prior,
                         Tfplugin6__PlanResourceChange__Response *m) {
    if (r->plan_destroy && prior) r->plan_destroy(&c->req, prior);
    m->planned_state = tf_write_state(c, shape, NULL);
}

static bool need_config(struct tf_call *c, const void *config) {
    if (config) return true;
    tf_error(&c->diags, NULL, "There is no configuration", "%s came without the resource's configuration.", c->log.rpc);
    return false;
}

/* What was unknown when the configuration was validated, nobody else has looked at. Warnings have been given by then. */
static bool check_again(struct tf_call *c, const struct tf_shape *shape, const struct tf_resource *r, const void *config) {
    struct tf_diags found = {.arena = c->arena};
    struct tf_req req = {.ctx = &c->ctx, .diags = &found};
    tf_check_config(shape->table, config, true, &found);
    if (r->validate && !tf_failed(&found)) r->validate(&req, &(struct tf_validate){.config = config});
    if (tf_failed(&found)) c->diags = found;
    return !tf_failed(&found);
}

static void plan(struct tf_call *c, const Tfplugin6__PlanResourceChange__Request *q, Tfplugin6__PlanResourceChange__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    void *config = NULL, *prior = NULL, *planned = NULL;
    m->planned_private = q->prior_private;
    if (!r || !tf_need_provider(c) || !tf_read_struct(c, shape, q->prior_state, "prior state", &prior) ||
        !tf_read_struct(c, shape, q->proposed_new_state, "proposed state", &planned) ||
        !tf_read_struct(c, shape, q->config, "configuration", &config))
        return;
    if (!planned) {
        plan_destroy(c, shape, r, prior, m);
        return;
    }
    if (!need_config(c, config) || !check_again(c, shape, r, config)) return;
    struct tf_plan p = {.config = config, .prior = prior, .planned = planned, .private = private_in(c, q->prior_private)};
    tf_put_fallbacks(c->arena, shape->table, config, planned);
    struct cty_value was = tf_encode(c->arena, shape, prior, false, NULL), will = tf_encode(c->arena, shape, planned, false, NULL);
    p.changed = !prior || !cty_equal(&was, &will);
    if (p.changed) tf_put_unknowns(shape->table, config, prior, planned);
    if (r->plan) r->plan(&c->req, &p);
    m->planned_private = private_out(&p.private, q->prior_private);
    if (tf_failed(&c->diags)) return;
    will = tf_encode(c->arena, shape, planned, false, NULL);
    m->planned_state = tf_write_value(c, shape, &will);
    put_replaces(c, shape, &p, &was, &will, m);
}

ProtobufCMessage *tf_plan_resource_change(struct tf_call *c, const void *request) {
    Tfplugin6__PlanResourceChange__Response *m =
        TF_REPLY(c, Tfplugin6__PlanResourceChange__Response, TFPLUGIN6__PLAN_RESOURCE_CHANGE__RESPONSE__INIT);
    plan(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

/* ---- apply ---- */

static bool same_as_prior(struct tf_call *c, const struct tf_shape *shape, const struct tf_apply *a) {
    struct cty_value prior = tf_encode(c->arena, shape, a->prior, true, NULL),
                     now = tf_encode(c->arena, shape, a->state, true, NULL);
    return cty_equal(&prior, &now);
}

static void destroy(struct tf_call *c, const struct tf_shape *shape, const struct tf_resource *r, struct tf_apply *a,
                    ProtobufCBinaryData private, Tfplugin6__ApplyResourceChange__Response *m) {
    if (r->destroy) r->destroy(&c->req, a);
    if (!tf_failed(&c->diags)) {
        m->new_state = tf_write_state(c, shape, NULL);
        m->private_ = (ProtobufCBinaryData){0};
        return;
    }
    /* Nothing new: the prior state stays with its own private bytes. Those at hand may be another's: in a replacement the
     * destroy call gets what the create's plan wrote. */
    if (!a->keep && a->private.out == a->private.in && same_as_prior(c, shape, a)) return;
    m->new_state = tf_write_state(c, shape, a->state);
    m->private_ = private_out(&a->private, private);
}

static void apply(struct tf_call *c, const Tfplugin6__ApplyResourceChange__Request *q,
                  Tfplugin6__ApplyResourceChange__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    void *config = NULL, *prior = NULL, *planned = NULL, *state = NULL;
    m->private_ = q->planned_private;
    if (!r || !tf_need_provider(c) || !tf_read_struct(c, shape, q->prior_state, "prior state", &prior) ||
        !tf_read_struct(c, shape, q->planned_state, "planned state", &planned) ||
        !tf_read_struct(c, shape, planned ? q->planned_state : q->prior_state, "planned state", &state) ||
        !tf_read_struct(c, shape, q->config, "configuration", &config))
        return;
    struct tf_apply a = {
        .config = config, .prior = prior, .planned = planned, .state = state, .private = private_in(c, q->planned_private)};
    if (!planned) {
        if (prior) destroy(c, shape, r, &a, q->planned_private, m);
        return;
    }
    const char *open = tf_open_argument(shape->table, planned);
    if (open)
        tf_error(&c->diags, open, "An argument has no value yet", "The change can't be applied before the value of %s is known.",
                 open);
    if (open || !need_config(c, config)) return;
    void (*op)(struct tf_req *, struct tf_apply *) = prior ? r->update : r->create;
    if (op) op(&c->req, &a);
    m->private_ = private_out(&a.private, q->planned_private);
    if (!tf_failed(&c->diags) || a.keep) m->new_state = tf_write_state(c, shape, a.state);
}

ProtobufCMessage *tf_apply_resource_change(struct tf_call *c, const void *request) {
    Tfplugin6__ApplyResourceChange__Response *m =
        TF_REPLY(c, Tfplugin6__ApplyResourceChange__Response, TFPLUGIN6__APPLY_RESOURCE_CHANGE__RESPONSE__INIT);
    apply(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

/* ---- import and move ---- */

static void import(struct tf_call *c, const Tfplugin6__ImportResourceState__Request *q,
                   Tfplugin6__ImportResourceState__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->type_name, &shape);
    if (!r || !tf_need_provider(c)) return;
    if (!r->import) {
        tf_error(&c->diags, NULL, "This resource can't be imported", "%s has no import.", r->name);
        return;
    }
    size_t len = strlen(q->id);
    struct tf_import op = {.id = text_clean(c->arena, q->id, len), .state = arena_alloc(c->arena, shape->table->size)};
    r->import(&c->req, &op);
    if (tf_failed(&c->diags)) return;
    Tfplugin6__ImportResourceState__ImportedResource *one =
        TF_REPLY(c, Tfplugin6__ImportResourceState__ImportedResource, TFPLUGIN6__IMPORT_RESOURCE_STATE__IMPORTED_RESOURCE__INIT);
    one->type_name = (char *) r->name;
    one->state = tf_write_state(c, shape, op.state);
    one->private_ = private_out(&op.private, (ProtobufCBinaryData){0});
    if (tf_failed(&c->diags)) return;
    m->imported_resources = arena_alloc(c->arena, sizeof *m->imported_resources);
    m->imported_resources[0] = one;
    m->n_imported_resources = 1;
}

ProtobufCMessage *tf_import_resource_state(struct tf_call *c, const void *request) {
    Tfplugin6__ImportResourceState__Response *m =
        TF_REPLY(c, Tfplugin6__ImportResourceState__Response, TFPLUGIN6__IMPORT_RESOURCE_STATE__RESPONSE__INIT);
    import(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}

static void move(struct tf_call *c, const Tfplugin6__MoveResourceState__Request *q, Tfplugin6__MoveResourceState__Response *m) {
    const struct tf_shape *shape = NULL;
    const struct tf_resource *r = tf_find_resource(c, q->target_type_name, &shape);
    if (!r) return;
    char *provider = text_clean(c->arena, q->source_provider_address, strlen(q->source_provider_address));
    char *type = text_clean(c->arena, q->source_type_name, strlen(q->source_type_name));
    ProtobufCBinaryData json = q->source_state ? q->source_state->json : (ProtobufCBinaryData){0};
    if (!r->move) {
        tf_error(&c->diags, NULL, "The resource can't be moved", "%s of %s can't become a %s.", type, provider, r->name);
        return;
    }
    if (!json.len || memchr(json.data, 0, json.len)) {
        tf_error(&c->diags, NULL, "The resource can't be moved", "The stored state of %s is not JSON.", type);
        return;
    }
    struct tf_move op = {.source_provider = provider,
                         .source_type = type,
                         .source_json = arena_dup(c->arena, json.data, json.len),
                         .state = arena_alloc(c->arena, shape->table->size),
                         .private = private_in(c, q->source_private)};
    op.private.out = NULL; /* another resource's */
    r->move(&c->req, &op);
    if (tf_failed(&c->diags)) return;
    m->target_state = tf_write_state(c, shape, op.state);
    m->target_private = (ProtobufCBinaryData){op.private.out ? strlen(op.private.out) : 0, (uint8_t *) op.private.out};
}

ProtobufCMessage *tf_move_resource_state(struct tf_call *c, const void *request) {
    Tfplugin6__MoveResourceState__Response *m =
        TF_REPLY(c, Tfplugin6__MoveResourceState__Response, TFPLUGIN6__MOVE_RESOURCE_STATE__RESPONSE__INIT);
    move(c, request, m);
    TF_PUT_DIAGS(c, m);
    return &m->base;
}
