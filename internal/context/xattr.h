#pragma once

#include <stddef.h>

#include "base/str.h"

struct arena;
struct err;

/* Extended attributes that BuildKit's content hash counts: not system.*, of security.* only security.capability, and
 * not com.apple.*, which its client doesn't send. */
struct xattrs {
    const struct kv *v; /* bytewise by name; a value may hold any bytes, a NUL follows it */
    const size_t *lens; /* of the values */
    size_t n;
};

/* Of an entry itself, not of what a link points to. A file system without them, or an entry that is gone, has none. */
int xattrs_read(struct arena *a, int dir_fd, const char *name, struct xattrs *ret, struct err *err);
