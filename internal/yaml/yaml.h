#pragma once

#include <stddef.h>

struct err;
struct json;

/* YAML read into JSON trees, over libyaml: the YAML 1.1 types as Kubernetes' tools read kubeconfigs (plain yes, on,
 * 0x10, ~ have a type; quoted scalars are strings; `<<` merges). Only the first document counts. Duplicate keys,
 * cycles, a depth over 64 and more than 200,000 nodes (aliases counted as often as they are used) are errors; err->line
 * says where. An empty document is null. */
struct json *yaml_parse(const char *text, size_t len, struct err *err); /* NULL on failure */
