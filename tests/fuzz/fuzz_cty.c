/* Input: type JSON, a newline, a msgpack value. What decodes must encode, and decode to the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cty/cty.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *split = size ? memchr(data, '\n', size) : NULL;
    if (!split) return 0;
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_BUF struct buf out = {0};
    AUTO_BUF struct buf again = {0};
    AUTO_BUF struct buf json = {0};
    const struct cty_type *t = NULL;
    struct cty_value v, back;
    size_t head = (size_t) (split - data), len = size - head - 1;
    if (cty_type_parse(a, (const char *) data, head, &t, NULL) < 0) return 0;
    char *text = cty_type_text(a, t);
    const struct cty_type *same = NULL;
    must(cty_type_parse(a, text, strlen(text), &same, NULL) == 0 && cty_type_equal(t, same));

    if (cty_msgpack_decode(a, t, split + 1, len, &v, NULL) == 0) {
        cty_msgpack_encode(&out, t, &v);
        must(cty_msgpack_decode(a, t, out.data, out.len, &back, NULL) == 0 && cty_equal(&v, &back));
        cty_msgpack_encode(&again, t, &back);
        must(again.len == out.len && memcmp(again.data, out.data, out.len) == 0);
        if (cty_json_encode(&json, t, &v, NULL) == 0)
            must(cty_json_decode(a, t, buf_str(&json), json.len, &back, NULL) == 0 && cty_compare(&v, &back) == 0);
    }
    if (cty_json_decode(a, t, (const char *) split + 1, len, &v, NULL) == 0) {
        buf_reset(&out);
        cty_msgpack_encode(&out, t, &v);
        must(cty_msgpack_decode(a, t, out.data, out.len, &back, NULL) == 0 && cty_equal(&v, &back));
    }
    return 0;
}
