#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The curves of tests/bench/report: report-plot.sh LINES NAME writes NAME-iops.svg and NAME-cpu.svg.
# It fails when there are no points, or no gnuplot.
set -u

lines=$1 name=$2
command -v gnuplot >/dev/null || { echo "report: no curves: gnuplot-nox is not installed" >&2; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# points WHERE: depth, IOPS and CPU of ours, then of theirs.
points()
{
	awk -F'\t' -v name="$1" '$1 == "plot" && $2 == name { print $3, $4, $5, $6, $7 }' "$lines" | sort -n
}

curves=()
for where in tmpfs disk; do
	points $where >"$work/$where"
	[[ ! -s $work/$where ]] || curves+=($where)
done
((${#curves[@]})) || { echo "report: no curves: nothing was measured at several depths" >&2; exit 1; }

# plot FILE TITLE OUR-COLUMN THEIR-COLUMN GNUPLOT-COMMAND
plot()
{
	local where plots=() color=1

	for where in "${curves[@]}"; do
		plots+=("'$work/$where' using 1:$3 with linespoints lw 2 pt 7 lc $color title 'libvhost, $where'")
		plots+=("'$work/$where' using 1:$4 with linespoints lw 2 pt 6 dt 2 lc $color title 'qemu-storage-daemon, $where'")
		((color++))
	done
	gnuplot <<-END
		set terminal svg size 720,400 background "white" name "libvhost"
		set output "$name-$1.svg"
		set title "$2"
		set xlabel "queue depth"
		set logscale x 2
		set key left top
		set grid
		$5
		plot $(IFS=,; echo "${plots[*]}")
	END
}

plot iops "requests of 4 KiB per second" 2 4 "set logscale y; set format y '%.0s %c'"
plot cpu "CPU time per request, ns" 3 5 "set yrange [0:*]; set key right top"
