/* Input: a Dockerfile. Parser, stages and plan; whatever a plan names lies within its context, and planning again gives
 * the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static void check_path(const char *path) {
    must(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../") && !str_ends(path, "/.."));
    must(!path[1] || !str_ends(path, "/"));
}

static int plan(struct arena *a, const struct df_input *in, const char *text, size_t len, struct df_plan *ret) {
    struct df_file file;
    AUTO_ERR struct err err = {0};
    int r = df_parse(a, "D", text, len, &file, &err);
    if (r >= 0) r = df_plan(a, in, &file, df_syntax(a, text, len) != NULL, ret, &err);
    must(r >= 0 || (err.message && *err.message && !strcmp(err.file, "D")));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct kv args[] = {{"A", "a/b"}, {"EMPTY", ""}, {"TARGETOS", "plan9"}};
    static const struct df_named named[] = {{"lib", true}, {"img", false}};
    const struct df_input inputs[] = {
        {.file = "D", .platform = "linux/arm/v7"},
        {.file = "D", .build_args = args, .n_build_args = 3, .named = named, .n_named = 2},
        {.file = "D", .target = "t", .builder_platform = "linux/amd64"},
    };
    AUTO_FREE char *text = mem_dup(data, size);
    for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
        AUTO_ARENA struct arena *a = arena_new();
        struct df_plan p, again;
        int r = plan(a, &inputs[i], text, size, &p);
        must(r == plan(a, &inputs[i], text, size, &again));
        if (r < 0) continue;
        must(p.n_sources == again.n_sources && p.text.n == again.text.n && str_eq(p.widened, again.widened));
        for (size_t k = 0; k < p.n_sources; k++) {
            check_path(p.sources[k].path);
            must(!strcmp(p.sources[k].path, again.sources[k].path));
        }
    }
    return 0;
}
