#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# How long each daemon takes from exec until it is ready, with the sandbox on, and how much memory
# it has then: its own, which nobody shares, and all that is resident.  The scripts which libtool
# makes for programs in the build tree are left out.
#
#   tests/bench/start.sh [--rounds=N]
#
# Environment: top_builddir says where it was built.  It only prints.
set -u
. "$(dirname "$0")/lib.sh"

rounds=20
for arg; do
	case $arg in
	--rounds=*) rounds=${arg#*=} ;;
	--help) sed -n '3,9s/^# \?//p' "$0"; exit 0 ;;
	*) die "$arg: want --rounds=N" ;;
	esac
done
time=$top_builddir/tests/bench/start_time
need "$time" "build it by make check"
begin /dev/shm

# row NAME TYPE ARG...
row()
{
	local name=$1 type=$2

	shift 2
	printf '%-34s ' "$name"
	"$top_builddir/libtool" --mode=execute "$time" "$rounds" \
		"$top_builddir/$type/vhost-user-$type" --socket-path="$work/$type.sock" \
		"$@" 2>/dev/null || die "$name does not start"
}

truncate -s 1G "$work/image"
echo '{ "threads": 4 }' >"$work/config.json"
printf '%-34s %6s %6s %6s    %6s %6s\n' '' median least most own all
row "blk" blk --blk-file="$work/image"
row "blk, threads" blk --blk-file="$work/image" --engine=threads
row "blk, all" blk --blk-file="$work/image" --config="$work/config.json" \
	--control="$work/control" --metrics="$work/metrics"
row "blk, no sandbox" blk --blk-file="$work/image" --sandbox=none
row "scsi" scsi --lun=0,file="$work/image"
row "scsi, all" scsi --lun=0,file="$work/image" --config="$work/config.json" \
	--control="$work/control" --metrics="$work/metrics"
row "net" net --port=null
row "net, all" net --port=null --queue-pairs=4 --config="$work/config.json" \
	--control="$work/control" --metrics="$work/metrics"
