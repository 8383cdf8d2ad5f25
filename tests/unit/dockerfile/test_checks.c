#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/checks.h"
#include "dockerfile/image.h"
#include "dockerfile/mount.h"
#include "dockerfile/remote.h"

struct verdict {
    const char *text;
    bool ok;
};

static void check(bool (*fn)(const char *), const struct verdict *cases, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (fn(cases[i].text) != cases[i].ok) fail_msg("\"%s\"", cases[i].text);
}

static void test_values(void **state) {
    (void) state;
    static const struct verdict signals[] = {{"TERM", true},     {"sigkill", true},  {"9", true},         {"0", false},
                                             {"-1", true},       {"RTMIN+15", true}, {"RTMIN+16", false}, {"RTMAX-14", true},
                                             {"SIGRTMAX", true}, {"", false},        {"X", false}};
    static const struct verdict ports[] = {{"80", true},
                                           {"80/udp", true},
                                           {"80-90/TCP", true},
                                           {"90-80", false},
                                           {"80/", true},
                                           {"80/x", false},
                                           {"", false},
                                           {"/tcp", false},
                                           {"65536", false},
                                           {"8080:80", true},
                                           {"127.0.0.1:8080:80", true},
                                           {"[::1]:8080:80", true},
                                           {"::1:8080:80", true},
                                           {"host:1:2", false},
                                           {"8000-8001:80-82", false},
                                           {"8000-8001:80", true},
                                           {"+80", true},
                                           {"a", false}};
    static const struct verdict modes[] = {{"644", true}, {"07777", true},     {"10000", false}, {"8", false},
                                           {"u+x", true}, {"a=rX,go-w", true}, {"u", false},     {"u+x,", false},
                                           {"+x", true},  {"z+x", false},      {"u=g+w", true}};
    static const struct verdict intervals[] = {{"", true},     {"0", true},    {"1ms", true},  {"1us", false},
                                               {"1.5h", true}, {"-1s", false}, {"5", false},   {"1h30m", true},
                                               {".5s", true},  {".s", false},  {"0.1ns", true}};
    static const struct verdict sizes[] = {{"1", true},  {"1k", true},  {"1.5GiB", true}, {"1 mb", true},
                                           {"x", false}, {"1x", false}, {"-1", false},    {"1kbb", false}};
    static const struct verdict owners[] = {{"0", false},  {"root:0", false}, {"0:", false},  {"a", true},
                                            {"0:a", true}, {"", false},       {"root", false}};
    check(df_valid_signal, signals, ARRAY_SIZE(signals));
    check(df_valid_port, ports, ARRAY_SIZE(ports));
    check(df_valid_chmod, modes, ARRAY_SIZE(modes));
    check(df_valid_interval, intervals, ARRAY_SIZE(intervals));
    check(df_valid_size, sizes, ARRAY_SIZE(sizes));
    check(df_chown_by_name, owners, ARRAY_SIZE(owners));
}

static bool image_ok(const char *name) { return df_image_check(name, NULL) == 0; }

static void test_images(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct verdict names[] = {{"alpine", true},
                                           {"alpine:3.20", true},
                                           {"a/b/c", true},
                                           {"Alpine", false},
                                           {"example.com/a", true},
                                           {"EXAMPLE.com/a", true},
                                           {"example.com/A", false},
                                           {"localhost/a", true},
                                           {"localhost:5000/a:b", true},
                                           {"[::1]:5000/a", true},
                                           {"a..b", false},
                                           {"a-", false},
                                           {"a__b", true},
                                           {"a___b", false},
                                           {"a--b", true},
                                           {"a:", false},
                                           {"a:-x", false},
                                           {"-a", false},
                                           {"a/", false},
                                           {"", false},
                                           {"a b", false},
                                           {"a@sha256:0123456789012345678901234567890123456789012345678901234567890123", true},
                                           {"a@sha256:01", false},
                                           {"a:b@sha256:", false},
                                           {"0123456789012345678901234567890123456789012345678901234567890123", false},
                                           {"a.b/c", true},
                                           {"a.-b/c", false}};
    check(image_ok, names, ARRAY_SIZE(names));
    assert_string_equal(df_image_familiar(a, "docker.io/library/a:latest"), "a");
    assert_string_equal(df_image_familiar(a, "docker.io/x/a:1"), "x/a:1");
    assert_string_equal(df_image_familiar(a, "example.com/a"), "example.com/a");
}

static void test_platforms(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][3] = {
        {"linux/amd64", "linux/amd64", "linux/amd64"},
        {"linux/arm64/v8", "linux/arm64/v8", "linux/arm64"},
        {"linux/arm", "linux/arm", "linux/arm/v7"},
        {"linux/arm/v6", "linux/arm/v6", "linux/arm/v6"},
        {"Linux/X86_64", "linux/amd64", "linux/amd64"},
        {"aarch64", "linux/arm64", "linux/arm64"},
        {"windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"},
        {"macos/arm64", "darwin/arm64", "darwin/arm64"},
    };
    struct df_platform p;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(df_platform_parse(a, cases[i][0], false, &p, NULL), 0);
        assert_string_equal(p.text, cases[i][1]);
        assert_int_equal(df_platform_parse(a, cases[i][0], true, &p, NULL), 0);
        assert_string_equal(p.text, cases[i][2]);
    }
    static const char *const bad[] = {"", "what", "linux/*", "a/b/c/d", "linux/", "li nux/amd64"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) assert_true(df_platform_parse(a, bad[i], true, &p, NULL) < 0);
}

static void test_remotes(void **state) {
    (void) state;
    static const struct {
        const char *source;
        int want;
    } cases[] = {
        {"a", DF_LOCAL},
        {"https://x/a.tgz", DF_HTTP},
        {"http://x", DF_HTTP},
        {"https://x/a.git", DF_GIT},
        {"https://x/a.git#v1:sub", DF_GIT},
        {"HTTPS://x/a.git", DF_GIT},
        {"HTTPS://x/a", DF_LOCAL},
        {"ftp://x/a", DF_LOCAL},
        {"git://x/a", DF_GIT},
        {"ssh://git@x/a", DF_GIT},
        {"git@x:a/b", DF_GIT},
        {"./git@x:a", DF_LOCAL},
        {"x.git", DF_LOCAL},
        {"github.com/a/b", DF_LOCAL},
        {"a@b", DF_LOCAL},
        {"https://x/a.git?ref=v1", DF_GIT},
        {"https://x/a.git?what=v1", -ERR_INVALID},
        {"https://x/a.git?ref=", -ERR_INVALID},
        {"https://x/a.git?submodules", DF_GIT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (df_remote_kind(cases[i].source, NULL) != cases[i].want) fail_msg("%s", cases[i].source);
}

static int same_word(void *arg, const char *word, const char **ret, bool *ret_open, struct err *err) {
    (void) arg, (void) err;
    *ret = word;
    *ret_open = *ret_open || !strcmp(word, "$OPEN");
    return 0;
}

static void test_mounts(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct {
        const char *text, *source;
        int want, type;
        bool open;
    } cases[] = {
        {"target=/a", "", 0, MOUNT_BIND, false},
        {"type=bind,source=x,target=/a,rw", "x", 0, MOUNT_BIND, false},
        {"\"src=a,b\",dst=/a", "a,b", 0, MOUNT_BIND, false},
        {"type=Cache,target=/a,sharing=locked,id=x", "", 0, MOUNT_CACHE, false},
        {"type=tmpfs,target=/a,size=1g", "", 0, MOUNT_TMPFS, false},
        {"type=secret,id=x,mode=0400,uid=1", "", 0, MOUNT_SECRET, false},
        {"type=secret", "", -ERR_INVALID, 0, false},
        {"type=ssh,required", "", 0, MOUNT_SSH, false},
        {"target=/a,required", "", -ERR_INVALID, 0, false},
        {"target=/a,uid=1", "", -ERR_INVALID, 0, false},
        {"target=/a,size=1", "", -ERR_INVALID, 0, false},
        {"target=/a,sharing=shared", "", -ERR_INVALID, 0, false},
        {"target=/a,ro=maybe", "", -ERR_INVALID, 0, false},
        {"what=x", "", -ERR_INVALID, 0, false},
        {"what", "", -ERR_INVALID, 0, false},
        {"type=$OPEN,source=x", "x", 0, MOUNT_BIND, true},
        {"target=$OPEN", "", 0, MOUNT_BIND, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct df_mount m;
        int r = df_mount_parse(a, cases[i].text, same_word, NULL, &m, NULL);
        if (r != cases[i].want) fail_msg("%s: %d", cases[i].text, r);
        if (r < 0) continue;
        assert_string_equal(m.source, cases[i].source);
        assert_int_equal(m.type, cases[i].type);
        assert_int_equal(m.open, cases[i].open);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_images), cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_remotes), cmocka_unit_test(test_mounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
