#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tf/diag.h"
#include "tf/schema.h"
#include "tf/value.h"

struct ctx;

/* A resource: its table and a handful of functions on its struct. Structs are the table's type (struct image …), in
 * the request's arena. Functions report through req->diags; a reply that carries an error keeps what a state must keep. */

struct tf_req {
    struct ctx *ctx;
    struct tf_diags *diags;
    void *provider; /* what configure made; NULL in validate, which comes unconfigured */
};

/* Private bytes that OpenTofu keeps beside the state: JSON text here, NULL for none. */
struct tf_private {
    const char *in;  /* as stored (plan: prior's; apply: what the plan wrote) */
    const char *out; /* preset to in; what is stored from now on */
};

struct tf_validate {
    const void *config; /* unknowns are to be expected */
};

struct tf_plan {
    const void *config; /* never NULL */
    const void *prior;  /* NULL: create */
    void *planned;      /* preset: proposed state with fallbacks, TF_STABLE rule applied when something changes */
    bool changed;       /* preset: planned differs from prior; set it when live drift needs a change: computed attributes
                           without TF_STABLE then become unknown (call tf_plan_unknown) */
    struct tf_private private;
    const char *replace[8]; /* attribute names to add to requires_replace, NULL-ended */
};
/* Makes every computed attribute of planned that is null in config and lacks TF_STABLE unknown. */
void tf_plan_unknown(const struct tf_table *t, struct tf_plan *p);

/* In create and update, arguments are known: what may be unknown in planned is computed. */
struct tf_apply {
    const void *config;  /* never NULL, but for destroy; write-only values; may lack what ignore_changes ignores: act on planned */
    const void *prior;   /* NULL: create */
    const void *planned; /* NULL: destroy */
    void *state;         /* what is stored afterwards. Create: preset to planned; without `keep` nothing is stored if there
                            is an error. Update: preset to planned; if there is an error and not `keep`, prior stays.
                            Unknowns left in it become null when there is an error, and are a bug otherwise */
    bool keep;           /* store state although there is an error (create: tainted) */
    struct tf_private private;
};

struct tf_read {
    void *state; /* preset to the stored state; changed in place */
    bool gone;   /* set: it isn't there any more */
    struct tf_private private;
};

struct tf_import {
    const char *id; /* clean text, may be empty */
    void *state;    /* zeroed: fill what Read needs */
    struct tf_private private;
};

struct tf_move {
    const char *source_provider; /* "registry.opentofu.org/hashicorp/null" */
    const char *source_type;     /* "null_resource" */
    const char *source_json;     /* the stored state, not checked */
    void *state;                 /* zeroed */
    struct tf_private private;   /* in: the source's own; out: NULL until set */
};

struct tf_resource {
    const char *name; /* "gpudev_image" */
    const char *description;
    long version; /* of the schema */
    struct tf_table table;
    void (*validate)(struct tf_req *req, struct tf_validate *v); /* each op may be NULL */
    void (*plan)(struct tf_req *req, struct tf_plan *p);         /* create and update */
    void (*plan_destroy)(struct tf_req *req, const void *prior);
    void (*create)(struct tf_req *req, struct tf_apply *a);
    void (*update)(struct tf_req *req, struct tf_apply *a);
    void (*destroy)(struct tf_req *req, struct tf_apply *a); /* success: gone; error: a->state (preset prior) stays. Its
                                                                  private.in may be that of the replacement's plan */
    void (*read)(struct tf_req *req, struct tf_read *r);
    void (*import)(struct tf_req *req, struct tf_import *i);
    void (*move)(struct tf_req *req, struct tf_move *m);
};

struct tf_data_source {
    const char *name, *description;
    struct tf_table table;
    void (*validate)(struct tf_req *req, struct tf_validate *v);
    void (*read)(struct tf_req *req, void *state); /* preset to the config with its fallbacks */
};

struct tf_provider {
    struct tf_table table;
    const char *description;
    void (*validate)(struct tf_req *req, struct tf_validate *v);
    /* Makes what req->provider of the other calls is, or reports why not and returns NULL. Unknowns may come in plan: what
     * needs them fails later, where it is needed. config and its strings go with the call; the result lives until done. */
    void *(*configure)(struct tf_req *req, const void *config);
    void (*done)(void *provider);
    const struct tf_resource *const *resources; /* NULL-ended */
    const struct tf_data_source *const *data_sources;
};

struct cancel;
struct rpc_method;

/* The tfplugin6 service (protocol 6.10) for a provider. */
struct tf_server;
struct tf_server *tf_server_new(const struct tf_provider *p, struct cancel *stop);
/* Before the first call: hosts come and go (reattach mode), so that StopProvider reaches the calls that run and no later
 * ones. */
void tf_server_outlives_hosts(struct tf_server *s);
void tf_server_free(struct tf_server *s); /* no call may be running */
/* The methods to serve, ended by a NULL name, with the server as their service. StopProvider cancels `stop`, unless the
 * server outlives its hosts, and with it the ctx of every call that runs; calls that come later are answered, with a ctx
 * that is cancelled. */
const struct rpc_method *tf_server_methods(void);

/* Documentation pages from the tables, as registries show them: DOCS/index.md, DOCS/resources/NAME.md and
 * DOCS/data-sources/NAME.md. Examples are taken from EXAMPLES/provider/provider.tf, EXAMPLES/resources/TYPE/resource.tf
 * and import.sh, EXAMPLES/data-sources/TYPE/data-source.tf, where they are. */
struct err;
int tf_docs_write(const struct tf_provider *p, const char *examples, const char *docs, struct err *err);
