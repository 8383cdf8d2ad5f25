# What the acceptance tests share. Sourced, bash only. Each test is a TAP program that drives the real tofu against the
# parts of tests/env; it runs within their namespaces (make testacc, or tests/env/enter DIR tests/acc/test_x.sh).
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${GPUDEV_TEST_DIR:?run this by: make testacc}" "${GPUDEV_TEST_PROVIDER:?}" "${GPUDEV_TEST_TOFU:?}"
name=$(basename "$0" .sh)
account=123456789012
region=us-east-2
ecr_host=$account.dkr.ecr.$region.amazonaws.com

# --- TAP ----------------------------------------------------------------------

count=0
failed=0

# ok TEXT COMMAND…: a test that passes when COMMAND succeeds. Its output is shown when it doesn't.
ok() {
	local text=$1 out
	shift
	count=$((count + 1))
	if out=$("$@" 2>&1); then
		echo "ok $count - $text"
	else
		echo "not ok $count - $text"
		failed=$((failed + 1))
		printf '# command: %s\n' "$*"
		[ -z "$out" ] || tail -n 40 <<<"$out" | sed 's/^/# /'
		[ ! -s "$work/out" ] || { echo "# the last output of tofu:"; tail -n 60 "$work/out" | sed 's/^/#   /'; }
	fi
}

is() { # TEXT GOT WANTED
	count=$((count + 1))
	# Two answers that are missing are not equal.
	if [ -n "$3" ] && [ "$2" = "$3" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		failed=$((failed + 1))
		printf '#   got: %s\n# wanted: %s\n' "$2" "$3"
		[ ! -s "$work/out" ] || { echo "# the last output of tofu:"; tail -n 60 "$work/out" | sed 's/^/#   /'; }
	fi
}

no() { ! "$@"; }

skip() { # TEXT WHY
	count=$((count + 1))
	echo "ok $count - $1 # SKIP $2"
}

finish() {
	local log
	for log in "$work"/asan.*; do
		[ -e "$log" ] || continue
		count=$((count + 1))
		failed=$((failed + 1))
		echo "not ok $count - the provider ends without a sanitizer's report"
		head -n 60 "$log" | sed 's/^/# /'
	done
	echo "1..$count"
	[ $failed = 0 ] || exit 1
}

# --- a configuration of one's own -----------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/gpudev-acc.XXXXXX")
cleanup() {
	local status=$?
	# Pods that stay behind cost the tests after this one their time.
	kubectl delete namespace "$unique" --ignore-not-found --wait=false >/dev/null 2>&1 || true
	rm -rf "$work"
	exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# unique: a word that no other test uses, for repositories and namespaces.
unique=$(basename "$work" | tr 'A-Z.' 'a-z-' | sed 's/^gpudev-acc-//')-$RANDOM
export HOME=$work/home XDG_CACHE_HOME=$work/home/.cache XDG_STATE_HOME=$work/home/.state
export TF_CLI_CONFIG_FILE=$work/tofurc TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1 TF_PLUGIN_CACHE_DIR=
export ASAN_OPTIONS="log_path=$work/asan:detect_leaks=1:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="log_path=$work/asan:print_stacktrace=1:halt_on_error=1"
export LSAN_OPTIONS="suppressions=$root/tests/lsan-plugin.supp:print_suppressions=0"
export NO_COLOR=1
mkdir -p "$HOME" "$work/bin" "$work/tf"
ln -s "$GPUDEV_TEST_PROVIDER" "$work/bin/terraform-provider-gpudev"
cat >"$TF_CLI_CONFIG_FILE" <<-EOF
	provider_installation {
	  dev_overrides { "gpudev/gpudev" = "$work/bin" }
	  filesystem_mirror { path = "$work/none" }
	}
EOF
tf=$work/tf

# seed: the example's tree in $tf, with repositories, workloads and namespace of this test alone.
seed() {
	cp -r "$root/examples/terraform-gpu-devservers/." "$tf/"
	sed -i "s/\"api-service\"$/\"$unique-api\"/; s/\"reservation-processor-service\"$/\"$unique-worker\"/" "$tf/main.tf"
	# The workloads keep their names, in a namespace of the test's own.
	sed -i "s/deployment = \"$unique-api\"/deployment = \"api-service\"/; s/deployment = \"$unique-worker\"/deployment = \"reservation-processor-service\"/" "$tf/main.tf"
	sed -i "s/\"gpu-controlplane\"/\"$unique\"/" "$tf/main.tf"
	sed -i "s/gpu-controlplane/$unique/; s#docker.io/library/busybox:1.36#$GPUDEV_TEST_BASE_IMAGE#" "$tf/kubernetes/workloads.yaml"
	cat >"$tf/terraform.tfvars" <<-EOF
		base_image = "$GPUDEV_TEST_BASE_IMAGE"
		kubeconfig = "$KUBECONFIG"
	EOF
}

kubectl() { "$GPUDEV_TEST_KUBECTL" "$@"; }
workloads() { kubectl apply -f "$tf/kubernetes/workloads.yaml" >/dev/null; }

# tofu COMMAND…: in $tf; the output goes to $work/out, the status is tofu's.
tofu() {
	local command=$1
	shift
	(cd "$tf" && "$GPUDEV_TEST_TOFU" "$command" -no-color "$@") >"$work/out" 2>&1
}
apply() { tofu apply -auto-approve -input=false "$@"; }
plan() { tofu plan -input=false "$@"; }
destroy() { tofu destroy -auto-approve -input=false "$@"; }

# says TEXT: the last output has it, line breaks and tofu's frame aside.
says() { flat | grep -qF -- "$1" || { echo "the output doesn't say: $1"; return 1; }; }
flat() { sed 's/^[│╷╵ ]*//' "$work/out" | tr '\n' ' ' | tr -s ' '; }
unchanged() { says "No changes." || says "0 added, 0 changed, 0 destroyed"; }

# state ADDRESS ATTRIBUTE
state() {
	(cd "$tf" && "$GPUDEV_TEST_TOFU" show -json) | python3 -c '
import json, sys
for r in json.load(sys.stdin)["values"]["root_module"]["resources"]:
    if r["address"] == sys.argv[1]:
        v = r["values"][sys.argv[2]]
        print(v if isinstance(v, str) else json.dumps(v, sort_keys=True))' "$1" "$2"
}

# --- asking the registry and the cluster --------------------------------------------

accept='application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json'
# registry CURL-ARGUMENT…: as somebody else would ask, with credentials of the registry.
registry() {
	[ -s "$work/password" ] || "$root/tests/acc/aws" ecr get-login-password --region $region >"$work/password"
	curl -fsS -u "AWS:$(cat "$work/password")" -H "Accept: $accept" "$@"
}
# digest REPOSITORY TAG: what the registry says.
digest() {
	local said
	said=$(registry -I "https://$ecr_host/v2/$1/manifests/$2" | tr -d '\r' | awk -F': ' 'tolower($1) == "docker-content-digest" {print $2}')
	[ -n "$said" ] && echo "$said"
}

# The digests that the ready pods of a deployment run, one a line. The repository is the node's choice where several
# have the same image.
running_digests() { # DEPLOYMENT
	kubectl -n "$unique" get pods -l "app=$1" -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.deletionTimestamp}{" "}{.status.containerStatuses[0].imageID}{"\n"}{end}' |
		awk 'NF == 1 {print $1}' | sed 's/.*@//' | sort -u
}

# requests OP: how many of these the front of the local ECR has seen for this test's repositories.
requests() { curl -fsS "$GPUDEV_TEST_ECR_CONTROL/requests?op=^$1\$&path=$unique" | wc -l; }
# fault JSON-MEMBERS: what the front does with requests to come for this test's repositories alone.
fault() { curl -fsS -d "{\"path\": \"$unique\", $1}" "$GPUDEV_TEST_ECR_CONTROL/faults" >/dev/null; }

# move_tag REPOSITORY TAG DIGEST
move_tag() {
	local type
	registry -D "$work/h" -o "$work/m" "https://$ecr_host/v2/$1/manifests/$3" &&
		type=$(tr -d '\r' <"$work/h" | awk -F': ' 'tolower($1) == "content-type" {print $2}') &&
		registry -X PUT -H "Content-Type: $type" --data-binary "@$work/m" "https://$ecr_host/v2/$1/manifests/$2"
}
# remove_tag REPOSITORY TAG
remove_tag() { "$root/tests/acc/aws" ecr batch-delete-image --region $region --repository-name "$1" --image-ids "imageTag=$2"; }
# remove_digest REPOSITORY DIGEST: with all its tags
remove_digest() { "$root/tests/acc/aws" ecr batch-delete-image --region $region --repository-name "$1" --image-ids "imageDigest=$2"; }
