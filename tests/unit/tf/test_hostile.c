/* No request, however broken, does more than get a status or diagnostics. Worth most under ASan. */
#include "harness.h"

struct request {
    const char *method;
    const ProtobufCMessage *message;
};

/* An exact copy, so that a read past the end is seen, in an arena of its own. */
static void send_bytes(struct harness *h, const char *method, const void *bytes, size_t len) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    char *copy = mem_array(len ? len : 1, 1);
    const void *out = NULL;
    size_t out_len = 0;
    struct ctx ctx = {.arena = a};
    if (len) memcpy(copy, bytes, len);
    int status = tf_dispatch(h->server, &ctx, method, copy, len, &out, &out_len, &err);
    assert_true(status == RPC_OK || status == RPC_INVALID_ARGUMENT);
    mem_free(copy);
}

static void damage(struct harness *h, const struct request *r, int rounds) {
    size_t len = protobuf_c_message_get_packed_size(r->message);
    uint8_t *bytes = arena_alloc(h->arena, len);
    protobuf_c_message_pack(r->message, bytes);
    const char *method = arena_printf(h->arena, "/tfplugin6.Provider/%s", r->method);
    for (size_t cut = 0; cut <= len; cut++) send_bytes(h, method, bytes, cut);
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < rounds; i++) {
        uint8_t *bad = arena_dup(h->arena, bytes, len);
        for (int k = 0; k < 3; k++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            bad[seed % len] = (uint8_t) (seed >> 32);
        }
        send_bytes(h, method, bad, len);
    }
}

#define STATE                                                                                                                      \
    "{\"name\":\"x\",\"text\":\"??\",\"flag\":true,\"amount\":12,\"tags\":[\"a\",\"??\"],\"many\":[\"b\"],\"labels\":{\"k\":"      \
    "\"v\"},"                                                                                                                      \
    "\"one\":{\"a\":\"1\",\"b\":2,\"secret\":\"s\"},\"items\":[{\"name\":\"i\"},\"??\"],\"secrets\":{\"k\":{\"env\":\"E\"}},"      \
    "\"id\":\"??\"}"

static void test_damaged_requests(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    Tfplugin6__RawState raw = TFPLUGIN6__RAW_STATE__INIT;
    Tfplugin6__DynamicValue *value = dyn_of(&h, thing(&h), STATE), *config = dyn_of(&h, thing(&h), STATE);
    char *type = (char *) "probe_thing";
    raw.json = bytes_of("{\"name\":\"x\",\"many\":[\"b\",\"\\u00e9\"],\"amount\":12.50,\"one\":{\"a\":null},\"gone\":[{}]}");

    Tfplugin6__ValidateResourceConfig__Request validate = TFPLUGIN6__VALIDATE_RESOURCE_CONFIG__REQUEST__INIT;
    validate.type_name = type;
    validate.config = config;
    Tfplugin6__UpgradeResourceState__Request upgrade = TFPLUGIN6__UPGRADE_RESOURCE_STATE__REQUEST__INIT;
    upgrade.type_name = type;
    upgrade.raw_state = &raw;
    Tfplugin6__ReadResource__Request read = TFPLUGIN6__READ_RESOURCE__REQUEST__INIT;
    read.type_name = type;
    read.current_state = value;
    read.private_ = bytes_of("{}");
    Tfplugin6__PlanResourceChange__Request plan = TFPLUGIN6__PLAN_RESOURCE_CHANGE__REQUEST__INIT;
    plan.type_name = type;
    plan.prior_state = value;
    plan.proposed_new_state = plan.config = config;
    plan.prior_private = bytes_of("{}");
    Tfplugin6__ApplyResourceChange__Request apply = TFPLUGIN6__APPLY_RESOURCE_CHANGE__REQUEST__INIT;
    apply.type_name = type;
    apply.prior_state = apply.planned_state = value;
    apply.config = config;
    Tfplugin6__ImportResourceState__Request import = TFPLUGIN6__IMPORT_RESOURCE_STATE__REQUEST__INIT;
    import.type_name = type;
    import.id = (char *) "id-x";
    Tfplugin6__MoveResourceState__Request move = TFPLUGIN6__MOVE_RESOURCE_STATE__REQUEST__INIT;
    move.source_provider_address = (char *) "terraform.io/builtin/terraform";
    move.source_type_name = (char *) "terraform_data";
    move.target_type_name = type;
    move.source_state = &raw;
    Tfplugin6__ConfigureProvider__Request configure_it = TFPLUGIN6__CONFIGURE_PROVIDER__REQUEST__INIT;
    configure_it.config = dyn_of(&h, &h.server->shape, "{\"region\":\"r\",\"cluster\":{\"env\":\"??\"}}");
    Tfplugin6__ReadDataSource__Request data = TFPLUGIN6__READ_DATA_SOURCE__REQUEST__INIT;
    data.type_name = (char *) "probe_data";
    data.config = dyn_of(&h, &h.server->data_sources[0], "{\"name\":\"n\"}");

    const struct request all[] = {
        {"ValidateResourceConfig", &validate.base},
        {"UpgradeResourceState", &upgrade.base},
        {"ReadResource", &read.base},
        {"PlanResourceChange", &plan.base},
        {"ApplyResourceChange", &apply.base},
        {"ImportResourceState", &import.base},
        {"MoveResourceState", &move.base},
        {"ConfigureProvider", &configure_it.base},
        {"ReadDataSource", &data.base},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) damage(&h, &all[i], 500);
}

/* The value itself damaged inside a sound message: each is a diagnostic, and an apply leaves the state alone. */
static void test_damaged_values(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    Tfplugin6__DynamicValue *good = dyn_of(&h, thing(&h), STATE);
    for (size_t cut = 1; cut < good->msgpack.len; cut++) {
        Tfplugin6__DynamicValue bad = *good;
        bad.msgpack.len = cut;
        Tfplugin6__ApplyResourceChange__Request q = TFPLUGIN6__APPLY_RESOURCE_CHANGE__REQUEST__INIT;
        q.type_name = (char *) "probe_thing";
        q.prior_state = good;
        q.planned_state = &bad;
        q.config = good;
        q.planned_private = bytes_of("{\"p\":1}");
        Tfplugin6__ApplyResourceChange__Response *m = CALL(&h, ApplyResourceChange, apply_resource_change, &q);
        assert_string_equal(DIAGS(&h, m), "E : The planned state can't be read");
        assert_null(m->new_state);
        assert_string_equal(text_of(&h, m->private_), "{\"p\":1}");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_damaged_requests), cmocka_unit_test(test_damaged_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
