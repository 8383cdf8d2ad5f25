#pragma once

struct err;
struct index;
struct snap;

/* Fills in the digests of all counted nodes: from the index where it vouches for them, else by reading, with several
 * threads. A file that changes while it is read is read again, and fails in the end. index may be NULL. */
int digests_fill(struct snap *t, struct index *index, struct err *err);
