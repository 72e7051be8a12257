#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The daemon is restarted under an idle guest of a QEMU that reconnects; then the guest goes on
# with the disk.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
socket_properties=,reconnect=1

# restart NUMBER SIGNAL: end the daemon that way while the guest is idle, and start it again.
restart()
{
	hear guest "IDLE $1"
	if [ "$2" = TERM ]; then
		stop_daemon disk
	else
		{ kill -9 "${pids[disk]}"; end_process disk; } 2>/dev/null
		rm -f "$tmp/disk.sock"
	fi
	start_daemon disk --blk-file="$image" --num-queues=2
	say guest go
}

image disk 64M
start_daemon disk --blk-file="$image" --num-queues=2
qemu_args=(-smp 2)
start_qemu_guest guest disk <<'END'
cd /mnt || exit

# Nothing goes to the disk between here and the next command.
idle()
{
	sync
	echo "IDLE $1"
	read -r line
}

write()
{
	pattern "$1" 1000000 >fs/$1
	check "write the file $1" sync
}

# The page cache must not answer for the disk.
verify()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	equal "read the file $1" "$(pattern "$1" 1000000 | sum)" "$(sum <fs/$1)"
}

check "mkfs.ext4" mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/vda
check "mount" mount -t ext4 /dev/vda fs || exit
write one
idle 1
verify one
write two
idle 2
verify one
verify two
write three
verify three
check "unmount" umount fs
check "fsck" fsck.ext4 -f -n /dev/vda
END
restart 1 TERM
restart 2 KILL
end_qemu_guest guest
check "host: fsck of the image" fsck.ext4 -f -n "$image"
stop_daemon disk
finish
