/* What host and plugin agree on: the environment that the host sets, the socket, the certificates and the one line on
 * stdout. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "plugin/internal.h"

enum { PROTOCOL = 6 };

static const char cookie_name[] = "TF_PLUGIN_MAGIC_COOKIE";
static const char cookie[] = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

bool plugin_wanted(void) { return str_eq(getenv(cookie_name), cookie); }

/* "5,6": whether 6 is among them. */
static bool speaks_our_version(const char *versions) {
    while (*versions) {
        char *end;
        long v = strtol(versions, &end, 10);
        if (end != versions && v == PROTOCOL && (*end == ',' || !*end)) return true;
        versions += strcspn(versions, ",");
        if (*versions) versions++;
    }
    return false;
}

static int check_version(struct err *err) {
    const char *versions = getenv("PLUGIN_PROTOCOL_VERSIONS");
    if (versions && speaks_our_version(versions)) return 0;
    err_set(err, ERR_UNSUPPORTED, "the host offers the provider protocol versions \"%s\", and this provider speaks %d",
            versions ? versions : "", PROTOCOL);
    err_hint(err, "Use OpenTofu 1.6 or Terraform 1.8, or a later version.");
    return -ERR_UNSUPPORTED;
}

/* A folder of our own with a random name: a name made from the pid collides with what a killed process left behind. */
static bool make_socket_folder(struct plugin_handshake *h, const char *parent) {
    struct sockaddr_un un;
    char *dir = mem_printf("%s/gpudev-XXXXXX", parent), *path = NULL;
    if (strlen(dir) + strlen("/s") < sizeof un.sun_path && mkdtemp(dir)) path = mem_printf("%s/s", dir);
    if (!path) {
        mem_free(dir);
        return false;
    }
    h->dir = dir;
    h->path = path;
    h->address = mem_printf("unix:%s", path);
    return true;
}

static int make_socket_name(struct plugin_handshake *h, struct err *err) {
    const char *parents[] = {getenv("PLUGIN_UNIX_SOCKET_DIR"), getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < ARRAY_SIZE(parents); i++)
        if (!str_empty(parents[i]) && parents[i][0] == '/' && make_socket_folder(h, parents[i])) return 0;
    err_errno(err, errno, "can't make a folder for the plugin's socket in $TMPDIR or /tmp");
    err_hint(err, "Set TMPDIR to a folder with a short name that can be written.");
    return -(int) err->code;
}

int plugin_handshake_new(struct plugin_handshake *h, bool debug, struct err *err) {
    *h = (struct plugin_handshake){0};
    int r = debug ? 0 : check_version(err);
    if (r < 0) return r;
    const char *client = debug ? NULL : getenv("PLUGIN_CLIENT_CERT");
    if (!str_empty(client)) {
        h->client_pem = client;
        r = cert_self_signed(&h->cert, err);
    }
    return r < 0 ? r : make_socket_name(h, err);
}

void plugin_handshake_done(struct plugin_handshake *h) {
    if (h->path) unlink(h->path);
    if (h->dir) rmdir(h->dir);
    mem_free(h->dir);
    mem_free(h->path);
    mem_free(h->address);
    cert_done(&h->cert);
    *h = (struct plugin_handshake){0};
}

static int write_out(const char *text, size_t len, struct err *err) {
    while (len) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_errno(err, errno, "can't write to stdout");
        text += n;
        len -= (size_t) n;
    }
    return 0;
}

/* CORE-VERSION|APP-VERSION|NETWORK|ADDRESS|PROTOCOL|CERT[|MULTIPLEX] */
int plugin_handshake_write(const struct plugin_handshake *h, struct err *err) {
    AUTO_ARENA struct arena *a = arena_new();
    const char *cert = h->cert.der ? base64_encode_raw(a, h->cert.der, h->cert.der_len) : "";
    /* Hosts that know of multiplexing want an answer; others refuse a seventh field. */
    const char *multiplex = str_empty(getenv("PLUGIN_MULTIPLEX_GRPC")) ? "" : "|false";
    const char *line = arena_printf(a, "1|%d|unix|%s|grpc|%s%s\n", PROTOCOL, h->path, cert, multiplex);
    return write_out(line, strlen(line), err);
}

int plugin_reattach_write(const struct plugin_handshake *h, const char *provider, struct err *err) {
    AUTO_BUF struct buf json = {0}, text = {0};
    buf_addc(&json, '{');
    buf_add_json(&json, provider, strlen(provider));
    buf_addf(&json,
             ":{\"Protocol\":\"grpc\",\"ProtocolVersion\":%d,\"Pid\":%ld,\"Test\":true,\"Addr\":{\"Network\":\"unix\",\"String\":",
             PROTOCOL, (long) getpid());
    buf_add_json(&json, h->path, strlen(h->path));
    buf_adds(&json, "}}}");
    buf_adds(&text, "The provider is running. To use it, set in another terminal:\n\n\tTF_REATTACH_PROVIDERS='");
    for (const char *p = buf_str(&json); *p; p++) *p == '\'' ? buf_adds(&text, "'\\''") : buf_addc(&text, *p);
    buf_adds(&text, "'\n\nPaths are relative to this terminal's folder, and credentials are this terminal's. Ctrl-C ends it.\n");
    return write_out(buf_str(&text), text.len, err);
}
