/* Answers requests for source hashes, one JSON object a line: for ctxdiff. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "json/json.h"

static void answer(const char *line, size_t len) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_JSON struct json *j = json_parse(line, len, NULL), *out = json_obj();
    AUTO_ERR struct err err = {0};
    struct ctx ctx = {.arena = a};
    struct kv args[16];
    const char *platform = json_get_str(j, "platform");
    struct context_input in = {
        .dir = json_get_str(j, "dir"),
        .dockerfile = json_get_str(j, "dockerfile"),
        .target = json_get_str(j, "target"),
        .build_args = args,
        .platforms = &platform,
        .n_platforms = platform != NULL,
        .builder_platform = json_get_str(j, "builder"),
        .hash_only = true,
    };
    json_each(arg, json_get(j, "args")) {
        if (in.n_build_args < ARRAY_SIZE(args)) args[in.n_build_args++] = (struct kv){json_key(arg), json_str(arg)};
    }
    struct context_result res;
    if (context_hash(&ctx, &in, &res, &err) < 0) {
        AUTO_FREE char *text = mem_printf("%s:%d: %s; %s", err.file ? err.file : "", err.line, err_text(&err), err.hint ? err.hint : "");
        json_set_str(out, "Error", text);
    } else {
        json_set_str(out, "Hash", res.hash);
        json_set_str(out, "Widened", res.widened);
    }
    printf("%s\n", json_text(a, out));
    fflush(stdout);
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) answer(line, (size_t) n);
    free(line);
    return 0;
}
