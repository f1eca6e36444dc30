#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds newer etcd servers from Go modules, for the tests that run against more than Debian's 3.4:
#	etcd_versions.sh get 3.5      prints the path of the server, building it first when it is not in the cache
#	etcd_versions.sh have 3.5     prints the path only when it is there already
# Exits 1 with the reason on stderr where it cannot be had: the caller lists that test as skipped. The cache is
# outside the tree: $XDG_CACHE_HOME/wherry-testbed. Go comes from find_go.sh. A cold build takes about a minute.
set -eu

cache=${WHERRY_TESTBED:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry-testbed}

fail() {
	echo "etcd_versions.sh: $*" >&2
	exit 1
}

full_version() {
	case $1 in
	3.5) echo 3.5.21 ;;
	3.6) echo 3.6.8 ;;
	*) fail "unknown etcd version '$1': 3.5 or 3.6" ;;
	esac
}

# A module of our own: etcd's own go.mod holds replace directives, so `go install …@version` refuses it.
build() {
	version=$1 to=$2
	go=$("$(dirname "$0")"/find_go.sh) || fail "etcd $version cannot be built"
	work=$cache/module-$version
	mkdir -p "$work"
	printf 'module testbed\n\ngo 1.24.0\n\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$version" >"$work/go.mod"
	printf '//go:build tools\n\npackage tools\n\nimport _ "go.etcd.io/etcd/server/v3"\n' >"$work/tools.go"
	(
		cd "$work"
		export CGO_ENABLED=0 GOFLAGS=-mod=mod
		"$go" mod tidy && "$go" build -p 2 -trimpath -ldflags '-s -w' -o "$to.tmp" go.etcd.io/etcd/server/v3
	) >"$work/log" 2>&1 || {
		tail -5 "$work/log" >&2
		fail "etcd $version does not build here (the whole log: $work/log)"
	}
	mv "$to.tmp" "$to"
}

[ $# = 2 ] || fail "usage: etcd_versions.sh get|have 3.5|3.6"
version=$(full_version "$2")
binary=$cache/etcd-$version
case $1 in
have) [ -x "$binary" ] || fail "etcd $version is not built (tests/lib/etcd_versions.sh get $2)" ;;
get) [ -x "$binary" ] || build "$version" "$binary" ;;
*) fail "usage: etcd_versions.sh get|have 3.5|3.6" ;;
esac
echo "$binary"
