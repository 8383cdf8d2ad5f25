# What runs, with parts.sh, as process 1 of the cluster's own mount and pid
# namespaces: it makes the surroundings, starts the parts in order and then only
# reaps. Killing it ends every part, shim and container, and their mounts.
# shellcheck shell=bash

# phase TEXT: what "kube start" says when it takes long.
phase() {
	echo "$1" >"$K/phase"
}

fail() {
	echo "kube: $*" >&2
	echo "$*" >"$K/failed"
	exit 1
}

# hold SECONDS WHAT COMMAND…: until COMMAND succeeds.
hold() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	phase "$what"
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || fail "waited in vain for: $what"
		check_parts
		sleep 0.1
	done
}

# check_parts: a part that died while the cluster comes up ends the attempt.
check_parts() {
	local file
	for file in "$K"/pids/*; do
		kill -0 "$(<"$file")" 2>/dev/null ||
			fail "${file##*/} ended: $(grep -v '^ *--' "$K/log/${file##*/}.log" | tail -n 3)"
	done
}

# api METHOD PATH [FILE]: a request that isn't audited.
api() {
	curl -fsS --max-time 10 --cacert "$K/pki/ca.pem" --cert "$K/pki/kwok.pem" --key "$K/pki/kwok.key" \
		-X "$1" ${3:+-H 'Content-Type: application/json' --data-binary "@$3"} "$server$2"
}

# make_run DIR BINARY: a /run of our own over the machine's, since containerd and
# its shims have fixed paths there, and unix sockets want short ones. In it the
# run's folder is at $R and the parts' binary at $binary.
make_run() {
	mount --make-rprivate / || return
	mkdir -p "$1/kube/run" || return
	mount -t tmpfs -o mode=755 tmpfs "$1/kube/run" || return
	mkdir -p "$1"/kube/run/{gpudev,containerd,lock} || return
	mount -n --bind "$1" "$1/kube/run/gpudev" || return
	mount -n --move "$1/kube/run" /run || return
	# Name look-ups never leave the machine.
	echo 'nameserver 127.255.255.254' >"$K/resolv.conf"
	local resolv
	resolv=$(readlink -m /etc/resolv.conf)
	mkdir -p "${resolv%/*}"
	[ -e "$resolv" ] || : >"$resolv"
	mount -n --bind "$K/resolv.conf" "$resolv" || return
	mkdir -p "$K"/varlog/{pods,containers} || return
	mount -n --bind "$K/varlog" /var/log || return
	# The kubelet's device plugins and containerd's CNI results have fixed paths
	# there; the machine's own /var/lib is needed for nothing.
	: >$binary && mount -n --bind "$2" $binary || return
	mount -n -t tmpfs -o mode=755 tmpfs /var/lib
}

# The kubelet sets these for the whole machine: it gets files that say so already.
shield_sysctls() {
	local name value
	mkdir -p "$K/sysctl" || return
	while read -r name value; do
		echo "$value" >"$K/sysctl/${name##*/}"
		mount -n --bind "$K/sysctl/${name##*/}" "/proc/sys/$name" || return
	done <<-LIST
	vm/overcommit_memory 1
	kernel/panic 10
	kernel/panic_on_oops 1
	LIST
}

# The real node; the kubelet itself refuses a loopback address.
node_json() {
	cat <<-JSON
	{"apiVersion": "v1", "kind": "Node",
	 "metadata": {"name": "$node", "labels": {"gpudev.test/node": "real", "kubernetes.io/hostname": "$node"}},
	 "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "$node"}]}}
	JSON
}

# The simulated node has a GPU; a taint keeps pods away that don't ask for it,
# unless it is the only node.
sim_node_json() {
	local taints='{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}'
	[ "$kubelet" = 1 ] || taints=
	cat <<-JSON
	{"apiVersion": "v1", "kind": "Node",
	 "metadata": {"name": "$sim_node", "annotations": {"kwok.x-k8s.io/node": "fake"},
	              "labels": {"gpudev.test/node": "sim", "kubernetes.io/hostname": "$sim_node", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "kwok"}},
	 "spec": {"taints": [$taints]},
	 "status": {"capacity": {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "1"},
	            "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "1"}}}
	JSON
}

# create_node NAME FILE: unless it is there from an earlier start.
create_node() {
	api GET "/api/v1/nodes/$1" >/dev/null 2>&1 || api POST /api/v1/nodes "$2" >/dev/null
}

node_ready() {
	api GET "/api/v1/nodes/$1" | tr -d ' \n' | grep -q '"type":"Ready","status":"True"'
}

start_runtime() {
	shield_sysctls || fail "the kernel settings can't be shielded"
	write_containerd_config
	write_kubelet_config
	run_part containerd
}

import_pause() {
	ctr -a /run/containerd/containerd.sock -n k8s.io images import "$K/pause.tar" >>"$K/log/containerd.log" 2>&1
}

start_kubelet() {
	hold 60 "containerd" import_pause
	create_node "$node" <(node_json) || fail "the Node $node was not created"
	run_part kubelet
}

# revive: starts what ended by itself, as systemd would: a kubelet leaves when
# containerd was away. What "kube kill" ended has no pid file any more.
revive() {
	local file pid
	for file in "$K"/pids/*; do
		pid=$(cat "$file" 2>/dev/null) && [ -n "$pid" ] || continue
		kill -0 "$pid" 2>/dev/null && continue
		[ "$(cat "$file" 2>/dev/null)" != "$pid" ] || eval "run_part ${file##*/} $(<"$K/args/${file##*/}")"
	done
}

# inside_main DIR BINARY
inside_main() {
	make_run "$1" "$2" || fail "no private /run"
	mkdir -p "$K"/{home,tmp,log,pids,args,etcd}
	chmod 700 "$K/etcd"
	rm -f "$K"/pids/*
	write_apiserver_config
	run_part etcd
	[ "$kubelet" = 0 ] || start_runtime
	run_part kube-apiserver
	hold 120 "the API server" api GET /readyz
	run_part kube-controller-manager
	run_part kube-scheduler
	create_node "$sim_node" <(sim_node_json) || fail "the Node $sim_node was not created"
	run_part kwok
	[ "$kubelet" = 0 ] || start_kubelet
	hold 60 "the default service account" api GET /api/v1/namespaces/default/serviceaccounts/default -o /dev/null
	hold 90 "the Node $sim_node" node_ready "$sim_node"
	[ "$kubelet" = 0 ] || hold 120 "the Node $node" node_ready "$node"
	phase ready
	touch "$K/ready"
	exec 1>&- 2>&-
	# Process 1 adopts the shims and whatever they leave: the shell collects it.
	while sleep 1; do
		revive
	done
}
