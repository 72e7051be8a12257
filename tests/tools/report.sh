#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# tests/bench/report: the table which it makes of recorded lines, its sections, and what it says of
# peers which are missing.  One section is measured, and no figure judged.

. "$(dirname "$0")/../interop/lib.sh"

need jq jq
here=$(cd "$(dirname "$0")" && pwd)
report=$here/../bench/report
export top_builddir

# says NAME LINE: the report has it.
says()
{
	grep -qxF -- "$2" "$tmp/report.md"
	row $? "$1" || comment <"$tmp/report.md"
}

# --- Command lines ---

# usage_of ARG...: refused with status 2.
refused()
{
	"$report" "$@" >"$tmp/out" 2>"$tmp/err"
	equal "$*: refused" 2 $?
}

refused --foo
refused nonesuch
refused --rounds=0
refused --rounds=x
"$report" --list >"$tmp/list"
for section in blk-null tmpfs tmpfs-bare disk disk-bare net-null tap guest queues daemons depths; do
	check "--list has $section" grep -qx "$section" "$tmp/list"
done
"$report" --help >"$tmp/help"
check "--help" grep -q -- "--output=FILE" "$tmp/help"

# --- Recorded lines ---

"$report" --format="$here/report.lines" >"$tmp/report.md"
equal "the recorded lines are formatted" 0 $?
says "goals are counted" "3 goals met, 2 missed, 1 not measured."
says "a ratio which is met" "| null store, depth 32 | a peer | IOPS a second, ratio | ≥ 3 | 3.25 | 2.90 to 4.12 | 6.5 M / 2.0 M | 78 / 410 | met |"
says "a figure which is missed" "| null store, depth 32 | a peer | CPU-ns per request | ≤ 80 | 100 | 70.1 to 120 | 6.5 M / 2.0 M | 78 / 410 | **missed by 25 %** |"
says "a goal which is just met" "| image, depth 1 | a peer | CPU per request, ratio | ≤ 0.7 | 0.70 | 0.60 to 0.80 | 9999 / 10 k | 31 / 45 | met |"
says "a peer which is missing" "| null packets | another peer | packets a second, ratio | ≥ 1 | | | | | not measured: not installed: dpdk-dev |"
says "nothing, as it should be" "| vhost-user-blk |  | wake-ups | ≤ 0 | 0 | 0 to 0 |  |  | met |"
says "something where nothing should be" "| vhost-user-net |  | wake-ups | ≤ 0 | 2 | 2 to 2 |  |  | **missed**: 2 instead of 0 |"
says "facts" "| processor | a processor |"
says "rounds" "Here that was 4 rounds which were done again, and 2 which count although they were disturbed."
equal "a command once" 1 "$(grep -cx "vhost-bench compare blk --depth=32" "$tmp/report.md")"
equal "a fact once" 0 "$(grep -c "another processor" "$tmp/report.md")"
equal "no curves where there is no file" 0 "$(grep -c svg "$tmp/report.md")"

if command -v gnuplot >/dev/null; then
	"$report" --format="$here/report.lines" --output="$tmp/report.md" 2>"$tmp/err"
	equal "to a file, with curves" 0 $?
	for curve in iops cpu; do
		check "a picture: $curve" grep -q "libvhost, tmpfs" "$tmp/report-$curve.svg"
		says "it is shown: $curve" "$(grep -F "](report-$curve.svg)" "$tmp/report.md")"
	done
	grep -v ^plot "$here/report.lines" >"$tmp/lines"
	"$report" --format="$tmp/lines" --output="$tmp/report.md" 2>"$tmp/err"
	equal "without points no curves" 0 "$(grep -c svg "$tmp/report.md")"
else
	echo "# package gnuplot-nox is not installed: no curves"
fi

# --- Measured ---

if [ "$(nproc)" -lt 2 ]; then
	echo "# one core only: nothing is measured"
	finish
fi
QSD=nonesuch TESTPMD=nonesuch timeout 300 "$report" --quick --disk="$tmp" --lines="$tmp/lines" \
	blk-null net-null daemons >"$tmp/report.md" 2>"$tmp/err"
equal "a quick run" 0 $? || comment <"$tmp/err"
says "it says so" "**This was a quick run, which shows that it works and not how fast it is.**"
equal "no qemu-storage-daemon" 8 "$(grep -c "^| null store.*not measured: not installed: qemu-utils" "$tmp/report.md")"
equal "no DPDK" 8 "$(grep -c "^| null packets.*not measured: not installed: dpdk-dev" "$tmp/report.md")"
for name in blk scsi net; do
	for what in wake-ups own-MiB ms-to-ready; do
		equal "vhost-user-$name: $what" 1 "$(grep -c "^row.daemons.vhost-user-$name.-.$what.most.[0-9]*.[0-9]" "$tmp/lines")"
	done
	equal "vhost-user-$name: the command" 1 "$(grep -c "^vhost-user-$name --socket-path={}" "$tmp/report.md")"
done
equal "nothing is left behind" "" "$(ls -d "$tmp"/bench.* 2>/dev/null)"
finish
