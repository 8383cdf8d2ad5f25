#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;

/* Diagnostics, as the user sees them. The summary is one sentence; the detail says what to do. Both are cleaned
 * (text_clean) when they are added. Detail lines that start with a space are not wrapped by OpenTofu. */

enum tf_severity { TF_ERROR = 1, TF_WARNING = 2 };

struct tf_step { /* of an attribute path */
    enum { TF_STEP_ATTR, TF_STEP_KEY, TF_STEP_INDEX } kind;
    const char *name; /* attribute or map key */
    long index;
};

struct tf_diag {
    enum tf_severity severity;
    const char *summary, *detail;
    const struct tf_step *path;
    size_t n_path;
};

struct tf_diags {
    struct arena *arena;
    struct tf_diag *v;
    size_t n, cap;
};

/* path: "tags", "images[\"api\"]", "kubernetes", "tags[0]"; NULL: the resource as a whole. Paths go no deeper than an
 * element of a top-level attribute: deeper ones lose the source line. */
void tf_error(struct tf_diags *d, const char *path, const char *summary, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void tf_warning(struct tf_diags *d, const char *path, const char *summary, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* summary is what failed; the err's message, hint, place, detail, HTTP status and request id make the detail. */
void tf_error_from(struct tf_diags *d, const char *path, const char *summary, const struct err *err);
void tf_warning_from(struct tf_diags *d, const char *path, const char *summary, const struct err *err);
bool tf_failed(const struct tf_diags *d); /* has an error */
