#include "context/entry.h"

#include <string.h>
#include <sys/stat.h>

const char *entry_type(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFDIR: return "dir";
        case S_IFLNK: return "symlink";
        case S_IFIFO: return "fifo";
        case S_IFCHR: return "char";
        case S_IFBLK: return "block";
        default: return "file"; /* a socket is sent as an empty file */
    }
}

uint32_t entry_mode(mode_t mode) { return S_ISLNK(mode) ? 0777 : (uint32_t) mode & 07777; /* a Mac gives links other modes */ }

void digest_number(struct sha256 *h, uint64_t n) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char) (n >> (56 - 8 * i));
    sha256_add(h, bytes, sizeof bytes);
}

void digest_text(struct sha256 *h, const void *p, size_t len) {
    digest_number(h, len);
    sha256_add(h, p, len);
}

void digest_string(struct sha256 *h, const char *s) {
    if (s)
        digest_text(h, s, strlen(s));
    else
        digest_number(h, UINT64_MAX);
}

void entry_begin(struct sha256 *h, const struct entry_head *head) {
    sha256_reset(h);
    digest_string(h, entry_type(head->mode));
    digest_number(h, entry_mode(head->mode));
    digest_number(h, S_ISREG(head->mode) ? head->size : 0);
    digest_string(h, head->link);
    digest_number(h, head->rdev_major);
    digest_number(h, head->rdev_minor);
    digest_number(h, head->xattrs.n);
    for (size_t i = 0; i < head->xattrs.n; i++) {
        digest_string(h, head->xattrs.v[i].key);
        digest_text(h, head->xattrs.v[i].value, head->xattrs.lens[i]);
    }
    digest_number(h, head->no_content);
}
