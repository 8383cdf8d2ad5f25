#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* A set of strings in an arena; zero-initialised it is empty. */
struct strset {
    const char **slots;
    size_t n, cap;
};

bool strset_add(struct arena *a, struct strset *set, const char *s); /* false if it was there; s is not copied */
bool strset_has(const struct strset *set, const char *s);
