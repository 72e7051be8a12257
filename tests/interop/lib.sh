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

. "$interop/pattern.sh"

# --- TAP ---

rows=0
failed=0

# row STATUS NAME: status 0 is success; tells whether it was.
row()
{
	rows=$((rows + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $rows - $2"
	else
		echo "not ok $rows - $2"
		failed=$((failed + 1))
		return 1
	fi
}

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

# equal NAME WANTED FOUND
equal()
{
	[ "$2" = "$3" ]
	row $? "$1" && return
	printf 'wanted: %s\nfound:  %s\n' "$2" "$3" | comment
	return 1
}

comment()
{
	tr -d '\r' | sed 's/^/# /'
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

# need PROGRAM PACKAGE
need()
{
	command -v "$1" >/dev/null || skip_all "package $2 is not installed"
}

# The test ends here, and says how many rows it has; one that ends elsewhere is an error to the
# harness.
finish()
{
	[ $failed -eq 0 ] || show_logs
	echo "1..$rows"
	exit 0
}

# Whatever the daemons and guests said.
show_logs()
{
	local log

	for log in "$tmp"/*.log; do
		[ -s "$log" ] || continue
		echo "# --- ${log##*/} ---"
		tail -n 100 "$log" | comment
	done
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

# wait_until SECONDS COMMAND...: until the command succeeds, or else fail.
wait_until()
{
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
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

# guest_rows NAME LOG: a row for each result on a guest's console, and one for having got to the
# end.
guest_rows()
{
	local word status name

	while read -r word status name; do
		[ "$word" = RESULT ] || continue
		row "$status" "$1: $name" || true
	done < <(tr -d '\r' <"$2")
	tr -d '\r' <"$2" | grep -qx DONE
	row $? "$1: the guest got to its end"
}

# Wait for a guest to switch itself off; timeout(1), which runs it, sees to the deadline. Whether
# the guest did its work is seen by what it printed: User-mode Linux now and then aborts after it
# has powered off.
end_guest()
{
	local status

	wait "${pids[$1]}" 2>/dev/null
	status=$?
	unset "pids[$1]"
	[ $status -eq 0 ] || echo "# $1 ended with status $status"
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
