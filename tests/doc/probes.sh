#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The library has the probes which the documentation tells of, and no others, with so many arguments;
# and there is an example for each.

. "$(dirname "$0")/../interop/lib.sh"

page=${top_srcdir:-$interop/../..}/doc/probes.md
library=$top_builddir/libvhost/.libs/libvhost.so
need readelf binutils
grep -q '^#define HAVE_SYS_SDT_H 1' "$top_builddir/config.h" ||
	skip_all "sys/sdt.h is missing (systemtap-sdt-dev)"

# "NAME ARGUMENTS" of each probe in the library.
readelf -n "$library" | awk '
	/^ *Provider:/ { provider = $2 }
	/^ *Name:/ { name = $2 }
	/^ *Arguments:/ { print provider ":" name, NF - 1 }' | sort -u >"$tmp/found"
# And in the page's table.
awk -F'|' '$2 ~ /`libvhost:/ { gsub(/[` ]/, "", $2); print $2, gsub(/`[a-z]+`/, "", $3) }' "$page" |
	sort >"$tmp/told"

equal "the probes are those which are told" "$(cat "$tmp/told")" "$(cat "$tmp/found")"
check "there are five" [ "$(wc -l <"$tmp/found")" = 5 ]
while read -r probe _; do
	check "$probe has an example" grep -q "usdt:.*:$probe " "$page"
done <"$tmp/told"

# What bpftrace makes of them needs privileges only when it runs.
if command -v bpftrace >/dev/null; then
	while read -r probe _; do
		check "$probe is found by bpftrace" grep -q ":$probe\$" <(
			bpftrace -l "usdt:$library:*" 2>&1)
	done <"$tmp/told"
else
	comment "bpftrace is missing: it was not asked"
fi
finish
