#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare vhost-user-scsi with vhost-user-blk on images alike, back-end and load on a core each.
#
#   tests/bench/scsi.sh [--a=OPTION,...] [--b=OPTION,...] [--dir=DIR] [--size=BYTES]
#                       [--callgrind] [options of bench_blk]
#
# a is the SCSI disk, whose OPTIONs are those of its --lun; b is vhost-user-blk with --OPTIONs.
# Environment: VHOST_USER_SCSI, VHOST_USER_BLK and BENCH_BLK name the programs; top_builddir says
# where they were built.  With --callgrind it counts the back-ends' instructions per request instead,
# at the first depth, with what the kernel does left out.  It only prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"

scsi=${VHOST_USER_SCSI:-$top_builddir/scsi/vhost-user-scsi}
blk=${VHOST_USER_BLK:-$top_builddir/blk/vhost-user-blk}
bench=${BENCH_BLK:-$top_builddir/tests/bench/bench_blk}
a='' b='' dir=/dev/shm size=256M callgrind=
options=()

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--dir=*) dir=${arg#*=} ;;
	--size=*) size=${arg#*=} ;;
	--callgrind) callgrind=yes ;;
	--help) sed -n '3,13s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# start scsi|blk [WRAPPER...]: run that back-end, and set target to what bench_blk wants of it.
start()
{
	local kind=$1 socket=$work/$1.sock image=$work/$1.img
	shift
	# Real blocks, not holes.
	[[ -e $image ]] || head -c "$size" /dev/zero >"$image" || die "no room for $image"
	if [[ $kind == scsi ]]; then
		"$@" "$scsi" --socket-path="$socket" --lun="0,file=$image${a:+,$a}" &
		target=scsi:
	else
		# shellcheck disable=SC2086 # one word per option
		"$@" "$blk" --socket-path="$socket" --blk-file="$image" ${b//,/ } &
		target=
	fi
	pids+=($!)
	target+="$kind=$!:$socket"
}

# instructions KIND N: count all of the back-end's while it does about N requests.
instructions()
{
	local out=$work/$1.$2.callgrind
	# What libtool has built may be a script which calls the program.
	start "$1" valgrind --quiet --trace-children=yes --tool=callgrind \
		--callgrind-out-file="$out.%p" 2>"$work/log"
	wait_for "$work/$1.sock" "${pids[-1]}"
	"$bench" "${options[@]}" --count="$2" "$target" || die "$1 failed"
	end_all
	count=$(sed -n 's/^totals: //p' "$out".* | sort -n | tail -n1)
}

need "$bench" "build it with make check, or set BENCH_BLK"
need "$scsi" "build it, or set VHOST_USER_SCSI"
need "$blk" "build it, or set VHOST_USER_BLK"
begin "$dir"

if [[ $callgrind ]]; then
	need valgrind "it is in the package of this name"
	few=20000 many=60000
	for kind in scsi blk; do
		instructions "$kind" $few
		first=$count
		instructions "$kind" $many
		echo "$kind: $(((count - first) / (many - few))) instructions per request"
	done
	exit
fi

targets=()
for kind in scsi blk; do
	start "$kind" taskset -c 1
	targets+=("$target")
done
taskset -c 0 "$bench" "${options[@]}" "${targets[@]}"
