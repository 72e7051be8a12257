#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compare two block back-ends on tmpfs images, back-end and load on a core each.
#
#   tests/bench/blk.sh [--a=WHAT] [--b=WHAT] [--dir=DIR] [--size=BYTES] [--depth=N,N,...]
#                      [options of vhost-bench compare blk]
#
# WHAT is ours, ours:--OPTION,--OPTION... (of vhost-user-blk), qsd, or qsd:KEY=VALUE,...
# (of its file block device); the default is ours against qsd.  Environment: VHOST_USER_BLK,
# VHOST_BENCH and QSD name the programs; top_builddir says where the first two were built.  It only
# prints; slowness is no failure.
set -u
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers.sh"

a=ours b=qsd dir=/dev/shm size=256M depths=1,32,128
options=(--poll --indirect)

for arg; do
	case $arg in
	--a=*) a=${arg#*=} ;;
	--b=*) b=${arg#*=} ;;
	--dir=*) dir=${arg#*=} ;;
	--size=*) size=${arg#*=} ;;
	--depth=*) depths=${arg#*=} ;;
	--irq) options=("${options[@]/--poll/--irq}") ;;
	--help) sed -n '3,11s/^# \?//p' "$0"; exit 0 ;;
	*) options+=("$arg") ;;
	esac
done

# make_command NAME WHAT: set command to what runs that back-end on an image of this name.
make_command()
{
	local what=$2 args=${2#*:} image=$work/$1.img

	[[ $what == *:* ]] || args=
	# Real blocks, not holes.
	head -c "$size" /dev/zero >"$image" || die "no room for $image"
	case $what in
	# shellcheck disable=SC2086 # one word per option
	ours*) blk_command --blk-file="$image" ${args//,/ } ;;
	qsd*) qsd_command "file,filename=$image${args:+,$args}" ;;
	*) die "$what: want ours or qsd" ;;
	esac
}

need "$bench" "build it, or set VHOST_BENCH"
begin "$dir"
make_command a "$a"
first=("${command[@]}")
make_command b "$b"
for depth in ${depths//,/ }; do
	"$bench" compare blk --depth="$depth" "${options[@]}" -- "${first[@]}" -- "${command[@]}" || exit
done
