#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the daemon's options mean to a guest: block size, read-only, cache mode, number and size of
# queues.

. "$(dirname "$0")/lib-uml.sh"

disks=

# disk NAME ARG...: the next disk of the guest, of 16 MiB.
disk()
{
	local name=$1

	shift
	image "$name" 16M "$direct"
	start_daemon "$name" --blk-file="$image" --serial="$name" "$@"
	disks="$disks $name"
}

direct_folder
row $? "there is a file system with O_DIRECT"

# The file system on the read-only disk is made here, with one file in it.
mkdir "$tmp/content"
pattern kept 300000 >"$tmp/content/kept"
image readonly 16M "$direct"
mkfs.ext4 -q -d "$tmp/content" "$image"
before=$(sum <"$image")

disk blocks --block-size=4096
disk readonly --read-only
disk writeback --cache=writeback
disk writethrough --cache=writethrough
disk direct --cache=none
disk queues --num-queues=4 --queue-size=1024

uml_guest guest "$disks" DISKS="$(printf '%s\n' $disks)" KEPT="$(pattern kept 300000 | sum)" <<'END'
cd /mnt || exit

# The disks have the order in which the daemons were named.
find_disk()
{
	disk=vd$(echo a b c d e f | cut -d' ' -f"$(echo "$DISKS" | grep -nx "$1" | cut -d: -f1)")
	queue=/sys/block/$disk/queue
	equal "$1: serial number" "$1" "$(cat /sys/block/$disk/serial)"
}

# Can the disk carry a file system?
use_disk()
{
	check "$1: mkfs.ext4" mkfs.ext4 -q "/dev/$disk"
	check "$1: mount" mount "/dev/$disk" fs || exit
	pattern "$1" 1000000 >fs/file
	check "$1: unmount" umount fs
	check "$1: fsck" fsck.ext4 -f -n "/dev/$disk"
	mount "/dev/$disk" fs
	equal "$1: checksum" "$(pattern "$1" 1000000 | sum)" "$(sum <fs/file)"
	umount fs
}

# write_and_flush NAME: straight to the disk, then a flush.
write_and_flush()
{
	pattern "$1" 65536 >data
	check "$1: write and flush" dd if=data of="/dev/$disk" bs=65536 seek=16 oflag=direct conv=fsync
	equal "$1: read" "$(sum <data)" "$(dd if="/dev/$disk" bs=65536 skip=16 count=1 iflag=direct | sum)"
}

find_disk blocks
equal "blocks: logical block size" 4096 "$(cat $queue/logical_block_size)"
equal "blocks: size in sectors" 32768 "$(cat /sys/block/$disk/size)"
use_disk blocks

find_disk readonly
equal "read-only: told" 1 "$(cat /sys/block/$disk/ro)"
refused "read-only: a write is refused" dd if=/dev/zero of=/dev/$disk bs=4096 count=1 oflag=direct
refused "read-only: a discard is refused" blkdiscard /dev/$disk
check "read-only: mount" mount -o ro /dev/$disk fs || exit
equal "read-only: checksum" "$KEPT" "$(sum <fs/kept)"
check "read-only: unmount" umount fs

find_disk writeback
equal "writeback: cache type" "write back" "$(cat $queue/write_cache)"
write_and_flush "writeback"
echo "write through" >/sys/block/$disk/cache_type
equal "writeback: switched to write through" "write through" "$(cat /sys/block/$disk/cache_type)"
equal "writeback: the queue knows" "write through" "$(cat $queue/write_cache)"
write_and_flush "writeback, switched"
echo "write back" >/sys/block/$disk/cache_type
equal "writeback: switched back" "write back" "$(cat $queue/write_cache)"
write_and_flush "writeback, switched back"

find_disk writethrough
equal "writethrough: cache type" "write through" "$(cat $queue/write_cache)"
write_and_flush "writethrough"
use_disk writethrough

find_disk direct
equal "none: cache type" "write back" "$(cat $queue/write_cache)"
write_and_flush "none"
use_disk direct

# User-mode Linux has one processor, so it takes one of the four queues.
find_disk queues
equal "queues: the guest uses" 1 "$(ls /sys/block/$disk/mq | wc -l)"
use_disk queues
END

equal "host: the read-only image has not changed" "$before" "$(sum <"$direct/readonly.img")"
for name in $disks; do
	stop_daemon "$name"
done
finish
