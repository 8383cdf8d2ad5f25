#include "harness.h"

/* As core makes it: the config, with prior's value where the config is null and the attribute computed. */
static struct cty_value propose(struct arena *a, const struct tf_table *t, const struct cty_value *prior,
                                const struct cty_value *config);

static struct cty_value propose_attr(struct arena *a, const struct tf_attr *attr, const struct cty_value *prior,
                                     const struct cty_value *config) {
    if (config->state == CTY_NULL && (attr->flags & TF_COMPUTED) && prior) return *prior;
    if (config->state != CTY_KNOWN || attr->type < TF_OBJECT) return *config;
    bool known = prior && prior->state == CTY_KNOWN;
    if (attr->type == TF_OBJECT) return propose(a, attr->nested, known ? prior : NULL, config);
    struct cty_value v = *config;
    if (attr->type == TF_MAP_OBJECT) {
        v.map.v = arena_array(a, v.map.n, sizeof *v.map.v);
        for (size_t i = 0; i < v.map.n; i++) {
            const struct cty_value *was = NULL;
            for (size_t k = 0; known && k < prior->map.n; k++)
                if (str_eq(prior->map.v[k].key.s, config->map.v[i].key.s)) was = &prior->map.v[k].value;
            v.map.v[i] = (struct cty_entry){config->map.v[i].key, propose(a, attr->nested, was, &config->map.v[i].value)};
        }
        return v;
    }
    v.seq.v = arena_array(a, v.seq.n, sizeof *v.seq.v);
    for (size_t i = 0; i < v.seq.n; i++)
        v.seq.v[i] = propose(a, attr->nested, known && i < prior->seq.n ? &prior->seq.v[i] : NULL, &config->seq.v[i]);
    return v;
}

static struct cty_value propose(struct arena *a, const struct tf_table *t, const struct cty_value *prior,
                                const struct cty_value *config) {
    struct cty_value v = *config;
    if (config->state != CTY_KNOWN) return v;
    v.seq.v = arena_array(a, v.seq.n, sizeof *v.seq.v);
    tf_each(attr, t) {
        ptrdiff_t i = cty_type_find(v.type, attr->name, strlen(attr->name));
        v.seq.v[i] = propose_attr(a, attr, prior && prior->state == CTY_KNOWN ? &prior->seq.v[i] : NULL, &config->seq.v[i]);
    }
    return v;
}

static Tfplugin6__PlanResourceChange__Response *plan(struct harness *h, const char *prior, const char *config,
                                                     const char *private) {
    struct cty_value p = parse_val(h->arena, thing(h)->type, prior), c = parse_val(h->arena, thing(h)->type, config);
    struct cty_value proposed = config ? propose(h->arena, thing(h)->table, &p, &c) : c;
    Tfplugin6__PlanResourceChange__Request q = TFPLUGIN6__PLAN_RESOURCE_CHANGE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.prior_state = dyn(h, &p);
    q.config = dyn(h, &c);
    q.proposed_new_state = dyn(h, &proposed);
    q.prior_private = bytes_of(private);
    return CALL(h, PlanResourceChange, plan_resource_change, &q);
}

static const char *replaced(struct harness *h, const Tfplugin6__PlanResourceChange__Response *m) {
    AUTO_BUF struct buf b = {0};
    for (size_t i = 0; i < m->n_requires_replace; i++) {
        assert_int_equal(m->requires_replace[i]->n_steps, 1);
        buf_addf(&b, "%s%s", i ? " " : "", m->requires_replace[i]->steps[0]->attribute_name);
    }
    return arena_dup(h->arena, buf_str(&b), b.len);
}

#define STORED "\"amount\":3,\"flag\":true,\"id\":\"id-x\",\"name\":\"x\""
#define REST "\"rev\":\"r1\",\"seen\":\"none\",\"tags\":[\"latest\"]"
#define OPEN "\"rev\":\"??\",\"seen\":\"??\",\"tags\":[\"latest\"]"

static const struct {
    const char *what, *prior, *config, *planned, *replaces;
} cases[] = {
    {"create: fallbacks, and all that is computed unknown", NULL, "{\"name\":\"x\"}",
     "{\"amount\":3,\"flag\":true,\"id\":\"??\",\"name\":\"x\"," OPEN "}", ""},
    {"create with unknowns", NULL, "{\"name\":\"??\",\"tags\":\"??\",\"labels\":{\"a\":\"??\"}}",
     "{\"amount\":3,\"flag\":true,\"id\":\"??\",\"labels\":{\"a\":\"??\"},\"name\":\"??\",\"rev\":\"??\",\"seen\":\"??\",\"tags\":"
     "\"??\"}",
     ""},
    {"create: nested fallbacks and computed attributes", NULL,
     "{\"name\":\"x\",\"one\":{\"a\":\"1\"},\"items\":[{\"name\":\"i\"}],\"flag\":false,\"amount\":0,\"tags\":[]}",
     "{\"amount\":0,\"flag\":false,\"id\":\"??\",\"items\":[{\"id\":\"??\",\"name\":\"i\"}],\"name\":\"x\","
     "\"one\":{\"a\":\"1\",\"b\":7,\"made\":\"??\"},\"rev\":\"??\",\"seen\":\"??\",\"tags\":[]}",
     ""},
    {"write-only values don't come back, nested ones neither", NULL,
     "{\"name\":\"x\",\"token\":\"t\",\"one\":{\"secret\":\"s\",\"b\":1},\"secrets\":{\"k\":{\"value\":\"v\"},\"e\":{\"env\":\"E\"}"
     "}}",
     "{\"amount\":3,\"flag\":true,\"id\":\"??\",\"name\":\"x\",\"one\":{\"b\":1,\"made\":\"??\"},"
     "\"rev\":\"??\","
     "\"secrets\":{\"e\":{\"env\":\"E\"},\"k\":{}},\"seen\":\"??\",\"tags\":[\"latest\"]}",
     ""},
    {"no change", "{" STORED "," REST "}", "{\"name\":\"x\"}", "{" STORED "," REST "}", ""},
    {"a write-only value is no change", "{" STORED "," REST "}", "{\"name\":\"x\",\"token\":\"new\"}", "{" STORED "," REST "}", ""},
    {"a set's order is no change", "{\"many\":[\"a\",\"b\"]," STORED "," REST "}", "{\"name\":\"x\",\"many\":[\"b\",\"a\"]}",
     "{\"amount\":3,\"flag\":true,\"id\":\"id-x\",\"many\":[\"a\",\"b\"],\"name\":\"x\"," REST "}", ""},
    {"update: stable stays, the rest opens", "{" STORED "," REST "}", "{\"name\":\"x\",\"text\":\"t\"}",
     "{" STORED ",\"rev\":\"??\",\"seen\":\"??\",\"tags\":[\"latest\"],\"text\":\"t\"}", ""},
    {"a fallback comes back when the config lets go",
     "{\"amount\":9,\"flag\":false,\"id\":\"id-x\",\"name\":\"x\",\"rev\":\"r1\",\"seen\":\"none\",\"tags\":[\"a\"]}",
     "{\"name\":\"x\"}", "{" STORED "," OPEN "}", ""},
    {"an unknown is a change", "{" STORED "," REST "}", "{\"name\":\"x\",\"tags\":[\"??\"]}",
     "{" STORED ",\"rev\":\"??\",\"seen\":\"??\",\"tags\":[\"??\"]}", ""},
    {"replace", "{" STORED "," REST "}", "{\"name\":\"y\"}", "{\"amount\":3,\"flag\":true,\"id\":\"id-x\",\"name\":\"y\"," OPEN "}",
     "name"},
    {"replace by an unknown", "{" STORED "," REST "}", "{\"name\":\"??\"}",
     "{\"amount\":3,\"flag\":true,\"id\":\"id-x\",\"name\":\"??\"," OPEN "}", "name"},
    {"a nested attribute replaces", "{\"one\":{\"a\":\"1\",\"b\":7,\"made\":\"m\"}," STORED "," REST "}",
     "{\"name\":\"x\",\"one\":{\"a\":\"2\"}}", "{" STORED ",\"one\":{\"a\":\"2\",\"b\":7,\"made\":\"??\"}," OPEN "}", "one"},
    {"a nested attribute that doesn't", "{\"one\":{\"a\":\"1\",\"b\":7,\"made\":\"m\"}," STORED "," REST "}",
     "{\"name\":\"x\",\"one\":{\"a\":\"1\",\"b\":8}}", "{" STORED ",\"one\":{\"a\":\"1\",\"b\":8,\"made\":\"??\"}," OPEN "}", ""},
    {"items keep what is stable", "{\"items\":[{\"id\":\"1\",\"name\":\"a\"}]," STORED "," REST "}",
     "{\"name\":\"x\",\"items\":[{\"name\":\"b\"},{\"name\":\"c\"}]}",
     "{\"amount\":3,\"flag\":true,\"id\":\"id-x\",\"items\":[{\"id\":\"1\",\"name\":\"b\"},{\"id\":\"??\",\"name\":\"c\"}],"
     "\"name\":\"x\"," OPEN "}",
     ""},
    {"drift makes a change", "{\"act\":\"drift\"," STORED "," REST "}", "{\"name\":\"x\",\"act\":\"drift\"}",
     "{\"act\":\"drift\"," STORED "," OPEN "}", ""},
    {"the resource asks for a replacement", "{" STORED "," REST "}", "{\"name\":\"x\",\"act\":\"replace\"}",
     "{\"act\":\"replace\"," STORED "," OPEN "}", "text"},
    {"destroy", "{" STORED "," REST "}", NULL, "null", ""},
};

static void test_plans(void **state) {
    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        HARNESS(h);
        configure(&h);
        Tfplugin6__PlanResourceChange__Response *m = plan(&h, cases[i].prior, cases[i].config, "{\"p\":1}");
        const char *got = shown(&h, thing(&h), m->planned_state);
        if (!str_eq(got, cases[i].planned)) print_message("# %s\n", cases[i].what);
        assert_string_equal(DIAGS(&h, m), "");
        assert_string_equal(got, cases[i].planned);
        assert_string_equal(replaced(&h, m), cases[i].replaces);
        assert_string_equal(text_of(&h, m->planned_private), "{\"p\":1}");
        assert_false(m->legacy_type_system);
    }
}

/* What the first plan knew must stand in the second, which apply asks for when more is known. */
static void test_plan_again(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    const char *first = shown(&h, thing(&h), plan(&h, NULL, "{\"name\":\"x\",\"tags\":[\"??\"]}", NULL)->planned_state);
    const char *second = shown(&h, thing(&h), plan(&h, NULL, "{\"name\":\"x\",\"tags\":[\"a\"]}", NULL)->planned_state);
    assert_string_equal(
        first, "{\"amount\":3,\"flag\":true,\"id\":\"??\",\"name\":\"x\",\"rev\":\"??\",\"seen\":\"??\",\"tags\":[\"??\"]}");
    assert_string_equal(
        second, "{\"amount\":3,\"flag\":true,\"id\":\"??\",\"name\":\"x\",\"rev\":\"??\",\"seen\":\"??\",\"tags\":[\"a\"]}");
}

static void test_plan_fails(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    Tfplugin6__PlanResourceChange__Response *m = plan(&h, NULL, "{\"name\":\"x\",\"act\":\"badplan\"}", "{\"p\":1}");
    assert_string_equal(DIAGS(&h, m), "E one: It can't be planned");
    assert_string_equal(text_of(&h, m->planned_private), "{\"p\":1}");
    m = plan(&h, "{\"name\":\"x\",\"act\":\"nodestroyplan\"}", NULL, "{\"p\":1}");
    assert_string_equal(DIAGS(&h, m), "E : It must not go");
    assert_string_equal(text_of(&h, m->planned_private), "{\"p\":1}");
}

/* Private bytes that are no text go through untouched. */
static void test_private_bytes(void **state) {
    (void) state;
    HARNESS(h);
    configure(&h);
    struct cty_value none = cty_null(thing(&h)->type), config = parse_val(h.arena, thing(&h)->type, "{\"name\":\"x\"}");
    Tfplugin6__PlanResourceChange__Request q = TFPLUGIN6__PLAN_RESOURCE_CHANGE__REQUEST__INIT;
    q.type_name = (char *) "probe_thing";
    q.prior_state = dyn(&h, &none);
    q.config = q.proposed_new_state = dyn(&h, &config);
    q.prior_private = (ProtobufCBinaryData){4, (uint8_t *) "a\0\xff"
                                                           "b"};
    Tfplugin6__PlanResourceChange__Response *m = CALL(&h, PlanResourceChange, plan_resource_change, &q);
    assert_int_equal(m->planned_private.len, 4);
    assert_memory_equal(m->planned_private.data,
                        "a\0\xff"
                        "b",
                        4);
}

/* What was unknown when the configuration was validated is looked at by the plan. */
static void test_late_values(void **state) {
    (void) state;
    static const struct {
        const char *config, *diags;
    } late[] = {
        {"{\"name\":\"x\",\"tags\":[\"a b\"]}", "E tags[0]: The value of tags can't be used"},
        {"{\"name\":\"x\",\"labels\":{\"a\":null}}", "E labels[a]: An element of labels is null"},
        {"{\"name\":\"x\",\"amount\":-1}", "E amount: The value of amount can't be used"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(late); i++) {
        HARNESS(h);
        configure(&h);
        Tfplugin6__PlanResourceChange__Response *m = plan(&h, NULL, late[i].config, NULL);
        assert_string_equal(DIAGS(&h, m), late[i].diags);
        assert_null(m->planned_state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans),         cmocka_unit_test(test_plan_again),  cmocka_unit_test(test_plan_fails),
        cmocka_unit_test(test_private_bytes), cmocka_unit_test(test_late_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
