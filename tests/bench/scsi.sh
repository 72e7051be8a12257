#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare vhost-user-scsi with vhost-user-blk on images alike, back-end and load on a core each.
#
#   tests/bench/scsi.sh [--a=OPTION,...] [--b=OPTION,...] [--dir=DIR] [--size=BYTES]
#                       [--depth=N,N,...] [--callgrind] [options of vhost-bench compare scsi]
#
# a is the SCSI disk, whose OPTIONs are those of its --lun; b is vhost-user-blk with --OPTIONs.
# Environment: VHOST_USER_SCSI, VHOST_USER_BLK and VHOST_BENCH name the programs; top_builddir says
# where they were built.  With --callgrind it counts the back-ends' instructions per request instead,
# at the first depth, with what the kernel does left out.  It only prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"

a='' b='' dir=/dev/shm size=256M callgrind='' depths=1,32,128
options=(--poll --indirect)

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--dir=*) dir=${arg#*=} ;;
	--size=*) size=${arg#*=} ;;
	--depth=*) depths=${arg#*=} ;;
	--irq) options=("${options[@]/--poll/--irq}") ;;
	--callgrind) callgrind=yes ;;
	--help) sed -n '3,12s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# make_command KIND SOCKET: set command to what runs that back-end.
make_command()
{
	local image=$work/$1.img

	# Real blocks, not holes.
	[[ -e $image ]] || head -c "$size" /dev/zero >"$image" || die "no room for $image"
	if [[ $1 == scsi ]]; then
		command=("$scsi" --socket-path="$2" --lun="0,file=$image${a:+,$a}")
	else
		# shellcheck disable=SC2206 # one word per option
		command=("$blk" --socket-path="$2" --blk-file="$image" ${b//,/ })
	fi
}

# instructions KIND N: count all of the back-end's while it does N requests.
instructions()
{
	local out=$work/$1.$2.callgrind socket=$work/$1.sock

	make_command "$1" "$socket"
	# Valgrind makes system calls of its own.
	valgrind --quiet --tool=callgrind --callgrind-out-file="$out" "${command[@]}" --sandbox=none 2>"$work/log" &
	pids+=($!)
	wait_for "$socket" "${pids[-1]}"
	"$bench" "$1" "${options[@]}" --depth="${depths%%,*}" --requests="$2" "$socket" >"$work/bench" ||
		die "$1 failed"
	end_all
	count=$(sed -n 's/^totals: //p' "$out")
}

need "$bench" "build it, or set VHOST_BENCH"
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

make_command scsi {}
first=("${command[@]}")
make_command blk {}
for depth in ${depths//,/ }; do
	"$bench" compare scsi --second=blk --depth="$depth" "${options[@]}" -- \
		"${first[@]}" -- "${command[@]}" || exit
done
