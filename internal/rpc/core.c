/* gRPC core's own life, its log, and its buffers. */
#include "rpc/core.h"

#include <dirent.h>
#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "rpc/rpc.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool running;
static size_t threads_before;

/* gRPC writes to stderr otherwise, where OpenTofu expects JSON lines. */
static void to_log(gpr_log_func_args *args) { log_debug(NULL, "grpc: %s:%d: %s", args->file, args->line, args->message); }

/* gRPC doesn't join all of its pool's threads; one that still ends while the process exits looks like a leak of
 * OpenSSL. Only Linux tells how many there are; elsewhere nothing is waited for. */
static size_t count_threads(void) {
    size_t n = 0;
    DIR *d = opendir("/proc/self/task");
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

void rpc_core_start(void) {
    pthread_mutex_lock(&lock);
    if (!running) {
        threads_before = count_threads();
        gpr_set_log_function(to_log);
        gpr_set_log_verbosity(log_enabled(LOG_TRACE) ? GPR_LOG_SEVERITY_DEBUG : GPR_LOG_SEVERITY_ERROR);
        grpc_init();
        running = true;
    }
    pthread_mutex_unlock(&lock);
}

void rpc_shutdown(void) {
    enum { TRIES = 200 };
    pthread_mutex_lock(&lock);
    if (running) grpc_shutdown_blocking();
    for (int i = 0; running && i < TRIES && count_threads() > threads_before; i++) poll(NULL, 0, 1);
    running = false;
    pthread_mutex_unlock(&lock);
}

grpc_arg rpc_arg_int(const char *key, int value) {
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *) key, .value.integer = value};
}

grpc_arg rpc_arg_str(const char *key, const char *value) {
    return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *) key, .value.string = (char *) value};
}

size_t rpc_core_args(grpc_arg args[RPC_CORE_ARGS]) {
    size_t n = 0;
    args[n++] = rpc_arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MESSAGE_MAX);
    args[n++] = rpc_arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    args[n++] = rpc_arg_int(GRPC_ARG_MAX_METADATA_SIZE, RPC_METADATA_MAX);
    args[n++] = rpc_arg_int(GRPC_ARG_ENABLE_CHANNELZ, 0);
    /* Retries keep a copy of what was sent; who calls decides about trying again. */
    args[n++] = rpc_arg_int(GRPC_ARG_ENABLE_RETRIES, 0);
    /* Pings come from the peer or not at all, and as often as it likes. */
    args[n++] = rpc_arg_int(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    args[n++] = rpc_arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0);
    args[n++] = rpc_arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    args[n++] = rpc_arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    return n;
}

bool rpc_core_own_fd(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0;
}

grpc_byte_buffer *rpc_core_buffer(const void *msg, size_t len) {
    grpc_slice slice = grpc_slice_from_copied_buffer(msg ? msg : "", len);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return b;
}

void *rpc_core_take(grpc_byte_buffer *b, struct arena *a, size_t *ret_len) {
    grpc_byte_buffer_reader reader;
    size_t len = grpc_byte_buffer_length(b), at = 0;
    char *data = arena_alloc(a, len + 1);
    grpc_byte_buffer_reader_init(&reader, b);
    grpc_slice slice;
    while (grpc_byte_buffer_reader_next(&reader, &slice)) {
        size_t n = GRPC_SLICE_LENGTH(slice);
        if (n > len - at) n = len - at;
        if (n) memcpy(data + at, GRPC_SLICE_START_PTR(slice), n);
        at += n;
        grpc_slice_unref(slice);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(b);
    *ret_len = at;
    return data;
}

char *rpc_core_text(struct arena *a, grpc_slice slice) {
    return arena_dup(a, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
}

/* https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
static const struct {
    const char *name;
    enum err_code code;
} statuses[] = {
    {"OK", ERR_NONE},
    {"CANCELLED", ERR_CANCELLED},
    {"UNKNOWN", ERR_FAILED},
    {"INVALID_ARGUMENT", ERR_INVALID},
    {"DEADLINE_EXCEEDED", ERR_TIMEOUT},
    {"NOT_FOUND", ERR_NOT_FOUND},
    {"ALREADY_EXISTS", ERR_EXISTS},
    {"PERMISSION_DENIED", ERR_DENIED},
    {"RESOURCE_EXHAUSTED", ERR_LIMIT},
    {"FAILED_PRECONDITION", ERR_FAILED},
    {"ABORTED", ERR_CONFLICT},
    {"OUT_OF_RANGE", ERR_FAILED},
    {"UNIMPLEMENTED", ERR_UNSUPPORTED},
    {"INTERNAL", ERR_FAILED},
    {"UNAVAILABLE", ERR_UNAVAILABLE},
    {"DATA_LOSS", ERR_FAILED},
    {"UNAUTHENTICATED", ERR_UNAUTHENTICATED},
};

enum err_code rpc_core_code(int status) {
    return status >= 0 && (size_t) status < ARRAY_SIZE(statuses) ? statuses[status].code : ERR_FAILED;
}

const char *rpc_core_status_name(int status) {
    return status >= 0 && (size_t) status < ARRAY_SIZE(statuses) ? statuses[status].name : "unknown status";
}
