#pragma once

struct err;

/* Opens files below one folder without ever following a symbolic link, so that a folder which is swapped for a link
 * while a build reads it leads nowhere else. Not thread-safe. */
struct beneath {
    int root;
    char *dir;  /* relative path of the folder that was used last */
    int dir_fd; /* its descriptor, -1: none */
};

int beneath_init(struct beneath *b, const char *root, struct err *err);
void beneath_done(struct beneath *b);
/* The folder that holds an entry (borrowed until the next call) and the entry's name in it. */
int beneath_parent(struct beneath *b, const char *path, int *ret_dir_fd, const char **ret_name, struct err *err);
/* A descriptor to read the regular file (or anything else) from; never blocks on a fifo. Path: relative and clean. */
int beneath_open(struct beneath *b, const char *path, int *ret_fd, struct err *err);
