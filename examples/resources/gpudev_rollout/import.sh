# By NAMESPACE/KIND/NAME; the kind as kubectl spells it.
tofu import gpudev_rollout.api_service gpu-controlplane/deployment/api-service
