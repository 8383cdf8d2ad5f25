#pragma once

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct arena;
struct ctx;

/* What server.c, call.c and client.c share. */

enum {
    RPC_METADATA_MAX = 16 * 1024 * 1024, /* gRPC's 8 KiB broke on a .dockerignore of 400 lines */
    RPC_STATUS_TEXT_MAX = 8 * 1024,      /* a status text travels as a header, which peers limit */
    RPC_MESSAGE_MAX = 0x7fffffff,
};

/* Starts gRPC core once. */
void rpc_core_start(void);
/* The channel arguments that both sides want; returns how many were written (at most RPC_CORE_ARGS). */
enum { RPC_CORE_ARGS = 12 };
size_t rpc_core_args(grpc_arg args[RPC_CORE_ARGS]);
grpc_arg rpc_arg_int(const char *key, int value);
grpc_arg rpc_arg_str(const char *key, const char *value);

bool rpc_core_own_fd(int fd); /* made non-blocking, as gRPC needs it; false: not an open descriptor */
grpc_byte_buffer *rpc_core_buffer(const void *msg, size_t len);
/* The bytes of b in the arena, NUL-terminated; b is freed. */
void *rpc_core_take(grpc_byte_buffer *b, struct arena *a, size_t *ret_len);
char *rpc_core_text(struct arena *a, grpc_slice slice);
enum err_code rpc_core_code(int status);
const char *rpc_core_status_name(int status);
