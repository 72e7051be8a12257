#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What comes when the sandbox is on, whose system calls are all known by then: images and block
# devices as file descriptors, and their new sizes.  Each is read and written with a verified load.

. "$(dirname "$0")/lib-cli.sh"

vhostctl=$top_builddir/tools/vhostctl
bench=$top_builddir/tools/vhost-bench
direct_folder || direct=

# begin KIND ARG...: a daemon of this kind; a filter is on unless a sanitizer forbids that.
begin()
{
	cli_of "$1"
	rm -f "$tmp/$1.log"
	start_daemon "$@" --control="$tmp/control" --num-queues=2 --threads=2
	wait_until 10 grep -q "^vhost-user" "$tmp/$1.log"
	"$give_fd" talk "$tmp/$1.sock" 1 || row 1 "$1: it is served"
	[ "${SANITIZER-no}" != no ] || equal "$1: all threads have a filter" "2" \
		"$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/"${pids[$1]}"/task/*/status | sort -u)"
}

ctl()
{
	"$vhostctl" "$tmp/control" "$@"
}

# add_fd FILE ARG...: the unit 1 is a file descriptor of the file.
add_fd()
{
	local file=$1

	shift
	ctl --fd=9 lun-add lun=1 file=given "$@" 9<>"$file"
}

# load KIND ARG...
load()
{
	local kind=$1

	shift
	"$bench" "$kind" --verify --rw=randrw --requests=300 --depth=8 --queues=2 "$@" "$tmp/$kind.sock"
}

# has_size SIZE: that of the last disk or unit.
has_size()
{
	[ "$(ctl status | sed -n 's/^ *size: //p' | tail -n 1)" = "$1" ]
}

# grown NAME SIZE ARG...: what the daemon has grown to, or is to see.
grown()
{
	local name=$1 size=$2

	shift 2
	check "$name: resize" ctl resize "$@"
	check "$name: the new size" has_size "$size"
}

# given NAME FILE ARG...: a unit which is a file descriptor of this file; 2 MiB then.
given()
{
	local name=$1 file=$2

	shift 2
	check "$name: lun-add" add_fd "$file" "$@"
	check "$name: it has its size" has_size 2097152
	check "$name: it works" load scsi --lun=0:1
}

# --- Files, in a folder of which the daemon knows nothing ---

mkdir "$tmp/elsewhere" && truncate -s 4M disk
begin scsi --lun=0,file=disk
for args in "engine=uring" "engine=aio" "engine=threads" \
	${direct:+"engine=uring cache=none" "engine=aio cache=none"}; do
	file=${direct:-$tmp}/elsewhere.img
	case $args in *none) ;; *) file=$tmp/elsewhere/image ;; esac
	truncate -s 2M "$file"
	# shellcheck disable=SC2086
	given "file, $args" "$file" $args
	grown "file, $args, by itself" 4194304 lun=1 size=4M
	equal "file, $args: it has grown" 4194304 "$(stat -c %s "$file")"
	check "file, $args: it works then" load scsi --lun=0:1
	truncate -s 6M "$file"
	grown "file, $args, from outside" 6291456 lun=1
	grown "file, $args: less" 1048576 lun=1 size=1M
	check "file, $args: it works still" load scsi --lun=0:1
	check "file, $args: lun-remove" ctl lun-remove lun=1
	rm "$file"
done
stop_daemon scsi

# --- Block devices ---

loop=
remove_loop()
{
	[ -z "$loop" ] || losetup -d "$loop"
	loop=
}
trap 'remove_loop; cleanup' EXIT

truncate -s 2M "$tmp/elsewhere/device"
if loop=$(losetup -f --show "$tmp/elsewhere/device" 2>"$tmp/losetup"); then
	begin scsi --lun=0,file=disk
	for args in "engine=uring" "engine=aio" "engine=threads"; do
		given "device, $args" "$loop" $args
		truncate -s 4M "$tmp/elsewhere/device" && losetup -c "$loop"
		grown "device, $args, from outside" 4194304 lun=1
		check "device, $args: it works then" load scsi --lun=0:1
		check "device, $args: lun-remove" ctl lun-remove lun=1
		truncate -s 2M "$tmp/elsewhere/device" && losetup -c "$loop"
	done
	stop_daemon scsi
	begin blk --blk-file="$loop"
	check "disk: it works" load blk
	truncate -s 4M "$tmp/elsewhere/device" && losetup -c "$loop"
	grown "disk, from outside" 4194304
	check "disk: it works then" load blk
	stop_daemon blk
	remove_loop
else
	loop=
	row 0 "block devices # SKIP no loop device to be had: $(tail -n 1 "$tmp/losetup")"
fi

finish
