#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the tree's files may say: no paths of one machine, no left-over marks, no banned functions, a licence line in
# every source. words.sh [--self-test] SOURCE BUILD: prints each violation; --self-test plants some and must see them all.
set -eu

sources() {
	find . -path ./.git -prune -o -path './build*' -prune -o -type f \
		\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.yaml' -o -name '*.md' -o -name '*.txt' -o -path './tests/*/run' \
		-o -path './tests/run' -o -path './tests/quickstart' \) -print | grep -v -e '/fuzz/corpus/' -e '/golden/' | sort
}

# find PATTERN WHY FILES…: grep lines, each with the reason.
seek() {
	pattern=$1 why=$2
	shift 2
	[ $# = 0 ] || grep -nE "$pattern" "$@" /dev/null | sed "s|\$|    <- $why|" || true
}

check() {
	all=$(sources | grep -v '/laws/words\.sh$')
	code=$(printf '%s\n' $all | grep '\.[ch]$' || true)
	program=$(printf '%s\n' $code | grep -E '^\./(engine|steps)/' || true)
	# shellcheck disable=SC2086 # lists of names without blanks
	{
		seek '(^|[^.[:alnum:]])/(work|root|home/[a-z]+|tmp/(wt|build-)[a-z-]*)(/|$)' 'a path of one machine' $all
		seek '(TODO|FIXME|(^|[^X])XXX)([^A-Z]|$)' 'a mark that was left over' $all
		seek '^(<{7}|>{7}|={7})( |$)' 'a conflict mark' $all
		seek '[[:blank:]]+$' 'blanks at the end of a line' $(printf '%s\n' $all | grep -v '\.md$')
		seek '(^|[^[:alnum:]_])(strtok|strtok_r|atoi|atol|atof|sprintf|vsprintf|strcpy|strcat|alloca|gets|fork|vfork|system|popen)\(' \
			'a banned function' $program
		for file in $(printf '%s\n' $all | grep -v -E '\.(md|txt|yaml)$|/laws/'); do
			head -3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file: no SPDX line"
		done
	} | sed 's|^\./||'
}

self_test() {
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	mkdir -p "$copy/engine" && cd "$copy"
	plant() {
		printf '%s\n' "$2" >"engine/$1"
		[ "$(check | grep -c "^engine/$1")" = "$3" ] || {
			echo "not seen as it should be ($3 times): $2"
			check
			exit 1
		}
		rm "engine/$1"
	}
	spdx='/* SPDX-License-Identifier: Apache-2.0 */'
	plant good.c "$spdx" 0
	plant bare.c 'int x;' 1
	plant path.c "$spdx /ro""ot/x" 1
	plant mark.c "$spdx TO""DO" 1
	plant trail.c "$spdx " 1
	plant banned.c "$spdx x = atoi(y);" 1
	plant fine.c "$spdx x = my_atoi(y);" 0
	echo "all planted violations seen"
}

if [ "$1" = --self-test ]; then
	self_test
	exit 0
fi
cd "$1"
found=$(check)
[ -z "$found" ] || {
	printf '%s\n' "$found"
	exit 1
}
