#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/mem.h"

/* protobuf-c over an arena: what is unpacked dies with the arena, nothing is freed by itself. */

static inline void *pb_arena_alloc(void *arena, size_t size) { return arena_alloc(arena, size); }

static inline void pb_arena_free(void *arena, void *p) {
    (void) arena;
    (void) p;
}

static inline ProtobufCAllocator pb_arena(struct arena *a) {
    return (ProtobufCAllocator){.alloc = pb_arena_alloc, .free = pb_arena_free, .allocator_data = a};
}

static inline void *pb_pack(struct arena *a, const ProtobufCMessage *m, size_t *ret_len) {
    *ret_len = protobuf_c_message_get_packed_size(m);
    void *p = arena_alloc(a, *ret_len + 1);
    protobuf_c_message_pack(m, p);
    return p;
}
