#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "dockerfile/plan.h"

/* "/a /b* [named]/c | paths: a b", "widened …" or the error. */
static const char *plan(struct arena *a, const char *text, struct df_input in) {
    struct df_file f;
    struct df_plan p;
    AUTO_ERR struct err err = {0};
    AUTO_BUF struct buf b = {0};
    in.file = "D";
    int r = df_parse(a, "D", text, strlen(text), &f, &err);
    if (r >= 0) r = df_plan(a, &in, &f, str_starts(text, "# syntax"), &p, &err);
    if (r < 0) return arena_printf(a, "%d: %s", err.line, err_text(&err));
    if (p.widened) return arena_printf(a, "widened: %s", p.widened);
    for (size_t i = 0; i < p.n_sources; i++) {
        const struct df_source *s = &p.sources[i];
        if (s->context >= 0) buf_addf(&b, "[%s]", in.named[s->context].name);
        buf_addf(&b, "%s%s", s->path, s->wildcard ? "*" : "");
        if (s->include) buf_addf(&b, "+%s", s->include);
        if (s->required) buf_addf(&b, "!%s", s->required);
        for (size_t k = 0; k < s->excludes.n; k++) buf_addf(&b, "-%s", s->excludes.v[k]);
        buf_addc(&b, ' ');
    }
    buf_addc(&b, '|');
    if (p.paths.all) buf_adds(&b, " all");
    for (size_t i = 0; i < p.paths.list.n; i++) buf_addf(&b, " %s", p.paths.list.v[i]);
    return arena_strdup(a, buf_str(&b));
}

static void expect(struct arena *a, const char *text, struct df_input in, const char *want) {
    const char *got = plan(a, text, in);
    if (strcmp(got, want) != 0) fail_msg("%s\n got %s\nwant %s", text, got, want);
}

static void test_sources(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"FROM scratch\nCOPY a /b/ ../c d/ /o/", "/a /b /c /d | a b c d"},
        {"FROM scratch\nCOPY . /o/", "/ | all"},
        {"FROM scratch\nCOPY $U /o/", "/ | all"},
        {"FROM scratch\nCOPY a* b\\*c /o/", "/a** /b*c* | a* b*c"},
        {"FROM scratch\nCOPY b\\\\*c /o/", "/b\\*c | b\\*c"},
        {"FROM scratch\nCOPY --parents a/./b/c d x/./*.y /o/", "/a+b/c!/a/b/c /+d!/d /x+*.y | a/b/c d x/*.y"},
        {"FROM scratch\nCOPY --exclude=*.o --exclude=$X a /o/", "/a-*.o-$X | a"},
        {"FROM scratch\nADD https://x/a git@h:p b /o/", "/b | git@h:p b"},
        {"FROM scratch\nRUN --mount=target=/m true", "/ | all"},
        {"FROM scratch\nRUN --mount=source=a/../b,target=/m --mount=type=cache,target=/c true", "/b | b"},
        {"FROM scratch\nRUN --mount=type=tmpfs,target=/m true\nCOPY a /", "/a | all a"},
        {"FROM scratch\nENV A=x B=$A\nARG C=$A$B\nCOPY $A$B$C /", "/xx | xx"},
        {"FROM scratch\nENV A=x\nENV A=y B=$A\nCOPY $A$B /", "/yx | yx"},
        {"ARG G=g\nFROM scratch\nCOPY x$G /\nARG G\nCOPY y$G /", "/x /yg | x yg"},
        {"FROM scratch AS a\nARG X=1\nENV Y=2\nFROM a\nCOPY $X$Y /", "/12 | 12"},
        {"FROM scratch AS a\nCOPY a /\nFROM scratch AS b\nCOPY b /\nFROM scratch\nCOPY --from=a x /\nCOPY --from=1 <<E /\nE\n",
         "/a | a b"},
        {"FROM scratch AS a\nONBUILD ENV X=1\nONBUILD COPY a$X /\nFROM a\nCOPY b$X /", "/a1 /b1 | a1 b1"},
        {"FROM scratch AS a\nONBUILD COPY a /\nFROM a AS b\nFROM b\nCOPY c /", "/a /c | a c"},
        {"FROM x:$TARGETARCH\nARG TARGETPLATFORM\nCOPY ${TARGETPLATFORM//\\//-} /", "/linux-arm-v7 | linux-arm-v7"},
        {"FROM x\nCOPY [\"<<E\", \"/\"]", "|"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        expect(a, cases[i][0], (struct df_input){.platform = "linux/arm/v7"}, cases[i][1]);
}

static void test_errors(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"RUN x\nFROM a", "1: RUN stands before the first FROM"},
        {"ARG x", "1: the Dockerfile has no FROM"},
        {"FROM $X", "1: base name ($X) should not be blank"},
        {"FROM A/b:c\nFROM B", "2: invalid image name \"B\": the repository name must be lowercase"},
        {"FROM --platform=linux/* a", "1: \"linux/*\" is not a platform: it must be of the form os/arch or os/arch/variant"},
        {"FROM a AS x-", "1: invalid image name \"x-\""},
        {"FROM a\nCOPY --from=$X a b",
         "2: variable expansion is not supported for --from, define a new stage with FROM using ARG from global "
         "scope as a workaround"},
        {"FROM a\nCOPY --from=7 a b", "2: invalid stage index 7"},
        {"FROM a AS x\nCOPY --from=x a b", "1: circular dependency detected on stage: x"},
        {"FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nFROM x",
         "2: cannot copy from stage \"y\", it needs to be defined before current stage \"x\""},
        {"FROM a\nCOPY https://x/y z", "2: source can't be a URL for COPY: https://x/y"},
        {"FROM scratch\nCOPY ${X:?gone} z", "2: failed to process \"${X:?gone}\": X: gone"},
        {"FROM scratch\nCOPY --chmod=x a z", "2: invalid chmod parameter: 'x'. it should be octal string and between 0 and 07777"},
        {"FROM scratch\nCOPY --link --chown=me a z",
         "2: --chown=me: user and group names can't be resolved when used with --link, use numeric uid[:gid] instead"},
        {"FROM scratch\nRUN --mount=target=/ x", "2: --mount=target=/: invalid mount target \"/\""},
        {"FROM scratch\nSTOPSIGNAL x", "2: invalid signal: x"},
        {"FROM scratch\nEXPOSE 8x", "2: invalid port: \"8x\""},
        {"FROM scratch AS a\nONBUILD COPY x\nFROM a",
         "3: COPY requires at least two arguments, but only 1 was provided: the destination is missing"},
        {"FROM scratch AS dead\nSTOPSIGNAL x\nFROM scratch\nCOPY a b", "/a | a"}, /* only what is reached is gone through */
        {"FROM scratch AS dead\nCOPPY a b\nFROM scratch", "2: unknown instruction: COPPY"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) expect(a, cases[i][0], (struct df_input){0}, cases[i][1]);
    expect(a, "FROM a AS x\nFROM a AS Y", (struct df_input){.target = "z"},
           "0: target stage \"z\" could not be found; there are: x, y");
}

static void test_open(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const char *const cases[][2] = {
        {"FROM x\nCOPY $A b", "widened: COPY in line 2 takes $A, which the base image x may set"},
        {"FROM x\nENV B=$A\nCOPY $B b", "widened: COPY in line 3 takes $B, which the base image x may set"},
        {"FROM x\nRUN --mount=source=$A,target=/b true", "widened: RUN --mount in line 2 takes $A, which the base image x may set"},
        {"FROM x\nCOPY ${A:?must} b", "widened: COPY in line 2 takes $A, which the base image x may set"},
        {"FROM x AS y\nARG A=1\nFROM y\nCOPY $A b", "widened: COPY in line 4 takes $A, which the base image x may set"},
        {"FROM x AS y\nENV A=1\nFROM y\nCOPY $A b", "/1 | 1"},
        {"FROM x\nARG A=1\nCOPY $A $B", "/1 | 1"},
        {"FROM x\nCOPY --chown=$A a b", "/a | a"},
        {"FROM x AS y\nFROM scratch\nCOPY --from=y $A b\nCOPY a b", "/a | a"},
        {"FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH b",
         "widened: COPY in line 3 takes $TARGETARCH, which only the builder knows: say for which platform it is"},
        {"FROM scratch AS a-amd64\nFROM a-$TARGETARCH\nCOPY a b",
         "widened: FROM in line 2 takes $TARGETPLATFORM, which only the builder knows: say for which platform it is"},
        {"FROM --platform=$BUILDPLATFORM x\nCOPY a b", "/a | a"},
        {"# syntax=docker/dockerfile:1\nFROM x\nWHAT a\n",
         "widened: line 3: unknown instruction: WHAT; the frontend that the Dockerfile asks for may know it"},
        {"# syntax=docker/dockerfile:1\nFROM x\nCOPY a\n",
         "3: COPY requires at least two arguments, but only 1 was provided: the destination is missing"},
        {"FROM x\nARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nCOPY a b",
         "widened: BUILDKIT_SBOM_SCAN_CONTEXT lets an SBOM scan the whole context"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) expect(a, cases[i][0], (struct df_input){0}, cases[i][1]);
    struct df_input known = {.builder_platform = "linux/arm64"};
    expect(a, "FROM scratch\nARG TARGETARCH BUILDARCH\nCOPY $TARGETARCH$BUILDARCH b", known, "/arm64arm64 | arm64arm64");
    expect(a, "FROM scratch AS a-arm64\nCOPY c d\nFROM a-$TARGETARCH\nCOPY a b", known, "/c /a | c a");
}

static void test_named(void **state) {
    (void) state;
    AUTO_ARENA struct arena *a = arena_new();
    static const struct df_named named[] = {{"lib", true}, {"alpine", false}, {"src", true}};
    struct df_input in = {.named = named, .n_named = 3};
    expect(a, "FROM scratch\nCOPY --from=lib a /\nCOPY b /", in, "[lib]/a /b | b");
    expect(a, "FROM scratch AS src\nCOPY gone /\nFROM scratch\nCOPY --from=src a /\nCOPY b /", in, "[src]/a /b | b");
    expect(a, "FROM lib\nCOPY $X /", in, "/ [lib]/ | all");
    expect(a, "FROM alpine\nCOPY $X /", in, "widened: COPY in line 2 takes $X, which the base image alpine may set");
    expect(a, "FROM scratch\nRUN --mount=from=docker.io/library/lib:latest,source=x,target=/m y", in, "[lib]/x |");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
