#include "harness.h"

#define X "\"name\":\"x\","
static const struct {
    const char *config, *diags;
} cases[] = {
    {"{\"name\":\"x\"}", ""},
    {"{\"name\":\"??\",\"text\":\"??\",\"flag\":\"??\",\"amount\":\"??\",\"tags\":\"??\",\"many\":\"??\",\"labels\":\"??\",\"one\":"
     "\"??\","
     "\"items\":\"??\",\"secrets\":\"??\",\"left\":\"??\",\"right\":\"r\"}",
     ""},
    {"{" X "\"tags\":[\"??\"],\"items\":[\"??\",{\"name\":\"??\"}],\"secrets\":{\"a\":\"??\",\"b\":{\"env\":\"??\"}},\"one\":{"
     "\"b\":\"??\"}}",
     ""},
    {"{}", "E name: name is required"},
    {"{" X "\"amount\":-1}", "E amount: The value of amount can't be used"},
    {"{" X "\"amount\":1.5}", "E amount: A whole number is required"},
    {"{" X "\"amount\":\"9223372036854775808\"}", "E amount: A whole number is required"},
    {"{" X "\"tags\":[\"a\",\"b c\",\"??\"]}", "E tags[1]: The value of tags can't be used"},
    {"{" X "\"tags\":[\"a\",null]}", "E tags[1]: An element of tags is null"},
    {"{" X "\"many\":[\"a\",\"b c\"]}", "E many: The value of many can't be used"},
    {"{" X "\"many\":[null]}", "E many: An element of many is null"},
    {"{" X "\"labels\":{\"a\\\"b\":\"b c\"}}", "E labels[a\"b]: The value of labels can't be used"},
    {"{" X "\"labels\":{\"a\":null}}", "E labels[a]: An element of labels is null"},
    {"{" X "\"one\":{\"b\":-1}}", "E one: The value of b can't be used"},
    {"{" X "\"one\":{\"words\":[\"a\",\"b c\",null]}}",
     "E one: The value of words can't be used; E one: An element of words is null"},
    {"{" X "\"one\":{\"b\":0.5}}", "E one: A whole number is required"},
    {"{" X "\"items\":[{\"name\":\"i\"},{}]}", "E items[1]: name is required"},
    {"{" X "\"items\":[null]}", "E items[0]: An element of items is null"},
    {"{" X "\"secrets\":{\"k\":{}}}", "E secrets[k]: An argument is missing"},
    {"{" X "\"secrets\":{\"k\":{\"env\":\"E\",\"value\":\"v\"}}}",
     "E secrets[k]: env and value can't be set both; E secrets[k]: Only one of these arguments can be set"},
    {"{" X "\"left\":\"l\",\"right\":\"r\"}", "E left: left and right can't be set both"},
    {"{" X "\"text\":\"bad\"}", "E text: The text is bad"},
};

static const char *validate(struct harness *h, const char *type, Tfplugin6__DynamicValue *config, bool write_only) {
    Tfplugin6__ClientCapabilities caps = TFPLUGIN6__CLIENT_CAPABILITIES__INIT;
    Tfplugin6__ValidateResourceConfig__Request q = TFPLUGIN6__VALIDATE_RESOURCE_CONFIG__REQUEST__INIT;
    caps.write_only_attributes_allowed = write_only;
    q.type_name = (char *) type;
    q.config = config;
    q.client_capabilities = write_only ? &caps : NULL;
    return DIAGS(h, CALL(h, ValidateResourceConfig, validate_resource_config, &q));
}

static void test_rules(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        HARNESS(h);
        const char *got = validate(&h, "probe_thing", dyn_of(&h, thing(&h), cases[i].config), true);
        if (!str_eq(got, cases[i].diags)) print_message("# %s\n", cases[i].config);
        assert_string_equal(got, cases[i].diags);
        configure(&h); /* a configured process validates the same */
        assert_string_equal(validate(&h, "probe_thing", dyn_of(&h, thing(&h), cases[i].config), true), cases[i].diags);
    }
}

static void test_one_of(void **state) {
    (void) state;
    static const char *const rules[][2] = {
        {"{\"a\":\"1\"}", ""},
        {"{\"a\":\"??\",\"b\":\"??\"}", ""},
        {"{\"a\":\"??\"}", ""},
        {"{\"c\":\"1\"}", "E : An argument is missing"},
        {"{\"a\":\"1\",\"b\":\"2\"}", "E b: Only one of these arguments can be set"},
        {"{\"a\":\"1\",\"b\":\"??\"}", ""},
    };
    HARNESS(h);
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        assert_string_equal(validate(&h, "probe_other", dyn_of(&h, other(&h), rules[i][0]), true), rules[i][1]);
}

static void test_write_only_needs_the_caller(void **state) {
    (void) state;
    HARNESS(h);
    assert_string_equal(validate(&h, "probe_thing", dyn_of(&h, thing(&h), "{\"name\":\"x\",\"token\":\"t\"}"), false),
                        "E token: token is write-only");
    assert_string_equal(
        validate(&h, "probe_thing", dyn_of(&h, thing(&h), "{\"name\":\"x\",\"secrets\":{\"k\":{\"value\":\"t\"}}}"), false),
        "E secrets[k]: value is write-only");
    assert_string_equal(validate(&h, "probe_thing", dyn_of(&h, thing(&h), "{\"name\":\"x\"}"), false), "");
}

static void test_nul(void **state) {
    (void) state;
    HARNESS(h);
    struct cty_value v = parse_val(h.arena, thing(&h)->type, "{\"name\":\"x\",\"labels\":{\"k\":\"v\"},\"tags\":[\"t\"]}");
    ptrdiff_t name = cty_type_find(v.type, "name", 4), labels = cty_type_find(v.type, "labels", 6),
              tags = cty_type_find(v.type, "tags", 4);
    v.seq.v[name].str = (struct cty_text){"a\0b", 3};
    assert_string_equal(validate(&h, "probe_thing", dyn(&h, &v), true), "E name: A text holds a NUL character");
    v.seq.v[name].str = (struct cty_text){"ab", 2};
    v.seq.v[tags].seq.v[0].str = (struct cty_text){"\0", 1};
    assert_string_equal(validate(&h, "probe_thing", dyn(&h, &v), true), "E tags[0]: A text holds a NUL character");
    v.seq.v[tags].seq.v[0].str = (struct cty_text){"t", 1};
    v.seq.v[labels].map.v[0].key = (struct cty_text){"\0k", 2};
    assert_string_equal(validate(&h, "probe_thing", dyn(&h, &v), true), "E labels: A text holds a NUL character");
}

static void test_unknown_types(void **state) {
    (void) state;
    HARNESS(h);
    assert_string_equal(validate(&h, "probe_none", dyn_of(&h, thing(&h), "{}"), true),
                        "E : This provider doesn't know the resource type");
    Tfplugin6__ValidateDataResourceConfig__Request q = TFPLUGIN6__VALIDATE_DATA_RESOURCE_CONFIG__REQUEST__INIT;
    assert_string_equal(DIAGS(&h, CALL(&h, ValidateDataResourceConfig, validate_data_resource_config, &q)),
                        "E : This provider doesn't know the data source");
}

static void test_provider_block(void **state) {
    (void) state;
    HARNESS(h);
    Tfplugin6__ValidateProviderConfig__Request q = TFPLUGIN6__VALIDATE_PROVIDER_CONFIG__REQUEST__INIT;
    q.config = dyn_of(&h, &h.server->shape, "{\"region\":\"a b\",\"cluster\":{}}");
    assert_string_equal(DIAGS(&h, CALL(&h, ValidateProviderConfig, validate_provider_config, &q)),
                        "E region: The value of region can't be used; E cluster: An argument is missing");
    q.config = dyn_of(&h, &h.server->shape, "{\"region\":\"??\",\"cluster\":\"??\"}");
    assert_string_equal(DIAGS(&h, CALL(&h, ValidateProviderConfig, validate_provider_config, &q)), "");
    Tfplugin6__ConfigureProvider__Request c = TFPLUGIN6__CONFIGURE_PROVIDER__REQUEST__INIT;
    c.config = dyn_of(&h, &h.server->shape, "{\"region\":\"nowhere\"}");
    assert_string_equal(DIAGS(&h, CALL(&h, ConfigureProvider, configure_provider, &c)), "E region: There is no such region");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules), cmocka_unit_test(test_one_of),        cmocka_unit_test(test_write_only_needs_the_caller),
        cmocka_unit_test(test_nul),   cmocka_unit_test(test_unknown_types), cmocka_unit_test(test_provider_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
