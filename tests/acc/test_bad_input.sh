#!/usr/bin/env bash
# What bad input gets: a clear diagnostic at the attribute, at the earliest step that can know, and nothing half-done.
. "$(dirname "$0")/lib.sh"

seed
cp "$tf/main.tf" "$work/good.tf"
head='terraform {
  required_providers { gpudev = { source = "gpudev/gpudev" } }
}
variable "base_image" {}
variable "kubeconfig" {}
'
provider="provider \"gpudev\" {
  region     = \"$region\"
  kubernetes = { config_path = var.kubeconfig }
}"

# image LINES: a configuration with one image; later lines win over the defaults below.
image() {
	local defaults="" line
	for line in "repository = \"$unique-bad\"" 'dockerfile = "api-service/Dockerfile"' 'build_args = { BASE = var.base_image }'; do
		grep -q "^ *${line%% *} *=" <<<"$1" || defaults+="  $line"$'\n'
	done
	printf '%s\n%s\nresource "gpudev_image" "x" {\n%s%s\n}\n' "$head" "$provider" "$defaults" "$1" >"$tf/main.tf"
}
rollout() {
	printf '%s\n%s\nresource "gpudev_rollout" "x" {\n  namespace = "%s"\n%s\n}\n' "$head" "$provider" "$unique" "$1" >"$tf/main.tf"
}

# refused STEP TEXT WORDS…: STEP fails, and says all of the words.
refused() {
	local step=$1 text=$2 word
	shift 2
	ok "$text: $step refuses" no "$step"
	for word in "$@"; do ok "$text: says «$word»" says "$word"; done
}
validate() { tofu validate; }

# --- validate ---------------------------------------------------------------------

image 'repository = "API_Service"'
refused validate "an upper-case repository" "API_Service" "lower-case" "repository ="
image 'repository = "api:v1"'
refused validate "a tag in the repository" "tags"
image 'tags = ["not a tag"]'
refused validate "a bad tag" "not a tag" "128"
image 'tags = []'
refused validate "no tags" "at least one tag"
image 'tags = ["a", "a"]'
refused validate "a tag twice" "more than once"
image 'timeouts = { create = "soon" }'
refused validate "a bad duration" "soon" "10m"
image 'keep_last = -1'
refused validate "a negative keep_last" "keep_last"
rollout 'deployment = "a"
  stateful_set = "b"'
refused validate "two workloads" "deployment" "stateful_set"
rollout ''
refused validate "no workload" "deployment" "daemon_set"

# --- plan: the sources ------------------------------------------------------------

image 'context = "nowhere"'
refused plan "a context that isn't there" "nowhere" "path.module"
image 'context = "main.tf"'
refused plan "a context that is a file" "is a file"
image 'dockerfile = "api-service/Dockerfil"'
refused plan "a Dockerfile that isn't there" "api-service/Dockerfil" "relative to the context"
image 'context = "api-service"
  dockerfile = "Dockerfile"'
refused plan "a source one folder up" "shared" "one folder up" "path.module"
image 'target = "nope"'
refused plan "a target that isn't there" "nope"
cp "$tf/api-service/Dockerfile" "$work/Dockerfile"
sed -i 's/^COPY shared/COPPY shared/' "$tf/api-service/Dockerfile"
image ''
refused plan "a Dockerfile with a syntax error" "api-service/Dockerfile:4" "COPPY"
cp "$work/Dockerfile" "$tf/api-service/Dockerfile"

# --- plan: AWS ----------------------------------------------------------------------

with_provider() { provider="provider \"gpudev\" {
$1
}"; }
saved=$provider
with_provider ''
image ''
files=$(env | grep -E '^AWS_(CONFIG|SHARED_CREDENTIALS)_FILE=')
export AWS_CONFIG_FILE=/nonexistent AWS_SHARED_CREDENTIALS_FILE=/nonexistent
unset AWS_REGION AWS_DEFAULT_REGION
refused plan "no region" "region" "AWS_REGION"
with_provider 'region = "us east"'
image ''
refused validate "a bad region" "us east"
with_provider "region = \"$region\"
  profile = \"nobody\""
image ''
refused plan "a profile that isn't there" "nobody"
provider=$saved
image ''
keys=$(env | grep -E '^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)=')
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
refused plan "no credentials" "credentials" "AWS_ACCESS_KEY_ID"
while IFS= read -r line; do export "${line?}"; done <<<"$files"
export AWS_ACCESS_KEY_ID=AKIAWRONGWRONGWRONG1 AWS_SECRET_ACCESS_KEY=not-the-secret
refused plan "wrong credentials" "AKIAWRONGWRONGWRONG1 (from the environment) is not accepted" "secret key"
ok "the secret isn't shown" no grep -q 'not-the-secret' "$work/out"
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
with_provider "region = \"$region\"
  profile = \"expired\""
image ''
refused plan "an expired token" "expired"
with_provider "region = \"$region\"
  profile = \"denied\""
image ''
ok "a user without rights: the plan warns" plan
ok "with the action" says "ecr:DescribeRepositories"
refused apply "a user without rights" "ecr:"
provider=$saved
while IFS= read -r line; do export "${line?}"; done <<<"$keys"

# --- plan and apply: the builder ---------------------------------------------------------

with_provider "region = \"$region\"
  docker = { host = \"unix:///nowhere/docker.sock\" }"
image ''
ok "an engine that isn't there: the plan warns" plan
ok "with the socket" says "/nowhere/docker.sock"
refused apply "an engine that isn't there" "/nowhere/docker.sock"
ok "and nothing was made" no "$root/tests/acc/aws" ecr describe-repositories --region $region --repository-names "$unique-bad"
provider=$saved

# --- plan: an immutable repository ---------------------------------------------------------

"$root/tests/acc/aws" ecr create-repository --region $region --repository-name "$unique-fixed" --image-tag-mutability IMMUTABLE >/dev/null
image "repository = \"$unique-fixed\""
ok "the first push to an immutable repository works" apply
ok "with a warning" says "immutable"
cp "$tf/api-service/main.sh" "$work/main.sh"
echo "# edited" >>"$tf/api-service/main.sh"
refused plan "an immutable repository with latest" "immutable" "latest"
cp "$work/main.sh" "$tf/api-service/main.sh"
ok "nothing changed" plan -detailed-exitcode
ok "destroy" destroy

# --- the cluster --------------------------------------------------------------------------

kubectl create namespace "$unique" >/dev/null
kubectl -n "$unique" create deployment web --image="$GPUDEV_TEST_BASE_IMAGE" -- sleep 3600 >/dev/null
rollout 'deployment = "web"
  images = { app = "127.0.0.1/x:1" }'
refused plan "a container that the workload doesn't have" "app" "busybox"
rollout 'deployment = "nothing"
  images = { app = "127.0.0.1/x:1" }'
ok "a workload that isn't there: the plan warns" plan
ok "with its name" says "nothing"
refused apply "a workload that isn't there" "nothing"
good=$KUBECONFIG
printf 'base_image = "x"\nkubeconfig = "/nowhere/config"\n' >"$tf/terraform.tfvars"
refused plan "a kubeconfig that isn't there" "/nowhere/config"
printf 'base_image = "x"\nkubeconfig = "%s"\n' "$tf/bad.conf" >"$tf/terraform.tfvars"
printf 'apiVersion: v1\nkind: Config\nclusters: [\n' >"$tf/bad.conf"
refused plan "a kubeconfig that is no YAML" "bad.conf"
sed 's#server: .*#server: https://127.0.0.1:1#' "$good" >"$tf/bad.conf"
refused plan "a cluster that can't be reached" "127.0.0.1:1"
printf 'base_image = "x"\nkubeconfig = "%s"\n' "$good" >"$tf/terraform.tfvars"
with_provider "kubernetes = { config_path = var.kubeconfig, context = \"nobody\" }"
rollout 'deployment = "web"'
refused plan "a context that isn't there" "nobody"
with_provider "kubernetes = { config_path = \"$GPUDEV_TEST_KUBE_DIR/none.conf\" }"
rollout 'deployment = "web"
  images = { busybox = "127.0.0.1/x:1" }'
refused plan "a user without rights" "forbidden"

finish
