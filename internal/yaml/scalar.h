#pragma once

struct json;

/* The value of a plain scalar, resolved by its spelling (YAML 1.1 core types); a string where nothing else fits. */
struct json *yaml_resolve(const char *text);
