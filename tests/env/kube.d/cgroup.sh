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
		cgroup_make_room || return
		cgroup_enable $cgroup_mount >>"$K/cgroup-enabled" || return
		mkdir -p "$cgroup_mount/$1" || return
		cgroup_enable "$cgroup_mount/$1" >/dev/null
		return
	fi
	local tree
	for tree in $(cgroup_trees); do
		mkdir -p "$tree/$1" || return
		# A cpuset without processors and memory takes no process.
		if [ -e "$tree/$1/cpuset.cpus" ]; then
			cat "$tree/cpuset.cpus" >"$tree/$1/cpuset.cpus" || return
			cat "$tree/cpuset.mems" >"$tree/$1/cpuset.mems" || return
		fi
	done
}

# cgroup_make_room: v2 in a container, where the "root" is an ordinary cgroup:
# while it holds processes its children get no controllers. They move aside.
cgroup_make_room() {
	[ -e $cgroup_mount/cgroup.type ] && [ -n "$(<$cgroup_mount/cgroup.procs)" ] || return 0
	mkdir -p $cgroup_mount/init || return
	local pid
	while read -r pid; do
		echo "$pid" >$cgroup_mount/init/cgroup.procs || true # it may have ended
	done 2>/dev/null <$cgroup_mount/cgroup.procs
}

# cgroup_enable DIR: passes on to DIR's children what the kubelet asks for, as
# far as the kernel has it; prints those that were not passed on before.
cgroup_enable() {
	local controller
	for controller in cpu cpuset memory pids hugetlb; do
		grep -qw $controller "$1/cgroup.controllers" || continue
		grep -qw $controller "$1/cgroup.subtree_control" && continue
		echo "+$controller" >"$1/cgroup.subtree_control" || return
		echo $controller
	done
}

# cgroup_restore: takes back what cgroup_enable changed for the whole machine,
# unless somebody (another cluster) uses it by now.
cgroup_restore() {
	[ -s "$K/cgroup-enabled" ] && cgroup_is_v2 || return 0
	local controller
	while read -r controller; do
		echo "-$controller" >$cgroup_mount/cgroup.subtree_control || true
	done 2>/dev/null <"$K/cgroup-enabled"
	rm -f "$K/cgroup-enabled"
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
