/* Input: StatusResponse messages, each behind its length in two bytes. What is shown is clean text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "buildkit/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_clean(const char *text) {
    if (utf8_check(text, strlen(text), NULL) < 0 || strchr(text, '\033')) abort();
}

static void on_line(void *self, const char *text) {
    (void) self;
    must_be_clean(text);
    if (strchr(text, '\n')) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA struct arena *a = arena_new();
    struct bk_status *s = bk_status_new(&(struct bk_status_sink){.line = on_line});
    while (size >= 2) {
        size_t len = (size_t) data[0] << 8 | data[1];
        if (len > size - 2) len = size - 2;
        bk_status_add(s, data + 2, len, NULL);
        data += 2 + len;
        size -= 2 + len;
    }
    bk_status_end(s);
    struct bk_step step;
    if (bk_status_failed(s, a, 40, &step)) {
        must_be_clean(step.name);
        must_be_clean(step.error);
        must_be_clean(step.tail);
    }
    struct bk_counts c = bk_status_counts(s);
    bk_status_free(s);
    if (c.cached > c.steps) abort();
    return 0;
}
