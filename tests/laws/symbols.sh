#!/bin/sh
# The arrows and law 1 (one door for side effects), by the objects' undefined symbols: what was compiled cannot lie.
# symbols.sh [--self-test] SOURCE BUILD: prints each violation; --self-test plants some and must see them all.
#  - a step handler needs only step.h, pure code of base and values, and pure functions of libc: a list of what is
#    allowed, so that a new way to the world is refused before anybody thought of it;
#  - a target kind needs nothing of the engine but values; base nothing of the engine; the engine nothing of the steps;
#  - nothing below the command line prints or exits.
set -eu

runtime='_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__assert_fail|__(start|stop)___sancov_.*'
runtime="$runtime|__(asan|ubsan|tsan|msan|lsan|gcov|llvm|sancov|sanitizer)_.*"
project='(step|value|err|arena|buf|bytes|text|utf8|duration|size|sha256|hmac_sha256|hex|base64|map)_[a-z0-9_]+'
# reading YAML into values: pure, and declared by schema.h
project="$project|yaml_parse|node_value|problems_done"
project="$project|x(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf)|clock_now"
libc='mem(cpy|move|set|cmp|chr|rchr|mem|pcpy)|mempcpy|bcmp|(stp|str)[a-z0-9_]+|free|v?snprintf|qsort|bsearch'
libc="$libc|explicit_bzero|__([a-z]*mem|str|stp|explicit_bzero|snprintf|vsnprintf)[a-z]*_chk|__isoc[0-9]+_strto[a-z]+"
libc="$libc|sigdescr_np|to(upper|lower)|__ctype_[a-z_]+|pthread_mutex_(init|destroy|lock|unlock)"
libc="$libc|pthread_cond_(init|destroy|wait|broadcast)"
libc="$libc|(floor|ceil|round|lround|llround|trunc|fabs|fmod|sqrt|pow|exp|log|log2|log10)"
loud='v?f?printf|__v?f?printf_chk|puts|fputs|putchar|putc|fputc|fwrite|perror|std(out|err)|_?exit|_Exit|quick_exit'
loud="$loud|errx?|v?warnx?|v?syslog"

undefined()
{
	nm -P -u "$1" | sed 's/ .*//;s/@.*//'
}

defined()
{
	[ $# = 0 ] || nm -P -g "$@" 2>/dev/null | awk '$2 ~ /^[A-TV-Zu]$/ && $2 != "U" { print $1 }' | sort -u
}

# Objects of a library of the build, by the source folder; none is fine, the folder may be empty yet.
objects()
{
	find "$build/CMakeFiles/$1.dir" -path "*/CMakeFiles/$1.dir/$2" 2>/dev/null | sort
}

bad=0
# complain OBJECT WHY: for each symbol read.
complain()
{
	while read -r symbol; do
		echo "$1: $2: $symbol"
	done
}

# only OBJECT WHY PATTERN DEFINED: nothing but this pattern and these symbols.
only()
{
	found=$(undefined "$1" | grep -Evx "$runtime|$3" | grep -Fvx -f "$4" || true)
	[ -z "$found" ] || { bad=1; echo "$found" | complain "$1" "$2"; }
}

# none OBJECT WHY DEFINED: none of these symbols.
none()
{
	found=$(undefined "$1" | grep -Fx -f "$3" || true)
	[ -z "$found" ] || { bad=1; echo "$found" | complain "$1" "$2"; }
}

quiet()
{
	found=$(undefined "$1" | grep -Ex "$loud" || true)
	[ -z "$found" ] || { bad=1; echo "$found" | complain "$1" "prints or exits below the command line"; }
}

# The build's object of a file of steps/ that is a handler or a family's pure code.
is_handler()
{
	case $1 in
	*/steps/registry.c.o) return 1 ;;
	*/steps/target/*_paths.c.o) return 0 ;;
	*/steps/target/*) return 1 ;;
	esac
}

# What the build defines, each in a file.
learn()
{
	engine=$(objects engine 'engine/*.o')
	base=$(objects base 'engine/base/*.o')
	steps=$(objects steps 'steps/*.o')
	handlers=$(for o in $steps; do if is_handler "$o"; then echo "$o"; fi; done)
	targets=$(for o in $steps; do case $o in */steps/target/*) echo "$o" ;; esac; done)
	[ -n "$handlers" ] && [ -n "$targets" ] && [ -n "$engine" ] && [ -n "$base" ] || {
		echo "no objects under $build/CMakeFiles: build first"
		exit 1
	}
	# shellcheck disable=SC2086
	{
		defined $handlers >"$tmp/handlers"
		defined $steps >"$tmp/steps"
		defined $engine | grep -Ev '^(value|schema)_' >"$tmp/engine"
		cat "$tmp/steps" "$tmp/engine" >"$tmp/above"
		defined $engine >>"$tmp/above"
	}
}

# check KIND OBJECT
check()
{
	case $1 in
	handler) only "$2" "a step handler reaches past step.h" "$project|$libc" "$tmp/handlers" ;;
	target) none "$2" "a target kind knows the engine" "$tmp/engine" ;;
	base) none "$2" "base knows what is above it" "$tmp/above" ;;
	engine) none "$2" "the engine knows the steps" "$tmp/steps" ;;
	esac
	case $2 in
	*/engine/report*) ;;
	*) quiet "$2" ;;
	esac
}

# plant KIND SYMBOL [DECLARATION]: compile a file that uses it; the check has to name the symbol.
plant()
{
	printf '%s\nconst void *use(void) { return (const void *)&%s; }\n' "${3:-extern int $2();}" "$2" >"$tmp/hostile.c"
	${CC:-cc} -w -c -o "$tmp/hostile.o" "$tmp/hostile.c"
	case $(check "$1" "$tmp/hostile.o") in
	*": $2"*) ;;
	*)
		echo "not seen: a $1 that uses $2"
		exit 1
		;;
	esac
}

self_test=
if [ "$1" = --self-test ]; then
	self_test=1
	shift
fi
build=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
learn
if [ -n "$self_test" ]; then
	for symbol in open open64 openat __open_2 creat write pwrite send sendto sendmsg socket connect fork vfork \
		posix_spawn posix_spawnp execve unlink rename mkdir fopen fopen64 popen system syscall dlopen dlsym mmap \
		memfd_create usleep nanosleep getenv setenv pthread_create printf exit kill random_bytes io_replace \
		io_lock proc_run curl_easy_perform curl_multi_perform archive_read_open_fd PQexec mysql_query journal_append run_execute \
		report_event registry_step; do
		plant handler "$symbol"
	done
	plant handler process_target 'extern const char process_target[];'
	plant handler environ 'extern char **environ;'
	plant target registry_step
	plant target printf
	plant target exit
	plant base value_int
	plant base registry_step
	plant base exec_step 'extern const char exec_step[];'
	plant engine process_target 'extern const char process_target[];'
	plant engine puts
	echo 'int use(void) { return 1; }' >"$tmp/harmless.c"
	${CC:-cc} -c -o "$tmp/harmless.o" "$tmp/harmless.c"
	for kind in handler target base engine; do
		check $kind "$tmp/harmless.o"
	done
	[ $bad = 0 ]
	exit
fi
for o in $handlers; do check handler "$o"; done
for o in $targets; do check target "$o"; done
for o in $base; do check base "$o"; done
for o in $engine; do check engine "$o"; done
[ $bad = 0 ]
