#pragma once

#include <stdbool.h>

struct cancel;
struct err;
struct rpc_method;

/* The server's side of go-plugin (https://github.com/hashicorp/go-plugin/blob/main/docs/internals.md), protocol
 * version 6: how OpenTofu starts this process, talks to it and ends it. */

struct plugin_options {
    const struct rpc_method *methods; /* ended by a NULL name; served as unary */
    void *service;
    /* Parent of every call. Cancelled here when the host goes, asks for the end, or a signal does. */
    struct cancel *stop;
    /* Reattach mode: serves without a host that started it, tells on stdout how to attach, ends by SIGINT or SIGTERM. */
    bool debug;
    const char *address; /* "registry.opentofu.org/gpudev/gpudev"; debug only */
};

/* Whether a host has started this process as a plugin (the magic cookie is there). */
bool plugin_wanted(void);

/* Serves until the end; takes over SIGINT, SIGTERM, SIGHUP and SIGPIPE and writes the handshake line to stdout, which is
 * nobody else's. stdin is never read. Returns 0 after an orderly end: *ret_busy tells whether calls were still running,
 * so that the process must end at once, freeing nothing. */
int plugin_serve(const struct plugin_options *opt, bool *ret_busy, struct err *err);
