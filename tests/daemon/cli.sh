# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the tests of command lines share. Set $program to the daemon's name before this is sourced: it is found by it, as its
# manual is. All happens in the folder $work, so that what is left behind is seen.

. "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"

daemon=$top_builddir/${program#vhost-user-}/$program
give_fd=${GIVE_FD:-$top_builddir/tests/daemon/give_fd}
man=${top_srcdir:-$interop/../..}/man/$program.1

work=$tmp/work
mkdir "$work" && cd "$work" || exit 1
truncate -s 1M disk
truncate -s 1000 odd
truncate -s 4608 sectors
echo "not a socket" >file
mkdir folder
: >empty
mkfifo fifo

# What is there, but for times: to find out what an image can do is no change.
listing()
{
	ls -lRA --time-style=+ "$work"
	cksum disk file odd sectors empty
}

# refused_with NAME STATUS WORD COMMAND...: the command ends with this status, one line on stderr with this
# word in it, nothing on stdout, and nothing left behind.
refused_with()
{
	local what=$1 status=$2 word=$3 before found

	shift 3
	before=$(listing)
	timeout 20 "$@" >"$tmp/out" 2>"$tmp/err"
	found=$?
	{
		[ $found -eq "$status" ] || echo "exit status $found instead of $status"
		[ "$(wc -l <"$tmp/err")" -eq 1 ] || echo "not one line on stderr"
		grep -q "^$program: " "$tmp/err" || echo "stderr does not begin with the name"
		grep -qe "$word" "$tmp/err" || echo "stderr does not say $word"
		[ ! -s "$tmp/out" ] || echo "something on stdout"
		[ "$before" = "$(listing)" ] || echo "something was left behind"
	} >"$tmp/wrong"
	[ ! -s "$tmp/wrong" ]
	row $? "$what" && return
	cat "$tmp/wrong" "$tmp/err" | comment
}

# usage WORD ARG...: refused as a wrong command line.
usage()
{
	local word=$1

	shift
	refused_with "usage: $(tr '\n' ' ' <<<"${*:-nothing}")" 2 "$word" "$daemon" "$@"
}

# cannot NAME WORD ARG...: refused while it starts.
cannot()
{
	local what=$1 word=$2

	shift 2
	refused_with "$what" 1 "$word" "$daemon" "$@"
}

# prints_capabilities ARG...: $capabilities.
prints_capabilities()
{
	[ "$("$daemon" "$@" 2>&1)" = "$capabilities" ] && "$daemon" "$@" >/dev/null
}

help_options()
{
	"$daemon" --help | grep -o '^  --[a-z-]*' | tr -d ' ' | sort
}

manual_options()
{
	sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$man" | sort
}

manual_is_clean()
{
	[ -z "$(mandoc -Tlint "$man" 2>&1 | tee /dev/stderr)" ]
}

# stays NAME: a front-end is connected, and stays.
stays()
{
	rm -f "$tmp/$1.stays"
	"$give_fd" stay "$tmp/$1.sock" >"$tmp/$1.stays" 2>&1 &
	pids[$1.stays]=$!
	wait_until 30 grep -q ready "$tmp/$1.stays"
}

