#!/usr/bin/env bash
# Ctrl-C during a build and during a wait; a killed provider; a killed tofu. The next apply converges.
. "$(dirname "$0")/lib.sh"

# in_background COMMAND…: tofu in a process group of its own, as a terminal gives it.
in_background() {
	(cd "$tf" && exec setsid "$GPUDEV_TEST_TOFU" "$@" -no-color -auto-approve -input=false) >"$work/out" 2>&1 &
	pid=$!
}
# until_ TEXT SECONDS COMMAND…
until_() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}
providers() { pgrep -s "$(ps -o sid= -p "$pid" | tr -d ' ')" -f terraform-provider-gpudev; }
engine_runs() { pgrep -f "sleep $marker"; }
log_has() { grep -rqs "$1" "$XDG_STATE_HOME/gpudev/logs"; }

seed
workloads
ok "a first apply" apply
api=$(state gpudev_image.api_service digest)

marker=98765$RANDOM
sed -i "/^RUN/a RUN sleep $marker" "$tf/api-service/Dockerfile"
in_background apply -target=gpudev_image.api_service
ok "a long step runs" until_ 60 engine_runs
kill -INT -- "-$pid"
start=$SECONDS
wait "$pid"
is "Ctrl-C ends the apply with an error" $? 1
ok "within some seconds" test $((SECONDS - start)) -le 10
ok "it says that it was cancelled" says "ancelled"
ok "the step is ended on the builder" until_ 5 no engine_runs
is "the tag stays" "$(digest "$unique-api" latest)" "$api"
is "the state stays" "$(state gpudev_image.api_service digest)" "$api"

in_background apply -target=gpudev_image.api_service
ok "the long step runs again" until_ 60 engine_runs
kill -KILL "$(providers | head -n 1)"
wait "$pid"
is "a killed provider fails the apply" $? 1
ok "the step is ended on the builder" until_ 10 no engine_runs
is "the state stays" "$(state gpudev_image.api_service digest)" "$api"

in_background apply -target=gpudev_image.api_service
ok "the long step runs once more" until_ 60 engine_runs
left=$(providers)
kill -KILL "$pid"
wait "$pid" 2>/dev/null
gone() { local p; for p in $left; do [ ! -e "/proc/$p" ] || return 1; done; }
ok "after a killed tofu the provider ends" until_ 10 gone
ok "and the step" until_ 10 no engine_runs
rm -f "$tf/.terraform.tfstate.lock.info"
sed -i "/sleep $marker/d" "$tf/api-service/Dockerfile"
ok "then everything is as it was" plan -detailed-exitcode

# The wait for pods that never become ready.
cat >"$work/patch" <<-EOF
	[{"op":"add","path":"/spec/template/spec/containers/0/readinessProbe","value":{"exec":{"command":["/bin/false"]},"periodSeconds":1}}]
EOF
kubectl -n "$unique" patch deployment api-service --type=json --patch-file "$work/patch" >/dev/null
echo "# edited" >>"$tf/api-service/main.sh"
in_background apply
changed() { [ "$(kubectl -n "$unique" get deployment api-service -o jsonpath='{.spec.template.spec.containers[0].image}')" != "$ecr_host/$unique-api@$api" ]; }
ok "a rollout is waited for" until_ 90 changed
sleep 1
kill -INT -- "-$pid"
start=$SECONDS
wait "$pid"
is "Ctrl-C ends the wait with an error" $? 1
ok "within some seconds" test $((SECONDS - start)) -le 10
ok "the unfinished rollout is planned again" no plan -detailed-exitcode
kubectl -n "$unique" patch deployment api-service --type=json -p '[{"op":"remove","path":"/spec/template/spec/containers/0/readinessProbe"}]' >/dev/null
ok "and the next apply finishes it" apply
ok "then nothing is left to do" plan -detailed-exitcode
is "the pods run what the state says" "$(running_digests api-service)" "$(state gpudev_image.api_service digest)"

finish
