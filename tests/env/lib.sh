# What the scripts of the test environment share. Sourced, bash only.
#
# Everything of a run lies below one folder, DIR; a part has DIR/PART/ with its
# data, logs and pid files, and tells clients in DIR/PART.env what they need.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../tools
part=${part:-${0##*/}}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
	echo "$part: $*" >&2
}

die() {
	say "$@"
	exit 1
}

# usage: the comment at the top of the script.
usage() {
	sed -n '2,/^set/{s/^# \{0,1\}//p}' "$0" >&2
	exit 2
}

# use DIR: sets $dir (absolute) and $S, the part's own folder.
use() {
	[ -n "${1:-}" ] || usage
	mkdir -p "$1"
	dir=$(cd "$1" && pwd -P)
	# The engines' sockets are in it, and a socket's path has 107 bytes.
	[ ${#dir} -le 80 ] || die "$dir: the path is too long, 80 bytes at most"
	S=$dir/$part
}

# alone COMMAND…: start and stop of one part in one DIR never run side by side;
# the lock is held until this script ends.
alone() {
	mkdir -p "$S"
	exec 9>"$S/lock"
	flock 9
	"$@"
}

# --- processes -----------------------------------------------------------------

# A pid file holds the pid and the process's start time: pids are used again.
# life PID: its start time, unless it is gone or waits only to be collected.
life() {
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}

# alive FILE: prints the pid when the process of a pid file lives.
alive() {
	local pid since
	read -r pid since 2>/dev/null <"$1" || return 1
	[ -n "$since" ] && [ "$(life "$pid")" = "$since" ] && echo "$pid"
}

# launch NAME COMMAND…: in the background, its output in $S/NAME.log and its
# pid in $S/NAME.pid; it outlives this script.
launch() {
	local name=$1
	shift
	setsid "$@" >"$S/$name.log" 2>&1 </dev/null 9>&- &
	echo "$! $(life $!)" >"$S/$name.pid"
	disown
}

# await SECONDS NAME WHAT COMMAND…: until COMMAND succeeds; fails when the
# process NAME ends before, or when it takes too long.
await() {
	local end=$((SECONDS + $1)) name=$2 what=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		alive "$S/$name.pid" >/dev/null && [ $SECONDS -lt $end ] || {
			say "$what did not come up; the end of $S/$name.log:"
			tail -n 20 "$S/$name.log" >&2
			return 1
		}
		sleep 0.05
	done
}

# gone PID SECONDS
gone() {
	local tries=$(($2 * 20))
	while [ -n "$(life "$1")" ] && [ $((tries--)) -gt 0 ]; do
		sleep 0.05
	done
	[ -z "$(life "$1")" ]
}

# end NAME SECONDS: SIGTERM, after SECONDS SIGKILL.
end() {
	local pid
	if pid=$(alive "$S/$1.pid"); then
		kill -TERM "$pid" 2>/dev/null || true
		gone "$pid" "$2" || kill -KILL "$pid" 2>/dev/null || true
		gone "$pid" 5 || die "process $pid ($1) does not end"
	fi
	rm -f "$S/$1.pid"
}

# ec_key FILE: a new P-256 key.
ec_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1" 2>/dev/null
}

# end_pid_namespace NAME SECONDS: the process NAME is an `unshare --kill-child`
# whose child is the first of a pid namespace. The child gets SIGTERM, and takes
# everything in there along when it ends.
end_pid_namespace() {
	local pid first
	if pid=$(alive "$S/$1.pid"); then
		read -r first _ <"/proc/$pid/task/$pid/children" 2>/dev/null || first=
		if [ -n "$first" ]; then
			kill -TERM "$first" 2>/dev/null || true
			gone "$first" "$2" || kill -KILL "$first" 2>/dev/null || true
			gone "$first" 5 || die "process $first ($1) does not end"
		fi
	fi
	end "$1" 1
}

# become COMMAND…: with an environment of the part's own, nothing of the user's.
become() {
	mkdir -p "$S/home" "$S/tmp"
	exec env -i PATH="$S/bin":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME="$S/home" TMPDIR="$S/tmp" SSL_CERT_FILE="$dir/ca.pem" SSL_CERT_DIR="$S/home" \
		OTEL_SDK_DISABLED=true OTEL_TRACES_EXPORTER=none "$@"
}

# private_run RESOLV_CONF: within a mount namespace, a /run of its own: daemons
# have fixed paths there. /etc/resolv.conf may be a link into the old one.
private_run() {
	mount -n -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/lock
	local resolv
	resolv=$(readlink -m /etc/resolv.conf)
	case $resolv in
	/run/*)
		mkdir -p "${resolv%/*}"
		: >"$resolv"
		mount -n --bind "$1" "$resolv"
		;;
	esac
}

# --- the run's namespaces ---------------------------------------------------------

# in_ns: whether this process is in the namespaces of $dir.
in_ns() {
	local pid
	pid=$(alive "$dir/ns/holder.pid") && [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ]
}

# need_ns: the part runs in the namespaces of its DIR, which must be there.
need_ns() {
	local pid
	pid=$(alive "$dir/ns/holder.pid") || die "$dir has no namespaces yet: $here/ns start $dir"
	in_ns || exec nsenter --target "$pid" --mount --net --wd="$PWD" -- "$0" "$@"
}

# environment: the variables of every part that runs, one NAME=VALUE a line.
environment() {
	local file engine
	for file in "$dir"/*.env; do
		[ ! -e "$file" ] || cat "$file"
	done
	# The engine that one gets without asking for one.
	for engine in engine20 engine29; do
		[ -e "$dir/$engine.env" ] || continue
		sed -n 's/^GPUDEV_TEST_ENGINE[0-9]*=/DOCKER_HOST=/p' "$dir/$engine.env"
		break
	done
}
