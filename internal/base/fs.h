#pragma once

#include <stddef.h>
#include <sys/types.h>

struct arena;
struct err;

/* Files and paths. */

/* The whole file, NUL-terminated, in the arena; fails with ERR_LIMIT over max bytes. */
int fs_read(struct arena *a, const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err);
/* Replaces path by a file of this content: written beside it, synced, renamed. Parents must exist. */
int fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
int fs_mkdirs(const char *path, mode_t mode, struct err *err);

char *fs_join(struct arena *a, const char *dir, const char *name); /* an absolute name stands alone */
/* Lexical as Go's path.Clean: no ".", no inner "..", no double or trailing slash; "" becomes ".". */
char *fs_clean(struct arena *a, const char *path);
const char *fs_base(const char *path); /* what follows the last slash */
char *fs_dir(struct arena *a, const char *path); /* as dirname(3) */
char *fs_expand_home(struct arena *a, const char *path); /* a leading "~/" or "~" by HOME, else the passwd entry */
char *fs_abs(struct arena *a, const char *path); /* made absolute and clean; links are not followed */

/* Where gpudev keeps caches ($XDG_CACHE_HOME/gpudev, ~/.cache/gpudev; ~/Library/Caches/gpudev on macOS) and logs and
 * run-time state ($XDG_STATE_HOME/gpudev, ~/.local/state/gpudev); NULL when the user has no home. Not created. */
char *fs_cache_dir(struct arena *a);
char *fs_state_dir(struct arena *a);
