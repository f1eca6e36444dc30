#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Python package check-jsonschema, in an environment of its own outside the tree ($XDG_CACHE_HOME/wherry-testbed):
#	check_jsonschema.sh get       prints the path of the program, installing it first when it is not there
#	check_jsonschema.sh have      prints the path only when it is there already
# Exits 1 with the reason on stderr where it cannot be had: the caller lists that test as skipped.
set -eu

cache=${WHERRY_TESTBED:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry-testbed}
program=$cache/check-jsonschema/bin/check-jsonschema

fail() {
	echo "check_jsonschema.sh: $*" >&2
	exit 1
}

case ${1:-} in
have) [ -x "$program" ] || fail "check-jsonschema is not installed: tests/lib/check_jsonschema.sh get" ;;
get)
	if [ ! -x "$program" ]; then
		mkdir -p "$cache"
		python3 -m venv "$cache/check-jsonschema" >/dev/null 2>&1 || fail "python3 has no venv module (python3-venv)"
		"$cache/check-jsonschema/bin/pip" -q install check-jsonschema >"$cache/check-jsonschema.log" 2>&1 ||
			fail "the package check-jsonschema cannot be installed"
	fi
	;;
*) fail "usage: check_jsonschema.sh get|have" ;;
esac
echo "$program"
