#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A disk grows while User-mode Linux has it mounted, which sees that without a rescan: by the control
# socket, and because somebody else has made the image larger.

. "$(dirname "$0")/lib-uml.sh"

# ctl METHOD KEY=VALUE...: a row which is ok if the daemon does it.
ctl()
{
	check "$*" "$top_builddir/tools/vhostctl" "$tmp/disk.control" "$@"
}

image disk 32M
start_daemon disk --blk-file="$image" --control="$tmp/disk.control" --threads=1
start_uml_guest guest disk <<'END'
# size_is MIB
size_is()
{
	[ "$(cat /sys/block/vda/size)" = $(($1 * 2048)) ]
}

# grows MIB: the disk does, and then the file system on it.
grows()
{
	check "$1 MiB are seen" wait_for size_is $1
	check "$1 MiB: resize2fs while it is mounted" resize2fs /dev/vda
	check "$1 MiB: room for more" dd if=/dev/zero of=fs/large bs=1M count=$(($1 * 5 / 8)) conv=fsync
	equal "$1 MiB: checksum" "$(pattern disk 1000000 | sum)" "$(sum <fs/file)"
}

cd /mnt || exit
check "32 MiB at first" size_is 32
check "mkfs.ext4" mkfs.ext4 -q /dev/vda
check "mount" mount /dev/vda fs || exit
pattern disk 1000000 >fs/file
sync
echo "MOUNTED"
grows 64
echo "GROWN"
grows 96
check "unmount" umount fs
check "fsck" fsck.ext4 -f -n /dev/vda
END

uml_says guest MOUNTED
ctl resize size=64M
uml_says guest GROWN
truncate -s 96M "$image"
ctl resize
end_uml_guest guest
equal "host: its size" $((96 << 20)) "$(stat -c %s "$image")"
check "host: fsck of the image" fsck.ext4 -f -n "$image"
stop_daemon disk
finish
