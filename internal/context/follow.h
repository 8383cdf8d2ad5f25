#pragma once

#include <stddef.h>
#include <sys/stat.h>

struct arena;
struct err;
struct strs;

/* Links within a folder. All paths are relative to it and clean; "." is the folder itself. Nothing leads out of it. */

/* What BuildKit's follow-paths mean: each path with every link on the way and what it points to, sorted. Globs are
 * allowed in a component. Of several paths through one link only the first is followed, as BuildKit does it. */
int follow_links(struct arena *a, int root_fd, const char *const *paths, size_t n, struct strs *ret, struct err *err);

/* lstat of a path without following links on the way: 0, 1 if it isn't there. */
int follow_lstat(int root_fd, const char *path, struct stat *ret, struct err *err);
/* Opens a folder likewise; the caller closes *ret_fd. 0, 1 if it isn't there or is no folder. */
int follow_open_dir(int root_fd, const char *path, int *ret_fd, struct err *err);
/* The text of a link in an open folder; NULL with errno set. */
char *follow_read_link(struct arena *a, int dir_fd, const char *name);
