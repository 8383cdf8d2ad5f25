# The parts of the cluster: configuration and command line of each. Sourced
# inside the cluster's namespaces, where $R is the run's folder, $K is $R/kube
# and /run is the cluster's own.
# shellcheck shell=bash

# The one binary that is all parts; see make_run.
binary=/run/parts

# become COMMAND…: with an environment of its own: no proxy, AWS or kubeconfig variable of the user's gets in.
become() {
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME="$K/home" TMPDIR="$K/tmp" "$@"
}

part_etcd() {
	become "$binary" etcd --name gpudev --data-dir "$K/etcd" --unsafe-no-fsync \
		--listen-client-urls "http://127.0.0.1:$etcd_port" \
		--advertise-client-urls "http://127.0.0.1:$etcd_port" \
		--listen-peer-urls "http://127.0.0.1:$etcd_peer_port" \
		--initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer_port" \
		--initial-cluster "gpudev=http://127.0.0.1:$etcd_peer_port" "$@"
}

part_kube-apiserver() {
	become "$binary" kube-apiserver --etcd-servers "http://127.0.0.1:$etcd_port" \
		--bind-address 127.0.0.1 --secure-port "$apiserver_port" \
		--endpoint-reconciler-type none --service-cluster-ip-range 10.0.0.0/24 \
		--authorization-mode Node,RBAC --client-ca-file "$K/pki/ca.pem" \
		--token-auth-file "$K/pki/tokens.csv" \
		--tls-cert-file "$K/pki/server.pem" --tls-private-key-file "$K/pki/server.key" \
		--service-account-issuer https://kubernetes.default.svc \
		--service-account-key-file "$K/pki/service-account.pub" \
		--service-account-signing-key-file "$K/pki/service-account.key" \
		--kubelet-client-certificate "$K/pki/apiserver-kubelet.pem" \
		--kubelet-client-key "$K/pki/apiserver-kubelet.key" \
		--kubelet-certificate-authority "$K/pki/ca.pem" \
		--kubelet-preferred-address-types InternalIP \
		--audit-policy-file "$K/audit-policy.yaml" --audit-log-path "$K/log/audit.log" \
		--audit-log-mode batch --audit-log-batch-max-wait 1s \
		${emulate:+--emulated-version "$emulate"} "$@"
}

# Only the controllers that the tests need: pods come sooner.
controllers=deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller
controllers+=,resourcequota-controller,serviceaccount-controller,root-ca-certificate-publisher-controller
controllers+=,namespace-controller,garbage-collector-controller,node-lifecycle-controller
controllers+=,taint-eviction-controller,pod-garbage-collector-controller

part_kube-controller-manager() {
	local conf=$K/pki/controller-manager.conf
	become "$binary" kube-controller-manager --kubeconfig "$conf" \
		--authentication-kubeconfig "$conf" --authorization-kubeconfig "$conf" \
		--leader-elect=false --secure-port 0 --use-service-account-credentials \
		--service-account-private-key-file "$K/pki/service-account.key" \
		--root-ca-file "$K/pki/ca.pem" --kube-api-qps 200 --kube-api-burst 400 \
		--controllers "$controllers" ${emulate:+--emulated-version "$emulate"} "$@"
}

part_kube-scheduler() {
	local conf=$K/pki/scheduler.conf
	become "$binary" kube-scheduler --kubeconfig "$conf" \
		--authentication-kubeconfig "$conf" --authorization-kubeconfig "$conf" \
		--leader-elect=false --secure-port 0 ${emulate:+--emulated-version "$emulate"} "$@"
}

part_kwok() {
	local stage
	local -a stages=()
	for stage in "$K"/kwok/*.yaml; do
		stages+=(--config "$stage")
	done
	become "$binary" kwok --kubeconfig "$K/pki/kwok.conf" \
		--manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake \
		--node-lease-duration-seconds 40 "${stages[@]}" "$@"
}

# Image hosts are trusted by the run's CA alone; it is read at the first pull.
part_containerd() {
	become SSL_CERT_FILE="$R/ca.pem" SSL_CERT_DIR="$K/certs.d" \
		containerd --config "$K/containerd.toml" "$@"
}

part_kubelet() {
	become "$binary" kubelet --config "$K/kubelet.yaml" --kubeconfig "$K/pki/node.conf" \
		--hostname-override "$node" --root-dir "$K/kubelet" --cert-dir "$K/kubelet/pki" \
		--cloud-provider external \
		--image-credential-provider-config "$K/credential-provider.yaml" \
		--image-credential-provider-bin-dir "$K/credential-provider" "$@"
}

# run_part NAME [FLAG…]: starts it in the background; its pid (in the cluster's
# own pid namespace) is in pids/NAME, its further flags are in args/NAME.
run_part() {
	local name=$1
	shift
	printf '%s' "${*@Q}" >"$K/args/$name"
	echo "--- $(date -u +%FT%TZ) start" >>"$K/log/$name.log"
	("part_$name" "$@") >>"$K/log/$name.log" 2>&1 </dev/null &
	echo $! >"$K/tmp/pid" && mv "$K/tmp/pid" "$K/pids/$name"
}

write_apiserver_config() {
	cat >"$K/audit-policy.yaml" <<-YAML
	# What people and programs ask, not what the parts ask of each other.
	apiVersion: audit.k8s.io/v1
	kind: Policy
	omitStages: [RequestReceived]
	rules:
	- {level: None, users: [kwok, apiserver, "system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"]}
	- {level: None, userGroups: ["system:nodes", "system:serviceaccounts", "system:unauthenticated"]}
	- {level: Metadata}
	YAML
}

write_kubelet_config() {
	mkdir -p "$K/kubelet/plugins-exec" "$K/credential-provider"
	cat >"$K/kubelet.yaml" <<-YAML
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	address: 127.0.0.1
	port: $kubelet_port
	readOnlyPort: 0
	healthzPort: 0
	tlsCertFile: $K/pki/kubelet-server.pem
	tlsPrivateKeyFile: $K/pki/kubelet-server.key
	authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $K/pki/ca.pem}}
	authorization: {mode: AlwaysAllow}
	containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
	failCgroupV1: false
	cgroupDriver: cgroupfs
	cgroupRoot: /$cgroup
	enforceNodeAllocatable: []
	localStorageCapacityIsolation: false
	failSwapOn: false
	makeIPTablesUtilChains: false
	podLogsDir: /var/log/pods
	volumePluginDir: $K/kubelet/plugins-exec
	clusterDNS: [10.0.0.10]
	clusterDomain: cluster.local
	resolvConf: $K/resolv.conf
	# The machine's disk may be nearly full: that is no business of the tests.
	evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
	imageGCHighThresholdPercent: 100
	imageGCLowThresholdPercent: 99
	registryPullQPS: 0
	serializeImagePulls: false
	crashLoopBackOff: {maxContainerRestartPeriod: 2s}
	nodeStatusUpdateFrequency: 4s
	syncFrequency: 10s
	YAML
	cat >"$K/credential-provider.yaml" <<-YAML
	apiVersion: kubelet.config.k8s.io/v1
	kind: CredentialProviderConfig
	providers:
	- name: ecr-credentials
	  apiVersion: credentialprovider.kubelet.k8s.io/v1
	  matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr-fips.*.amazonaws.com", "*.dkr-ecr.*.on.aws"]
	  defaultCacheDuration: 0s
	  env:
	  - {name: GPUDEV_TEST_ECR_ENV, value: $R/ecr.env}
	  - {name: GPUDEV_TEST_CA, value: $R/ca.pem}
	YAML
	install -m 755 "$K/kube.d/ecr-credentials" "$K/credential-provider/"
}

# snapshotter: overlayfs where $K's file system can carry it.
snapshotter() {
	mkdir -p "$K"/tmp/overlay/{lower,upper,work,merged}
	if mount -t overlay overlay -o "lowerdir=$K/tmp/overlay/lower,upperdir=$K/tmp/overlay/upper,workdir=$K/tmp/overlay/work" \
		"$K/tmp/overlay/merged" 2>/dev/null; then
		umount "$K/tmp/overlay/merged"
		echo overlayfs
	else
		echo native
	fi
	rm -rf "$K/tmp/overlay"
}

write_containerd_config() {
	mkdir -p "$K"/cni/{bin,conf} "$K/certs.d" "$K/containerd"
	install -m 755 "$K/kube.d/cni-loopback" "$K/cni/bin/loopback"
	ln -sf loopback "$K/cni/bin/gpudev"
	echo '{"cniVersion": "0.4.0", "name": "gpudev", "plugins": [{"type": "gpudev"}]}' \
		>"$K/cni/conf/gpudev.conflist"
	local cri=io.containerd.grpc.v1.cri
	cat >"$K/containerd.toml" <<-TOML
	version = 2
	root = "$K/containerd"
	state = "/run/containerd"
	disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
	[grpc]
	  address = "/run/containerd/containerd.sock"
	[plugins."io.containerd.internal.v1.opt"]
	  path = "$K/containerd/opt"
	[plugins."$cri"]
	  sandbox_image = "gpudev.test/pause:1"
	  stream_server_address = "127.0.0.1"
	  disable_apparmor = true
	  tolerate_missing_hugetlb_controller = true
	  restrict_oom_score_adj = true
	  netns_mounts_under_state_dir = true
	[plugins."$cri".containerd]
	  snapshotter = "$(snapshotter)"
	  default_runtime_name = "runc"
	[plugins."$cri".containerd.runtimes.runc]
	  runtime_type = "io.containerd.runc.v2"
	[plugins."$cri".containerd.runtimes.runc.options]
	  SystemdCgroup = false
	  Root = "/run/containerd/runc"
	[plugins."$cri".cni]
	  bin_dir = "$K/cni/bin"
	  conf_dir = "$K/cni/conf"
	[plugins."$cri".registry]
	  config_path = "$K/certs.d"
	TOML
}
