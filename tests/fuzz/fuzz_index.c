/* Input: an index file, as it is or (first byte odd) as the content of one block whose head is right. It must not matter
 * for anything but time: no digest is taken from it that isn't in it, and saving makes it good again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "context/digests.h"
#include "context/index.h"
#include "context/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];

static void must(bool ok) {
    if (!ok) abort();
}

static void clean(void) {
    AUTO_FREE char *command = mem_printf("%s/d/a", top);
    unlink(command);
}

static void prepare(void) {
    if (*top) return;
    snprintf(top, sizeof top, "/tmp/gpudev-fuzz-%d", (int) getpid());
    AUTO_ARENA struct arena *a = arena_new();
    setenv("XDG_CACHE_HOME", top, 1);
    must(fs_mkdirs(arena_printf(a, "%s/gpudev/context", top), 0700, NULL) == 0 &&
         fs_mkdirs(arena_printf(a, "%s/d/e", top), 0755, NULL) == 0);
    must(fs_write_atomic(arena_printf(a, "%s/d/a", top), "x", 1, 0644, NULL) == 0);
    atexit(clean);
}

static void fill(struct ctx *ctx, struct index *ix, struct snap *t) {
    AUTO_ARENA struct arena *a = arena_new();
    must(snap_open(t, ctx, arena_printf(a, "%s/d", top), NULL, NULL) == 0 && snap_load_all(t, &t->root, NULL) == 0);
    for (struct snap_node *n = NULL; (n = snap_next(&t->root, n));) n->counted = true;
    must(digests_fill(t, ix, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const key[] = {"fuzz", NULL};
    if (!size) return 0;
    prepare();
    AUTO_ARENA struct arena *a = arena_new();
    struct ctx ctx = {.arena = a};
    struct index *ix = index_open(&ctx, key);
    AUTO_BUF struct buf file = {0};
    if (data[0] & 1)
        index_frame(ix, data + 1, size - 1, &file);
    else
        buf_add(&file, data + 1, size - 1);
    FILE *f = fopen(index_path(ix), "w");
    must(f && fwrite(buf_str(&file), 1, file.len, f) == file.len && fclose(f) == 0);
    struct snap with, without;
    fill(&ctx, ix, &with);
    fill(&ctx, NULL, &without);
    must(with.root_dir.n == without.root_dir.n);
    snap_done(&with);
    snap_done(&without);
    index_free(ix);
    return 0;
}
