#pragma once

#include <stddef.h>

struct ctx;
struct err;
struct pool;

/* Work for as many threads as there are processors. Items may add items; the first error ends it. */

size_t pool_threads(void);

/* Does one item; thread counts from 0. */
typedef int pool_fn(void *arg, size_t thread, void *item, struct pool *pool, struct err *err);

void pool_add(struct pool *p, void *item); /* from within a pool_fn */

/* Returns when no item is left. The caller's thread works too; with one thread none is started. */
int pool_run(struct ctx *ctx, size_t threads, pool_fn *fn, void *arg, void **items, size_t n, struct err *err);
