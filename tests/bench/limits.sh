#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# How well limits hold over ten seconds: at 100 requests a second, and at half of what the daemon
# can do, as requests and as bytes; for blk and scsi.  What a burst adds is used up before it
# is measured; tests/unit/test_limit_clock.c and tests/daemon/test_control.c are about that.
#
#   tests/bench/limits.sh [--seconds=N] [--depth=N] [blk] [scsi]
#
# Environment: top_builddir says where it was built.  It only prints: the rate allowed, the rate
# measured, and by how many percent they differ.
set -u
. "$(dirname "$0")/lib.sh"

seconds=10 depth=32 types=()
for arg; do
	case $arg in
	--seconds=*) seconds=${arg#*=} ;;
	--depth=*) depth=${arg#*=} ;;
	blk | scsi) types+=("$arg") ;;
	--help) sed -n '3,12s/^# \?//p' "$0"; exit 0 ;;
	*) die "$arg: want blk or scsi" ;;
	esac
done
bench=$top_builddir/tools/vhost-bench
ctl=$top_builddir/tools/vhostctl

# start TYPE: a daemon with a disk which costs nothing.
start()
{
	local type=$1 disk

	case $type in
	blk) disk=(--engine=null --size=1G) ;;
	scsi) disk=(--lun=0,engine=null,size=1G) ;;
	esac
	taskset -c 1 "$top_builddir/$type/vhost-user-$type" --socket-path="$work/$type.sock" \
		--control="$work/$type.control" --log-level=error "${disk[@]}" &
	pids+=($!)
	wait_for "$work/$type.control" $!
}

# rate TYPE SECONDS ARG...: requests a second.
rate()
{
	local type=$1 time=$2

	shift 2
	taskset -c 0 "$bench" "$type" --time="$time" --bs=4K --json "$@" "$work/$type.sock" |
		sed -n 's/^ *"per_second": *\([0-9.]*\).*/\1/p'
}

# limit TYPE KEY=VALUE...
limit()
{
	local type=$1

	shift
	"$ctl" "$work/$type.control" limits "$@" >/dev/null || die "cannot set limits"
}

# row TYPE NAME ALLOWED DEPTH KEY=VALUE...: allowed is in requests a second.
row()
{
	local type=$1 name=$2 allowed=$3 deep=$4 measured

	shift 4
	limit "$type" iops=0 iops-burst=0 bps=0 bps-burst=0
	limit "$type" "$@"
	measured=$(rate "$type" "$seconds" --depth="$deep")
	awk -v type="$type" -v name="$name" -v allowed="$allowed" -v measured="$measured" 'BEGIN {
		printf "%-5s %-26s %10.1f %10.1f %+7.2f %%\n", type, name, allowed, measured,
			100 * (measured / allowed - 1) }'
}

begin /dev/shm
need "$bench" "build it"
printf '%-5s %-26s %10s %10s\n' '' limit allowed measured
((${#types[@]})) || types=(blk scsi)
for type in "${types[@]}"; do
	start "$type"
	most=$(rate "$type" 3 --depth="$depth")
	half=$(awk -v most="$most" 'BEGIN { printf "%d", most / 2 }')
	row "$type" "100 requests/s" 100 "$depth" iops=100
	row "$type" "100 requests/s, depth 1" 100 1 iops=100
	row "$type" "100 requests/s, burst 1" 100 "$depth" iops=100 iops-burst=1
	row "$type" "half, requests/s" "$half" "$depth" iops="$half"
	row "$type" "half, requests/s, burst 1" "$half" "$depth" iops="$half" iops-burst=1
	row "$type" "half, bytes/s" "$half" "$depth" bps=$((half * 4096))
	row "$type" "half, bytes/s, burst 1" "$half" "$depth" bps=$((half * 4096)) bps-burst=1
	row "$type" "100 requests as bytes/s" 100 "$depth" bps=$((100 * 4096))
	end_all
done
