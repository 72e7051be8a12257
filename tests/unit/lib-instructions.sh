# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# No more instructions than there were: counted by callgrind, so the same on a busy machine.
#
# The bounds are a tenth above what gcc of Debian 12 makes of it with -O2.  Who makes it better
# lowers them.

. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"
top_builddir=${top_builddir:-.}

# begin PROGRAM FUNCTION UNIT: what is counted within FUNCTION of the program is for so many UNITs
# as it prints.
begin()
{
	program=$top_builddir/tests/unit/$1 function=$2 unit=$3
	[ "${SANITIZER:-no}" = no ] || skip_all "a sanitizer adds instructions"
	[ "$(uname -m)" = x86_64 ] || skip_all "the bounds are for x86_64"
	command -v valgrind >/dev/null || skip_all "valgrind is missing"
	"$program" optimized || skip_all "compiled without optimization"
	tmp=$(mktemp -d) || exit 1
	trap 'rm -rf "$tmp"' EXIT
}

# bound MOST ARGUMENT...: instructions for a unit when the program runs with these arguments.
bound()
{
	local most=$1 sum number each

	shift
	number=$("$top_builddir/libtool" --mode=execute valgrind --tool=callgrind \
		--toggle-collect="$function" --callgrind-out-file="$tmp/out" \
		"$program" "$@" 2>"$tmp/log")
	sum=$(awk '/^(summary|totals):/ { print $2; exit }' "$tmp/out")
	each=$((${sum:-0} / ${number:-1}))
	[ "$each" -gt 0 ] && [ "$each" -le "$most" ]
	row $? "$*: $each instructions for a $unit, at most $most wanted" || comment <"$tmp/log"
}
