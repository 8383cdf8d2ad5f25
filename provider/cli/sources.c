/* `sources`: the source hash of a context on the command line, by the same function that a plan calls. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/context.h"
#include "provider/cli/cli.h"

static const char usage[] = "usage: terraform-provider-gpudev sources [OPTION]... DIR\n"
                            "Which files of the context DIR make the source hash of its image, and why.\n"
                            "  --file DOCKERFILE         relative to the working directory; default DIR/Dockerfile\n"
                            "  --target NAME             the stage to build; default the last one\n"
                            "  --build-arg K=V           may be repeated\n"
                            "  --build-context NAME=DIR  may be repeated\n"
                            "  --platform OS/ARCH        may be repeated\n"
                            "  --ignore PATTERN          on top of the ignore file; may be repeated\n"
                            "  --json                    one JSON object\n";

enum { EXIT_OK, EXIT_BAD_INPUT, EXIT_USAGE };

struct request {
    struct arena *a;
    struct context_input in;
    struct strs platforms, ignore;
    struct kv *args, *contexts;
    size_t n_args, cap_args, n_contexts, cap_contexts;
    bool json;
};

static bool add_pair(struct arena *a, struct kv **list, size_t *n, size_t *cap, const char *text) {
    const char *eq = strchr(text, '=');
    if (!eq || eq == text) return false;
    ARENA_GROW(a, *list, *n, *cap);
    (*list)[(*n)++] = (struct kv){arena_strndup(a, text, (size_t) (eq - text)), eq + 1};
    return true;
}

static bool take_option(struct request *rq, int option, const char *value) {
    switch (option) {
        case 'f': rq->in.dockerfile = value; return true;
        case 't': rq->in.target = value; return true;
        case 'a': return add_pair(rq->a, &rq->args, &rq->n_args, &rq->cap_args, value);
        case 'c': return add_pair(rq->a, &rq->contexts, &rq->n_contexts, &rq->cap_contexts, value);
        case 'p': strs_add(rq->a, &rq->platforms, value); return true;
        case 'i': strs_add(rq->a, &rq->ignore, value); return true;
        case 'j': rq->json = true; return true;
        default: return false;
    }
}

static bool parse(struct request *rq, int argc, char **argv) {
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"target", required_argument, NULL, 't'},
        {"build-arg", required_argument, NULL, 'a'},
        {"build-context", required_argument, NULL, 'c'},
        {"platform", required_argument, NULL, 'p'},
        {"ignore", required_argument, NULL, 'i'},
        {"json", no_argument, NULL, 'j'},
        {0},
    };
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "f:", options, NULL)) != -1;) {
        if (take_option(rq, option, optarg)) continue;
        if (option == 'a' || option == 'c') fprintf(stderr, "error: \"%s\" is not of the form NAME=VALUE\n", optarg);
        return false;
    }
    if (optind != argc - 1) return false;
    rq->in.dir = argv[optind];
    rq->in.build_args = rq->args;
    rq->in.n_build_args = rq->n_args;
    rq->in.build_contexts = rq->contexts;
    rq->in.n_build_contexts = rq->n_contexts;
    rq->in.platforms = rq->platforms.v;
    rq->in.n_platforms = rq->platforms.n;
    rq->in.ignore = rq->ignore.v;
    rq->in.n_ignore = rq->ignore.n;
    return true;
}

static void add_member(struct buf *b, const char *key, const char *value) {
    buf_addf(b, "%s\"%s\":", b->data[b->len - 1] == '{' ? "" : ",", key);
    if (value)
        buf_add_json(b, value, strlen(value));
    else
        buf_adds(b, "null");
}

/* Written as text: a tree of a million files would be one more copy of them. */
static void print_json(const struct context_result *res) {
    AUTO_BUF struct buf b = {0};
    buf_addc(&b, '{');
    add_member(&b, "hash", res->hash);
    add_member(&b, "dockerfile", res->dockerfile);
    add_member(&b, "ignore_file", res->ignore_file);
    add_member(&b, "widened", res->widened);
    buf_adds(&b, ",\"roots\":[");
    for (size_t i = 0; i < res->n_roots; i++) {
        buf_adds(&b, i ? ",{" : "{");
        add_member(&b, "source", res->roots[i].source);
        add_member(&b, "from", res->roots[i].from);
        add_member(&b, "hash", res->roots[i].hash);
        buf_addc(&b, '}');
    }
    buf_adds(&b, "],\"files\":[");
    for (size_t i = 0; i < res->n_files; i++) {
        const struct context_file *f = &res->files[i];
        buf_adds(&b, i ? ",{" : "{");
        add_member(&b, "path", f->path);
        add_member(&b, "type", f->type);
        buf_addf(&b, ",\"mode\":\"%04o\",\"size\":%llu}", (unsigned) f->mode, (unsigned long long) f->size);
        fwrite(b.data, 1, b.len, stdout);
        buf_reset(&b);
    }
    buf_adds(&b, "]}\n");
    fwrite(b.data, 1, b.len, stdout);
}

static void print_plain(struct arena *a, const struct context_result *res) {
    printf("%s\n", res->hash);
    printf("dockerfile  %s\n", res->dockerfile);
    printf("ignore file %s\n", res->ignore_file ? res->ignore_file : "none");
    if (res->widened) printf("widened     %s\n", res->widened);
    for (size_t i = 0; i < res->n_roots; i++) {
        const struct context_root *root = &res->roots[i];
        printf("  %-24s %-24s %.19s\n", root->from, text_clean(a, root->source, strlen(root->source)), root->hash);
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < res->n_files; i++) {
        const struct context_file *f = &res->files[i];
        bytes += f->size;
        printf("%-7s %04o %10llu %s\n", f->type, (unsigned) f->mode, (unsigned long long) f->size,
               text_clean(a, f->path, strlen(f->path)));
    }
    printf("%zu entries, %llu bytes\n", res->n_files, (unsigned long long) bytes);
}

static void print_error(struct arena *a, const struct err *err) {
    fputs("error: ", stderr);
    if (err->file) fprintf(stderr, "%s:", text_clean(a, err->file, strlen(err->file)));
    if (err->file && err->line) fprintf(stderr, "%d:", err->line);
    const char *text = err_text(err);
    fprintf(stderr, "%s%s", err->file ? " " : "", text_clean(a, text, strlen(text)));
    if (err->hint) fprintf(stderr, "; %s", text_clean(a, err->hint, strlen(err->hint)));
    fputc('\n', stderr);
}

int cli_sources(int argc, char **argv) {
    AUTO_ARENA struct arena *a = arena_new();
    struct request rq = {.a = a};
    if (!parse(&rq, argc, argv)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct ctx ctx = {.arena = a};
    struct context_result res;
    AUTO_ERR struct err err = {0};
    if (context_hash(&ctx, &rq.in, &res, &err) < 0) {
        print_error(a, &err);
        return EXIT_BAD_INPUT;
    }
    if (rq.json)
        print_json(&res);
    else
        print_plain(a, &res);
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_OK : EXIT_BAD_INPUT;
}
