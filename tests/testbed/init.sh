#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# init.sh FOLDER [hold]: the first process of a testbed's network, mount and process namespaces. It hides what containerd and
# kubelet write to outside of their folders, gives the network its bridge, writes FOLDER/init.pid and then waits
# (hold: until its standard input ends). When it ends, the kernel ends every process of the testbed and takes its mounts, links and rules away.
set -eu

folder=$1
# /proc is still the one outside, so that this is our process id there
read -r pid _ </proc/self/stat

mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir /run/netns /run/lib /run/sysctl

# containerd's network library writes to /var/lib/cni: shadow its parent, with what is there below it
mount -t tmpfs tmpfs /run/lib
for entry in /var/lib/*; do
	to=/run/lib/${entry##*/}
	if [ -d "$entry" ]; then
		mkdir "$to"
	else
		: >"$to"
	fi
	mount --rbind "$entry" "$to"
done
mkdir -p /run/lib/cni
mount --rbind /run/lib /var/lib
mount -t tmpfs tmpfs /var/lib/cni

# kubelet sets these on the whole machine, unless they are what it wants: let it see that
sysctl() {
	[ -e "/proc/sys/$1" ] || return 0
	to=/run/sysctl/$(echo "$1" | tr / .)
	echo "$2" >"$to"
	mount --bind "$to" "/proc/sys/$1"
}
sysctl vm/overcommit_memory 1
sysctl vm/panic_on_oom 0
sysctl kernel/panic 10
sysctl kernel/panic_on_oops 1
sysctl kernel/keys/root_maxkeys 1000000
sysctl kernel/keys/root_maxbytes 25000000

ip link set lo up
ip link add wherry0 type bridge
ip address add 198.51.100.1/26 dev wherry0
ip link set wherry0 up
echo 1 >/proc/sys/net/ipv4/ip_forward

echo "$pid" >"$folder/init.pid.new"
mv "$folder/init.pid.new" "$folder/init.pid"
# A shell that waits also asks for the end of every process whose parent is gone.
if [ "${2:-}" = hold ]; then
	exec 3<&0
	cat <&3 >/dev/null &
else
	sleep infinity &
fi
wait $!
