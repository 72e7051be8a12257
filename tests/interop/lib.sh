# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What all interop tests share: TAP rows, a folder and processes that go away with the test, and
# the daemon.
#
# A test is a bash script that sources this file, starts daemons and guests, and prints one TAP
# row per case. Under automake the environment has top_srcdir and top_builddir; by hand,
# build/plain is taken. Nothing here sleeps for a fixed time: everything waits for a condition,
# with a generous deadline.

set -u
PATH=$PATH:/usr/sbin:/sbin
interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top_builddir=$(realpath -m "${top_builddir:-$interop/../../build/plain}")
daemon=$top_builddir/blk/vhost-user-blk

. "$interop/../tap.sh"
. "$interop/pattern.sh"

# --- Rows, see tap.sh ---

# check NAME COMMAND...: a row which is ok if the command succeeds; its output is shown if not.
check()
{
	local name=$1 status

	shift
	"$@" >"$tmp/output" 2>&1
	status=$?
	row $status "$name" && return
	echo "# $* (status $status)"
	comment <"$tmp/output"
	return 1
}

# need PROGRAM PACKAGE
need()
{
	command -v "$1" >/dev/null || skip_all "package $2 is not installed"
}

finish()
{
	[ $failed -eq 0 ] || show_logs
	tap_end
}

# The end of whatever guests and daemons said.  What tells most comes first, since whoever shows
# this may cut it: why a guest died, then where it stopped, then the daemons.
show_logs()
{
	show_ends 30 "$tmp"/guest-*.kernel
	show_ends 40 "$tmp"/guest-*.log
	show_ends 15 "$tmp"/*.log
}

# show_ends LINES LOG...: of those which have not been shown.
declare -A shown=()
show_ends()
{
	local lines=$1 log

	shift
	for log; do
		if [ ! -s "$log" ] || [ -n "${shown[$log]:-}" ]; then
			continue
		fi
		shown[$log]=yes
		echo "# --- ${log##*/} ---"
		brief <"$log" | tail -n "$lines" | comment
	done
}

# A daemon's log in brief: messages of the front-end in a row share a line, with how often each
# came; and so do lines in which a guest's load says how far it is.
brief()
{
	awk '
		function put(word) {
			if (length(line) + length(word) > 90)
				flush_line()
			line = line (line == "" ? "" : " ") word
		}
		function flush_line() {
			if (line != "")
				print line
			line = ""
		}
		function flush_word() {
			if (count)
				put(count > 1 ? count " x " word : word)
			count = 0
		}
		{ sub(/\r$/, "") }
		/^vhost-user-[a-z]+: [A-Z_0-9]+$/ || /^(load|stream): [0-9]+ [a-zA-Z]+$/ {
			now = /^vhost/ ? $2 : $1
			if (now != word)
				flush_word()
			word = now
			count++
			next
		}
		{ flush_word(); flush_line(); print }
		END { flush_word(); flush_line() }'
}

# --- Files and processes ---

tmp=$(mktemp -d) || exit 1
direct=
declare -A pids=()

cleanup()
{
	local pid

	trap '' INT TERM HUP
	for pid in "${pids[@]}"; do
		kill "$pid"
		wait_until 10 gone "$pid" || kill -9 "$pid"
	done 2>/dev/null
	rm -rf "$tmp" ${direct:+"$direct"}
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# A pipe into which nobody writes: to wait for it costs no process, as sleep(1) would.
exec {nothing}<> <(:)

# wait_until SECONDS COMMAND...: until the command succeeds, or else fail.  The longer it takes, the
# less often this looks.
wait_until()
{
	local deadline=$((SECONDS + $1)) pause=5

	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		read -rt "0.$(printf %02d $pause)" -u "$nothing"
		[ $pause -ge 25 ] || pause=$((pause + 1))
	done
}

gone()
{
	! kill -0 "$1" 2>/dev/null
}

# end_process NAME: the exit status of a child that should end by itself within the deadline.
end_process()
{
	local pid=${pids[$1]}

	wait_until 60 gone "$pid" || return 124
	unset "pids[$1]"
	wait "$pid"
}

# A new sparse file: image NAME SIZE [FOLDER]; its path is in $image.
image()
{
	image=${3:-$tmp}/$1.img
	truncate -s "$2" "$image"
}

# Set $direct to a folder on a file system that does O_DIRECT: the usual one or, if that one does
# not (tmpfs on older kernels), one in the build tree.
direct_folder()
{
	direct=$tmp
	does_direct && return
	direct=$(mktemp -d "$top_builddir/interop.XXXXXX") && does_direct
}

does_direct()
{
	dd if=/dev/zero of="$direct/direct" bs=4096 count=1 oflag=direct status=none 2>/dev/null &&
		rm -f "$direct/direct"
}

# install_into FOLDER: make install; one test at a time, since it is one build tree.
install_into()
{
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL flock "$top_builddir/config.status" \
		make -C "$top_builddir" install DESTDIR="$1"
}

# --- The daemon ---

# What a test wants done in the process that becomes the daemon.
before_daemon()
{
	:
}

# start_daemon NAME ARG...: a row which is ok when the daemon listens at $tmp/NAME.sock; else the
# test ends here.
start_daemon()
{
	local name=$1

	shift
	(
		before_daemon
		exec "$daemon" --socket-path="$tmp/$name.sock" "$@"
	) >>"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
	wait_until 30 listening_or_gone "$name" && listening "$name"
	row $? "$name: the daemon listens" && return
	echo "# started with: $*"
	finish
}

listening()
{
	# ACCEPTCON is set once listen() has been called; the file is there before that.
	grep -q " 00010000 .* $tmp/$1.sock\$" /proc/net/unix
}

listening_or_gone()
{
	listening "$1" || gone "${pids[$1]}"
}

# messages NAME MESSAGE: how many of these a daemon with --log-level=debug got.
messages()
{
	grep -c -- ": $2\$" "$tmp/$1.log"
}

# stop_daemon NAME: rows which are ok if on SIGTERM it leaves with status 0 and takes its socket
# along.
stop_daemon()
{
	kill "${pids[$1]}"
	end_process "$1"
	equal "$1: the daemon's exit status on SIGTERM" 0 $?
	check "$1: its socket is gone" [ ! -e "$tmp/$1.sock" ]
}

# --- Guests ---

# What a guest's script has before its commands.
guest_libs=("$interop/pattern.sh" "$interop/guest.sh")

# Write the guest's script: guest_script SHELL VAR=VALUE... <COMMANDS
# It has guest_libs before the commands, and switches the machine off whenever it ends.
guest_script()
{
	local var

	printf '#!%s\n' "$1"
	shift
	for var; do
		printf "%s='%s'\n" "${var%%=*}" "${var#*=}"
	done
	cat "${guest_libs[@]}" -
	echo guest_done
}

# guest_rows NAME: a row for each result on a guest's console, and one for having got to the end.
guest_rows()
{
	local word status name log

	log=$(log_of "$1")
	while read -r word status name; do
		[ "$word" = RESULT ] || continue
		row "$status" "$1: $name" || guest_words "$log" "$name"
	done < <(tr -d '\r' <"$log")
	tr -d '\r' <"$log" | grep -qx DONE
	row $? "$1: the guest got to its end"
}

# guest_words LOG NAME: what a guest had to say of a result which is bad.
guest_words()
{
	tr -d '\r' <"$1" | awk -v result="RESULT 1 $2" '
		$0 == result { found = 1; next }
		/^RESULT / { found = 0 }
		found && said++ < 25 { print "# " $0 }'
}

# files_of NAME: the beginning of the names of a guest's files.
files_of()
{
	echo "$tmp/guest-${1//[^a-z0-9]/-}"
}

# The log of a guest's console, if it is another guest's, because that one has moved.
guest_log=

# log_of NAME
log_of()
{
	echo "${guest_log:-$(files_of "$1").log}"
}

# said NAME LINE: whether a guest has printed a line which matches.
said()
{
	grep -qx -- "$2"$'\r\\?' "$(log_of "$1")"
}

said_or_gone()
{
	said "$@" || gone "${pids["guest $1"]}"
}

# Guests, by their logs, which did not do in time what they should.  Nobody waits for such a one
# any more: a guest which hangs costs one deadline, not those of all that it does not do.
declare -A lost=()

is_lost()
{
	[ -n "${lost[$(log_of "$1")]:-}" ]
}

# What is to be told of a guest which is lost, while it is there.
describe_guest()
{
	:
}

lose_guest()
{
	lost[$(log_of "$1")]=yes
	echo "# $1: $2; nobody waits for this guest any more"
	describe_guest "$1" 2>&1 | comment
}

# await GUEST SECONDS COMMAND...: as wait_until, for something which a guest is to do.
await()
{
	is_lost "$1" && return 1
	wait_until "${@:2}" && return
	lose_guest "$1" "it was not done within $2 s"
	return 1
}

# A guest which is at work says something from time to time.
longest_silence=300

# Wait until a guest has gone, unless it is lost, or says nothing for too long.
await_end()
{
	local log pid=${pids["guest $1"]} size last="" heard=$SECONDS

	log=$(log_of "$1")
	until gone "$pid" || is_lost "$1"; do
		size=$(stat -c %s "$log")
		[ "$size" = "$last" ] || heard=$SECONDS
		last=$size
		[ $((SECONDS - heard)) -lt $longest_silence ] ||
			lose_guest "$1" "it has said nothing for $longest_silence s"
		read -rt 0.2 -u "$nothing"
	done
}

# Wait for a guest to switch itself off; timeout(1), which runs it, sees to the very last deadline.
# Whether the guest did its work is seen by what it printed: User-mode Linux now and then aborts
# after it has powered off.
end_guest()
{
	local status

	await_end "$1"
	is_lost "$1" && kill "${pids["guest $1"]}" 2>/dev/null
	wait "${pids["guest $1"]}" 2>/dev/null
	status=$?
	unset "pids[guest $1]"
	[ $status -eq 0 ] || echo "# guest $1 ended with status $status"
}

# module_files FOLDER NAME...: the files of kernel modules and of what they need, in the order to
# load them.
module_files()
{
	local dir=$1

	shift
	awk -v dir="$dir" -v wanted="$*" '
		function base(path) {
			sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path)
			return path
		}
		{ sub(/:/, ""); name = base($1); line[name] = $0 }
		END {
			n = split(wanted, names, " ")
			for (i = 1; i <= n; i++) {
				m = split(line[names[i]], path, " ")
				for (j = m; j > 0; j--)
					if (!seen[path[j]]++)
						print dir "/" path[j]
			}
		}' "$dir/modules.dep"
}
