#pragma once

#include "build/build.h"

/* Between the builders. */

struct builder { /* the first member of each builder's own */
    const struct builder_ops *ops;
};

extern const struct builder_ops builder_docker;
