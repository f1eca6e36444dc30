#!/bin/sh
# The arrows of the design, by what each file includes: base <- engine -> step.h <- steps, and transports only in target
# kinds. includes.sh [--self-test] SOURCE BUILD: prints each violation; --self-test plants some and must see them all.
set -eu

# What a step handler may include: step.h, code of base that does nothing but compute, headers of handlers, and a
# family's pure header, whose objects the symbol check holds to the same rule.
handler_may()
{
	case $1 in
	'"step.h"' | '"base/arena.h"' | '"base/buf.h"' | '"base/clock.h"' | '"base/err.h"' | '"base/hash.h"') ;;
	'"base/map.h"' | '"base/text.h"' | '"value.h"' | '"steps/target/'*'_paths.h"') ;;
	'"steps/target/'* | '"steps/registry.h"' | *..*) return 1 ;;
	'"steps/'*'.h"') ;;
	'<assert.h>' | '<ctype.h>' | '<inttypes.h>' | '<limits.h>' | '<math.h>' | '<pthread.h>' | '<stdalign.h>') ;;
	'<stdarg.h>' | '<stdatomic.h>' | '<stdbool.h>' | '<stddef.h>' | '<stdint.h>' | '<stdio.h>' | '<stdlib.h>') ;;
	'<string.h>') ;;
	*) return 1 ;;
	esac
}

# may FILE INCLUDED
may()
{
	case $2 in
	*..*) return 1 ;;
	esac
	case $1 in
	engine/main.c | engine/cmd_*) return 0 ;;
	steps/target/*_paths.[ch]) handler_may "$2" && [ "$2" != '"step.h"' ] && return 0 || return 1 ;;
	steps/target/*)
		case $2 in
		'"target.h"' | '"schema.h"' | '"value.h"' | '"base/'* | '"steps/target/'* | '<'*) return 0 ;;
		esac
		return 1
		;;
	esac
	case $2 in # transports
	'<curl/'* | '<wslay/'* | '<archive'* | '<zlib.h>' | '<libpq'* | '<mysql'* | '<mariadb'* | '<nats'* | '<netdb'* | '<netinet/'* | '<arpa/'*) return 1 ;;
	esac
	case $1 in
	engine/base/*)
		case $2 in
		'"base/'* | '<'*) return 0 ;;
		esac
		return 1
		;;
	engine/*)
		case $2 in
		'"steps/'*) return 1 ;;
		esac
		;;
	steps/registry.[ch])
		case $2 in
		'"step.h"' | '"steps/registry.h"' | '"steps/target/targets.h"') return 0 ;;
		esac
		return 1
		;;
	steps/*) handler_may "$2" || return 1 ;;
	esac
}

# Print the violations of a tree; fail when there are some, or nothing to look at.
check()
{
	(cd "$1" && grep -rHE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' engine steps) |
	sed -E 's/^([^:]*):[^"<]*(["<][^">]*[">]).*/\1 \2/' |
	{
		bad=0 seen=0
		while read -r file included; do
			seen=1
			may "$file" "$included" && continue
			echo "$file must not include $included"
			bad=1
		done
		[ $seen = 1 ] && [ $bad = 0 ]
	}
}

# plant FILE INCLUDED: a tree with this one violation has to be refused, and the message has to name it.
plant()
{
	mkdir -p "$tmp/$(dirname "$1")"
	printf '#include %s\n' "$2" >"$tmp/$1"
	if found=$(check "$tmp"); then
		echo "not seen: $1 includes $2"
		exit 1
	fi
	[ "$found" = "$1 must not include $2" ] || { echo "wrong message: $found"; exit 1; }
	rm "$tmp/$1"
}

# allow FILE INCLUDED: the check must not cry wolf.
allow()
{
	mkdir -p "$tmp/$(dirname "$1")"
	printf '#include %s\n' "$2" >"$tmp/$1"
	check "$tmp" || exit 1
	rm "$tmp/$1"
}

if [ "$1" = --self-test ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp/engine" "$tmp/steps"
	plant engine/base/io.c '"value.h"'
	plant engine/base/io.c '"../value.h"'
	plant engine/sched.c '"steps/registry.h"'
	plant engine/sched.c '<curl/curl.h>'
	plant engine/step.h '"steps/target/targets.h"'
	plant steps/exec.c '"base/io.h"'
	plant steps/exec.c '"base/proc.h"'
	plant steps/exec.c '"journal.h"'
	plant steps/exec.c '"run.h"'
	plant steps/exec.c '"steps/target/targets.h"'
	plant steps/exec.c '"steps/registry.h"'
	plant steps/exec.c '<unistd.h>'
	plant steps/exec.c '<fcntl.h>'
	plant steps/archive.c '<archive.h>'
	plant engine/run.c '<archive.h>'
	plant steps/etcd.h '<curl/curl.h>'
	plant steps/registry.c '"run.h"'
	plant steps/target/etcd.c '"step.h"'
	plant steps/target/etcd.c '"journal.h"'
	plant steps/target/etcd.c '"steps/etcd.h"'
	plant steps/target/etcd.c '"../../engine/journal.h"'
	plant steps/target/etcd_paths.c '"base/io.h"'
	plant steps/target/etcd_paths.h '"steps/target/grpc.h"'
	allow steps/exec.c '"step.h"'
	allow steps/etcd_copy.c '"steps/target/etcd_paths.h"'
	allow steps/target/etcd.c '<curl/curl.h>'
	allow engine/cmd_run.c '"steps/registry.h"'
	exit 0
fi
check "$1"
