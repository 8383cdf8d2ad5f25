#!/usr/bin/env bash
# One image, one rollout by -target; code and infrastructure in one apply.
. "$(dirname "$0")/lib.sh"

seed
workloads

ok "one image by -target" apply -target=gpudev_image.api_service
ok "alone is created" says "1 added, 0 changed, 0 destroyed"
ok "the other repository isn't there" no digest "$unique-worker" latest
ok "one rollout by -target brings what it needs" apply -target=gpudev_rollout.api_service
ok "and that is all" says "1 added, 0 changed, 0 destroyed"
api=$(state gpudev_image.api_service digest)
is "the pods run the digest" "$(running_digests api-service)" "$api"
ok "the rest by a plain apply" apply
ok "is the other service" says "2 added, 0 changed, 0 destroyed"
ok "then nothing is left to do" plan -detailed-exitcode

# A third service appears together with an edit of the first one, and a value that is known only at apply.
mkdir "$tf/reporter"
sed 's/api-service/reporter/' "$tf/api-service/Dockerfile" >"$tf/reporter/Dockerfile"
sed 's/api-service/reporter/' "$tf/api-service/main.sh" >"$tf/reporter/main.sh"
echo "# edited" >>"$tf/api-service/main.sh"
cat >>"$tf/main.tf" <<-EOF
	resource "terraform_data" "release" { input = "r1" }
	resource "gpudev_image" "reporter" {
	  repository = "$unique-reporter"
	  context    = path.module
	  dockerfile = "reporter/Dockerfile"
	  build_args = { BASE = var.base_image }
	  tags       = ["latest", "stable"]
	  triggers   = { release = terraform_data.release.id }
	}
EOF
ok "code and infrastructure in one apply" apply
ok "do what is new and what is edited" says "2 added, 2 changed, 0 destroyed"
is "both tags are on the new image" "$(digest "$unique-reporter" stable)" "$(digest "$unique-reporter" latest)"
ok "then nothing is left to do" plan -detailed-exitcode

finish
