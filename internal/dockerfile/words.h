#pragma once

#include "base/str.h"
#include "dockerfile/rune.h"

struct arena;

/* The ways in which instructions split their text; none expands anything. */

/* At runs of tab, VT, FF, CR and space: at most max parts (0: all). */
struct strs words_split(struct arena *a, struct text t, size_t max);
/* At white space outside of quotes; quotes and escapes stay in the words. */
struct strs words_quoted(struct arena *a, struct text t, char escape);
/* Flags at the beginning, quotes and escapes taken away; what follows them goes to *ret_rest. */
struct strs words_flags(struct arena *a, struct text t, char escape, struct text *ret_rest);
