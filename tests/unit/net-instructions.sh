#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# No more instructions for a packet than there were: counted, so the same on a busy machine.
#
# The bounds are a tenth above what gcc of Debian 12 makes of it with -O2.  Who makes it better
# lowers them.

top_builddir=${top_builddir:-.}
program=$top_builddir/tests/unit/net_steps
packets=20000

skip()
{
	echo "1..0 # SKIP $*"
	exit 0
}

[ -z "${SANITIZER:-}" ] || skip "a sanitizer adds instructions"
[ "$(uname -m)" = x86_64 ] || skip "the bounds are for x86_64"
command -v valgrind >/dev/null || skip "valgrind is missing"
"$program" optimized || skip "compiled without optimization"

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
rows=0
failed=0

# bound MOST DIRECTION RING SIZE: instructions of the device for a packet, within steps_work().
bound()
{
	local most=$1 sum number each

	shift
	number=$("$top_builddir/libtool" --mode=execute valgrind --tool=callgrind \
		--toggle-collect=steps_work --callgrind-out-file="$tmp/out" \
		"$program" "$@" $packets 2>"$tmp/log")
	sum=$(awk '/^(summary|totals):/ { print $2; exit }' "$tmp/out")
	each=$((${sum:-0} / ${number:-1}))
	rows=$((rows + 1))
	if [ "$each" -gt 0 ] && [ "$each" -le "$most" ]; then
		echo "ok $rows - $*: $each instructions for a packet"
	else
		echo "not ok $rows - $*: $each instructions for a packet, at most $most wanted"
		sed 's/^/# /' "$tmp/log"
		failed=1
	fi
}

bound 335 tx split 64
bound 400 tx packed 64
bound 490 rx split 64
bound 550 rx packed 64
echo "1..$rows"
exit $failed
