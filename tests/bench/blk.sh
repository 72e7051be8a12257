#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare two block back-ends on tmpfs images, back-end and load on a core each.
#
#   tests/bench/blk.sh [--a=WHAT] [--b=WHAT] [--dir=DIR] [--size=BYTES] [options of bench_blk]
#
# WHAT is ours, ours:--OPTION,--OPTION... (of vhost-user-blk), qsd, or qsd:KEY=VALUE,...
# (of its file block device); the default is ours against qsd.  Environment: VHOST_USER_BLK,
# BENCH_BLK and QSD name the programs; top_builddir says where the first two were built.  It only
# prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"

daemon=${VHOST_USER_BLK:-$top_builddir/blk/vhost-user-blk}
bench=${BENCH_BLK:-$top_builddir/tests/bench/bench_blk}
qsd=${QSD:-qemu-storage-daemon}
a=ours b=qsd dir=/dev/shm size=256M
options=()

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--dir=*) dir=${arg#*=} ;;
	--size=*) size=${arg#*=} ;;
	--help) sed -n '3,10s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# Start back-end WHAT under the name NAME, and set target to what bench_blk wants.
start()
{
	local name=$1 what=$2 args=${2#*:} socket=$work/$1.sock image=$work/$1.img
	local export="type=vhost-user-blk,id=export,node-name=file,writable=on"

	[[ $what == *:* ]] || args=
	# Real blocks, not holes.
	head -c "$size" /dev/zero >"$image" || die "no room for $image"
	case $what in
	ours*)
		need "$daemon" "build it, or set VHOST_USER_BLK"
		# shellcheck disable=SC2086 # one word per option
		taskset -c 1 "$daemon" --socket-path="$socket" --blk-file="$image" ${args//,/ } &
		;;
	qsd*)
		need "$qsd" "Debian has it in qemu-system-common"
		taskset -c 1 "$qsd" \
			--blockdev "driver=file,node-name=file,filename=$image${args:+,$args}" \
			--export "$export,addr.type=unix,addr.path=$socket" &
		;;
	*) die "$what: want ours or qsd" ;;
	esac
	pids+=($!)
	target="$name ${what//=/ }=$!:$socket"
}

need "$bench" "build it with make check, or set BENCH_BLK"
begin "$dir"

targets=()
for spec in "a $a" "b $b"; do
	start "${spec%% *}" "${spec#* }"
	targets+=("$target")
done
taskset -c 0 "$bench" "${options[@]}" "${targets[@]}"
