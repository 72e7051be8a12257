#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The library has the probes which the documentation tells of, and no others, with so many arguments;
# there is an example for each; and they are passed when they should be, with what they should tell.

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
	row 0 "bpftrace # SKIP it is not installed"
fi

# stops PROBE FORMAT CAST...: commands for gdb, which print a line for each time that it is passed.
stops()
{
	local probe=$1 format=$2 args='' cast n=0

	shift 2
	for cast; do
		args+=", ($cast)\$_probe_arg$((n++))"
	done
	printf 'break -probe-stap libvhost:%s\ncommands\nsilent\nprintf "libvhost:%s %s\\n"%s\ncontinue\nend\n' \
		"$probe" "$probe" "$format" "$args"
}

# The library is there from main on.
commands()
{
	printf 'set debuginfod enabled off\nset pagination off\nset confirm off\nbreak main\nrun\n'
	stops message "%s %d %s" "char *" int "char *"
	stops kick "%s %d" "char *" int
	stops pop "%s %d %p %ld %ld" "char *" int "void *" long long
	stops push "%s %d %p %ld %d" "char *" int "void *" long int
	stops signal "%s %d" "char *" int
	echo continue
}

# What is passed while two reads of 4096 bytes go through a disk; requests are called a and b.
passed()
{
	commands >"$tmp/commands"
	"$top_builddir/libtool" --mode=execute timeout 60 gdb -nx -batch -x "$tmp/commands" --args \
		"$top_builddir/tests/unit/blk_steps" split direct irq 2 2 </dev/null >"$tmp/gdb" 2>&1
	awk '/^libvhost:/ {
		if (/:(pop|push) /)
			$4 = $4 in name ? name[$4] : name[$4] = n++ ? "b" : "a"
		print substr($0, 10)
	}' "$tmp/gdb"
}

if ! command -v gdb >/dev/null; then
	row 0 "what is passed # SKIP package gdb is not installed"
elif [ "${SANITIZER-no}" != no ]; then
	row 0 "what is passed # SKIP a sanitizer cannot be debugged"
elif ! gdb -nx -batch -ex run --args true </dev/null 2>&1 | grep -q "exited normally"; then
	row 0 "what is passed # SKIP gdb cannot trace processes here"
else
	passed >"$tmp/passed"
	check "the front-end starts a ring" grep -qx "message steps 12 SET_VRING_KICK" "$tmp/passed"
	equal "two requests" "kick steps 0
pop steps 0 a 16 4097
pop steps 0 b 16 4097
push steps 0 a 4097 2
push steps 0 b 4097 1
signal steps 0" "$(grep -v ^message "$tmp/passed")" || comment <"$tmp/gdb"
fi
finish
