# The cluster's own cgroup: every pod lives below /NAME in each hierarchy, so
# that nothing of the machine's is limited and all of it can be found again.
# Works for cgroup v1 (one tree per controller) and v2 (one tree).
# shellcheck shell=bash

cgroup_mount=/sys/fs/cgroup

cgroup_is_v2() {
	[ "$(stat -fc %T $cgroup_mount)" = cgroup2fs ]
}

# cgroup_trees: the root of every hierarchy, one a line.
cgroup_trees() {
	if cgroup_is_v2; then
		echo $cgroup_mount
		return
	fi
	local tree
	for tree in $cgroup_mount/*/; do
		# cpu -> cpu,cpuacct and the like are links to the same tree
		[ -L "${tree%/}" ] || [ ! -e "$tree/cgroup.procs" ] || echo "${tree%/}"
	done
}

# cgroup_make NAME: makes /NAME ready for the kubelet to use as cgroupRoot.
cgroup_make() {
	if cgroup_is_v2; then
		cgroup_enable_v2 $cgroup_mount || return
		mkdir -p "$cgroup_mount/$1" || return
		cgroup_enable_v2 "$cgroup_mount/$1"
		return
	fi
	local tree
	for tree in $(cgroup_trees); do
		mkdir -p "$tree/$1" || return
		# A cpuset without processors and memory takes no process.
		if [ -e "$tree/$1/cpuset.cpus" ]; then
			[ -s "$tree/cpuset.cpus" ] || continue
			cat "$tree/cpuset.cpus" >"$tree/$1/cpuset.cpus" || return
			cat "$tree/cpuset.mems" >"$tree/$1/cpuset.mems" || return
		fi
	done
}

# cgroup_enable_v2 DIR: passes every controller of DIR on to its children.
cgroup_enable_v2() {
	local controller missing=
	for controller in $(<"$1/cgroup.controllers"); do
		case " $(<"$1/cgroup.subtree_control") " in
		*" $controller "*) ;;
		*) missing+=" $controller" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	# In a container the "root" is an ordinary cgroup: while it holds
	# processes it can't have children with controllers. They move aside.
	if [ "$1" = $cgroup_mount ] && [ -e "$1/cgroup.type" ] && [ -s "$1/cgroup.procs" ]; then
		mkdir -p "$1/init" || return
		local pid
		while read -r pid; do
			echo "$pid" >"$1/init/cgroup.procs" 2>/dev/null || true
		done <"$1/cgroup.procs"
	fi
	for controller in $missing; do
		# One that the kernel won't hand out (rdma, misc) isn't needed.
		echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
	done
}

# cgroup_pids NAME: the processes that live below /NAME.
cgroup_pids() {
	local tree
	for tree in $(cgroup_trees); do
		[ -d "$tree/$1" ] || continue
		find "$tree/$1" -name cgroup.procs -exec cat {} + 2>/dev/null
	done | sort -un
}

# cgroup_remove NAME: kills what is left below /NAME and removes it; the kernel
# lets go of a cgroup only a moment after its last process, so it tries for 10 s.
cgroup_remove() {
	local tries tree pid left
	for ((tries = 0; tries < 100; tries++)); do
		for pid in $(cgroup_pids "$1"); do
			kill -KILL "$pid" 2>/dev/null
		done
		left=0
		for tree in $(cgroup_trees); do
			[ -d "$tree/$1" ] || continue
			find "$tree/$1" -depth -type d -exec rmdir {} \; 2>/dev/null
			[ ! -d "$tree/$1" ] || left=1
		done
		[ $left = 1 ] || return 0
		sleep 0.1
	done
	echo "kube: the cgroup /$1 can't be removed" >&2
	return 1
}
