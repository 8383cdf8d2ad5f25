#include "harness.h"

static void test_paths(void **state) {
    (void) state;
    static const struct {
        const char *path, *shown;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"tags", "tags"},
        {"tags[0]", "tags #0"},
        {"tags[12]", "tags #12"},
        {"images[\"api\"]", "images \"api\""},
        {"images[\"a\\\"b\\\\c]\"]", "images \"a\"b\\c]\""},
        {"images[\"api\"].x", "images \"api\""},
        {"one.a", "one"},
        {"one.a[0]", "one"},
        {"tags[", "tags"},
        {"tags[x]", "tags"},
        {"tags[-1]", "tags"},
        {"tags[1", "tags"},
        {"images[\"api", "images"},
        {"images[\"api\"", "images"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ARENA struct arena *a = arena_new();
        struct tf_diags d = {.arena = a};
        tf_warning(&d, cases[i].path, "S", "D");
        AUTO_BUF struct buf b = {0};
        for (size_t k = 0; k < d.v[0].n_path; k++) {
            const struct tf_step *s = &d.v[0].path[k];
            if (s->kind == TF_STEP_ATTR) buf_adds(&b, s->name);
            if (s->kind == TF_STEP_KEY) buf_addf(&b, " \"%s\"", s->name);
            if (s->kind == TF_STEP_INDEX) buf_addf(&b, " #%ld", s->index);
        }
        assert_string_equal(buf_str(&b), cases[i].shown);
        assert_false(tf_failed(&d));
    }
}

static void test_from_err(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    struct tf_diags d = {.arena = a};
    err_set(&err, ERR_FAILED, "the step failed");
    tf_error_from(&d, "dockerfile", "The build failed", &err);
    assert_string_equal(d.v[0].detail, "the step failed.");
    assert_true(tf_failed(&d));
    err_at(&err, "Dockerfile", 3);
    err_hint(&err, "Mend it.");
    err_detail(&err, "\x1b[31mline 1\xff\r\n\tline 2\n");
    err.http_status = 403;
    err.request_id = mem_strdup("abc");
    tf_warning_from(&d, NULL, "W", &err);
    assert_string_equal(d.v[1].detail, "the step failed (Dockerfile:3).\n\nMend it.\n\n  line 1\xef\xbf\xbd\n  \tline 2\n\n"
                                       "HTTP status 403, request id abc");
    tf_error(&d, NULL, "cut \xe2\x82", "%s", "\x1b]0;x\x07ok");
    assert_string_equal(d.v[2].summary, "cut \xef\xbf\xbd\xef\xbf\xbd");
    assert_string_equal(d.v[2].detail, "ok");
}

static void test_map_put(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    struct tf_map m = {0};
    assert_null(tf_map_get(&m, "x"));
    for (int i = 99; i >= 0; i--) tf_map_put(a, &m, arena_printf(a, "k%02d", i * 37 % 100), tf_str("v"));
    assert_int_equal(m.n, 100);
    for (size_t i = 1; i < m.n; i++) assert_true(strcmp(m.v[i - 1].key, m.v[i].key) < 0);
    tf_map_put(a, &m, "k50", tf_str("w"));
    assert_int_equal(m.n, 100);
    assert_string_equal(tf_map_get(&m, "k50"), "w");
    /* An array that has no room of its own is copied, not overrun. */
    struct tf_map_entry three[3] = {{"a", {TF_KNOWN, "1"}}, {"b", {TF_NULL, NULL}}, {"c", {TF_UNKNOWN, NULL}}};
    struct tf_map other_map = {.state = TF_KNOWN, .n = 3, .v = three};
    tf_map_put(a, &other_map, "bb", tf_str("2"));
    assert_int_equal(other_map.n, 4);
    assert_string_equal(three[2].key, "c");
    assert_null(tf_map_get(&other_map, "b"));
    assert_true(tf_map_unknown(&other_map));
    assert_false(tf_map_equal(&other_map, &m));
    assert_true(tf_map_equal(&m, &m));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_from_err),
                                       cmocka_unit_test(test_map_put)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
