#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* The controlling terminal: -1 where there is none. */
int progress_tty_open(void);
/* One line with its newline, in one write; dropped where the terminal doesn't take it at once. */
void progress_tty_write(int fd, const char *line, size_t len);
void progress_tty_close(int fd); /* gives an unfinished line a last chance */

/* A new log file, or -1; *ret_path (mem_*) is set with it. Older logs beyond the kept ones are removed. */
int progress_log_open(const char *title, char **ret_path);
/* "2026-01-02T03:04:05.123456Z" */
enum { PROGRESS_STAMP = 32 };
void progress_stamp(char out[PROGRESS_STAMP]);
