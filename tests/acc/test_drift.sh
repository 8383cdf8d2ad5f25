#!/usr/bin/env bash
# Drift in the registry and in the cluster.
. "$(dirname "$0")/lib.sh"

seed
workloads
ok "a first apply" apply
api=$(state gpudev_image.api_service digest)
image=$ecr_host/$unique-api@$api

kubectl -n "$unique" set image deployment/api-service "api=$GPUDEV_TEST_BASE_IMAGE" >/dev/null
ok "somebody else's set image is planned back" plan
ok "as one change" says "1 to change"
ok "and applied" apply
is "the pods run the digest again" "$(kubectl -n "$unique" get deployment api-service -o jsonpath='{.spec.template.spec.containers[0].image}')" "$image"
ok "then nothing is left to do" plan -detailed-exitcode

kubectl -n "$unique" patch deployment api-service --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/imagePullPolicy","value":"Never"}]' >/dev/null
ok "a changed pull policy is planned back" plan
ok "as one change" says "1 to change"
ok "and applied" apply

kubectl -n "$unique" scale deployment/api-service --replicas=1 >/dev/null
kubectl -n "$unique" rollout status deployment/api-service --timeout=60s >/dev/null
ok "scaling is no drift" plan -detailed-exitcode

kubectl -n "$unique" delete deployment api-service --wait >/dev/null
ok "a deleted workload is planned again" plan
ok "with a word that it isn't there" says "api-service"
workloads
ok "re-created under another uid it is rolled out again" apply
is "to the digest" "$(kubectl -n "$unique" get deployment api-service -o jsonpath='{.spec.template.spec.containers[0].image}')" "$image"

ok "the image is deleted from the registry" remove_digest "$unique-api" "$api"
ok "that is planned as a new image" plan
ok "to be created" says "1 to add"
ok "and built again" apply
is "under its tag" "$(digest "$unique-api" latest)" "$(state gpudev_image.api_service digest)"
ok "then nothing is left to do" plan -detailed-exitcode

# What exists can't be looked at: a passing fault keeps the state and warns; a mistake in the configuration is an error.
without_network() { AWS_ENDPOINT_URL_ECR=http://127.0.0.1:9 plan -target=gpudev_image.api_service; }
ok "a registry that can't be reached: the plan goes on" without_network
ok "and says that the state is kept" says "state is kept"
sed -i "s#^kubeconfig.*#kubeconfig = \"/nowhere/config\"#" "$tf/terraform.tfvars"
ok "a kubeconfig that isn't there is an error" no plan
ok "with its path" says "/nowhere/config"
sed -i "s#^kubeconfig.*#kubeconfig = \"$KUBECONFIG\"#" "$tf/terraform.tfvars"
sed -i "s#region     = var.region#region = var.region\n  profile = \"nobody\"#" "$tf/main.tf"
ok "a profile that isn't there is an error" no plan
ok "with its name" says "nobody"

finish
