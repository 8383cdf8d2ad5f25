#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "context/xattr.h"
#include "crypto/crypto.h"

/* The digest of one entry of a context, without its name. docs/internals/source-hash.md fixes its form. */

struct entry_head {
    mode_t mode;                     /* as lstat gives it */
    uint64_t size;                   /* files */
    const char *link;                /* symbolic links */
    uint64_t rdev_major, rdev_minor; /* devices */
    struct xattrs xattrs;
    bool no_content; /* a file that is sent without it */
};

const char *entry_type(mode_t mode); /* "file", "dir", "symlink", "fifo", "char", "block" */
uint32_t entry_mode(mode_t mode);    /* the bits that count */

/* Starts the digest of an entry; a file's content follows by sha256_add, then sha256_end. */
void entry_begin(struct sha256 *h, const struct entry_head *head);

/* Pieces of any digest: a length and the bytes, so that no two lists look the same. */
void digest_text(struct sha256 *h, const void *p, size_t len);
void digest_string(struct sha256 *h, const char *s); /* NULL is told from "" */
void digest_number(struct sha256 *h, uint64_t n);
