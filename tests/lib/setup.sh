#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building and testing wherry needs, when they are missing: as root, or through
# sudo where it asks for no password. Where neither is possible it says what to install and exits 1.
set -eu

build='gcc libc6-dev cmake ninja-build pkg-config libyaml-dev libcurl4-openssl-dev libjson-c-dev liblua5.4-dev libssl-dev libarchive-dev zlib1g-dev libwslay-dev'
demo='etcd-server etcd-client'
test='clang libcmocka-dev strace openssl graphviz zsh fish bash-completion python3 python3-venv git ca-certificates'
node='containernetworking-plugins busybox-static iptables conntrack iproute2'
# a machine with another vendor's containerd keeps it: Debian's would take its place
command -v containerd >/dev/null 2>&1 || node="$node containerd"
command -v runc >/dev/null 2>&1 || node="$node runc"

fail() {
	echo "tests/lib/setup.sh: $*" >&2
	exit 1
}

case ${1:-all} in
build) wanted="$build $demo" ;;
all) wanted="$build $demo $test $node" ;;
*) fail "usage: setup.sh [build|all]" ;;
esac

is_there() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The sanitizers' and the fuzzer's run-time library has the compiler's version in its name.
clang_runtime() {
	version=$(dpkg-query -W -f '${Depends}' clang 2>/dev/null || apt-cache show clang 2>/dev/null | sed -n 's/^Depends: //p')
	version=$(printf '%s\n' "$version" | grep -o 'clang-[0-9]*' | head -1)
	echo "libclang-rt-${version#clang-}-dev"
}

missing() {
	for package in $wanted; do
		is_there "$package" || printf '%s ' "$package"
	done
	case " $wanted " in
	*' clang '*) ! is_there clang || is_there "$(clang_runtime)" || clang_runtime ;;
	esac
}

command -v dpkg-query >/dev/null 2>&1 ||
	fail "this is not a Debian system; what is needed there are the like of: $wanted"

# What has no package of Debian's; a test that lacks it is skipped, so this is no failure.
unpackaged() {
	[ "$1" != all ] || "$(dirname "$0")"/check_jsonschema.sh get >/dev/null || true
}

lacking=$(missing)
if [ -z "$lacking" ]; then
	unpackaged "${1:-all}"
	exit 0
fi

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	as_root='sudo -n'
else
	fail "packages are missing, and neither root nor sudo without a password is at hand; as root, run:
	apt-get update && apt-get install -y --no-install-recommends $lacking"
fi

echo "installing: $lacking" >&2
apt() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$log" 2>&1 || {
		tail -20 "$log" >&2
		fail "apt-get $1 failed"
	}
}
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
ours=
tidy() {
	rm -f "$log"
	[ -z "$ours" ] || $as_root rm -f "$policy"
}
trap tidy EXIT
apt update
# The packages of etcd and containerd would start a server of their own, now and at each boot: nobody asked for that.
if [ ! -e "$policy" ]; then
	ours=yes
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi
case " $lacking " in
*' clang '*) lacking="$lacking $(clang_runtime)" ;;
esac
# shellcheck disable=SC2086 # a list of names
apt install -y --no-install-recommends $lacking
if [ -n "$ours" ] && command -v systemctl >/dev/null 2>&1; then
	for server in etcd-server:etcd containerd:containerd; do
		case " $lacking " in
		*" ${server%:*} "*) $as_root systemctl --quiet disable "${server#*:}" >/dev/null 2>&1 || true ;;
		esac
	done
fi
lacking=$(missing)
[ -z "$lacking" ] || fail "still missing after the installation: $lacking"
unpackaged "${1:-all}"
