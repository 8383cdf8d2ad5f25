#pragma once

#include <fcntl.h>
#include <stddef.h>

struct arena;
struct err;

/* How a folder is opened: never through a link. */
enum { DIR_OPEN = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct dir_names { /* bytewise, without "." and ".." */
    const char **v;
    size_t n;
};

/* The names in an open folder, in the arena; fd stays open. path is for messages. */
int dir_read(struct arena *a, int fd, const char *path, struct dir_names *ret, struct err *err);
