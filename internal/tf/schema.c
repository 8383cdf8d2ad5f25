/* GetProviderSchema: what tables say, in the protocol's words. */
#include <string.h>

#include "base/mem.h"
#include "tf/server.h"

static Tfplugin6__Schema__Attribute **attributes(struct tf_call *c, const struct tf_table *t, size_t *ret_n);

static Tfplugin6__Schema__Object *nested(struct tf_call *c, const struct tf_attr *attr) {
    Tfplugin6__Schema__Object *o = TF_REPLY(c, Tfplugin6__Schema__Object, TFPLUGIN6__SCHEMA__OBJECT__INIT);
    o->nesting = attr->type == TF_OBJECT        ? TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__SINGLE
                 : attr->type == TF_LIST_OBJECT ? TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__LIST
                                                : TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__MAP;
    o->attributes = attributes(c, attr->nested, &o->n_attributes);
    return o;
}

static Tfplugin6__Schema__Attribute *attribute(struct tf_call *c, const struct tf_attr *attr) {
    Tfplugin6__Schema__Attribute *m = TF_REPLY(c, Tfplugin6__Schema__Attribute, TFPLUGIN6__SCHEMA__ATTRIBUTE__INIT);
    m->name = (char *) attr->name;
    if (tf_is_object(attr)) {
        m->nested_type = nested(c, attr);
    } else {
        char *type = cty_type_text(c->arena, tf_attr_type(c->arena, attr));
        m->type = (ProtobufCBinaryData){strlen(type), (uint8_t *) type};
    }
    if (attr->description) m->description = (char *) attr->description;
    m->description_kind = TFPLUGIN6__STRING_KIND__MARKDOWN;
    m->required = attr->flags & TF_REQUIRED;
    m->optional = (attr->flags & TF_OPTIONAL) != 0;
    m->computed = (attr->flags & TF_COMPUTED) != 0;
    m->sensitive = (attr->flags & TF_SENSITIVE) != 0;
    m->write_only = (attr->flags & TF_WRITE_ONLY) != 0;
    m->deprecated = attr->deprecated != NULL;
    if (attr->deprecated) m->deprecation_message = (char *) attr->deprecated;
    return m;
}

static Tfplugin6__Schema__Attribute **attributes(struct tf_call *c, const struct tf_table *t, size_t *ret_n) {
    size_t n = 0;
    tf_each(attr, t) n++;
    Tfplugin6__Schema__Attribute **all = arena_array(c->arena, n, sizeof *all);
    n = 0;
    tf_each(attr, t) all[n++] = attribute(c, attr);
    *ret_n = n;
    return all;
}

static Tfplugin6__Schema *schema(struct tf_call *c, const struct tf_table *t, const char *description, long version) {
    Tfplugin6__Schema *m = TF_REPLY(c, Tfplugin6__Schema, TFPLUGIN6__SCHEMA__INIT);
    Tfplugin6__Schema__Block *block = m->block = TF_REPLY(c, Tfplugin6__Schema__Block, TFPLUGIN6__SCHEMA__BLOCK__INIT);
    m->version = block->version = version;
    block->attributes = attributes(c, t, &block->n_attributes);
    if (description) block->description = (char *) description;
    block->description_kind = TFPLUGIN6__STRING_KIND__MARKDOWN;
    return m;
}

ProtobufCMessage *tf_get_provider_schema(struct tf_call *c, const void *request) {
    typedef Tfplugin6__GetProviderSchema__Response__ResourceSchemasEntry resource_entry;
    typedef Tfplugin6__GetProviderSchema__Response__DataSourceSchemasEntry data_entry;
    (void) request;
    const struct tf_provider *p = c->server->provider;
    Tfplugin6__GetProviderSchema__Response *m =
        TF_REPLY(c, Tfplugin6__GetProviderSchema__Response, TFPLUGIN6__GET_PROVIDER_SCHEMA__RESPONSE__INIT);
    m->provider = schema(c, &p->table, p->description, 0);
    size_t n = 0;
    while (p->resources && p->resources[n]) n++;
    m->resource_schemas = arena_array(c->arena, n, sizeof *m->resource_schemas);
    for (m->n_resource_schemas = 0; m->n_resource_schemas < n; m->n_resource_schemas++) {
        const struct tf_resource *r = p->resources[m->n_resource_schemas];
        resource_entry *e = m->resource_schemas[m->n_resource_schemas] =
            TF_REPLY(c, resource_entry, TFPLUGIN6__GET_PROVIDER_SCHEMA__RESPONSE__RESOURCE_SCHEMAS_ENTRY__INIT);
        e->key = (char *) r->name;
        e->value = schema(c, &r->table, r->description, r->version);
    }
    for (n = 0; p->data_sources && p->data_sources[n];) n++;
    m->data_source_schemas = arena_array(c->arena, n, sizeof *m->data_source_schemas);
    for (m->n_data_source_schemas = 0; m->n_data_source_schemas < n; m->n_data_source_schemas++) {
        const struct tf_data_source *d = p->data_sources[m->n_data_source_schemas];
        data_entry *e = m->data_source_schemas[m->n_data_source_schemas] =
            TF_REPLY(c, data_entry, TFPLUGIN6__GET_PROVIDER_SCHEMA__RESPONSE__DATA_SOURCE_SCHEMAS_ENTRY__INIT);
        e->key = (char *) d->name;
        e->value = schema(c, &d->table, d->description, 0);
    }
    m->server_capabilities = TF_REPLY(c, Tfplugin6__ServerCapabilities, TFPLUGIN6__SERVER_CAPABILITIES__INIT);
    m->server_capabilities->plan_destroy = true;
    m->server_capabilities->get_provider_schema_optional = true;
    m->server_capabilities->move_resource_state = true;
    return &m->base;
}
