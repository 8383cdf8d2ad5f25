/* The provider's own tables: what a compiler can't see in them, and what core would refuse. */
#include "harness.h"
#include "provider/provider.h"

static size_t size_of(enum tf_type t) {
    switch (t) {
        case TF_STRING: return sizeof(struct tf_string);
        case TF_BOOL: return sizeof(struct tf_bool);
        case TF_INT: return sizeof(struct tf_int);
        case TF_LIST_STRING:
        case TF_SET_STRING: return sizeof(struct tf_strings);
        case TF_MAP_STRING: return sizeof(struct tf_map);
        case TF_OBJECT: return sizeof(struct tf_object);
        case TF_LIST_OBJECT:
        case TF_MAP_OBJECT: return sizeof(struct tf_objects);
    }
    return 0;
}

static bool has_attr(const struct tf_table *t, const char *name, size_t len) {
    tf_each(attr, t) if (strlen(attr->name) == len && memcmp(attr->name, name, len) == 0) return true;
    return false;
}

static void names_exist(const struct tf_table *t, const char *where, const char *names) {
    while (names && *names) {
        size_t n = strcspn(names, " ");
        if (!has_attr(t, names, n)) fail_msg("%s names %.*s, which the table hasn't", where, (int) n, names);
        names += n + strspn(names + n, " ");
    }
}

static void check_attr(const struct tf_attr *attr, const char *at, bool provider) {
    AUTO_ARENA struct arena *a = arena_new();
    bool required = attr->flags & TF_REQUIRED, optional = attr->flags & TF_OPTIONAL, computed = attr->flags & TF_COMPUTED;
    if (required == (optional || computed)) fail_msg("%s: required, or optional and computed, or one of these", at);
    if (attr->name[strspn(attr->name, "abcdefghijklmnopqrstuvwxyz0123456789_")]) fail_msg("%s: not a name", at);
    if (str_empty(attr->description)) fail_msg("%s: no description", at);
    if ((attr->nested != NULL) != tf_is_object(attr)) fail_msg("%s: nested goes with object types", at);
    if ((attr->flags & TF_WRITE_ONLY) && (computed || provider)) fail_msg("%s: can't be write-only", at);
    if ((attr->flags & TF_STABLE) && !computed) fail_msg("%s: stable, but not computed", at);
    if (!attr->fallback) return;
    if (!provider && !(optional && computed)) fail_msg("%s: a fallback needs optional and computed", at);
    struct cty_value v;
    if (attr->type != TF_STRING && cty_json_decode(a, tf_attr_type(a, attr), attr->fallback, strlen(attr->fallback), &v, NULL) < 0)
        fail_msg("%s: the fallback %s is not of its type", at, attr->fallback);
    const char *wrong = attr->check && attr->type <= TF_INT ? attr->check(a, attr->fallback) : NULL;
    if (wrong) fail_msg("%s: its own fallback is refused: %s", at, wrong);
}

static void check_table(const struct tf_table *t, const char *where, bool provider) {
    AUTO_ARENA struct arena *a = arena_new();
    unsigned char *taken = arena_array(a, t->size, 1);
    tf_each(attr, t) {
        const char *at = arena_printf(a, "%s.%s", where, attr->name);
        check_attr(attr, at, provider);
        names_exist(t, at, attr->conflicts);
        size_t n = size_of(attr->type);
        if (attr->offset + n > t->size) fail_msg("%s: lies outside of its struct", at);
        for (size_t i = 0; i < n; i++)
            if (taken[attr->offset + i]++) fail_msg("%s: lies on another attribute", at);
        for (const struct tf_attr *other_attr = t->attrs; other_attr < attr; other_attr++)
            if (str_eq(other_attr->name, attr->name)) fail_msg("%s: is there twice", at);
        if (attr->nested) check_table(attr->nested, at, provider);
    }
    names_exist(t, where, t->one_of);
}

static void test_tables(void **state) {
    (void) state;
    const struct tf_provider *all[] = {&provider_gpudev, &fake_provider};
    for (size_t p = 0; p < ARRAY_SIZE(all); p++) {
        check_table(&all[p]->table, "provider", true);
        for (size_t i = 0; all[p]->resources && all[p]->resources[i]; i++)
            check_table(&all[p]->resources[i]->table, all[p]->resources[i]->name, false);
        for (size_t i = 0; all[p]->data_sources && all[p]->data_sources[i]; i++)
            check_table(&all[p]->data_sources[i]->table, all[p]->data_sources[i]->name, false);
    }
}

/* Every method that is served is one that dispatch knows, and the reverse is seen by the tests of each. */
static void test_methods(void **state) {
    (void) state;
    HARNESS(h);
    size_t n = 0;
    for (const struct rpc_method *m = tf_server_methods(); m->name; m++, n++) {
        AUTO_ERR struct err err = {0};
        const void *out = NULL;
        size_t len = 0;
        assert_true(m->unary);
        assert_int_equal(m->urgent, str_ends(m->name, "/StopProvider"));
        assert_int_equal(tf_dispatch(h.server, &h.ctx, m->name, "", 0, &out, &len, &err), RPC_OK);
    }
    assert_int_equal(n, 13);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_methods)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
