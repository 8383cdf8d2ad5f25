/* Input: the body of a push, whose first byte says in pieces of which size it comes. The pieces make no difference. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "docker/push_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct push_stream *s, const struct docker_push *req, const uint8_t *data, size_t size, size_t piece) {
    AUTO_ERR struct err err = {0};
    push_stream_init(s, req);
    for (size_t i = 0; i < size; i += piece) {
        int r = push_stream_add(s, (const char *) data + i, size - i < piece ? size - i : piece, &err);
        if (r < 0) return r;
    }
    return push_stream_end(s, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    const struct docker_push req = {.repository = "r.example/a", .tag = "t"};
    struct push_stream whole, pieces;
    int a = feed(&whole, &req, data + 1, size - 1, size);
    int b = feed(&pieces, &req, data + 1, size - 1, data[0] + 1u);
    bool same = a == b && whole.n_layers == pieces.n_layers && whole.bytes == pieces.bytes && str_eq(whole.digest, pieces.digest);
    push_stream_done(&whole);
    push_stream_done(&pieces);
    if (!same) abort();
    return 0;
}
