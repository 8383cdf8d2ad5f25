#pragma once

#include "tf/schema.h"
#include "tf/value.h"

/* The provider block. */

struct config_endpoints {
    struct tf_string ecr, sts;
};

struct config_docker {
    struct tf_string host;
};

struct config_exec {
    struct tf_string api_version, command;
    struct tf_strings args;
    struct tf_map env;
};

struct config_kubernetes {
    struct tf_string config_path;
    struct tf_strings config_paths;
    struct tf_string context, host, token, cluster_ca_certificate, tls_server_name, proxy_url, client_certificate, client_key;
    struct tf_bool in_cluster;
    struct tf_object exec; /* struct config_exec */
};

struct config {
    struct tf_string region, profile, access_key, secret_key, session_token;
    struct tf_object endpoints; /* struct config_endpoints */
    struct tf_int max_retries;
    struct tf_object docker;     /* struct config_docker */
    struct tf_object kubernetes; /* struct config_kubernetes */
    struct tf_string progress;
};

extern const struct tf_attr config_attrs[];

struct tf_req;
struct tf_validate;
void config_validate(struct tf_req *req, struct tf_validate *v);
