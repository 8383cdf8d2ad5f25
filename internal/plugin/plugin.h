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
    /* Take the server apart at the end, for leak checks: it takes longer than the whole start, so a program that ends
     * anyway does without. */
    bool take_apart;
    const char *address; /* "registry.opentofu.org/gpudev/gpudev"; debug only */
};

/* Whether a host has started this process as a plugin (the magic cookie is there). */
bool plugin_wanted(void);

/* Serves until the end; takes over SIGINT, SIGTERM, SIGHUP and SIGPIPE and writes the handshake line to stdout, which is
 * nobody else's. stdin is never read. Returns 0 after an orderly end. *ret_running: the server is still there (calls that
 * didn't end, or no take_apart), so that the process must _exit at once, freeing nothing. */
int plugin_serve(const struct plugin_options *opt, bool *ret_running, struct err *err);
