#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# QEMU's guests find, use and reset a disk: twice on one connection (a reboot), and on the next
# connection.

. "$(dirname "$0")/lib-qemu.sh"

need_guest_kernel
bytes=1000000

sum_in_image()
{
	debugfs -R "cat $1" "$image" 2>/dev/null | sum
}

# test_queues NUMBER: as many processors and queues; with 2 the rings are packed.
test_queues()
{
	local n=$1 first second third

	first=$(pattern "first $n" $bytes | sum)
	second=$(pattern "second $n" $bytes | sum)
	third=$(pattern "third $n" $bytes | sum)
	qemu_args=(-smp "$n,maxcpus=$((n + 1))")

	image "disk$n" 64M
	start_daemon "disk$n" --blk-file="$image" --serial=first-light --num-queues="$n"

	qemu_guest "$n queues: first guest" "disk$n" N="$n" BYTES=$bytes <<'END'
cd /mnt || exit
# The last sector of the disk tells whether this is the first boot.
mark()
{
	dd if=/dev/vda bs=512 skip=131071 2>/dev/null | head -c 6
}

if [ "$(mark)" != booted ]; then
	boot="first boot"
	equal "$boot: size in sectors" 131072 "$(cat /sys/block/vda/size)"
	equal "$boot: serial number" first-light "$(cat /sys/block/vda/serial)"
	equal "$boot: packed rings" $((N - 1)) "$(packed)"
	equal "$boot: queues" "$N" "$(ls /sys/block/vda/mq | wc -l)"
	check "$boot: mkfs.ext4" mkfs.ext4 -q /dev/vda 65000k
	check "$boot: mount" mount -t ext4 /dev/vda fs || exit
	pattern "first $N" $BYTES >fs/first
	check "$boot: unmount" umount fs
	check "$boot: fsck" fsck.ext4 -f -n /dev/vda
	driver=/sys/bus/virtio/drivers/virtio_blk
	device=$(basename $driver/virtio*)
	check "$boot: unbind the driver" sh -c "echo $device >$driver/unbind"
	check "$boot: the disk is gone" [ ! -e /sys/block/vda ]
	check "$boot: bind the driver" sh -c "echo $device >$driver/bind"
	equal "$boot: size after that" 131072 "$(cat /sys/block/vda/size)"
	check "$boot: leave a mark" sh -c "echo booted | dd of=/dev/vda bs=512 seek=131071 conv=sync,fsync"
	echo 3 >/proc/sys/vm/drop_caches
	equal "$boot: read the mark" booted "$(mark)" || exit
	exec busybox reboot -f
fi

boot="second boot"
check "$boot: fsck" fsck.ext4 -f -n /dev/vda
check "$boot: mount" mount -t ext4 /dev/vda fs || exit
equal "$boot: checksum" "$(pattern "first $N" $BYTES | sum)" "$(sum <fs/first)"
# All processors, and so all queues, at once.
for cpu in $(seq 0 $((N - 1))); do
	taskset -c $cpu sh -c "cat fs/first fs/first >fs/second$cpu; sync" &
done
wait
for cpu in $(seq 0 $((N - 1))); do
	equal "$boot: checksum of what processor $cpu wrote" "$(cat fs/first fs/first | sum)" "$(sum <fs/second$cpu)"
done
pattern "second $N" $BYTES >fs/second
check "$boot: unmount" umount fs
END
	check "$n queues, host: fsck of the image" fsck.ext4 -f -n "$image"
	equal "$n queues, host: the first file is in the image" "$first" "$(sum_in_image /first)"
	equal "$n queues, host: the second file is in the image" "$second" "$(sum_in_image /second)"

	qemu_guest "$n queues: second guest" "disk$n" N="$n" BYTES=$bytes <<'END'
cd /mnt || exit
check "fsck" fsck.ext4 -f -n /dev/vda
check "mount" mount -t ext4 /dev/vda fs || exit
equal "checksum" "$(pattern "second $N" $BYTES | sum)" "$(sum <fs/second)"
pattern "third $N" $BYTES >fs/third
check "unmount" umount fs
END
	check "$n queues, host: fsck of the image after the second guest" fsck.ext4 -f -n "$image"
	equal "$n queues, host: the third file is in the image" "$third" "$(sum_in_image /third)"
	stop_daemon "disk$n"
}

on_reboot=reset
test_queues 1
disk_properties=,packed=on
test_queues 2
finish
