/* Schema, upgrade, read, import, move and data sources. */
#include "harness.h"

#include <stdlib.h>
#include <unistd.h>

static Tfplugin6__GetProviderSchema__Response *schema(struct harness *h) {
    Tfplugin6__GetProviderSchema__Request q = TFPLUGIN6__GET_PROVIDER_SCHEMA__REQUEST__INIT;
    return CALL(h, GetProviderSchema, get_provider_schema, &q);
}

/* What core refuses or crashes on. */
static void attributes_are_sound(Tfplugin6__Schema__Attribute **v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const Tfplugin6__Schema__Attribute *a = v[i];
        assert_true(a->required || a->optional || a->computed);
        assert_false(a->required && (a->optional || a->computed));
        assert_false(a->write_only && a->computed);
        assert_int_equal(a->description_kind, TFPLUGIN6__STRING_KIND__MARKDOWN);
        assert_true(strlen(a->description) > 0);
        assert_true((a->type.len > 0) != (a->nested_type != NULL));
        if (!a->nested_type) {
            AUTO_ARENA struct arena *arena = arena_new();
            const struct cty_type *t = NULL;
            assert_int_equal(cty_type_parse(arena, (const char *) a->type.data, a->type.len, &t, NULL), 0);
        } else {
            assert_int_not_equal(a->nested_type->nesting, 0);
            attributes_are_sound(a->nested_type->attributes, a->nested_type->n_attributes);
        }
    }
}

static const Tfplugin6__Schema__Attribute *attribute(const Tfplugin6__Schema *s, const char *name) {
    for (size_t i = 0; i < s->block->n_attributes; i++)
        if (str_eq(s->block->attributes[i]->name, name)) return s->block->attributes[i];
    fail_msg("no attribute %s", name);
    return NULL;
}

static void test_schema(void **state) {
    (void) state;
    HARNESS(h);
    Tfplugin6__GetProviderSchema__Response *m = schema(&h);
    assert_string_equal(DIAGS(&h, m), "");
    assert_non_null(m->provider->block);
    assert_int_equal(m->provider->block->n_attributes, 2);
    assert_int_equal(m->n_resource_schemas, 2);
    assert_int_equal(m->n_data_source_schemas, 1);
    assert_true(m->server_capabilities->plan_destroy);
    assert_true(m->server_capabilities->get_provider_schema_optional);
    assert_true(m->server_capabilities->move_resource_state);
    for (size_t i = 0; i < m->n_resource_schemas; i++)
        attributes_are_sound(m->resource_schemas[i]->value->block->attributes, m->resource_schemas[i]->value->block->n_attributes);
    const Tfplugin6__Schema *t = m->resource_schemas[0]->value;
    assert_string_equal(m->resource_schemas[0]->key, "probe_thing");
    assert_int_equal(t->version, 1);
    assert_true(attribute(t, "token")->write_only);
    assert_true(attribute(t, "left")->deprecated);
    assert_string_equal(attribute(t, "left")->deprecation_message, "Use right.");
    assert_true(attribute(t, "amount")->optional && attribute(t, "amount")->computed);
    assert_memory_equal(attribute(t, "many")->type.data, "[\"set\",\"string\"]", 16);
    assert_int_equal(attribute(t, "secrets")->nested_type->nesting, TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__MAP);
    assert_int_equal(attribute(t, "items")->nested_type->nesting, TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__LIST);
    assert_int_equal(attribute(t, "one")->nested_type->nesting, TFPLUGIN6__SCHEMA__OBJECT__NESTING_MODE__SINGLE);
}

static void test_unknown_method(void **state) {
    (void) state;
    HARNESS(h);
    static const char *const names[] = {"/tfplugin6.Provider/GetResourceIdentitySchemas", "/tfplugin6.Provider/CallFunction", "",
                                        "/x"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_ERR struct err err = {0};
        const void *out = NULL;
        size_t len = 0;
        assert_int_equal(tf_dispatch(h.server, &h.ctx, names[i], "", 0, &out, &len, &err), RPC_UNIMPLEMENTED);
    }
    static const char *const known[] = {"GetProviderSchema",   "ValidateProviderConfig", "ConfigureProvider",
                                        "StopProvider",        "ValidateResourceConfig", "UpgradeResourceState",
                                        "ReadResource",        "PlanResourceChange",     "ApplyResourceChange",
                                        "ImportResourceState", "MoveResourceState",      "ValidateDataResourceConfig",
                                        "ReadDataSource"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        AUTO_ERR struct err err = {0};
        const void *out = NULL;
        size_t len = 0;
        const char *name = arena_printf(h.arena, "/tfplugin6.Provider/%s", known[i]);
        assert_int_equal(tf_dispatch(h.server, &h.ctx, name, "\xff\xff", 2, &out, &len, &err), RPC_INVALID_ARGUMENT);
        assert_int_equal(tf_dispatch(h.server, &h.ctx, name, "", 0, &out, &len, &err), RPC_OK); /* all fields absent */
    }
}

static Tfplugin6__UpgradeResourceState__Response *upgrade(struct harness *h, long version, const char *json) {
    Tfplugin6__RawState raw = TFPLUGIN6__RAW_STATE__INIT;
    Tfplugin6__UpgradeResourceState__Request q = TFPLUGIN6__UPGRADE_RESOURCE_STATE__REQUEST__INIT;
    raw.json = bytes_of(json);
    q.type_name = (char *) "probe_thing";
    q.version = version;
    q.raw_state = &raw;
    return CALL(h, UpgradeResourceState, upgrade_resource_state, &q);
}

static void test_upgrade(void **state) {
    (void) state;
    HARNESS(h);
    Tfplugin6__UpgradeResourceState__Response *m = upgrade(
        &h, 0, "{\"name\":\"x\",\"gone\":[{\"a\":1}],\"many\":[\"b\",\"a\"],\"amount\":12,\"one\":{\"a\":\"1\",\"old\":true}}");
    assert_string_equal(DIAGS(&h, m), "");
    assert_string_equal(shown(&h, thing(&h), m->upgraded_state),
                        "{\"amount\":12,\"many\":[\"a\",\"b\"],\"name\":\"x\",\"one\":{\"a\":\"1\"}}");
    m = upgrade(&h, 1, "{\"name\":[]}");
    assert_string_equal(DIAGS(&h, m), "E : The stored state can't be read");
    assert_null(m->upgraded_state);
    assert_string_equal(DIAGS(&h, upgrade(&h, 2, "{}")), "E : The stored state is of a newer provider");
    assert_string_equal(DIAGS(&h, upgrade(&h, 1, "")), "E : The stored state can't be read"); /* flatmap */
    assert_string_equal(DIAGS(&h, upgrade(&h, 1, "{\"name\":")), "E : The stored state can't be read");
}

static Tfplugin6__ReadResource__Response *read_thing(struct harness *h, const char *state, const char *world,
                                                     const char **ret_file) {
    static char file[] = "/tmp/gpudev-test-XXXXXX";
    memcpy(file, "/tmp/gpudev-test-XXXXXX", sizeof file);
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, world, strlen(world)), (ssize_t) strlen(world));
    close(fd);
    Tfplugin6__ReadResource__Request q = TFPLUGIN6__READ_RESOURCE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.current_state = dyn_of(h, thing(h), arena_printf(h->arena, "{\"text\":\"%s\",%s", file, state + 1));
    q.private_ = bytes_of("{\"stored\":1}");
    Tfplugin6__ReadResource__Response *m = CALL(h, ReadResource, read_resource, &q);
    unlink(file);
    *ret_file = file;
    assert_string_equal(text_of(h, m->private_), "{\"stored\":1}");
    return m;
}

static void test_read(void **state) {
    (void) state;
    static const struct {
        const char *world, *state, *diags;
    } cases[] = {
        {"", "{\"labels\":{\"a\":\"b\"},\"name\":\"x\",\"rev\":\"r1\",\"text\":\"%\"}", ""},
        {"gone", "null", ""},
        {"drift", "{\"name\":\"x\",\"rev\":\"r1\",\"text\":\"%\"}", ""},
        {"warn", "{\"labels\":{\"a\":\"b\"},\"name\":\"x\",\"rev\":\"r1\",\"text\":\"%\"}", "W text: It could not be looked at"},
        {"broken", "{\"labels\":{\"a\":\"b\"},\"name\":\"x\",\"rev\":\"r1\",\"text\":\"%\"}", "E : It can't be read"},
        {"unknown", "{\"labels\":{\"a\":\"b\"},\"name\":\"x\",\"text\":\"%\"}", "E rev: A value is still unknown"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        HARNESS(h);
        const char *file = NULL;
        configure(&h);
        Tfplugin6__ReadResource__Response *m =
            read_thing(&h, "{\"labels\":{\"a\":\"b\"},\"name\":\"x\",\"rev\":\"r1\"}", cases[i].world, &file);
        AUTO_BUF struct buf want = {0};
        for (const char *p = cases[i].state; *p; p++) *p == '%' ? buf_adds(&want, file) : buf_addc(&want, *p);
        assert_string_equal(DIAGS(&h, m), cases[i].diags);
        assert_string_equal(shown(&h, thing(&h), m->new_state), want.data);
    }
}

static void test_import(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    Tfplugin6__ImportResourceState__Request q = TFPLUGIN6__IMPORT_RESOURCE_STATE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.id = (char *) "id-y";
    Tfplugin6__ImportResourceState__Response *m = CALL(&h, ImportResourceState, import_resource_state, &q);
    assert_string_equal(DIAGS(&h, m), "");
    assert_int_equal(m->n_imported_resources, 1);
    assert_string_equal(m->imported_resources[0]->type_name, "probe_thing");
    assert_string_equal(shown(&h, thing(&h), m->imported_resources[0]->state), "{\"id\":\"id-y\"}");
    assert_string_equal(text_of(&h, m->imported_resources[0]->private_), "{\"imported\":true}");
    q.id = (char *) "\xff\x1b[1m";
    m = CALL(&h, ImportResourceState, import_resource_state, &q);
    assert_string_equal(DIAGS(&h, m), "E : No such thing");
    assert_int_equal(m->n_imported_resources, 0);
    q.type_name = (char *) "probe_other";
    assert_string_equal(DIAGS(&h, CALL(&h, ImportResourceState, import_resource_state, &q)), "E : This resource can't be imported");
}

static void test_move(void **state) {
    (void) state;
    HARNESS(h); /* unconfigured, as Terraform does it */
    Tfplugin6__RawState raw = TFPLUGIN6__RAW_STATE__INIT;
    Tfplugin6__MoveResourceState__Request q = TFPLUGIN6__MOVE_RESOURCE_STATE__REQUEST__INIT;
    raw.json = bytes_of("{\"id\":\"1\"}");
    q.source_provider_address = (char *) "terraform.io/builtin/terraform";
    q.source_type_name = (char *) "terraform_data";
    q.source_state = &raw;
    q.source_private = bytes_of("{\"theirs\":1}");
    q.target_type_name = (char *) "probe_thing";
    Tfplugin6__MoveResourceState__Response *m = CALL(&h, MoveResourceState, move_resource_state, &q);
    assert_string_equal(DIAGS(&h, m), "");
    assert_string_equal(shown(&h, thing(&h), m->target_state),
                        "{\"id\":\"id-moved\",\"name\":\"moved\",\"text\":\"{\\\"id\\\":\\\"1\\\"}\"}");
    assert_int_equal(m->target_private.len, 0);
    q.source_type_name = (char *) "null_resource";
    m = CALL(&h, MoveResourceState, move_resource_state, &q);
    assert_string_equal(DIAGS(&h, m), "E : This can't become a thing");
    assert_null(m->target_state);
    q.target_type_name = (char *) "probe_other";
    assert_string_equal(DIAGS(&h, CALL(&h, MoveResourceState, move_resource_state, &q)), "E : The resource can't be moved");
}

static void test_data_source(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    const struct tf_shape *shape = &h.server->data_sources[0];
    Tfplugin6__ReadDataSource__Request q = TFPLUGIN6__READ_DATA_SOURCE__REQUEST__INIT;
    q.type_name = (char *) "probe_data";
    q.config = dyn_of(&h, shape, "{\"name\":\"n\"}");
    Tfplugin6__ReadDataSource__Response *m = CALL(&h, ReadDataSource, read_data_source, &q);
    assert_string_equal(DIAGS(&h, m), "");
    assert_string_equal(shown(&h, shape, m->state), "{\"name\":\"n\",\"size\":5,\"value\":\"n by here\"}");
    q.config = dyn_of(&h, shape, "{\"name\":\"none\"}");
    m = CALL(&h, ReadDataSource, read_data_source, &q);
    assert_string_equal(DIAGS(&h, m), "E name: There is no such data");
    assert_null(m->state);
    q.config = dyn_of(&h, shape, "{\"name\":\"unknown\"}");
    assert_string_equal(DIAGS(&h, CALL(&h, ReadDataSource, read_data_source, &q)), "E value: A value is still unknown");
}

/* A large attribute both ways. */
static void test_twenty_megabytes(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    size_t n = 20 << 20;
    char *big = arena_alloc(h.arena, n + 1);
    memset(big, 'x', n);
    struct cty_value v = parse_val(h.arena, thing(&h)->type, "{\"name\":\"x\",\"rev\":\"r\"}");
    ptrdiff_t text = cty_type_find(v.type, "text", 4);
    v.seq.v[text] = (struct cty_value){.type = &cty_string, .state = CTY_KNOWN, .str = {big, n}};
    Tfplugin6__ReadResource__Request q = TFPLUGIN6__READ_RESOURCE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.current_state = dyn(&h, &v);
    Tfplugin6__ReadResource__Response *m = CALL(&h, ReadResource, read_resource, &q);
    assert_string_equal(DIAGS(&h, m), "");
    assert_int_equal(m->new_state->msgpack.len, q.current_state->msgpack.len);
    assert_memory_equal(m->new_state->msgpack.data, q.current_state->msgpack.data, m->new_state->msgpack.len);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),      cmocka_unit_test(test_unknown_method),   cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_read),        cmocka_unit_test(test_import),           cmocka_unit_test(test_move),
        cmocka_unit_test(test_data_source), cmocka_unit_test(test_twenty_megabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
