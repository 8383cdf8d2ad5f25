# NAMESPACE/KIND/NAME; the kind as kubectl spells it, or as the attribute
tofu import gpudev_rollout.api_service gpu-controlplane/deployment/api-service
