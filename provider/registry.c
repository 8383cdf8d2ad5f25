/* What the provider offers: one line each. */
#include "provider/image/image.h"
#include "provider/provider.h"
#include "provider/rollout/rollout.h"

const struct tf_resource *const provider_resources[] = {
    &image_resource,
    &rollout_resource,
    NULL,
};

const struct tf_data_source *const provider_data_sources[] = {
    NULL,
};
