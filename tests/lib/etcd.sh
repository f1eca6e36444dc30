# SPDX-License-Identifier: Apache-2.0
# Sourced by test scripts: real etcd servers on free loopback ports, in a folder of their own, ended by their pids.
#	. tests/lib/etcd.sh
#	scratch=$(mktemp -d); trap 'etcd_stop_all; rm -rf "$scratch"' EXIT
#	etcd_start source [OPTION…]      sets etcd_url to http://127.0.0.1:PORT; ETCD_BIN names another server than PATH's
#	etcdctl --endpoints "$etcd_url" …
# The caller has set $scratch.

export ETCDCTL_API=3
etcd_pids=

etcd_free_ports() {
	# Two ports below the range that the kernel hands out by itself, which nothing listens on.
	_try=0
	while [ $_try -lt 200 ]; do
		_try=$((_try + 1))
		_port=$((10000 + $(od -An -N2 -tu2 /dev/urandom) % 11000 * 2))
		_a=$(printf ':%04X 00000000:0000 0A' $_port)
		_b=$(printf ':%04X 00000000:0000 0A' $((_port + 1)))
		grep -q -e "$_a" -e "$_b" /proc/net/tcp || return 0
	done
	return 1
}

etcd_start() {
	_name=$1
	shift
	_round=0
	while [ $_round -lt 5 ]; do
		_round=$((_round + 1))
		etcd_free_ports || return 1
		etcd_url=http://127.0.0.1:$_port
		"${ETCD_BIN:-etcd}" --name "$_name" --data-dir "$scratch/$_name" --log-level error \
			--listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
			--listen-peer-urls "http://127.0.0.1:$((_port + 1))" \
			--initial-advertise-peer-urls "http://127.0.0.1:$((_port + 1))" \
			--initial-cluster "$_name=http://127.0.0.1:$((_port + 1))" "$@" >"$scratch/$_name.log" 2>&1 &
		etcd_pid=$!
		_wait=0
		while kill -0 $etcd_pid 2>/dev/null && [ $_wait -lt 100 ]; do
			if etcdctl --endpoints "$etcd_url" --dial-timeout 1s endpoint health >/dev/null 2>&1; then
				etcd_pids="$etcd_pids $etcd_pid"
				return 0
			fi
			_wait=$((_wait + 1))
			sleep 0.1
		done
		kill -9 $etcd_pid 2>/dev/null || true
		wait $etcd_pid 2>/dev/null || true
		rm -rf "${scratch:?}/$_name"
	done
	echo "etcd $_name does not start:" >&2
	tail -5 "$scratch/$_name.log" >&2
	return 1
}

etcd_stop_all() {
	for _pid in $etcd_pids; do
		kill -9 "$_pid" 2>/dev/null || true
		wait "$_pid" 2>/dev/null || true # its end by a signal must not end a script under set -e here
	done
	etcd_pids=
}
