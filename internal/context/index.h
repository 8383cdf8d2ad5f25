#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;
struct ctx;
struct snap;

/* What was read last time: path → (size, mtime, ctime, inode, device, mode) → digest, in a file of the user's cache
 * folder, one per context, Dockerfile and target. It only ever saves time: a file that is damaged, foreign, from another
 * version or can't be read or written is as good as none.
 *
 * An entry is trusted when its stat is the same and it was last changed well before the index was begun, so that a change
 * within the same tick of the clock can't hide. */
struct index;

/* key tells contexts apart: a list of strings, ended by NULL. NULL if the user has no cache folder. Begins the index's
 * time: everything that it will save must be looked at after this. */
struct index *index_open(struct ctx *ctx, const char *const *key);
void index_free(struct index *ix);
static inline void index_free_p(struct index **ix) { index_free(*ix); }

/* Fills in digests of counted nodes that are what they were. */
void index_vouch(struct index *ix, struct snap *t);
/* Writes what the tree knows now, if anything is new. Never waits: when somebody else writes, it is left. */
void index_save(struct index *ix, struct snap *t);

/* For tests: the file; a time to use instead of the clock's (ns since the epoch); and a file of one block that is right
 * but for its content. */
const char *index_path(const struct index *ix);
void index_set_time(struct index *ix, int64_t now_ns);
void index_frame(const struct index *ix, const void *block, size_t len, struct buf *ret);
