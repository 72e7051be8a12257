#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# User-mode Linux finds units on several targets, formats, mounts and verifies disks, and mounts a CD.

. "$(dirname "$0")/lib-uml.sh"

need fio fio

daemon=$top_builddir/scsi/vhost-user-scsi
uml_type=8
uml_drivers="virtio_scsi sd_mod sr_mod"
guest_libs+=("$interop/guest-scsi.sh")
bytes=5000000

image one 64M
one=$image
image two 32M
two=$image
image cd 2000K
cd=$image
pattern cd 2048000 >"$cd"
sum=$(pattern cd 2048000 | sum)

start_daemon scsi --lun=0,file="$one",serial=first-light --lun=1,file="$cd",cdrom \
	--lun=7:0,engine=null,size=1M --lun=7:300,file="$two",block-size=4096 --threads=1 --num-queues=2

uml_guest "guest" scsi BYTES=$bytes CD="$sum" <<'E1'
one=$(disk 0:0)
cd=$(disk 0:1)
two=$(disk 7:300)
null=$(disk 7:0)
equal "size of the first disk" 131072 "$(cat /sys/block/$one/size)"
equal "size of the second disk" 65536 "$(cat /sys/block/$two/size)"
equal "block size of the second disk" 4096 "$(cat /sys/block/$two/queue/logical_block_size)"
equal "block size of the CD" 2048 "$(cat /sys/block/$cd/queue/logical_block_size)"
equal "type of the CD" 5 "$(cat /sys/block/$cd/device/type)"
equal "size of the disk without image" 2048 "$(cat /sys/block/$null/size)"
equal "the CD is what it should be" "$CD" "$(sum </dev/$cd)"
cd /mnt || exit

check "mkfs.ext4" mkfs.ext4 -q /dev/$one
check "mkfs.ext4 of the second disk" mkfs.ext4 -q /dev/$two
for dev in $one $two; do
	check "mount" mount /dev/$dev fs || exit
	pattern one $BYTES >one
	want=$(sum <one)
	check "write a file" cp one fs/one
	check "write many files" sh -c "mkdir fs/many && split -b 5000 -a 3 one fs/many/"
	check "unmount" umount fs
	check "fsck" fsck.ext4 -f -n /dev/$dev
	check "mount again" mount /dev/$dev fs || exit
	equal "checksum of the file" "$want" "$(sum <fs/one)"
	equal "checksum of the many files" "$want" "$(cat fs/many/* | sum)"
	check "unmount again" umount fs
done
E1

check "host: fsck of the first image" fsck.ext4 -f -n "$one"
check "host: fsck of the second image" fsck.ext4 -f -n "$two"
stop_daemon scsi

# test_fio PACKED: fio verifies what it wrote, several units at once, one of them with large blocks.
test_fio()
{
	start_daemon "fio-$1" --lun=0,file="$one" --lun=7:300,file="$two",block-size=4096 --threads=1 --num-queues=2 --packed="$1"
	uml_guest "packed=$1" "fio-$1" PACKED="$1" <<'E2'
equal "packed ring" $PACKED "$(scsi_packed | sed 's/0/off/; s/1/on/')"
cd /mnt || exit
check "fio" fio --verify=crc32c --verify_fatal=1 --verify_state_save=0 --thread --randrepeat=1 \
	--direct=1 --ioengine=libaio --iodepth=16 --fsync=64 --size=16M \
	--name=first --filename=/dev/$(disk 0:0) --rw=randwrite --bsrange=512-128k --blockalign=512 \
	--name=second --filename=/dev/$(disk 7:300) --rw=randrw --bs=4k --io_size=8M
E2
	stop_daemon "fio-$1"
}

test_fio on
test_fio off
finish
